"""Keeps the garbage collector from looking through rows while they arrive, and while they are being made."""

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
# How often to look at what arrives, and after how many collections of the middle generation to step in: the tenth would
# be followed by a full one.
POLL_SECONDS = 0.005
MIDDLE_COLLECTIONS = 4
# Blocks of memory, some tens of bytes each, that are not worth a full collection.
MIN_GROWTH_BLOCKS = 200_000
# CPython 3.12 begins with some hundred frozen objects of its own. More is a program's, which wants them to stay so.
FROZEN_AT_START = 1_000 if sys.version_info[:2] == (3, 12) else 0
# A query that takes so many looks without an end is no large result but a slow one.
MAX_POLLS = 400


@contextmanager
def gc_paused(count: int) -> Iterator[None]:
    """Make so many rows into instances without the cyclic garbage collector running in between.

    It would run every 700 new objects and find no garbage among them, which takes several times as long as making them.
    Nothing may be awaited inside. Few rows are not worth it.
    """
    if count < MIN_OBJECTS or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        settle()
        gc.enable()


def settle() -> None:
    """Take what there is for old objects. They are here to stay, and need not be looked through on the way."""
    if gc.get_freeze_count() <= FROZEN_AT_START:
        gc.freeze()
        gc.unfreeze()
        _memory.has_settled = True


class _Memory:
    """What the collector would know, had not `settle` begun its counts anew."""

    has_settled = False
    """Whether anything was since the last look."""
    most = 0
    """How many blocks of memory may be in use before the next full collection."""


_memory = _Memory()


def collect_if_grown() -> None:
    """Collect all garbage if memory has grown by a quarter since the last time: what was settled may be some by now.

    It is for before a query, when what the one before has brought may be gone.
    """
    if not _memory.has_settled:
        return
    _memory.has_settled = False
    if sys.getallocatedblocks() > _memory.most and gc.isenabled():
        if _memory.most:
            gc.collect()
        blocks = sys.getallocatedblocks()
        _memory.most = blocks + max(blocks // 4, MIN_GROWTH_BLOCKS)


def call_with_gc_paused(function: Callable[..., T], items: Items, *args: Any) -> T:
    """What a function makes of many items, called with the collector paused."""
    if len(items) < MIN_OBJECTS:
        return function(items, *args)
    with gc_paused(len(items)):
        return function(items, *args)


class PendingResultGCGuard:
    """The results that a driver is reading, whose rows are objects that the collector counts.

    A full collection in the middle of a large one would keep the event loop from everything else for as long as it
    takes to look through all rows so far. What arrives during a long wait is settled before it comes to that.
    """

    def __init__(self) -> None:
        self._next = 0
        self._awaited: dict[int, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self) -> int:
        """Note that a result is awaited; the number is for `end`."""
        self._next = number = self._next + 1
        self._awaited[number] = 0
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                self._awaited = {number: 0}  # whoever waited on a loop that is gone waits no more
            self._loop = loop
            loop.call_later(POLL_SECONDS, self._look)
        return number

    def end(self, number: int) -> None:
        """Note that a result is there."""
        self._awaited.pop(number, None)

    def _look(self) -> None:
        awaited = self._awaited
        if not awaited:
            self._loop = None
            return
        large = False
        for number, looks in awaited.items():
            awaited[number] = looks + 1
            large = large or 0 < looks < MAX_POLLS
        if large and gc.get_count()[2] >= MIDDLE_COLLECTIONS:
            settle()
        asyncio.get_running_loop().call_later(POLL_SECONDS, self._look)
