"""The driver of `orm.Database` for SQLite: one writer at a time, and quick statements on the event loop's thread."""

import asyncio
import re
import sqlite3
from collections.abc import Sequence
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
from orm.database.sqlite.quick_statements import MAX_KNOWN_STATEMENTS, QuickStatements
from orm.database.sqlite.writer_lock import WriterLock
from orm.utils.row_batches import RowReader, read_in_batches

ResultT = TypeVar("ResultT")

# Ending a transaction that has changed no more rows is quick.
MAX_ROWS_OF_QUICK_END = 100
# After so many commits on the event loop's thread the log is copied to the database, on the connection's thread, which
# waits for the disk.
COMMITS_PER_CHECKPOINT = 250
BY_KEY = re.compile(r"SEARCH \S+ USING INTEGER PRIMARY KEY \(rowid=\?\)")


class SerializedWriterDriver(AiosqliteDriver):
    """aiosqlite with one writer at a time, whose quick statements run on the event loop's thread."""

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
        """The rows of a query that is known to be quick, fetched on this thread if it still is."""
        rows = self.quick_statements.run_read(raw._conn, fetch, sql, args)
        if rows is None:
            return await self._run(raw, fetch, sql, args)
        if self.quick_statements.should_yield():
            await asyncio.sleep(0)
        return rows

    async def execute(self, raw: aiosqlite.Connection, sql: str, args: Sequence[Any]) -> Outcome:
        """Execute a statement and discard any rows."""
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
            # Aborting the statement would abort the transaction, so only one that cannot take long runs here.
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
        """Whether the number of rows that a statement writes does not depend on how many the table has."""
        known = self._bounded.get(sql)
        if known is None:
            if len(self._bounded) > MAX_KNOWN_STATEMENTS:
                self._bounded.clear()
            known = self._bounded[sql] = _inserts_values(sql) or _updates_one(connection, sql, args)
        return known

    async def after_commit(self, raw: aiosqlite.Connection) -> None:
        """Checkpoint after a number of commits on this thread, without the lock; give other tasks a turn."""
        if self._commits >= COMMITS_PER_CHECKPOINT:
            self._commits = 0
            await run_in_thread(raw, _checkpoint)
        elif self.quick_statements.should_yield():
            await asyncio.sleep(0)


def _is_cheap(connection: ORMConnection, sql: str) -> bool:
    """Whether a statement begins or ends a transaction or a savepoint with little work to do."""
    if sql.startswith("BEGIN"):
        connection.changes_before = connection.total_changes
        return True
    if sql in ("COMMIT", "ROLLBACK"):
        return connection.total_changes - connection.changes_before <= MAX_ROWS_OF_QUICK_END
    return sql.startswith(("SAVEPOINT ", "RELEASE SAVEPOINT "))


def _inserts_values(sql: str) -> bool:
    return first_word(sql) == "INSERT" and " SELECT " not in sql


def _updates_one(connection: sqlite3.Connection, sql: str, args: Sequence[Any]) -> bool:
    """Whether a statement is an UPDATE of a single row, looked up by its key."""
    if first_word(sql) != "UPDATE":
        return False
    steps = connection.execute("EXPLAIN QUERY PLAN " + sql, args).fetchall()
    return len(steps) == 1 and BY_KEY.fullmatch(steps[0][3]) is not None


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
