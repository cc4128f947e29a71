"""Conditions resolved to predicates: Q objects, keywords, comparisons, expressions and clauses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import ClauseElement

from orm.exceptions import QueryError
from orm.expressions.base import Comparison, Expression, F, FieldExpression, Q
from orm.expressions.subqueries import Exists, is_queryset
from orm.functions import Extract
from orm.functions.base import Value
from orm.functions.json import KeyString
from orm.lookups.base import Lookup, Prepared, lookup_for
from orm.lookups.json import KEY_IS_NULL
from orm.lookups.transforms import registrations
from orm.query.conditions.base import (
    IS_NULL,
    NOTHING,
    Clause,
    InQuery,
    LookupPredicate,
    Predicate,
    TermPredicate,
    constant,
    is_never,
    junction,
)
from orm.query.conditions.comparing import PLAIN_VALUES, in_query, one_row, within_year
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
from orm.query.resolving.composite_keys import CompositeKeyLookup, composite_key_expressions, find_composite_lookup
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
    if query.is_empty:
        return NOTHING
    return ExistsQuery(query.as_exists(), resolver.correlation(query))


def _comparison(resolver: Resolver, condition: Comparison, negated: bool | None) -> Predicate | None:
    expression = condition.expression
    if not isinstance(expression, FieldExpression):
        term = resolver.expression(expression, "a condition")
        return _compare(resolver, term, lookup_for(term.field, condition.lookup), condition.value)
    check_model(resolver.info, expression, "a condition")
    if isinstance(expression, RelationExpression):
        composite = find_composite_lookup(resolver.info, "__".join((*expression._path, condition.lookup)))
        if composite is not None:
            return resolve_condition(resolver, composite.condition(condition.value), negated)
    path = resolve_path(resolver.info, "__".join(expression._path), "a condition")
    return _compare_path(resolver, path, (), lookup_for(path.field, condition.lookup), condition.value, negated)


def _is_true(resolver: Resolver, expression: Expression[Any], negated: bool | None) -> Predicate | None:
    """The predicate of an expression that is a condition by itself."""
    field = type(resolver)(resolver.info, resolver.annotations).expression(expression, "a condition").field
    if field.family != "boolean":
        raise QueryError(
            f"{resolver.info.name}: {expression!r} is of type {type(field).__name__} and no condition by itself: "
            "compare it, or give an output_field=orm.Boolean()."
        )
    return resolve_condition(resolver, Comparison(expression, "exact", True), negated)


def _lookup(resolver: Resolver, name: str, value: Any, negated: bool | None) -> Predicate | None:
    """The predicate of a keyword argument: ``album__name__startswith="M"``."""
    info = resolver.info
    if len(info.pk_fields) > 1 and name in ("pk", "pk__exact", "pk__in"):
        return _composite_key(resolver, name, value)
    if resolver.annotations:
        first, _, rest = name.partition("__")
        term = resolver.annotations.get(first)
        if term is not None:
            steps, lookup = split_lookup(term.field, rest.split("__") if rest else ())
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


def _composite_key(resolver: Resolver, name: str, value: Any) -> Predicate:
    """The predicate of ``pk`` or ``pk__in`` of a model whose primary key has several columns."""
    info = resolver.info
    paths = tuple(resolve_path(info, field.attname, "a lookup") for field in info.pk_fields)
    if is_queryset(value):
        query = value._query.selecting_key(f"{info.name}.pk", info, info.pk_fields)
        return _related_in(resolver, RelatedIn(paths, query, "in" if name == "pk__in" else "exact"), False)
    keys = list(value) if name == "pk__in" else [value]
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
        equalities = [_compare(resolver, resolver.column(p), lookup_for(p.field, "exact"), value) for p, value in key]
        return junction("AND", equalities)
    count = path.first_many()
    hops = path.relations[:count]
    inner = _inner_resolver(resolver, hops)
    equalities = []
    outer_terms: tuple[Term, ...] = ()
    for path, value in key:
        term, exact = inner.column(path.after(count)), lookup_for(path.field, "exact")
        value, referenced = _outer_value(resolver, term, exact, value)
        equalities.append(_compare(inner, term, exact, value))
        outer_terms += referenced
    return RelationPredicate(RowExists(hops, junction("AND", equalities), resolver.joined_here(hops), outer_terms))


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
    value, outer_terms = _outer_value(resolver, term, lookup, value)
    if lookup.name == "in" and is_queryset(value):
        predicate = in_query(term, value._query, resolver.correlation(value._query), of_outer=True)
    else:
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
    if isinstance(value, (list, tuple, set, frozenset)) and any(isinstance(item, Expression) for item in value):
        items = [_outer_value(resolver, term, lookup, v) if isinstance(v, Expression) else (v, ()) for v in value]
        return [item for item, _ in items], tuple(leaf for _, leaves in items for leaf in leaves)
    if isinstance(value, (Expression, ClauseElement)):
        outer_term = resolver.expression(value, f"a value for {lookup.name}")
        return OuterExpression(outer_term), outer_term.leaves()
    return value, ()


def _compare(resolver: Resolver, term: Term, lookup: Lookup, value: Any) -> Predicate:
    """The predicate of a term compared by a lookup with a value, an expression or a queryset."""
    field = term.field
    if type(value) in PLAIN_VALUES and type(term) is PathTerm:
        return LookupPredicate.of(term, lookup, value)
    name = lookup.name
    if name == "in":
        query = getattr(value, "_query", None)
        if query is not None:
            return in_query(term, query, resolver.correlation(query))
    expanded = _expand_list(resolver, term, name, value)
    if expanded is not None:
        return expanded
    if lookup.takes_expression and getattr(value, "_query", None) is not None:
        return TermPredicate(term, lookup, resolve_subquery(resolver, one_row(value._query, name), field))
    if type(value) is Value and converted_value(value, field) is not None:
        return LookupPredicate.of(term, lookup, value.value)
    if isinstance(value, (Expression, ClauseElement)) and not hasattr(value, "_meta"):
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
    """A list or range that contains expressions, as one comparison for each; None for any other value."""
    if name not in ("in", "range") or not isinstance(value, (list, tuple, set, frozenset)):
        return None
    if PLAIN_VALUES.issuperset(map(type, value)):
        return None
    if not any(isinstance(item, Expression) and not hasattr(item, "_meta") for item in value):
        return None
    if name == "in":
        exact = lookup_for(term.field, "exact")
        return junction("OR", [_compare(resolver, term, exact, item) for item in value if item is not None])
    start, end = value
    bounds = (("gte", start), ("lte", end))
    return junction("AND", [_compare(resolver, term, lookup_for(term.field, bound), item) for bound, item in bounds])
