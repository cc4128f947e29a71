"""Resolves conditions: Q objects, keywords, comparisons and clauses become one tree of `conditions`.

This happens when a queryset is filtered, so that what makes no sense is refused there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import ClauseElement

from orm.exceptions import QueryError
from orm.expressions import Comparison, Expression, FieldExpression, Q, check_condition
from orm.lookups import Lookup, Prepared, Truth, lookup_for
from orm.planning.conditions import (
    EVERYTHING,
    IS_NULL,
    NOTHING,
    Clause,
    Exists,
    InQuery,
    Match,
    Node,
    TermMatch,
    junction,
)
from orm.planning.names import Names
from orm.planning.paths import MAX_CACHED, Path, resolve_path, split_path
from orm.planning.resolving import check_model, resolve
from orm.planning.terms import OuterTerm, Term

if TYPE_CHECKING:
    from orm.planning.query import Query


def resolve_conditions(
    names: Names, args: Iterable[Any], lookups: Iterable[tuple[str, Any]], *, negated: bool = False
) -> Node:
    """The condition that ``filter(*args, **lookups)`` states (or ``exclude``, negated)."""
    nodes = [resolve_condition(names, argument, negated) for argument in args]
    nodes.extend(_keyword(names, name, value, negated) for name, value in lookups)
    return junction("AND", nodes, negated)


def resolve_condition(names: Names, condition: Any, negated: bool = False) -> Node:
    """One condition, resolved. Raises `FieldError` or `QueryError` for what makes no sense.

    `negated`: it stands under a NOT, where a relation that leads to many rows is asked about as a whole.
    """
    check_condition(condition)
    if isinstance(condition, Q):
        if not condition.children:
            return EVERYTHING
        inner = negated or condition.negated
        nodes = [
            _keyword(names, child[0], child[1], inner)
            if isinstance(child, tuple)
            else resolve_condition(names, child, inner)
            for child in condition.children
        ]
        return junction(condition.connector, nodes, condition.negated)  # type: ignore[arg-type]
    if isinstance(condition, Comparison):
        expression = condition.expression
        if isinstance(expression, FieldExpression):
            check_model(names.info, expression, "a condition")
            path = resolve_path(names.info, "__".join(expression._path), "a condition")
            return _path_match(names, path, lookup_for(path.field, condition.lookup), condition.value, negated)
        term = resolve(names, expression, "a condition")
        return _match(names, term, lookup_for(term.field, condition.lookup), condition.value)
    return Clause(condition)


def _keyword(names: Names, name: str, value: Any, negated: bool) -> Node:
    info = names.info
    if len(info.pk_fields) > 1 and name in ("pk", "pk__exact", "pk__in"):
        return _composite(names, name, value)
    if names.annotations:
        first, _, rest = name.partition("__")
        term = names.annotations.get(first)
        if term is not None:
            return _match(names, term, lookup_for(term.field, rest or "exact"), value)
    known: tuple[Path, Lookup] | None = info.lookups.get(name)
    if known is None:
        path, parts = split_path(info, name, "a lookup")
        known = path, lookup_for(path.field, "__".join(parts) or "exact")
        if len(info.lookups) >= MAX_CACHED:
            info.lookups.clear()
        info.lookups[name] = known
    return _path_match(names, *known, value, negated)


def _composite(names: Names, name: str, value: Any) -> Node:
    """A composite key against one tuple, or one of several."""
    info = names.info
    keys = value if name == "pk__in" else [value]
    rows = [
        junction(
            "AND",
            [
                _keyword(names, f.attname, part, False)
                for f, part in zip(info.pk_fields, info.split_pk(key), strict=True)
            ],
        )
        for key in keys
    ]
    return junction("OR", rows)


def _path_match(names: Names, path: Path, lookup: Lookup, value: Any, negated: bool) -> Node:
    if negated and path.many:
        return _exists(names, path, lookup, value)
    return _match(names, names.path_term(path), lookup, value)


def _exists(names: Names, path: Path, lookup: Lookup, value: Any) -> Node:
    """What is excluded over a relation that leads to many rows: that one of them matches."""
    count = path.first_many()
    hops = path.relations[:count]
    joined = names.joined_here(hops)
    inner_names = Names(hops[-1].target._meta, own_scope=True)
    rest = "__".join(path.name.split("__")[count:]) or "pk"
    inner_path = resolve_path(inner_names.info, rest, "a lookup")
    if isinstance(value, (Expression, ClauseElement)) and not hasattr(value, "_meta"):
        other = OuterTerm(resolve(names, value, f"a value for {lookup.name}"))
        inner: Node = TermMatch(inner_names.path_term(inner_path), lookup, other)
    else:
        inner = _match(inner_names, inner_names.path_term(inner_path), lookup, value)
    if inner is NOTHING:
        return NOTHING
    return Exists(hops, 0, inner, joined)


def _match(names: Names, term: Term, lookup: Lookup, value: Any) -> Node:
    field = term.field
    name = lookup.name
    if name == "in":
        query = getattr(value, "_query", None)
        if query is not None:
            return _in_query(term, query)
    if isinstance(value, (Expression, ClauseElement)) and not hasattr(value, "_meta"):
        other = resolve(names, value, f"a value for {name}")
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
