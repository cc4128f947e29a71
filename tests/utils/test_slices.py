"""Work on many rows in slices, between which other tasks run."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator, Sequence

import pytest

from orm.utils.slices import SLICE_ROWS, in_slices, slices

pytestmark = pytest.mark.anyio


async def test_slices_have_all_items_in_order() -> None:
    for count in (0, 1, SLICE_ROWS, SLICE_ROWS + 1, 3 * SLICE_ROWS):
        items = list(range(count))
        parts = [part async for part in slices(items)]
        assert [item for part in parts for item in part] == items
        assert all(0 < len(part) <= SLICE_ROWS for part in parts)


async def test_in_slices_joins_the_results() -> None:
    def doubled(part: Sequence[int]) -> Iterator[int]:
        return (2 * item for item in part)

    for count in (0, 1, 10, 11, 35):
        assert await in_slices(doubled, range(count), 10) == [2 * item for item in range(count)]


@pytest.mark.parametrize(("seconds", "turns"), [(-1.0, 9), (60.0, 0)])
async def test_other_tasks_run_between_slices_that_take_long(
    monkeypatch: pytest.MonkeyPatch, seconds: float, turns: int
) -> None:
    monkeypatch.setattr("orm.utils.slices.SECONDS_PER_TURN", seconds)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    ticks = 0
    assert await in_slices(list, range(100), 10) == list(range(100))
    ticking.cancel()
    assert turns <= ticks <= turns + 1
    assert gc.isenabled()


async def test_cancellation_between_slices_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orm.utils.slices.SECONDS_PER_TURN", -1.0)
    seen: list[int] = []

    def see(part: Sequence[int]) -> Sequence[int]:
        seen.extend(part)
        return part

    task = asyncio.create_task(in_slices(see, range(1000), 10))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 0 < len(seen) < 1000
