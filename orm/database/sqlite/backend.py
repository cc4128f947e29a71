"""SQLite: persistent connections, for many readers and one writer; in memory, one connection that all tasks share."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import aiosqlite
from databases.backends import sqlite
from databases.core import DatabaseURL
from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.engine.cursor import CursorResultMetaData
from sqlalchemy.sql import ClauseElement

from orm.database.connections.backend import OF_PARENT_PROCESSES, ManagedBackend
from orm.database.connections.connection import ManagedConnection
from orm.database.connections.driver import CursorStream
from orm.database.connections.errors import combine, connect_failure_class, translating
from orm.database.connections.pool import CLEAN_SECONDS, Pool
from orm.database.connections.pool_options import ACQUIRE_TIMEOUT
from orm.database.connections.transaction_options import Options
from orm.database.sqlite.advisory_locks import MemoryLocks, try_lock_beside
from orm.database.sqlite.connection_classes import MigrationConnection, ORMConnection
from orm.database.sqlite.driver import (
    close_cursor,
    execute,
    fetch,
    fetch_described,
    fetch_first,
    first_word,
    is_in_transaction,
    is_write,
    open_cursor,
    run_in_thread,
)
from orm.database.sqlite.managed_driver import MAX_LOG_BYTES, SerializedWriterDriver
from orm.database.sqlite.quick_statements import CAN_LIMIT_BYTES
from orm.database.sqlite.settings import Settings, read_settings
from orm.database.sqlite.statement_bounds import Bounds
from orm.database.sqlite.writer_lock import WriterLock
from orm.exceptions import Error, NotSupportedError, OperationalError
from orm.utils.gc_control import MIN_OBJECTS
from orm.utils.row_batches import RowReader, read_in_batches

ResultT = TypeVar("ResultT")
records: Any = sqlite
"""The module from which the classes of its records come."""

ITERATE_ROWS = 50
# How long to wait for the threads of a closed event loop, whose statements are interrupted.
JOIN_SECONDS = 1.0
# SQLite truncates the log to this many bytes when it starts it again, so that a long log shows in the file's size.
KEPT_LOG_BYTES = MAX_LOG_BYTES // 4
# Options of `sqlite3.connect` that the ORM sets. With a user's values, statements run on the connection's thread alone.
THREAD_OPTIONS = {"factory", "check_same_thread", "isolation_level"}


class SQLiteBackend(ManagedBackend, sqlite.SQLiteBackend):
    """The connections of one SQLite database.

    Its options, in the URL or of `Database(…)`, are those of `orm.database.sqlite.settings`.
    """

    driver: SerializedWriterDriver

    def __init__(self, database_url: DatabaseURL | str, **options: Any) -> None:
        url = DatabaseURL(database_url)
        self.settings = read_settings(url, options)
        self._dialect = pysqlite.dialect(paramstyle="qmark")
        self._dialect.supports_native_decimal = False
        self._database_url = url
        self._memory_connection: aiosqlite.Connection | None = None
        self._memory_locks = MemoryLocks()
        self._idle_of_closed_loop: list[aiosqlite.Connection] = []
        self._stopping: set[asyncio.Future[Any]] = set()
        self._pool: Any = None
        self.in_memory = self.settings.in_memory
        self.display_name = "sqlite in memory" if self.in_memory else f"sqlite at {url.database}"
        self.driver = SerializedWriterDriver(self.settings.timeout, self.settings.busy_timeout)

    async def connect(self) -> None:
        """Open the first connections; a file database is switched to WAL."""
        settings = self.settings
        min_size, max_size = (1, 1) if self.in_memory else (settings.min_size, settings.max_size)
        self.driver.writer_lock = WriterLock(settings.timeout)
        options = self.pool_options
        if options.acquire_timeout == ACQUIRE_TIMEOUT:
            options = replace(options, acquire_timeout=settings.timeout)
        pool: Pool[aiosqlite.Connection] = Pool(self, max_size=max_size, options=options)
        pool.add_idle(self._take_idle_of_closed_loop())
        await self.start_pool(pool, max(min_size, 1))

    async def disconnect(self, timeout: float | None = None) -> None:
        """Close the connections; a database in memory is gone."""
        await super().disconnect(timeout)
        if self._stopping:
            await asyncio.wait(self._stopping, timeout=CLEAN_SECONDS)
        for connection in self._take_idle_of_closed_loop():
            await connection.close()
        memory_connection, self._memory_connection = self._memory_connection, None
        if memory_connection is not None:
            await memory_connection.close()

    async def fetch(self, sql: str, args: Sequence[Any]) -> Sequence[Any]:
        """The rows of one of the ORM's statements, outside of transactions."""
        if is_write(sql):
            return await self.run_autocommit(self.driver.fetch, sql, args)
        bounds = self.driver.quick_statements.bounds(sql, args)
        if bounds is None:
            return await self.run_autocommit(self.driver.fetch_on_thread, sql, args)
        rows = self._fetch_on_loop(sql, args, bounds)
        if rows is None:
            return await self.run_autocommit(self.driver.fetch, sql, args)
        if self.driver.quick_statements.should_yield():
            await asyncio.sleep(0)
        return rows

    async def fetch_objects(self, sql: str, args: Sequence[Any], reader: RowReader) -> list[Any]:
        """The objects that `reader` makes of the rows of one of the ORM's statements, outside of transactions."""
        bounds = self.driver.quick_statements.bounds(sql, args)
        rows = None if bounds is None or is_write(sql) else self._fetch_on_loop(sql, args, bounds)
        if rows is None:
            return await super().fetch_objects(sql, args, reader)
        if self.driver.quick_statements.should_yield():
            await asyncio.sleep(0)
        return reader(rows) if len(rows) < MIN_OBJECTS else await read_in_batches(reader, rows)

    def _fetch_on_loop(self, sql: str, args: Sequence[Any], bounds: Bounds) -> list[Any] | None:
        """The rows of a quick query, fetched on this thread; None if it is not quick, or no connection is idle."""
        pool = self._pool  # it is open: see `Database.autocommit_backend`
        raw = pool.idle_connection()
        if raw is None:
            return None
        with translating:
            return self.driver.quick_statements.run(raw._conn, fetch, sql, args, bounds)

    def forget(self) -> None:
        """Keep the idle connections for the next event loop: they live in threads, not in the loop that is closed."""
        pool, self._pool = self.pool, None
        in_use = pool.in_use()
        idle = pool.forget()
        self._stopping.clear()
        for raw in in_use:
            # A thread whose event loop is closed cannot return the result of its statement, and ends without closing
            # its connection, whose transaction would keep the file locked.
            thread = raw._thread
            thread.join(JOIN_SECONDS)
            if raw is not self._memory_connection and not thread.is_alive() and raw._connection is not None:
                raw._connection.close()
        if not self.in_memory:
            self._idle_of_closed_loop = idle

    def leave_to_parent(self) -> None:
        """In the child of a fork, which has none of their threads: stop using the parent's connections."""
        super().leave_to_parent()
        OF_PARENT_PROCESSES.append((self._idle_of_closed_loop, self._memory_connection))
        self._idle_of_closed_loop, self._memory_connection = [], None

    def lock_statements(self, name: str, timeout: float | None, shared: bool) -> None:
        """None: SQLite has no such statements."""

    def try_lock(self, name: str, shared: bool) -> Callable[[], None] | None:
        """Lock a file beside the database; of a database in memory, the name alone."""
        if self.in_memory:
            return self._memory_locks.try_lock(name, shared)
        return try_lock_beside(os.path.realpath(self.settings.path), name, shared)

    def connection(self) -> "SQLiteConnection":
        """A connection, not yet checked out."""
        return SQLiteConnection(self, self._dialect)

    async def set_statement_timeout(self, raw: aiosqlite.Connection, seconds: float) -> None:
        """End each statement of a connection after this many seconds."""
        if isinstance(raw._conn, ORMConnection):
            raw._conn.statement_timeout = seconds

    async def check(self, raw: aiosqlite.Connection) -> None:
        """Nothing to do: there is no server."""

    def is_open(self, raw: aiosqlite.Connection) -> bool:
        """Whether a connection is open, and is not about to be closed by its thread."""
        return raw._running and raw._connection is not None

    def is_clean(self, raw: aiosqlite.Connection) -> bool:
        """Whether a connection is open, and outside of transactions."""
        return raw._running and raw._connection is not None and not raw.in_transaction

    async def clean(self, raw: aiosqlite.Connection, *, dirty: bool) -> bool:
        """Roll back, and let the next task write. A connection to a file that may keep state is closed."""
        try:
            if self.is_open(raw):
                await run_in_thread(raw, _leave_transaction)
        finally:
            self.driver.writer_lock.release(raw)
        return self.is_open(raw) and (not dirty or self.in_memory)

    async def close_connection(self, raw: aiosqlite.Connection) -> None:
        """Close a connection, and end its thread."""
        if raw is not self._memory_connection and self.is_open(raw):
            await raw.close()

    def terminate(self, raw: aiosqlite.Connection) -> None:
        """Have a connection closed by its thread, as soon as that is idle."""
        CursorStream.forget(raw)
        connection = raw._connection
        if raw is not self._memory_connection and raw._running and connection is not None:
            connection.interrupt()
            stopped = raw.stop()
            if stopped is not None:
                self._stopping.add(stopped)
                stopped.add_done_callback(self._stopping.discard)

    def _take_idle_of_closed_loop(self) -> list[aiosqlite.Connection]:
        connections, self._idle_of_closed_loop = self._idle_of_closed_loop, []
        return connections

    async def engine_arguments(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The file, or its URI, and a class of connections that has the functions that are written in Python."""
        settings = self.settings
        uri = {"query": {"uri": "true"}} if settings.connect_options.get("uri") else {}
        options = {name: value for name, value in settings.connect_options.items() if name != "uri"}
        arguments = {"timeout": settings.busy_timeout, "factory": MigrationConnection, **options}
        return {"database": settings.file, **uri}, arguments

    async def open_raw(self) -> aiosqlite.Connection:
        """A new connection; of a database in memory, its only one."""
        if self._memory_connection is not None:
            # The event loop may have been closed in the middle of a transaction.
            await run_in_thread(self._memory_connection, _leave_transaction)
            return self._memory_connection
        settings = self.settings
        connection = aiosqlite.connect(
            settings.file,
            **{
                "isolation_level": None,
                "timeout": settings.busy_timeout,
                "factory": ORMConnection,
                "check_same_thread": False,
                **settings.connect_options,
            },
        )
        # A program that exits without closing its database must not wait for the threads.
        thread = connection._thread
        thread.daemon = True
        try:
            await connection
        except sqlite3.Error as error:
            await asyncio.to_thread(thread.join)  # aiosqlite stops the thread without waiting for its end
            raise self._open_failure(error) from error
        if self.in_memory:
            self._memory_connection = connection
        else:
            try:
                self.driver.log_path = await run_in_thread(connection, _configure_file, settings)
            except sqlite3.Error as error:
                await connection.close()
                raise self._open_failure(error) from error
        quick_statements = self.driver.quick_statements
        readers_wait = self.driver.log_path is None and not self.in_memory and not settings.immutable
        quick_statements.enabled = (
            CAN_LIMIT_BYTES and not readers_wait and not THREAD_OPTIONS & settings.connect_options.keys()
        )
        quick_statements.commits_wait = settings.synchronous == "full" and not self.in_memory
        return connection

    def _open_failure(self, error: sqlite3.Error) -> Error:
        """The error for a file that cannot be opened, with the reason."""
        reason = str(error)
        if "unable to open" in reason:
            reason = self.settings.why_not_opened() or reason
        elif "not a database" in reason or "malformed" in reason:
            reason = f"{reason} (it is damaged, encrypted, or no database of SQLite's)"
        return combine(
            connect_failure_class(error) or OperationalError, error, f"cannot connect to {self.display_name}: {reason}"
        )


def _configure_file(connection: sqlite3.Connection, settings: Settings) -> str | None:
    """Set up a new connection. Returns the path of its file's write-ahead log, if it has one."""
    connection.execute(f"PRAGMA synchronous = {settings.synchronous.upper()}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")  # see SerializedWriterDriver
    connection.execute(f"PRAGMA journal_size_limit = {KEPT_LOG_BYTES}")
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal" and not settings.read_only:
        # With WAL, readers do not wait for the writer, and NORMAL is as safe as FULL if the program crashes. The change
        # fails if the file may not be written, or while another process uses it; the ORM works without WAL as well.
        with contextlib.suppress(sqlite3.OperationalError):
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if not settings.connect_options.get("check_same_thread"):
        connection.execute("PRAGMA busy_timeout = 0")  # see BusyRetries
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    return f"{path}-wal" if mode == "wal" else None


class _SingleTrips(sqlite.SQLiteConnection):
    """Replaces methods of `databases`, which make several trips to the thread, and do not stop it if cancelled.

    Its `execute` returns the connection's last inserted id for every statement, and a persistent connection keeps it.
    """

    manager: SQLiteBackend

    def _compile(self, query: ClauseElement) -> Any:
        """The SQL and its values, as in `databases`, which doubles each ``%`` because it formats its log."""
        preparer: Any = self._dialect.identifier_preparer
        preparer._double_percents = True
        try:
            sql, *others = super()._compile(query)
        finally:
            preparer._double_percents = False
        return sql.replace("%%", "%"), *others

    async def fetch_all(self, query: ClauseElement) -> Any:
        compiled: Any = self._compile(query)
        sql, args, columns, context = compiled
        raw: Any = self._connection
        description, rows = await run_in_thread(raw, fetch_described, sql, args)
        return self._records(rows, description, columns, context)

    async def fetch_one(self, query: ClauseElement) -> Any:
        compiled: Any = self._compile(query)
        sql, args, columns, context = compiled
        raw: Any = self._connection
        description, rows = await run_in_thread(raw, fetch_first, sql, args)
        return self._records(rows, description, columns, context)[0] if rows else None

    async def execute(self, query: ClauseElement) -> Any:
        sql, args = self._compile(query)[:2]
        raw: Any = self._connection
        outcome = await run_in_thread(raw, execute, sql, args)
        is_insert = first_word(sql) in ("INSERT", "REPLACE") and outcome.rowcount > 0
        return outcome.lastrowid if is_insert else outcome.rowcount

    async def iterate(self, query: ClauseElement) -> AsyncGenerator[Any, None]:
        compiled: Any = self._compile(query)
        sql, args, columns, context = compiled
        raw: Any = self._connection
        cursor = await self.manager.driver.busy_retries.run(raw, open_cursor, raw, sql, args)
        try:
            while rows := await run_in_thread(raw, lambda _: cursor.fetchmany(ITERATE_ROWS)):
                for record in self._records(rows, cursor.description, columns, context):
                    yield record
        finally:
            await close_cursor(raw, cursor)

    def _records(self, rows: list[Any], description: Any, columns: Any, context: Any) -> list[Any]:
        metadata: Any = CursorResultMetaData(context, description)
        maps = records.create_column_maps(columns)
        return [
            records.Record(
                records.Row(metadata, metadata._processors, metadata._keymap, row), columns, self._dialect, maps
            )
            for row in rows
        ]


class SQLiteConnection(ManagedConnection, _SingleTrips):
    """One connection while it is checked out."""

    manager: SQLiteBackend
    iterates_with_driver = True

    def __init__(self, manager: SQLiteBackend, dialect: Any) -> None:
        self._connection = None
        self._dialect = dialect
        self.manager = manager
        self._is_query_only = False

    @property
    def raw_connection(self) -> Any:
        """The driver's connection, on which SQLite waits for locks by itself."""
        if not self.manager.settings.connect_options.get("check_same_thread"):
            milliseconds = round(self.manager.settings.busy_timeout * 1000)
            self._connection._conn.execute(f"PRAGMA busy_timeout = {milliseconds}")
        return super().raw_connection

    async def release(self, after: Coroutine[Any, Any, None] | None = None) -> None:
        """Give the connection back, clean, `after` waiting for what still runs on it."""
        self.dirty = self.dirty or self._is_query_only
        self._is_query_only = False
        await super().release(after)

    async def begin(self, options: Options) -> None:
        """Begin the outermost transaction, as the writer unless it is read-only."""
        if options.deferrable:
            raise NotSupportedError("SQLite has no deferrable transactions")
        if options.readonly:
            self._is_query_only = True
            await self.run("PRAGMA query_only = ON")
            await self.run("BEGIN")
            return
        if self.manager.settings.read_only:
            await self.run("BEGIN")
            return
        raw, writer_lock = self._connection, self.manager.driver.writer_lock
        await writer_lock.acquire(raw)
        try:
            await self.run("BEGIN IMMEDIATE")
        finally:
            if not is_in_transaction(raw):
                writer_lock.release(raw)

    def has_ended_transaction(self, error: BaseException) -> bool:
        """SQLite rolls the transaction of some failed statements back: a full disk, a write that was interrupted."""
        return not is_in_transaction(self._connection) or super().has_ended_transaction(error)

    async def commit(self) -> None:
        """Commit the outermost transaction. If that fails, SQLite keeps it open: then it is rolled back."""
        try:
            await self.run("COMMIT")
        finally:
            await self.rollback()
        await self.manager.driver.after_commit(self._connection)

    async def rollback(self) -> None:
        """Roll the outermost transaction back, unless SQLite has done so already."""
        try:
            if is_in_transaction(self._connection):
                await self.run("ROLLBACK")
            if self._is_query_only:
                await self.run("PRAGMA query_only = OFF")
                self._is_query_only = False
        finally:
            self.manager.driver.writer_lock.release(self._connection)

    async def run_in_order(self, sql: str, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run `call`, the driver's call that sends `sql`; if it writes, with the writer lock."""
        raw, driver = self._connection, self.manager.driver

        async def retried() -> ResultT:
            return await driver.busy_retries.run(raw, call)

        if not is_write(sql):
            return await retried()
        await CursorStream.drain(raw)
        driver.note_thread_write(raw, sql)
        if raw.in_transaction:
            return await retried()
        result = await driver.writer_lock.run_locked(raw, retried)
        driver.note_thread_commit()
        await driver.after_commit(raw)
        return result


def _leave_transaction(connection: sqlite3.Connection) -> None:
    connection.rollback()
    connection.execute("PRAGMA query_only = OFF")
