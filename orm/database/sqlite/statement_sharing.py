"""Statements of many tasks that take turns on one connection of SQLite.

To hand a statement to a thread and to wake the event loop afterwards takes longer than most statements do. So those
that need no connection of their own queue up for one that is at work already, and the loop is woken once for all that
are finished. Where a statement takes long, another connection takes on the ones behind it, and the next time it gets
one to itself.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiosqlite

from orm.database.connections.errors import connecting
from orm.database.connections.pool import Pool
from orm.database.query_log.events import count_round_trip
from orm.database.sqlite.loop_execution import Function, Pace

Job = tuple["asyncio.Future[Any]", Function[Any], str, Sequence[Any]]

# How long one statement may keep the others waiting before another connection helps.
STUCK_SECONDS = 0.005
INTERRUPT_SECONDS = 0.01
# After so many statements the connection goes to whoever else waits for one.
TURN = 100


class _Nobody:
    """Stands where aiosqlite's thread expects the future of whoever waits for a call."""

    def __bool__(self) -> bool:
        return False

    def get_loop(self) -> "_Nobody":
        return self  # aiosqlite before 0.22 does not ask whether there is one

    def call_soon_threadsafe(self, *args: Any) -> None:
        return None


NOBODY = _Nobody()


class Worker:
    """Has the thread of a connection work on the statements of `jobs`, until none is left.

    `ended` is called at the end, in the event loop; `start` sets it to work again, on any connection.
    """

    def __init__(self, jobs: deque[Job], pace: Pace, ended: Callable[["Worker"], None]) -> None:
        self.raw: aiosqlite.Connection
        self.current: asyncio.Future[Any] | None = None
        self.seen: asyncio.Future[Any] | None = None
        self._connection: sqlite3.Connection
        self._jobs = jobs
        self._pace = pace
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._finished: deque[tuple[asyncio.Future[Any], Any, BaseException | None] | None] = deque()
        self._waking = False
        # Held while `current` ends, and while it is interrupted: the next statement must not be.
        self._lock = threading.Lock()
        self._over: dict[asyncio.Future[Any], asyncio.Future[None]] = {}

    def start(self, raw: aiosqlite.Connection) -> None:
        """Set the thread of a connection to work."""
        self.raw = raw
        self._connection = raw._conn
        raw._tx.put_nowait((NOBODY, self._work))  # type: ignore[arg-type]

    async def interrupt(self, future: asyncio.Future[Any]) -> None:
        """End the statement that runs for `future`, which is cancelled; return when it is over."""
        over = self._over[future] = self._loop.create_future()
        while not over.done():
            with self._lock:
                if self.current is future:
                    self._connection.interrupt()  # which a statement that is only about to begin does not hear
            await asyncio.wait([over], timeout=INTERRUPT_SECONDS)

    def _work(self) -> None:
        jobs, finished, connection, lock = self._jobs, self._finished, self._connection, self._lock
        timed = self._pace.timed
        for _ in range(TURN):
            try:
                future, function, sql, args = jobs.popleft()
            except IndexError:
                break
            result, failure = None, None
            self.current = future
            if not future.cancelled():
                try:
                    result = timed(connection, function, sql, args)
                except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the task that waits
                    failure = error
            with lock:
                self.current = None
            finished.append((future, result, failure))
            if not jobs:
                break
            self._wake()
        finished.append(None)
        self._wake()

    def _wake(self) -> None:
        if not self._waking:
            self._waking = True
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._waking = False
        finished = self._finished
        while finished:
            done = finished.popleft()
            if done is None:
                self._ended(self)
                return
            future, result, failure = done
            if future.done():
                over = self._over.pop(future, None)
                if over is not None and not over.done():
                    over.set_result(None)
            elif failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)


class SharedConnections:
    """The connections of a pool that are at work for everybody. It belongs to the event loop that runs when it is made.

    `check_in` returns a connection that the pool refuses at once; `place` names the database in messages.
    """

    def __init__(
        self,
        pool: Pool[aiosqlite.Connection],
        check_in: Callable[[aiosqlite.Connection], Awaitable[None]],
        place: str,
        pace: Pace,
    ) -> None:
        self._pool = pool
        self._take_back = check_in
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[Job] = deque()
        self._pace = pace
        self._workers: list[Worker] = []
        self._spare: list[Worker] = []
        self._hiring: asyncio.Task[aiosqlite.Connection] | None = None
        self._returning: set[asyncio.Future[None]] = set()
        self._watching = False

    @property
    def connections(self) -> list[aiosqlite.Connection]:
        """Those at work now."""
        return [worker.raw for worker in self._workers]

    async def run(self, function: Function[Any], sql: str, args: Sequence[Any]) -> Any:
        """`function(sqlite3_connection, sql, args)` in the thread of one of them."""
        future = self._loop.create_future()
        self._jobs.append((future, function, sql, args))
        if not self._workers:
            self._hire()
        count_round_trip()
        try:
            return await future
        except asyncio.CancelledError:
            for worker in self._workers:
                if worker.current is future:
                    await worker.interrupt(future)
                    break
            raise

    def _hire(self) -> None:
        """Set one more connection to work, waiting in line for it if need be."""
        raw = self._pool.take()
        if raw is not None:
            self._start(raw)
        elif self._hiring is None:
            self._hiring = asyncio.ensure_future(self._acquire())
            self._hiring.add_done_callback(self._hired)

    async def _acquire(self) -> aiosqlite.Connection:
        with connecting(self._place):
            return await self._pool.acquire()

    def _hired(self, hiring: asyncio.Task[aiosqlite.Connection]) -> None:
        self._hiring = None
        if not hiring.cancelled() and hiring.exception() is None:
            self._start(hiring.result())
            return
        jobs = [] if self._workers else list(self._jobs)
        for future, *_ in jobs:
            self._jobs.popleft()
            if hiring.cancelled():
                future.cancel()
            elif not future.done():
                future.set_exception(hiring.exception() or AssertionError)

    def _start(self, raw: aiosqlite.Connection) -> None:
        worker = self._spare.pop() if self._spare else Worker(self._jobs, self._pace, self._ended)
        self._workers.append(worker)
        worker.start(raw)
        if not self._watching:
            self._watching = True
            self._loop.call_later(STUCK_SECONDS, self._watch)

    def _ended(self, worker: Worker) -> None:
        if self._jobs and not self._pool.waiting:
            worker.start(worker.raw)
            return
        self._workers.remove(worker)
        self._spare.append(worker)
        if not self._pool.give(worker.raw):
            returning = asyncio.ensure_future(self._take_back(worker.raw))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)
        if self._jobs and not self._workers:
            self._hire()

    def _watch(self) -> None:
        """See whether the statements are stuck behind one that takes long, and find another connection for them."""
        workers = self._workers
        if not workers:
            self._watching = False
            return
        stuck = [worker.current is not None and worker.current is worker.seen for worker in workers]
        for worker in workers:
            worker.seen = worker.current
        if self._jobs and all(stuck) and self._pool.has_room:
            self._hire()
        self._loop.call_later(STUCK_SECONDS, self._watch)
