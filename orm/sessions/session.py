"""`Session`: a unit of work over the models, with SQLAlchemy's names."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from sqlalchemy import Executable

from orm.exceptions import TransactionError
from orm.sessions.core_statements import Result, Rows, execute
from orm.sessions.session_transactions import NestedTransaction, SessionBlock
from orm.sessions.statement_hooks import StatementHooks
from orm.sessions.sync_facade import blocking_session, run_in_greenlet

T = TypeVar("T")


class Session(StatementHooks):
    """A unit of work: it loads rows, one instance for each, and writes what has changed, in one transaction.

        async with orm.Session(database) as session:
            note = await session.get(Note, 1)
            note.text = "call mum"
            session.add(Note(text="new"))
            await session.commit()

    `Note.objects` inside the block takes part: its instances are the session's, and it sees what is not committed. What
    is not committed at the end of the block is rolled back. A session belongs to the task that entered it; a task that
    is started in the block runs its statements in the same transaction, with instances of its own.

    Args:
        database: An `orm.Database`.
        autoflush: Whether changes are written before each statement, which could see them.
        expire_on_commit: Whether `commit()` discards the loaded values, so that reading them raises `NotLoaded` until
            `refresh()`. Off by default, unlike SQLAlchemy's.
        options: The options of `database.transaction()`: `isolation`, `readonly`, …

    Raises `InterfaceError` for a database that is not an `orm.Database`.
    """

    def __enter__(self) -> Any:
        """In a synchronous program: the session, whose methods need no `await` (see `SyncSession`)."""
        super().__enter__()
        return blocking_session(self)

    def begin(self) -> SessionBlock:
        """`async with session.begin():` commits at the end of its block, or rolls back after an error."""
        self._check()
        if self._levels:
            raise TransactionError("the session has begun its transaction already: commit() or rollback() ends it")
        return SessionBlock(self)

    def begin_nested(self) -> NestedTransaction:
        """A savepoint: `async with session.begin_nested():`, or `await` it, and its `commit()` or `rollback()`."""
        self._check()
        return NestedTransaction(self)

    def in_transaction(self) -> bool:
        """Whether the session's transaction has begun."""
        return bool(self._levels)

    def in_nested_transaction(self) -> bool:
        """Whether a savepoint of `begin_nested()` is open."""
        self._settle()
        return len(self._levels) > 1

    @property
    def is_active(self) -> bool:
        """Whether statements can be sent: not after a flush that has failed, until `rollback()`."""
        return self._failure is None

    @property
    def no_autoflush(self) -> contextlib.AbstractContextManager[Session]:
        """`with session.no_autoflush:`, a block whose statements do not write changes before."""
        return self._without_autoflush()

    @contextlib.contextmanager
    def _without_autoflush(self) -> Iterator[Session]:
        before, self.autoflush = self.autoflush, False
        try:
            yield self
        finally:
            self.autoflush = before

    # SQLAlchemy Core

    async def execute(self, statement: Executable | str, values: Mapping[str, Any] | None = None) -> Result:
        """Run a statement of SQLAlchemy Core, or SQL with ``:name`` placeholders, in the session's transaction.

            rows = (await session.execute(sqlalchemy.select(Note.table.c.text))).all()
            notes = (await session.execute(sqlalchemy.select(Note.table))).instances(Note)

        Changes are flushed before. After an INSERT, UPDATE or DELETE, the session's instances of that table are read
        again.
        """
        self._check()
        return await execute(self, statement, values)

    async def scalars(self, statement: Executable | str, values: Mapping[str, Any] | None = None) -> Rows[Any]:
        """The first column of the rows of a statement: a list, with `all()`, `first()`, `one()`."""
        return (await self.execute(statement, values)).scalars()

    async def scalar(self, statement: Executable | str, values: Mapping[str, Any] | None = None) -> Any:
        """The first column of the first row of a statement; None if there is no row."""
        return (await self.execute(statement, values)).scalar()

    async def run_sync(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call `function(session, *args)`, in which the session's methods need no `await`.

            def rename(session, key):
                session.get(Note, key).text = "new"
                session.commit()

            await session.run_sync(rename, 1)

        `session.run(...)` there gives the result of an awaitable, such as a queryset. SQLAlchemy's greenlet has to be
        installed.
        """
        self._check()
        return await run_in_greenlet(self, function, *args, **kwargs)
