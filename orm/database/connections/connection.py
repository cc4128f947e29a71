"""The connections of `orm.Database`: those of `databases`, logged, safe under cancellation and clean on return."""

import asyncio
import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import databases.core
from databases.interfaces import ConnectionBackend, DatabaseBackend, TransactionBackend
from sqlalchemy.sql import ClauseElement

from orm.database.connections.driver import Driver, Outcome
from orm.database.connections.errors import connecting, translating
from orm.database.connections.pool import Pool
from orm.database.connections.transactions import Options, SQLTransaction, Transaction
from orm.database.query_log.events import QueryLog, count_round_trip
from orm.exceptions import ConnectionLost, InterfaceError, TransactionError
from orm.utils.row_batches import RowReader

if TYPE_CHECKING:
    from orm.database.connections.database import Database

ResultT = TypeVar("ResultT")

# Statements that leave no state on the connection, unless there is a stateful part in them.
STATELESS = re.compile(r"\s*\(*(?:SELECT|INSERT|UPDATE|DELETE|WITH|VALUES|EXPLAIN|MERGE|REPLACE)\b", re.IGNORECASE)
STATEFUL_PART = re.compile(
    r"\bset_config\b|\bpg_(?:try_)?advisory_lock|\bget_lock\b|\binto\s+temp|@\w+\s*:=", re.IGNORECASE
)


def leaves_state(sql: str) -> bool:
    """Whether a statement may change the connection for its next user (SET, LISTEN, a temporary table, …)."""
    return STATELESS.match(sql) is None or STATEFUL_PART.search(sql) is not None


class ManagedBackend(DatabaseBackend):
    """The connection pool of one database. `display_name` names the server in messages; `orm.Database` sets `log`."""

    driver: Driver
    log: QueryLog
    display_name: str
    _pool: Any

    @property
    def pool(self) -> Pool[Any]:
        """The pool; InterfaceError when the database is closed."""
        pool: Pool[Any] | None = self._pool
        if pool is None:
            raise InterfaceError(f"{self.display_name} is not connected")
        return pool

    async def fetch(self, sql: str, args: Sequence[Any]) -> Sequence[Any]:
        """The rows of one of the ORM's statements, outside of transactions."""
        return await self.run_autocommit(self.driver.fetch, sql, args)

    async def fetch_objects(self, sql: str, args: Sequence[Any], reader: RowReader) -> list[Any]:
        """The objects that `reader` makes of the rows of one of the ORM's statements, outside of transactions."""
        return await self.run_autocommit(self.driver.fetch_objects, sql, args, reader)

    async def execute(self, sql: str, args: Sequence[Any]) -> Outcome:
        """Execute one of the ORM's statements, outside of transactions, and discard any rows."""
        return await self.run_autocommit(self.driver.execute, sql, args)

    async def run_autocommit(self, call: Callable[..., Awaitable[ResultT]], *args: Any) -> ResultT:
        """`call(raw, *args)` on any free connection, which then goes back to the pool."""
        pool = self.pool
        raw = pool.acquire_nowait()
        if raw is None:
            with connecting(self.display_name):
                raw = await pool.acquire()
        try:
            with translating:
                result = await call(raw, *args)
        except BaseException:
            await self.check_in(raw, dirty=False)
            raise
        if not pool.release_nowait(raw):
            await self.check_in(raw, dirty=False)
        return result

    @abstractmethod
    async def check_in(self, raw: Any, *, dirty: bool) -> None:
        """Return a connection to the pool, clean. If it is `dirty`, state may have been left on it."""

    @abstractmethod
    def forget(self) -> None:
        """Let go of the connections of an event loop that is closed. `connect` or `disconnect` is called next."""


class ManagedConnection(ConnectionBackend):
    """A mixin before a backend's connection of `databases`: logs its statements and translates its errors.

    `dirty` says that the connection may carry state when it goes back to the pool.
    """

    manager: ManagedBackend
    dirty = False
    has_transaction = False
    """Whether a transaction is open, as far as the program knows."""
    ended_by: BaseException | None = None
    """The error after which the server has ended that transaction: nothing more may run in it."""
    iterates_with_driver = False  # whether `iterate` reads through the ORM's driver, which counts its round trips
    _connection: Any
    _compiled: tuple[Any, ...]

    @property
    def raw_connection(self) -> Any:
        """The driver's connection. State that you leave on it is removed when it goes back to the pool."""
        self.dirty = True
        return super().raw_connection

    async def run(self, sql: str) -> None:
        """Run a statement that begins or ends a transaction or a savepoint."""
        try:
            with self.manager.log.timer(sql, ()), translating:
                await self.manager.driver.execute(self._connection, sql, ())
        except BaseException as error:
            self.note_failure(error)
            raise

    def transaction_began(self) -> None:
        """Note that a transaction is open from here on."""
        self.has_transaction, self.ended_by = True, None

    def transaction_ended(self) -> None:
        """Note that no transaction is open any more."""
        self.has_transaction, self.ended_by = False, None

    def check_transaction(self) -> None:
        """Raise `TransactionError` if the server has ended the open transaction, or lost it."""
        if self.ended_by is not None:
            reason = f"{type(self.ended_by).__name__}: {self.ended_by}".removesuffix(": ")
            raise TransactionError(
                f"the server has rolled all of this transaction back after an earlier error ({reason}): leave every "
                "block of it, and run it again from its beginning"
            ) from self.ended_by

    def note_failure(self, error: BaseException) -> None:
        """Note that a statement has failed, which may have ended the open transaction."""
        if self.has_transaction and self.ended_by is None and self.has_ended_transaction(error):
            self.ended_by = error

    def has_ended_transaction(self, error: BaseException) -> bool:
        """Whether the server keeps nothing of the open transaction after this error."""
        return isinstance(error, ConnectionLost)

    def acquire_nowait(self) -> bool:
        """Check a connection out of the pool if one is idle. Returns whether there was one."""
        self._connection = self.manager.pool.acquire_nowait()
        return self._connection is not None

    async def acquire(self) -> None:
        """Check a connection out of the pool."""
        self._connection = await self.manager.pool.acquire()

    async def release(self) -> None:
        """Give the connection back, clean."""
        raw, self._connection = self._connection, None
        dirty, self.dirty = self.dirty, False
        await self.manager.check_in(raw, dirty=dirty)

    @abstractmethod
    async def begin(self, options: Options) -> None:
        """Begin the outermost transaction."""

    async def commit(self) -> None:
        """Commit the outermost transaction."""
        await self.run("COMMIT")

    async def rollback(self) -> None:
        """Roll the outermost transaction back."""
        await self.run("ROLLBACK")

    def transaction(self) -> TransactionBackend:
        """A transaction; inside another one, a savepoint."""
        return SQLTransaction(self)

    async def fetch_all(self, query: ClauseElement) -> Any:
        """All rows, as the records of `databases`."""
        return await self._run_logged(query, super().fetch_all, len)

    async def fetch_one(self, query: ClauseElement) -> Any:
        """The first row, or None."""
        return await self._run_logged(query, super().fetch_one, lambda row: 0 if row is None else 1)

    async def execute(self, query: ClauseElement) -> Any:
        """Execute a statement. The result depends on the backend (see `databases`)."""
        return await self._run_logged(query, super().execute, lambda _: None)

    async def execute_many(self, queries: list[ClauseElement]) -> None:
        """Execute several statements, one after the other."""
        for query in queries:
            await self.execute(query)

    async def iterate(self, query: ClauseElement) -> AsyncGenerator[Any, None]:
        """The rows, one by one."""
        self.check_transaction()
        sql, args = self._prepare(query)
        rows = 0
        with self.manager.log.timer(sql, args) as timer, translating:
            if not self.iterates_with_driver:
                count_round_trip()
            async for record in super().iterate(query):
                rows += 1
                timer.rows = rows
                yield record

    async def run_in_order(self, sql: str, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run `call`, the driver's call that sends `sql`. A backend may wait for its turn first."""
        count_round_trip()
        return await call()

    async def _run_logged(
        self, query: ClauseElement, call: Callable[[Any], Awaitable[ResultT]], count: Callable[[ResultT], int | None]
    ) -> ResultT:
        self.check_transaction()
        sql, args = self._prepare(query)
        try:
            with self.manager.log.timer(sql, args) as timer, translating:
                result = await self.run_in_order(sql, lambda: call(query))
                timer.rows = count(result)
                return result
        except BaseException as error:
            self.note_failure(error)
            raise

    def _prepare(self, query: ClauseElement) -> tuple[str, Sequence[Any]]:
        self._compiled = super()._compile(query)  # type: ignore[misc]
        sql, args = self._compiled[0], self._compiled[1]
        if not self.dirty:
            self.dirty = leaves_state(sql)
        return sql, args

    def _compile(self, query: ClauseElement) -> tuple[Any, ...]:
        # `databases` compiles in each method, but the log needs the SQL before.
        return self._compiled


class Connection(databases.core.Connection):
    """The connection of one task. Its first use connects the database."""

    _database: "Database"
    _backend: ManagedBackend

    def __init__(self, database: "Database", backend: ManagedBackend, *, is_global: bool = False) -> None:
        super().__init__(database, backend)
        self.is_global = is_global
        self._connection: ManagedConnection

    def enter_nowait(self) -> bool:
        """`__aenter__` of a connection that is checked out already; False, with nothing done, if it is not."""
        if not self._connection_counter:
            return False
        self._connection_counter += 1
        return True

    def leave_nowait(self) -> bool:
        """`__aexit__` if the connection stays checked out afterwards; False, with nothing done, if it does not."""
        if self._connection_counter == 1:
            return False
        self._connection_counter -= 1
        return True

    async def __aenter__(self) -> "Connection":
        if not self._connection_counter:
            await self._database.ensure_connected(self)
            if (
                not self._connection_lock.locked()
                and not self._connection_counter
                and self._connection.acquire_nowait()
            ):
                self._connection_counter = 1
                return self
        async with self._connection_lock:
            if not self._connection_counter:
                with connecting(self._backend.display_name):
                    await self._connection.acquire()
            self._connection_counter += 1
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        async with self._connection_lock:
            self._connection_counter -= 1
            if not self._connection_counter:
                try:
                    await self._connection.release()
                finally:
                    # Another task may end it: one that finalises a generator.
                    connections = self._database._connection_map
                    task = asyncio.current_task()
                    if task is not None and connections.get(task) is self:
                        del connections[task]

    async def iterate(
        self, query: ClauseElement | str, values: dict[str, Any] | None = None
    ) -> AsyncGenerator[Any, None]:
        """The rows, one by one. Other statements may run on the connection in between."""
        built = self._build_query(query, values)
        async with self:
            records = self._connection.iterate(built)
            try:
                while True:
                    async with self._query_lock:
                        try:
                            record = await records.__anext__()
                        except StopAsyncIteration:
                            return
                    yield record
            finally:
                async with self._query_lock:
                    await records.aclose()

    def transaction(self, *, force_rollback: bool = False, **kwargs: Any) -> Transaction:
        """A transaction on this connection."""
        return Transaction(lambda: self, force_rollback, **kwargs)
