"""Queries inside of queries: Subquery, Exists, OuterRef."""

from __future__ import annotations

from typing import Any

from orm.exceptions import QueryError
from orm.expressions.base import Condition, Expression, F


class OuterRef(F):
    """A field of the query that this one will be inside of: ``OuterRef("pk")``.

    In a query two levels down, ``OuterRef(OuterRef("pk"))``.
    """

    __slots__ = ("depth", "place")

    depth: int
    place: tuple[int, int] | None
    """Of a part of a key of several columns: which one, of how many."""

    def __init__(self, path: str | OuterRef) -> None:
        if isinstance(path, OuterRef):
            super().__init__(path.path)
            self.depth = path.depth + 1
        else:
            super().__init__(path)
            self.depth = 1
        self.place = None

    def part(self, position: int, count: int) -> OuterRef:
        """One column of the key of so many that it names."""
        made = OuterRef(self.path)
        made.depth = self.depth
        made.place = position, count
        return made

    def __repr__(self) -> str:
        return f"OuterRef({self.path!r})"


class Subquery(Expression[Any]):
    """The single value that a queryset selects: its one column of ``values()``, of its first row.

        newest = Comment.objects.filter(post=orm.OuterRef("pk")).order_by("-id").values("text")[:1]
        await Post.objects.annotate(newest=orm.Subquery(newest))

    Where a value is asked for, the queryset alone says the same: ``annotate(newest=newest)``.
    """

    def __init__(self, queryset: Any) -> None:
        self.query = query_of(queryset, "Subquery")

    def __repr__(self) -> str:
        return f"Subquery({self.query.info.name})"


class Exists(Condition, Expression[bool]):
    """Whether a queryset has a row; a condition, and an expression."""

    def __init__(self, queryset: Any) -> None:
        self.query = query_of(queryset, "Exists")

    def __repr__(self) -> str:
        return f"Exists({self.query.info.name})"


def is_queryset(value: Any) -> bool:
    """Whether a value is a queryset, which stands for what it selects."""
    return hasattr(value, "_query")


def query_of(queryset: Any, what: str) -> Any:
    """The query of a queryset. Raises `QueryError` for anything else."""
    query = getattr(queryset, "_query", None)
    if query is None:
        raise QueryError(f"{what}() takes a queryset, got {type(queryset).__name__}.")
    return query
