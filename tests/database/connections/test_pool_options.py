"""The options of the pool, and what it does when it is closed, forked, overloaded or used from elsewhere."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace
from typing import Any

import pytest

import orm
from orm.database.connections import pool as pool_module
from orm.database.connections.database import Database
from orm.exceptions import ConnectionLost, InterfaceError, PoolTimeout, QueryTimeout
from tests.database.notes_table import add_note, create_notes, execute, fetch, texts
from tests.waiting import noticed_as_closed, until

pytestmark = pytest.mark.anyio

SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) "
    "SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(20)",
    "mysql": "SELECT COUNT(*) FROM information_schema.columns a, information_schema.columns b, "
    "information_schema.columns c",
}
# What of `SLOW` is still running at the server, for which it has a list.
RUNNING = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(20)'"
    " AND datname = current_database()",
    "mysql": "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
    " AND info LIKE '%%columns%%'",
}


async def hold(database: Database, end: asyncio.Event) -> None:
    async with database.connection() as connection:
        await connection.fetch_val("SELECT 1")
        await end.wait()


async def held(database: Database, count: int, end: asyncio.Event) -> list[asyncio.Task[None]]:
    """Tasks that hold so many connections until the event."""
    tasks = [asyncio.create_task(hold(database, end), name=f"holder {number}") for number in range(count)]
    await until(lambda: len(database.pool_status().holders) == count)
    return tasks


async def test_a_task_that_finds_no_connection_in_time_is_told_who_has_them(database_url: str) -> None:
    async with Database(database_url, max_size=2, acquire_timeout=0.1) as database:
        done = asyncio.Event()
        holders = await held(database, 2, done)
        with pytest.raises(PoolTimeout, match=r"within 0\.1 seconds.*max_size.*holder 0; holder 1 \(debug=True"):
            await database.fetch_val("SELECT 2")
        done.set()
        await asyncio.gather(*holders)
        assert await database.fetch_val("SELECT 2") == 2


async def test_debug_tells_the_line_that_took_each_connection(sqlite_url: str) -> None:
    async with Database(sqlite_url, max_size=1, acquire_timeout=0.1, debug=True) as database:
        done = asyncio.Event()
        holders = await held(database, 1, done)
        with pytest.raises(PoolTimeout, match=r"holder 0 at \S*test_pool_options\.py:\d+ in hold"):
            await database.fetch_val("SELECT 2")
        assert "test_pool_options.py" in database.pool_status().holders[0]
        done.set()
        await asyncio.gather(*holders)


async def test_pool_status_counts_connections_and_waiting_tasks(database_url: str) -> None:
    async with Database(database_url, max_size=2) as database:
        assert database.pool_status() == (2, 1, 0, 1, 0, ())
        done = asyncio.Event()
        holders = await held(database, 2, done)
        waiting = asyncio.create_task(fetch(database, "SELECT 3"))
        await until(lambda: database.pool_status().waiting)
        assert database.pool_status() == (2, 0, 2, 0, 1, ("holder 0", "holder 1"))
        done.set()
        assert await waiting == [(3,)]
        await asyncio.gather(*holders)
        assert database.pool_status() == (2, 2, 0, 0, 0, ())
    with pytest.raises(InterfaceError, match="not connected"):
        database.pool_status()


async def test_disconnect_fails_the_tasks_that_wait_for_a_connection(database_url: str) -> None:
    database = Database(database_url, max_size=1)
    await database.connect()
    done = asyncio.Event()
    holders = await held(database, 1, done)
    waiting = asyncio.create_task(fetch(database, "SELECT 3"))
    await until(lambda: database.pool_status().waiting)
    await database.disconnect()
    with pytest.raises(InterfaceError, match="was closed while this task waited"):
        await asyncio.wait_for(waiting, 30)
    done.set()
    await asyncio.gather(*holders)


async def test_the_maximum_holds_after_a_reconnect_with_connections_in_use(database_url: str) -> None:
    async with Database(database_url, max_size=2) as database:
        for _ in range(3):
            done = asyncio.Event()
            holders = await held(database, 2, done)
            await database.disconnect()
            await database.connect()
            done.set()
            await asyncio.gather(*holders)
        status = database.pool_status()
        assert (status.idle, status.in_use, status.free) == (1, 0, 1)


async def test_close_ends_what_is_in_use_after_its_timeout(database_url: str) -> None:
    database = Database(database_url)
    await database.connect()
    slow = asyncio.create_task(database.fetch_all(SLOW[database.url.dialect]))
    await asyncio.sleep(0.2)
    started = time.monotonic()
    await database.close(timeout=0.2)
    with pytest.raises((ConnectionLost, QueryTimeout, InterfaceError)):
        await slow
    assert time.monotonic() - started < 10
    if database.url.dialect in RUNNING:  # the servers do not notice a closed connection while they run a statement
        async with Database(database_url) as after:

            async def has_ended() -> bool:
                return not await fetch(after, RUNNING[database.url.dialect])

            await until(has_ended)


async def test_close_ends_transactions_and_those_that_wait_for_them(database_url: str) -> None:
    database = Database(database_url)
    await create_notes(database)
    has_written, is_closed = asyncio.Event(), asyncio.Event()

    async def write(number: int) -> None:
        async with database.transaction():
            await add_note(database, f"note {number}")
            has_written.set()
            await is_closed.wait()
            await fetch(database, "SELECT count(*) FROM notes")

    writers = [asyncio.create_task(write(number)) for number in range(4)]
    await has_written.wait()
    started = time.monotonic()
    await database.close(timeout=0.1)
    is_closed.set()
    results = await asyncio.gather(*writers, return_exceptions=True)
    assert all(isinstance(result, (ConnectionLost, InterfaceError)) for result in results), results
    assert time.monotonic() - started < 10
    assert await fetch(database, "SELECT count(*) FROM notes") == [(0,)]
    await database.disconnect()


async def test_connect_that_fails_midway_closes_what_it_has_opened(database_url: str) -> None:
    opened: list[Any] = []

    async def fail_later(raw: Any) -> None:
        opened.append(raw)
        if len(opened) == 2:
            raise ZeroDivisionError

    database = Database(database_url, min_size=3, on_connect=fail_later)
    with pytest.raises(ZeroDivisionError):
        await database.connect()
    assert not database.is_connected
    assert len(opened) == 2
    await noticed_as_closed(database, *opened)
    await database.connect()
    assert await fetch(database, "SELECT 1") == [(1,)]
    await database.disconnect()


async def test_statement_timeout_ends_a_statement(database_url: str) -> None:
    async with Database(database_url, statement_timeout=1) as database:
        started = time.monotonic()
        with pytest.raises(QueryTimeout):
            await database.fetch_all(SLOW[database.url.dialect])
        assert time.monotonic() - started < 10
        assert await fetch(database, "SELECT 1") == [(1,)]


async def test_timeouts_can_be_in_the_url(database_url: str) -> None:
    database = Database(f"{database_url}?acquire_timeout=0.5&max_idle=60&max_lifetime=600")
    options = database._backend.pool_options
    assert (options.acquire_timeout, options.max_idle, options.max_lifetime) == (0.5, 60, 600)
    async with database:
        assert await fetch(database, "SELECT 1") == [(1,)]
    for value in ("soon", "0", "-1", "nan", "inf"):
        with pytest.raises(InterfaceError, match="acquire_timeout is a number of seconds above 0"):
            Database(f"{database_url}?acquire_timeout={value}")


@pytest.mark.parametrize("option", ["max_lifetime", "max_idle"])
async def test_a_connection_is_replaced_when_its_time_is_over(
    database_url: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []

    async def record(raw: Any) -> None:
        opened.append(raw)

    options: dict[str, Any] = {option: 60, "on_connect": record}
    async with Database(database_url, **options) as database:
        await fetch(database, "SELECT 1")
        assert len(opened) == 1
        monkeypatch.setattr(pool_module, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 61))
        await fetch(database, "SELECT 1")
        assert len(opened) == 2
        assert database.pool_status()[:3] == (database.pool_status().max_size, 1, 0)


async def test_a_connection_that_was_idle_for_long_is_checked_before_it_is_lent(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "CHECK_SECONDS", 0.0)
    opened: list[Any] = []

    async def record(raw: Any) -> None:
        opened.append(raw)

    async def lost(raw: Any) -> None:
        raise ConnectionResetError

    async with Database(database_url, on_connect=record) as database:
        await fetch(database, "SELECT 1")
        assert len(opened) == 1
        monkeypatch.setattr(database._backend, "check", lost)
        await fetch(database, "SELECT 1")
        assert len(opened) == 2
        assert database.pool_status()[1:3] == (1, 0)


async def test_2000_tasks_on_five_connections_are_served_in_their_order(database_url: str) -> None:
    async with Database(database_url, max_size=5, acquire_timeout=300) as database:
        await create_notes(database, 10)

        async def work(number: int) -> None:
            started = time.monotonic()
            await fetch(database, "SELECT text FROM notes WHERE id = ?", 1 + number % 10)
            waits.append(time.monotonic() - started)
            served.append(number)

        for _ in range(5):  # the machine may be busy, for a while
            waits: list[float] = []
            served: list[int] = []
            await asyncio.gather(*(work(number) for number in range(2000)))
            assert len(waits) == 2000
            assert all(number - place < 10 for place, number in enumerate(served)), "a task overtook ten others"
            if max(waits) <= 3 * statistics.median(waits):
                break
        else:
            raise AssertionError("a task waited for more than three times the median")


async def test_tasks_beyond_the_timeout_are_refused_and_the_others_served(database_url: str) -> None:
    async with Database(database_url, max_size=1, acquire_timeout=0.3) as database:
        done = asyncio.Event()
        holders = await held(database, 1, done)
        results = await asyncio.gather(*(fetch(database, "SELECT 1") for _ in range(50)), return_exceptions=True)
        assert {type(result) for result in results} == {PoolTimeout}
        done.set()
        await asyncio.gather(*holders)
        assert await fetch(database, "SELECT 1") == [(1,)]
        assert database.pool_status()[1:5] == (1, 0, 0, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("running", [True, False], ids=["while the loop runs", "between two loops"])
async def test_the_child_of_a_fork_opens_connections_of_its_own(database_url: str, running: bool) -> None:
    async with Database(database_url) as database:
        await create_notes(database)
    program = f"""
        import asyncio, os, sys
        import orm

        database = orm.Database({database_url!r})

        async def write(text):
            await database.execute("INSERT INTO notes (text) VALUES (:text)", {{"text": text}})
            async with database.transaction():
                await database.execute("INSERT INTO notes (text) VALUES (:text)", {{"text": text + " too"}})

        def child():
            asyncio._set_running_loop(None)
            asyncio.run(asyncio.wait_for(write("child"), 60))
            os._exit(0)

        async def parent():
            await write("before")
            if {running}:
                fork()
            await write("after")

        def fork():
            number = os.fork()
            if number == 0:
                child()
            assert os.waitpid(number, 0)[1] == 0

        asyncio.run(parent())
        if not {running}:
            fork()
            asyncio.run(write("later"))
    """
    process = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    words = ("before", "child", "after") if running else ("before", "after", "child", "later")
    async with Database(database_url) as database:
        assert await texts(database) == [text for word in words for text in (word, f"{word} too")]


async def test_another_event_loop_and_no_event_loop_are_told_what_to_do(database: Database) -> None:
    await execute(database, "CREATE TABLE other (id INTEGER)")

    def elsewhere() -> None:
        asyncio.run(fetch(database, "SELECT 1"))

    with pytest.raises(InterfaceError, match="create a Database for each event loop or thread"):
        await asyncio.to_thread(elsewhere)

    def without_loop() -> None:
        coroutine = orm.Database("sqlite://").connect()
        try:
            coroutine.send(None)
        finally:
            coroutine.close()

    with pytest.raises(InterfaceError, match=r"runs on asyncio.*trio"):
        await asyncio.to_thread(without_loop)


async def test_values_that_the_driver_refuses_leave_no_lock_on_the_server(postgresql_url: str) -> None:
    """asyncpg parses a statement, and the server locks its tables, before it looks at the values."""
    async with Database(postgresql_url) as database, Database(postgresql_url) as other:
        await create_notes(database)
        for _ in range(2):
            with pytest.raises(orm.DataError):
                await fetch(database, "SELECT * FROM notes WHERE id = ?", "no number")
        await add_note(other, "from outside")
        async with other.transaction():
            await execute(other, "SET LOCAL lock_timeout = '2s'")
            await execute(other, "ALTER TABLE notes ADD COLUMN pages INTEGER")
