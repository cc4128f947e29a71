"""How a server takes changes of its schema: what migrations ask a `Dialect`.

The methods run on a synchronous SQLAlchemy connection, inside Alembic's greenlet.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import ClassVar, NamedTuple

import sqlalchemy
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect

from orm.exceptions import NotSupportedError

MAX_TRIGGER_NAME = 60
"""The most bytes of a trigger's name: PostgreSQL takes 63, MySQL 64 characters."""

WRITES = "orm.schema_changes.writes"
"""The key in a connection's `info` that says that its transactions write."""


class Mirror(NamedTuple):
    """Two columns of a table of which each write of one sets the other, by triggers."""

    table: str
    old: str
    new: str
    schema: str | None = None

    def name(self, suffix: str = "mirror") -> str:
        """The name of a trigger, which no other pair of columns has, and every server accepts."""
        name = f"{self.table}_{self.old}_{self.new}_{suffix}"
        digest = digest_of([self.table, self.old, self.new])[:8]
        return name if len(name.encode()) <= MAX_TRIGGER_NAME else f"orm_mirror_{digest}_{suffix}"

    def quoted(self, dialect: SQLAlchemyDialect) -> tuple[str, str, str, str]:
        """The table, the schema's prefix of other names, and the columns, in the quotes of a server."""
        quote = dialect.identifier_preparer.quote_identifier
        prefix = f"{quote(self.schema)}." if self.schema else ""
        return f"{prefix}{quote(self.table)}", prefix, quote(self.old), quote(self.new)


class SchemaChanges:
    """Standard SQL: changes of the schema are part of transactions."""

    transactional: ClassVar[bool] = True
    """Whether ROLLBACK undoes changes of the schema."""
    skipped: ClassVar[str] = "SELECT 1 WHERE 1 = 0"
    """A statement without effect, in the place of one that an earlier run has completed."""

    def prepare(self, connection: sqlalchemy.Connection) -> None:
        """Prepare a connection, outside of transactions, for changes of the schema."""

    def timeout_statements(self, seconds: float) -> tuple[str, ...]:
        """The statements that let each later one wait at most this long for a lock."""
        return ()

    def before_commit(self, connection: sqlalchemy.Connection) -> None:
        """Check what is about to be committed. Raises `IntegrityError` if it must not be."""

    def fingerprint(self, connection: sqlalchemy.Connection, sql: str) -> str:
        """A digest of what a statement may change in the schema: a later one that differs says that it has run."""
        return ""

    def after_keys(self, table: sqlalchemy.Table, dialect: SQLAlchemyDialect) -> list[str]:
        """The statements after which new keys follow those that rows were inserted with."""
        return []

    def estimated_rows(self, connection: sqlalchemy.Connection, table: str, schema: str | None) -> int | None:
        """How many rows a table has by the server's statistics, without a scan; None if there is nothing to tell."""
        return None

    def not_null_checks(
        self, connection: sqlalchemy.Connection, table: str, schema: str | None, column: str
    ) -> set[str]:
        """The names of the valid CHECKs after which NOT NULL of a column scans nothing."""
        return set()

    def online(self, sql: str) -> str:
        """The statement, so that the server refuses it rather than let writers wait for a copy of the table."""
        return sql

    def is_copy_refused(self, error: BaseException) -> bool:
        """Whether the server has refused a statement of `online()`."""
        return False

    def clear_leftovers(self, connection: sqlalchemy.Connection, sql: str | None = None) -> list[str]:
        """Remove what a statement left behind when it was interrupted; without one, whatever was left behind.

        Returns a description of each thing that was removed.
        """
        return []

    def create_mirror(self, mirror: Mirror, dialect: SQLAlchemyDialect) -> list[str]:
        """The statements that create the triggers. Raises `NotSupportedError` where none can do it."""
        raise self._no_mirror(mirror)

    def drop_mirror(self, mirror: Mirror, dialect: SQLAlchemyDialect) -> list[str]:
        """The statements that drop the triggers. Raises `NotSupportedError` as `create_mirror()` does."""
        raise self._no_mirror(mirror)

    def _no_mirror(self, mirror: Mirror) -> NotSupportedError:
        return NotSupportedError(
            f"op.mirror_columns({mirror.table!r}, {mirror.old!r}, {mirror.new!r}): no trigger of this database can "
            "change the row that is written. Rename the column while no code of the old release runs, or keep its "
            f"name in the database: {mirror.new} = ...(column={mirror.old!r})."
        )

    @asynccontextmanager
    async def lent(self, connection: sqlalchemy.Connection) -> AsyncIterator[None]:
        """Let the driver's connection of SQLAlchemy's return values as those that the ORM opens, for a while."""
        yield


def digest_of(parts: Iterable[object]) -> str:
    """A short digest of what a catalog says."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]
