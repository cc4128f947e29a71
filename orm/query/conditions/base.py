"""Conditions: Q objects, keywords, comparisons and clauses, resolved into one tree.

The tree is made when a queryset is filtered, so that what makes no sense is refused there, and what is never
true never reaches the database. Each node knows its share of the query's shape (`key`) and its arguments
(`values`, in the order in which `render` binds them).
"""

from __future__ import annotations

import operator
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy
from sqlalchemy import ClauseElement, ColumnElement

from orm.lookups.base import IsNull, KnownResult, Lookup, Prepared, lookups
from orm.query.terms.base import ClauseTerm, Term

if TYPE_CHECKING:
    from orm.query.query import Query
    from orm.query.rendering import Rendering

IS_NULL = lookups[IsNull.name][0]


class Predicate:
    """A condition of a query."""

    key: Hashable
    values: tuple[Any, ...] = ()
    truth: bool | None = None
    """Whether it is always true, or never; None where only the database can tell."""
    aggregate: bool = False
    """Whether it is about groups of rows."""
    window: bool = False
    """Whether it is about what is known only once all rows are."""

    has_clause: bool = False
    """Whether a SQLAlchemy clause is in it, which may read tables that it does not join itself."""
    has_constant: bool = False
    """Whether something in it that is always or never true reads columns: groups of rows are of one value in them."""

    def leaves(self) -> tuple[Term, ...]:
        """The columns and annotations that it reads."""
        return ()

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        """Its SQL.

        `required`: no row passes unless this is true, so its joins may be inner ones. `negated`: it stands
        under an odd number of NOTs, where NULL must count as false, as it does in Python.
        """
        raise NotImplementedError


class Constant(Predicate):
    """Always true or never true. EVERYTHING and NOTHING are the plain ones."""

    truth: bool

    def __init__(
        self,
        truth: bool,
        reads: tuple[Term, ...] = (),
        *,
        aggregate: bool = False,
        parts: tuple[Constant, ...] = (),
    ) -> None:
        self.truth = truth
        self.reads = reads
        """What was compared: joined all the same where it leads to many rows, and grouped by beside aggregates."""
        self.aggregate = aggregate
        self.parts = parts
        """Of several that come to the same: each by itself, for `split`."""
        self.has_constant = aggregate or not (reads and all(term.many for term in reads))
        self.key = truth
        if reads or aggregate:
            self.key = (truth, aggregate, *(term.key for term in reads), *(part.key for part in parts))
        self.values = tuple(value for term in reads for value in term.values)

    def leaves(self) -> tuple[Term, ...]:
        return self.reads

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        for term in self.reads:
            if term.many or term.values:
                rendering.once(term)
        return sqlalchemy.true() if self.truth else sqlalchemy.false()


EVERYTHING = Constant(True)
NOTHING = Constant(False)


def conjuncts(node: Predicate) -> tuple[Predicate, ...]:
    """The conditions that must all be true for this one to be."""
    if isinstance(node, BooleanPredicate) and node.connector == "AND" and not node.negated:
        return node.children
    return (node,)


class LookupPredicate(Predicate):
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

    @classmethod
    def of(cls, term: Term, lookup: Lookup, value: Any) -> Predicate:
        """The predicate that compares the term with a value; a constant if the result does not depend on the row.

        Raises `QueryError` or `FieldError` for a value that makes no sense.
        """
        prepared = lookup.prepare(term.field, value)
        if prepared is KnownResult.NEVER:
            return constant(False, *term.leaves(), aggregate=term.aggregate)
        if prepared is KnownResult.WHEN_NOT_NULL:
            return cls(term, IS_NULL, Prepared((), variant=False))
        assert isinstance(prepared, Prepared)
        return cls(term, lookup, prepared)

    def leaves(self) -> tuple[Term, ...]:
        return self.term.leaves()

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        wants_null = self.lookup.matches_null and self.variant is not False
        column = self.term.render(rendering, required=required and not wants_null)
        found = self.lookup.build(column, self.term.field, self.variant, rendering.bind)
        if negated and not self.lookup.matches_null:
            return _null_is_false(found, rendering, self.term)
        return found


class TermPredicate(Predicate):
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


class InQuery(Predicate):
    """Terms are, together, among the values that another query selects."""

    def __init__(self, terms: tuple[Term, ...], query: Query, of_outer: bool = False) -> None:
        self.terms = terms
        self.query = query
        self.of_outer = of_outer
        """Whether an `OuterRef` in the query refers to the outer query of this one."""
        self.aggregate = any(term.aggregate for term in terms)
        self.window = any(term.window for term in terms)
        self.key = ("in query", tuple(term.key for term in terms), query.key, of_outer)
        self.values = (*(value for term in terms for value in term.values), *query.values)

    def leaves(self) -> tuple[Term, ...]:
        return tuple(leaf for term in self.terms for leaf in term.leaves())

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        columns = [term.render(rendering, required=required) for term in self.terms]
        around = rendering.outer if self.of_outer else rendering
        assert around is not None
        inner = self.query.subselect(around)
        found = columns[0].in_(inner) if len(columns) == 1 else sqlalchemy.tuple_(*columns).in_(inner)
        return _null_is_false(found, rendering, *self.terms) if negated else found


class Clause(Predicate):
    """A condition in SQLAlchemy's own terms."""

    has_clause = True

    def __init__(self, clause: ClauseElement) -> None:
        self.term = ClauseTerm(clause)
        self.key = self.term.key
        self.values = self.term.values

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        return self.term.render(rendering)


class BooleanPredicate(Predicate):
    """Conditions joined by AND, OR or XOR, perhaps negated."""

    def __init__(self, connector: Literal["AND", "OR", "XOR"], children: tuple[Predicate, ...], negated: bool) -> None:
        self.connector = connector
        self.children = children
        self.negated = negated
        self.key = (connector, negated, *(child.key for child in children))
        values: tuple[Any, ...] = ()
        for child in children:
            values += child.values
            self.has_clause = self.has_clause or child.has_clause
            self.has_constant = self.has_constant or child.has_constant
            self.aggregate = self.aggregate or child.aggregate
            self.window = self.window or child.window
        self.values = values

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
            told = (p for p, child in zip(parts, self.children, strict=True) if not isinstance(child, Constant))
            ones: list[ColumnElement[int]] = [sqlalchemy.case((p, 1), else_=0) for p in told]
            joined = reduce(operator.add, ones) % 2 == 1
        return sqlalchemy.not_(joined) if self.negated else joined


def _null_is_false(condition: ColumnElement[bool], rendering: Rendering, *terms: Term) -> ColumnElement[bool]:
    nullable = [column for term in terms for column in term.columns() if column.nullable]
    guards = [column.render(rendering).is_not(None) for column in nullable]
    return sqlalchemy.and_(condition, *guards) if guards else condition


def constant(truth: bool, *reads: Term, aggregate: bool = False) -> Constant:
    """A condition on these terms that is always or never true. `aggregate`: on what groups have, too."""
    if reads or aggregate:
        return Constant(truth, reads, aggregate=aggregate)
    return EVERYTHING if truth else NOTHING


def without_group_terms(node: Predicate) -> Predicate:
    """The condition, where no groups are asked: of what is always or never true only the joins to many rows count."""
    if not node.has_constant:
        return node
    if isinstance(node, Constant):
        return constant(node.truth, *(term for read in node.reads for term in read.reads or (read,) if term.many))
    if isinstance(node, BooleanPredicate):
        return junction(node.connector, map(without_group_terms, node.children), node.negated)
    return node


def is_always(node: Predicate) -> bool:
    """Whether it is known, without asking, that every row meets the condition."""
    return node.truth is True


def is_never(node: Predicate) -> bool:
    """Whether it is known, without asking, that no row meets the condition."""
    return node.truth is False


def junction(connector: Literal["AND", "OR", "XOR"], children: Iterable[Predicate], negated: bool = False) -> Predicate:
    """The children joined; what is always or never true is worked out here."""
    nodes = tuple(children)
    aggregate = any(child.aggregate for child in nodes)
    kept: list[Predicate] = []
    truth: bool | None = None
    for child in nodes:
        if isinstance(child, Constant):
            if connector == "XOR":
                negated ^= child.truth
            elif child.truth is (connector == "OR"):
                truth = child.truth
            if not (aggregate or child.reads):
                continue
            if child.truth and connector == "XOR":
                child = Constant(False, child.reads, aggregate=child.aggregate)
        kept.append(child)  # A constant says nothing here, but joins, and is grouped by.
    constants = [child for child in kept if isinstance(child, Constant)]
    if truth is None and len(constants) == len(kept):
        truth = (connector == "AND") ^ negated
        if aggregate and connector != "XOR":
            parts = (part for child in constants for part in child.parts or (child,))
            each = tuple(Constant(truth, part.reads, aggregate=part.aggregate) for part in parts)
            return Constant(truth, tuple(_leaves(constants)), aggregate=True, parts=each)
        return constant(truth, *_leaves(constants), aggregate=aggregate)
    if truth is not None:
        return constant(truth ^ negated, *_leaves(nodes), aggregate=aggregate)
    if len(kept) == 1:
        only = kept[0]
        if not negated:
            return only
        if isinstance(only, BooleanPredicate) and not aggregate:
            return BooleanPredicate(only.connector, only.children, not only.negated)
    return BooleanPredicate(connector, tuple(kept), negated)


def _leaves(nodes: Iterable[Predicate]) -> Iterator[Term]:
    return (leaf for node in nodes for leaf in node.leaves())


def and_(left: Predicate, right: Predicate) -> Predicate:
    """Both conditions hold."""
    if left is EVERYTHING:
        return right
    if right is EVERYTHING:
        return left
    if isinstance(left, BooleanPredicate) and left.connector == "AND" and not left.negated:
        return junction("AND", (*left.children, right))
    return junction("AND", (left, right))


def split(node: Predicate) -> tuple[Predicate, Predicate, Predicate]:
    """A condition as one on rows, one on groups of them and one on windows over all; all three must hold."""
    rows, groups, windows = _split(node, negated=False)
    return without_group_terms(rows or EVERYTHING), groups or EVERYTHING, windows or EVERYTHING


def _split(node: Predicate, *, negated: bool) -> tuple[Predicate | None, Predicate | None, Predicate | None]:
    """The three; None for one of which nothing is said. `negated`: it stands under an odd number of NOTs.

    As in Django, which groups by what is asked beside aggregates: what an AND holds together comes apart, and so
    does an OR under a NOT; nothing else does, be it of one part only.
    """
    if not (node.aggregate or node.window):
        return node, None, None
    connector: Literal["AND", "OR", "XOR"] = "XOR"
    children: tuple[Predicate, ...] = ()
    inverted = False
    if isinstance(node, Constant) and node.parts:
        connector, children = "AND" if node.truth else "OR", node.parts
    elif isinstance(node, BooleanPredicate):
        connector, children, inverted = node.connector, node.children, node.negated
    if connector != ("OR" if negated ^ inverted else "AND"):
        return (None, None, node) if node.window else (None, node, None)
    found = zip(*(_split(child, negated=negated ^ inverted) for child in children), strict=True)
    rows, groups, windows = ([part for part in parts if part is not None] for parts in found)
    return (
        junction(connector, rows, inverted) if rows else None,
        junction(connector, groups, inverted) if groups else None,
        junction(connector, windows, inverted) if windows else None,
    )


@dataclass(frozen=True)
class FilterCall:
    """One call of `filter()` or `exclude()`, for ``&`` to repeat on another query."""

    conditions: tuple[Any, ...]
    lookups: tuple[tuple[str, Any], ...]
    negated: bool = False
    shares_joins: bool = False
    """Whether it is about the row that the call before it joined."""


# A filter that no row meets.
MATCHES_NOTHING = FilterCall((), (("pk__in", ()),))
