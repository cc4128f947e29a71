"""Runs quick statements on the event loop's thread.

Handing a statement to the connection's thread, and being woken afterwards, takes several times as long as most
statements of SQLite do. So a statement that was quick there runs on the event loop's thread from then on. If it needs
more steps than a quick statement does, SQLite aborts it without effect, and it runs on the connection's thread again.
"""

import sqlite3
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from orm.database.query_log.events import count_round_trip, open_trackers
from orm.database.sqlite.driver import ORMConnection, StatementFunction

ResultT = TypeVar("ResultT")

# How long a statement may block the event loop: not much longer than handing it to a thread does.
QUICK_SECONDS = 0.001
# A statement that took so long on the event loop's thread waited for the disk.
DISK_WAIT_SECONDS = 0.002
# After so many steps of its virtual machine, some tens of nanoseconds each, SQLite calls back to ask whether to go on,
# and how often it may do so. The step counter carries over between runs, so the first callback may come at any step.
STEPS_PER_CALLBACK = 10_000
MAX_CALLBACKS = 5
# A statement that took more steps has to be quick so many times on its thread before it runs on the loop's again.
PROBATION_RUNS = 100
MAX_KNOWN_STATEMENTS = 1024
# After so many statements in a row without waiting, or so many seconds of them, other tasks get a turn.
MAX_RUNS_IN_A_ROW = 16
MAX_SECONDS_IN_A_ROW = 0.002


class QuickStatements:
    """The statements of a database that are known to be quick, and what runs them.

    It is `enabled` for a database in memory and for a file with WAL: there readers wait for no lock and commits for no
    disk.
    """

    def __init__(self) -> None:
        self.enabled = False
        self._quick: set[str] = set()
        self._on_probation: dict[str, int] = {}
        self._in_a_row = 0
        self._seconds_in_a_row = 0.0

    def is_quick(self, sql: str) -> bool:
        """Whether a statement may run on the event loop's thread."""
        return self.enabled and sql in self._quick

    def measure(
        self, connection: sqlite3.Connection, function: StatementFunction[ResultT], sql: str, args: Sequence[Any]
    ) -> ResultT:
        """Call `function(connection, sql, args)` on the connection's thread, and record whether it is quick."""
        before = time.thread_time()  # clock time would include waiting for other threads
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
        """`function(connection, sql, args)` on this thread; None, without any effect, if it takes too many steps."""
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
            self._quick.discard(sql)  # it waited for the disk, so it runs on its thread the next time
        self._in_a_row += 1
        self._seconds_in_a_row += seconds
        return result

    def run_write(
        self, connection: ORMConnection, function: StatementFunction[ResultT], sql: str, args: Sequence[Any]
    ) -> ResultT | None:
        """The same for a write outside of transactions; None also if another process is writing.

        In a transaction SQLite would roll back more than the statement that it aborts.
        """
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            return self.run_read(connection, function, sql, args)
        except sqlite3.OperationalError as error:
            if not str(error).startswith("database is locked"):
                raise
            return None
        finally:
            connection.execute(f"PRAGMA busy_timeout = {connection.busy_timeout}")

    def should_yield(self) -> bool:
        """Whether other tasks should get a turn now, since none of the last statements had to wait."""
        if self._in_a_row < MAX_RUNS_IN_A_ROW and self._seconds_in_a_row < MAX_SECONDS_IN_A_ROW:
            return False
        self._in_a_row = 0
        self._seconds_in_a_row = 0.0
        return True
