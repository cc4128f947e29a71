"""Conditions on whether rows exist: at the far end of a relation that leads to many rows, or in another query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.query.conditions.base import Predicate
from orm.query.terms.base import PathTerm, Term
from orm.relations import column_equalities

if TYPE_CHECKING:
    from orm.query.query import Query
    from orm.query.rendering import Rendering
    from orm.relations import Hop


def local_join_columns(rendering: Rendering, hops: tuple[Hop, ...]) -> list[ColumnElement[Any]]:
    """The columns on this side that rows at the far end point at; a key that says the same saves a join."""
    *before, last = hops
    if before and before[-1].remote_columns == last.local_columns and not before[-1].many:
        table, names = rendering.join(tuple(before[:-1])), before[-1].local_columns
    else:
        table, names = rendering.join(tuple(before)), last.local_columns
    return [table.c[name] for name in names]


class JoinKeyTerm(Term):
    """A column that rows at the far end of a relation point at, on this side."""

    def __init__(self, hops: tuple[Hop, ...], position: int) -> None:
        self.hops = hops
        self.position = position
        self.key = ("link", hops, position)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return local_join_columns(rendering, self.hops)[self.position]

    def leaves(self) -> tuple[Term, ...]:
        return (self,)


def links(hops: tuple[Hop, ...]) -> tuple[JoinKeyTerm, ...]:
    """Every column of this side that the far end points at."""
    return tuple(JoinKeyTerm(hops, position) for position in range(len(hops[-1].local_columns)))


class JoinedKeyTerm(Term):
    """A column of the primary key of the row that a relation leads to, as this join has it."""

    def __init__(self, hops: tuple[Hop, ...], join_number: int, position: int) -> None:
        self.hops = hops
        self.join_number = join_number
        self.position = position
        self.key = ("joined key", hops, join_number, position)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        column = self.hops[-1].target._meta.pk_fields[self.position].column_name
        return rendering.join(self.hops, self.join_number).c[column]

    def leaves(self) -> tuple[Term, ...]:
        return (self,)


def local_terms(hops: tuple[Hop, ...], joined: int) -> tuple[Term, ...]:
    """What an EXISTS about a relation that leads to many reads outside: `joined`, see `RowExists`."""
    if joined:
        keys = range(len(hops[-1].target._meta.pk_fields))
        return tuple(JoinedKeyTerm(hops, joined, position) for position in keys)
    # As in Django: of a relation that starts further away, groups know nothing.
    return links(hops) if len(hops) == 1 else ()


class RowExists(Term):
    """Whether a row exists at the far end of a relation that leads to many, and meets a condition."""

    nullable = False

    def __init__(self, hops: tuple[Hop, ...], condition: Predicate, joined: int, outside: tuple[Term, ...]) -> None:
        self.hops = hops
        self.condition = condition
        self.joined = joined
        """The number of the join whose row it is about, if the same ``filter()`` joins the relation as well; else 0."""
        self.reads = outside
        self.key = ("exists", hops, joined, condition.key)
        self.values = condition.values

    def grouped_by(self) -> tuple[Term, ...]:
        """What groups must have in common for it: as in Django itself, if it reads anything across a relation."""
        local = local_terms(self.hops, self.joined)
        across = not local or any(isinstance(t, PathTerm) and t.path.relations for t in self.reads)
        return (self,) if across else (*local, *self.reads)

    def leaves(self) -> tuple[Term, ...]:
        return (self,)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        hop = self.hops[-1]
        inner = type(rendering)(hop.target._meta, rendering.binds, rendering)
        condition = self.condition.render(inner, required=True, negated=False)
        found = column_equalities(local_join_columns(rendering, self.hops), hop, inner.table)
        if self.joined:
            row = rendering.join(self.hops, self.joined)
            found += [
                inner.table.c[field.column_name] == row.c[field.column_name] for field in hop.target._meta.pk_fields
            ]
        return _probe(inner, condition, *found)


class RelatedNull(Term):
    """Whether something at the far end of a relation that leads to many rows is NULL, or no row is there."""

    nullable = False

    def __init__(self, hops: tuple[Hop, ...], condition: Predicate) -> None:
        self.hops = hops
        self.condition = condition
        self.key = ("missing", hops, condition.key)
        self.values = condition.values

    def grouped_by(self) -> tuple[Term, ...]:
        """What groups must have in common for it."""
        return (self, *links(self.hops)) if len(self.hops) > 1 else links(self.hops)

    def leaves(self) -> tuple[Term, ...]:
        return (self,)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        local = local_join_columns(rendering, self.hops)
        start = self.hops[-2].target._meta if len(self.hops) > 1 else rendering.info
        inner = type(rendering)(start, rendering.binds, rendering)
        condition = self.condition.render(inner, required=True, negated=False)
        own = (inner.table.c[name] for name in self.hops[-1].local_columns)
        found = _probe(inner, condition, *(here == there for here, there in zip(own, local, strict=True)))
        if any(hop.allow_null for hop in self.hops[:-1]):
            return sqlalchemy.or_(found, *(column.is_(None) for column in local))
        return found


def _probe(inner: Rendering, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """EXISTS, over what has been joined inside."""
    statement: sqlalchemy.Select[Any] = sqlalchemy.select(sqlalchemy.literal_column("1"))
    statement = statement.select_from(inner.from_clause()).where(*conditions)
    return statement.correlate_except(*inner.tables).exists()


class NullAsFalse(Predicate):
    """A condition that is false where it would be NULL.

    Inside of an EXISTS, MariaDB makes one row comparison of all that is equal to something outside, and then cannot
    have a subquery in it: an equality under IS TRUE is none.
    """

    def __init__(self, condition: Predicate) -> None:
        self.condition = condition
        self.key = ("certain", condition.key)
        self.values = condition.values

    def leaves(self) -> tuple[Term, ...]:
        return self.condition.leaves()

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        return self.condition.render(rendering, required=required, negated=negated).is_(sqlalchemy.true())


class RelationPredicate(Predicate):
    """A condition on the rows of a relation that leads to many, as a whole; never NULL."""

    def __init__(self, term: RowExists | RelatedNull) -> None:
        self.term = term
        self.key = term.key
        self.values = term.values

    def leaves(self) -> tuple[Term, ...]:
        return self.term.grouped_by()

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        return rendering.once(self.term)


class ExistsQuery(Predicate):
    """Another query has a row."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.key = ("exists query", query.key)
        self.values = query.values

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        return self.query.subselect(rendering).exists()
