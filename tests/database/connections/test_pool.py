"""The connection pool: the order of waiters, limits, and that no connection is lost when a task is cancelled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest

import orm
from orm.database.connections import pool as pool_module
from orm.database.connections.database import Database
from orm.database.connections.pool import Pool
from orm.database.connections.pool_options import PoolOptions
from orm.exceptions import InterfaceError, PoolTimeout
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

    async def open_connection(self) -> Connection:
        await asyncio.sleep(0)
        self.made.append(Connection(len(self.made)))
        return self.made[-1]

    async def check(self, connection: Connection) -> None:
        await asyncio.sleep(0)
        if not connection.open:
            raise ConnectionResetError

    def is_open(self, connection: Connection) -> bool:
        return connection.open

    is_clean = is_open

    async def clean(self, connection: Connection, *, dirty: bool) -> bool:
        await asyncio.sleep(0)
        return connection.open and not dirty

    async def close_connection(self, connection: Connection) -> None:
        await asyncio.sleep(0)
        connection.open = False

    def terminate(self, connection: Connection) -> None:
        connection.open = False

    def pool(self, size: int, acquire_timeout: float | None = None) -> Pool[Connection]:
        return Pool(self, max_size=size, options=PoolOptions(acquire_timeout=acquire_timeout))


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
    await pool.check_in(connection)
    fresh = await pool.acquire()
    assert fresh is maker.made[1]
    await pool.close()
    assert not pool.release_nowait(fresh)
    await pool.check_in(fresh)
    assert not fresh.open
    with pytest.raises(InterfaceError):
        await pool.acquire()


async def test_replaced_connections_are_not_lent_again_whether_idle_in_use_awaited_or_being_opened() -> None:
    maker = Maker()
    pool = maker.pool(3)
    await pool.fill(2)
    used, _ = await pool.acquire(), await pool.acquire()
    idle = maker.made[0] if used is maker.made[1] else maker.made[1]
    await pool.check_in(idle)
    assert pool.status()[1:3] == (1, 1)
    opening = asyncio.gather(pool.acquire(), pool.acquire())  # the idle one, and one that is being opened
    await asyncio.sleep(0)
    waiter = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    pool.replace_all()
    for connection in (used, *await opening):
        await pool.check_in(connection)
    assert (await waiter).number == 3
    await run_ready_tasks()
    assert [connection.open for connection in maker.made] == [False, False, False, True]


async def test_a_lifetime_ends_although_tasks_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    maker = Maker()
    pool = Pool(maker, max_size=1, options=PoolOptions(max_lifetime=60))
    first = await pool.acquire()
    waiter = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    monkeypatch.setattr(pool_module, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 61))
    await pool.check_in(first)
    assert await waiter is maker.made[1]
    assert not first.open


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
        await pool.check_in(first)  # room for another one is what is passed on
    served.cancel()
    result, connection = await asyncio.gather(served, behind, return_exceptions=True)
    assert isinstance(result, asyncio.CancelledError)
    assert connection is maker.made[-1]
    assert len(maker.made) == (1 if usable else 2)


async def test_acquire_raises_after_acquire_timeout() -> None:
    pool = Maker().pool(1, acquire_timeout=0.01)
    first = await pool.acquire()
    with pytest.raises(PoolTimeout, match=r"no connection became free within 0\.01 seconds"):
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
