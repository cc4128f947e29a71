"""Waits for the lock of another process on the event loop, not in SQLite."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiosqlite

from orm.database.connections.errors import combine
from orm.exceptions import LockNotAvailable

ResultT = TypeVar("ResultT")

SQLITE_BUSY = 5
SQLITE_BUSY_SNAPSHOT = 517
# The pauses between two tries, in seconds: SQLite's own, of which the last is repeated.
PAUSES = (0.001, 0.002, 0.005, 0.010, 0.015, 0.020, 0.025)


class BusyRetries:
    """Repeats a call for up to `seconds` while another process locks the database file.

    SQLite can wait by itself, but nothing ends that wait: neither an interrupt nor a time limit of the task. So SQLite
    does not wait on the ORM's connections, and a task that is cancelled between two tries has written nothing.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def run(self, raw: aiosqlite.Connection, call: Callable[..., Awaitable[ResultT]], *args: object) -> ResultT:
        """`call(*args)`, which uses this connection. Raises `LockNotAvailable` if the lock is not released in time."""
        was_in_transaction = raw.in_transaction
        try:
            return await call(*args)
        except sqlite3.OperationalError as error:
            return await self.repeat(error, raw, was_in_transaction, call, *args)

    async def repeat(
        self,
        error: sqlite3.OperationalError,
        raw: aiosqlite.Connection,
        was_in_transaction: bool,
        call: Callable[..., Awaitable[ResultT]],
        *args: object,
    ) -> ResultT:
        """The same after a first call, which raised `error`."""
        deadline = time.monotonic() + self._seconds
        tries = 0
        while is_busy(error) and raw.in_transaction == was_in_transaction:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                message = f"database is locked: another process has been using it for {self._seconds:g} seconds"
                raise combine(LockNotAvailable, error, message) from error
            await asyncio.sleep(min(PAUSES[min(tries, len(PAUSES) - 1)], remaining))
            tries += 1
            try:
                return await call(*args)
            except sqlite3.OperationalError as next_error:
                error = next_error
        raise error


def is_busy(error: sqlite3.OperationalError) -> bool:
    """Whether a statement failed because of another process's lock, without any effect."""
    code = getattr(error, "sqlite_errorcode", None)  # Python 3.10 has only the message
    if code is None:
        return str(error) == "database is locked"
    # With an outdated snapshot another try cannot succeed: the transaction has to begin again.
    return bool(code & 0xFF == SQLITE_BUSY and code != SQLITE_BUSY_SNAPSHOT)
