"""The driver of `orm.Database`: one writer at a time, and quick statements without the connection's thread."""

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import aiosqlite

from orm.database.connections.driver import CursorStream, Outcome
from orm.database.query_log.events import count_round_trip, open_trackers
from orm.database.sqlite.driver import (
    AiosqliteDriver,
    ORMConnection,
    StatementFunction,
    execute,
    fetch,
    first_word,
    is_write,
    run_in_thread,
)
from orm.database.sqlite.loop_execution import MAX_KNOWN_STATEMENTS, QuickStatements
from orm.exceptions import LockNotAvailable
from orm.utils.row_batches import RowReader, read_in_batches

ResultT = TypeVar("ResultT")

# A transaction that has changed no more rows is ended in no time.
FEW_ROWS = 100
# After so many commits in the event loop's thread, another one copies the log to the database: that waits for the disk.
COMMITS_PER_CHECKPOINT = 250
BY_KEY = re.compile(r"SEARCH \S+ USING INTEGER PRIMARY KEY \(rowid=\?\)")


class WriterLock:
    """The right to write to a database file, handed from task to task in the order of asking.

    SQLite's own waiting is a poll, and unfair. Other processes are still waited for that way.
    """

    def __init__(self, acquire_timeout: float) -> None:
        self._acquire_timeout = acquire_timeout
        self._lock = asyncio.Lock()

    async def acquire(self) -> None:
        """Wait for the turn; LockNotAvailable when it takes too long."""
        if not self._lock.locked():
            await self._lock.acquire()
            return
        try:
            await asyncio.wait_for(self._lock.acquire(), self._acquire_timeout)
        except asyncio.TimeoutError:
            raise LockNotAvailable(
                f"the database is locked: another task's transaction has been writing for"
                f" {self._acquire_timeout:g} seconds (or waits for this one)"
            ) from None

    def release(self) -> None:
        """Let the next one write."""
        self._lock.release()

    async def run_locked(self, raw: aiosqlite.Connection, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run a statement that writes, in its turn unless it is in a transaction, whose turn it is already."""
        if raw.in_transaction:
            return await call()
        await self.acquire()
        try:
            return await call()
        finally:
            self.release()


class SerializedWriterDriver(AiosqliteDriver):
    """aiosqlite, with writes outside a transaction in their turn, and without a hop for what is quick."""

    def __init__(self, acquire_timeout: float) -> None:
        super().__init__(managed=True)
        self.writer_lock = WriterLock(acquire_timeout)
        self.quick_statements = QuickStatements()
        self._commits = 0
        self._bounded: dict[str, bool] = {}

    async def fetch(self, raw: aiosqlite.Connection, sql: str, args: Sequence[Any]) -> Sequence[Any]:
        """The rows of a statement, as tuples."""
        if is_write(sql):
            return await self._write(raw, fetch, sql, args)
        if self.quick_statements.is_quick(sql):
            return await self._fetch_quick(raw, sql, args)
        return await self._run(raw, fetch, sql, args)

    async def fetch_objects(
        self, raw: aiosqlite.Connection, sql: str, args: Sequence[Any], reader: RowReader
    ) -> list[Any]:
        """The objects that `reader` makes of a statement's rows; of a large result in batches, while it arrives."""
        if is_write(sql):
            return await read_in_batches(reader, await self._write(raw, fetch, sql, args))
        if self.quick_statements.is_quick(sql):
            return await read_in_batches(reader, await self._fetch_quick(raw, sql, args))
        return await super().fetch_objects(raw, sql, args, reader)

    async def _fetch_quick(self, raw: aiosqlite.Connection, sql: str, args: Sequence[Any]) -> list[Any]:
        """The rows of a query that is known to be quick, fetched in this thread if it still is."""
        rows = self.quick_statements.run_read(raw._conn, fetch, sql, args)
        if rows is None:
            return await self._run(raw, fetch, sql, args)
        if self.quick_statements.should_yield():
            await asyncio.sleep(0)
        return rows

    async def execute(self, raw: aiosqlite.Connection, sql: str, args: Sequence[Any]) -> Outcome:
        """Run a statement whose rows nobody wants."""
        if is_write(sql):
            return await self._write(raw, execute, sql, args)
        connection = raw._conn
        if self.quick_statements.enabled and isinstance(connection, ORMConnection) and _is_cheap(connection, sql):
            outcome = self.quick_statements.run_write(connection, execute, sql, args)
            if outcome is not None:
                self._commits += sql == "COMMIT"
                return outcome
        return await super().execute(raw, sql, args)

    async def _run(
        self, raw: aiosqlite.Connection, function: StatementFunction[ResultT], sql: str, args: Sequence[Any]
    ) -> ResultT:
        return await run_in_thread(raw, self.quick_statements.measure, function, sql, args)

    async def _write(
        self, raw: aiosqlite.Connection, function: StatementFunction[ResultT], sql: str, args: Sequence[Any]
    ) -> ResultT:
        if CursorStream.running:
            await CursorStream.drain(raw)
        connection = raw._conn
        quick = self.quick_statements.is_quick(sql)
        if raw.in_transaction:
            # What takes too long cannot be ended there: the whole transaction would be.
            if quick and self._is_bounded(connection, sql, args):
                if open_trackers:
                    count_round_trip()
                return function(connection, sql, args)
            return await self._run(raw, function, sql, args)
        await self.writer_lock.acquire()
        try:
            result = None
            if quick and isinstance(connection, ORMConnection):
                result = self.quick_statements.run_write(connection, function, sql, args)
            if result is None:
                return await self._run(raw, function, sql, args)
            self._commits += 1
        finally:
            self.writer_lock.release()
        await self.after_commit(raw)
        return result

    def _is_bounded(self, connection: sqlite3.Connection, sql: str, args: Sequence[Any]) -> bool:
        """Whether a statement never writes more rows than its text has, however many the table does."""
        known = self._bounded.get(sql)
        if known is None:
            if len(self._bounded) > MAX_KNOWN_STATEMENTS:
                self._bounded.clear()
            known = self._bounded[sql] = _inserts_values(sql) or _updates_one(connection, sql, args)
        return known

    async def after_commit(self, raw: aiosqlite.Connection) -> None:
        """See to what commits in this thread leave to do, once in a while; others may write meanwhile."""
        if self._commits >= COMMITS_PER_CHECKPOINT:
            self._commits = 0
            await run_in_thread(raw, _checkpoint)
        elif self.quick_statements.should_yield():
            await asyncio.sleep(0)


def _is_cheap(connection: ORMConnection, sql: str) -> bool:
    """Whether a statement begins or ends a transaction, or a part of one, with little to do."""
    if sql.startswith("BEGIN"):
        connection.changes_before = connection.total_changes
        return True
    if sql in ("COMMIT", "ROLLBACK"):
        return connection.total_changes - connection.changes_before <= FEW_ROWS
    return sql.startswith(("SAVEPOINT ", "RELEASE SAVEPOINT "))


def _inserts_values(sql: str) -> bool:
    return first_word(sql) == "INSERT" and " SELECT " not in sql


def _updates_one(connection: sqlite3.Connection, sql: str, args: Sequence[Any]) -> bool:
    """Whether an UPDATE finds its only row by its key."""
    if first_word(sql) != "UPDATE":
        return False
    steps = connection.execute("EXPLAIN QUERY PLAN " + sql, args).fetchall()
    return len(steps) == 1 and BY_KEY.fullmatch(steps[0][3]) is not None


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
