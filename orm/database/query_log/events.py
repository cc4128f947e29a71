"""The query log: what `database.echo` prints, `database.add_hook` reports and `orm.track_queries` counts."""

import logging
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

from orm.database.query_log.call_sites import Source, find_call_site
from orm.database.query_log.normalized_sql import is_transaction, shape_of

logger = logging.getLogger("orm.sql")


@dataclass(frozen=True)
class QueryEvent:
    """One statement that was sent to the database.

    `values` are in the driver's form (as converted by the fields), `seconds` is the time that the driver took, `rows`
    the number of rows returned or matched (None if unknown), `error` the driver's error if the statement failed,
    `server` the server that executed it.
    """

    sql: str
    values: Any
    seconds: float
    rows: int | None
    error: BaseException | None
    server: str = ""


Hook = Callable[[QueryEvent], object]


@dataclass(eq=False)
class TrackedQuery:
    """One statement, from the moment it is sent.

    `source` is the line of the program that awaits it (None if there is none). `seconds` is the time that the driver
    took, `rows` the number of rows returned or matched, `error` the error if it failed; each is None until it is
    known. `values` are in the driver's form.
    """

    sql: str
    values: Any = field(repr=False)
    source: Source | None
    started: float = field(repr=False)
    seconds: float | None = None
    rows: int | None = None
    error: BaseException | None = None

    @property
    def shape(self) -> str:
        """The SQL without values, and with lists of any length alike."""
        return shape_of(self.sql)

    @property
    def is_transaction(self) -> bool:
        """Whether it begins or ends a transaction or a savepoint."""
        return is_transaction(self.sql)


Observer = Callable[[TrackedQuery], object]


class Tracker(Protocol):
    """Counts the statements of some tasks."""

    def sent(self, query: TrackedQuery) -> None:
        """A statement is being sent."""

    def called(self) -> None:
        """The driver is being called."""


# Every statement checks whether this is empty; if it is, tracking costs nothing else.
open_trackers: set[Tracker] = set()
# The trackers that were opened in this task, or in the tasks that it descends from. They may be closed by now.
context_trackers: ContextVar[tuple[Tracker, ...]] = ContextVar("orm.trackers", default=())


def count_round_trip() -> None:
    """Count one call of the driver: a round trip to the server, or on SQLite a trip to the connection's thread."""
    if open_trackers:
        for tracker in context_trackers.get():
            if tracker in open_trackers:
                tracker.called()


def print_event(event: QueryEvent) -> None:
    """Log one statement through the `orm.sql` logger, at INFO."""
    if event.error is not None:
        outcome = f"{type(event.error).__name__}: {event.error}"
    else:
        outcome = "" if event.rows is None else f"{event.rows} row{'' if event.rows == 1 else 's'}"
    logger.info("%s %r  -- %.2f ms%s", event.sql, event.values, event.seconds * 1000, outcome and f", {outcome}")


def configure_logging() -> None:
    """Make the `orm.sql` logger print to standard error, unless the program has configured logging."""
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    if not logger.hasHandlers():
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)


class QueryLog:
    """The listeners to the statements of a database: an observer, called before each one is sent, and hooks, after.

    `active` is False if there are none. Then nothing is measured, unless a tracker is open (see `open_trackers`).
    """

    def __init__(self) -> None:
        self.server = ""
        """The server that the statements are sent to, for messages."""
        self._sharing: tuple[QueryLog, ...] = (self,)
        self.hooks: tuple[Hook, ...] = ()
        self._observer: Observer | None = None
        self.active = False

    @property
    def observer(self) -> Observer | None:
        """A function that is called with each statement before it is sent. If it raises, the statement is not sent."""
        return self._observer

    @observer.setter
    def observer(self, observer: Observer | None) -> None:
        for log in self._sharing:
            log._observer = observer
            log.active = bool(log.hooks) or observer is not None

    def share_listeners(self, log: "QueryLog") -> None:
        """Give another log, that of a replica, the same listeners from now on."""
        self._sharing += (log,)

    def add(self, hook: Hook) -> None:
        """Call `hook` with a `QueryEvent` after each statement."""
        for log in self._sharing:
            log.hooks += (hook,)
            log.active = True

    def remove(self, hook: Hook) -> None:
        """Stop calling `hook`; ValueError if it was not added."""
        for log in self._sharing:
            hooks = list(log.hooks)
            hooks.remove(hook)
            log.hooks = tuple(hooks)
            log.active = bool(hooks) or log._observer is not None

    def timer(self, sql: str, values: Any) -> "StatementTimer":
        """`with log.timer(sql, values) as timer:` reports the statement sent in its block, which sets `timer.rows`."""
        return StatementTimer(self, sql, values) if self.active or open_trackers else null_timer


class StatementTimer:
    """Times one statement and reports it."""

    __slots__ = ("_log", "_query", "_sql", "_started", "_values", "rows")

    def __init__(self, log: QueryLog, sql: str, values: Any) -> None:
        self._log = log
        self._sql = sql
        self._values = values
        self._query: TrackedQuery | None = None
        self.rows: int | None = None

    def __enter__(self) -> "StatementTimer":
        if open_trackers or self._log.observer is not None:
            self._announce()
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        hooks, query = self._log.hooks, self._query
        if not hooks and query is None:
            return
        seconds = time.perf_counter() - self._started
        if isinstance(error, GeneratorExit):  # a stream that was not read to its end
            error = None
        if query is not None:
            query.seconds, query.rows, query.error = seconds, self.rows, error
        if hooks:
            event = QueryEvent(self._sql, self._values, seconds, self.rows, error, self._log.server)
            for hook in hooks:
                hook(event)

    def _announce(self) -> None:
        trackers = [tracker for tracker in context_trackers.get() if tracker in open_trackers]
        observer = self._log.observer
        if not trackers and observer is None:
            return
        self._query = query = TrackedQuery(self._sql, self._values, find_call_site(), time.perf_counter())
        for tracker in trackers:
            tracker.sent(query)
        if observer is not None:
            observer(query)


class _NullTimer(StatementTimer):
    """A no-op timer, shared by all statements, used when nothing is listening."""

    __slots__ = ()

    def __init__(self) -> None:
        self.rows = 0

    def __enter__(self) -> StatementTimer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


null_timer = _NullTimer()
