"""Driver errors are raised as classes that are both the ORM's and the driver's."""

from __future__ import annotations

import asyncio
import pickle
import sqlite3
import sys
import threading
from typing import Any

import asyncmy.errors
import asyncpg
import databases
import pytest

from orm import exceptions as ours
from orm.database.connections.checkout import Checkout
from orm.database.connections.database import Database
from orm.database.connections.errors import translate
from tests.database.notes_table import add_note, create_notes, execute, fetch
from tests.waiting import noticed_as_closed

pytestmark = pytest.mark.anyio


async def raised(database: databases.Database, sql: str, *args: Any) -> ours.Error:
    with pytest.raises(ours.Error) as info:
        await execute(database, sql, *args)
    return info.value


def driver_errors(database: databases.Database, name: str) -> type[Exception]:
    """The driver's class for one of PEP 249's."""
    if database.url.dialect == "sqlite":
        module: Any = sqlite3
    elif database.url.dialect == "postgresql":
        return {"IntegrityError": asyncpg.IntegrityConstraintViolationError}.get(name, asyncpg.PostgresError)
    else:
        # Not the attribute `pymysql.err`: Django's disguise of PyMySQL as MySQLdb puts a copy there.
        module = asyncmy.errors if isinstance(database, Database) else sys.modules["pymysql.err"]
    found: type[Exception] = getattr(module, name)
    return found


async def test_constraint_violations_have_their_error_classes(any_database: databases.Database) -> None:
    await create_notes(any_database, 1)
    await execute(any_database, "CREATE TABLE remarks (note INTEGER, FOREIGN KEY (note) REFERENCES notes (id))")
    await execute(any_database, "INSERT INTO remarks (note) VALUES (1)")
    cases: list[tuple[type[ours.Error], str]] = [
        (ours.UniqueViolation, "INSERT INTO notes (text) VALUES ('note 1')"),
        (ours.UniqueViolation, "INSERT INTO notes (id, text) VALUES (1, 'other')"),
        (ours.NotNullViolation, "INSERT INTO notes (text) VALUES (NULL)"),
        (ours.NotNullViolation, "INSERT INTO notes (views) VALUES (1)"),
        (ours.CheckViolation, "INSERT INTO notes (text, views) VALUES ('x', -1)"),
        (ours.ForeignKeyViolation, "INSERT INTO remarks (note) VALUES (7)"),
        (ours.ForeignKeyViolation, "DELETE FROM notes"),
    ]
    for expected, sql in cases:
        error = await raised(any_database, sql)
        assert type(error).__name__ == expected.__name__, sql
        assert isinstance(error, (expected, ours.IntegrityError))
        cause = error.__cause__
        assert cause is not None and not isinstance(cause, ours.Error)
        assert isinstance(error, type(cause)) and error.args == cause.args and str(error) == str(cause)
        if expected is not ours.NotNullViolation or any_database.url.dialect != "mysql":
            pep_249 = "OperationalError" if any_database.url.dialect == "mysql" else "IntegrityError"
            name = pep_249 if expected is ours.CheckViolation else "IntegrityError"
            assert isinstance(error, driver_errors(any_database, name)), sql


async def test_translated_error_keeps_the_drivers_attributes(database: Database) -> None:
    await create_notes(database, 1)
    error: Any = await raised(database, "INSERT INTO notes (text) VALUES ('note 1')")
    if database.url.dialect == "postgresql":
        assert error.sqlstate == "23505"
        assert error.constraint_name == "notes_text_key"
    elif database.url.dialect == "mysql":
        assert error.args[0] == 1062
        assert error.sqlstate == "23000"
    elif hasattr(error.__cause__, "sqlite_errorcode"):
        assert error.sqlite_errorcode == 2067
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert copy.args == error.args


async def test_invalid_statements_raise_programming_errors(any_database: databases.Database) -> None:
    for sql in ("SELECT * FROM nowhere", "SELEKT 1", "SELECT nothing", "CREATE TABLE", "DELETE FROM nowhere"):
        assert isinstance(await raised(any_database, sql), ours.ProgrammingError), sql


async def test_values_out_of_range_raise_data_errors(any_database: databases.Database) -> None:
    await create_notes(any_database, 1)
    sql = "UPDATE notes SET views = ?"
    assert isinstance(await raised(any_database, sql, 10**30), ours.DataError)
    if any_database.url.dialect == "sqlite":
        assert isinstance(await raised(any_database, sql, object()), ours.DataError)
    else:
        assert isinstance(await raised(any_database, sql, 2**40), ours.DataError)
        assert isinstance(await raised(any_database, "UPDATE notes SET text = ?", "x" * 60), ours.DataError)
        assert isinstance(await raised(any_database, sql, "many"), ours.DataError)
    assert isinstance(await raised(any_database, "UPDATE notes SET text = ?", "\ud800"), ours.DataError)
    assert await fetch(any_database, "SELECT views FROM notes") == [(1,)]


async def test_deadlock_raises_deadlock(database: Database) -> None:
    if database.url.dialect == "sqlite":
        pytest.skip("SQLite has one writer")
    await create_notes(database, 2)

    async def bump(first: int, second: int, mine: asyncio.Event, other: asyncio.Event) -> None:
        async with database.transaction():
            await execute(database, "UPDATE notes SET views = 7 WHERE id = ?", first)
            mine.set()
            await other.wait()
            await execute(database, "UPDATE notes SET views = 8 WHERE id = ?", second)

    one, two = asyncio.Event(), asyncio.Event()
    results = await asyncio.gather(bump(1, 2, one, two), bump(2, 1, two, one), return_exceptions=True)
    assert [type(result) for result in results].count(type(None)) == 1, results
    assert any(isinstance(result, ours.Deadlock) for result in results)


async def test_lock_waits_and_timeouts_have_their_error_classes(database: Database) -> None:
    await create_notes(database, 1)
    other = Database(database.url, timeout=0.1) if database.url.dialect == "sqlite" else Database(database.url)
    try:
        async with database.transaction():
            await execute(database, "UPDATE notes SET views = 2")
            async with other.connection():
                if database.url.dialect == "sqlite":
                    sql = "UPDATE notes SET views = 3"
                else:
                    sql = "SELECT * FROM notes FOR UPDATE NOWAIT"
                assert isinstance(await raised(other, sql), ours.LockNotAvailable)
    finally:
        await other.disconnect()
    if database.url.dialect == "postgresql":
        async with database.transaction(force_rollback=True):
            await execute(database, "SET LOCAL statement_timeout = 50")
            assert isinstance(await raised(database, "SELECT pg_sleep(5)"), ours.QueryTimeout)
            with pytest.raises(ours.TransactionError):
                await fetch(database, "SELECT 1")


async def test_killed_connection_raises_connection_lost(database: Database) -> None:
    kill = {
        "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})", "SELECT pg_sleep(20)"),
        "mysql": ("SELECT CONNECTION_ID()", "KILL {}", "SELECT SLEEP(20)"),
    }
    if database.url.dialect == "sqlite":
        pytest.skip("SQLite has no connections to kill")
    who, how, slow = kill[database.url.dialect]

    async def work(started: asyncio.Future[int]) -> None:
        async with Checkout(database) as checkout, checkout.transaction():
            [(number,)] = await checkout.fetch(who)
            started.set_result(number)
            await checkout.fetch(slow)

    for _ in range(3):
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(work(started))
        number = await started
        await asyncio.sleep(0.05)
        await fetch(database, how.format(number))
        with pytest.raises(ours.ConnectionLost):
            await task
    results = await asyncio.gather(*(fetch(database, "SELECT 1") for _ in range(20)))
    assert results == [[(1,)]] * 20


async def test_killed_idle_connections_are_replaced(database: Database) -> None:
    if database.url.dialect == "sqlite":
        pytest.skip("SQLite has no connections to kill")
    postgresql = database.url.dialect == "postgresql"
    everybody = asyncio.Event()
    numbers: list[int] = []

    async def look() -> None:
        async with Checkout(database) as checkout:
            [(number,)] = await checkout.fetch(f"SELECT {'pg_backend_pid' if postgresql else 'CONNECTION_ID'}()")
            numbers.append(number)
            if len(numbers) == 5:
                everybody.set()
            await everybody.wait()

    await asyncio.gather(*(look() for _ in range(5)))
    idle = [connection for connection, *_ in database._backend.pool._idle]
    async with Database(database.url) as other:
        for number in numbers:
            await fetch(other, f"SELECT pg_terminate_backend({number})" if postgresql else f"KILL {number}")
    await noticed_as_closed(database, *idle)
    assert await asyncio.gather(*(fetch(database, "SELECT 1") for _ in range(10))) == [[(1,)]] * 10


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres:hidden@127.0.0.1:1/shop",
        "mysql://root:hidden@127.0.0.1:1/shop",
        "mysql+aiomysql://root:hidden@127.0.0.1:1/shop",
        "sqlite:////nowhere/at/all/shop",
    ],
)
async def test_missing_server_raises_operational_error(url: str) -> None:
    database = Database(url)
    plain = databases.Database(url.replace("+aiomysql", ""))
    with pytest.raises(ours.OperationalError) as info:
        await fetch(plain, "SELECT 1")
    assert "hidden" not in str(info.value)
    for _ in range(2):
        with pytest.raises(ours.OperationalError, match="shop") as info:
            await database.connect()
        with pytest.raises(ours.OperationalError, match="shop"):
            await fetch(database, "SELECT 1")
    assert "hidden" not in str(info.value)
    assert "sqlite" in url or "127.0.0.1:1" in str(info.value)
    assert not database.is_connected
    await database.disconnect()
    # A plain database leaves aiosqlite's thread to speak its last word, which must not be to a closed loop.
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, 5)


async def test_missing_database_raises_operational_error(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite makes the file")
    url = databases.DatabaseURL(database_url).replace(database="no_such_database")
    with pytest.raises(ours.OperationalError, match="no_such_database"):
        await Database(url).connect()


async def test_methods_of_databases_raise_translated_errors(database: Database) -> None:
    await create_notes(database, 1)
    insert = "INSERT INTO notes (text) VALUES (:text)"
    with pytest.raises(ours.UniqueViolation):
        await database.execute(insert, {"text": "note 1"})
    with pytest.raises(ours.UniqueViolation):
        await database.execute_many(insert, [{"text": "new"}, {"text": "note 1"}])
    for method in (database.fetch_all, database.fetch_one, database.fetch_val):
        with pytest.raises(ours.ProgrammingError):
            await method("SELECT * FROM nowhere")
    with pytest.raises(ours.ProgrammingError):
        async for _ in database.iterate("SELECT * FROM nowhere"):
            pass
    await add_note(database, "goes on")


def test_translate_returns_none_for_other_errors() -> None:
    assert translate(KeyError("x")) is None
    assert translate(ValueError("x")) is None
    assert translate(asyncio.CancelledError()) is None
    mine = ours.DataError("x")
    assert translate(mine) is mine
    translated = translate(OverflowError("Python int too large to convert to SQLite INTEGER"))
    assert isinstance(translated, ours.DataError) and isinstance(translated, OverflowError)


def test_sqlite_errors_without_codes_are_classified_by_message() -> None:
    """As on Python 3.10, where only the message tells."""
    cases = {
        "UNIQUE constraint failed: notes.id": ours.UniqueViolation,
        "FOREIGN KEY constraint failed": ours.ForeignKeyViolation,
        "NOT NULL constraint failed: notes.text": ours.NotNullViolation,
        "CHECK constraint failed: views >= 0": ours.CheckViolation,
    }
    for message, expected in cases.items():
        assert isinstance(translate(sqlite3.IntegrityError(message)), expected)
    assert isinstance(translate(sqlite3.OperationalError("database is locked")), ours.LockNotAvailable)
    assert isinstance(translate(sqlite3.OperationalError("no such table: notes")), ours.ProgrammingError)
    assert isinstance(translate(sqlite3.OperationalError("disk I/O error")), ours.OperationalError)


def test_every_error_class_is_documented_and_derives_from_error() -> None:
    assert issubclass(ours.FieldError, (ours.Error, ValueError)) and issubclass(ours.QueryError, ValueError)
    for name in ours.__all__:
        error = getattr(ours, name)
        assert error.__doc__ and (issubclass(error, ours.Error) or name == "ValidationError")
