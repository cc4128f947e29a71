"""Graphs and raw SQL without `await`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import databases

from orm import execution
from orm.loading.graph import Graph
from orm.queryset.paging import Page
from orm.queryset.raw import RawQuerySet
from orm.synchronous.bridge import ITERATOR_ROWS, iterate
from orm.utils.blocking import run

if TYPE_CHECKING:
    from orm.models import Model

M = TypeVar("M", bound="Model")
S = TypeVar("S")


class SyncGraph(Generic[S]):
    """The result of `SyncQuerySet.graph()`: a query's rows with their relations, in one round trip."""

    def __init__(self, graph: Graph[S]) -> None:
        self._graph = graph

    def __repr__(self) -> str:
        return f"<synchronous {self._graph!r}>"

    def __iter__(self) -> Iterator[S]:
        return iter(self.all())

    def all(self) -> list[S]:
        """The rows, as a list."""
        return run(self._graph)

    def iterator(self, chunk_size: int = ITERATOR_ROWS) -> Iterator[S]:
        """The rows one by one; some hundreds of them are in memory at a time."""
        return iterate(self._graph.__aiter__(), chunk_size)

    def get(self, /, *conditions: Any, **lookups: Any) -> S:
        """See `Graph.get()`."""
        return run(self._graph.get(*conditions, **lookups))

    def first(self, /, *conditions: Any, **lookups: Any) -> S | None:
        """See `Graph.first()`."""
        return run(self._graph.first(*conditions, **lookups))

    def count(self) -> int:
        """See `Graph.count()`."""
        return run(self._graph.count())

    def exists(self) -> bool:
        """See `Graph.exists()`."""
        return run(self._graph.exists())

    def page(self, *, after: str | None = None, before: str | None = None, size: int = 50) -> Page[S]:
        """See `Graph.page()`."""
        return run(self._graph.page(after=after, before=before, size=size))

    def as_dicts(self) -> list[dict[str, Any]]:
        """See `Graph.as_dicts()`."""
        return run(self._graph.as_dicts())

    @property
    def sql(self) -> execution.Statement:
        """See `Graph.sql`."""
        return self._graph.sql


class SyncRawQuerySet(Generic[M]):
    """The instances of the user's own SQL: the result of `SyncQuerySet.raw()`, and of `Model.raw()`."""

    def __init__(self, queryset: RawQuerySet[M]) -> None:
        self._raw = queryset

    def __iter__(self) -> Iterator[M]:
        return iter(self.all())

    def all(self) -> list[M]:
        """The instances, as a list."""
        return run(self._raw)

    def using(self, database: databases.Database) -> SyncRawQuerySet[M]:
        """The same statement on another database."""
        return SyncRawQuerySet(self._raw.using(database))
