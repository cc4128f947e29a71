"""The garbage collector while large results arrive."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from orm.database.connections.database import Database
from orm.database.connections.statements import fetch
from orm.utils import gc_control
from orm.utils.gc_control import MAX_POLLS, POLL_SECONDS, PendingResultGCGuard
from tests.waiting import until

pytestmark = pytest.mark.anyio

MANY = "SELECT n, 'name ' || n, n * 2 FROM generate_series(1, 300000) n"


@contextmanager
def full_collections() -> Iterator[list[int]]:
    """An item for each full collection while the block runs."""
    found: list[int] = []

    def see(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            found.append(1)

    gc.collect()
    gc.callbacks.append(see)
    try:
        yield found
    finally:
        gc.callbacks.remove(see)


async def test_no_full_collection_while_a_large_result_arrives(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc_control, "MAX_POLLS", 100_000)  # a busy machine may take longer to send the rows
    async with Database(postgresql_url) as database:
        with full_collections() as collections:
            assert len(await fetch(database, MANY)) == 300_000
        assert collections == []


async def test_full_collections_run_while_a_slow_query_is_pending() -> None:
    guard = PendingResultGCGuard()
    number = guard.begin()
    guard._polls_by_number[number] = MAX_POLLS
    kept: list[list[int]] = []
    with full_collections() as collections:
        while not collections and len(kept) < 1_000_000:
            kept += [[i] for i in range(2_000)]
            await asyncio.sleep(POLL_SECONDS / 2)
    guard.end(number)
    assert collections


async def test_guard_stops_polling_when_nothing_is_pending() -> None:
    guard = PendingResultGCGuard()
    guard.end(guard.begin())
    await until(lambda: guard._loop is None)
    first, second = guard.begin(), guard.begin()
    guard.end(first)
    await asyncio.sleep(3 * POLL_SECONDS)
    assert guard._loop is asyncio.get_running_loop()
    guard.end(second)
    await until(lambda: guard._loop is None)
