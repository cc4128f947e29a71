"""Which queries a block of code sends, and from where: `orm.track_queries()` and `orm.assert_max_queries()`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from typing_extensions import Self

from orm.database.query_log.call_sites import Source, record_task
from orm.database.query_log.events import TrackedQuery, context_trackers, open_trackers
from orm.exceptions import QueryError


@dataclass(frozen=True)
class QueryGroup:
    """The queries of one shape.

    `sources` counts the queries that each line of the program awaited (None: those that no line awaited). `seconds` is
    the time that the driver took for all of them.
    """

    shape: str
    queries: tuple[TrackedQuery, ...]

    @property
    def count(self) -> int:
        """The number of queries."""
        return len(self.queries)

    @property
    def seconds(self) -> float:
        """The time that the driver took for the queries that are finished."""
        return sum(query.seconds or 0.0 for query in self.queries)

    @property
    def sources(self) -> dict[Source | None, int]:
        """The lines of the program that awaited them, the busiest first."""
        return dict(Counter(query.source for query in self.queries).most_common())


class QueryTracker:
    """The queries sent inside its block, by the current task and by tasks that are started in the block.

    >>> async with orm.track_queries() as queries:
    ...     albums = await Album.objects.all()
    >>> queries.count
    1
    >>> print(queries)

    They are the statements of every `orm.Database`, including those sent by `database.execute()` and the like; of a
    plain `databases.Database` only the ORM's. Statements that begin and end transactions are in `transactions`.
    """

    def __init__(self) -> None:
        self._queries: list[TrackedQuery] = []
        self.transactions: list[TrackedQuery] = []
        self.round_trips = 0
        """How often the driver was called, also for transactions: on SQLite, trips to the connection's thread."""

    def __enter__(self) -> Self:
        if self in context_trackers.get():
            raise QueryError("These queries are being tracked already: call orm.track_queries() once for each block.")
        record_task()
        context_trackers.set((*context_trackers.get(), self))
        open_trackers.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Tasks that outlive the block still have it in their context.
        open_trackers.discard(self)
        context_trackers.set(tuple(tracker for tracker in context_trackers.get() if tracker is not self))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def sent(self, query: TrackedQuery) -> None:
        """Called for each statement before it goes to the driver."""
        (self.transactions if query.is_transaction else self._queries).append(query)

    def called(self) -> None:
        """Called for each call of the driver."""
        self.round_trips += 1

    @property
    def count(self) -> int:
        """The number of queries sent."""
        return len(self._queries)

    def __len__(self) -> int:
        return len(self._queries)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[TrackedQuery]:
        return iter(self._queries)

    def __getitem__(self, index: int) -> TrackedQuery:
        return self._queries[index]

    @property
    def groups(self) -> dict[str, QueryGroup]:
        """The queries by shape, the most frequent shape first."""
        by_shape: dict[str, list[TrackedQuery]] = {}
        for query in self._queries:
            by_shape.setdefault(query.shape, []).append(query)
        groups = [QueryGroup(shape, tuple(queries)) for shape, queries in by_shape.items()]
        return {group.shape: group for group in sorted(groups, key=lambda group: -group.count)}

    def report(self, *, values: bool = False) -> str:
        """A readable report of what was sent, and from where; with `values=True`, of the values as well."""
        groups = self.groups.values()
        seconds = sum(group.seconds for group in groups)
        lines = [
            f"{_count_of(self.count, 'query', 'queries')} in {_count_of(len(groups), 'shape', 'shapes')},"
            f" {_count_of(self.round_trips, 'round trip', 'round trips')}, {seconds * 1000:.1f} ms"
        ]
        for group in groups:
            lines.append(f"{group.count:4} × {group.shape}  -- {group.seconds * 1000:.1f} ms")
            lines += [f"       {count:4} × {source or 'no line of yours'}" for source, count in group.sources.items()]
            if values:
                lines += [f"              {query.values!r}" for query in group.queries]
        if self.transactions:
            lines.append("transactions: " + ", ".join(query.sql for query in self.transactions))
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.report()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {_count_of(self.count, 'query', 'queries')}>"


class QueryLimit(QueryTracker):
    """The queries of a block that may send at most `limit` of them."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        if error is None and self.count > self.limit:
            allowed = _count_of(self.limit, "query", "queries")
            raise AssertionError(f"{allowed} at most, but there were {self.count}.\n{self}")


def track_queries() -> QueryTracker:
    """Count the queries of a block: `with` or `async with orm.track_queries() as queries:`."""
    return QueryTracker()


def assert_max_queries(limit: int) -> QueryLimit:
    """Raise AssertionError, with a report of what was sent, if a block sends more than `limit` queries.

    Use it with `with` or `async with`. Statements that begin and end transactions do not count.

    >>> async with orm.assert_max_queries(2):
    ...     await client.get("/albums")
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise QueryError(f"assert_max_queries() takes a number of queries, not {limit!r}")
    return QueryLimit(limit)


def _count_of(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
