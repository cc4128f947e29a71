"""A small connection pool, for drivers that have none and for those whose pool loses waiters that are cancelled."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

from orm.exceptions import InterfaceError, LockNotAvailable

ConnectionT = TypeVar("ConnectionT")


class ConnectionOpener(Generic[ConnectionT]):
    """Opens connections to the end, even if the task that waits for one is cancelled.

    Drivers that are interrupted while opening a connection leave sockets, threads and futures behind. `close` closes
    the connection of a cancelled task.
    """

    def __init__(self, close: Callable[[ConnectionT], Awaitable[None]]) -> None:
        self._close = close
        self._clean_ups: set[asyncio.Future[None]] = set()

    async def wait_for(self, opening: Coroutine[Any, Any, ConnectionT]) -> ConnectionT:
        """The connection that `opening` returns."""
        task = asyncio.ensure_future(opening)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            clean_up = asyncio.ensure_future(self._clean_up(task))
            self._clean_ups.add(clean_up)
            clean_up.add_done_callback(self._clean_ups.discard)
            raise

    async def finished(self) -> None:
        """Wait until the connections of cancelled tasks are closed."""
        if self._clean_ups:
            await asyncio.wait(self._clean_ups)

    async def _clean_up(self, task: asyncio.Future[ConnectionT]) -> None:
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            await self._close(task.result())


class Pool(Generic[ConnectionT]):
    """Up to `max_size` connections; the one used last is handed out first. Tasks that find none free wait in line.

    `open_connection` opens a connection and `close` closes it; `usable` tells whether an idle one is still open. One
    that was idle for `recycle` seconds is replaced. Waiting for more than `acquire_timeout` seconds (None: for ever)
    raises LockNotAvailable. The pool belongs to the event loop that it is made on.
    """

    def __init__(
        self,
        open_connection: Callable[[], Coroutine[Any, Any, ConnectionT]],
        close: Callable[[ConnectionT], Awaitable[None]],
        usable: Callable[[ConnectionT], bool],
        *,
        max_size: int,
        recycle: float | None = None,
        acquire_timeout: float | None = None,
    ) -> None:
        if max_size < 1:
            raise InterfaceError(f"a pool needs room for at least one connection, not max_size={max_size}")
        self._open_connection = open_connection
        self._close = close
        self._usable = usable
        self._recycle = recycle
        self._acquire_timeout = acquire_timeout
        self._idle: list[tuple[ConnectionT, float]] = []
        self._free_slots = max_size
        self._waiters: deque[asyncio.Future[ConnectionT | None]] = deque()
        self._opener = ConnectionOpener(close)
        self._closed = False
        self.max_size = max_size

    async def fill(self, size: int) -> None:
        """Open connections until there are `size` of them, but at most `max_size`."""
        connections: list[ConnectionT] = []
        try:
            for _ in range(min(size, self.max_size)):
                connections.append(await self.acquire())
        finally:
            for connection in connections:
                await self.release(connection)

    def acquire_nowait(self) -> ConnectionT | None:
        """The idle connection that `acquire` would return without waiting; None if there is none."""
        if not self._idle or self._free_slots <= 0 or self._waiters:
            return None
        connection, since = self._idle[-1]
        if not self._can_reuse(connection, since):
            return None
        self._idle.pop()
        self._free_slots -= 1
        return connection

    def release_nowait(self, connection: ConnectionT) -> bool:
        """Take a connection back and return True; False if that needs waiting, and the caller must `release` it."""
        if self._closed or not self._usable(connection):
            return False
        if not self._give_to_waiter(connection):
            self._idle.append((connection, time.monotonic()))
            self._free_slots += 1
        return True

    async def acquire(self) -> ConnectionT:
        """A connection for the caller alone until `release` or `discard`: an idle, a new or an awaited one."""
        if self._closed:
            raise InterfaceError("the connection pool is closed")
        if self._free_slots > 0 and not self._waiters:
            self._free_slots -= 1
        else:
            handed = await self._wait()
            if handed is not None:
                return handed
        try:
            while self._idle:
                connection, since = self._idle.pop()
                if self._can_reuse(connection, since):
                    return connection
                await self._close(connection)
            return await self._opener.wait_for(self._open_connection())
        except BaseException:
            self._return_slot()
            raise

    async def release(self, connection: ConnectionT) -> None:
        """Take a connection back; it is kept if it is still usable."""
        if not self.release_nowait(connection):
            await self.discard(connection)

    async def discard(self, connection: ConnectionT) -> None:
        """Close a connection that must not be used again."""
        try:
            await self._close(connection)
        finally:
            self._return_slot()

    async def close(self) -> None:
        """Close the idle connections now, and those in use when they come back."""
        self._closed = True
        await self._opener.finished()
        while self._idle:
            await self._close(self._idle.pop()[0])

    def add_idle(self, connections: Iterable[ConnectionT]) -> None:
        """Take over the idle connections of another pool."""
        self._idle += [(connection, time.monotonic()) for connection in connections]

    def forget(self) -> list[ConnectionT]:
        """Close the pool but not its idle connections, whose event loop is closed; returns them."""
        self._closed = True
        idle = [connection for connection, _ in self._idle]
        self._idle.clear()
        return idle

    def _can_reuse(self, connection: ConnectionT, since: float) -> bool:
        is_fresh = self._recycle is None or time.monotonic() - since < self._recycle
        return is_fresh and self._usable(connection)

    async def _wait(self) -> ConnectionT | None:
        """Wait in line: for a connection that comes back, or for a free slot to open one in (None)."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[ConnectionT | None] = loop.create_future()
        self._waiters.append(waiter)
        timer = (
            None if self._acquire_timeout is None else loop.call_later(self._acquire_timeout, self._fail_waiter, waiter)
        )
        try:
            # What wakes a waiter belongs to it already: no other task can get it in between.
            return await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter.cancelled() and waiter.exception() is None:
                await self._give_back(waiter.result())
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _fail_waiter(self, waiter: asyncio.Future[ConnectionT | None]) -> None:
        if not waiter.done():
            self._waiters.remove(waiter)
            error = LockNotAvailable(
                f"no connection became free within {self._acquire_timeout:g} seconds: other tasks hold them, or this"
                " task waits inside a transaction for another task that needs one"
            )
            waiter.set_exception(error)

    async def _give_back(self, handed: ConnectionT | None) -> None:
        """Return what a waiter got that was cancelled at the same moment."""
        if handed is None:
            self._return_slot()
        else:
            await self.release(handed)

    def _give_to_waiter(self, handed: ConnectionT | None) -> bool:
        """Give a connection, or a free slot (None), to the task that has waited longest; False if no task waits."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(handed)
                return True
        return False

    def _return_slot(self) -> None:
        if not self._give_to_waiter(None):
            self._free_slots += 1
