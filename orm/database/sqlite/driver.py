"""SQLite through aiosqlite: each call makes one trip to the connection's thread."""

import asyncio
import contextlib
import functools
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import aiosqlite
import databases

from orm.database.connections.databases_internals import pool_of
from orm.database.connections.driver import CursorStream, Outcome, RowStream
from orm.database.query_log.events import count_round_trip
from orm.database.sqlite.connection_classes import ORMConnection, register_functions
from orm.utils.gc_control import call_with_gc_paused
from orm.utils.row_batches import BATCH_ROWS, RowReader

ResultT = TypeVar("ResultT")
StatementFunction = Callable[[sqlite3.Connection, str, Sequence[Any]], ResultT]

# How many steps of SQLite's virtual machine, of some tens of nanoseconds each, a cancelled statement still runs.
STEPS_PER_CHECK = 10_000
# Statements that write no rows. Those that begin and end transactions get the writer lock elsewhere.
READS = frozenset(
    ["SELECT", "PRAGMA", "EXPLAIN", "VALUES", "BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"]
)
WRITING_WORD = re.compile(r"\b(?:INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)


def is_in_transaction(raw: aiosqlite.Connection) -> bool:
    """Whether the connection is in a transaction. A closed connection is not."""
    return raw._connection is not None and raw.in_transaction


@functools.lru_cache(maxsize=1024)
def is_write(sql: str) -> bool:
    """Whether a statement may write rows."""
    word = first_word(sql)
    if word == "WITH":
        return WRITING_WORD.search(sql) is not None
    return word not in READS


def first_word(sql: str) -> str:
    """The keyword that a statement begins with, in capitals."""
    words = sql.split(None, 1)
    return words[0].rstrip("(;").upper() if words else ""


class _Job:
    """A call in a connection's thread, which ends soon once it is `abandoned`."""

    __slots__ = ("_call", "_connection", "_end", "abandoned")

    def __init__(self, connection: sqlite3.Connection, call: Callable[[], Any]) -> None:
        self._connection = connection
        # The thread refers to its last job until the next one. The job must not keep all rows alive until then.
        self._call: Callable[[], Any] | None = call
        self.abandoned = False

    def run(self) -> Any:
        """Make the call, in the thread."""
        call, self._call = self._call, None
        assert call is not None
        # `interrupt()` would end every open cursor of the connection, that of a stream included.
        timeout = getattr(self._connection, "statement_timeout", None)
        self._end = None if timeout is None else time.monotonic() + timeout
        self._connection.set_progress_handler(self._must_end, STEPS_PER_CHECK)
        try:
            return call()
        finally:
            self._connection.set_progress_handler(None, STEPS_PER_CHECK)

    def _must_end(self) -> bool:
        return self.abandoned or (self._end is not None and time.monotonic() > self._end)


async def run_in_thread(raw: aiosqlite.Connection, function: Callable[..., ResultT], *args: Any) -> ResultT:
    """Call `function(sqlite3_connection, *args)` in the connection's thread.

    aiosqlite's public methods make a trip for each step, but a statement needs only one.
    """
    connection = raw._conn
    job = _Job(connection, functools.partial(function, connection, *args))
    count_round_trip()
    try:
        result: ResultT = await raw._execute(job.run)  # type: ignore[no-untyped-call]
    except asyncio.CancelledError:
        # End the statement, for which no task waits, and wait for the thread: only then is its effect known, and the
        # connection free for others. A second cancellation does not end the wait.
        job.abandoned = True
        idle = asyncio.ensure_future(raw._execute(_nothing))  # type: ignore[no-untyped-call]
        while not idle.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([idle])
        raise
    return result


def _nothing() -> None:
    return None


# A cursor that is open keeps the connection in its state of the database, also after COMMIT and ROLLBACK: later reads
# would miss what others have written, and writes would fail. An error's traceback keeps the cursor of its frames open,
# so each function that executes a statement closes its cursor after an error.


def fetch(connection: sqlite3.Connection, sql: str, args: Sequence[Any]) -> list[Any]:
    """The rows of a statement."""
    cursor = connection.execute(sql, args)
    try:
        return cursor.fetchall()
    except BaseException:
        cursor.close()
        raise


def read_full_batches(
    connection: sqlite3.Connection, sql: str, args: Sequence[Any], *, reader: RowReader, objects: list[Any]
) -> list[Any]:
    """Add the objects of each full batch of rows to `objects`; returns the rows of the last batch, which is not full.

    The last batch, for most results the only one, is left to the event loop's thread.
    """
    cursor = connection.execute(sql, args)
    try:
        while len(rows := cursor.fetchmany(BATCH_ROWS)) == BATCH_ROWS:
            objects += call_with_gc_paused(reader, rows)
    except BaseException:
        cursor.close()
        raise
    return rows


def _fetch_together(
    connection: sqlite3.Connection, statements: Sequence[tuple[str, Sequence[Any]]]
) -> list[Sequence[Any]]:
    if connection.in_transaction:
        return [fetch(connection, sql, args) for sql, args in statements]
    connection.execute("BEGIN")
    try:
        return [fetch(connection, sql, args) for sql, args in statements]
    finally:
        connection.rollback()


def execute(connection: sqlite3.Connection, sql: str, args: Sequence[Any]) -> Outcome:
    """Execute a statement and discard any rows."""
    cursor = connection.execute(sql, args)
    try:
        cursor.fetchall()  # a statement with RETURNING runs only as far as its rows are read
    except BaseException:
        cursor.close()
        raise
    return Outcome(cursor.rowcount, cursor.lastrowid if cursor.rowcount > 0 else None)


def fetch_described(connection: sqlite3.Connection, sql: str, args: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The description of a statement's columns, and its rows."""
    cursor = connection.execute(sql, args)
    try:
        return cursor.description, cursor.fetchall()
    except BaseException:
        cursor.close()
        raise


def fetch_first(connection: sqlite3.Connection, sql: str, args: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The description of a statement's columns, and its first row, if there is one."""
    cursor = connection.execute(sql, args)
    try:
        return cursor.description, cursor.fetchmany(1)
    finally:
        cursor.close()


async def open_cursor(raw: aiosqlite.Connection, sql: str, args: Sequence[Any]) -> sqlite3.Cursor:
    """A cursor of a statement, which the caller has to close in the connection's thread.

    If the task is cancelled when the thread has opened the cursor already, it is closed.
    """
    opened: list[sqlite3.Cursor] = []
    try:
        await run_in_thread(raw, lambda connection: opened.append(connection.execute(sql, args)))
    except BaseException:
        if opened:
            await close_cursor(raw, opened[0])
        raise
    return opened[0]


async def close_cursor(raw: aiosqlite.Connection, cursor: sqlite3.Cursor) -> None:
    """Close a cursor in its connection's thread."""
    await run_in_thread(raw, lambda _: cursor.close())


class AiosqliteDriver:
    """The calls of aiosqlite, on its connections (see `orm.database.connections.driver.Driver`)."""

    def __init__(self, *, managed: bool) -> None:
        self.managed = managed

    async def server(self, raw: aiosqlite.Connection) -> None:
        """The URL tells it."""

    async def prepare(self, raw: aiosqlite.Connection) -> None:
        """Register the functions on a connection that was opened before the ORM configured its database."""
        if not isinstance(raw._conn, ORMConnection):
            await run_in_thread(raw, register_functions)

    async def fetch(self, raw: aiosqlite.Connection, sql: str, args: Sequence[Any]) -> Sequence[Any]:
        """The rows of a statement, as tuples."""
        return await self._run(raw, fetch, sql, args)

    async def fetch_objects(
        self, raw: aiosqlite.Connection, sql: str, args: Sequence[Any], reader: RowReader
    ) -> list[Any]:
        """The objects that `reader` makes of a statement's rows; of a large result in batches, while it arrives."""
        objects: list[Any] = []
        rows = await self._run(raw, functools.partial(read_full_batches, reader=reader, objects=objects), sql, args)
        objects += call_with_gc_paused(reader, rows)
        return objects

    async def fetch_together(
        self, raw: aiosqlite.Connection, statements: Sequence[tuple[str, Sequence[Any]]]
    ) -> list[Sequence[Any]]:
        """The rows of each of several queries, in one trip."""
        return await run_in_thread(raw, _fetch_together, statements)

    async def fetch_named(
        self, raw: aiosqlite.Connection, sql: str, args: Sequence[Any]
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """The names of the columns, and the rows."""
        description, rows = await self._run(raw, fetch_described, sql, args)
        return [column[0] for column in description or ()], rows

    async def execute(self, raw: aiosqlite.Connection, sql: str, args: Sequence[Any]) -> Outcome:
        """Execute a statement and discard any rows."""
        return await self._run(raw, execute, sql, args)

    async def _run(
        self, raw: aiosqlite.Connection, function: StatementFunction[ResultT], sql: str, args: Sequence[Any]
    ) -> ResultT:
        """`function(sqlite3_connection, sql, args)` in the connection's thread."""
        if CursorStream.running and is_write(sql):
            await CursorStream.drain(raw)
        return await run_in_thread(raw, function, sql, args)

    async def stream(
        self, raw: aiosqlite.Connection, sql: str, args: Sequence[Any], *, in_transaction: bool
    ) -> RowStream:
        """Begin a query whose rows are read in batches, inside or outside of a transaction."""
        await CursorStream.drain(raw)
        cursor = await open_cursor(raw, sql, args)

        async def read(count: int) -> list[Any]:
            return await run_in_thread(raw, lambda _: cursor.fetchmany(count))

        async def read_all() -> list[Any]:
            return await run_in_thread(raw, lambda _: cursor.fetchall())

        async def close(finished: bool) -> None:
            await close_cursor(raw, cursor)

        return CursorStream(raw, read, read_all, close)

    async def configure(self, database: databases.Database) -> None:
        """Have a plain `databases.Database` open connections with the ORM's functions from now on."""
        pool_of(database)._options.setdefault("factory", ORMConnection)
