"""Which statements are over before a thread could be asked, and running those in the event loop's own thread.

To hand a statement to a connection's thread and to be woken afterwards takes several times as long as most statements
of SQLite do. So a statement that was quick in the thread runs, from then on, where it is asked for. SQLite ends it
where it needs more steps than a quick one has; then nothing has happened, and the thread does it after all.
"""

import sqlite3
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from orm.database.query_log.events import count_round_trip, open_trackers
from orm.database.sqlite.driver import ORMConnection, StatementFunction

ResultT = TypeVar("ResultT")

# What the event loop may be kept waiting: not much more than handing over a statement costs it.
QUICK_SECONDS = 0.001
# A statement that took so long here waited for the disk.
DISK_WAIT_SECONDS = 0.002
# Steps of SQLite's machine, some tens of nanoseconds each, after which it asks whether to go on, and how often it may.
# It counts on from where the last run of the statement ended, so that the first question comes after any number.
STEPS_PER_CALLBACK = 10_000
MAX_CALLBACKS = 5
# What took more steps than that has to be quick so many times in the thread before it is tried here again.
PROBATION_RUNS = 100
MAX_KNOWN_STATEMENTS = 1024
# After so many statements in a row that did not wait for anything, or so many seconds, other tasks have their turn.
MAX_RUNS_IN_A_ROW = 16
MAX_SECONDS_IN_A_ROW = 0.002


class QuickStatements:
    """How long the statements of a database take, as far as is known.

    It is `enabled` where readers never wait for a lock, nor a commit for the disk: in memory, and in a file with WAL.
    """

    def __init__(self) -> None:
        self.enabled = False
        self._quick: set[str] = set()
        self._on_probation: dict[str, int] = {}
        self._in_a_row = 0
        self._seconds_in_a_row = 0.0

    def is_quick(self, sql: str) -> bool:
        """Whether a statement may run in the event loop's thread."""
        return self.enabled and sql in self._quick

    def measure(
        self, connection: sqlite3.Connection, function: StatementFunction[ResultT], sql: str, args: Sequence[Any]
    ) -> ResultT:
        """`function(connection, sql, args)` in the connection's thread, to learn how long it takes."""
        before = time.thread_time()  # the time of the clock is also that of waiting for other threads
        result = function(connection, sql, args)
        seconds = time.thread_time() - before
        if len(self._quick) + len(self._on_probation) > MAX_KNOWN_STATEMENTS:
            self._quick.clear()
            self._on_probation.clear()
        if seconds <= QUICK_SECONDS:
            left = self._on_probation.get(sql, 0)
            if left:
                self._on_probation[sql] = left - 1
            else:
                self._quick.add(sql)
        return result

    def run_read(
        self, connection: sqlite3.Connection, function: StatementFunction[ResultT], sql: str, args: Sequence[Any]
    ) -> ResultT | None:
        """`function(connection, sql, args)` in this thread; None if it took too many steps, and has done nothing."""
        if open_trackers:
            count_round_trip()
        connection.set_progress_handler([True, *[False] * MAX_CALLBACKS].pop, STEPS_PER_CALLBACK)
        before = time.perf_counter()
        try:
            result = function(connection, sql, args)
        except sqlite3.OperationalError as error:
            if str(error) != "interrupted":
                raise
            self._quick.discard(sql)
            self._on_probation[sql] = PROBATION_RUNS
            return None
        finally:
            connection.set_progress_handler(None, STEPS_PER_CALLBACK)
        seconds = time.perf_counter() - before
        if seconds > DISK_WAIT_SECONDS:
            self._quick.discard(sql)  # it had to wait for the disk: the next time in a thread
        self._in_a_row += 1
        self._seconds_in_a_row += seconds
        return result

    def run_write(
        self, connection: ORMConnection, function: StatementFunction[ResultT], sql: str, args: Sequence[Any]
    ) -> ResultT | None:
        """The same for a statement that writes outside a transaction; None also where another process is writing.

        In a transaction SQLite would not end the statement alone.
        """
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            return self.run_read(connection, function, sql, args)
        except sqlite3.OperationalError as error:
            if not str(error).startswith("database is locked"):
                raise
            return None
        finally:
            connection.execute(f"PRAGMA busy_timeout = {connection.acquire_timeout}")

    def should_yield(self) -> bool:
        """Whether to let other tasks go on, as if there had been something to wait for."""
        if self._in_a_row < MAX_RUNS_IN_A_ROW and self._seconds_in_a_row < MAX_SECONDS_IN_A_ROW:
            return False
        self._in_a_row = 0
        self._seconds_in_a_row = 0.0
        return True
