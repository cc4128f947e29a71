"""What differs between databases when SQL is planned, behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.sql.compiler import SQLCompiler

# Stands in compiled SQL for a list whose placeholders are written at each execution.
LIST_SLOT = "/*list*/"


class Dialect:
    """One kind of database server: the SQLAlchemy dialect that compiles for its driver, and its ways.

    There is one instance for each of SQLite, PostgreSQL, MySQL and MariaDB.
    """

    name: ClassVar[str]
    placeholder: ClassVar[str]
    """One positional placeholder of the driver; for `{}` see `numbered`."""
    returning: ClassVar[bool]
    """Whether INSERT can return columns."""
    explain_prefix: ClassVar[str] = "EXPLAIN "
    max_parameters: ClassVar[int] = 32_000
    """How many arguments one statement may take."""
    existing_tables: ClassVar[str]
    """A query of (schema or NULL, table) for every table there is; NULL for the default schema."""
    foreign_keys_enforced: ClassVar[str | None] = None
    """A query of whether foreign keys are enforced, where that must be lifted to drop tables in a circle."""
    lift_foreign_keys: ClassVar[tuple[str, ...]] = ()
    enforce_foreign_keys: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.sqlalchemy = self.make_sqlalchemy_dialect()

    def make_sqlalchemy_dialect(self) -> SQLAlchemyDialect:
        """The SQLAlchemy dialect for the driver's parameter style."""
        raise NotImplementedError

    def compile(self, statement: sqlalchemy.ClauseElement) -> SQLCompiler:
        """`statement` compiled for the driver."""
        compiled = statement.compile(dialect=self.sqlalchemy)
        assert isinstance(compiled, SQLCompiler)
        return compiled

    def rows_per_insert(self, columns: int) -> int:
        """How many rows of so many columns one INSERT may hold."""
        return max(1, self.max_parameters // max(1, columns))

    def bulk_insert(
        self,
        table: sqlalchemy.Table,
        columns: Sequence[sqlalchemy.Column[Any]],
        returning: Sequence[sqlalchemy.Column[Any]],
    ) -> sqlalchemy.ClauseElement | None:
        """An INSERT whose arguments are lists, one a column, for any number of rows; None if there is none."""
        return None

    def for_share(self, select: sqlalchemy.Select[Any]) -> sqlalchemy.Select[Any]:
        """`select`, locking the rows it reads against change and seeing what is committed, where there are row locks.

        Shared, because InnoDB gives everybody who lost a race for a unique value a shared lock on it: if each of
        them then asked for more, they would wait for each other.
        """
        return select.with_for_update(read=True)
