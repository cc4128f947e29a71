"""`orm_migrations`: a table beside `alembic_version` that says which revisions ran, and how far one has come."""

from __future__ import annotations

import ast
import datetime
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy

TABLE = "orm_migrations"

journal = sqlalchemy.Table(
    TABLE,
    sqlalchemy.MetaData(),
    sqlalchemy.Column("revision", sqlalchemy.String(64), primary_key=True),
    sqlalchemy.Column("state", sqlalchemy.String(16), nullable=False),
    sqlalchemy.Column("checksum", sqlalchemy.String(64), nullable=False),
    sqlalchemy.Column("changed_at", sqlalchemy.String(40), nullable=False),
    sqlalchemy.Column("committed", sqlalchemy.Integer, nullable=False),
    sqlalchemy.Column("begun", sqlalchemy.Integer, nullable=False),
    sqlalchemy.Column("done", sqlalchemy.Integer, nullable=False),
    sqlalchemy.Column("fingerprint", sqlalchemy.String(64), nullable=False),
    sqlalchemy.Column("statements", sqlalchemy.Text, nullable=False),
)

BACKFILLS = "orm_backfills"
"""The table that has how far backfills have come, until their revision has run; it is made by the first one."""

backfills = sqlalchemy.Table(
    BACKFILLS,
    sqlalchemy.MetaData(),
    sqlalchemy.Column("name", sqlalchemy.String(64), primary_key=True),
    sqlalchemy.Column("revision", sqlalchemy.String(64), nullable=False),
    sqlalchemy.Column("last_key", sqlalchemy.Text, nullable=False),
    sqlalchemy.Column("passed", sqlalchemy.BigInteger, nullable=False),
    sqlalchemy.Column("is_done", sqlalchemy.Integer, nullable=False),
)

APPLIED, APPLYING, UNDOING = "applied", "applying", "undoing"


@dataclass(frozen=True)
class JournalEntry:
    """A row of the journal.

    Attributes:
        revision: the revision's identifier.
        state: "applied", or "applying" or "undoing" of one that has come only a part of the way.
        checksum: the digest of its file when it ran.
        committed: how many of its transactions are committed.
        begun, done: how many of its statements outside of transactions were begun, and were seen to end.
        fingerprint: what the last of these may change, before it began.
        statements: the digests of these statements.
    """

    revision: str
    state: str
    checksum: str = ""
    committed: int = 0
    begun: int = 0
    done: int = 0
    fingerprint: str = ""
    statements: tuple[str, ...] = field(default=())

    @property
    def is_partial(self) -> bool:
        """Whether the revision was interrupted, and something of it has stayed."""
        return self.state != APPLIED and bool(self.committed or self.begun)


def read(connection: sqlalchemy.Connection) -> dict[str, JournalEntry]:
    """The rows of the journal by revision; none if the table does not exist."""
    if not sqlalchemy.inspect(connection).has_table(TABLE):
        return {}
    columns = [column for column in journal.columns if column.name != "changed_at"]
    rows = connection.execute(sqlalchemy.select(*columns)).mappings()
    entries = [JournalEntry(**{**row, "statements": tuple(row["statements"].split())}) for row in rows]
    return {entry.revision: entry for entry in entries}


def create(connection: sqlalchemy.Connection) -> None:
    """Create the table if it does not exist."""
    journal.create(connection, checkfirst=True)


def write(connection: sqlalchemy.Connection, entry: JournalEntry) -> None:
    """Insert or update a row, in the current transaction."""
    values: dict[str, Any] = {
        "state": entry.state,
        "checksum": entry.checksum,
        "changed_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "committed": entry.committed,
        "begun": entry.begun,
        "done": entry.done,
        "fingerprint": entry.fingerprint,
        "statements": " ".join(entry.statements),
    }
    is_row = journal.c.revision == entry.revision
    if connection.execute(journal.select().where(is_row)).first() is None:
        connection.execute(journal.insert().values(revision=entry.revision, **values))
    else:
        connection.execute(journal.update().where(is_row).values(values))


def delete(connection: sqlalchemy.Connection, revision: str) -> None:
    """Delete the row of a revision, in the current transaction."""
    connection.execute(journal.delete().where(journal.c.revision == revision))
    delete_backfills(connection, revision)


@dataclass(frozen=True)
class BackfillState:
    """How far a backfill has come.

    Attributes:
        name: a digest of what it does, and of its revision.
        revision: the revision's identifier.
        last_key: the text that notes the last key of the last batch.
        rows: how many rows its batches have passed.
        is_done: whether it has passed all rows.
    """

    name: str
    revision: str
    last_key: str
    rows: int
    is_done: bool


def create_backfills(connection: sqlalchemy.Connection) -> None:
    """Create the table of backfills if it does not exist."""
    backfills.create(connection, checkfirst=True)


def read_backfill(connection: sqlalchemy.Connection, name: str) -> BackfillState | None:
    """How far a backfill has come; None if it has not begun."""
    row = connection.execute(backfills.select().where(backfills.c.name == name)).first()
    return None if row is None else BackfillState(row.name, row.revision, row.last_key, row.passed, bool(row.is_done))


def write_backfill(connection: sqlalchemy.Connection, state: BackfillState) -> None:
    """Note how far a backfill has come, in the current transaction."""
    values = {"last_key": state.last_key, "passed": state.rows, "is_done": int(state.is_done)}
    is_row = backfills.c.name == state.name
    if connection.execute(backfills.select().where(is_row)).first() is None:
        connection.execute(backfills.insert().values(name=state.name, revision=state.revision, **values))
    else:
        connection.execute(backfills.update().where(is_row).values(values))


def delete_backfills(connection: sqlalchemy.Connection, revision: str) -> None:
    """Forget the backfills of a revision, in the current transaction."""
    if sqlalchemy.inspect(connection).has_table(BACKFILLS):
        connection.execute(backfills.delete().where(backfills.c.revision == revision))


def applied(revision: str, path: str) -> JournalEntry:
    """The entry of a revision that has run as a whole."""
    return JournalEntry(revision, APPLIED, checksum(path))


def checksum(path: str) -> str:
    """A digest of what a revision's file does: comments, docstrings and formatting do not count."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    return hashlib.sha256("\n".join(_parts(tree)).encode("utf-8", "surrogatepass")).hexdigest()


def _parts(node: Any) -> Iterator[str]:
    # Not ast.dump(), whose text differs between versions of Python.
    if isinstance(node, list):
        yield "["
        for item in node:
            yield from _parts(item)
        yield "]"
    elif isinstance(node, ast.AST):
        yield type(node).__name__
        for name in node._fields:
            value = getattr(node, name, None)
            if name == "body" and isinstance(value, list):
                value = [item for item in value if not _is_docstring(item)]
            if value is not None and value != [] and name not in ("kind", "type_comment", "ctx"):
                yield name
                yield from _parts(value)
    else:
        yield repr(node)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
