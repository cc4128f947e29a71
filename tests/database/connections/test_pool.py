"""The connection pool: the order of waiters, limits, and that no connection is lost when a task is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

import orm
from orm.database.connections.database import Database
from orm.database.connections.pool import Pool
from orm.exceptions import InterfaceError, LockNotAvailable
from tests.database.notes_table import fetch

pytestmark = pytest.mark.anyio


class Connection:
    """A connection with its number in the order of opening."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.open = True


class Maker:
    """Opens and closes connections, and records them."""

    def __init__(self) -> None:
        self.made: list[Connection] = []

    async def make(self) -> Connection:
        await asyncio.sleep(0)
        self.made.append(Connection(len(self.made)))
        return self.made[-1]

    async def close(self, connection: Connection) -> None:
        await asyncio.sleep(0)
        connection.open = False

    def pool(self, size: int, acquire_timeout: float | None = None) -> Pool[Connection]:
        return Pool(
            self.make, self.close, lambda connection: connection.open, max_size=size, acquire_timeout=acquire_timeout
        )


async def run_ready_tasks() -> None:
    """Let every task run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_nowait_methods_hand_out_and_take_back_idle_connections() -> None:
    maker = Maker()
    pool = maker.pool(2)
    assert pool.acquire_nowait() is None  # none is open yet
    await pool.fill(1)
    connection = pool.acquire_nowait()
    assert connection is maker.made[0]
    assert pool.acquire_nowait() is None
    assert pool.release_nowait(connection)
    assert pool.acquire_nowait() is connection
    connection.open = False
    assert not pool.release_nowait(connection)
    await pool.release(connection)
    fresh = await pool.acquire()
    assert fresh is maker.made[1]
    await pool.close()
    assert not pool.release_nowait(fresh)
    await pool.release(fresh)
    assert not fresh.open
    with pytest.raises(InterfaceError):
        await pool.acquire()


async def test_waiters_get_connections_in_their_order() -> None:
    maker = Maker()
    pool = maker.pool(1)
    first = await pool.acquire()
    served: list[int] = []

    async def work(number: int) -> None:
        connection = await pool.acquire()
        served.append(number)
        await asyncio.sleep(0)
        assert pool.release_nowait(connection)

    tasks = [asyncio.create_task(work(number)) for number in range(5)]
    await run_ready_tasks()
    assert pool.acquire_nowait() is None
    pool.release_nowait(first)
    assert pool.acquire_nowait() is None, "the connection is on its way to the one who waited first"
    await asyncio.gather(*tasks)
    assert served == [0, 1, 2, 3, 4]
    assert len(maker.made) == 1


async def test_cancelled_waiter_leaves_the_line() -> None:
    maker = Maker()
    pool = maker.pool(1)
    first = await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await run_ready_tasks()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    pool.release_nowait(first)
    assert pool.acquire_nowait() is first


@pytest.mark.parametrize("usable", [True, False])
async def test_waiter_cancelled_after_being_served_passes_its_connection_on(usable: bool) -> None:
    maker = Maker()
    pool = maker.pool(1)
    first = await pool.acquire()
    served, behind = (asyncio.create_task(pool.acquire()) for _ in range(2))
    await run_ready_tasks()
    if usable:
        assert pool.release_nowait(first)
    else:
        first.open = False
        await pool.release(first)  # room for another one is what is passed on
    served.cancel()
    result, connection = await asyncio.gather(served, behind, return_exceptions=True)
    assert isinstance(result, asyncio.CancelledError)
    assert connection is maker.made[-1]
    assert len(maker.made) == (1 if usable else 2)


async def test_acquire_raises_after_acquire_timeout() -> None:
    pool = Maker().pool(1, acquire_timeout=0.01)
    first = await pool.acquire()
    with pytest.raises(LockNotAvailable, match=r"no connection became free within 0\.01 seconds"):
        await pool.acquire()
    assert pool.release_nowait(first)
    assert pool.acquire_nowait() is first


async def slow(database: Database) -> object:
    """Run a statement that takes long unless it is interrupted."""
    text = {
        "sqlite": "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) "
        "SELECT max(i) FROM n",
        "postgresql": "SELECT pg_sleep(20)",
        "mysql": "SELECT SLEEP(20)",
    }[database.url.dialect]
    backend = database.autocommit_backend()
    assert backend is not None
    return await backend.run_autocommit(backend.driver.fetch, text, ())


async def stopped(work: Callable[[], Awaitable[object]], passes: int) -> None:
    """Cancel the work after so many iterations of the event loop."""
    task = asyncio.ensure_future(work())
    for _ in range(passes):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("passes", [1, 2, 3, 50])
async def test_cancelled_statement_leaves_a_usable_pool(database_url: str, passes: int) -> None:
    async with Database(database_url, max_size=1) as database:
        assert list(map(tuple, await fetch(database, "SELECT 1"))) == [(1,)]
        for _ in range(3):
            await stopped(lambda: slow(database), passes)
            found = await asyncio.wait_for(fetch(database, "SELECT 1"), 10)
            assert list(map(tuple, found)) == [(1,)]


async def test_autocommit_backend_is_none_for_a_task_with_a_connection(database: Database) -> None:
    assert database.autocommit_backend() is not None
    async with database.connection():
        assert database.autocommit_backend() is None
        assert await asyncio.gather(other_task(database)) == [True], "another task is not bound to it"
    async with database.transaction():
        assert database.autocommit_backend() is None
    assert database.autocommit_backend() is not None
    await database.disconnect()
    assert database.autocommit_backend() is None


async def other_task(database: Database) -> bool:
    return database.autocommit_backend() is not None


async def test_autocommit_backend_is_none_while_statements_are_logged(database: Database) -> None:
    seen: list[orm.QueryEvent] = []
    database.add_hook(seen.append)
    assert database.autocommit_backend() is None
    database.remove_hook(seen.append)
    assert database.autocommit_backend() is not None
