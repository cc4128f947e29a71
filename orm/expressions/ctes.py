"""Common table expressions: named queries that other queries, or they themselves, join."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orm.exceptions import FieldError, QueryError
from orm.expressions.base import Expression

if TYPE_CHECKING:
    from orm.queryset.queryset import QuerySet

# The name is written into the SQL. Every database accepts these.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")


class CTE:
    """A common table expression: a named query of `values()`.

        busy = orm.CTE("busy", Comment.objects.values("post_id").annotate(n=orm.Count("id")).filter(n__gt=9))
        await busy.join(Post, id=busy.col.post_id).with_cte(busy).annotate(n=busy.col.n)

    `recursive()` makes one that joins itself:

        tree = orm.CTE.recursive(
            "tree",
            Category.objects.filter(parent=None).values("id", depth=orm.Value(0)),
            lambda tree: tree.join(Category, parent_id=tree.col.id).values("id", depth=tree.col.depth + 1),
        )
        await tree.join(Category, id=tree.col.id).with_cte(tree).annotate(depth=tree.col.depth)
    """

    def __init__(self, name: str, queryset: QuerySet[Any, Any]) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise QueryError(f"The name of a CTE is at most 60 ASCII letters, digits and underscores, got {name!r}.")
        self.name = name
        self.query = queryset._query
        self.step: QuerySet[Any, Any] | None = None
        """The queryset that is repeated if the CTE is recursive."""
        self.col = CTEColumns(self)

    def __repr__(self) -> str:
        return f"<CTE {self.name}>"

    @classmethod
    def recursive(
        cls,
        name: str,
        start: QuerySet[Any, Any],
        step: Callable[[CTE], QuerySet[Any, Any]],
    ) -> CTE:
        """The rows of `start`, those that `step` finds from them, and so on until it finds no more."""
        cte = cls(name, start)
        cte.step = step(cte)
        if cte.step._query.projection.width != cte.query.projection.width:
            raise QueryError(f"Both queries of the recursive CTE {name!r} must select the same columns.")
        return cte

    def join(self, target: Any, /, **lookups: Any) -> QuerySet[Any, Any]:
        """A queryset of `target` (a model or a queryset), joined to this CTE on the lookups."""
        queryset = getattr(target, "objects", target)
        joined: QuerySet[Any, Any] = queryset._joined_to(self, lookups)
        return joined

    def check_column(self, name: str) -> None:
        """Raise `FieldError` with the names of the columns unless this is one of them."""
        names = self.query.projection.names
        if name not in names:
            raise FieldError(f"The CTE {self.name!r} has no column {name!r}. Its columns are: {', '.join(names)}.")


class CTEColumns:
    """The columns of a CTE, as expressions: ``cte.col.depth``."""

    def __init__(self, cte: CTE) -> None:
        self._cte = cte

    def __getattr__(self, name: str) -> CTEColumn:
        self._cte.check_column(name)
        return CTEColumn(self._cte, name)


class CTEColumn(Expression[Any]):
    """A column of a CTE."""

    def __init__(self, cte: CTE, name: str) -> None:
        self.cte = cte
        self.name = name

    def __repr__(self) -> str:
        return f"{self.cte.name}.{self.name}"
