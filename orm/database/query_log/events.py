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

    `values` are the driver's own (after conversion by the fields), `seconds` is the time the driver took, `rows` the
    number of rows returned or matched (None where it is not known), `error` the error raised instead, as raised.
    """

    sql: str
    values: Any
    seconds: float
    rows: int | None
    error: BaseException | None


Hook = Callable[[QueryEvent], object]


@dataclass(eq=False)
class TrackedQuery:
    """One statement, from the moment it is sent.

    `source` is the line of the program that waits for it (None where there is none). `seconds` is the time the driver
    took, `rows` the number of rows returned or matched, `error` what was raised instead; each is None until it is
    known. `values` are the driver's own.
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
        """The SQL without values, in which lists of any length are alike."""
        return shape_of(self.sql)

    @property
    def is_transaction(self) -> bool:
        """Whether it begins or ends a transaction or a savepoint."""
        return is_transaction(self.sql)


Observer = Callable[[TrackedQuery], object]


class Tracker(Protocol):
    """Who counts the statements of some tasks."""

    def sent(self, query: TrackedQuery) -> None:
        """A statement is being sent."""

    def called(self) -> None:
        """The driver is being called."""


# Statements look here first: as long as it is empty, that is all that tracking costs them.
open_trackers: set[Tracker] = set()
# The trackers that were opened in this task, or in those it was started from, and may be closed by now.
context_trackers: ContextVar[tuple[Tracker, ...]] = ContextVar("orm.trackers", default=())


def count_round_trip() -> None:
    """Count one call of the real driver: on a server a round trip, on SQLite a hop to the connection's thread."""
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
    """Let the `orm.sql` logger reach the eye: to standard error, unless the program has set up logging itself."""
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    if not logger.hasHandlers():
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)


class QueryLog:
    """Who wants to hear of each statement of a database.

    `active` is False when nobody does. Unless a tracker is open (see `open_trackers`), nothing is measured then.
    `observer` hears of statements before they are sent, and of where; the hooks after.
    """

    def __init__(self) -> None:
        self.hooks: tuple[Hook, ...] = ()
        self._observer: Observer | None = None
        self.active = False

    @property
    def observer(self) -> Observer | None:
        """Who hears of each statement before it is sent. What it raises stops the statement."""
        return self._observer

    @observer.setter
    def observer(self, observer: Observer | None) -> None:
        self._observer = observer
        self.active = bool(self.hooks) or observer is not None

    def add(self, hook: Hook) -> None:
        """Call `hook` with a `QueryEvent` after each statement."""
        self.hooks += (hook,)
        self.active = True

    def remove(self, hook: Hook) -> None:
        """Stop calling `hook`; ValueError when it was not added."""
        hooks = list(self.hooks)
        hooks.remove(hook)
        self.hooks = tuple(hooks)
        self.active = bool(hooks) or self._observer is not None

    def timer(self, sql: str, values: Any) -> "StatementTimer":
        """`with log.watch(sql, values) as watch:` reports the statement that runs in its block; set `timer.rows`."""
        return StatementTimer(self, sql, values) if self.active or open_trackers else null_timer


class StatementTimer:
    """One statement being timed."""

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
        if isinstance(error, GeneratorExit):  # whoever read a stream had enough
            error = None
        if query is not None:
            query.seconds, query.rows, query.error = seconds, self.rows, error
        if hooks:
            event = QueryEvent(self._sql, self._values, seconds, self.rows, error)
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
    """What nobody wants to hear of. It is shared, and means nothing."""

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
