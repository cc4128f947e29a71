"""The open units of work (`orm.Session`), as the layers below them see them.

A query looks at `open_units`, which is empty in a program without sessions, and only then for that of its task.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from orm.database.connections.database_state import base_of
from orm.exceptions import InterfaceError, NotSupportedError
from orm.utils.blocking import current_caller

if TYPE_CHECKING:
    from orm.database.connections.database import Database


class UnitOfWork(Protocol):
    """What a query, a relation and a write of an instance ask of the session that they are in."""

    database: Any
    owner: object
    around: UnitOfWork | None

    @property
    def is_busy(self) -> bool:
        """Whether the session itself sends the statements."""

    async def before_statement(self) -> None:
        """Begin the transaction, and flush what the next statement could see."""

    async def before_transaction(self) -> None:
        """The same, before a transaction that becomes a savepoint of the session's."""

    def transaction_begun(self) -> None:
        """Take note of this transaction, which is a savepoint of the session's."""

    async def before_commit(self) -> None:
        """Flush, before a transaction that was begun in the session is committed."""

    def transaction_ended(self) -> None:
        """Take note of its end: after a rollback, the instances are what they were before it."""

    def mapped(
        self, rows: list[Any], reader_arguments: Mapping[str, Any] | None, *, nested: bool, fresh: bool
    ) -> list[Any]:
        """Replace the instances that have just been read by those of the session, where it has them."""

    def find(self, model: Any, attnames: Sequence[str], key: tuple[Any, ...]) -> Any:
        """The session's instance of the row with these values, if they are its primary key; None if it has none."""

    def note_created(self, instances: Sequence[Any], before: Iterable[tuple[Any, dict[str, Any]]]) -> list[Any]:
        """Take instances, with those attached to them, whose rows have just been inserted or are known.

        `before` are those that were written, with the attributes that a rollback gives them again. Returns the
        session's instances of these rows.
        """

    def note_written(self, instance: Any) -> None:
        """Take the attributes of an instance as those of its row, which has just been written."""

    async def save(
        self,
        instance: Any,
        update_fields: Sequence[str] | None = None,
        *,
        force_insert: bool = False,
        force_update: bool = False,
        changed_only: bool = False,
    ) -> bool:
        """`Model.save()` of an instance: add it and flush. False: its row is to be written by the caller."""

    async def save_all(self, instances: Any) -> bool:
        """Add the instances and flush. False: their rows are to be written by the caller."""

    async def delete_now(self, instance: Any) -> int | None:
        """Delete the instance and flush. None: its row is to be deleted by the caller."""

    async def flush(self) -> None:
        """Write what has changed."""

    async def add_related(self, owner: Any, objs: Any) -> None:
        """Add new instances of a relation to many, and flush, so that all have keys."""

    async def synchronize(self, info: Any) -> None:
        """Read the session's instances of a model again, of which rows were written by an UPDATE or a DELETE."""


open_units: set[UnitOfWork] = set()
"""The sessions whose blocks are open, in any task and thread."""

innermost_unit: ContextVar[UnitOfWork | None] = ContextVar("orm.innermost_unit_of_work", default=None)
"""The session entered last in this context; `around` leads to those before."""


def current_owner() -> object:
    """Who a session entered here belongs to: the task, or in synchronous code the thread."""
    caller = current_caller()
    return threading.current_thread() if caller is None else caller


def current_unit(database: Any) -> UnitOfWork | None:
    """The session of the current task on a database. A task that was started in its block has none."""
    unit = innermost_unit.get()
    if unit is None:
        return None
    owner = current_owner()
    while unit is not None:
        if unit.database is database:
            return unit if unit.owner is owner else None
        unit = unit.around
    return None


def idle_unit(database: Any) -> UnitOfWork | None:
    """The session of the current task on a database, unless the session itself sends the statements."""
    unit = current_unit(database)
    return None if unit is None or unit.is_busy else unit


def find_in_units(database: Any, model: Any, attnames: Sequence[str], key: tuple[Any, ...]) -> Any:
    """The instance that a session of the current task on the database has of a row; None if it has none.

    Without a database, that of a session on any one.
    """
    unit, owner = innermost_unit.get(), current_owner()
    while unit is not None:
        if unit.owner is owner and (database is None or unit.database is database):
            instance = unit.find(model, attnames, key)
            if instance is not None:
                return instance
        unit = unit.around
    return None


async def begin_current_unit(database: Any) -> None:
    """Before a statement: begin the transaction of the current task's session, and flush."""
    unit = current_unit(database)
    if unit is not None and not unit.is_busy:
        await unit.before_statement()


def check_database(database: Any, expected: type[Database]) -> None:
    """Raise `InterfaceError` for a database that has no transactions of the ORM's, `NotSupportedError` for a schema."""
    if not isinstance(database, expected):
        raise InterfaceError(
            f"orm.Session needs an orm.Database, whose transactions it takes part in, got {type(database).__name__}."
        )
    if base_of(database) is not database:
        raise NotSupportedError(
            "orm.Session is on a database, not on one of its schemas: rows of two schemas may have the same key. Use "
            "`database.transaction()` there, or a Database of its own."
        )
