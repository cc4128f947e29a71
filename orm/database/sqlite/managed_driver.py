"""The driver of `orm.Database` for SQLite: one writer at a time, and quick statements on the event loop's thread."""

import asyncio
import contextlib
import os
import sqlite3
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import aiosqlite

from orm.database.connections.driver import CursorStream, Outcome
from orm.database.sqlite.busy_retries import BusyRetries
from orm.database.sqlite.connection_classes import ORMConnection
from orm.database.sqlite.driver import (
    AiosqliteDriver,
    StatementFunction,
    execute,
    fetch,
    first_word,
    is_write,
    run_in_thread,
)
from orm.database.sqlite.quick_statements import QuickStatements
from orm.database.sqlite.statement_bounds import NO_VALUES, Bounds
from orm.database.sqlite.writer_lock import WriterLock
from orm.utils.row_batches import RowReader, read_in_batches

ResultT = TypeVar("ResultT")

# A transaction that has changed no more rows, and written no more bytes, ends quickly.
MAX_ROWS_OF_QUICK_END = 100
MAX_BYTES_OF_QUICK_END = 256 * 1024
# SQLite would copy the log to the database during a commit, and wait for the disk. Instead, the connection's thread
# does so when the log has this many bytes, or after `COMMITS_PER_CHECKPOINT` commits.
MAX_LOG_BYTES = 16 * 1024 * 1024
COMMITS_PER_CHECKPOINT = 250
SCHEMA_WORDS = frozenset(["CREATE", "DROP", "ALTER"])


class SerializedWriterDriver(AiosqliteDriver):
    """aiosqlite with one writer at a time, whose quick statements run on the event loop's thread."""

    def __init__(self, acquire_timeout: float, busy_timeout: float) -> None:
        super().__init__(managed=True)
        self.writer_lock = WriterLock(acquire_timeout)
        self.busy_retries = BusyRetries(busy_timeout)
        self.quick_statements = QuickStatements()
        self.log_path: str | None = None
        """The path of the write-ahead log, if the database has one."""
        self._commits = 0
        self._next_commit_syncs = False
        """Whether the next commit restarts the log, for which it waits for the disk."""

    fetch_on_thread = AiosqliteDriver.fetch

    async def fetch(self, raw: aiosqlite.Connection, sql: str, args: Sequence[Any]) -> Sequence[Any]:
        """The rows of a statement, as tuples."""
        if is_write(sql):
            return await self._write(raw, fetch, sql, args)
        bounds = self.quick_statements.bounds(sql, args)
        if bounds is not None:
            return await self._fetch_quick(raw, sql, args, bounds)
        return await self._run(raw, fetch, sql, args)

    async def fetch_objects(
        self, raw: aiosqlite.Connection, sql: str, args: Sequence[Any], reader: RowReader
    ) -> list[Any]:
        """The objects that `reader` makes of a statement's rows; of a large result in batches, while it arrives."""
        if is_write(sql):
            return await read_in_batches(reader, await self._write(raw, fetch, sql, args))
        bounds = self.quick_statements.bounds(sql, args)
        if bounds is not None:
            return await read_in_batches(reader, await self._fetch_quick(raw, sql, args, bounds))
        return await super().fetch_objects(raw, sql, args, reader)

    async def _fetch_quick(self, raw: aiosqlite.Connection, sql: str, args: Sequence[Any], bounds: Bounds) -> list[Any]:
        """The rows of a query that is known to be quick, fetched on this thread if it still is."""
        rows = self.quick_statements.run(raw._conn, fetch, sql, args, bounds)
        if rows is None:
            return await self._run(raw, fetch, sql, args)
        if self.quick_statements.should_yield():
            await asyncio.sleep(0)
        return rows

    async def execute(self, raw: aiosqlite.Connection, sql: str, args: Sequence[Any]) -> Outcome:
        """Execute a statement and discard any rows."""
        if is_write(sql):
            return await self._write(raw, execute, sql, args)
        connection: Any = raw._conn  # an ORMConnection, while statements can be quick
        if self.quick_statements.enabled and self._is_cheap(connection, sql):
            outcome = self.quick_statements.run(connection, execute, sql, args, NO_VALUES)
            if outcome is not None:
                self._commits += sql == "COMMIT"
                return outcome
        outcome = await super().execute(raw, sql, args)
        if sql == "COMMIT":
            self.note_thread_commit()
        return outcome

    async def _run(
        self, raw: aiosqlite.Connection, function: StatementFunction[ResultT], sql: str, args: Sequence[Any]
    ) -> ResultT:
        was_in_transaction = raw.in_transaction
        measure = self.quick_statements.measure
        try:
            return await run_in_thread(raw, measure, function, sql, args)
        except sqlite3.OperationalError as error:
            repeat = self.busy_retries.repeat
            return await repeat(error, raw, was_in_transaction, run_in_thread, raw, measure, function, sql, args)

    async def fetch_together(
        self, raw: aiosqlite.Connection, statements: Sequence[tuple[str, Sequence[Any]]]
    ) -> list[Sequence[Any]]:
        """The rows of each of several queries, in one trip."""
        return await self.busy_retries.run(raw, super().fetch_together, raw, statements)

    async def _write(
        self, raw: aiosqlite.Connection, function: StatementFunction[ResultT], sql: str, args: Sequence[Any]
    ) -> ResultT:
        if CursorStream.running:
            await CursorStream.drain(raw)
        connection: Any = raw._conn
        bounds = self.quick_statements.bounds(sql, args)
        if raw.in_transaction:
            # SQLite would end the transaction with an interrupted write, so only one that cannot take long runs here.
            result = None
            if bounds is not None and bounds.is_straight:
                connection.bytes_written += self.quick_statements.argument_bytes
                result = self.quick_statements.run(connection, function, sql, args, bounds)
            if result is None:
                self.note_thread_write(raw, sql)
                result = await self._run(raw, function, sql, args)
            return result
        await self.writer_lock.acquire(raw)
        try:
            result = None
            if bounds is not None and not (self.quick_statements.commits_wait or self._next_commit_syncs):
                result = self.quick_statements.run(connection, function, sql, args, bounds)
            if result is None:
                self.note_thread_write(raw, sql)
                result = await self._run(raw, function, sql, args)
                self.note_thread_commit()
            else:
                self._commits += 1
        finally:
            self.writer_lock.release(raw)
        await self.after_commit(raw)
        return result

    def note_thread_write(self, raw: aiosqlite.Connection, sql: str) -> None:
        """Note that a write is about to run on the connection's thread, because it may be large."""
        connection = raw._conn
        if isinstance(connection, ORMConnection):
            connection.bytes_written = sys.maxsize
        if first_word(sql) in SCHEMA_WORDS:
            self.quick_statements.forget()

    def note_thread_commit(self) -> None:
        """Note a commit on the connection's thread, after which the log may be long."""
        self._commits += 1
        self._next_commit_syncs = False
        if self.log_path is not None:
            with contextlib.suppress(OSError):
                if os.stat(self.log_path).st_size > MAX_LOG_BYTES:
                    self._commits = COMMITS_PER_CHECKPOINT

    async def after_commit(self, raw: aiosqlite.Connection) -> None:
        """Checkpoint after a number of commits, without the lock; give other tasks a turn."""
        if self._commits >= COMMITS_PER_CHECKPOINT:
            self._commits = 0
            await run_in_thread(raw, _checkpoint)
            self._next_commit_syncs = self.log_path is not None
        elif self.quick_statements.should_yield():
            await asyncio.sleep(0)

    def _is_cheap(self, connection: ORMConnection, sql: str) -> bool:
        """Whether a statement begins or ends a transaction or a savepoint with little work to do."""
        if sql.startswith("BEGIN"):
            connection.changes_before = connection.total_changes
            connection.bytes_written = 0
            return True
        if sql in ("COMMIT", "ROLLBACK"):
            changes = connection.total_changes - connection.changes_before
            is_small = changes <= MAX_ROWS_OF_QUICK_END and connection.bytes_written <= MAX_BYTES_OF_QUICK_END
            commit_waits = self.quick_statements.commits_wait or self._next_commit_syncs
            return is_small and (sql == "ROLLBACK" or not changes or not commit_waits)
        return sql.startswith(("SAVEPOINT ", "RELEASE SAVEPOINT "))


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
