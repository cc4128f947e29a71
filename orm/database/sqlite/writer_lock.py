"""The lock that makes the tasks of a process write to a SQLite file one after another."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiosqlite

from orm.exceptions import LockNotAvailable

ResultT = TypeVar("ResultT")


class WriterLock:
    """The right to write to a database file. Connections get it in the order in which their tasks ask for it.

    SQLite itself waits by polling, in no order, which is still how other processes are waited for.
    """

    def __init__(self, acquire_timeout: float) -> None:
        self._acquire_timeout = acquire_timeout
        self._holder: aiosqlite.Connection | None = None
        self._waiters: deque[tuple[asyncio.Future[None], aiosqlite.Connection]] = deque()

    def locked(self) -> bool:
        """Whether a connection has the lock."""
        return self._holder is not None

    async def acquire(self, raw: aiosqlite.Connection) -> None:
        """Wait for the lock; LockNotAvailable if that takes too long."""
        if self._holder is None:
            self._holder = raw
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append((waiter, raw))
        timer = loop.call_later(self._acquire_timeout, self._fail, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.exception() is None:
                self.release(raw)  # it got the lock at the same moment
            raise
        finally:
            timer.cancel()

    def release(self, raw: aiosqlite.Connection) -> None:
        """Let the next task write, if this connection has the lock."""
        if self._holder is not raw:
            return
        self._holder = None
        while self._waiters and self._holder is None:
            waiter, next_raw = self._waiters.popleft()
            if not waiter.done():
                self._holder = next_raw
                waiter.set_result(None)

    async def run_locked(self, raw: aiosqlite.Connection, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run `call`, which sends a write, with the lock; a transaction has the lock already."""
        if raw.in_transaction:
            return await call()
        await self.acquire(raw)
        try:
            return await call()
        finally:
            self.release(raw)

    def _fail(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_exception(
                LockNotAvailable(
                    f"the database is locked: another task's transaction has been writing for"
                    f" {self._acquire_timeout:g} seconds (or waits for this one)"
                )
            )
