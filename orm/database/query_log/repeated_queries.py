"""Warns if a line of the program awaits the same query many times in a row: `orm.Database(url, warn_repeated=10)`."""

import asyncio
import re
import time
import warnings
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from orm.database.query_log.call_sites import Source, parent_of
from orm.database.query_log.events import TrackedQuery
from orm.exceptions import QueryError

# A loop that pauses for so long between two queries waits for work (from a queue, a timer): it does not iterate rows.
PAUSE_SECONDS = 1.0
MAX_RUNS = 256
SHOWN = 1000

NAME = r'[`"]?(?P<name>\w+)[`"]?'
TABLE = re.compile(rf'\b(?:FROM|INTO|UPDATE)\s+(?:[`"]?\w+[`"]?\.)?{NAME}', re.IGNORECASE)
HELP = {
    "INSERT": "Insert all rows at once with `bulk_create()`.",
    "UPDATE": "Change all rows at once with `filter(...).update()`, or with `bulk_update()` where the values differ.",
    "DELETE": "Delete all rows at once with `filter(...).delete()`.",
}
HELP_READING = (
    "Bring the rows of {table} along with the query that the loop is over, by `select_related()` or"
    " `prefetch_related()`, or read them all before the loop with `filter(...__in=[...])` or `in_bulk()`."
)


class RepeatedQueryWarning(UserWarning):
    """The same query was awaited many times in a row from one line of the program. See `orm.Database.warn_repeated`."""


@dataclass
class _Run:
    """Queries of one shape from one line. `tasks` are the tasks that existed when the first one was sent."""

    tasks: "WeakSet[asyncio.Task[Any]]"
    latest: TrackedQuery
    count: int = 0


class RepeatedQueryObserver:
    """The observer that counts queries, and warns at the `times`th in a row of one shape from one line.

    Queries of one task are in a row, and those of the tasks that one task started together; queries of other shapes
    may come in between.
    """

    def __init__(self, times: int) -> None:
        if isinstance(times, bool) or not isinstance(times, int) or times < 2:
            raise QueryError(f"warn_repeated is a number of times, 2 or more, or None; not {times!r}")
        self.times = times
        self._runs: WeakKeyDictionary[asyncio.Task[Any], dict[tuple[str, Source], _Run]] = WeakKeyDictionary()
        self._warned: dict[Any, Any] = {}  # in which Python's `warnings` records the lines that were warned of

    def __call__(self, query: TrackedQuery) -> None:
        """Count a query that is being sent."""
        task = asyncio.current_task()
        if task is None or query.source is None or query.is_transaction:
            return
        runs = self._runs.setdefault(parent_of(task) or task, {})
        key = query.shape, query.source
        run = runs.pop(key, None)
        if run is None or task not in run.tasks or _paused(run.latest):
            run = _Run(WeakSet(asyncio.all_tasks()), query)
        runs[key] = run  # the latest one last
        if len(runs) > MAX_RUNS:
            del runs[next(iter(runs))]
        run.latest = query
        run.count += 1
        if run.count == self.times:
            self._warn(query.shape, query.source)

    def _warn(self, shape: str, source: Source) -> None:
        shown = shape if len(shape) <= SHOWN else f"{shape[:SHOWN]}…"
        table = TABLE.search(shape)
        advice = HELP.get(shape.partition(" ")[0].upper()) or HELP_READING.format(
            table=table["name"] if table else "the other table"
        )
        warnings.warn_explicit(
            f"the same query was awaited {self.times} times in a row at {source}\n  {shown}\n{advice}",
            RepeatedQueryWarning,
            source.file,
            source.line,
            registry=self._warned,
        )


def _paused(latest: TrackedQuery) -> bool:
    """Whether no query followed this one for a while."""
    return latest.seconds is not None and time.perf_counter() - latest.started - latest.seconds > PAUSE_SECONDS
