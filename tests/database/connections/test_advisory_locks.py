"""Advisory locks: one holder at a time, on every database, and none that is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from orm.database.connections.database import Database
from orm.exceptions import LockNotAvailable, NotSupportedError, QueryError, TransactionError
from tests.database.notes_table import add_note, create_notes, execute, fetch, texts
from tests.waiting import until

pytestmark = pytest.mark.anyio


class Stop(Exception):
    """Raised by tests to leave a block."""


@pytest.fixture(params=["sqlite", "postgresql", "mysql", "aiomysql", "memory"])
async def pooled(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """An `orm.Database` on every backend there is."""
    kind = request.param
    if kind == "memory":
        url = "sqlite://"
    elif kind == "aiomysql":
        url = request.getfixturevalue("mysql_url").replace("mysql://", "mysql+aiomysql://")
    else:
        url = request.getfixturevalue(f"{kind}_url")
    async with Database(url) as database:
        yield database


async def is_free(database: Database, name: str = "a lock") -> bool:
    """Whether another task gets the lock at once."""

    async def take() -> bool:
        try:
            async with database.advisory_lock(name, timeout=0):
                return True
        except LockNotAvailable:
            return False

    return await asyncio.create_task(take())


async def test_one_task_at_a_time_holds_a_lock(pooled: Database) -> None:
    holders = most = 0

    async def work() -> None:
        nonlocal holders, most
        async with pooled.advisory_lock("a lock"):
            holders += 1
            most = max(most, holders)
            await fetch(pooled, "SELECT 1")
            await asyncio.sleep(0.01)
            holders -= 1

    await asyncio.wait_for(asyncio.gather(*(work() for _ in range(8))), 30)
    assert most == 1
    assert await is_free(pooled)


async def test_lock_excludes_its_name_alone_and_ends_with_the_block(pooled: Database) -> None:
    with pytest.raises(Stop):
        async with pooled.advisory_lock("a lock"):
            assert not await is_free(pooled)
            assert await is_free(pooled, "A LOCK")
            assert await is_free(pooled, "another lock")
            with pytest.raises(LockNotAvailable, match="'a lock' did not become free within 0"):
                await asyncio.create_task(_hold(pooled, timeout=0))
            raise Stop
    assert await is_free(pooled)
    for name in ("x" * 500, "näme", "'; DROP TABLE notes; --", "%s $1 ?", "\ud800"):
        async with pooled.advisory_lock(name):
            assert not await is_free(pooled, name)
        assert await is_free(pooled, name)


async def _hold(database: Database, **options: Any) -> None:
    async with database.advisory_lock("a lock", **options):
        pass


async def test_timeout_bounds_the_wait(pooled: Database) -> None:
    loop = asyncio.get_running_loop()
    async with pooled.advisory_lock("a lock"):
        before = loop.time()
        with pytest.raises(LockNotAvailable) as info:
            await asyncio.create_task(_hold(pooled, timeout=0.3))
        assert 0.25 <= loop.time() - before < 20
        assert info.value.retryable
    async with pooled.advisory_lock("a lock", timeout=0.3):
        if pooled.url.dialect == "postgresql":
            assert await fetch(pooled, "SHOW lock_timeout") == [("0",)]


async def test_shared_lock_has_several_holders(pooled: Database) -> None:
    if pooled.url.dialect == "mysql":
        with pytest.raises(NotSupportedError, match="shared"):
            await _hold(pooled, shared=True)
        return
    async with pooled.advisory_lock("a lock", shared=True):
        await asyncio.create_task(_hold(pooled, shared=True, timeout=0))
        assert not await is_free(pooled)
    async with pooled.advisory_lock("a lock"):
        with pytest.raises(LockNotAvailable):
            await asyncio.create_task(_hold(pooled, shared=True, timeout=0))
    assert await is_free(pooled)


async def test_lock_that_its_task_has_already_is_refused_at_once(pooled: Database) -> None:
    async with pooled.advisory_lock("a lock"):
        for options in ({}, {"timeout": 5}, {"timeout": 0}):
            with pytest.raises(LockNotAvailable, match="the task that wants it has it"):
                async with pooled.advisory_lock("a lock", **options):
                    pass
        async with pooled.advisory_lock("another lock"):
            assert not await is_free(pooled, "another lock")
        assert not await is_free(pooled)
    assert await is_free(pooled)
    async with pooled.advisory_lock("a lock"):
        pass


async def test_lock_is_taken_around_transactions_not_inside(pooled: Database) -> None:
    await create_notes(pooled)
    async with pooled.advisory_lock("a lock"):
        async with pooled.transaction():
            await add_note(pooled, "kept")
        assert not await is_free(pooled)
    async with pooled.transaction():
        with pytest.raises(TransactionError, match="outside of transactions"):
            await _hold(pooled)
    assert await texts(pooled) == ["kept"]
    with pooled.force_rollback():
        async with pooled, pooled.advisory_lock("a lock"):
            await add_note(pooled, "lost")
    assert await is_free(pooled)


async def test_failed_statement_inside_leaves_no_lock(pooled: Database) -> None:
    for _ in range(3):
        async with pooled.connection():
            with contextlib.suppress(Exception):
                async with pooled.advisory_lock("a lock"):
                    await execute(pooled, "SELECT * FROM nowhere")
            assert await is_free(pooled)


async def test_cancelled_tasks_leave_no_lock(pooled: Database) -> None:
    """At any moment: while they wait, at the moment they get it, while they hold it, while they give it back."""
    chance = random.Random(1)

    async def work() -> None:
        async with pooled.advisory_lock("a lock"):
            await asyncio.sleep(0.001)

    for _ in range(15):
        tasks = [asyncio.create_task(work()) for _ in range(4)]
        for task in tasks:
            await asyncio.sleep(chance.random() * 0.008)
            task.cancel()
            if chance.random() < 0.5:
                await asyncio.sleep(0)
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results), results
    await asyncio.wait_for(work(), 30)
    await asyncio.wait_for(asyncio.gather(*(work() for _ in range(6))), 30)


async def test_lost_connection_gives_its_lock_back(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has no connections to kill")
    async with Database(database_url) as database, Database(database_url) as admin:
        postgresql = database.url.dialect == "postgresql"
        with pytest.raises(Stop):
            async with database.advisory_lock("a lock"):
                ((key,),) = await fetch(database, f"SELECT {'pg_backend_pid' if postgresql else 'CONNECTION_ID'}()")
                await fetch(admin, "SELECT pg_terminate_backend(?)" if postgresql else "KILL ?", key)
                raise Stop
        await until(lambda: is_free(admin))


async def test_lock_of_a_sqlite_file_holds_in_all_processes_and_ends_with_them(sqlite_url: str) -> None:
    program = (
        "import asyncio, sys, orm\n"
        "async def main():\n"
        "    async with orm.Database(sys.argv[1]) as database, database.advisory_lock('a lock'):\n"
        "        print('held', flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    async with Database(sqlite_url) as database:
        command = [sys.executable, "-c", program, sqlite_url]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"held\n"
        assert not await is_free(database)
        process.kill()
        await process.wait()
        assert await is_free(database)


@pytest.mark.parametrize("name", ["", None, 7])
async def test_names_that_are_no_text_are_refused(sqlite_url: str, name: Any) -> None:
    async with Database(sqlite_url) as database:
        with pytest.raises(QueryError, match="the name of an advisory lock"):
            async with database.advisory_lock(name):
                pass
        for timeout in (-1, float("inf"), "5"):
            with pytest.raises(QueryError, match="number of seconds"):
                await _hold(database, timeout=timeout)
