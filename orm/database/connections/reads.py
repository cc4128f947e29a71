"""The methods of `databases.Database` that read, on replicas: `fetch_all`, `fetch_one`, `fetch_val`, `iterate`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

import databases
from sqlalchemy.sql import ClauseElement

from orm.database.dialect_registry import dialects

if TYPE_CHECKING:
    from orm.database.connections.replicas import Replicas

ResultT = TypeVar("ResultT")
Query = ClauseElement | str


class RoutedReads(databases.Database):
    """A `databases.Database` whose reads outside of transactions run on its `replicas`, if it has any."""

    replicas: Replicas | None

    # `super()` in a lambda is that of its first parameter: the method of `databases.Database` is called on `target`.

    async def fetch_all(self, query: Query, values: dict[str, Any] | None = None) -> list[Any]:
        """The rows of a query."""
        return await self._route(query, lambda target: super().fetch_all(query, values))

    async def fetch_one(self, query: Query, values: dict[str, Any] | None = None) -> Any:
        """The first row of a query; None if it has none."""
        return await self._route(query, lambda target: super().fetch_one(query, values))

    async def fetch_val(self, query: Query, values: dict[str, Any] | None = None, column: Any = 0) -> Any:
        """A value of the first row of a query; None if it has no rows."""
        return await self._route(query, lambda target: super().fetch_val(query, values, column))

    async def iterate(self, query: Query, values: dict[str, Any] | None = None) -> AsyncGenerator[Any, None]:
        """The rows of a query, one by one."""

        def run(target: RoutedReads) -> AsyncGenerator[Any, None]:
            return target.connection().iterate(query, values)

        rows = run(self) if self.replicas is None else self.replicas.route_stream(self._text(query), run)
        async with aclosing(rows):
            async for row in rows:
                yield row

    async def _route(self, query: Query, run: Callable[[Any], Awaitable[ResultT]]) -> ResultT:
        if self.replicas is None:
            return await run(self)
        return await self.replicas.route(self._text(query), run)

    def _text(self, query: Query) -> str:
        return query if isinstance(query, str) else str(query.compile(dialect=dialects[self.url.dialect].sqlalchemy))
