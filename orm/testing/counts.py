"""How many queries a block sends, exactly; and their SQL as text that can be compared."""

from __future__ import annotations

from types import TracebackType

from orm.database.query_log.tracking import QueryTracker
from orm.exceptions import QueryError


class ExactQueryCount(QueryTracker):
    """The queries of a block that sends `count` of them."""

    def __init__(self, expected: int) -> None:
        super().__init__()
        self.expected = expected

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        if error is None and self.count != self.expected:
            raise AssertionError(f"{self.expected} queries expected, but there were {self.count}.\n{self}")


def assert_num_queries(count: int) -> ExactQueryCount:
    """Raise AssertionError, with a report of what was sent, unless a block sends `count` queries.

    Use it with `with` or `async with`. Statements that begin and end transactions do not count.

    >>> async with assert_num_queries(2):
    ...     await client.get("/albums")

    Raises:
        QueryError: `count` is not a number of queries.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise QueryError(f"assert_num_queries() takes a number of queries, not {count!r}")
    return ExactQueryCount(count)


def sql_of(queries: QueryTracker) -> str:
    """The SQL of the queries, one in a line, with `?` for each value: the same for all databases' placeholders."""
    return "".join(f"{query.shape}\n" for query in queries)
