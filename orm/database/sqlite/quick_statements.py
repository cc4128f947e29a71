"""Runs quick statements on the event loop's thread.

Handing a statement to the connection's thread, and being woken afterwards, takes several times as long as most
statements of SQLite do. So a statement that was quick there runs on the event loop's thread from then on, if its time
and its bytes are bounded. If it exceeds a bound nevertheless, SQLite ends it without effect, and from then on it runs
on the connection's thread.
"""

import contextlib
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from sys import getsizeof
from typing import Any, TypeVar

from orm.database.query_log.events import count_round_trip, open_trackers
from orm.database.sqlite.busy_retries import is_busy
from orm.database.sqlite.driver import StatementFunction, first_word, is_write
from orm.database.sqlite.statement_bounds import ANALYSED, Bounds, bounds_of

ResultT = TypeVar("ResultT")

# How long a statement may take on its thread to be quick: not much longer than handing it over does.
QUICK_SECONDS = 0.001
# How long it may then block the event loop. If its program has a loop, SQLite asks whether to go on after every so many
# steps, which take some tens of nanoseconds each, unless one reads from the disk.
MAX_SECONDS = 0.003
STEPS_PER_CALLBACK = 150
# A statement that exceeds the time so many times in a row, waiting for the disk or the processor, is no longer quick.
MAX_WAITS = 3
MAX_KNOWN_STATEMENTS = 1024
# After so many statements in a row without waiting, or so many seconds of them, other tasks get a turn.
MAX_RUNS_IN_A_ROW = 16
MAX_SECONDS_IN_A_ROW = 0.002
SQLITE_LIMIT_LENGTH = 0
MAX_LENGTH = 2**31 - 1  # SQLite lowers it to its own maximum
SQLITE_INTERRUPT = 9
CAN_LIMIT_BYTES = sys.version_info >= (3, 11)
"""Whether `sqlite3` can limit the length of values. Before Python 3.11 no statement is quick."""


class QuickStatements:
    """The statements of a database that are known to be quick, and what runs them.

    They are `enabled` for a database in memory and for a file with WAL: there readers do not wait for locks, and
    commits do not wait for the disk unless `commits_wait`.
    """

    def __init__(self) -> None:
        self.enabled = False
        self.commits_wait = False
        self.argument_bytes = 0
        """The size of the arguments that `bounds` was called with."""
        self._quick: dict[str, Bounds] = {}
        self._slow: set[str] = set()
        self._waits: dict[str, int] = {}
        self._in_a_row = 0
        self._seconds_in_a_row = 0.0

    def bounds(self, sql: str, args: Sequence[Any]) -> Bounds | None:
        """The bounds of a statement, if it may run on the event loop's thread with these arguments; otherwise None."""
        bounds = self._quick.get(sql)
        if bounds is None or not self.enabled:
            return None
        self.argument_bytes = sum(map(getsizeof, args)) if args else 0
        return bounds if self.argument_bytes <= bounds.argument_bytes else None

    def measure(
        self, connection: sqlite3.Connection, function: StatementFunction[ResultT], sql: str, args: Sequence[Any]
    ) -> ResultT:
        """Call `function(connection, sql, args)` on the connection's thread, and record whether it is quick."""
        if not self.enabled or sql in self._slow or sql in self._quick:
            return function(connection, sql, args)
        before = time.thread_time()  # clock time would include waiting for other threads
        result = function(connection, sql, args)
        seconds = time.thread_time() - before
        if len(self._quick) + len(self._slow) >= MAX_KNOWN_STATEMENTS:
            self.forget()
        if seconds <= QUICK_SECONDS and first_word(sql) in ANALYSED:
            bounds = bounds_of(connection, sql, args)
            if bounds is None:
                self._slow.add(sql)
            else:
                self._quick[sql] = bounds
        return result

    def forget(self) -> None:
        """Forget all statements: after a change of the schema their programs may differ."""
        self._quick.clear()
        self._slow.clear()
        self._waits.clear()

    def run(
        self,
        connection: sqlite3.Connection,
        function: StatementFunction[ResultT],
        sql: str,
        args: Sequence[Any],
        bounds: Bounds,
    ) -> ResultT | None:
        """`function(connection, sql, args)` on this thread; None, without any effect, if it goes over a bound.

        Also None if another process is writing. In a transaction only a straight write may run, because SQLite would
        end the transaction together with an interrupted write.
        """
        if open_trackers:
            count_round_trip()
        if bounds.value_bytes:
            connection.setlimit(SQLITE_LIMIT_LENGTH, bounds.value_bytes)  # type: ignore[attr-defined]  # Python 3.11
        before = time.perf_counter()
        try:
            if bounds.is_straight:
                result = function(connection, sql, args)
            elif is_write(sql):
                with transaction(connection):  # SQLite may end a statement that has just committed
                    result = self._run_until(before + MAX_SECONDS, connection, function, sql, args)
            else:
                result = self._run_until(before + MAX_SECONDS, connection, function, sql, args)
        except sqlite3.DataError as error:
            if str(error) != "string or blob too big":
                raise
            self._set_slow(sql)
            return None
        except sqlite3.OperationalError as error:
            if is_busy(error) or is_interrupted(error):
                return None
            raise
        finally:
            if bounds.value_bytes:
                connection.setlimit(SQLITE_LIMIT_LENGTH, MAX_LENGTH)  # type: ignore[attr-defined]
        seconds = time.perf_counter() - before
        if seconds > MAX_SECONDS:
            self._note_wait(sql)
        elif self._waits:
            self._waits.pop(sql, None)
        self._in_a_row += 1
        self._seconds_in_a_row += seconds
        return result

    def _run_until(
        self,
        deadline: float,
        connection: sqlite3.Connection,
        function: StatementFunction[ResultT],
        sql: str,
        args: Sequence[Any],
    ) -> ResultT:
        # Each call compares the deadline with the clock, in C alone: a Python function would cost more.
        is_late = map(deadline.__lt__, iter(time.perf_counter, None)).__next__
        connection.set_progress_handler(is_late, STEPS_PER_CALLBACK)
        processor_seconds = time.thread_time()
        try:
            return function(connection, sql, args)
        except sqlite3.OperationalError as error:
            if is_interrupted(error):
                if time.thread_time() - processor_seconds > MAX_SECONDS / 4:
                    self._set_slow(sql)
                else:
                    self._note_wait(sql)
            raise
        finally:
            connection.set_progress_handler(None, STEPS_PER_CALLBACK)

    def _set_slow(self, sql: str) -> None:
        self._quick.pop(sql, None)
        self._slow.add(sql)

    def _note_wait(self, sql: str) -> None:
        count = self._waits[sql] = self._waits.get(sql, 0) + 1
        if count >= MAX_WAITS:
            self._set_slow(sql)

    def should_yield(self) -> bool:
        """Whether other tasks should get a turn now, since none of the last statements had to wait."""
        if self._in_a_row < MAX_RUNS_IN_A_ROW and self._seconds_in_a_row < MAX_SECONDS_IN_A_ROW:
            return False
        self._in_a_row = 0
        self._seconds_in_a_row = 0.0
        return True


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit the statements of the block; if it raises, none of them has an effect."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def is_interrupted(error: sqlite3.OperationalError) -> bool:
    """Whether a statement was ended at its deadline. Its message may be that of a foreign key that failed as well."""
    return getattr(error, "sqlite_errorcode", None) == SQLITE_INTERRUPT
