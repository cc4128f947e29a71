"""Quick statements of SQLite, which run on the event loop's thread."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from orm.database.connections.database import Database
from orm.database.connections.statements import execute, fetch
from orm.database.sqlite.managed_driver import COMMITS_PER_CHECKPOINT, SerializedWriterDriver
from orm.database.sqlite.quick_statements import CAN_LIMIT_BYTES, MAX_WAITS, SQLITE_INTERRUPT, is_interrupted
from orm.exceptions import UniqueViolation

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not CAN_LIMIT_BYTES, reason="before Python 3.11, all statements run on their thread"),
]

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


def is_quick(database: Database, sql: str, *args: Any) -> bool:
    return driver_of(database).quick_statements.bounds(sql, args) is not None


async def run(database: Database, sql: str, *args: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement; of a write none."""
    if sql.startswith("SELECT"):
        return await rows(database, sql, *args)
    await execute(database, sql, args)
    return []


async def learn(database: Database, sql: str, *args: Any) -> None:
    """Run a statement until it is known to be quick."""
    for _ in range(300):  # the machine may be busy
        if is_quick(database, sql, *args):
            return
        await execute(database, sql, args) if sql == TOUCH else await rows(database, sql, *args)
    raise AssertionError(f"not quick: {sql}")


def watched(database: Database) -> list[int]:
    """The threads that statements run on, with the connection that is idle now."""
    threads: list[int] = []
    pool = database._backend.pool
    raw = pool.acquire_nowait()
    raw._conn.set_trace_callback(lambda _: threads.append(threading.get_ident()))
    pool.release_nowait(raw)
    return threads


@pytest.mark.parametrize("memory", [False, True])
async def test_statement_that_was_quick_runs_on_the_loop_thread(path: Path, memory: bool) -> None:
    async with Database("sqlite://" if memory else f"sqlite:///{path}") as database:
        threads = watched(database)
        await learn(database, "SELECT ?", 1)
        assert threading.get_ident() not in threads
        threads.clear()
        assert await rows(database, "SELECT ?", 2) == [(2,)]
        assert threads == [threading.get_ident()]


async def test_statement_that_takes_too_many_steps_runs_on_its_thread_for_good(path: Path) -> None:
    async with Database(f"sqlite:///{path}") as database:
        await learn(database, COUNT, 10)
        for _ in range(MAX_WAITS):  # on a busy machine it may have waited
            assert await rows(database, COUNT, 1_000_000) == [(1_000_000,)]
        threads = watched(database)
        for _ in range(200):  # or it would be ended and run again each time
            assert await rows(database, COUNT, 10) == [(10,)]
        assert threading.get_ident() not in threads
        assert not is_quick(database, COUNT, 10)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM notes",
        "SELECT * FROM notes WHERE text REGEXP 'a+'",
        "SELECT orm_casefold(text) FROM notes",
        "SELECT randomblob(10)",
        "PRAGMA user_version",
        "SELECT * FROM found WHERE found MATCH 'a'",
        "DELETE FROM notes",
        "INSERT INTO watched (id) VALUES ((SELECT coalesce(max(id), 0) + 1 FROM watched))",
    ],
)
async def test_statement_whose_time_has_no_bound_stays_on_its_thread(path: Path, sql: str) -> None:
    async with Database(f"sqlite:///{path}", max_size=1) as database:
        await execute(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        await execute(database, "CREATE VIRTUAL TABLE found USING fts5(text)")
        await execute(database, "CREATE TABLE watched (id INTEGER PRIMARY KEY)")
        await execute(
            database, "CREATE TRIGGER copy AFTER INSERT ON watched BEGIN INSERT INTO notes (text) VALUES ('x'); END"
        )
        threads = watched(database)
        for _ in range(20):
            await rows(database, sql)
        assert threads and threading.get_ident() not in threads
        async with database.transaction():
            await rows(database, sql)
            assert threads[-1] != threading.get_ident()
        assert not is_quick(database, sql)


READ = "SELECT text FROM notes WHERE id = ?"
WRITE = "UPDATE notes SET text = ? WHERE id = ?"
FIND = "SELECT id FROM notes WHERE text LIKE ? AND id = ?"


@pytest.mark.parametrize("transaction", [False, True])
@pytest.mark.parametrize(
    ("sql", "small", "large"),
    [
        (READ, (1,), (2,)),
        (WRITE, ("a", 1), ("x" * 100_000, 1)),
        (WRITE, ("a", 1), ("\N{SNOWMAN}" * 30_000, 1)),
        ("UPDATE notes SET n = ? WHERE id = ?", (1, 1), (1, 2)),
        ("UPDATE notes SET text = text || ? WHERE id = ?", ("a", 1), ("a", 2)),
        ("INSERT INTO notes (text, n) VALUES (?, ?)", ("a", 1), ("x" * 100_000, 1)),
        (FIND, ("%a%", 1), ("%aaaa%" * 200, 1)),
        (FIND, ("%a%", 1), ("%a%", 3)),
    ],
)
async def test_large_values_are_read_and_written_on_the_thread(
    path: Path, sql: str, small: tuple[Any, ...], large: tuple[Any, ...], transaction: bool
) -> None:
    async with Database(f"sqlite:///{path}", max_size=1) as database:
        await execute(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, n INTEGER)")
        texts = ("a", "b" * 100_000, "a" * 9000)
        await execute(database, "INSERT INTO notes (text, n) VALUES (?, 0), (?, 0), (?, 0)", texts)
        for _ in range(300):
            await run(database, sql, *small)
            if is_quick(database, sql, *small):
                break
        else:
            raise AssertionError(f"not quick: {sql}")
        threads = watched(database)
        expected = sqlite3.connect(path, isolation_level=None)
        before = expected.execute("SELECT * FROM notes ORDER BY id").fetchall()
        if transaction:
            async with database.transaction():
                await run(database, sql, *small)
                result = await run(database, sql, *large)
        else:
            result = await run(database, sql, *large)
        statement = threads[-2] if transaction else threads[-1]
        assert statement != threading.get_ident()
        # It did what it does elsewhere, once.
        copy = sqlite3.connect(":memory:", isolation_level=None)
        copy.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, n INTEGER)")
        copy.executemany("INSERT INTO notes VALUES (?, ?, ?)", before)
        if transaction:
            copy.execute(sql, small)
        assert copy.execute(sql, large).fetchall() == result
        everything = "SELECT * FROM notes ORDER BY id"
        assert expected.execute(everything).fetchall() == copy.execute(everything).fetchall()
        assert expected.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        expected.close()
        copy.close()


async def test_commit_of_large_writes_runs_on_the_thread(path: Path) -> None:
    async with Database(f"sqlite:///{path}", max_size=1) as database:
        await execute(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        insert = "INSERT INTO notes (text) VALUES (?)"
        await learn(database, insert, "a")
        threads = watched(database)
        for values, is_small in ((["a"] * 5, True), (["a" * 100_000], False), (["a" * 40_000] * 8, False)):
            async with database.transaction():
                for value in values:
                    await rows(database, insert, value)
            assert (threads[-1] == threading.get_ident()) is is_small
        async with database.transaction():
            await database.execute("INSERT INTO notes (text) VALUES (:text)", {"text": "a" * 100_000})
        assert threads[-1] != threading.get_ident()


async def test_with_synchronous_full_commits_run_on_the_thread(path: Path) -> None:
    async with Database(f"sqlite:///{path}", max_size=1, synchronous="full") as database:
        await execute(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER)")
        threads = watched(database)
        for key in range(20):
            await execute(database, INSERT, (key,))
        assert threading.get_ident() not in threads
        async with database.transaction():
            await execute(database, INSERT, (20,))
            assert threads[-1] == threading.get_ident()
        assert threads[-1] != threading.get_ident()
        assert await rows(database, "SELECT count(*) FROM notes") == [(21,)]


async def test_commit_after_a_checkpoint_runs_on_the_thread(path: Path) -> None:
    """It begins the log anew, and waits for the disk."""
    async with Database(f"sqlite:///{path}", max_size=1) as database:
        await execute(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER)")
        await learn(database, INSERT, 1)
        driver = driver_of(database)
        key = 2
        while driver._commits:
            key += 1
            await execute(database, INSERT, (key,))
        threads = watched(database)
        await execute(database, INSERT, (key + 1,))
        assert threading.get_ident() not in threads
        await execute(database, INSERT, (key + 2,))
        assert threads[-1] == threading.get_ident()


async def test_statements_of_a_table_that_is_made_anew_are_explained_again(path: Path) -> None:
    """SQLite crashes when it explains what it has compiled before."""
    async with Database(f"sqlite:///{path}") as database:
        for number in range(20):
            await execute(
                database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER UNIQUE REFERENCES notes (id))"
            )
            for sql in (
                "SELECT count(*) FROM notes",
                "SELECT n FROM notes WHERE n = 1",
                "DELETE FROM notes WHERE id = 1",
            ):
                for _ in range(2):
                    await asyncio.gather(*(rows(database, sql) for _ in range(number % 3 + 1)))
            await execute(database, "DROP TABLE notes")


async def test_statement_that_waits_again_and_again_runs_on_its_thread(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Database(f"sqlite:///{path}", max_size=1) as database:
        await learn(database, "SELECT ?", 1)
        monkeypatch.setattr("orm.database.sqlite.quick_statements.MAX_SECONDS", -1.0)  # each run is too long
        for _ in range(MAX_WAITS):
            assert is_quick(database, "SELECT ?", 1)
            assert await rows(database, "SELECT ?", 1) == [(1,)]
        assert not is_quick(database, "SELECT ?", 1)
        monkeypatch.undo()
        for _ in range(10):
            assert await rows(database, "SELECT ?", 1) == [(1,)]
        assert not is_quick(database, "SELECT ?", 1)


async def test_change_of_the_schema_forgets_what_was_quick(path: Path) -> None:
    async with Database(f"sqlite:///{path}", max_size=1) as database:
        await execute(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER)")
        await execute(database, "CREATE TABLE other (id INTEGER)")
        await learn(database, INSERT, 1)
        await database.execute("CREATE TRIGGER copy AFTER INSERT ON notes BEGIN INSERT INTO other VALUES (1); END")
        for key in range(2, 10):
            await execute(database, INSERT, (key,))
        assert not is_quick(database, INSERT, 1)
        assert await rows(database, "SELECT count(*) FROM other") == [(8,)]


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
    monkeypatch.setattr("orm.database.sqlite.quick_statements.MAX_SECONDS_IN_A_ROW", 0.0)  # each statement is slower
    async with Database(f"sqlite:///{path}", max_size=1) as database:
        await learn(database, "SELECT ?", 1)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        for _ in range(64):
            await rows(database, "SELECT ?", 1)
        ticking.cancel()
        assert ticks >= 60


async def test_aborted_write_is_executed_once(path: Path) -> None:
    async with Database(f"sqlite:///{path}") as database:
        await execute(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER)")
        await execute(
            database,
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
            " INSERT INTO notes SELECT i, 0 FROM n",
        )
        await learn(database, TOUCH, 0)
        for times in range(1, MAX_WAITS + 1):  # on a busy machine it may have waited
            assert (await execute(database, TOUCH, (20_000,))).rowcount == 20_000
            assert await rows(database, "SELECT DISTINCT n FROM notes") == [(times,)]
        assert not is_quick(database, TOUCH, 1)


async def test_write_that_is_ended_after_its_last_step_has_no_effect(path: Path) -> None:
    """SQLite asks whether to go on after the last step as well, when the row of a single statement is committed.

    A test cannot choose that moment, so here the function raises SQLite's error after its statement.
    """
    insert = "INSERT INTO people (boss) VALUES (?) RETURNING id"

    def insert_late(connection: sqlite3.Connection, sql: str, args: Sequence[Any]) -> list[Any]:
        connection.execute(sql, args).fetchall()
        error = sqlite3.OperationalError("interrupted")
        error.sqlite_errorcode = SQLITE_INTERRUPT  # type: ignore[attr-defined]  # Python 3.11
        raise error

    async with Database(f"sqlite:///{path}") as database:
        await execute(database, "CREATE TABLE people (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES people (id))")
        await execute(database, "CREATE INDEX people_by_boss ON people (boss)")
        await learn(database, insert, None)
        quick = driver_of(database).quick_statements
        bounds = quick.bounds(insert, (1,))
        assert bounds is not None and not bounds.is_straight
        before = await rows(database, "SELECT id FROM people")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            assert quick.run(connection, insert_late, insert, (1,), bounds) is None
            assert not connection.in_transaction
        assert await rows(database, "SELECT id FROM people") == before


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
        known = {sql: bounds.is_straight for sql, bounds in driver_of(database).quick_statements._quick.items()}
        assert known.items() >= {INSERT: True, TOUCH: False, one: True}.items()
        assert await rows(database, "SELECT count(*), min(n), max(n), sum(n) FROM notes") == [(20_000, 1, 2, 20_003)]


async def test_failed_statement_on_the_loop_thread_raises_its_error(path: Path) -> None:
    async with Database(f"sqlite:///{path}") as database:
        await execute(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER)")
        keys = itertools.count()
        while not is_quick(database, INSERT, 1):  # the machine may be busy
            await execute(database, INSERT, (next(keys),))
        last = next(keys)
        with pytest.raises(UniqueViolation):
            await execute(database, INSERT, (0,))
        async with database.transaction():
            await execute(database, INSERT, (last,))
            with pytest.raises(UniqueViolation):
                async with database.transaction():
                    await execute(database, INSERT, (last + 1,))
                    await execute(database, INSERT, (0,))
        assert await rows(database, "SELECT max(id), count(*) FROM notes") == [(last, last + 1)]


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
        assert not is_quick(database, "SELECT ?", 1)
    reader.close()


async def test_with_check_same_thread_no_statement_runs_on_the_loop_thread(path: Path) -> None:
    async with Database(f"sqlite:///{path}", check_same_thread=True) as database:
        for value in range(3):
            assert await rows(database, "SELECT ?", value) == [(value,)]
        assert not is_quick(database, "SELECT ?", 1)


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
        for _ in range(100):
            assert await rows(database, COUNT, 200) == [(200,)]
        assert is_quick(database, COUNT, 200)


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
        assert not driver.writer_lock.locked()
        async with database.transaction():
            for _ in range(2):
                key += 1
                await execute(database, INSERT, (key + 1,))
        assert (await writing).rowcount == 1
        assert driver._commits == 1


@pytest.mark.parametrize("value", [1, 5, None], ids=["inserted", "no such row", "null"])
def test_statement_that_is_ended_at_any_step_is_interrupted_or_complete(value: int | None) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    connection.execute("CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent)")
    connection.execute("INSERT INTO parent VALUES (1)")
    outcomes = set()
    for last in range(1, 60):
        steps = itertools.count(1)
        connection.set_progress_handler(lambda steps=steps, last=last: next(steps) >= last, 1)  # type: ignore[misc]
        try:
            connection.execute("INSERT INTO child (parent) VALUES (?)", (value,))
            outcomes.add("inserted")
        except sqlite3.IntegrityError:
            outcomes.add("refused")
        except sqlite3.OperationalError as error:
            assert is_interrupted(error), error
            outcomes.add("interrupted")
        finally:
            connection.set_progress_handler(None, 1)
        assert not connection.in_transaction
    assert outcomes == {"interrupted", "inserted" if value == 1 else "refused"}
    connection.close()
