"""The lock that makes the tasks of a process write to a SQLite file one after another."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiosqlite

from orm.exceptions import LockNotAvailable

ResultT = TypeVar("ResultT")


class WriterLock:
    """The right to write to a database file, given to tasks in the order in which they ask for it.

    SQLite waits by polling, in no order. That is still how other processes are waited for.
    """

    def __init__(self, acquire_timeout: float) -> None:
        self._acquire_timeout = acquire_timeout
        self._lock = asyncio.Lock()

    async def acquire(self) -> None:
        """Wait for the lock; LockNotAvailable if that takes too long."""
        if not self._lock.locked():
            await self._lock.acquire()
            return
        try:
            await asyncio.wait_for(self._lock.acquire(), self._acquire_timeout)
        except asyncio.TimeoutError:
            raise LockNotAvailable(
                f"the database is locked: another task's transaction has been writing for"
                f" {self._acquire_timeout:g} seconds (or waits for this one)"
            ) from None

    def release(self) -> None:
        """Let the next task write."""
        self._lock.release()

    async def run_locked(self, raw: aiosqlite.Connection, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run `call`, which sends a write, with the lock; a transaction has the lock already."""
        if raw.in_transaction:
            return await call()
        await self.acquire()
        try:
            return await call()
        finally:
            self.release()
