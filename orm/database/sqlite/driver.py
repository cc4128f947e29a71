"""SQLite through aiosqlite: each call makes one trip to the connection's thread."""

import asyncio
import contextlib
import functools
import re
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import aiosqlite
import databases

from orm.database.connections.driver import CursorStream, Outcome, RowStream
from orm.database.query_log.events import count_round_trip
from orm.database.sqlite import python_functions
from orm.utils.gc_control import call_with_gc_paused
from orm.utils.row_batches import BATCH_ROWS, RowReader

ResultT = TypeVar("ResultT")
StatementFunction = Callable[[sqlite3.Connection, str, Sequence[Any]], ResultT]

INTERRUPT_SECONDS = 0.01
# Statements that write no rows. Those that begin and end transactions get the writer lock elsewhere.
READS = frozenset(
    ["SELECT", "PRAGMA", "EXPLAIN", "VALUES", "BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"]
)
WRITING_WORD = re.compile(r"\b(?:INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)


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


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _regexp(pattern: str | None, value: object) -> bool | None:
    # SQLite turns `value REGEXP pattern` into `regexp(pattern, value)`.
    if pattern is None or value is None:
        return None
    return _compiled(pattern).search(str(value)) is not None


def _casefold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def register_functions(connection: sqlite3.Connection) -> None:
    """Register the functions that the ORM's SQL uses, and enforce foreign keys.

    Inside a transaction, foreign keys stay as they are.
    """
    connection.create_function("regexp", 2, _regexp, deterministic=True)
    connection.create_function("orm_casefold", 1, _casefold, deterministic=True)
    python_functions.register(connection)
    connection.execute("PRAGMA foreign_keys = ON")


class ORMConnection(sqlite3.Connection):
    """A connection of the standard library with the functions that the ORM's SQL uses."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.busy_timeout = round(options.get("timeout", 5.0) * 1000)
        """How long it waits for a lock, in milliseconds."""
        self.changes_before = 0
        """Its `total_changes` when the transaction began."""
        register_functions(self)


async def run_in_thread(raw: aiosqlite.Connection, function: Callable[..., ResultT], *args: Any) -> ResultT:
    """Call `function(sqlite3_connection, *args)` in the connection's thread.

    aiosqlite's public methods make a trip for each step, but a statement needs only one.
    """
    connection = raw._conn
    # The thread refers to its last job until it gets another one, and must not keep all rows alive until then.
    job = [functools.partial(function, connection, *args)]
    count_round_trip()
    try:
        result: ResultT = await raw._execute(_run, job)  # type: ignore[no-untyped-call]
    except asyncio.CancelledError:
        # Interrupt the statement, which no task waits for, and wait for the thread: only then is it known what the
        # statement did, and may the connection serve others. A second cancellation does not end the wait.
        idle = asyncio.ensure_future(raw._execute(_nothing))  # type: ignore[no-untyped-call]
        while not idle.done():
            connection.interrupt()  # has no effect on a statement that has not begun
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([idle], timeout=INTERRUPT_SECONDS)
        raise
    return result


def _run(job: list[Callable[[], ResultT]]) -> ResultT:
    return job.pop()()


def _nothing() -> None:
    return None


def _fetch_named(connection: sqlite3.Connection, sql: str, args: Sequence[Any]) -> tuple[list[str], list[Any]]:
    cursor = connection.execute(sql, args)
    return [column[0] for column in cursor.description or ()], cursor.fetchall()


def fetch(connection: sqlite3.Connection, sql: str, args: Sequence[Any]) -> list[Any]:
    """The rows of a statement."""
    return connection.execute(sql, args).fetchall()


def read_full_batches(
    connection: sqlite3.Connection, sql: str, args: Sequence[Any], *, reader: RowReader, objects: list[Any]
) -> list[Any]:
    """Add the objects of each full batch of rows to `objects`; returns the rows of the last batch, which is not full.

    The last batch, for most results the only one, is left to the event loop's thread.
    """
    cursor = connection.execute(sql, args)
    while len(rows := cursor.fetchmany(BATCH_ROWS)) == BATCH_ROWS:
        objects += call_with_gc_paused(reader, rows)
    return rows


def _fetch_together(
    connection: sqlite3.Connection, statements: Sequence[tuple[str, Sequence[Any]]]
) -> list[Sequence[Any]]:
    if connection.in_transaction:
        return [connection.execute(sql, args).fetchall() for sql, args in statements]
    connection.execute("BEGIN")
    try:
        return [connection.execute(sql, args).fetchall() for sql, args in statements]
    finally:
        connection.rollback()


def execute(connection: sqlite3.Connection, sql: str, args: Sequence[Any]) -> Outcome:
    """Execute a statement and discard any rows."""
    cursor = connection.execute(sql, args)
    cursor.fetchall()  # a statement with RETURNING runs only as far as its rows are read
    return Outcome(cursor.rowcount, cursor.lastrowid if cursor.rowcount > 0 else None)


def _open_cursor(connection: sqlite3.Connection, sql: str, args: Sequence[Any]) -> sqlite3.Cursor:
    return connection.execute(sql, args)


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
        return await self._run(raw, _fetch_named, sql, args)

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
        cursor = await run_in_thread(raw, _open_cursor, sql, args)

        async def read(count: int) -> list[Any]:
            return await run_in_thread(raw, lambda _: cursor.fetchmany(count))

        async def read_all() -> list[Any]:
            return await run_in_thread(raw, lambda _: cursor.fetchall())

        async def close(finished: bool) -> None:
            await run_in_thread(raw, lambda _: cursor.close())

        return CursorStream(raw, read, read_all, close)

    async def configure(self, database: databases.Database) -> None:
        """Have a plain `databases.Database` open connections with the ORM's functions from now on."""
        database._backend._pool._options.setdefault("factory", ORMConnection)
