"""Subqueries: `Subquery`, `Exists`, `OuterRef`."""

from __future__ import annotations

from typing import Any

from orm.exceptions import QueryError
from orm.expressions.base import Condition, Expression, F


class OuterRef(F):
    """A field of the outer query, in a subquery: ``OuterRef("pk")``.

    Two levels further out it is ``OuterRef(OuterRef("pk"))``.
    """

    __slots__ = ("depth", "key_part")

    depth: int
    key_part: tuple[int, int] | None
    """For one column of a composite key: its position, and the number of columns."""

    def __init__(self, path: str | OuterRef) -> None:
        if isinstance(path, OuterRef):
            super().__init__(path.path)
            self.depth = path.depth + 1
        else:
            super().__init__(path)
            self.depth = 1
        self.key_part = None

    def part(self, position: int, count: int) -> OuterRef:
        """A reference to the column at `position` of the composite key of `count` columns."""
        column = OuterRef(self.path)
        column.depth = self.depth
        column.key_part = position, count
        return column

    def __repr__(self) -> str:
        return f"OuterRef({self.path!r})"


class Subquery(Expression[Any]):
    """The single value that a queryset selects: the only column of its ``values()``, of its first row.

        newest = Comment.objects.filter(post=orm.OuterRef("pk")).order_by("-id").values("text")[:1]
        await Post.objects.annotate(newest=orm.Subquery(newest))

    The queryset alone can be used wherever a value is expected: ``annotate(newest=newest)``.
    """

    def __init__(self, queryset: Any) -> None:
        self.query = query_of(queryset, "Subquery")
        self.queryset = queryset

    def __repr__(self) -> str:
        return f"Subquery({self.query.info.name})"


class Exists(Condition, Expression[bool]):
    """Whether a queryset has any row: a condition and an expression."""

    def __init__(self, queryset: Any) -> None:
        self.query = query_of(queryset, "Exists")

    def __repr__(self) -> str:
        return f"Exists({self.query.info.name})"


def is_queryset(value: Any) -> bool:
    """Whether a value is a queryset."""
    return hasattr(value, "_query")


def query_of(queryset: Any, what: str) -> Any:
    """The query of a queryset. Raises `QueryError` for anything else."""
    query = getattr(queryset, "_query", None)
    if query is None:
        raise QueryError(f"{what}() takes a queryset, got {type(queryset).__name__}.")
    return query
