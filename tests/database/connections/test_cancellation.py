"""Cancellation at each await of each operation: nothing leaks, no write is lost, and it stays a cancellation."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest

import orm
from orm.database.connections import pool
from orm.database.connections.sql_transaction import SQLTransaction
from tests.database.connections.bank import (
    OPERATIONS,
    POOL_SIZE,
    Account,
    Bank,
    Server,
    Tag,
    get,
    models,
    stream_in_transaction,
    transaction,
)
from tests.database.connections.cancelled_runs import MAX_AWAITS, WAYS, Operation, Run

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bank(database_url: str) -> AsyncIterator[Bank]:
    server = Server(database_url)
    try:
        async with orm.Database(database_url, max_size=POOL_SIZE) as database:
            models.database = database
            await models.create_all()
            bank = Bank(database, server)
            await bank.fill()
            yield bank
    finally:
        server.close()


async def complaints_of(bank: Bank, operation: Operation, way: Callable[[Operation, int], Awaitable[Run]]) -> list[str]:
    """Cancel the operation at each of its awaits. What is wrong afterwards."""
    complaints = []
    for number in range(1, MAX_AWAITS):
        bank.forget_quick_statements()
        run = await way(operation, number)
        if run.outcome != ("cancelled" if run.cancelled else "completed"):
            complaints.append(f"await {number}: {run.outcome}")
        complaint = await bank.settled()
        if complaint is not None:
            complaints.append(f"await {number}: {complaint}")
            return complaints
        if not run.cancelled:
            break
        if run.outcome == "it hangs":
            return complaints
        await bank.write()
    else:
        complaints.append(f"it did not complete within {MAX_AWAITS} awaits")
    return complaints


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.__name__ for operation in OPERATIONS])
async def test_cancelled_at_each_await_leaves_nothing(
    bank: Bank, operation: Callable[[Bank], Awaitable[None]], way: Callable[[Operation, int], Awaitable[Run]]
) -> None:
    await operation(bank)
    assert await bank.settled() is None
    assert await complaints_of(bank, lambda: operation(bank), way) == []
    assert await bank.lost() == set()
    assert await bank.halves() == []


# Statements that take long

SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) "
    "SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
    "mysql": "SELECT COUNT(*) FROM information_schema.columns a, information_schema.columns b, "
    "information_schema.columns c",
}


async def slow_alone(bank: Bank) -> None:
    await Account.objects.raw(SLOW[bank.database.url.dialect].replace("max(i)", "max(i) AS id"))


async def slow_on_a_connection(bank: Bank) -> None:
    await bank.database.fetch_all(SLOW[bank.database.url.dialect])


async def slow_in_a_transaction(bank: Bank) -> None:
    async with bank.database.transaction():
        await Tag.objects.create(name="given up")
        await bank.database.fetch_all(SLOW[bank.database.url.dialect])


async def slow_in_a_savepoint(bank: Bank) -> None:
    async with bank.database.transaction(), bank.database.transaction():
        await Tag.objects.create(name="given up")
        await bank.database.fetch_all(SLOW[bank.database.url.dialect])


async def slow_stream(bank: Bank) -> None:
    async for _ in bank.database.iterate(SLOW[bank.database.url.dialect]):
        pass


@pytest.mark.parametrize(
    "operation", [slow_alone, slow_on_a_connection, slow_in_a_transaction, slow_in_a_savepoint, slow_stream]
)
@pytest.mark.parametrize("cancellations", [1, 2, 3])
async def test_a_cancelled_statement_ends_on_the_server(
    bank: Bank, operation: Callable[[Bank], Awaitable[None]], cancellations: int
) -> None:
    task = asyncio.ensure_future(operation(bank))
    await asyncio.sleep(0.2)
    assert not task.done()
    for _ in range(cancellations):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([task], timeout=30)
    assert task.cancelled()
    assert await bank.settled() is None
    await bank.write()
    assert await bank.lost() == set()
    assert not await Tag.objects.filter(name="given up").exists()


async def test_a_timeout_stays_a_timeout_error(bank: Bank) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(slow_in_a_transaction(bank), 0.2)
    assert await bank.settled() is None


async def test_a_task_whose_statement_timed_out_is_not_cancelled_by_a_rollback_without_answer(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "CLEAN_SECONDS", 0.05)

    async def wait_for_ever(transaction: SQLTransaction) -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        async with bank.database.transaction():
            await asyncio.wait_for(bank.database.fetch_all(SLOW[bank.database.url.dialect]), 0.2)

    with monkeypatch.context() as patch:
        patch.setattr(SQLTransaction, "rollback", wait_for_ever)
        [outcome] = await asyncio.gather(run(), return_exceptions=True)
    assert isinstance(outcome, asyncio.TimeoutError)
    assert await bank.settled() is None


async def test_a_savepoint_that_an_anyio_scope_cancels_is_undone_and_the_outer_block_goes_on(bank: Bank) -> None:
    async with bank.database.transaction():
        await Tag.objects.create(name="outer")
        with anyio.CancelScope() as scope:
            async with bank.database.transaction():
                await Tag.objects.create(name="inner")
                scope.cancel()
                await asyncio.sleep(10)
        assert scope.cancelled_caught
        await Tag.objects.create(name="outer, later")
    names = await Tag.objects.filter(name__contains="er").order_by("id").values_list("name", flat=True)
    assert names == ["outer", "outer, later"]
    assert await bank.settled() is None


async def test_a_cancelled_statement_leaves_the_stream_of_its_connection_alone(bank: Bank) -> None:
    await Tag.objects.bulk_create([Tag(name=f"many {number}") for number in range(1200)])
    if bank.database.url.dialect == "mysql":
        pytest.skip("the drivers close the connection of a cancelled statement")
    async with bank.database.connection():
        count = 0
        async for _ in Tag.objects.filter(name__startswith="many"):
            count += 1
            if count == 600:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(slow_on_a_connection(bank), 0.2)
        assert count == 1200
    assert await bank.settled() is None


async def test_a_stream_that_times_out_in_its_body_holds_no_lock(bank: Bank) -> None:
    await Tag.objects.bulk_create([Tag(name=f"many {number}") for number in range(1200)])

    async def read() -> None:
        async for _ in Tag.objects.filter(name__startswith="many"):
            await asyncio.sleep(10)

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(read(), 0.2)
    assert await bank.settled() is None
    await bank.write()
    assert await bank.lost() == set()


@pytest.mark.parametrize("operation", [get, transaction, stream_in_transaction, slow_in_a_transaction])
async def test_work_whose_event_loop_is_closed_leaves_nothing(
    database_url: str, operation: Callable[[Bank], Awaitable[None]]
) -> None:
    # A process of its own: pytest keeps what Python tells of tasks that cannot end, and so their connections.
    program = f"import {__name__} as tests; tests.close_loops({database_url!r}, tests.{operation.__name__})"
    process = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=180
    )
    assert process.returncode == 0, process.stderr


def close_loops(url: str, operation: Callable[[Bank], Awaitable[None]]) -> None:
    """Close event loops in the midst of an operation; then see what is left."""
    server = Server(url)
    database = models.database = orm.Database(url, max_size=POOL_SIZE)
    bank = Bank(database, server)

    async def begin() -> None:
        await models.create_all()
        await bank.fill()

    async def end() -> None:
        await database.connect()
        for _ in range(5):
            gc.collect()  # a connection that was being opened is closed when its task is freed
            await asyncio.sleep(0.1)
        assert await bank.settled() is None, bank.complaint()
        await bank.write()
        assert await bank.lost() == set()
        assert await bank.halves() == []
        await database.disconnect()

    asyncio.run(begin())
    for passes in (1, 3, 10, 30, 100, None):
        loop = asyncio.new_event_loop()
        task: asyncio.Task[None] = loop.create_task(operation(bank))  # type: ignore[arg-type]
        for _ in range(passes or 0):
            loop.call_soon(loop.stop)
            loop.run_forever()
        if passes is None:  # the server has begun the statement
            loop.call_later(0.5, loop.stop)
            loop.run_forever()
        loop.close()
        del task
    loop = asyncio.new_event_loop()
    loop.run_until_complete(database.connect())  # it is closed before it has ended what the one before has left
    loop.close()
    asyncio.run(end())
    server.close()
