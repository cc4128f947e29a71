"""Terms that read another query: subqueries, references to the outer query, columns of CTEs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.exceptions import QueryError
from orm.fields import Field
from orm.query.paths import Path
from orm.query.terms.base import PathTerm, Term

if TYPE_CHECKING:
    from orm.expressions.ctes import CTE
    from orm.query.query import Query
    from orm.query.rendering import Rendering


class Correlation:
    """The terms of the outer query that the `OuterRef`s of a subquery refer to.

    They are resolved by the call that the subquery is an argument of, so one over a relation to many rows reads the row
    that the outer query has joined, as any other expression of that call does.
    """

    def __init__(self, terms: Mapping[Hashable, Term]) -> None:
        self.terms = terms
        """The terms, by the key of the `OuterRefTerm` that stands for each in the subquery."""
        self.key = tuple((key, term.key) for key, term in terms.items())
        self.values = tuple(value for term in terms.values() for value in term.values)
        self.many = any(term.many for term in terms.values())
        self.aggregate = any(term.aggregate for term in terms.values())
        self.window = any(term.window for term in terms.values())

    def render(self, rendering: Rendering) -> dict[Hashable, ColumnElement[Any]]:
        """The SQL of each term. It is rendered before the subquery, whose arguments follow."""
        return {key: term.render(rendering) for key, term in self.terms.items()}

    def rebound(self, latest: Callable[[Path], PathTerm]) -> Correlation:
        """The same terms, those over relations to many rows on the `latest` joins."""
        many = {key: latest(term.path) for key, term in self.terms.items() if isinstance(term, PathTerm) and term.many}
        return Correlation({**self.terms, **many})

    def leaves(self) -> tuple[Term, ...]:
        """The columns and annotations of the outer query that the subquery reads."""
        return tuple(leaf for term in self.terms.values() for leaf in term.leaves())


UNCORRELATED = Correlation({})


class SubqueryTerm(Term):
    """A subquery that selects one value."""

    def __init__(self, query: Query, correlation: Correlation) -> None:
        self.query = query
        self.correlation = correlation
        self.field = query.column_field(correlation)
        self.key = ("subquery", query.key, correlation.key)
        self.values = (*correlation.values, *query.values)
        self.many = correlation.many
        self.aggregate = correlation.aggregate
        self.window = correlation.window

    def rebound(self, latest: Callable[[Path], PathTerm]) -> SubqueryTerm:
        """The same subquery, correlated with the `latest` joins: see `OrderTerm.rebound`."""
        return SubqueryTerm(self.query, self.correlation.rebound(latest))

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        subquery = self.query.subselect(rendering, self.correlation, nested=False).scalar_subquery()
        return sqlalchemy.type_coerce(subquery, self.field.result_type())

    def leaves(self) -> tuple[Term, ...]:
        return self.correlation.leaves()


class OuterRefTerm(Term):
    """A reference by name to the outer query: see `Correlation`."""

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
        column = rendering.outer_columns.get(self.key)
        if column is None:
            raise QueryError(
                f"OuterRef({self.name!r}) outside of a subquery: a queryset with one can only be used in "
                "Subquery(), Exists() or a lookup of another query."
            )
        return column


class OuterTerm(Term):
    """A term of the outer query."""

    def __init__(self, term: Term) -> None:
        self.term = term
        self.key = ("outer", term.key)
        self.values = term.values
        self.typed = term.typed

    @property
    def field(self) -> Field[Any]:
        field: Field[Any] = self.term.field
        return field

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
