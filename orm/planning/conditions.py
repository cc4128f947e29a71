"""Conditions: Q objects, keywords, comparisons and clauses, resolved into one tree.

The tree is made when a queryset is filtered, so that what makes no sense is refused there, and what is never
true never reaches the database. Each node knows its share of the query's shape (`key`) and its arguments
(`values`, in the order in which `render` binds them).
"""

from __future__ import annotations

import operator
from collections.abc import Hashable, Iterable
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy
from sqlalchemy import ClauseElement, ColumnElement

from orm.lookups import IsNull, Lookup, Prepared, lookups
from orm.planning.terms import ClauseTerm, PathTerm, Term
from orm.relations import pairs

if TYPE_CHECKING:
    from orm.planning.query import Query
    from orm.planning.rendering import Rendering
    from orm.relations import Hop

IS_NULL = lookups[IsNull.name]


class Node:
    """A condition of a query."""

    key: Hashable
    values: tuple[Any, ...] = ()
    aggregate: bool = False
    """Whether it is about groups of rows."""
    window: bool = False
    """Whether it is about what is known only once all rows are."""

    has_clause: bool = False
    """Whether a SQLAlchemy clause is in it, which may read tables that it does not join itself."""

    def leaves(self) -> tuple[Term, ...]:
        """The columns and annotations that it reads."""
        return ()

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        """Its SQL.

        `required`: no row passes unless this is true, so its joins may be inner ones. `negated`: it stands
        under an odd number of NOTs, where NULL must count as false, as it does in Python.
        """
        raise NotImplementedError


class Constant(Node):
    """Always true or never true. EVERYTHING and NOTHING are the plain ones."""

    def __init__(self, truth: bool, joins: tuple[Term, ...] = ()) -> None:
        self.truth = truth
        self.joins = joins
        """What was compared, where it leads to many rows: joined all the same, for it multiplies rows."""
        self.key = (truth, *(term.key for term in joins)) if joins else truth

    def leaves(self) -> tuple[Term, ...]:
        return self.joins

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        for term in self.joins:
            term.render(rendering)
        return sqlalchemy.true() if self.truth else sqlalchemy.false()


EVERYTHING = Constant(True)
NOTHING = Constant(False)


def conjuncts(node: Node) -> tuple[Node, ...]:
    """The conditions that must all be true for this one to be."""
    if isinstance(node, Junction) and node.connector == "AND" and not node.negated:
        return node.children
    return (node,)


class Match(Node):
    """A term held against a prepared value by a lookup."""

    __slots__ = ("aggregate", "key", "lookup", "term", "values", "variant", "window")

    def __init__(self, term: Term, lookup: Lookup, prepared: Prepared) -> None:
        self.term = term
        self.lookup = lookup
        self.variant = prepared.variant
        self.aggregate = term.aggregate
        self.window = term.window
        self.key = (lookup, term.key, prepared.variant)
        self.values = (*term.values, *prepared.values)

    def leaves(self) -> tuple[Term, ...]:
        return self.term.leaves()

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        wants_null = self.lookup.matches_null and self.variant is not False
        column = self.term.render(rendering, required=required and not wants_null)
        found = self.lookup.build(column, self.term.field, self.variant, rendering.bind)
        if negated and not self.lookup.matches_null:
            return _null_is_false(found, rendering, self.term)
        return found


class TermMatch(Node):
    """A term held against another term by a lookup."""

    def __init__(self, term: Term, lookup: Lookup, other: Term) -> None:
        self.term = term
        self.lookup = lookup
        self.other = other
        self.aggregate = term.aggregate or other.aggregate
        self.window = term.window or other.window
        self.key = (lookup, term.key, other.key)
        self.values = (*term.values, *other.values)

    def leaves(self) -> tuple[Term, ...]:
        return (*self.term.leaves(), *self.other.leaves())

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        left = self.term.render(rendering, required=required)
        right = self.other.render(rendering, required=required)
        found = self.lookup.render(left, right, self.term.field)
        return _null_is_false(found, rendering, self.term, self.other) if negated else found


class InQuery(Node):
    """A term is among the values that another query selects."""

    def __init__(self, term: Term, query: Query, outside: bool = False) -> None:
        self.term = term
        self.query = query
        self.outside = outside
        """Whether the query was written in the query around this one, whose names it may read."""
        self.aggregate = term.aggregate
        self.window = term.window
        self.key = ("in query", term.key, query.key, outside)
        self.values = (*term.values, *query.values)

    def leaves(self) -> tuple[Term, ...]:
        return self.term.leaves()

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        column = self.term.render(rendering, required=required)
        around = rendering.outer if self.outside else rendering
        assert around is not None
        inner = self.query.subselect(around)
        found = column.in_(inner)
        return _null_is_false(found, rendering, self.term) if negated else found


def near_columns(rendering: Rendering, hops: tuple[Hop, ...]) -> list[ColumnElement[Any]]:
    """The columns on this side that rows at the far end point at; a key that says the same saves a join."""
    *before, last = hops
    if before and before[-1].remote_columns == last.local_columns and not before[-1].many:
        table, names = rendering.join(tuple(before[:-1])), before[-1].local_columns
    else:
        table, names = rendering.join(tuple(before)), last.local_columns
    return [table.c[name] for name in names]


class LinkTerm(Term):
    """A column that rows at the far end of a relation point at, on this side."""

    def __init__(self, hops: tuple[Hop, ...], position: int) -> None:
        self.hops = hops
        self.position = position
        self.key = ("link", hops, position)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return near_columns(rendering, self.hops)[self.position]

    def leaves(self) -> tuple[Term, ...]:
        return (self,)


def links(hops: tuple[Hop, ...]) -> tuple[LinkTerm, ...]:
    """Every column of this side that the far end points at."""
    return tuple(LinkTerm(hops, position) for position in range(len(hops[-1].local_columns)))


class RowExists(Term):
    """Whether a row exists at the far end of a relation that leads to many, and meets a condition."""

    nullable = False

    def __init__(self, hops: tuple[Hop, ...], condition: Node, joined: int, outside: tuple[Term, ...]) -> None:
        self.hops = hops
        self.condition = condition
        self.joined = joined
        """The scope in which the same filter() joins the relation already: then it is about that row; else 0."""
        self.reads = outside
        self.key = ("exists", hops, joined, condition.key)
        self.values = condition.values

    def grouped_by(self) -> tuple[Term, ...]:
        """What groups must have in common for it: as in Django itself, if it reads anything across a relation."""
        across = len(self.hops) > 1 or any(isinstance(t, PathTerm) and t.path.relations for t in self.reads)
        return (self,) if across else (*links(self.hops), *self.reads)

    def leaves(self) -> tuple[Term, ...]:
        return (self,)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        hop = self.hops[-1]
        inner = type(rendering)(hop.target._meta, rendering.binds, rendering)
        condition = self.condition.render(inner, required=True, negated=False)
        found = pairs(near_columns(rendering, self.hops), hop, inner.table)
        if self.joined:
            row = rendering.join(self.hops, self.joined)
            found += [
                inner.table.c[field.column_name] == row.c[field.column_name] for field in hop.target._meta.pk_fields
            ]
        return _probe(inner, condition, *found)


class RowMissing(Term):
    """Whether something at the far end of a relation that leads to many rows is NULL, or no row is there."""

    nullable = False

    def __init__(self, hops: tuple[Hop, ...], condition: Node) -> None:
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
        near = near_columns(rendering, self.hops)
        start = self.hops[-2].target._meta if len(self.hops) > 1 else rendering.info
        inner = type(rendering)(start, rendering.binds, rendering)
        condition = self.condition.render(inner, required=True, negated=False)
        own = (inner.table.c[name] for name in self.hops[-1].local_columns)
        found = _probe(inner, condition, *(here == there for here, there in zip(own, near, strict=True)))
        if any(hop.allow_null for hop in self.hops[:-1]):
            return sqlalchemy.or_(found, *(column.is_(None) for column in near))
        return found


def _probe(inner: Rendering, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """EXISTS, over what has been joined inside."""
    statement: sqlalchemy.Select[Any] = sqlalchemy.select(sqlalchemy.literal_column("1"))
    statement = statement.select_from(inner.from_clause()).where(*conditions)
    return statement.correlate_except(*inner.tables).exists()


class Certain(Node):
    """A condition that is false where it would be NULL.

    Inside of an EXISTS, MariaDB makes one row comparison of all that is equal to something outside, and then cannot
    have a subquery in it: an equality under IS TRUE is none.
    """

    def __init__(self, condition: Node) -> None:
        self.condition = condition
        self.key = ("certain", condition.key)
        self.values = condition.values

    def leaves(self) -> tuple[Term, ...]:
        return self.condition.leaves()

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        return self.condition.render(rendering, required=required, negated=negated).is_(sqlalchemy.true())


class AboutRows(Node):
    """A condition on the rows of a relation that leads to many, as a whole; never NULL."""

    def __init__(self, term: RowExists | RowMissing) -> None:
        self.term = term
        self.key = term.key
        self.values = term.values

    def leaves(self) -> tuple[Term, ...]:
        return self.term.grouped_by()

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        return rendering.once(self.term)


class ExistsQuery(Node):
    """Another query has a row."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.key = ("exists query", query.key)
        self.values = query.values

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        return self.query.subselect(rendering).exists()


class Clause(Node):
    """A condition in SQLAlchemy's own terms."""

    has_clause = True

    def __init__(self, clause: ClauseElement) -> None:
        self.term = ClauseTerm(clause)
        self.key = self.term.key
        self.values = self.term.values

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        return self.term.render(rendering)


class Junction(Node):
    """Conditions joined by AND, OR or XOR, perhaps negated."""

    def __init__(self, connector: Literal["AND", "OR", "XOR"], children: tuple[Node, ...], negated: bool) -> None:
        self.connector = connector
        self.children = children
        self.negated = negated
        self.key = (connector, negated, *(child.key for child in children))
        self.values = tuple(value for child in children for value in child.values)
        self.has_clause = any(child.has_clause for child in children)
        self.aggregate = any(child.aggregate for child in children)
        self.window = any(child.window for child in children)

    def leaves(self) -> tuple[Term, ...]:
        return tuple(leaf for child in self.children for leaf in child.leaves())

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        # A branch of XOR is true or not, whatever stands around it.
        inner_negated = negated ^ self.negated and self.connector != "XOR"
        inner_required = required and not self.negated and self.connector == "AND"
        parts = [child.render(rendering, required=inner_required, negated=inner_negated) for child in self.children]
        if self.connector == "AND":
            joined = sqlalchemy.and_(*parts)
        elif self.connector == "OR":
            joined = sqlalchemy.or_(*parts)
        else:
            ones: list[ColumnElement[int]] = [sqlalchemy.case((p, 1), else_=0) for p in parts]
            joined = reduce(operator.add, ones) % 2 == 1
        return sqlalchemy.not_(joined) if self.negated else joined


def _null_is_false(condition: ColumnElement[bool], rendering: Rendering, *terms: Term) -> ColumnElement[bool]:
    nullable = [column for term in terms for column in term.columns() if column.nullable]
    guards = [column.render(rendering).is_not(None) for column in nullable]
    return sqlalchemy.and_(condition, *guards) if guards else condition


def constant(truth: bool, *leaves: Term) -> Constant:
    """A condition on these terms that is always or never true."""
    joins = tuple(term for leaf in leaves for term in leaf.reads or (leaf,) if term.many)
    if joins:
        return Constant(truth, joins)
    return EVERYTHING if truth else NOTHING


def is_never(node: Node) -> bool:
    """Whether it is known, without asking, that no row meets the condition."""
    return isinstance(node, Constant) and not node.truth


def junction(connector: Literal["AND", "OR", "XOR"], children: Iterable[Node], negated: bool = False) -> Node:
    """The children joined; what is always or never true is worked out here."""
    nodes = tuple(children)
    kept: list[Node] = []
    truth: bool | None = None
    for child in nodes:
        if not isinstance(child, Constant):
            kept.append(child)
            continue
        if connector == "XOR":
            negated ^= child.truth
        elif child.truth is (connector == "OR"):
            truth = child.truth
        if child.joins:
            kept.append(Constant(connector == "AND", child.joins))  # Says nothing here, but joins.
    if truth is None and all(isinstance(child, Constant) for child in kept):
        truth = connector == "AND"
    if truth is not None:
        return constant(truth ^ negated, *(leaf for child in nodes for leaf in child.leaves()))
    if len(kept) == 1:
        only = kept[0]
        if not negated:
            return only
        if isinstance(only, Junction):
            return Junction(only.connector, only.children, not only.negated)
    return Junction(connector, tuple(kept), negated)


def both(left: Node, right: Node) -> Node:
    """Both conditions hold."""
    if left is EVERYTHING:
        return right
    if right is EVERYTHING:
        return left
    if isinstance(left, Junction) and left.connector == "AND" and not left.negated:
        return junction("AND", (*left.children, right))
    return junction("AND", (left, right))


def split(node: Node) -> tuple[Node, Node, Node]:
    """A condition as one on rows, one on groups of them and one on windows over all; all three must hold."""
    if not (node.aggregate or node.window):
        return node, EVERYTHING, EVERYTHING
    if isinstance(node, Junction) and node.connector == "AND" and not node.negated:
        rows, groups, windows = zip(*(split(child) for child in node.children), strict=True)
        return junction("AND", rows), junction("AND", groups), junction("AND", windows)
    return (EVERYTHING, EVERYTHING, node) if node.window else (EVERYTHING, node, EVERYTHING)
