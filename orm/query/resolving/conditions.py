"""Conditions resolved to predicates: Q objects, keywords, comparisons, expressions and clauses."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ClauseElement

from orm.exceptions import FieldError, QueryError
from orm.expressions.base import Comparison, Expression, F, FieldExpression, Logical, Q, is_model
from orm.expressions.subqueries import Exists, OuterRef, Subquery, is_queryset
from orm.functions import Extract
from orm.functions.base import Value
from orm.functions.json import KeyString
from orm.lookups.base import Lookup, Prepared, lookup_for
from orm.lookups.json import KEY_IS_NULL
from orm.lookups.transforms import registrations
from orm.query.conditions.base import (
    IS_NULL,
    Clause,
    InQuery,
    LookupPredicate,
    Predicate,
    TermPredicate,
    constant,
    is_never,
    junction,
)
from orm.query.conditions.comparing import PLAIN_VALUES, any_row, one_row, within_year
from orm.query.conditions.exists import (
    ExistsQuery,
    NullAsFalse,
    RelatedNull,
    RelationPredicate,
    RowExists,
    RowOrMissing,
    local_terms,
)
from orm.query.conditions.related_to import RelatedIn, RelatedTo
from orm.query.paths import MAX_CACHED, Path, resolve_path, split_path
from orm.query.resolving.composite_keys import (
    ORDERED,
    CompositeKeyLookup,
    composite_key_expressions,
    find_composite_lookup,
    key_is_null,
)
from orm.query.resolving.expressions import OuterExpression, check_model, converted_value, resolve_subquery
from orm.query.resolving.order_by import KEY_NUMBER
from orm.query.terms.base import PathTerm, Term
from orm.query.terms.computed import FuncTerm
from orm.query.terms.transforms import KeyTerm, Steps, TransformTerm, split_lookup, with_steps
from orm.relations import RelationExpression

if TYPE_CHECKING:
    from orm.query.query import Query
    from orm.query.resolving.resolver import Resolver

KEY_STRING = KeyString(F("key"))


def resolve_condition(resolver: Resolver, condition: Any, negated: bool | None) -> Predicate | None:
    """The predicate of a condition, or of a lookup's name and value; None for an empty `Q`.

    `negated` says that it is part of a NOT. There, a relation that leads to many rows is asked about as a whole:
    that no row matches, not that some row does not. None says that it is part of an expression (`Case`, the `filter=`
    of an aggregate), which is about the row that is joined, even in a NOT.
    """
    if isinstance(condition, tuple):
        return _lookup(resolver, condition[0], condition[1], negated)
    if isinstance(condition, Q):
        in_not = None if negated is None else negated or condition.negated
        return resolve_children(resolver, condition.connector, condition.children, condition.negated, in_not)
    if isinstance(condition, Exists):
        return _exists(resolver, condition.query)
    if isinstance(condition, RelatedTo):
        return _related_to(resolver, condition, negated)
    if isinstance(condition, RelatedIn):
        return _related_in(resolver, condition, negated)
    if isinstance(condition, Comparison):
        return _comparison(resolver, condition, negated)
    if isinstance(condition, Expression):
        return _is_true(resolver, condition, negated)
    if is_model(condition):
        return _is_of_model(resolver, condition, negated)
    return Clause(condition)


def resolve_children(
    resolver: Resolver, connector: Any, children: Iterable[Any], negated: bool, in_not: bool | None
) -> Predicate | None:
    """The predicate of a Q's children, negated or not; None if all of them are empty.

    `in_not` says that they are part of a NOT, this one or one around it; None: see `resolve_condition`.
    """
    resolved = [resolve_condition(resolver, child, in_not) for child in children]
    predicates = [predicate for predicate in resolved if predicate is not None]
    return junction(connector, predicates, negated) if predicates else None


def _exists(resolver: Resolver, query: Query) -> Predicate:
    """The predicate of `Exists`."""
    correlation = resolver.correlation(query)
    if query.is_empty:
        # As in Django, its OuterRefs still join the relations to many that they follow.
        return constant(False, *(term for term in correlation.terms.values() if term.many))
    return ExistsQuery(query.as_exists(), correlation)


def _is_of_model(resolver: Resolver, model: Any, negated: bool | None) -> Predicate | None:
    """The predicate of a row being one of this model, in single-table inheritance."""
    info = model._meta
    if info.discriminator is None or info.concrete is not resolver.info.concrete:
        raise QueryError(
            f"{info.name} is no condition of a query of {resolver.info.name}: it is no model of the same table, told "
            "apart by a discriminator."
        )
    if not info.is_filtered:
        return constant(True)
    name, kinds = info.discriminator.name, list(info.kinds)
    return (
        _lookup(resolver, name, kinds[0], negated)
        if len(kinds) == 1
        else _lookup(resolver, f"{name}__in", kinds, negated)
    )


def _comparison(resolver: Resolver, condition: Comparison, negated: bool | None) -> Predicate | None:
    expression, value = condition.expression, condition.value
    if isinstance(value, Subquery) and condition.lookup == "in":
        value = value.queryset
    if not isinstance(expression, FieldExpression):
        term = resolver.expression(expression, "a condition")
        return _compare(resolver, term, lookup_for(term.field, condition.lookup), value)
    check_model(resolver.info, expression, "a condition")
    if isinstance(expression, RelationExpression):
        composite = find_composite_lookup(resolver.info, "__".join((*expression._path, condition.lookup)))
        if composite is not None:
            return resolve_condition(resolver, composite.condition(value), negated)
    path = resolve_path(resolver.info, "__".join(expression._path), "a condition")
    return _compare_path(resolver, path, (), lookup_for(path.field, condition.lookup), value, negated)


def _is_true(resolver: Resolver, expression: Expression[Any], negated: bool | None) -> Predicate | None:
    """The predicate of an expression that is a condition by itself."""
    apart = copy.copy(resolver)  # its joins are separate from those of the query
    apart.windows = None
    field = apart.expression(expression, "a condition").field
    if field.family != "boolean":
        raise QueryError(
            f"{resolver.info.name}: {expression!r} is of type {type(field).__name__} and no condition by itself: "
            "compare it, or give an output_field=orm.Boolean()."
        )
    return resolve_condition(resolver, Comparison(expression, "exact", True), negated)


def _lookup(resolver: Resolver, name: str, value: Any, negated: bool | None) -> Predicate | None:
    """The predicate of a keyword argument: ``album__name__startswith="M"``."""
    info = resolver.info
    if isinstance(value, Subquery) and name.endswith("__in"):
        value = value.queryset
    if len(info.pk_fields) > 1 and name.partition("__")[0] == "pk":
        return _composite_key(resolver, name.partition("__")[2] or "exact", value, negated)
    term, rest = resolver.annotation(name)
    if term is not None:
        steps, lookup = split_lookup(term.field, rest)
        return _compare(resolver, with_steps(term, steps), lookup, value)
    if info.lookups_registered != registrations.count:
        info.lookups.clear()
        info.lookups_registered = registrations.count
    known: tuple[Path, Steps, Lookup] | CompositeKeyLookup | None = info.lookups.get(name)
    if known is None:
        known = find_composite_lookup(info, name)
        if known is None:
            path, parts = split_path(info, name, "a lookup")
            known = path, *split_lookup(path.field, parts)
        if len(info.lookups) >= MAX_CACHED:
            info.lookups.clear()
        info.lookups[name] = known
    if isinstance(known, CompositeKeyLookup):
        return resolve_condition(resolver, known.condition(value), negated)
    return _compare_path(resolver, *known, value, negated)


def _composite_key(resolver: Resolver, lookup: str, value: Any, negated: bool | None) -> Predicate | None:
    """The predicate of ``pk`` for a composite primary key, compared as SQL compares rows: the first column in which two
    keys differ decides."""
    info = resolver.info
    paths = tuple(resolve_path(info, field.attname, "a lookup") for field in info.pk_fields)
    if lookup in ORDERED:
        return _related_to(resolver, RelatedTo(paths, info.split_pk(value), lookup), negated)
    if lookup == "isnull":
        return resolve_condition(resolver, key_is_null([path.name for path in paths], value), negated)
    if lookup == "range":
        low, high = value
        return resolve_condition(resolver, Q(pk__gte=low) & Q(pk__lte=high), negated)
    if lookup not in ("exact", "in"):
        raise FieldError(
            f"{info.name} has a composite primary key, which has no lookup {lookup!r}: its lookups are exact, in, gt, "
            f"gte, lt, lte, range and isnull, or name one of its fields ({', '.join(f.name for f in info.pk_fields)})."
        )
    if is_queryset(value):
        query = value._query.selecting_key(f"{info.name}.pk", info, info.pk_fields)
        return _related_in(resolver, RelatedIn(paths, query, lookup), False)
    keys = list(value) if lookup == "in" else [value]
    if not keys:
        return constant(False, *map(resolver.column, paths))
    alternatives = []
    for key in keys:
        parts = info.split_pk(composite_key_expressions(info, f"{info.name}.pk", info.pk_fields, key) or key)
        lookups = zip((field.attname for field in info.pk_fields), parts, strict=True)
        equalities = (_lookup(resolver, attname, part, False) for attname, part in lookups)
        alternatives.append(junction("AND", [equality for equality in equalities if equality is not None]))
    return junction("OR", alternatives)


def _related_to(resolver: Resolver, condition: RelatedTo, negated: bool | None) -> Predicate:
    """The columns of a key have these values: all of them in one row, where there may be many."""
    key = condition.key
    path = key[0][0]
    if not (negated and path.many):
        return _compare_keys(condition.lookup, resolver, [(resolver.column(p), value) for p, value in key])
    count = path.first_many()
    hops = path.relations[:count]
    inner = _inner_resolver(resolver, hops)
    compared: list[tuple[Term, Any]] = []
    outer_terms: tuple[Term, ...] = ()
    for path, value in key:
        term = inner.column(path.after(count))
        value, referenced = _outer_value(resolver, term, lookup_for(path.field, "exact"), value)
        compared.append((term, value))
        outer_terms += referenced
    matches = _compare_keys(condition.lookup, inner, compared)
    return RelationPredicate(RowExists(hops, matches, resolver.joined_here(hops), outer_terms))


def _compare_keys(lookup: str, resolver: Resolver, key: Sequence[tuple[Term, Any]]) -> Predicate:
    """Each part of a key has its value or, for the lookups in `ORDERED`, the key is greater or less than these."""

    def compare(part: tuple[Term, Any], name: str) -> Predicate:
        term, value = part
        return _compare(resolver, term, lookup_for(term.field, name), value)

    if lookup == "exact":
        return junction("AND", [compare(part, "exact") for part in key])
    beyond = []
    for position, part in enumerate(key):
        equal = [compare(before, "exact") for before in key[:position]]
        beyond.append(junction("AND", [*equal, compare(part, lookup if position == len(key) - 1 else lookup[:2])]))
    return junction("OR", beyond)


def _related_in(resolver: Resolver, condition: RelatedIn, negated: bool | None) -> Predicate:
    """A query selects the key."""
    paths, query = condition.paths, condition.query
    if query is not None and not query.is_empty:
        query = one_row(query, condition.lookup)
    else:
        query = None
    if not (negated and paths[0].many):
        terms = tuple(resolver.column(path) for path in paths)
        return constant(False, *terms) if query is None else InQuery(terms, query, resolver.correlation(query))
    count = paths[0].first_many()
    hops = paths[0].relations[:count]
    if query is None:
        return constant(False, *local_terms(hops, resolver.joined_here(hops)))
    inner = _inner_resolver(resolver, hops)
    columns = tuple(inner.column(path.after(count)) for path in paths)
    predicate = InQuery(columns, query, resolver.correlation(query), of_outer=True)
    return RelationPredicate(RowExists(hops, predicate, resolver.joined_here(hops), ()))


def _compare_path(
    resolver: Resolver, path: Path, steps: Steps, lookup: Lookup, value: Any, negated: bool | None
) -> Predicate:
    if negated and path.many:
        return _row_exists(resolver, path, steps, lookup, value)
    return _compare(resolver, with_steps(resolver.column(path), steps), lookup, value)


def _row_exists(resolver: Resolver, path: Path, steps: Steps, lookup: Lookup, value: Any) -> Predicate:
    """What a NOT excludes over a relation that leads to many rows: that one of them matches."""
    count = path.first_many()
    hops = path.relations[:count]
    # A missing row is NULL as well: then the relation is joined inside, from the row that may have none.
    is_null = value is True if lookup.name == "isnull" else value is None and lookup.name in ("exact", "iexact")
    # Of a lookup such as "is distinct from", the database decides whether it is true of NULL.
    matches_null = lookup.matches_null and lookup.name != "isnull" and not is_null
    if matches_null:
        inner, inner_path = _inner_resolver(resolver, ()), path
    elif is_null:
        inner = _inner_resolver(resolver, hops[:-1])
        inner_path = path.after(count - 1)
    else:
        inner = _inner_resolver(resolver, hops)
        inner_path = path.after(count)
    term = with_steps(inner.column(inner_path), steps)
    predicate: Predicate | None = None
    outer_terms: tuple[Term, ...] = ()
    if is_queryset(value):
        predicate = any_row(resolver.correlation, term, lookup, value._query, of_outer=True)
    if predicate is None:
        value, outer_terms = _outer_value(resolver, term, lookup, value)
        predicate = _compare(inner, term, lookup, value)
    if lookup.name == "exact" and isinstance(value, OuterExpression) and not isinstance(value.term.term, PathTerm):
        predicate = NullAsFalse(predicate)
    # Only now: the value's own expression may have joined the relation.
    join = resolver.joined_here(hops)
    if is_never(predicate):
        return constant(False, *local_terms(hops, join))
    if matches_null:
        return RelationPredicate(RowOrMissing(resolver.info.pk_fields, hops, predicate))
    if is_null:
        return RelationPredicate(RelatedNull(hops, predicate))
    return RelationPredicate(RowExists(hops, predicate, join, outer_terms))


def _inner_resolver(resolver: Resolver, hops: tuple[Any, ...]) -> Resolver:
    """The resolver of a subquery over the rows that the relations lead to."""
    return type(resolver)(hops[-1].target._meta if hops else resolver.info, new_join=1)


def _outer_value(resolver: Resolver, term: Term, lookup: Lookup, value: Any) -> tuple[Any, tuple[Term, ...]]:
    """A value for a condition inside of an EXISTS, and the outer query's terms that it refers to.

    It was written in the outer query, so its names are those of the outer query.
    """
    if is_queryset(value) and lookup.takes_expression:
        subquery = resolve_subquery(resolver, one_row(value._query, lookup.name), term.field)
        return OuterExpression(subquery), subquery.leaves()
    if isinstance(value, (list, tuple, set, frozenset)) and any(isinstance(item, Logical) for item in value):
        items = [_outer_value(resolver, term, lookup, v) if isinstance(v, Logical) else (v, ()) for v in value]
        return [item for item, _ in items], tuple(leaf for _, leaves in items for leaf in leaves)
    if isinstance(value, (Logical, ClauseElement)):
        outer_term = resolver.expression(value, f"a value for {lookup.name}")
        return OuterExpression(outer_term), outer_term.leaves()
    return value, ()


def _compare(resolver: Resolver, term: Term, lookup: Lookup, value: Any) -> Predicate:
    """The predicate of a term compared by a lookup with a value, an expression or a queryset."""
    field = term.field
    if type(value) in PLAIN_VALUES and type(term) is PathTerm:
        return LookupPredicate.of(term, lookup, value)
    name = lookup.name
    query = getattr(value, "_query", None)
    if query is not None:
        rows = any_row(resolver.correlation, term, lookup, query)
        if rows is not None:
            return rows
    expanded = _expand_list(resolver, term, name, value)
    if expanded is not None:
        return expanded
    if lookup.takes_expression and query is not None:
        return TermPredicate(term, lookup, resolve_subquery(resolver, one_row(query, name), field))
    if type(value) is Value and converted_value(value, field) is not None:
        return LookupPredicate.of(term, lookup, value.value)
    if type(value) is Value and value.value is None and isinstance(term, KeyTerm):
        value = None  # the null in a document, as in Django
    if isinstance(value, (Logical, ClauseElement)) and not hasattr(value, "_meta"):
        other = resolver.expression(value, f"a value for {name}")
        if not lookup.takes_expression:
            raise QueryError(f"The lookup {name!r} compares with a value, not with an expression ({value!r}).")
        if isinstance(other, KeyTerm) and field.family != "json":
            # SQL compares no JSON with numbers and texts.
            other = FuncTerm(KEY_STRING if field.family == "text" else KEY_NUMBER, (other,))
        return TermPredicate(term, lookup, other)
    if name in ("exact", "iexact") and value is None:
        null_key = name == "exact" and isinstance(term, KeyTerm)
        return LookupPredicate(term, KEY_IS_NULL if null_key else IS_NULL, Prepared((), variant=True))
    if isinstance(term, TransformTerm) and isinstance(term.function, Extract):
        bounds = within_year(term, term.function, name, value)
        if bounds is not None:
            return bounds
    return LookupPredicate.of(term, lookup, value)


def _expand_list(resolver: Resolver, term: Term, name: str, value: Any) -> Predicate | None:
    """A list or range that contains expressions, as one comparison for each; None for any other value.

    An `OuterRef` is a list of one.
    """
    if name == "in" and isinstance(value, (OuterRef, OuterExpression)):
        value = [value]
    if name not in ("in", "range") or not isinstance(value, (list, tuple, set, frozenset)):
        return None
    if PLAIN_VALUES.issuperset(map(type, value)):
        return None
    if not any(isinstance(item, Logical) and not hasattr(item, "_meta") for item in value):
        return None
    if name == "in":
        exact = lookup_for(term.field, "exact")
        return junction("OR", [_compare(resolver, term, exact, item) for item in value if item is not None])
    start, end = value
    bounds = (("gte", start), ("lte", end))
    return junction("AND", [_compare(resolver, term, lookup_for(term.field, bound), item) for bound, item in bounds])
