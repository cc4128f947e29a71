"""Keysets: where in a query's order a row stands, and the condition for the rows after it.

A row's place is the values of the query's ordering, to which the primary key is added so that no two rows share one.
Rows that are inserted or deleted elsewhere do not move it, as they move an OFFSET.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement

from orm.exceptions import QueryError
from orm.fields import Field
from orm.lookups.base import Exact, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual, Prepared
from orm.query.conditions.base import IS_NULL, NOTHING, LookupPredicate, Predicate, and_, junction
from orm.query.ordering import ClauseOrder, OrderTerm
from orm.query.projection import Projection
from orm.query.query import Query
from orm.query.resolving.resolver import primary_key_ordering
from orm.query.terms.base import PathTerm
from orm.rows.readers import Process, Reader, Rows, read_tuples

if TYPE_CHECKING:
    from orm.query.rendering import Rendering

Place = tuple[Any, ...]

# Whatever the kind of field: one that can be ordered can be compared.
SAME, ABOVE, BELOW, FROM, UP_TO = Exact(), GreaterThan(), LessThan(), GreaterThanOrEqual(), LessThanOrEqual()


@dataclass(frozen=True)
class WithPosition(Projection):
    """Another projection's rows, each with its place: pairs of both."""

    inner: Projection
    order: tuple[OrderTerm, ...]

    @property
    def plain(self) -> Projection:
        return self.inner

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.inner.names

    @property
    def field(self) -> Field[Any]:
        field: Field[Any] = self.inner.field
        return field

    @property
    def key(self) -> Hashable:  # type: ignore[override]
        return ("placed", self.inner.key, tuple(order.term.key for order in self.order))

    @property
    def values(self) -> tuple[Any, ...]:  # type: ignore[override]
        return (*self.inner.values, *(value for order in self.order for value in order.term.values))

    def columns(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        return [*self.inner.columns(rendering), *(order.term.render(rendering) for order in self.order)]

    def reader(self, processors: Sequence[Process | None], hidden: int) -> Reader:
        width = len(processors) - len(self.order)
        read_rows = self.inner.reader(processors[:width], hidden + len(self.order))
        read_places = read_tuples(processors[width:], hidden)

        def read(rows: Rows) -> list[Any]:
            places = read_places([tuple(row)[width:] for row in rows])
            return list(zip(read_rows(rows), places, strict=True))

        return read


@dataclass(frozen=True)
class Keyset:
    """An order that tells all rows of a query apart, and for each term whether NULL comes last in it."""

    order: tuple[OrderTerm, ...]
    nulls_last: tuple[bool, ...]

    @classmethod
    def of(cls, query: Query, *, nulls_high: bool) -> Keyset:
        """The query's order and after it the primary key. `nulls_high`: the database takes NULL for the largest.

        Raises `QueryError` for an ordering in which a row has no single place.
        """
        if query.grouping is not None:
            raise QueryError("Groups have no primary key that tells them apart: page over them with slices.")
        for term in query.order:
            leaves = term.term.leaves()
            if isinstance(term, ClauseOrder) or not leaves:
                raise QueryError("Pages are ordered by fields and annotations: give the expression a name first.")
            if not term.term.field.is_pageable:
                raise QueryError(f"Pages cannot be ordered by a {type(term.term.field).__name__}.")
            if any(isinstance(leaf, PathTerm) and leaf.path.many for leaf in leaves):
                raise QueryError("Pages cannot be ordered by a relation to many rows: a row would have many positions.")
        known = {term.term.key for term in query.order}
        keys = [term for term in primary_key_ordering(query.info) if term.term.key not in known]
        order = (*query.order, *keys)
        return cls(
            order,
            tuple(term.nulls == "last" if term.nulls else nulls_high != term.descending for term in order),
        )

    def reversed(self) -> Keyset:
        """The opposite order."""
        return Keyset(tuple(term.reversed() for term in self.order), tuple(not last for last in self.nulls_last))

    def query(self, query: Query) -> Query:
        """The query in this order, its rows with their places."""
        # A condition across a relation to many rows finds a row several times, always at the same place.
        distinct = query.distinct or (bool(query.joins.highest) and not query.grouped)
        return query.replace(
            ordering=self.order, distinct=distinct, projection=WithPosition(query.projection, self.order)
        )

    def after(self, place: Place, *, inclusive: bool = False) -> Predicate:
        """The condition that a row comes after this place (or, `inclusive`, stands there)."""
        branches: list[Predicate] = []
        same: list[Predicate] = []
        for term, last, value in zip(self.order, self.nulls_last, place, strict=True):
            branches.append(junction("AND", [*same, _beyond(term, value, nulls_last=last)]))
            same.append(_equal(term, value))
        if inclusive:
            branches.append(junction("AND", same))
        condition = junction("OR", branches)
        first, value = self.order[0], place[0]
        if value is None or (first.term.nullable and self.nulls_last[0]):
            return condition
        # It follows from the rest, and lets the database begin in the middle of an index.
        bound = LookupPredicate(first.term, UP_TO if first.descending else FROM, Prepared((value,)))
        return and_(bound, condition)


def _equal(term: OrderTerm, value: Any) -> Predicate:
    if value is None:
        return LookupPredicate(term.term, IS_NULL, Prepared((), variant=True))
    return LookupPredicate(term.term, SAME, Prepared((value,)))


def _beyond(term: OrderTerm, value: Any, *, nulls_last: bool) -> Predicate:
    if value is None:
        return NOTHING if nulls_last else LookupPredicate(term.term, IS_NULL, Prepared((), variant=False))
    found: Predicate = LookupPredicate(term.term, BELOW if term.descending else ABOVE, Prepared((value,)))
    if term.term.nullable and nulls_last:
        found = junction("OR", [found, LookupPredicate(term.term, IS_NULL, Prepared((), variant=True))])
    return found
