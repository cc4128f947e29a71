"""A small pool of kept connections, for the drivers that have none or whose own loses waiters."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

from orm.exceptions import InterfaceError, LockNotAvailable

ConnectionT = TypeVar("ConnectionT")


class Openings(Generic[ConnectionT]):
    """Connections being opened, which goes on to its end if the task that waits for one is cancelled.

    Drivers leave sockets, threads and futures behind when they are interrupted there. `close` ends a connection that
    nobody waits for any more.
    """

    def __init__(self, close: Callable[[ConnectionT], Awaitable[None]]) -> None:
        self._close = close
        self._cleaning: set[asyncio.Future[None]] = set()

    async def wait_for(self, opening: Coroutine[Any, Any, ConnectionT]) -> ConnectionT:
        """The connection that `opening` makes."""
        task = asyncio.ensure_future(opening)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            cleaning = asyncio.ensure_future(self._clean(task))
            self._cleaning.add(cleaning)
            cleaning.add_done_callback(self._cleaning.discard)
            raise

    async def finished(self) -> None:
        """Wait until nothing is being opened any more that nobody waits for."""
        if self._cleaning:
            await asyncio.wait(self._cleaning)

    async def _clean(self, task: asyncio.Future[ConnectionT]) -> None:
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            await self._close(task.result())


class Pool(Generic[ConnectionT]):
    """Up to `max_size` connections, the last one used first. Whoever finds none free waits in line.

    `make` opens one, `close` ends one, `usable` tells whether a kept one still is. A kept connection unused for
    `recycle` seconds is replaced. Waiting longer than `acquire_timeout` seconds for a free one (None: for ever) raises
    LockNotAvailable. The pool belongs to the event loop that runs when it is made.
    """

    def __init__(
        self,
        make: Callable[[], Coroutine[Any, Any, ConnectionT]],
        close: Callable[[ConnectionT], Awaitable[None]],
        usable: Callable[[ConnectionT], bool],
        *,
        max_size: int,
        recycle: float | None = None,
        acquire_timeout: float | None = None,
    ) -> None:
        if max_size < 1:
            raise InterfaceError(f"a pool needs room for at least one connection, not max_size={max_size}")
        self._make = make
        self._close = close
        self._usable = usable
        self._recycle = recycle
        self._acquire_timeout = acquire_timeout
        self._idle: list[tuple[ConnectionT, float]] = []
        self._room = max_size
        self._waiters: deque[asyncio.Future[ConnectionT | None]] = deque()
        self._openings = Openings(close)
        self._closed = False
        self.max_size = max_size

    @property
    def has_room(self) -> bool:
        """Whether `acquire` gives a connection without waiting for another task, though it may have to open one."""
        return self._room > 0 and not self._waiters and not self._closed

    @property
    def waiting(self) -> bool:
        """Whether somebody waits in line for a connection."""
        return bool(self._waiters)

    async def fill(self, size: int) -> None:
        """Open connections until `size` (at most `max_size`) are there."""
        taken: list[ConnectionT] = []
        try:
            for _ in range(min(size, self.max_size)):
                taken.append(await self.acquire())
        finally:
            for connection in taken:
                await self.release(connection)

    def take(self) -> ConnectionT | None:
        """A connection for the caller alone, if one can be had at once: what `acquire` would give without waiting."""
        if not self._idle or self._room <= 0 or self._waiters:
            return None
        connection, since = self._idle[-1]
        if not self._is_good(connection, since):
            return None
        self._idle.pop()
        self._room -= 1
        return connection

    def give(self, connection: ConnectionT) -> bool:
        """Take a connection back, if that can be done at once; else it is still the caller's, to `release`."""
        if self._closed or not self._usable(connection):
            return False
        if not self._hand_on(connection):
            self._idle.append((connection, time.monotonic()))
            self._room += 1
        return True

    async def acquire(self) -> ConnectionT:
        """A connection for the caller alone, until `release` or `discard`."""
        if self._closed:
            raise InterfaceError("the connection pool is closed")
        if self._room > 0 and not self._waiters:
            self._room -= 1
        else:
            handed = await self._wait()
            if handed is not None:
                return handed
        try:
            while self._idle:
                connection, since = self._idle.pop()
                if self._is_good(connection, since):
                    return connection
                await self._close(connection)
            return await self._openings.wait_for(self._make())
        except BaseException:
            self._give_room()
            raise

    async def release(self, connection: ConnectionT) -> None:
        """Take a connection back, to be used again if it can be."""
        if not self.give(connection):
            await self.discard(connection)

    async def discard(self, connection: ConnectionT) -> None:
        """Take back a connection that must not be used again."""
        try:
            await self._close(connection)
        finally:
            self._give_room()

    async def close(self) -> None:
        """Close the kept connections now, those in use when they come back."""
        self._closed = True
        await self._openings.finished()
        while self._idle:
            await self._close(self._idle.pop()[0])

    def adopt(self, connections: Iterable[ConnectionT]) -> None:
        """Keep connections that another pool has given up."""
        self._idle += [(connection, time.monotonic()) for connection in connections]

    def abandon(self) -> list[ConnectionT]:
        """Forget the kept connections, whose event loop is gone, and return them."""
        self._closed = True
        idle = [connection for connection, _ in self._idle]
        self._idle.clear()
        return idle

    def _is_good(self, connection: ConnectionT, since: float) -> bool:
        fresh = self._recycle is None or time.monotonic() - since < self._recycle
        return fresh and self._usable(connection)

    async def _wait(self) -> ConnectionT | None:
        """Wait in line: for a connection that comes back, or None for room to make one."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[ConnectionT | None] = loop.create_future()
        self._waiters.append(waiter)
        timer = (
            None if self._acquire_timeout is None else loop.call_later(self._acquire_timeout, self._fail_waiter, waiter)
        )
        try:
            # What wakes a waiter is already the waiter's: nobody can slip in between.
            return await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter.cancelled() and waiter.exception() is None:
                await self._pass_on(waiter.result())
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

    async def _pass_on(self, handed: ConnectionT | None) -> None:
        """Return what a waiter was given that was cancelled at the same moment."""
        if handed is None:
            self._give_room()
        else:
            await self.release(handed)

    def _hand_on(self, handed: ConnectionT | None) -> bool:
        """Give a connection, or room for one, to whoever has waited longest; False if nobody waits."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(handed)
                return True
        return False

    def _give_room(self) -> None:
        if not self._hand_on(None):
            self._room += 1
