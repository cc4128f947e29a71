"""Terms that read another query: subqueries, references to the outer query, columns of CTEs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.exceptions import QueryError
from orm.fields import Field
from orm.query.terms.base import Term

if TYPE_CHECKING:
    from orm.expressions.ctes import CTE
    from orm.query.query import Query
    from orm.query.rendering import Rendering


class SubqueryTerm(Term):
    """A subquery that selects one value."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.field = query.projection.field
        self.key = ("subquery", query.key)
        self.values = query.values

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        subquery = self.query.subselect(rendering, nested=False).scalar_subquery()
        return sqlalchemy.type_coerce(subquery, self.field.result_type())


class OuterRefTerm(Term):
    """A reference by name to the outer query, which is resolved when the subquery is rendered."""

    typed = False

    def __init__(self, name: str, depth: int, key_part: tuple[int, int] | None = None) -> None:
        self.name = name
        self.depth = depth
        self.key_part = key_part
        """For a column of a composite key: its position, and the number of columns."""
        self.key = ("outer name", name, depth, key_part)

    @property
    def field(self) -> Field[Any]:
        raise QueryError(
            f"OuterRef({self.name!r}) can be compared with; what it is otherwise depends on the outer query."
        )

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        outer: Rendering | None = rendering
        for _ in range(self.depth):
            outer = None if outer is None else outer.outer
        if outer is None:
            raise QueryError(
                f"OuterRef({self.name!r}) outside of a subquery: a queryset with one can only be used in "
                "Subquery(), Exists() or a lookup of another query."
            )
        return outer.outer_column(self.name, self.key_part)


class OuterTerm(Term):
    """A term of the outer query."""

    def __init__(self, term: Term) -> None:
        self.term = term
        self.key = ("outer", term.key)
        self.values = term.values
        self.field = term.field

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        assert rendering.outer is not None
        return self.term.render(rendering.outer)


class CTETerm(Term):
    """A column of a CTE."""

    def __init__(self, cte: CTE, name: str) -> None:
        self.cte = cte
        self.name = name
        cte.check_column(name)
        projection = cte.query.projection
        self.field = projection.selected(cte.query.resolver())[projection.position(name)].field
        self.key = ("cte", cte.name, name)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return rendering.cte_column(self.cte, self.name)

    def leaves(self) -> tuple[Term, ...]:
        return (self,)
