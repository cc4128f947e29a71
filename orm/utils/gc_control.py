"""Keeps the garbage collector from traversing rows and instances while they are created by the thousand."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
Items = TypeVar("Items", bound=Sized)

MIN_OBJECTS = 500
# How often to check on a pending result, and after how many collections of the middle generation to act: the tenth
# would be followed by a full one.
POLL_SECONDS = 0.005
MIDDLE_COLLECTIONS = 4
# A growth of so many blocks of memory, some tens of bytes each, does not warrant a full collection.
MIN_GROWTH_BLOCKS = 200_000
# CPython 3.12 freezes a few hundred objects at start-up. A higher count means that the application called
# `gc.freeze()`: leave those frozen.
FROZEN_AT_START = 1_000 if sys.version_info[:2] == (3, 12) else 0
# A query that is pending for longer is not one with a large result but a slow one.
MAX_POLLS = 400


@contextmanager
def gc_paused(count: int) -> Iterator[None]:
    """Pause the cyclic garbage collector while `count` objects are created; fewer than `MIN_OBJECTS` do not warrant it.

    It would run after every 700 new objects and find no garbage, which takes several times as long as creating them.
    Nothing may be awaited in the block.
    """
    if count < MIN_OBJECTS or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        promote_to_oldest_generation()
        gc.enable()


def promote_to_oldest_generation() -> None:
    """Move all tracked objects to the oldest generation, so that young collections skip them."""
    if gc.get_freeze_count() <= FROZEN_AT_START:
        gc.freeze()
        gc.unfreeze()
        _growth.has_promoted = True


class _Growth:
    """The state that freezing and unfreezing resets in the collector: when the next full collection is due."""

    has_promoted = False
    """Whether objects were promoted since `collect_if_grown` was last called."""
    max_blocks = 0
    """How many blocks of memory may be in use before a full collection is due."""


_growth = _Growth()


def collect_if_grown() -> None:
    """Run a full collection if memory has grown by a quarter since the last one.

    Call it before a query, when the result of the previous one, which was promoted, may be unreachable.
    """
    if not _growth.has_promoted:
        return
    _growth.has_promoted = False
    if sys.getallocatedblocks() > _growth.max_blocks and gc.isenabled():
        if _growth.max_blocks:
            gc.collect()
        blocks = sys.getallocatedblocks()
        _growth.max_blocks = blocks + max(blocks // 4, MIN_GROWTH_BLOCKS)


def call_with_gc_paused(function: Callable[..., T], items: Items, *args: Any) -> T:
    """`function(items, *args)`, with the collector paused if there are many items."""
    if len(items) < MIN_OBJECTS:
        return function(items, *args)
    with gc_paused(len(items)):
        return function(items, *args)


class PendingResultGCGuard:
    """Prevents full collections while a driver reads a large result, whose rows are objects that the collector counts.

    A full collection would block the event loop for as long as it takes to traverse all rows read so far. While a
    result stays pending, its rows are moved to the oldest generation before the collector gets to that point.
    """

    def __init__(self) -> None:
        self._next = 0
        self._polls_by_number: dict[int, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self) -> int:
        """Note that a result is pending. Returns the number to pass to `end`."""
        self._next = number = self._next + 1
        self._polls_by_number[number] = 0
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                self._polls_by_number = {number: 0}  # the results of a closed loop are no longer pending
            self._loop = loop
            loop.call_later(POLL_SECONDS, self._poll)
        return number

    def end(self, number: int) -> None:
        """Note that a result is complete, or failed."""
        self._polls_by_number.pop(number, None)

    def _poll(self) -> None:
        polls_by_number = self._polls_by_number
        if not polls_by_number:
            self._loop = None
            return
        may_be_large = False
        for number, polls in polls_by_number.items():
            polls_by_number[number] = polls + 1
            may_be_large = may_be_large or 0 < polls < MAX_POLLS
        if may_be_large and gc.get_count()[2] >= MIDDLE_COLLECTIONS:
            promote_to_oldest_generation()
        asyncio.get_running_loop().call_later(POLL_SECONDS, self._poll)
