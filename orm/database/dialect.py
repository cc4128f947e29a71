"""What differs between databases when SQL is planned, behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, ClassVar

import sqlalchemy
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from orm.database.dialect_registry import ByKind

# Stands in compiled SQL for a list whose placeholders are written at each execution.
LIST_SLOT = "/*list*/"


@dataclass(frozen=True)
class DeleteRules:
    """In which order a database follows foreign keys when it deletes, and what it then refuses.

    A row that RESTRICT or NO ACTION keeps may itself be about to be deleted in the same cascade: whether the database
    notices depends on all this.
    """

    order: str
    """A query of (table, column) of every foreign key, in the order in which the database follows them."""
    row_by_row: bool
    """Whether each row is deleted with all that hangs on it before the next one; else level by level."""
    checks_at_end: bool
    """Whether NO ACTION looks when the statement is over, not where the row is deleted."""
    self_reference_blocks: bool
    """Whether a row that is being deleted still keeps others, and itself."""
    sets_default: bool
    """Whether there is SET DEFAULT; else it is a RESTRICT."""
    max_cascade_depth: int | None = None
    """How far below the first row a row may be from which the database cascades once more."""
    deepest_of_all: bool = False
    """Whether that is so for rows that nothing points at, too, and for SET NULL."""


class Dialect:
    """One kind of database server: the SQLAlchemy dialect that compiles for its driver, and its ways.

    There is one instance for each of SQLite, PostgreSQL, MySQL and MariaDB.
    """

    name: ClassVar[str]
    numbered_parameters: ClassVar[bool] = False
    """Whether the driver's parameters have numbers, so that one row's SQL cannot be repeated for the next."""
    returning: ClassVar[bool]
    """Whether INSERT can return columns."""
    number_step: ClassVar[str | None] = None
    """A query of how far apart the keys are that one INSERT generates; None where that need not be asked."""
    update_returning: ClassVar[bool] = False
    """Whether UPDATE can return columns."""
    delete_returning: ClassVar[bool] = False
    """Whether DELETE can return columns."""
    row_locks: ClassVar[bool] = True
    """Whether single rows can be locked."""
    nulls_high: ClassVar[bool] = False
    """Whether NULL is ordered after all values, not before them."""
    max_rows: ClassVar[int] = 500
    """How many rows one statement may take apart from an INSERT's."""
    max_list: ClassVar[int | None] = None
    """How many keys one list of a prefetch may have, where the list is written out; None where it is one argument."""
    one_statement: ClassVar[bool] = False
    """Whether the driver takes a single statement at a time, so that what goes in one trip must be one."""
    explain_prefix: ClassVar[str] = "EXPLAIN "
    max_parameters: ClassVar[int] = 32_000
    """How many arguments one statement may take."""
    existing_tables: ClassVar[str]
    """A query of (schema or NULL, table) for every table there is; NULL for the default schema."""
    foreign_keys_enforced: ClassVar[str | None] = None
    """A query of whether foreign keys are enforced, where that must be lifted to drop tables in a circle."""
    deletes: ClassVar[DeleteRules]
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
    ) -> sqlalchemy.Insert | None:
        """An INSERT whose arguments are lists, one a column, for any number of rows; None if there is none."""
        return None

    def numbering(self, key: sqlalchemy.Column[Any]) -> sqlalchemy.Select[Any] | None:
        """A query of whether one INSERT of many rows numbers them one after the other, where that spares RETURNING.

        None where the generated keys should be returned, if they can.
        """
        return None

    def numbered(self, lastrowid: int, count: int, step: int) -> range:
        """The keys that one INSERT of so many rows generated, from the one that the driver tells: the first."""
        return range(lastrowid, lastrowid + count * step, step)

    def as_inserted(self, returned: list[tuple[Any, ...]], key: int) -> list[tuple[Any, ...]]:
        """What one INSERT of many rows returned, in the order of the rows; at `key` is the key that each was given."""
        # Keys are generated in the order of the rows; what is returned may be in any.
        return sorted(returned, key=itemgetter(key))

    def insert(self, table: sqlalchemy.Table) -> sqlalchemy.Insert:
        """An INSERT that can be told what to do about conflicts."""
        return sqlalchemy.insert(table)

    def ignore_conflicts(self, insert: sqlalchemy.Insert) -> sqlalchemy.Insert:
        """`insert`, without the rows that are there already."""
        raise NotImplementedError

    def update_conflicts(
        self, insert: sqlalchemy.Insert, update: Sequence[str], unique: Sequence[str]
    ) -> sqlalchemy.Insert:
        """`insert`, where a row that is there already takes the columns `update` from the new one.

        `unique` are the columns that make it the same row. Raises `NotSupportedError` where they cannot be
        chosen, `QueryError` where they must be and are not.
        """
        raise NotImplementedError

    def row_source(self, types: Sequence[TypeEngine[Any]]) -> sqlalchemy.FromClause | None:
        """Rows of any number as a table of columns c0, c1, …, from one list a column; None if there is none."""
        return None

    def own_rows_first(self, select: sqlalchemy.Select[Any]) -> sqlalchemy.Select[Any]:
        """`select`, of a few rows that its first table alone decides on, where the database has to be told to begin
        with that one.
        """
        return select

    def lock_rows(
        self,
        select: sqlalchemy.Select[Any],
        *,
        of: Sequence[sqlalchemy.FromClause],
        share: bool,
        no_key: bool,
        nowait: bool,
        skip_locked: bool,
    ) -> sqlalchemy.Select[Any]:
        """`select`, locking the rows it reads. Raises `NotSupportedError` for an option that is not there."""
        return select.with_for_update(
            of=list(of) or None, read=share, key_share=no_key, nowait=nowait, skip_locked=skip_locked
        )


DIALECTS: ByKind[Dialect] = ByKind()
