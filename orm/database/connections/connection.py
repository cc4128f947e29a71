"""The connections of `orm.Database`: what `databases` does with one, made safe, observed and clean on return."""

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
from orm.exceptions import InterfaceError
from orm.utils.row_batches import RowReader

if TYPE_CHECKING:
    from orm.database.connections.database import Database

ResultT = TypeVar("ResultT")

# Statements that leave nothing on the connection, and the functions among them that do.
CLEAN = re.compile(r"\s*\(*(?:SELECT|INSERT|UPDATE|DELETE|WITH|VALUES|EXPLAIN|MERGE|REPLACE)\b", re.IGNORECASE)
STATEFUL = re.compile(r"\bset_config\b|\bpg_(?:try_)?advisory_lock|\bget_lock\b|\binto\s+temp|@\w+\s*:=", re.IGNORECASE)


def leaves_state(sql: str) -> bool:
    """Whether a statement may change the connection for whoever gets it next (SET, LISTEN, a temporary table, …)."""
    return CLEAN.match(sql) is None or STATEFUL.search(sql) is not None


class ManagedBackend(DatabaseBackend):
    """A pool of connections of one database. `orm.Database` sets `log` and `place` after making it."""

    driver: Driver
    log: QueryLog
    place: str
    _pool: Any

    @property
    def pool(self) -> Pool[Any]:
        """The pool; InterfaceError when the database is closed."""
        pool: Pool[Any] | None = self._pool
        if pool is None:
            raise InterfaceError(f"{self.place} is not connected")
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
        raw = pool.take()
        if raw is None:
            with connecting(self.place):
                raw = await pool.acquire()
        try:
            with translating:
                result = await call(raw, *args)
        except BaseException:
            await self.check_in(raw, dirty=False)
            raise
        if not pool.give(raw):
            await self.check_in(raw, dirty=False)
        return result

    @abstractmethod
    async def check_in(self, raw: Any, *, dirty: bool) -> None:
        """Return a connection to the pool, clean. `dirty`: something may have been left on it."""

    @abstractmethod
    def abandon(self) -> None:
        """Leave an event loop that is closed. `connect` or `disconnect` comes next."""


class ManagedConnection(ConnectionBackend):
    """Comes before a backend connection of `databases`, and does for its methods what a session does for the ORM's.

    `dirty` says that the connection may carry state when it is returned.
    """

    manager: ManagedBackend
    dirty = False
    own_cursors = False  # whether `iterate` reads through the ORM's driver
    _connection: Any
    _compiled: tuple[Any, ...]

    @property
    def raw_connection(self) -> Any:
        """The driver's connection. What you leave on it is removed when it goes back to the pool."""
        self.dirty = True
        return super().raw_connection

    async def run(self, sql: str) -> None:
        """Run a statement of the transaction's own."""
        with self.manager.log.watch(sql, ()), translating:
            await self.manager.driver.execute(self._connection, sql, ())

    def take(self) -> bool:
        """Check a connection out of the pool, if one can be had at once."""
        self._connection = self.manager.pool.take()
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
        """One further level of transaction."""
        return SQLTransaction(self)

    async def fetch_all(self, query: ClauseElement) -> Any:
        """All rows, as the records of `databases`."""
        return await self._observed(query, super().fetch_all, len)

    async def fetch_one(self, query: ClauseElement) -> Any:
        """The first row, or None."""
        return await self._observed(query, super().fetch_one, lambda row: 0 if row is None else 1)

    async def execute(self, query: ClauseElement) -> Any:
        """Run a statement; what it returns is the backend's (see `databases`)."""
        return await self._observed(query, super().execute, lambda _: None)

    async def execute_many(self, queries: list[ClauseElement]) -> None:
        """Run several statements."""
        for query in queries:
            await self.execute(query)

    async def iterate(self, query: ClauseElement) -> AsyncGenerator[Any, None]:
        """The rows one by one."""
        sql, args = self._prepare(query)
        rows = 0
        with self.manager.log.watch(sql, args) as watch, translating:
            if not self.own_cursors:
                count_round_trip()
            async for record in super().iterate(query):
                rows += 1
                watch.rows = rows
                yield record

    async def around(self, sql: str, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run one statement's `call`, which is one of the driver; a place for a backend to take its turn first."""
        count_round_trip()
        return await call()

    async def _observed(
        self, query: ClauseElement, call: Callable[[Any], Awaitable[ResultT]], count: Callable[[ResultT], int | None]
    ) -> ResultT:
        sql, args = self._prepare(query)
        with self.manager.log.watch(sql, args) as watch, translating:
            result = await self.around(sql, lambda: call(query))
            watch.rows = count(result)
            return result

    def _prepare(self, query: ClauseElement) -> tuple[str, Sequence[Any]]:
        self._compiled = super()._compile(query)  # type: ignore[misc]
        sql, args = self._compiled[0], self._compiled[1]
        if not self.dirty:
            self.dirty = leaves_state(sql)
        return sql, args

    def _compile(self, query: ClauseElement) -> tuple[Any, ...]:
        # `databases` compiles in the middle of each method; here it is done once, before the statement is announced.
        return self._compiled


class Connection(databases.core.Connection):
    """A task's connection of `orm.Database`. It connects the database on first use."""

    _database: "Database"
    _backend: ManagedBackend

    def __init__(self, database: "Database", backend: ManagedBackend, *, is_global: bool = False) -> None:
        super().__init__(database, backend)
        self.is_global = is_global
        self._connection: ManagedConnection

    def enter(self) -> bool:
        """`__aenter__` for a connection that is checked out already; else nothing is done, and the answer is False."""
        if not self._connection_counter:
            return False
        self._connection_counter += 1
        return True

    def leave(self) -> bool:
        """`__aexit__` where the connection stays checked out; else nothing is done, and the answer is False."""
        if self._connection_counter == 1:
            return False
        self._connection_counter -= 1
        return True

    async def __aenter__(self) -> "Connection":
        if not self._connection_counter:
            await self._database.make_ready(self)
            if not self._connection_lock.locked() and not self._connection_counter and self._connection.take():
                self._connection_counter = 1
                return self
        async with self._connection_lock:
            if not self._connection_counter:
                with connecting(self._backend.place):
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
                    # The task that ends it, a generator's finaliser, need not be the one it belongs to.
                    bound = self._database._connection_map
                    task = asyncio.current_task()
                    if task is not None and bound.get(task) is self:
                        del bound[task]

    async def iterate(
        self, query: ClauseElement | str, values: dict[str, Any] | None = None
    ) -> AsyncGenerator[Any, None]:
        """The rows one by one. Other statements may run on the connection in between."""
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
