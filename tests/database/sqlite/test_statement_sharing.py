"""Statements that share a connection of SQLite, and those that asyncmy may prepare."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from orm.database.connections.database import Database
from orm.database.connections.session import fetch_rows, run_sql
from orm.database.mysql.prepared_statements import can_be_prepared, is_safe
from orm.exceptions import LockNotAvailable, ProgrammingError

pytestmark = pytest.mark.anyio

SLOW = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT max(i) FROM n"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'shared.db'}"


async def number(database: Database, value: int) -> int:
    found: int = (await fetch_rows(database, "SELECT ?", (value,)))[0][0]
    return found


async def cancelled(task: asyncio.Task[object]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("memory", [False, True])
async def test_each_of_many_gets_its_own_rows(url: str, memory: bool) -> None:
    async with Database("sqlite://" if memory else url) as database:
        found = await asyncio.gather(*(number(database, value) for value in range(500)))
        assert found == list(range(500))
        assert database._backend.pool.has_room


async def test_a_failure_is_that_of_its_own_task(url: str) -> None:
    async with Database(url) as database:
        found = await asyncio.gather(
            number(database, 1), fetch_rows(database, "SELECT nothing"), number(database, 2), return_exceptions=True
        )
        assert found[::2] == [1, 2]
        assert isinstance(found[1], ProgrammingError)


async def test_nobody_waits_for_a_slow_statement_while_there_is_another_connection(url: str) -> None:
    async with Database(url) as database:
        slow: asyncio.Task[object] = asyncio.create_task(fetch_rows(database, SLOW))
        await asyncio.sleep(0)
        found = await asyncio.wait_for(asyncio.gather(*(number(database, value) for value in range(50))), 20)
        assert found == list(range(50))
        assert not slow.done()
        await cancelled(slow)
        assert await number(database, 3) == 3


async def test_a_statement_that_took_long_runs_beside_the_others(url: str) -> None:
    long = SLOW.replace("1000000000", "100000")
    async with Database(url) as database:
        pace = database._backend.driver.pace  # type: ignore[attr-defined]
        assert not pace.is_long(long)
        assert list(map(tuple, await fetch_rows(database, long))) == [(100000,)]
        assert pace.is_long(long)
        assert not pace.is_long("SELECT 1")
        assert list(map(tuple, await fetch_rows(database, long))) == [(100000,)]


async def test_a_cancelled_statement_does_not_take_others_with_it(url: str) -> None:
    async with Database(url, max_size=1) as database:
        for _ in range(5):
            slow: asyncio.Task[object] = asyncio.create_task(fetch_rows(database, SLOW))
            others = [asyncio.create_task(number(database, value)) for value in range(20)]
            dropped = others.pop()
            await asyncio.sleep(0.001)
            dropped.cancel()
            await cancelled(slow)
            assert await asyncio.wait_for(asyncio.gather(*others), 20) == list(range(19))
            assert dropped.cancelled() or (await asyncio.gather(dropped, return_exceptions=True))


async def test_they_wait_for_a_connection_as_others_do(url: str) -> None:
    async with Database(url, max_size=1, timeout=0.05) as database:

        async def hold(held: asyncio.Event, enough: asyncio.Event) -> None:
            async with database.connection() as connection:
                await connection.fetch_one("SELECT 1")
                held.set()
                await enough.wait()

        held, enough = asyncio.Event(), asyncio.Event()
        holder = asyncio.create_task(hold(held, enough))
        await held.wait()
        found = await asyncio.gather(*(number(database, value) for value in range(5)), return_exceptions=True)
        assert [type(one).__mro__[0] for one in found] == [LockNotAvailable] * 5
        enough.set()
        await holder
        assert await number(database, 7) == 7


async def test_whoever_waits_for_the_connection_gets_it(url: str) -> None:
    async with Database(url, max_size=1) as database:
        await run_sql(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY)")
        over = asyncio.Event()

        async def read() -> None:
            while not over.is_set():
                await asyncio.gather(*(number(database, value) for value in range(10)))

        readers = [asyncio.create_task(read()) for _ in range(5)]
        await asyncio.sleep(0.01)
        async with database.transaction():
            await run_sql(database, "INSERT INTO notes VALUES (1)")
        over.set()
        await asyncio.gather(*readers)
        assert list(map(tuple, await fetch_rows(database, "SELECT id FROM notes"))) == [(1,)]


@pytest.mark.parametrize(
    ("sql", "safe"),
    [
        ("SELECT notes.id FROM notes WHERE notes.id = %s", True),
        ("SELECT `notes`.id FROM `notes` \nWHERE (`notes`.a >= %s OR `notes`.b IN (%s, %s)) \n LIMIT %s", True),
        ("INSERT INTO notes (a, b) VALUES (%s, %s) RETURNING notes.id", True),
        ("UPDATE notes SET a=%s, b=%s WHERE notes.id = %s", True),
        ("UPDATE notes SET a=a + %s WHERE notes.id = 1", False),
        ("SELECT concat(notes.a, %s) FROM notes", False),
        ("SELECT notes.id FROM notes WHERE notes.a = %s + 1", False),
        ("SELECT notes.a = %s, count(*) FROM notes GROUP BY notes.a = %s", False),
        ("SELECT CASE WHEN notes.a = %s THEN %s END FROM notes", False),
        ("SELECT 100 %% 7 FROM notes WHERE notes.a = %s", False),
        ("CALL work(%s)", False),
    ],
)
def test_a_placeholder_is_prepared_only_where_a_column_gives_it_its_type(sql: str, safe: bool) -> None:
    assert is_safe(sql) is safe


def test_values_that_are_not_prepared() -> None:
    sql = "SELECT a FROM notes WHERE a = %s"
    assert can_be_prepared(sql, (1,))
    assert can_be_prepared(sql, (None,))
    assert not can_be_prepared(sql, (1 << 63,))
    assert not can_be_prepared(sql, (b"bytes",))
    assert not can_be_prepared("SELECT a FROM notes", ())
