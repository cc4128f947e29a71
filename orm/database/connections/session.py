"""How the ORM runs SQL: a task-bound connection of any `databases.Database`, for a few statements."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from types import TracebackType
from typing import Any

import databases
import databases.core

from orm.database.connections.connection import Connection, ManagedBackend
from orm.database.connections.database import Database
from orm.database.connections.driver import Driver, Outcome, driver_of
from orm.database.connections.errors import connecting, translating
from orm.database.query_log.events import QueryLog, open_trackers
from orm.utils.row_batches import RowReader

__all__ = ["Outcome", "Session", "adopt", "database_kind", "fetch_rows", "known_server", "run_sql"]


class _DatabaseState:
    """What the ORM keeps of a database it has met."""

    __slots__ = ("driver", "kind", "lock", "log", "loop", "plain", "ready")

    def __init__(self, database: databases.Database) -> None:
        backend = database._backend
        known: Driver | None = getattr(backend, "driver", None)
        self.plain = known is None
        self.driver = driver_of(database) if known is None else known
        self.log: QueryLog = getattr(database, "query_log", None) or QueryLog()
        self.kind: str | None = None
        self.ready = not self.plain
        self.lock = asyncio.Lock()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def make_ready(self, database: databases.Database) -> None:
        """Adopt and connect a plain database, once however many tasks ask."""
        loop = asyncio.get_running_loop()
        if self.loop is not loop:  # a lock serves one event loop only
            self.loop, self.lock = loop, asyncio.Lock()
        async with self.lock:
            if not self.ready:
                await self.driver.adopt(database)
                self.ready = True
            with connecting(database.url.obscure_password):
                await database.connect()


def _of(database: databases.Database) -> _DatabaseState:
    found: _DatabaseState | None = database.__dict__.get("_adopted")
    if found is None:
        found = database.__dict__["_adopted"] = _DatabaseState(database)
    return found


async def adopt(database: databases.Database) -> None:
    """Make a plain `databases.Database` fit for the ORM, and connect it.

    It gets foreign keys and REGEXP on SQLite, counts of the rows matched on MySQL. A session does it by itself; before
    the first transaction is better.
    """
    await _of(database).make_ready(database)


async def database_kind(database: databases.Database) -> str:
    """The server behind a database: "postgresql", "sqlite", "mysql" or "mariadb". Asked once, connecting if need be."""
    found = _of(database)
    if found.kind is None:
        async with Session(database) as session:
            found.kind = await found.driver.server(session.raw)
    return found.kind


def known_server(database: databases.Database) -> str | None:
    """What `database_kind` has found; None while it has not been asked."""
    found: _DatabaseState | None = database.__dict__.get("_adopted")
    return found.kind if found is not None else None


def fetch_rows(
    database: databases.Database, sql: str, args: Sequence[Any] = (), read: RowReader | None = None
) -> Coroutine[Any, Any, Sequence[Any]]:
    """`Session.fetch` of one statement. Outside of transactions it needs no connection of the task's own."""
    place = _place_of(database)
    return _fetch_in_session(database, sql, args, read) if place is None else place.fetch_autocommit(sql, args, read)


def run_sql(database: databases.Database, sql: str, args: Sequence[Any] = ()) -> Coroutine[Any, Any, Outcome]:
    """`Session.execute` of one statement. Outside of transactions it needs no connection of the task's own."""
    place = _place_of(database)
    return _execute_in_session(database, sql, args) if place is None else place.execute_autocommit(sql, args)


def _place_of(database: databases.Database) -> ManagedBackend | Connection | None:
    """Where a statement of the current task can run without a session."""
    if not isinstance(database, Database):
        return None
    return database.idle_backend() or database.held_connection()


async def _fetch_in_session(
    database: databases.Database, sql: str, args: Sequence[Any], read: RowReader | None
) -> Sequence[Any]:
    async with Session(database) as session:
        return await session.fetch(sql, args, read)


async def _execute_in_session(database: databases.Database, sql: str, args: Sequence[Any]) -> Outcome:
    async with Session(database) as session:
        return await session.execute(sql, args)


class Session:
    """The current task's connection of `database`, checked out for a few statements.

    Inside a transaction it is the transaction's connection. SQL has the driver's own placeholders, values are the
    driver's own, and errors are the ORM's.

    >>> async with Session(database) as session:
    ...     rows = await session.fetch("SELECT name FROM albums WHERE id = $1", [1])
    """

    __slots__ = ("_connection", "_database", "_driver", "_lock", "_log", "_plain", "_raw")

    def __init__(self, database: databases.Database) -> None:
        self._database = database

    async def __aenter__(self) -> "Session":
        database = self._database
        found = _of(database)
        if found.plain and not (found.ready and database.is_connected):
            await found.make_ready(database)
        self._plain = found.plain
        self._driver = found.driver
        self._log = found.log
        connection: Any = database.connection()
        if found.plain or not connection.enter():
            with translating:
                await connection.__aenter__()
        self._connection = connection
        self._lock = connection._query_lock
        # Our backends tell a connection handed out to a user, who may leave anything behind, from one used here.
        self._raw: Any = connection._connection._connection
        if found.plain:
            try:
                with translating:
                    await found.driver.prepare(self._raw)
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
        if self._plain or not self._connection.leave():
            with translating:
                await self._connection.__aexit__(kind, error, traceback)

    @property
    def raw(self) -> Any:
        """The driver's connection. Leave no state behind on it."""
        return self._raw

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open on this connection."""
        return bool(self._connection._transaction_stack)

    def transaction(self, **options: Any) -> databases.core.Transaction:
        """A transaction of this connection, a savepoint inside another one."""
        transaction: databases.core.Transaction = self._connection.transaction(**options)
        return transaction

    async def fetch(self, sql: str, args: Sequence[Any] = (), read: RowReader | None = None) -> Sequence[Any]:
        """The rows of a statement: tuples, or asyncpg's records, in column order.

        Where they are many, it may be what `read` makes of them instead: a `BatchedObjects`.
        """
        log = self._log
        if log.active or open_trackers:
            return await self._fetch_logged(log, sql, args, read)
        async with self._lock:
            with translating:
                return await self._driver.fetch(self._raw, sql, args, read)

    async def fetch_together(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[Sequence[Any]]:
        """The rows of each of several statements that only read, from one state of the database, in one trip."""
        sql = ";\n".join(sql for sql, _ in statements)
        args = [value for _, values in statements for value in values]
        async with self._lock:
            with self._log.watch(sql, args) as watch, translating:
                found = await self._driver.fetch_together(self._raw, statements)
                watch.rows = sum(len(rows) for rows in found)
                return found

    async def fetch_named(self, sql: str, args: Sequence[Any] = ()) -> tuple[Sequence[str], Sequence[Any]]:
        """The names of the columns, and the rows, of a statement that somebody else wrote."""
        log = self._log
        async with self._lock:
            if not log.active and not open_trackers:
                with translating:
                    return await self._driver.fetch_named(self._raw, sql, args)
            with log.watch(sql, args) as watch, translating:
                names, rows = await self._driver.fetch_named(self._raw, sql, args)
                watch.rows = len(rows)
                return names, rows

    async def execute(self, sql: str, args: Sequence[Any] = ()) -> Outcome:
        """Run a statement without rows."""
        log = self._log
        if not log.active and not open_trackers:
            async with self._lock:
                with translating:
                    return await self._driver.execute(self._raw, sql, args)
        async with self._lock:
            with log.watch(sql, args) as watch, translating:
                outcome = await self._driver.execute(self._raw, sql, args)
                watch.rows = outcome.rowcount if outcome.rowcount >= 0 else None
                return outcome

    async def execute_many(self, sql: str, args: Sequence[Sequence[Any]]) -> int:
        """Run one statement for each row of values; the number of rows matched."""
        if not args:
            return 0
        log = self._log
        async with self._lock:
            if not log.active and not open_trackers:
                with translating:
                    return await self._driver.execute_many(self._raw, sql, args)
            with log.watch(sql, args) as watch, translating:
                watch.rows = await self._driver.execute_many(self._raw, sql, args)
                return watch.rows

    async def stream(self, sql: str, args: Sequence[Any] = (), chunk: int = 500) -> AsyncIterator[Sequence[Any]]:
        """The rows of a query in batches of `chunk`, in constant memory, in or outside a transaction.

        Other statements may run on the connection between the batches. On MySQL any of them, on SQLite a write, reads
        the rows still to come into memory first.
        """
        # A generator that is left early is finished some time later: it keeps the connection until then.
        with self._log.watch(sql, args) as watch:
            watch.rows = 0
            async with self._connection:
                async with self._lock:
                    with translating:
                        rows = await self._driver.stream(self._raw, sql, args, in_transaction=self.in_transaction)
                try:
                    while True:
                        async with self._lock:
                            with translating:
                                batch = await rows.read(chunk)
                        watch.rows += len(batch)
                        if batch:
                            yield batch
                        if len(batch) < chunk:
                            return
                finally:
                    async with self._lock:
                        with translating:
                            await rows.close()

    async def _fetch_logged(
        self, log: QueryLog, sql: str, args: Sequence[Any], read: RowReader | None
    ) -> Sequence[Any]:
        async with self._lock:
            with log.watch(sql, args) as watch, translating:
                rows = await self._driver.fetch(self._raw, sql, args, read)
                watch.rows = len(rows)
                return rows
