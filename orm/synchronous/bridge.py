"""How synchronous objects call asynchronous ones."""

from __future__ import annotations

from asyncio import events
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from orm.utils.blocking import can_block, run

ResultT = TypeVar("ResultT")

_inside: ContextVar[bool] = ContextVar("orm.inside_sync", default=False)
"""Whether the ORM runs, for which `Model.objects` and the like are the asynchronous ones."""

ITERATOR_ROWS = 500
"""How many rows a call of an iterator brings."""


class Mode:
    """Whether the models of a registry are synchronous at the moment."""

    def __init__(self) -> None:
        self.blocks = 0
        """How many `orm.sync()` blocks are open, in all threads."""

    def is_on(self) -> bool:
        """Whether code that runs here is to be answered without `await`."""
        if not self.blocks or _inside.get():
            return False
        return events._get_running_loop() is None or can_block()


def inside(function: Callable[..., ResultT], *args: Any, **options: Any) -> ResultT:
    """Call a function of the asynchronous ORM, which is to find the asynchronous `Model.objects`."""
    token = _inside.set(True)
    try:
        return function(*args, **options)
    finally:
        _inside.reset(token)


def iterate(rows: AsyncIterator[ResultT], count: int) -> Iterator[ResultT]:
    """What an asynchronous iterator gives, `count` of it with each call."""

    async def read() -> list[ResultT]:
        batch: list[ResultT] = []
        async for row in rows:
            batch.append(row)
            if len(batch) >= count:
                break
        return batch

    try:
        while batch := run(read()):
            yield from batch
    finally:
        close = getattr(rows, "aclose", None)
        if close is not None:
            run(close())
