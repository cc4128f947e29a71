"""Work on many rows in slices, so that other tasks run in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TypeVar

from orm.utils.gc_control import promote_to_oldest_generation

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

# A slice takes some hundred microseconds; after `SECONDS_PER_TURN` of them, other tasks get a turn.
SLICE_ROWS = 50
SECONDS_PER_TURN = 0.004


async def slices(items: Sequence[ItemT], rows: int = SLICE_ROWS) -> AsyncIterator[Sequence[ItemT]]:
    """The items, `rows` at a time. Other tasks run each time the work on the slices has taken a few milliseconds."""
    turn_ends = time.perf_counter() + SECONDS_PER_TURN
    for start in range(0, len(items), rows):
        yield items[start : start + rows]
        if time.perf_counter() > turn_ends:
            promote_to_oldest_generation()  # a full collection would take longer than many slices
            await asyncio.sleep(0)
            turn_ends = time.perf_counter() + SECONDS_PER_TURN


async def in_slices(
    work: Callable[[Sequence[ItemT]], Iterable[ResultT]], items: Sequence[ItemT], rows: int = SLICE_ROWS
) -> list[ResultT]:
    """What `work` returns for the items, a slice at a time. Other tasks run in between if there are many."""
    if len(items) <= rows:
        return list(work(items))
    results: list[ResultT] = []
    async for part in slices(items, rows):
        results += work(part)
    return results
