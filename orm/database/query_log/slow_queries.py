"""A log of the statements that take long, each with the line of the program that awaited it."""

from __future__ import annotations

import logging

from orm.database.query_log.call_sites import find_call_site
from orm.database.query_log.events import QueryEvent
from orm.exceptions import QueryError

logger = logging.getLogger("orm.slow")


class SlowQueryLog:
    """A hook that logs each statement that took `seconds` or longer: ``database.add_hook(orm.SlowQueryLog(0.5))``.

    It logs with the logger `orm.slow`, at WARNING, the time, the rows, the line of the program that awaited the
    statement, and the SQL. Values may be secrets, so they are logged with ``values=True`` only. The record has the
    attributes `seconds`, `sql`, `source` and `server`, for structured logs. Only a slow statement's line is looked for.

    Raises:
        QueryError: `seconds` is not a number from 0 on.
    """

    def __init__(self, seconds: float, *, values: bool = False) -> None:
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
            raise QueryError(f"SlowQueryLog() takes a number of seconds, not {seconds!r}")
        self.seconds = seconds
        self.values = values

    def __call__(self, event: QueryEvent) -> None:
        """Log the statement, if it was slow."""
        if event.seconds < self.seconds:
            return
        source = find_call_site()
        rows = "" if event.rows is None else f", {event.rows} rows"
        failed = "" if event.error is None else f", {type(event.error).__name__}"
        logger.warning(
            "%.0f ms%s%s at %s: %s%s",
            event.seconds * 1000,
            rows,
            failed,
            source or "no line of yours",
            event.sql,
            f" {event.values!r}" if self.values else "",
            extra={"seconds": event.seconds, "sql": event.sql, "source": source, "server": event.server},
        )
