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

from orm.exceptions import QueryError
from orm.expressions import Comparison, Expression, Q, check_condition
from orm.lookups import IsNull, Lookup, Prepared, Truth, lookup_for, lookups
from orm.planning.paths import MAX_CACHED, split_path
from orm.planning.terms import ClauseTerm, PathTerm, Term, resolve

if TYPE_CHECKING:
    from orm.meta import ModelInfo
    from orm.planning.query import Query
    from orm.planning.rendering import Rendering

IS_NULL = lookups[IsNull.name]


class Node:
    """A condition of a query."""

    key: Hashable
    values: tuple[Any, ...] = ()
    has_clause: bool = False
    """Whether a SQLAlchemy clause is in it, which may read tables that it does not join itself."""

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        """Its SQL.

        `required`: no row passes unless this is true, so its joins may be inner ones. `negated`: it stands
        under an odd number of NOTs, where NULL must count as false, as it does in Python.
        """
        raise NotImplementedError


class Constant(Node):
    """Always true or never true: EVERYTHING or NOTHING."""

    def __init__(self, truth: bool) -> None:
        self.truth = truth
        self.key = truth

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        return sqlalchemy.true() if self.truth else sqlalchemy.false()


EVERYTHING = Constant(True)
NOTHING = Constant(False)


class Match(Node):
    """A term held against a prepared value by a lookup."""

    __slots__ = ("key", "lookup", "term", "values", "variant")

    def __init__(self, term: Term, lookup: Lookup, prepared: Prepared) -> None:
        self.term = term
        self.lookup = lookup
        self.variant = prepared.variant
        self.key = (lookup, term.key, prepared.variant)
        self.values = (*term.values, *prepared.values)

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
        self.key = (lookup, term.key, other.key)
        self.values = (*term.values, *other.values)

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        left = self.term.render(rendering, required=required)
        right = self.other.render(rendering, required=required)
        found = self.lookup.render(left, right, self.term.field)
        return _null_is_false(found, rendering, self.term, self.other) if negated else found


class InQuery(Node):
    """A term is among the values that another query selects."""

    def __init__(self, term: Term, query: Query) -> None:
        self.term = term
        self.query = query
        self.key = ("in query", term.key, query.key)
        self.values = (*term.values, *query.values)

    def render(self, rendering: Rendering, *, required: bool, negated: bool) -> ColumnElement[bool]:
        column = self.term.render(rendering, required=required)
        inner = self.query.subselect(rendering.binds)
        found = column.in_(inner)
        return _null_is_false(found, rendering, self.term) if negated else found


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


def junction(connector: Literal["AND", "OR", "XOR"], children: Iterable[Node], negated: bool = False) -> Node:
    """The children joined; what is always or never true is worked out here."""
    kept: list[Node] = []
    truth: bool | None = None
    for child in children:
        if not isinstance(child, Constant):
            kept.append(child)
        elif connector == "XOR":
            negated ^= child.truth
        elif child.truth is (connector == "OR"):
            truth = child.truth
    if truth is None and not kept:
        truth = connector == "AND"
    if truth is not None:
        return EVERYTHING if truth ^ negated else NOTHING
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
    if isinstance(left, Junction) and left.connector == "AND" and not left.negated:
        return junction("AND", (*left.children, right))
    return junction("AND", (left, right))


def resolve_conditions(
    info: ModelInfo, args: Iterable[Any], lookups: Iterable[tuple[str, Any]], *, negated: bool = False
) -> Node:
    """The condition that ``filter(*args, **lookups)`` states (or ``exclude``, negated)."""
    given = tuple(args)
    for argument in given:
        check_condition(argument)
    return _joined(info, "AND", (*given, *lookups), negated) or EVERYTHING


def resolve_condition(info: ModelInfo, condition: Any) -> Node:
    """One condition, resolved. Raises `FieldError` or `QueryError` for what makes no sense."""
    return _resolved(info, condition) or EVERYTHING


def _joined(info: ModelInfo, connector: Any, children: Iterable[Any], negated: bool) -> Node | None:
    """The children of a `Q`; None if they state nothing, which negated states nothing either."""
    nodes = [_resolved(info, child) for child in children]
    stated = [node for node in nodes if node is not None]
    return junction(connector, stated, negated) if stated else None


def _resolved(info: ModelInfo, condition: Any) -> Node | None:
    """A condition, or a keyword with its value; None for an empty `Q`."""
    if isinstance(condition, tuple):
        return _keyword(info, *condition)
    if isinstance(condition, Q):
        return _joined(info, condition.connector, condition.children, condition.negated)
    if isinstance(condition, Comparison):
        term = resolve(info, condition.expression, "a condition")
        return _match(info, term, lookup_for(term.field, condition.lookup), condition.value)
    return Clause(condition)


def _keyword(info: ModelInfo, name: str, value: Any) -> Node:
    if len(info.pk_fields) > 1 and name in ("pk", "pk__exact", "pk__in"):
        return _composite(info, name, value)
    known: tuple[Term, Lookup] | None = info.lookups.get(name)
    if known is None:
        path, rest = split_path(info, name, "a lookup")
        known = PathTerm(path), lookup_for(path.field, "__".join(rest) if rest else "exact")
        if len(info.lookups) >= MAX_CACHED:
            info.lookups.clear()
        info.lookups[name] = known
    return _match(info, *known, value)


def _composite(info: ModelInfo, name: str, value: Any) -> Node:
    """A composite key against one tuple, or one of several."""
    keys = value if name == "pk__in" else [value]
    rows = [
        junction(
            "AND",
            [_keyword(info, f.attname, part) for f, part in zip(info.pk_fields, info.split_pk(key), strict=True)],
        )
        for key in keys
    ]
    return junction("OR", rows)


def _match(info: ModelInfo, term: Term, lookup: Lookup, value: Any) -> Node:
    field = term.field
    name = lookup.name
    if name == "in":
        query = getattr(value, "_query", None)
        if query is not None:
            return _in_query(term, query)
    if isinstance(value, (Expression, ClauseElement)) and not hasattr(value, "_meta"):
        other = resolve(info, value, f"a value for {name}")
        if not lookup.takes_expression:
            raise QueryError(f"The lookup {name!r} compares with a value, not with an expression ({value!r}).")
        return TermMatch(term, lookup, other)
    if name in ("exact", "iexact") and value is None:
        return Match(term, IS_NULL, Prepared((), variant=True))
    prepared = lookup.prepare(field, value)
    if prepared is Truth.NEVER:
        return NOTHING
    if prepared is Truth.NOT_NULL:
        return Match(term, IS_NULL, Prepared((), variant=False))
    assert isinstance(prepared, Prepared)
    return Match(term, lookup, prepared)


def _in_query(term: Term, query: Query) -> Node:
    """``__in=queryset``: one statement, whose inner query selects the keys."""
    if query.where is NOTHING or query.high == 0:
        return NOTHING
    return InQuery(term, query.selecting_one(term.field))
