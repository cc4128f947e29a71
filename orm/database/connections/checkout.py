"""`Checkout`: the connection of the current task, lent by the pool for a few statements of the ORM."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import databases
import databases.core

from orm.database.connections.connection import Connection, ManagedConnection
from orm.database.connections.database_state import check_task, state_of
from orm.database.connections.driver import Outcome
from orm.database.connections.errors import translating
from orm.database.connections.streams import OpenStream
from orm.database.connections.transactions import Transaction
from orm.database.connections.turns import Turns, current_transaction
from orm.database.connections.units_of_work import begin_current_unit, open_units
from orm.database.dialect import Dialect
from orm.database.query_log.events import open_trackers
from orm.exceptions import TransactionError
from orm.utils.row_batches import RowReader, read_in_batches

ResultT = TypeVar("ResultT")

_settings: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
"""What `Checkout.setting` has fetched, by the driver's connection."""


class Checkout:
    """The connection of the current task, checked out for a few statements.

    Inside a transaction it is the transaction's connection. SQL has the driver's placeholders, values are in the
    driver's form, and errors are the ORM's.

    >>> async with Checkout(database) as checkout:
    ...     rows = await checkout.fetch("SELECT name FROM albums WHERE id = $1", [1])
    """

    __slots__ = (
        "_connection",
        "_database",
        "_driver",
        "_is_plain",
        "_log",
        "_managed",
        "_raw",
        "_transaction",
        "_turns",
    )

    def __init__(self, database: databases.Database, connection: Connection | None = None) -> None:
        self._database = database
        self._connection: Any = connection

    async def __aenter__(self) -> "Checkout":
        database: Any = self._database
        if open_units:
            await begin_current_unit(database)
        state = state_of(database)
        if state.base is not None:
            database = state.base
            state = state_of(database)
        if not state.is_plain and database.replicas is not None and database.replicas.pinned is not None:
            database = database.replicas.pinned
            state = state_of(database)
        self._is_plain = is_plain = state.is_plain
        if is_plain and not (state.is_configured and database.is_connected):
            await state.connect(database)
        transaction: Transaction | None = None
        if is_plain:
            check_task(database)
        elif database.open_transactions:
            transaction = current_transaction(database)
            if transaction is not None and transaction.routed_database is not None:
                state = state_of(transaction.database)  # type: ignore[arg-type]  # it has begun
        self._driver = state.driver
        self._log = state.log
        connection = self._connection
        if connection is None:
            connection = database.connection() if transaction is None else transaction.connection
        elif transaction is not None and transaction.connection is not connection:
            transaction = None
        if is_plain or not connection.enter_nowait():
            with translating:
                await connection.__aenter__()
        self._connection = connection
        self._turns: Turns | asyncio.Lock = connection._query_lock
        self._transaction = transaction
        if transaction is not None:
            transaction.operations += 1
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
        transaction = self._transaction
        if transaction is not None:
            transaction.operations -= 1
            if transaction.no_operations is not None:
                transaction.note_no_operations()
        if self._is_plain or not self._connection.leave_nowait():
            with translating:
                await self._connection.__aexit__(kind, error, traceback)

    @property
    def raw(self) -> Any:
        """The driver's connection, to use inside `async with checkout.turns:`. Leave no state behind on it."""
        return self._raw

    @property
    def turns(self) -> Turns | asyncio.Lock:
        """The turns of the tasks that share the connection; for a plain database, its lock."""
        return self._turns

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open on the connection."""
        return bool(self._connection._transaction_stack)

    def transaction(self, **options: Any) -> databases.core.Transaction:
        """A transaction on the connection; inside another one, a savepoint."""
        transaction: databases.core.Transaction = self._connection.transaction(**options)
        return transaction

    @property
    def server_dialect(self) -> Dialect | None:
        """The dialect of the server, as determined when the connection was opened; None on a plain database."""
        return None if self._managed is None else self._managed.manager.dialect

    async def fetch(self, sql: str, args: Sequence[Any] = ()) -> Sequence[Any]:
        """The rows of a statement: tuples, or asyncpg's records, in column order."""
        return await self._run(self._driver.fetch, len, sql, args)

    async def setting(self, sql: str) -> Any:
        """The value of a setting of the connection, which `sql` fetches once for each connection.

        It is fetched again if the user may have changed it, with a statement or on the driver's connection.
        """
        known = _settings.setdefault(self._raw, {})
        if sql not in known or (self._managed is not None and self._managed.dirty):
            known[sql] = (await self.fetch(sql))[0][0]
        return known[sql]

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

    async def stream(self, sql: str, args: Sequence[Any] = (), chunk: int = 500) -> AsyncGenerator[Sequence[Any], None]:
        """The rows of a query in batches of `chunk`, in constant memory, in or outside a transaction.

        Other statements may run on the connection between the batches. On MySQL any of them, on SQLite a write, reads
        the rows still to come into memory first.
        """
        # A generator that is left early is finalised some time later, and holds the connection until then.
        with self._log.timer(sql, args) as timer:
            timer.rows = 0
            async with self._connection:
                async with self._turns:
                    if self._managed is not None:
                        self._managed.check_transaction()
                    with self._noting_failures():
                        rows = await self._driver.stream(self._raw, sql, args, in_transaction=self.in_transaction)
                transaction, self._transaction = self._transaction, None
                run_to_end = None if self._managed is None else self._managed.run_to_end
                stream = OpenStream(rows, self._turns, transaction, run_to_end)
                if transaction is not None:  # it may end while the stream is open
                    transaction.operations -= 1
                    transaction.note_no_operations()
                try:
                    while True:
                        with self._noting_failures():
                            batch = await stream.read(chunk)
                        timer.rows += len(batch)
                        if batch:
                            yield batch
                        if len(batch) < chunk:
                            return
                finally:
                    await stream.close()

    @contextlib.contextmanager
    def _noting_failures(self) -> Iterator[None]:
        try:
            with translating:
                yield
        except BaseException as error:
            if self._managed is not None:
                self._managed.note_failure(error)
            raise

    async def _run(
        self,
        call: Callable[..., Awaitable[ResultT]],
        count_rows: Callable[[ResultT], int | None],
        sql: str,
        args: Sequence[Any],
        *more: Any,
    ) -> ResultT:
        log, managed, transaction = self._log, self._managed, self._transaction
        async with self._turns:
            if transaction is not None and transaction.refusal:
                raise TransactionError(transaction.refusal)
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
