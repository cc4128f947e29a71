"""A session: the connection of the current task, checked out for a few statements of the ORM."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

import databases
import databases.core

from orm.database.connections.connection import ManagedConnection
from orm.database.connections.database_state import state_of
from orm.database.connections.driver import Outcome
from orm.database.connections.errors import translating
from orm.database.query_log.events import open_trackers
from orm.utils.row_batches import RowReader, read_in_batches

ResultT = TypeVar("ResultT")


class Session:
    """The connection of the current task, checked out for a few statements.

    Inside a transaction it is the transaction's connection. SQL has the driver's placeholders, values are in the
    driver's form, and errors are the ORM's.

    >>> async with Session(database) as session:
    ...     rows = await session.fetch("SELECT name FROM albums WHERE id = $1", [1])
    """

    __slots__ = ("_connection", "_database", "_driver", "_is_plain", "_lock", "_log", "_managed", "_raw")

    def __init__(self, database: databases.Database) -> None:
        self._database = database

    async def __aenter__(self) -> "Session":
        database = self._database
        state = state_of(database)
        self._is_plain = is_plain = state.is_plain
        self._driver = state.driver
        self._log = state.log
        if is_plain and not (state.is_configured and database.is_connected):
            await state.connect(database)
        connection: Any = database.connection()
        if is_plain or not connection.enter_nowait():
            with translating:
                await connection.__aenter__()
        self._connection = connection
        self._lock = connection._query_lock
        # Not `raw_connection`: that marks the connection as handed to the user, who may leave state on it.
        self._raw: Any = connection._connection._connection
        self._managed: ManagedConnection | None = None if is_plain else connection._connection
        if is_plain:
            try:
                with translating:
                    await state.driver.prepare(self._raw)
            except BaseException:
                await connection.__aexit__()
                raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        if self._is_plain or not self._connection.leave_nowait():
            with translating:
                await self._connection.__aexit__(kind, error, traceback)

    @property
    def raw(self) -> Any:
        """The driver's connection. Leave no state behind on it."""
        return self._raw

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open on the connection."""
        return bool(self._connection._transaction_stack)

    def transaction(self, **options: Any) -> databases.core.Transaction:
        """A transaction on the connection; inside another one, a savepoint."""
        transaction: databases.core.Transaction = self._connection.transaction(**options)
        return transaction

    async def fetch(self, sql: str, args: Sequence[Any] = ()) -> Sequence[Any]:
        """The rows of a statement: tuples, or asyncpg's records, in column order."""
        return await self._run(self._driver.fetch, len, sql, args)

    async def fetch_objects(self, sql: str, args: Sequence[Any], reader: RowReader) -> list[Any]:
        """The objects that `reader` makes of a statement's rows; of a large result in batches, while it arrives."""
        if self._log.active or open_trackers:
            # The time that is reported is the driver's alone.
            return await read_in_batches(reader, await self.fetch(sql, args))
        return await self._run(self._driver.fetch_objects, len, sql, args, reader)

    async def fetch_together(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[Sequence[Any]]:
        """The rows of each of several queries, from one state of the database, in one round trip."""
        sql = ";\n".join(sql for sql, _ in statements)
        args = [value for _, values in statements for value in values]
        return await self._run(
            lambda raw, *_: self._driver.fetch_together(raw, statements),
            lambda results: sum(map(len, results)),
            sql,
            args,
        )

    async def fetch_named(self, sql: str, args: Sequence[Any] = ()) -> tuple[Sequence[str], Sequence[Any]]:
        """The names of the columns, and the rows, of a statement that the ORM did not write."""
        return await self._run(self._driver.fetch_named, lambda result: len(result[1]), sql, args)

    async def execute(self, sql: str, args: Sequence[Any] = ()) -> Outcome:
        """Execute a statement and discard any rows."""
        return await self._run(self._driver.execute, _rows_matched, sql, args)

    async def stream(self, sql: str, args: Sequence[Any] = (), chunk: int = 500) -> AsyncIterator[Sequence[Any]]:
        """The rows of a query in batches of `chunk`, in constant memory, in or outside a transaction.

        Other statements may run on the connection between the batches. On MySQL any of them, on SQLite a write, reads
        the rows still to come into memory first.
        """
        # A generator that is left early is finalised some time later, and holds the connection until then.
        with self._log.timer(sql, args) as timer:
            timer.rows = 0
            async with self._connection:
                async with self._lock:
                    if self._managed is not None:
                        self._managed.check_transaction()
                    with translating:
                        rows = await self._driver.stream(self._raw, sql, args, in_transaction=self.in_transaction)
                try:
                    while True:
                        async with self._lock:
                            with translating:
                                batch = await rows.read(chunk)
                        timer.rows += len(batch)
                        if batch:
                            yield batch
                        if len(batch) < chunk:
                            return
                finally:
                    async with self._lock:
                        with translating:
                            await rows.close()

    async def _run(
        self,
        call: Callable[..., Awaitable[ResultT]],
        count_rows: Callable[[ResultT], int | None],
        sql: str,
        args: Sequence[Any],
        *more: Any,
    ) -> ResultT:
        log, managed = self._log, self._managed
        async with self._lock:
            if managed is not None and managed.ended_by is not None:
                managed.check_transaction()
            try:
                if not log.active and not open_trackers:
                    with translating:
                        return await call(self._raw, sql, args, *more)
                with log.timer(sql, args) as timer, translating:
                    result = await call(self._raw, sql, args, *more)
                    timer.rows = count_rows(result)
                    return result
            except BaseException as error:
                if managed is not None:
                    managed.note_failure(error)
                raise


def _rows_matched(outcome: Outcome) -> int | None:
    return outcome.rowcount if outcome.rowcount >= 0 else None
