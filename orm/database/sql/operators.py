"""SQL that each database spells its own way, as SQLAlchemy constructs and bind types.

The spellings are in `orm/database/<dialect>/dialect.py`, registered with SQLAlchemy's compiler extension.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import sqlalchemy
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from orm.database.dialect_registry import ByKind, spelled_by_kind, unless_spelled
from orm.exceptions import NotSupportedError
from orm.utils.codegen import over_list

# Escapes LIKE's wildcards. Not a backslash, which MySQL's string literals would eat.
LIKE_ESCAPE = "!"


# SQLAlchemy compares what it takes for a boolean with 1 where there is no boolean type, and so hides it from indexes.
UNTYPED: Any = sqlalchemy.types.NullType()
# Marks a match whose text has characters beyond ASCII; part of the construct, so of its cache key too.
BEYOND_ASCII: sqlalchemy.ColumnClause[Any] = sqlalchemy.literal_column("'beyond ascii'")


class TextMatch(FunctionElement[bool]):
    """Text held against a value: (expression, value), and `BEYOND_ASCII` where the value is."""

    type = UNTYPED
    inherit_cache = True
    kind: ClassVar[str]
    ignore_case: ClassVar[bool] = False

    @property
    def operands(self) -> list[sqlalchemy.ColumnElement[Any]]:
        """The expression and the value."""
        return list(self.clauses)[:2]

    @property
    def beyond_ascii(self) -> bool:
        """Whether folding the value's case needs more than ASCII."""
        return len(self.clauses) > 2

    def pattern_type(self) -> TypeEngine[Any]:
        """The bind type that escapes the value for this match."""
        return TextPattern(self.kind, self.ignore_case)


class Contains(TextMatch):
    inherit_cache = True
    kind = "contains"


class StartsWith(TextMatch):
    inherit_cache = True
    kind = "startswith"


class EndsWith(TextMatch):
    inherit_cache = True
    kind = "endswith"


class IContains(TextMatch):
    inherit_cache = True
    kind = "contains"
    ignore_case = True


class IStartsWith(TextMatch):
    inherit_cache = True
    kind = "startswith"
    ignore_case = True


class IEndsWith(TextMatch):
    inherit_cache = True
    kind = "endswith"
    ignore_case = True


class IExact(TextMatch):
    inherit_cache = True
    kind = "exact"
    ignore_case = True


class Regex(FunctionElement[bool]):
    """Text matches a regular expression: (expression, pattern)."""

    type = UNTYPED
    inherit_cache = True


class IRegex(FunctionElement[bool]):
    """Text matches a regular expression, whatever the case: (expression, pattern)."""

    type = UNTYPED
    inherit_cache = True


class InList(FunctionElement[bool]):
    """An expression is one of a list of any length, which is one argument: (expression, list)."""

    type = UNTYPED
    inherit_cache = True


class JSONEqual(FunctionElement[bool]):
    """Two JSON documents say the same: (expression, document)."""

    type = UNTYPED
    inherit_cache = True


class DistinctOn(FunctionElement[Any]):
    """Before a SELECT's columns: of the rows that agree in these columns, only the first."""

    type = UNTYPED
    inherit_cache = True


spelled_by_kind(TextMatch, Regex, IRegex, InList, JSONEqual)


@compiles(DistinctOn)
@unless_spelled
def _distinct_on(element: DistinctOn, compiler: SQLCompiler, **kw: Any) -> str:
    raise NotSupportedError("distinct() with fields is PostgreSQL's DISTINCT ON, which this database does not have.")


#: In a constraint's `info`: SQLAlchemy's names of the dialects that have it, where not all do.
ONLY_ON = "orm_only_on"


def check_beside_set_null(constraint: sqlalchemy.CheckConstraint) -> sqlalchemy.CheckConstraint:
    """A CHECK on columns that foreign keys set to NULL, which MySQL and MariaDB refuse: they go without it."""
    constraint.info[ONLY_ON] = ("sqlite", "postgresql")
    return constraint.ddl_if(dialect=constraint.info[ONLY_ON])


PatternEncoder = Callable[[str, bool, str], str]
ListEncoder = Callable[[list[Any]], Any]

# By SQLAlchemy's dialect name: how a text becomes a pattern, and a list one argument.
pattern_encoders: ByKind[PatternEncoder] = ByKind()
list_encoders: ByKind[ListEncoder] = ByKind()


def like_pattern(kind: str, text: str) -> str:
    """`text` as a LIKE pattern in which nothing but the added ``%`` is a wildcard."""
    escape = LIKE_ESCAPE
    text = text.replace(escape, escape * 2).replace("%", f"{escape}%").replace("_", f"{escape}_")
    if kind == "contains":
        return f"%{text}%"
    if kind == "startswith":
        return f"{text}%"
    return f"%{text}" if kind == "endswith" else text


class TextPattern(TypeDecorator[str]):
    """Binds a text as the pattern of a `TextMatch`."""

    impl = sqlalchemy.Text
    cache_ok = True

    def __init__(self, kind: str, ignore_case: bool) -> None:
        super().__init__()
        self.kind = kind
        self.ignore_case = ignore_case

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The pattern, in the dialect's syntax."""
        if value is None:
            return None
        return pattern_encoders[dialect.name](self.kind, self.ignore_case, str(value))


class ListOf(TypeDecorator[Iterable[Any]]):
    """Binds a list of values of `item`'s type as one argument."""

    impl = sqlalchemy.types.NullType
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        """Each value as the item type binds it, then all of them as the dialect passes a list."""
        process = self.item.dialect_impl(dialect).bind_processor(dialect)
        encode, convert = list_encoders[dialect.name], over_list(process)
        return lambda values: encode(convert(values))
