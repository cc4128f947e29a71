"""Keysets: the position of a row in a query's order, and the condition for the rows after it.

A row's position consists of its values of the ordering, to which the primary key is added so that no two rows have the
same one. Unlike an OFFSET, it does not change when other rows are inserted or deleted.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement

from orm.exceptions import QueryError
from orm.fields import Field
from orm.lookups.base import Prepared
from orm.lookups.comparisons import Exact, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual
from orm.query.added_columns import AddedColumns
from orm.query.conditions.base import IS_NULL, NOTHING, LookupPredicate, Predicate, and_, junction
from orm.query.ordering import ClauseOrder, OrderTerm
from orm.query.query import Query
from orm.query.resolving.resolver import primary_key_ordering
from orm.query.terms.base import PathTerm
from orm.rows.readers import Process, Reader, Rows, read_tuples
from orm.utils.articles import with_article

if TYPE_CHECKING:
    from orm.query.rendering import Rendering

Position = tuple[Any, ...]

# They apply to every field: one that can be ordered can be compared.
SAME, ABOVE, BELOW, FROM, UP_TO = Exact(), GreaterThan(), LessThan(), GreaterThanOrEqual(), LessThanOrEqual()


@dataclass(frozen=True)
class WithPosition(AddedColumns):
    """Another projection's rows, each with its position: pairs of both."""

    order: tuple[OrderTerm, ...]

    @property
    def field(self) -> Field[Any]:
        field: Field[Any] = self.inner.field
        return field

    @property
    def key(self) -> Hashable:  # type: ignore[override]
        return ("with position", self.inner.key, tuple(order.term.key for order in self.order))

    @property
    def values(self) -> tuple[Any, ...]:  # type: ignore[override]
        return (*self.inner.values, *(value for order in self.order for value in order.term.values))

    def columns(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        return [*self.inner.columns(rendering), *(order.term.render(rendering) for order in self.order)]

    def reader(self, processors: Sequence[Process | None], trailing_columns: int) -> Reader:
        width = len(processors) - len(self.order)
        read_rows = self.inner.reader(processors[:width], trailing_columns + len(self.order))
        read_positions = read_tuples(processors[width:], trailing_columns)

        def read(rows: Rows) -> list[Any]:
            selected = read_rows(rows)  # first, because its errors name the fields
            return list(zip(selected, read_positions([tuple(row)[width:] for row in rows]), strict=True))

        return read


@dataclass(frozen=True)
class Keyset:
    """An order in which no two rows of a query are equal, and for each of its terms whether NULL comes last."""

    order: tuple[OrderTerm, ...]
    nulls_last: tuple[bool, ...]

    @classmethod
    def of(cls, query: Query, *, nulls_high: bool) -> Keyset:
        """The query's order followed by the primary key. `nulls_high`: the database takes NULL for the largest value.

        Raises `QueryError` for an ordering in which a row has no single position.
        """
        if query.grouping is not None:
            raise QueryError("Groups have no primary key that tells them apart: page over them with slices.")
        for term in query.order:
            leaves = term.term.leaves()
            if isinstance(term, ClauseOrder) or not leaves:
                raise QueryError("Pages are ordered by fields and annotations: give the expression a name first.")
            if not term.term.field.is_pageable:
                raise QueryError(f"Pages cannot be ordered by {with_article(type(term.term.field).__name__)}.")
            if any(isinstance(leaf, PathTerm) and leaf.path.many for leaf in leaves):
                raise QueryError("Pages cannot be ordered by a relation to many rows: a row would have many positions.")
        ordered_by = {term.term.key for term in query.order}
        keys = [term for term in primary_key_ordering(query.info) if term.term.key not in ordered_by]
        order = (*query.order, *keys)
        nulls_last = (term.nulls == "last" if term.nulls else nulls_high != term.descending for term in order)
        return cls(order, tuple(nulls_last))

    def reversed(self) -> Keyset:
        """The opposite order."""
        return Keyset(tuple(term.reversed() for term in self.order), tuple(not last for last in self.nulls_last))

    def query(self, query: Query) -> Query:
        """The query in this order, its rows with their positions."""
        # A condition over a relation to many rows selects a row several times, always at the same position.
        distinct = query.distinct or (bool(query.joins.highest) and not query.grouped)
        return query.replace(
            ordering=self.order, distinct=distinct, projection=WithPosition(query.projection, self.order)
        )

    def after(self, position: Position, *, inclusive: bool = False) -> Predicate:
        """The condition that a row comes after this position or, if `inclusive`, is at it."""
        branches: list[Predicate] = []
        same: list[Predicate] = []
        for term, last, value in zip(self.order, self.nulls_last, position, strict=True):
            branches.append(junction("AND", [*same, _beyond(term, value, nulls_last=last)]))
            same.append(_equal(term, value))
        if inclusive:
            branches.append(junction("AND", same))
        condition = junction("OR", branches)
        first, value = self.order[0], position[0]
        if value is None or (first.term.nullable and self.nulls_last[0]):
            return condition
        # This follows from the rest, but lets the database start in the middle of an index.
        bound = LookupPredicate(first.term, UP_TO if first.descending else FROM, Prepared((value,)))
        return and_(bound, condition)


def _equal(term: OrderTerm, value: Any) -> Predicate:
    """The condition that a row has this value of the term."""
    if value is None:
        return LookupPredicate(term.term, IS_NULL, Prepared((), variant=True))
    return LookupPredicate(term.term, SAME, Prepared((value,)))


def _beyond(term: OrderTerm, value: Any, *, nulls_last: bool) -> Predicate:
    """The condition that a row's value of the term comes after this one."""
    if value is None:
        return NOTHING if nulls_last else LookupPredicate(term.term, IS_NULL, Prepared((), variant=False))
    is_beyond = LookupPredicate(term.term, BELOW if term.descending else ABOVE, Prepared((value,)))
    if term.term.nullable and nulls_last:
        return junction("OR", [is_beyond, LookupPredicate(term.term, IS_NULL, Prepared((), variant=True))])
    return is_beyond
