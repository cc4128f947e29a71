"""The query log: what `database.echo` prints and `database.add_hook` reports."""

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

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


def print_event(event: QueryEvent) -> None:
    """Log one statement through the `orm.sql` logger, at INFO."""
    if event.error is not None:
        outcome = f"{type(event.error).__name__}: {event.error}"
    else:
        outcome = "" if event.rows is None else f"{event.rows} row{'' if event.rows == 1 else 's'}"
    logger.info("%s %r  -- %.2f ms%s", event.sql, event.values, event.seconds * 1000, outcome and f", {outcome}")


def make_visible() -> None:
    """Let the `orm.sql` logger reach the eye: to standard error, unless the program has set up logging itself."""
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    if not logger.hasHandlers():
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)


class QueryLog:
    """Who wants to hear of each statement. `active` is False when nobody does, and then nothing is measured."""

    def __init__(self) -> None:
        self.hooks: tuple[Hook, ...] = ()
        self.active = False

    def add(self, hook: Hook) -> None:
        """Call `hook` with a `QueryEvent` after each statement."""
        self.hooks += (hook,)
        self.active = True

    def remove(self, hook: Hook) -> None:
        """Stop calling `hook`; ValueError when it was not added."""
        hooks = list(self.hooks)
        hooks.remove(hook)
        self.hooks = tuple(hooks)
        self.active = bool(hooks)

    def report(self, sql: str, values: Any, started: float, rows: int | None, error: BaseException | None) -> None:
        """Tell every hook of a statement that began at `started` (`time.perf_counter()`)."""
        event = QueryEvent(sql, values, time.perf_counter() - started, rows, error)
        for hook in self.hooks:
            hook(event)

    def watch(self, sql: str, values: Any) -> "Watch":
        """`with log.watch(sql, values) as watch:` reports the statement that runs in its block; set `watch.rows`."""
        return Watch(self, sql, values)


class Watch:
    """One statement being timed."""

    __slots__ = ("_log", "_sql", "_started", "_values", "rows")

    def __init__(self, log: QueryLog, sql: str, values: Any) -> None:
        self._log = log
        self._sql = sql
        self._values = values
        self.rows: int | None = None

    def __enter__(self) -> "Watch":
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._log.report(self._sql, self._values, self._started, self.rows, error)
