"""Predicates: Q objects, lookups, comparisons and clauses, resolved to one tree.

The tree is built when a queryset is filtered. So invalid conditions are refused there, and a query whose condition is
never true is not sent. Each predicate has its part of the query's cache key (`key`) and its arguments (`values`, in the
order in which `render` binds them).
"""

from __future__ import annotations

import operator
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy
from sqlalchemy import ClauseElement, ColumnElement

from orm.database.sql.datetimes import comparable, comparable_with_query
from orm.exceptions import QueryError
from orm.lookups.base import KnownResult, Lookup, Prepared, lookups
from orm.lookups.comparisons import IsNull
from orm.query.terms.base import ClauseTerm, PathTerm, Term

if TYPE_CHECKING:
    from orm.query.query import Query
    from orm.query.rendering import Rendering
    from orm.query.terms.subqueries import Correlation

IS_NULL = lookups[IsNull.name][0]


class Predicate:
    """A resolved condition."""

    key: Hashable
    values: tuple[Any, ...] = ()
    truth: bool | None = None
    """True if it is always true, False if it never is, None if that depends on the row."""
    aggregate: bool = False
    """Whether it compares an aggregate, so that it belongs in HAVING."""
    window: bool = False
    """Whether it compares a window function, so that it needs a query around this one."""

    has_clause: bool = False
    """Whether it contains a SQLAlchemy clause, which may read tables that it does not join."""
    has_constant: bool = False
    """Whether it contains a `Constant` that matters for GROUP BY."""

    def leaves(self) -> tuple[Term, ...]:
        """The columns and annotations that it reads."""
        return ()

    def operands(self) -> tuple[Term | Predicate, ...]:
        """What it compares or combines."""
        return self.leaves()

    def group_terms(self) -> Iterator[Term]:
        """The terms by which a query is grouped that has this condition: see `Term.group_terms`."""
        for operand in self.operands():
            yield from operand.group_terms()

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        """Its SQL.

        With `required`, rows for which it is not true are dropped, so its joins may be inner joins. With `negated`, it
        is inside an odd number of NOTs, where NULL must count as false.
        """
        raise NotImplementedError


class Constant(Predicate):
    """A predicate that is true for every row, or for none. `EVERYTHING` and `NOTHING` refer to no terms."""

    truth: bool

    def __init__(
        self,
        truth: bool,
        referenced_terms: tuple[Term, ...] = (),
        *,
        aggregate: bool = False,
        window: bool = False,
        parts: tuple[Constant, ...] = (),
    ) -> None:
        self.truth = truth
        self.referenced_terms = referenced_terms
        """The terms that were compared. They still join relations to many rows, and are part of GROUP BY."""
        self.aggregate = aggregate
        self.window = window
        self.parts = parts
        """The constants that it was combined from, for `split`."""
        self.has_constant = aggregate or not (referenced_terms and all(term.many for term in referenced_terms))
        self.key = truth
        if referenced_terms or aggregate or window:
            self.key = (
                truth,
                aggregate,
                window,
                *(term.key for term in referenced_terms),
                *(part.key for part in parts),
            )
        self.values = tuple(value for term in referenced_terms for value in term.values)

    def leaves(self) -> tuple[Term, ...]:
        return self.referenced_terms

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        for term in self.referenced_terms:
            if term.many or term.values:
                rendering.render_once(term)
        return sqlalchemy.true() if self.truth else sqlalchemy.false()


EVERYTHING = Constant(True)
NOTHING = Constant(False)


def conjuncts(predicate: Predicate) -> tuple[Predicate, ...]:
    """The predicates that an AND combines, or the predicate itself."""
    if isinstance(predicate, BooleanPredicate) and predicate.connector == "AND" and not predicate.negated:
        return predicate.children
    return (predicate,)


class LookupPredicate(Predicate):
    """A term compared with a value by a lookup."""

    __slots__ = ("aggregate", "key", "lookup", "term", "values", "variant", "window")

    def __init__(self, term: Term, lookup: Lookup, prepared: Prepared) -> None:
        self.term = term
        self.lookup = lookup
        self.variant = prepared.variant
        self.aggregate = term.aggregate
        self.window = term.window
        self.key = (lookup, term.key, prepared.variant)
        if not prepared.values or prepared.values[1:]:  # not len(): nearly all lookups have one value
            self.key = (*self.key, len(prepared.values))
        self.values = (*term.values, *prepared.values)

    @classmethod
    def of(cls, term: Term, lookup: Lookup, value: Any) -> Predicate:
        """The predicate that compares the term with a value; a constant if the result does not depend on the row.

        Raises `QueryError` or `FieldError` for a value that makes no sense.
        """
        prepared = lookup.prepare(term.field, value)
        if prepared is KnownResult.NEVER:
            return constant(False, *term.leaves(), aggregate=term.aggregate, window=term.window)
        if prepared is KnownResult.WHEN_NOT_NULL:
            return cls(term, IS_NULL, Prepared((), variant=False))
        if not isinstance(prepared, Prepared):
            raise QueryError(
                f"The lookup {lookup.name!r}: {type(lookup).__name__}.prepare() returned {type(prepared).__name__} "
                "instead of an orm.lookups.Prepared."
            )
        return cls(term, lookup, prepared)

    def leaves(self) -> tuple[Term, ...]:
        return self.term.leaves()

    def operands(self) -> tuple[Term, ...]:
        return (self.term,)

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        wants_null = self.lookup.matches_null and self.variant is not False
        column = _compared(self.term, rendering, required and not wants_null)
        first = rendering.binds.count
        condition = _checked(self.lookup, self.lookup.build(column, self.term.field, self.variant, rendering.bind))
        bound, prepared = rendering.binds.count - first, len(self.values) - len(self.term.values)
        if bound != prepared:
            # The values of all that follows would be bound in the wrong places.
            raise QueryError(
                f"The lookup {self.lookup.name!r} prepared {prepared} values and bound {bound}: the build() of "
                f"{type(self.lookup).__name__} calls bind once for each value."
            )
        if negated and not self.lookup.matches_null:
            return _null_is_false(condition, rendering, self.term)
        return condition


class TermPredicate(Predicate):
    """A term compared with another term by a lookup."""

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

    def operands(self) -> tuple[Term, ...]:
        return (self.term, self.other)

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        matches_null = self.lookup.matches_null
        left = _compared(self.term, rendering, required and not matches_null)
        right = _compared(self.other, rendering, required and not matches_null)
        left, right = comparable(left, right)
        condition = _checked(self.lookup, self.lookup.render(left, right, self.term.field))
        if negated and not matches_null and self.term.columns():
            compared = (self.term, self.other) if isinstance(self.other, PathTerm) else (self.term,)
            return _null_is_false(condition, rendering, *compared)
        return condition


class InQuery(Predicate):
    """Terms whose values are, together, a row that another query selects: ``(a, b) IN (SELECT …)``."""

    def __init__(self, terms: tuple[Term, ...], query: Query, correlation: Correlation, of_outer: bool = False) -> None:
        self.terms = terms
        self.query = query
        self.correlation = correlation
        self.of_outer = of_outer
        """Whether an `OuterRef` in the query refers to the outer query of this one."""
        self.aggregate = correlation.aggregate or any(term.aggregate for term in terms)
        self.window = correlation.window or any(term.window for term in terms)
        # A derived table, which a LIMIT needs inside IN, cannot read the outer query on MariaDB.
        self.is_value = bool(correlation.terms) and len(terms) == 1 and query.stop == query.offset + 1
        self.key = ("in query", tuple(term.key for term in terms), query.key, correlation.key, of_outer, self.is_value)
        self.values = (*(value for term in terms for value in term.values), *correlation.values, *query.values)

    def leaves(self) -> tuple[Term, ...]:
        leaves = tuple(leaf for term in self.terms for leaf in term.leaves())
        return leaves if self.of_outer else (*leaves, *self.correlation.leaves())

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        columns = [term.render(rendering, required=required) for term in self.terms]
        outer = rendering.outer if self.of_outer else rendering
        assert outer is not None
        inner = self.query.subselect(outer, self.correlation, nested=not self.is_value)
        if self.is_value:
            condition: ColumnElement[bool] = operator.eq(*comparable(columns[0], inner.scalar_subquery()))
        elif len(columns) == 1:
            column, inner = comparable_with_query(columns[0], inner)
            condition = column.in_(inner)
        else:
            condition = sqlalchemy.tuple_(*columns).in_(inner)
        return _null_is_false(condition, rendering, *self.terms) if negated else condition


class Clause(Predicate):
    """A condition that is a SQLAlchemy clause."""

    has_clause = True

    def __init__(self, clause: ClauseElement) -> None:
        self.term = ClauseTerm(clause)
        self.key = self.term.key
        self.values = self.term.values

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        return self.term.render(rendering)


class BooleanPredicate(Predicate):
    """Predicates combined by AND, OR or XOR, negated or not."""

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

    def operands(self) -> tuple[Predicate, ...]:
        return self.children

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        # Both values of a part of an XOR matter, whatever is around it.
        inner_negated = negated ^ self.negated and self.connector != "XOR"
        inner_required = required and not self.negated and self.connector == "AND"
        parts = [child.render(rendering, required=inner_required, negated=inner_negated) for child in self.children]
        if self.connector == "AND":
            joined = sqlalchemy.and_(*parts)
        elif self.connector == "OR":
            joined = sqlalchemy.or_(*parts)
        else:
            variable = (p for p, child in zip(parts, self.children, strict=True) if not isinstance(child, Constant))
            ones: list[ColumnElement[int]] = [sqlalchemy.case((part, 1), else_=0) for part in variable]
            joined = reduce(operator.add, ones) % 2 == 1
        return sqlalchemy.not_(joined) if self.negated else joined


def _compared(term: Term, rendering: Rendering, required: bool) -> ColumnElement[Any]:
    """The SQL of a compared term. One with values is rendered once, because it may be in GROUP BY as well."""
    return rendering.render_once(term) if term.values else term.render(rendering, required=required)


def _checked(lookup: Lookup, condition: Any) -> ColumnElement[bool]:
    """The condition that a lookup returned. Raises `QueryError` for anything but SQL, which would match every row."""
    if isinstance(condition, ColumnElement):
        return condition
    method = "render" if type(lookup).build is Lookup.build else "build"
    raise QueryError(
        f"The lookup {lookup.name!r} is no condition: {type(lookup).__name__}.{method}() returned "
        f"{type(condition).__name__} instead of a SQLAlchemy expression."
    )


def _null_is_false(condition: ColumnElement[bool], rendering: Rendering, *terms: Term) -> ColumnElement[bool]:
    """The condition for a NOT around it, which keeps the rows that have NULL in a field.

    As in Django, that is so for fields (and their transforms and JSON keys), not for what is computed from them.
    """
    nullable = [column for term in terms for column in term.columns() if column.nullable]
    guards = [column.render(rendering).is_not(None) for column in nullable]
    return sqlalchemy.and_(condition, *guards) if guards else condition


def constant(truth: bool, *referenced_terms: Term, aggregate: bool = False, window: bool = False) -> Constant:
    """A predicate that is always or never true and refers to these terms.

    `aggregate` and `window` if one of them is such. A condition on a window is one also where its value is known: what
    an OR combines with it is asked after the window, whatever the values are.
    """
    if referenced_terms or aggregate or window:
        return Constant(truth, referenced_terms, aggregate=aggregate, window=window)
    return EVERYTHING if truth else NOTHING


def without_group_terms(predicate: Predicate) -> Predicate:
    """The predicate for a query without GROUP BY: of its constants' terms, only those with joins to many rows count."""
    if not predicate.has_constant:
        return predicate
    if isinstance(predicate, Constant):
        terms = (term for referenced in predicate.referenced_terms for term in referenced.outer_terms or (referenced,))
        return constant(predicate.truth, *(term for term in terms if term.many), window=predicate.window)
    if isinstance(predicate, BooleanPredicate):
        return junction(predicate.connector, map(without_group_terms, predicate.children), predicate.negated)
    return predicate


def is_always(predicate: Predicate) -> bool:
    """Whether every row meets the condition, which is known without a query."""
    return predicate.truth is True


def is_never(predicate: Predicate) -> bool:
    """Whether no row meets the condition, which is known without a query."""
    return predicate.truth is False


def junction(connector: Literal["AND", "OR", "XOR"], children: Iterable[Predicate], negated: bool = False) -> Predicate:
    """The children combined by AND, OR or XOR. Children that are always or never true are evaluated."""
    predicates = tuple(children)
    aggregate = any(child.aggregate for child in predicates)
    window = any(child.window for child in predicates)
    kept: list[Predicate] = []
    truth: bool | None = None
    for child in predicates:
        if isinstance(child, Constant):
            if connector == "XOR":
                negated ^= child.truth
            elif child.truth is (connector == "OR"):
                truth = child.truth
            if not (aggregate or child.window or child.referenced_terms):
                continue
            if child.truth and connector == "XOR":
                child = Constant(False, child.referenced_terms, aggregate=child.aggregate, window=child.window)
        kept.append(child)  # The constant's terms still join, and are grouped by.
    constants = [child for child in kept if isinstance(child, Constant)]
    if truth is None and len(constants) == len(kept):
        truth = (connector == "AND") ^ negated
        if aggregate and connector != "XOR":
            parts = (part for child in constants for part in child.parts or (child,))
            each = tuple(Constant(truth, part.referenced_terms, aggregate=part.aggregate) for part in parts)
            return Constant(truth, tuple(_leaves(constants)), aggregate=True, parts=each)
        return constant(truth, *_leaves(constants), aggregate=aggregate, window=window)
    if truth is not None:
        return constant(truth ^ negated, *_leaves(predicates), aggregate=aggregate, window=window)
    if len(kept) == 1:
        only = kept[0]
        if not negated:
            return only
        # Of aggregates and windows the structure says what is split: see `split`.
        if isinstance(only, BooleanPredicate) and not (aggregate or only.window):
            return BooleanPredicate(only.connector, only.children, not only.negated)
    return BooleanPredicate(connector, tuple(kept), negated)


def _leaves(predicates: Iterable[Predicate]) -> Iterator[Term]:
    return (leaf for predicate in predicates for leaf in predicate.leaves())


def and_(left: Predicate, right: Predicate) -> Predicate:
    """Both predicates combined by AND."""
    if left is EVERYTHING:
        return right
    if right is EVERYTHING:
        return left
    if isinstance(left, BooleanPredicate) and left.connector == "AND" and not left.negated:
        return junction("AND", (*left.children, right))
    return junction("AND", (left, right))


def split(predicate: Predicate) -> tuple[Predicate, Predicate, Predicate]:
    """The predicate as three that must all be true: one for WHERE, one for HAVING and one on window functions."""
    rows, groups, windows = _split(predicate, negated=False)
    return without_group_terms(rows or EVERYTHING), groups or EVERYTHING, windows or EVERYTHING


def _split(predicate: Predicate, *, negated: bool) -> tuple[Predicate | None, Predicate | None, Predicate | None]:
    """The three parts, None for those that are empty; `negated` inside an odd number of NOTs.

    As in Django, only an AND, and an OR inside a NOT, are split. Anything else is one part, and its columns are grouped
    by if an aggregate is among them.
    """
    if not (predicate.aggregate or (predicate.window and not isinstance(predicate, Constant))):
        return predicate, None, None
    connector: Literal["AND", "OR", "XOR"] = "XOR"
    children: tuple[Predicate, ...] = ()
    inverted = False
    if isinstance(predicate, Constant) and predicate.parts:
        connector, children = "AND" if predicate.truth else "OR", predicate.parts
    elif isinstance(predicate, BooleanPredicate):
        connector, children, inverted = predicate.connector, predicate.children, predicate.negated
    if connector != ("OR" if negated ^ inverted else "AND"):
        return (None, None, predicate) if predicate.window else (None, predicate, None)
    split_children = zip(*(_split(child, negated=negated ^ inverted) for child in children), strict=True)
    rows, groups, windows = ([part for part in parts if part is not None] for parts in split_children)
    return (
        junction(connector, rows, inverted) if rows else None,
        junction(connector, groups, inverted) if groups else None,
        junction(connector, windows, inverted) if windows else None,
    )


@dataclass(frozen=True)
class FilterCall:
    """A call of ``filter()`` or ``exclude()``, for ``&`` to repeat on another query."""

    conditions: tuple[Any, ...]
    lookups: tuple[tuple[str, Any], ...]
    negated: bool = False
    shares_joins: bool = False
    """Whether it uses the joins of the call before it."""


# The call that stands for ``none()``.
MATCHES_NOTHING = FilterCall((), (("pk__in", ()),))
