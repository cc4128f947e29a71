"""The text of a CREATE TABLE of SQLite, in parts: one can be changed while the rest stays as it was written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<string>[xX]?'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
      | (?P<word>[^\W\d][\w$]*)
      | (?P<number>\d[\w.]*|\.\d[\w.]*)
      | (?P<sign>.)""",
    re.DOTALL | re.VERBOSE,
)
# The words that end a column's type, each with the name of its part.
CLAUSES = {
    "CONSTRAINT": "name",
    "PRIMARY": "primary key",
    "NOT": "not null",
    "NULL": "null",
    "UNIQUE": "unique",
    "CHECK": "check",
    "DEFAULT": "default",
    "COLLATE": "collate",
    "REFERENCES": "foreign key",
    "GENERATED": "generated",
    "AS": "generated",
}
TABLE_CLAUSES = {"PRIMARY": "primary key", "UNIQUE": "unique", "CHECK": "check", "FOREIGN": "foreign key"}


@dataclass(frozen=True)
class Token:
    """A word, name, literal or sign of SQL, and where it begins and ends."""

    kind: str
    text: str
    start: int
    end: int
    depth: int

    @property
    def word(self) -> str:
        """The keyword in upper case; empty for anything but a plain word."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def name(self) -> str:
        """The identifier without its quotes."""
        if self.kind == "quoted":
            quote = {"[": "]"}.get(self.text[0], self.text[0])
            return self.text[1:-1].replace(quote * 2, quote)
        return self.text.replace("''", "'").strip("'") if self.kind == "string" else self.text


def tokens(sql: str) -> list[Token]:
    """The tokens of SQL without spaces and comments. A parenthesis has the depth of what is around it."""
    parts, depth = [], 0
    for match in TOKEN.finditer(sql):
        kind = str(match.lastgroup)
        if kind == "space":
            continue
        depth -= match[0] == ")"
        parts.append(Token(kind, match[0], match.start(), match.end(), depth))
        depth += match[0] == "("
    return parts


def normalized(sql: str) -> str:
    """SQL in which spaces, quotes of names, letter case and outer parentheses make no difference."""
    parts = [token.name.lower() if token.kind in ("word", "quoted") else token.text for token in tokens(sql)]
    while len(parts) > 1 and parts[0] == "(" and _closing(parts) == len(parts) - 1:
        parts = parts[1:-1]
    return " ".join(parts)


def _closing(parts: list[str]) -> int:
    depth = 0
    for position, part in enumerate(parts):
        depth += (part == "(") - (part == ")")
        if depth == 0:
            return position
    return -1


def inside(sql: str) -> str:
    """What is between the first parenthesis and the one that closes it."""
    parts = tokens(sql)
    first = next(token for token in parts if token.text == "(")
    last = next(token for token in parts if token.text == ")" and token.depth == first.depth and token.end > first.end)
    return sql[first.end : last.start].strip()


@dataclass
class Clause:
    """A part of a column's definition: ``NOT NULL``, ``DEFAULT 3``, ``CONSTRAINT name CHECK (…)``."""

    kind: str
    text: str
    name: str | None = None


@dataclass
class Column:
    """The definition of a column."""

    quoted: str
    name: str
    type: str
    clauses: list[Clause] = field(default_factory=list)

    def clause(self, kind: str) -> Clause | None:
        """The first clause of a kind."""
        return next((clause for clause in self.clauses if clause.kind == kind), None)

    def remove(self, kind: str) -> None:
        """Remove the clauses of a kind."""
        self.clauses = [clause for clause in self.clauses if clause.kind != kind]

    @property
    def sql(self) -> str:
        """The definition as SQL."""
        return " ".join(filter(None, [self.quoted, self.type, *(clause.text for clause in self.clauses)]))


@dataclass
class Constraint:
    """A constraint of a table, as it is written."""

    kind: str
    text: str
    name: str | None
    columns: tuple[str, ...]

    @property
    def sql(self) -> str:
        """The constraint as SQL."""
        return self.text


@dataclass
class CreateTable:
    """A CREATE TABLE: its columns, its constraints, and the options after them."""

    columns: list[Column]
    constraints: list[Constraint]
    options: str

    @classmethod
    def parse(cls, sql: str) -> CreateTable:
        """Take the text of `sqlite_master` apart. Raises `ValueError` for a virtual table's."""
        parts = tokens(sql)
        opening = next((token for token in parts if token.text == "("), None)
        if opening is None or any(token.word == "VIRTUAL" for token in parts[:3]):
            raise ValueError(f"not a table with columns: {sql[:80]}")
        closing = next(token for token in parts if token.text == ")" and token.depth == opening.depth)
        columns: list[Column] = []
        constraints: list[Constraint] = []
        for part in _split([token for token in parts if opening.end <= token.start < closing.start]):
            if part[0].word in TABLE_CLAUSES or part[0].word == "CONSTRAINT":
                constraints.append(_constraint(sql, part))
            else:
                columns.append(_column(sql, part))
        return cls(columns, constraints, sql[closing.end :].strip())

    def column(self, name: str) -> Column:
        """The column of this name, in any letter case. Raises `KeyError` if there is none."""
        for column in self.columns:
            if column.name.lower() == name.lower():
                return column
        raise KeyError(name)

    def sql(self, quoted_name: str) -> str:
        """The CREATE TABLE of a table with this name."""
        items = [column.sql for column in self.columns] + [constraint.sql for constraint in self.constraints]
        parts = ",\n\t".join(items)
        return f"CREATE TABLE {quoted_name} (\n\t{parts}\n){f' {self.options}' if self.options else ''}"

    def named(self, kind: str) -> Iterator[tuple[str | None, str]]:
        """The name and the text of each constraint of a kind, on columns and on the table."""
        for column in self.columns:
            for clause in column.clauses:
                if clause.kind == kind:
                    yield clause.name, clause.text
        for constraint in self.constraints:
            if constraint.kind == kind:
                yield constraint.name, constraint.text

    def drop_constraint(self, name: str) -> bool:
        """Remove the constraint of this name. Returns whether there was one."""
        before = sum(len(column.clauses) for column in self.columns) + len(self.constraints)
        wanted = name.lower()
        for column in self.columns:
            column.clauses = [clause for clause in column.clauses if (clause.name or "").lower() != wanted]
        self.constraints = [each for each in self.constraints if (each.name or "").lower() != wanted]
        return sum(len(column.clauses) for column in self.columns) + len(self.constraints) < before

    def key(self) -> tuple[str, ...]:
        """The names of the columns of the primary key."""
        for constraint in self.constraints:
            if constraint.kind == "primary key":
                return constraint.columns
        return tuple(column.name for column in self.columns if column.clause("primary key"))

    def has_rowid_alias(self) -> bool:
        """Whether the primary key is the rowid itself."""
        key = self.key()
        return len(key) == 1 and self.column(key[0]).type.upper() == "INTEGER"


def _split(parts: Iterable[Token]) -> Iterator[list[Token]]:
    """Definitions between commas."""
    part: list[Token] = []
    for token in parts:
        if token.text == "," and token.depth == 1:
            yield part
            part = []
        else:
            part.append(token)
    if part:
        yield part


def _constraint(sql: str, part: list[Token]) -> Constraint:
    name = part[1].name if part[0].word == "CONSTRAINT" else None
    kind = next(TABLE_CLAUSES[token.word] for token in part if token.word in TABLE_CLAUSES)
    columns: list[str] = []
    if kind != "check":
        opened = next(index for index, token in enumerate(part) if token.text == "(")
        for before, token in zip(part[opened:], part[opened + 1 :], strict=False):
            if token.text == ")" and token.depth == 1:
                break
            if before.text in "(,":
                columns.append(token.name)
    return Constraint(kind, sql[part[0].start : part[-1].end], name, tuple(columns))


def _column(sql: str, part: list[Token]) -> Column:
    starts = [index for index in range(1, len(part)) if _begins_clause(part, index)]
    ends = [*starts[1:], len(part)][: len(starts)]
    type_end = starts[0] if starts else len(part)
    type_ = sql[part[1].start : part[type_end - 1].end] if type_end > 1 else ""
    column = Column(sql[part[0].start : part[0].end], part[0].name, type_)
    for start, end in zip(starts, ends, strict=True):
        first = part[start]
        name = part[start + 1].name if first.word == "CONSTRAINT" else None
        kind = CLAUSES[part[start + 2].word if name is not None else first.word]
        column.clauses.append(Clause(kind, sql[first.start : part[end - 1].end], name))
    return column


def _begins_clause(part: list[Token], index: int) -> bool:
    """Whether a clause of a column begins at a token, and the word does not belong to the clause before it."""
    token, before = part[index], part[index - 1].word
    if token.depth != 1 or token.word not in CLAUSES:
        return False
    if index > 1 and part[index - 2].word == "CONSTRAINT":
        return False  # it is what the name is of
    if token.word == "NOT":
        return not (index + 1 < len(part) and part[index + 1].word == "DEFERRABLE")
    if token.word == "NULL":
        return before not in ("NOT", "SET", "DEFAULT")
    if token.word == "DEFAULT":
        return before != "SET"
    if token.word == "AS":
        return before != "ALWAYS"
    return True
