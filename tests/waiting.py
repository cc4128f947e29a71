"""Waits until something is so, instead of for a time, which a busy machine exceeds; and a clock that is put forward."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orm.database.connections.database import Database

SECONDS = 120.0
"""What takes longer than this does not happen at all."""
PAUSE = 0.01


async def until(condition: Callable[[], object | Awaitable[object]]) -> None:
    """Wait until a function, or a coroutine function, returns what is true."""
    end = time.monotonic() + SECONDS
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return
        assert time.monotonic() < end, f"not within {SECONDS:g} seconds: {inspect.getsource(condition).strip()}"
        await asyncio.sleep(PAUSE)


def wait_until(condition: Callable[[], object]) -> None:
    """`until` for synchronous tests."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"not within {SECONDS:g} seconds: {inspect.getsource(condition).strip()}"
        time.sleep(PAUSE)


async def noticed_as_closed(database: Database, *connections: Any) -> None:
    """Wait until the client has seen that the server has closed these connections of a driver."""
    await until(lambda: not any(map(database._backend.is_open, connections)))


class LoopClock:
    """The clock of the running event loop, which `put_forward` makes go on: timers that are due then run at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: time.monotonic() + self._ahead)

    async def put_forward(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self._ahead += seconds
        for _ in range(3):  # the timers are run in the loop's next turn, and what they wake in the one after it
            await asyncio.sleep(0)
