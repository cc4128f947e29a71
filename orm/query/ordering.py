"""The terms of ORDER BY."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement

from orm.exceptions import QueryError
from orm.query.paths import Path
from orm.query.terms.base import PathTerm, Term
from orm.query.terms.subqueries import SubqueryTerm

if TYPE_CHECKING:
    from orm.query.rendering import Rendering


class OrderTerm:
    """One term of ORDER BY."""

    __slots__ = ("descending", "key", "nulls", "term", "values")

    def __init__(self, term: Term, descending: bool, nulls: str | None = None) -> None:
        self.term = term
        self.descending = descending
        self.nulls = nulls
        self.key: Hashable = (term.key, descending, nulls)
        self.values = term.values

    def rebound(self, selected: tuple[Term, ...], latest: Callable[[Path], PathTerm]) -> OrderTerm:
        """The same ordering by the selected term of its path, or else by the path's `latest` join."""
        term = self.term
        if isinstance(term, PathTerm):
            path = term.path
            term = next((t for t in selected if isinstance(t, PathTerm) and t.path is path), None) or latest(path)
        elif isinstance(term, SubqueryTerm):
            term = term.rebound(latest)
        else:
            return self
        return OrderTerm(term, self.descending, self.nulls)

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


class ClauseOrder(OrderTerm):
    """A SQLAlchemy clause with its own direction."""

    def reversed(self) -> OrderTerm:
        raise QueryError("An ordering given as a SQLAlchemy clause cannot be reversed.")

    def render(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        return [self.term.render(rendering)]
