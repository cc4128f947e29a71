"""Predicates of EXISTS: over a relation to many rows, or of another query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.lookups.base import Lookup
from orm.query.conditions.base import Predicate
from orm.query.terms.base import PathTerm, Term
from orm.relations import column_equalities

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.query.query import Query
    from orm.query.rendering import Rendering
    from orm.query.terms.subqueries import Correlation
    from orm.relations import Hop


def local_join_columns(rendering: Rendering, hops: tuple[Hop, ...]) -> list[ColumnElement[Any]]:
    """The columns of this query that the rows of the last relation reference, with as few joins as possible."""
    *before, last = hops
    if before and before[-1].remote_columns == last.local_columns and not before[-1].many:
        table, names = rendering.join(tuple(before[:-1])), before[-1].local_columns
    else:
        table, names = rendering.join(tuple(before)), last.local_columns
    return [table.c[name] for name in names]


class JoinKeyTerm(Term):
    """A column of this query that the rows of a relation reference."""

    def __init__(self, hops: tuple[Hop, ...], position: int) -> None:
        self.hops = hops
        self.position = position
        self.key = ("join key", hops, position)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return local_join_columns(rendering, self.hops)[self.position]

    def leaves(self) -> tuple[Term, ...]:
        return (self,)


def join_key_terms(hops: tuple[Hop, ...]) -> tuple[JoinKeyTerm, ...]:
    """All columns of this query that the relation's rows reference."""
    return tuple(JoinKeyTerm(hops, position) for position in range(len(hops[-1].local_columns)))


class JoinedKeyTerm(Term):
    """A column of the primary key of the row that one join of a relation has."""

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


def local_terms(hops: tuple[Hop, ...], join_number: int) -> tuple[Term, ...]:
    """The outer query's terms that an EXISTS over a relation reads; for `join_number` see `RowExists`."""
    if join_number:
        keys = range(len(hops[-1].target._meta.pk_fields))
        return tuple(JoinedKeyTerm(hops, join_number, position) for position in keys)
    # As in Django, the keys of a relation behind another one are not grouped by.
    return join_key_terms(hops) if len(hops) == 1 else ()


class RowExists(Term):
    """Whether a relation to many rows leads to a row that meets a condition."""

    nullable = False

    def __init__(
        self, hops: tuple[Hop, ...], condition: Predicate, join_number: int, outer_terms: tuple[Term, ...]
    ) -> None:
        self.hops = hops
        self.condition = condition
        self.join_number = join_number
        """The number of the join whose row it is about, if the same ``filter()`` joins the relation as well; else 0."""
        self.outer_terms = outer_terms
        self.key = ("exists", hops, join_number, condition.key)
        self.values = condition.values

    def grouped_by(self) -> tuple[Term, ...]:
        """The terms to group by: as in Django, the EXISTS itself if it reads a column of another table."""
        local = local_terms(self.hops, self.join_number)
        across = not local or any(isinstance(t, PathTerm) and t.path.relations for t in self.outer_terms)
        return (self,) if across else (*local, *self.outer_terms)

    def leaves(self) -> tuple[Term, ...]:
        return (self,)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        relation = self.hops[-1]
        pk_fields = relation.target._meta.pk_fields
        inner = rendering.subquery(relation.target._meta)
        condition = self.condition.render(inner, required=True, negated=False)
        join = column_equalities(local_join_columns(rendering, self.hops), relation, inner.table)
        if self.join_number:
            row = rendering.join(self.hops, self.join_number)
            join += [inner.table.c[field.column_name] == row.c[field.column_name] for field in pk_fields]
        return _exists(inner, condition, *join)


class RelatedNull(Term):
    """Whether a value over a relation to many rows is NULL, because it is so in a row or because there is no row."""

    nullable = False

    def __init__(self, hops: tuple[Hop, ...], condition: Predicate) -> None:
        self.hops = hops
        self.condition = condition
        self.key = ("related null", hops, condition.key)
        self.values = condition.values

    def grouped_by(self) -> tuple[Term, ...]:
        """The terms to group by."""
        return (self, *join_key_terms(self.hops)) if len(self.hops) > 1 else join_key_terms(self.hops)

    def leaves(self) -> tuple[Term, ...]:
        return (self,)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        local = local_join_columns(rendering, self.hops)
        start = self.hops[-2].target._meta if len(self.hops) > 1 else rendering.info
        inner = rendering.subquery(start)
        condition = self.condition.render(inner, required=True, negated=False)
        inner_columns = (inner.table.c[name] for name in self.hops[-1].local_columns)
        same_row = (inner_column == column for inner_column, column in zip(inner_columns, local, strict=True))
        exists = _exists(inner, condition, *same_row)
        if any(relation.allow_null for relation in self.hops[:-1]):
            return sqlalchemy.or_(exists, *(column.is_(None) for column in local))
        return exists


class RowOrMissing(Term):
    """Whether a relation to many rows leads to a row that meets a condition, or to none and NULL meets it.

    The relations are joined inside, from a copy of the row itself.
    """

    nullable = False

    def __init__(self, pk_fields: Sequence[Field[Any]], hops: tuple[Hop, ...], condition: Predicate) -> None:
        self.columns_of_row = tuple(field.column_name for field in pk_fields)
        self.condition = condition
        self.key = ("row or missing", hops, condition.key)
        self.values = condition.values

    def grouped_by(self) -> tuple[Term, ...]:
        """The terms to group by."""
        return (self,)

    def leaves(self) -> tuple[Term, ...]:
        return (self,)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        table = rendering.join(())
        inner = rendering.subquery(rendering.info)
        condition = self.condition.render(inner, required=True, negated=False)
        return _exists(inner, condition, *(inner.table.c[name] == table.c[name] for name in self.columns_of_row))


def _exists(inner: Rendering, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """EXISTS over the tables that the inner rendering has joined."""
    statement: sqlalchemy.Select[Any] = sqlalchemy.select(sqlalchemy.literal_column("1"))
    statement = statement.select_from(inner.from_clause()).where(*conditions)
    return statement.correlate_except(*inner.tables).exists()


class NullAsFalse(Predicate):
    """A condition that is false instead of NULL: ``… IS TRUE``.

    Inside an EXISTS, MariaDB combines all equalities with outer columns into a row comparison, which cannot contain a
    subquery. IS TRUE keeps an equality out of it.
    """

    def __init__(self, condition: Predicate) -> None:
        self.condition = condition
        self.key = ("null as false", condition.key)
        self.values = condition.values

    def leaves(self) -> tuple[Term, ...]:
        return self.condition.leaves()

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        return self.condition.render(rendering, required=required, negated=negated).is_(sqlalchemy.true())


class RelationPredicate(Predicate):
    """A condition on all rows of a relation to many rows; never NULL."""

    def __init__(self, term: RowExists | RowOrMissing | RelatedNull) -> None:
        self.term = term
        self.key = term.key
        self.values = term.values

    def leaves(self) -> tuple[Term, ...]:
        return self.term.grouped_by()

    def operands(self) -> tuple[Term, ...]:
        return (self.term,)

    def group_terms(self) -> Iterator[Term]:
        return iter(self.leaves())

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        return rendering.render_once(self.term)


class ExistsQuery(Predicate):
    """Another query has at least one row."""

    def __init__(self, query: Query, correlation: Correlation) -> None:
        self.query = query
        self.correlation = correlation
        self.key = ("exists query", query.key, correlation.key)
        self.values = (*correlation.values, *query.values)
        self.aggregate = correlation.aggregate
        self.window = correlation.window

    def leaves(self) -> tuple[Term, ...]:
        return self.correlation.leaves()

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        return self.query.subselect(rendering, self.correlation, nested=False).exists()


class RowMatches(Predicate):
    """A lookup is true of a term and the value of at least one row that another query selects."""

    def __init__(self, term: Term, lookup: Lookup, query: Query, correlation: Correlation, of_outer: bool) -> None:
        self.term = term
        self.lookup = lookup
        self.query = query
        self.correlation = correlation
        self.of_outer = of_outer
        """Whether an `OuterRef` in the query refers to the outer query of this one."""
        self.aggregate = term.aggregate or correlation.aggregate
        self.window = term.window or correlation.window
        # A derived table cannot read the outer query on MariaDB.
        self.is_value = bool(correlation.terms) and query.stop == query.offset + 1
        self.key = ("row matches", term.key, lookup, query.key, correlation.key, of_outer, self.is_value)
        self.values = (*term.values, *correlation.values, *query.values)

    def leaves(self) -> tuple[Term, ...]:
        return self.term.leaves() if self.of_outer else (*self.term.leaves(), *self.correlation.leaves())

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        column = self.term.render(rendering)
        outer = rendering.outer if self.of_outer else rendering
        assert outer is not None
        statement = self.query.subselect(outer, self.correlation, nested=False)
        if self.is_value:
            condition = self.lookup.render(column, statement.scalar_subquery(), self.term.field)
            return condition.is_(sqlalchemy.true())
        rows = statement.subquery()
        condition = self.lookup.render(column, rows.columns[0], self.term.field)
        matching: sqlalchemy.Select[Any] = sqlalchemy.select(sqlalchemy.literal_column("1")).select_from(rows)
        return matching.where(condition).correlate_except(rows).exists()
