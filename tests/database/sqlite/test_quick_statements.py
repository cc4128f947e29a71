"""Quick statements of SQLite, which run on the event loop's thread."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from orm.database.connections.database import Database
from orm.database.connections.statements import execute, fetch
from orm.database.sqlite.managed_driver import COMMITS_PER_CHECKPOINT, SerializedWriterDriver
from orm.database.sqlite.quick_statements import PROBATION_RUNS
from orm.exceptions import UniqueViolation

pytestmark = pytest.mark.anyio

COUNT = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT max(i) FROM n"
INSERT = "INSERT INTO notes (id, n) VALUES (?, 0)"
TOUCH = "UPDATE notes SET n = n + 1 WHERE id <= ?"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "quick.db"


def driver_of(database: Database) -> SerializedWriterDriver:
    driver = database._backend.driver
    assert isinstance(driver, SerializedWriterDriver)
    return driver


async def rows(database: Database, sql: str, *args: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await fetch(database, sql, args)]


async def learn(database: Database, sql: str, *args: Any) -> None:
    """Run a statement until it is known to be quick."""
    for _ in range(3 * PROBATION_RUNS):
        if driver_of(database).quick_statements.is_quick(sql):
            return
        await execute(database, sql, args) if sql == TOUCH else await rows(database, sql, *args)
    raise AssertionError(f"not quick: {sql}")


def watched(database: Database) -> list[int]:
    """The threads that `SELECT here(…)` runs on, with the connection that is idle now."""
    threads: list[int] = []

    def here(value: int) -> int:
        threads.append(threading.get_ident())
        return value

    pool = database._backend.pool
    raw = pool.acquire_nowait()
    raw._conn.create_function("here", 1, here)
    pool.release_nowait(raw)
    return threads


@pytest.mark.parametrize("memory", [False, True])
async def test_statement_that_was_quick_runs_on_the_loop_thread(path: Path, memory: bool) -> None:
    async with Database("sqlite://" if memory else f"sqlite:///{path}") as database:
        threads = watched(database)
        await learn(database, "SELECT here(?)", 1)
        assert threading.get_ident() not in threads
        threads.clear()
        assert await rows(database, "SELECT here(?)", 2) == [(2,)]
        assert threads == [threading.get_ident()]


async def test_statement_that_takes_too_many_steps_runs_on_its_thread(path: Path) -> None:
    async with Database(f"sqlite:///{path}") as database:
        quick_statements = driver_of(database).quick_statements
        await learn(database, COUNT, 10)
        assert await rows(database, COUNT, 1_000_000) == [(1_000_000,)]
        assert not quick_statements.is_quick(COUNT)
        for _ in range(PROBATION_RUNS):  # or it would be aborted and run again each time
            assert await rows(database, COUNT, 10) == [(10,)]
            assert not quick_statements.is_quick(COUNT)
        await learn(database, COUNT, 10)
        assert await rows(database, COUNT, 10) == [(10,)]


async def test_event_loop_runs_while_a_statement_is_rerun_on_its_thread(path: Path) -> None:
    async with Database(f"sqlite:///{path}") as database:
        await learn(database, COUNT, 10)
        long = asyncio.create_task(rows(database, COUNT, 3_000_000))
        ticks = 0
        while not long.done():
            await asyncio.sleep(0.001)
            ticks += 1
        assert ticks > 10
        assert await long == [(3_000_000,)]


async def test_other_tasks_get_a_turn_between_quick_statements(path: Path) -> None:
    async with Database(f"sqlite:///{path}") as database:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        for value in range(320):
            assert await rows(database, "SELECT ?", value) == [(value,)]
        ticking.cancel()
        assert ticks >= 19


async def test_other_tasks_get_a_turn_after_slower_statements(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orm.database.sqlite.quick_statements.DISK_WAIT_SECONDS", 1.0)  # on a busy machine
    async with Database(f"sqlite:///{path}", max_size=1) as database:
        raw = database._backend.pool.acquire_nowait()
        raw._conn.create_function("wait", 0, lambda: time.sleep(0.0005))
        database._backend.pool.release_nowait(raw)
        await learn(database, "SELECT wait()")
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        for _ in range(64):
            await rows(database, "SELECT wait()")
        ticking.cancel()
        assert ticks >= 12


async def test_aborted_write_is_executed_once(path: Path) -> None:
    async with Database(f"sqlite:///{path}") as database:
        quick_statements = driver_of(database).quick_statements
        await execute(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER)")
        await execute(
            database,
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
            " INSERT INTO notes SELECT i, 0 FROM n",
        )
        await learn(database, TOUCH, 0)
        assert (await execute(database, TOUCH, (20_000,))).rowcount == 20_000
        assert await rows(database, "SELECT DISTINCT n FROM notes") == [(1,)]
        assert not quick_statements.is_quick(TOUCH)


async def test_in_a_transaction_only_bounded_writes_run_on_the_loop_thread(path: Path) -> None:
    """Aborting a statement would abort the transaction."""
    one = "UPDATE notes SET n = n + 1 WHERE id = ?"
    async with Database(f"sqlite:///{path}") as database:
        await execute(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER)")
        await learn(database, TOUCH, 0)
        async with database.transaction():
            for key in range(1, 20_001):
                await execute(database, INSERT, (key,))
            assert (await execute(database, TOUCH, (20_000,))).rowcount == 20_000
            for key in (1, 2, 3, 20_001):
                assert (await execute(database, one, (key,))).rowcount == (key < 20_000)
        assert driver_of(database)._bounded == {INSERT: True, TOUCH: False, one: True}
        assert await rows(database, "SELECT count(*), min(n), max(n), sum(n) FROM notes") == [(20_000, 1, 2, 20_003)]


async def test_failed_statement_on_the_loop_thread_raises_its_error(path: Path) -> None:
    async with Database(f"sqlite:///{path}") as database:
        await execute(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER)")
        quick_statements = driver_of(database).quick_statements
        for key in range(10):
            await execute(database, INSERT, (key,))
        assert quick_statements.is_quick(INSERT)
        with pytest.raises(UniqueViolation):
            await execute(database, INSERT, (1,))
        async with database.transaction():
            await execute(database, INSERT, (10,))
            with pytest.raises(UniqueViolation):
                async with database.transaction():
                    await execute(database, INSERT, (11,))
                    await execute(database, INSERT, (1,))
        assert await rows(database, "SELECT max(id), count(*) FROM notes") == [(10, 11)]


async def test_write_of_another_process_is_waited_for_on_the_connection_thread(path: Path) -> None:
    async with Database(f"sqlite:///{path}") as database:
        await execute(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER)")
        for key in range(10):
            await execute(database, INSERT, (key,))
        other = sqlite3.connect(path, isolation_level=None)
        for write in (INSERT, "BEGIN"):
            other.execute("BEGIN IMMEDIATE")

            async def begin(sql: str = write) -> None:
                if sql == INSERT:
                    await execute(database, INSERT, (10,))
                else:
                    async with database.transaction():
                        await execute(database, INSERT, (11,))

            writing = asyncio.create_task(begin())
            for _ in range(20):
                await asyncio.sleep(0.002)
                assert not writing.done()
            other.execute("COMMIT")
            await asyncio.wait_for(writing, 20)
        other.close()
        assert await rows(database, "SELECT max(id) FROM notes") == [(11,)]


async def test_without_wal_no_statement_runs_on_the_loop_thread(path: Path) -> None:
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY)")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM notes").fetchall()
    async with Database(f"sqlite:///{path}", timeout=0.05) as database:
        assert await rows(database, "PRAGMA journal_mode") == [("delete",)]
        for value in range(3):
            assert await rows(database, "SELECT ?", value) == [(value,)]
        assert not driver_of(database).quick_statements.is_quick("SELECT ?")
    reader.close()


async def test_with_check_same_thread_no_statement_runs_on_the_loop_thread(path: Path) -> None:
    async with Database(f"sqlite:///{path}", check_same_thread=True) as database:
        for value in range(3):
            assert await rows(database, "SELECT ?", value) == [(value,)]
        assert not driver_of(database).quick_statements.is_quick("SELECT ?")


async def test_wal_is_checkpointed_after_a_number_of_commits(path: Path) -> None:
    async with Database(f"sqlite:///{path}", max_size=1) as database:
        await execute(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER)")
        for key in range(3 * COMMITS_PER_CHECKPOINT):
            await execute(database, INSERT, (key,))
        log = path.with_name(path.name + "-wal")
        assert log.stat().st_size < 4096 * 2 * COMMITS_PER_CHECKPOINT  # a page for each commit, and a few more
        assert await rows(database, "SELECT count(*) FROM notes") == [(3 * COMMITS_PER_CHECKPOINT,)]


async def test_steps_of_repeated_runs_do_not_add_up(path: Path) -> None:
    """SQLite's step counter carries over between runs."""
    async with Database(f"sqlite:///{path}") as database:
        await learn(database, COUNT, 200)
        for _ in range(PROBATION_RUNS):
            assert await rows(database, COUNT, 200) == [(200,)]
        assert driver_of(database).quick_statements._on_probation == {}


async def test_other_tasks_write_during_a_checkpoint(path: Path) -> None:
    async with Database(f"sqlite:///{path}") as database:
        await execute(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER)")
        driver = driver_of(database)
        key = 0
        while driver._commits < COMMITS_PER_CHECKPOINT - 1:
            key += 1
            await execute(database, INSERT, (key,))
        writing = asyncio.create_task(execute(database, INSERT, (key + 1,)))
        for _ in range(3):
            await asyncio.sleep(0)
        assert driver._commits == 0
        assert not driver.writer_lock._lock.locked()
        async with database.transaction():
            for _ in range(2):
                key += 1
                await execute(database, INSERT, (key + 1,))
        assert (await writing).rowcount == 1
        assert driver._commits == 1
