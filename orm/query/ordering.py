"""The terms of ORDER BY."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement
from sqlalchemy.sql.elements import Grouping

from orm.exceptions import QueryError
from orm.query.paths import Path
from orm.query.terms.base import PathTerm, Term
from orm.query.terms.computed import CombinedTerm, FuncTerm
from orm.query.terms.subqueries import SubqueryTerm

if TYPE_CHECKING:
    from orm.query.rendering import Rendering


class OrderTerm:
    """One term of ORDER BY."""

    __slots__ = ("descending", "key", "many", "nulls", "term", "values")

    def __init__(self, term: Term, descending: bool, nulls: str | None = None) -> None:
        self.term = term
        self.descending = descending
        self.nulls = nulls
        self.key: Hashable = (term.key, descending, nulls)
        self.values = term.values
        self.many = term.many or any(leaf.many for leaf in term.leaves())
        """Whether it reads a column over a relation to many rows."""

    def rebound(self, selected: tuple[Term, ...], latest: Callable[[Path], PathTerm]) -> OrderTerm:
        """The same ordering by the selected term of its path, or else by the path's `latest` join."""
        term = _rebound(self.term, selected, latest)
        return self if term is self.term else OrderTerm(term, self.descending, self.nulls)

    def reversed(self) -> OrderTerm:
        """The same term in the opposite direction."""
        nulls = {"first": "last", "last": "first", None: None}[self.nulls]
        return OrderTerm(self.term, not self.descending, nulls)

    def render(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        """Its SQL: one element, or two if it says where NULLs go."""
        column = rendering.render_once(self.term)
        ordered = column.desc() if self.descending else column.asc()
        if self.nulls is None:
            return [ordered]
        # Instead of NULLS FIRST, which not every database has.
        missing = column.is_(None)
        return [missing.desc() if self.nulls == "first" else missing.asc(), ordered]


def _rebound(term: Term, selected: tuple[Term, ...], latest: Callable[[Path], PathTerm]) -> Term:
    """A term whose paths are replaced as in `OrderTerm.rebound`."""
    if isinstance(term, PathTerm):
        path = term.path
        if not path.many:
            return term
        return next((t for t in selected if isinstance(t, PathTerm) and t.path is path), None) or latest(path)
    if isinstance(term, SubqueryTerm):
        return term.rebound(latest)
    if type(term) is FuncTerm:
        return FuncTerm(term.function, tuple(_rebound(argument, selected, latest) for argument in term.arguments))
    if isinstance(term, CombinedTerm):
        return CombinedTerm(term.symbol, _rebound(term.left, selected, latest), _rebound(term.right, selected, latest))
    return term


class ClauseOrder(OrderTerm):
    """A SQLAlchemy clause with its own direction."""

    def reversed(self) -> OrderTerm:
        raise QueryError("An ordering given as a SQLAlchemy clause cannot be reversed.")

    def render(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        clause = self.term.render(rendering)
        inner: Any = clause.element if isinstance(clause, Grouping) else clause
        return [inner]
