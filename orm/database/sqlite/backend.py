"""SQLite: persistent connections, for many readers and one writer; in memory, one connection that all tasks share."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiosqlite
from databases.backends import sqlite
from databases.core import DatabaseURL
from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.sql import ClauseElement

from orm.database.connections.connection import ManagedBackend, ManagedConnection
from orm.database.connections.driver import CursorStream
from orm.database.connections.errors import translating
from orm.database.connections.pool import Pool
from orm.database.connections.transactions import Options
from orm.database.query_log.events import count_round_trip
from orm.database.sqlite.driver import ORMConnection, execute, fetch, first_word, is_write, run_in_thread
from orm.database.sqlite.managed_driver import SerializedWriterDriver
from orm.database.sqlite.writer_lock import WriterLock
from orm.exceptions import NotSupportedError
from orm.utils.gc_control import MIN_OBJECTS
from orm.utils.row_batches import RowReader, read_in_batches

ResultT = TypeVar("ResultT")

TIMEOUT_SECONDS = 30.0
MAX_SIZE = 5
# More than the commits between two checkpoints of the driver's write, so that a commit rarely starts one itself.
CHECKPOINT_PAGES = 4000
# Options of `sqlite3.connect` that the ORM sets. With a user's values, statements run on the connection's thread alone.
THREAD_OPTIONS = {"factory", "check_same_thread", "isolation_level"}


class SQLiteBackend(sqlite.SQLiteBackend, ManagedBackend):
    """The connections of one SQLite database.

    Options of the URL or of `Database(…)`: `max_size`, `min_size`, and `timeout`, the seconds to wait for a lock or
    a connection. The others go to `sqlite3.connect`.
    """

    driver: SerializedWriterDriver

    def __init__(self, database_url: DatabaseURL | str, **options: Any) -> None:
        url = DatabaseURL(database_url)
        settings = {"timeout": TIMEOUT_SECONDS, "max_size": MAX_SIZE, "min_size": 1}
        for key, value in {**url.options, **options}.items():
            if key in settings:
                settings[key] = type(settings[key])(value)
        self._dialect = pysqlite.dialect(paramstyle="qmark")
        self._dialect.supports_native_decimal = False
        self._database_url = url
        self._timeout: float = settings["timeout"]
        self._sizes = int(settings["min_size"]), int(settings["max_size"])
        self._options = {key: value for key, value in options.items() if key not in settings}
        query = {key: value for key, value in url.options.items() if key not in settings}
        self._path = url.database + ("?" + urlencode(query) if query else "")
        self.in_memory = url.database in ("", ":memory:") or ":memory:" in self._path or "mode=memory" in self._path
        self._memory_connection: aiosqlite.Connection | None = None
        self._idle_of_closed_loop: list[aiosqlite.Connection] = []
        self._pool: Any = None
        self.display_name = "sqlite in memory" if self.in_memory else f"sqlite at {url.database}"
        self.driver = SerializedWriterDriver(self._timeout)

    async def connect(self) -> None:
        """Open the first connections; a file database is switched to WAL."""
        min_size, max_size = (1, 1) if self.in_memory else self._sizes
        self.driver.writer_lock = WriterLock(self._timeout)
        self._pool = Pool(self._open, self._close, self._is_usable, max_size=max_size, acquire_timeout=self._timeout)
        self._pool.add_idle(self._take_idle_of_closed_loop())
        await self._pool.fill(max(min_size, 1))

    async def disconnect(self) -> None:
        """Close the connections; a database in memory is gone."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()
        for connection in self._take_idle_of_closed_loop():
            await self._close(connection)
        memory_connection, self._memory_connection = self._memory_connection, None
        if memory_connection is not None:
            await memory_connection.close()

    async def fetch(self, sql: str, args: Sequence[Any]) -> Sequence[Any]:
        """The rows of one of the ORM's statements, outside of transactions."""
        rows = self._fetch_on_loop(sql, args)
        if rows is None:
            return await super().fetch(sql, args)
        if self.driver.quick_statements.should_yield():
            await asyncio.sleep(0)
        return rows

    async def fetch_objects(self, sql: str, args: Sequence[Any], reader: RowReader) -> list[Any]:
        """The objects that `reader` makes of the rows of one of the ORM's statements, outside of transactions."""
        rows = self._fetch_on_loop(sql, args)
        if rows is None:
            return await super().fetch_objects(sql, args, reader)
        if self.driver.quick_statements.should_yield():
            await asyncio.sleep(0)
        return reader(rows) if len(rows) < MIN_OBJECTS else await read_in_batches(reader, rows)

    def _fetch_on_loop(self, sql: str, args: Sequence[Any]) -> list[Any] | None:
        """The rows of a quick query, fetched on this thread; None if it is not quick, or no connection is idle."""
        quick_statements = self.driver.quick_statements
        if not quick_statements.is_quick(sql) or is_write(sql):
            return None
        pool = self._pool  # it is open: see `Database.autocommit_backend`
        raw = pool.acquire_nowait()
        if raw is None:
            return None
        try:
            with translating:
                return quick_statements.run_read(raw._conn, fetch, sql, args)
        finally:
            pool.release_nowait(raw)  # this succeeds, as no other task has run in between

    async def check_in(self, raw: aiosqlite.Connection, *, dirty: bool) -> None:
        """Return a connection to the pool, clean; close one that may carry state."""
        pool = self._pool
        usable = False
        try:
            if pool is not None and raw._connection is not None:
                if raw.in_transaction:
                    await run_in_thread(raw, _leave_transaction)
                usable = not dirty or self.in_memory
        finally:
            if pool is None:
                await raw.close()
            elif usable:
                await pool.release(raw)
            else:
                await pool.discard(raw)

    def forget(self) -> None:
        """Keep the idle connections for the next event loop: they live in threads, not in the loop that is closed."""
        pool, self._pool = self.pool, None
        idle = pool.forget()
        if not self.in_memory:
            self._idle_of_closed_loop = idle

    def connection(self) -> "SQLiteConnection":
        """A connection, not yet checked out."""
        return SQLiteConnection(self, self._dialect)

    def _take_idle_of_closed_loop(self) -> list[aiosqlite.Connection]:
        connections, self._idle_of_closed_loop = self._idle_of_closed_loop, []
        return connections

    async def _open(self) -> aiosqlite.Connection:
        if self._memory_connection is not None:
            # The event loop may have been closed in the middle of a transaction.
            await run_in_thread(self._memory_connection, _leave_transaction)
            return self._memory_connection
        options = {
            "isolation_level": None,
            "timeout": self._timeout,
            "factory": ORMConnection,
            "check_same_thread": False,
        }
        connection = aiosqlite.connect(
            self._path,
            **{**options, **self._options},
        )
        # A program that exits without closing its database must not wait for the threads.
        thread: Any = getattr(connection, "_thread", connection)  # before aiosqlite 0.22 it is the connection itself
        thread.daemon = True
        try:
            await connection
        except sqlite3.Error:
            await asyncio.to_thread(thread.join)  # aiosqlite stops the thread without waiting for its end
            raise
        if self.in_memory:
            self._memory_connection = connection
            has_log = False
        else:
            try:
                has_log = await run_in_thread(connection, _configure_file)
            except sqlite3.Error:
                await connection.close()
                raise
        self.driver.quick_statements.enabled = (self.in_memory or has_log) and not THREAD_OPTIONS & self._options.keys()
        return connection

    async def _close(self, connection: aiosqlite.Connection) -> None:
        if connection is not self._memory_connection:
            await connection.close()

    @staticmethod
    def _is_usable(connection: aiosqlite.Connection) -> bool:
        return connection._connection is not None


def _configure_file(connection: sqlite3.Connection) -> bool:
    """Set up a new connection. Returns whether its file has a write-ahead log."""
    # With WAL, readers go on beside the writer, and NORMAL is as safe as FULL if the program crashes.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        # This fails for a read-only file, or while another process does the same; without WAL, all works as well.
        with contextlib.suppress(sqlite3.OperationalError):
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    return bool(mode == "wal")


class _SingleTripExecute(sqlite.SQLiteConnection):
    """Replaces `execute` of `databases`, and counts the calls of its other methods.

    Its `execute` returns the connection's last inserted id for every statement, and a persistent connection keeps it.
    """

    async def fetch_all(self, query: ClauseElement) -> Any:
        self._count_trips()
        return await super().fetch_all(query)

    async def fetch_one(self, query: ClauseElement) -> Any:
        self._count_trips()
        return await super().fetch_one(query)

    async def execute(self, query: ClauseElement) -> Any:
        sql, args = self._compile(query)[:2]
        connection = self._connection
        assert connection is not None
        outcome = await run_in_thread(connection, execute, sql, args)
        is_insert = first_word(sql) in ("INSERT", "REPLACE") and outcome.rowcount > 0
        return outcome.lastrowid if is_insert else outcome.rowcount

    @staticmethod
    def _count_trips() -> None:
        for _ in ("execute", "fetch", "close"):
            count_round_trip()


class SQLiteConnection(ManagedConnection, _SingleTripExecute):
    """One connection while it is checked out."""

    manager: SQLiteBackend

    def __init__(self, manager: SQLiteBackend, dialect: Any) -> None:
        self._connection = None
        self._dialect = dialect
        self.manager = manager
        self._has_writer_lock = False
        self._is_readonly = False

    async def release(self) -> None:
        """Give the connection back, clean."""
        raw, dirty = self._connection, self.dirty
        try:
            if raw._connection is not None and (raw.in_transaction or self._is_readonly):
                self.dirty = True  # in case it fails
                await run_in_thread(raw, _leave_transaction)
                self.dirty = dirty
        finally:
            if self._has_writer_lock:
                self._release_writer_lock()
            await super().release()

    async def begin(self, options: Options) -> None:
        """Begin the outermost transaction, as the writer unless it is read-only."""
        if options.deferrable:
            raise NotSupportedError("SQLite has no deferrable transactions")
        if options.readonly:
            self._is_readonly = True
            await self.run("PRAGMA query_only = ON")
            await self.run("BEGIN")
            return
        await self.manager.driver.writer_lock.acquire()
        self._has_writer_lock = True
        started = False
        try:
            await self.run("BEGIN IMMEDIATE")
            started = True
        finally:
            if not started:
                self._release_writer_lock()

    def has_ended_transaction(self, error: BaseException) -> bool:
        """SQLite rolls the transaction of some failed statements back: a full disk, a write that was interrupted."""
        return not self._connection.in_transaction or super().has_ended_transaction(error)

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
            if self._connection.in_transaction:
                await self.run("ROLLBACK")
            if self._is_readonly:
                await self.run("PRAGMA query_only = OFF")
                self._is_readonly = False
        finally:
            self._release_writer_lock()

    async def run_in_order(self, sql: str, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run `call`, the driver's call that sends `sql`; if it writes, with the writer lock."""
        if not is_write(sql):
            return await call()
        await CursorStream.drain(self._connection)
        return await self.manager.driver.writer_lock.run_locked(self._connection, call)

    def _release_writer_lock(self) -> None:
        if self._has_writer_lock:
            self._has_writer_lock = False
            self.manager.driver.writer_lock.release()


def _leave_transaction(connection: sqlite3.Connection) -> None:
    connection.rollback()
    connection.execute("PRAGMA query_only = OFF")
