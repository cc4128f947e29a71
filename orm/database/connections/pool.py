"""A small connection pool, for drivers that have none and for those whose pool loses waiters that are cancelled."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from orm.database.connections.clean_up import CleanUps
from orm.database.connections.errors import translating
from orm.database.connections.pool_options import PoolOptions
from orm.database.query_log.call_sites import Source, find_call_site
from orm.exceptions import Error, InterfaceError, PoolTimeout

ConnectionT = TypeVar("ConnectionT")

# A connection is closed if the server does not answer within this many seconds.
CLEAN_SECONDS = 5.0
# A connection that was idle for longer is asked whether its server is still there before it is lent.
CHECK_SECONDS = 60.0
DEFAULT_OPTIONS = PoolOptions()
NAMED_HOLDERS = 5


class Connector(Protocol[ConnectionT]):
    """What a pool needs of a database."""

    async def open_connection(self) -> ConnectionT:
        """A new connection."""

    def is_open(self, connection: ConnectionT) -> bool:
        """Whether an idle connection may be lent, as far as its driver knows."""

    async def check(self, connection: ConnectionT) -> None:
        """Have the server answer. Raises if the connection is lost."""

    def is_clean(self, connection: ConnectionT) -> bool:
        """Whether a connection is open, outside of transactions, and waits for a statement."""

    async def clean(self, connection: ConnectionT, *, dirty: bool) -> bool:
        """End what runs on a connection. Returns whether it may be lent again; not if it keeps state (`dirty`)."""

    async def close_connection(self, connection: ConnectionT) -> None:
        """Close a connection in an orderly way."""

    def terminate(self, connection: ConnectionT) -> None:
        """Close a connection at once."""

    def end_on_server(self, connection: ConnectionT) -> Coroutine[Any, Any, None]:
        """End what a connection runs that is about to be terminated: its server would notice after the statement."""


class PoolStatus(NamedTuple):
    """How a pool is used.

    `free` is how many connections it may still open; `waiting` tasks wait for one. `holders` are the tasks that have a
    connection, each with the line of the program that took it if the database has `debug=True`.
    """

    max_size: int
    idle: int
    in_use: int
    free: int
    waiting: int
    holders: tuple[str, ...]


class Holder(NamedTuple):
    """A task that has a connection, and the line that took it."""

    task: "asyncio.Task[Any] | None"
    source: Source | None


def _holder_with_source() -> Holder:
    return Holder(asyncio.current_task(), find_call_site())


def _name(holder: "Holder | asyncio.Task[Any] | None") -> str:
    task, source = holder if isinstance(holder, Holder) else (holder, None)
    name = "no task" if task is None else f"{task.get_name()}{' (ended)' if task.done() else ''}"
    return name if source is None else f"{name} at {source}"


class Pool(Generic[ConnectionT]):
    """Up to `max_size` connections; the one used last is handed out first. Tasks that find none free wait in line.

    A connection that was idle for `max_idle` seconds is replaced, unless the options say when. Waiting for more than
    their `acquire_timeout` raises PoolTimeout. The pool belongs to the event loop that it is created on.
    """

    def __init__(
        self,
        connector: Connector[ConnectionT],
        *,
        max_size: int,
        max_idle: float | None = None,
        options: PoolOptions = DEFAULT_OPTIONS,
    ) -> None:
        if max_size < 1:
            raise InterfaceError(f"a pool needs room for at least one connection, not max_size={max_size}")
        self._connector = connector
        self._options = options
        self._max_idle = float("inf") if max_idle is None else max_idle
        if options.max_idle is not None:
            self._max_idle = options.max_idle
        # Each with the times until which it may be lent without a check, and at all.
        self._idle: list[tuple[ConnectionT, float, float]] = []
        self._ends: dict[ConnectionT, float] = {}  # the ends of the lifetimes, where these are limited
        self._replaced_at = float("-inf")
        self._lent: dict[ConnectionT, Holder | asyncio.Task[Any] | None] = {}
        self._holder: Callable[[], Holder | asyncio.Task[Any] | None] = (
            _holder_with_source if options.debug else asyncio.current_task
        )
        self._all_returned: asyncio.Future[None] | None = None
        self._free_slots = max_size
        self._waiters: deque[asyncio.Future[ConnectionT | None]] = deque()
        self._closed = False
        self.clean_ups = CleanUps()
        self.max_size = max_size

    def status(self) -> PoolStatus:
        """How the pool is used at the moment."""
        idle = len(self._idle)
        waiting = sum(not waiter.done() for waiter in self._waiters)
        holders = tuple(map(_name, self._lent.values()))
        in_use = self.max_size - self._free_slots
        return PoolStatus(self.max_size, idle, in_use, self._free_slots - idle, waiting, holders)

    async def fill(self, size: int) -> None:
        """Open connections until there are `size` of them, but at most `max_size`."""
        connections: list[ConnectionT] = []
        try:
            for _ in range(min(size, self.max_size)):
                connections.append(await self.acquire())
        finally:
            for connection in connections:
                await self.check_in(connection)

    def idle_connection(self) -> ConnectionT | None:
        """The idle connection that `acquire` would return now, which stays idle: for work that awaits nothing."""
        if not self._idle or self._free_slots <= 0 or self._waiters:
            return None
        connection, fresh_until, _ = self._idle[-1]
        return connection if time.monotonic() < fresh_until and self._connector.is_open(connection) else None

    def acquire_nowait(self) -> ConnectionT | None:
        """The idle connection that `acquire` would return without waiting; None if there is none."""
        connection = self.idle_connection()
        if connection is not None:
            self._idle.pop()
            self._free_slots -= 1
            self._lent[connection] = self._holder()
        return connection

    def release_nowait(self, connection: ConnectionT) -> bool:
        """Take a connection back and return True; False if it is not clean, and the caller must `check_in` it."""
        if self._closed or (self._ends and self._lifetime_is_over(connection)):
            return False
        if not self._connector.is_clean(connection):
            return False
        if not self._give_to_waiter(connection):
            self._lent.pop(connection, None)
            self._add_idle(connection)
            self._free_slots += 1
        return True

    async def acquire(self) -> ConnectionT:
        """A connection for the caller alone until it is checked in: an idle, a new or an awaited one."""
        if self._closed:
            raise InterfaceError("the connection pool is closed")
        if self._free_slots > 0 and not self._waiters:
            self._free_slots -= 1
        else:
            connection = await self._wait()
            if connection is not None:
                self._lent[connection] = self._holder()
                return connection
        expired: list[ConnectionT] = []
        unchecked = None
        while self._idle and unchecked is None:
            connection, fresh_until, last = self._idle.pop()
            now = time.monotonic()
            if now >= last or not self._connector.is_open(connection):
                expired.append(connection)
            elif now < fresh_until:
                self._lent[connection] = self._holder()
                for each in expired:
                    self.clean_ups.start(self._close(each))
                return connection
            else:
                unchecked = connection
        # Drivers that are interrupted while opening a connection leave sockets, threads and futures behind.
        opening = self.clean_ups.start(self._open(expired, unchecked, self._holder()))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._put_opened)
            raise
        except BaseException:
            self._return_slot()
            raise

    async def check_in(
        self,
        connection: ConnectionT,
        *,
        dirty: bool = False,
        unfinished: bool = False,
        after: Coroutine[Any, Any, None] | None = None,
    ) -> None:
        """Take a connection back in any state, which is cleaned, even if the caller is cancelled meanwhile.

        State that was left on it (`dirty`) is removed, and an `unfinished` exchange with the server is ended, `after`
        waiting for what still runs on the connection.
        """
        if dirty or unfinished or after is not None or not self.release_nowait(connection):
            await self.clean_ups.run(self._clean(connection, dirty, after))

    def limit(self, work: asyncio.Task[Any], connection: ConnectionT) -> None:
        """Close a connection, and cancel the work on it, unless that ends within `CLEAN_SECONDS`.

        The waiting task was cancelled, so it must not wait for a server that does not answer.
        """

        def give_up() -> None:
            self._connector.terminate(connection)
            work.cancel()

        timer = asyncio.get_running_loop().call_later(CLEAN_SECONDS, give_up)
        work.add_done_callback(lambda _: timer.cancel())

    async def close(self, timeout: float | None = None) -> None:
        """Close the idle connections now, and those in use when they come back.

        With a `timeout`, wait so many seconds for those in use, and then close them, too.
        """
        self._closed = True
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(InterfaceError("the database was closed while this task waited for a connection"))
        self.close_idle()
        if timeout is not None and self._lent:
            self._all_returned = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._all_returned], timeout=timeout)
            for connection in self.in_use():
                ending = self._connector.end_on_server(connection)
                self._connector.terminate(connection)
                self.clean_ups.start(ending)
        await self.clean_ups.finished(timeout)

    def close_idle(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self.clean_ups.start(self._close(self._idle.pop()[0]))

    def replace_all(self) -> None:
        """Close the idle connections now, and those in use when they come back: they lead to the wrong server."""
        self._replaced_at = time.monotonic()
        self._ends.update(dict.fromkeys(self._lent, self._replaced_at))
        self.close_idle()

    def in_use(self) -> list[ConnectionT]:
        """The connections that are lent."""
        return list(self._lent)

    def add_idle(self, connections: Iterable[ConnectionT]) -> None:
        """Take over the idle connections of another pool."""
        for connection in connections:
            self._add_idle(connection)

    def forget(self) -> list[ConnectionT]:
        """Close the pool, whose event loop is closed: terminate the connections in use, and return the idle ones."""
        self._closed = True
        while self._lent:
            self._connector.terminate(self._lent.popitem()[0])
        idle = [connection for connection, _, _ in self._idle]
        self._idle.clear()
        return idle

    def _lifetime_is_over(self, connection: ConnectionT) -> bool:
        return self._ends.get(connection, float("inf")) <= time.monotonic()

    def _add_idle(self, connection: ConnectionT) -> None:
        now = time.monotonic()
        last = now + self._max_idle
        if self._ends:
            last = min(last, self._ends.get(connection, last))
        check = now + CHECK_SECONDS
        self._idle.append((connection, check if check < last else last, last))

    async def _open(
        self, expired: list[ConnectionT], unchecked: ConnectionT | None, holder: Holder | asyncio.Task[Any] | None
    ) -> ConnectionT:
        """The `unchecked` connection if its server answers, or a new one, once those that it replaces are closed."""
        for connection in expired:
            await self._close(connection)
        opened = unchecked
        if unchecked is not None:
            try:
                with translating:
                    await asyncio.wait_for(self._connector.check(unchecked), CLEAN_SECONDS)
            except (Error, OSError, asyncio.TimeoutError):
                await self._close(unchecked)
                opened = None
        if opened is None:
            began = time.monotonic()
            opened = await self._connector.open_connection()
            if began <= self._replaced_at:
                self._ends[opened] = began
            elif self._options.max_lifetime is not None:
                self._ends[opened] = time.monotonic() + self._options.max_lifetime
        self._lent[opened] = holder
        return opened

    def _put_opened(self, opening: asyncio.Task[ConnectionT]) -> None:
        """Keep a connection that was opened for a task that no longer waits."""
        if opening.cancelled() or opening.exception() is not None:
            self._return_slot()
        elif not self.release_nowait(opening.result()):
            self._discard(opening.result())

    async def _clean(self, connection: ConnectionT, dirty: bool, after: Coroutine[Any, Any, None] | None) -> None:
        kept = False
        try:
            if after is not None:
                await after
            if not self._closed and await asyncio.wait_for(
                self._connector.clean(connection, dirty=dirty), CLEAN_SECONDS
            ):
                kept = self.release_nowait(connection)
            if not kept:
                await self._close(connection)
        finally:
            if not kept:
                self._discard(connection)

    async def _close(self, connection: ConnectionT) -> None:
        try:
            await asyncio.wait_for(self._connector.close_connection(connection), CLEAN_SECONDS)
        finally:
            self._ends.pop(connection, None)
            self._connector.terminate(connection)

    def _discard(self, connection: ConnectionT) -> None:
        self._connector.terminate(connection)
        self._ends.pop(connection, None)
        self._lent.pop(connection, None)
        self._return_slot()
        if not self._lent and self._all_returned is not None and not self._all_returned.done():
            self._all_returned.set_result(None)

    async def _wait(self) -> ConnectionT | None:
        """Wait in line: for a connection that comes back, or for a free slot to open one in (None)."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[ConnectionT | None] = loop.create_future()
        self._waiters.append(waiter)
        timeout = self._options.acquire_timeout
        timer = None if timeout is None else loop.call_later(timeout, self._fail_waiter, waiter)
        try:
            # What wakes a waiter belongs to it already: no other task can get it in between.
            return await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter.cancelled() and waiter.exception() is None:
                self._give_back(waiter.result())
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _fail_waiter(self, waiter: asyncio.Future[ConnectionT | None]) -> None:
        if not waiter.done():
            holders = self.status().holders
            named = "; ".join(holders[:NAMED_HOLDERS]) + "; …" * (len(holders) > NAMED_HOLDERS)
            waiting = self.status().waiting
            self._waiters.remove(waiter)
            waiter.set_exception(
                PoolTimeout(
                    f"no connection became free within {self._options.acquire_timeout:g} seconds (acquire_timeout):"
                    f" {waiting} tasks wait for the {self.max_size} of the pool (max_size), which these tasks have:"
                    f" {named or 'none'}{'' if self._options.debug else ' (debug=True shows the lines that took them)'}"
                )
            )

    def _give_back(self, lent: ConnectionT | None) -> None:
        """Return what a waiter got that was cancelled at the same moment."""
        if lent is None:
            self._return_slot()
        elif not self.release_nowait(lent):
            self._discard(lent)

    def _give_to_waiter(self, lent: ConnectionT | None) -> bool:
        """Give a connection, or a free slot (None), to the task that has waited longest; False if no task waits."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(lent)
                return True
        return False

    def _return_slot(self) -> None:
        if not self._give_to_waiter(None):
            self._free_slots += 1
