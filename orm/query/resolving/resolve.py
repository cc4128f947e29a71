"""Resolves expressions and conditions against a model: names become terms, Q objects one tree of conditions.

This happens when a queryset's method is called, so that what makes no sense is refused there.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import ClauseElement

from orm.exceptions import FieldError, NotSupportedError, QueryError
from orm.expressions.base import (
    Combined,
    Comparison,
    Condition,
    Expression,
    F,
    FieldExpression,
    Func,
    Ordering,
    Q,
    Sliced,
    Value,
    check_condition,
)
from orm.expressions.ctes import CTEColumn
from orm.expressions.subqueries import Exists, OuterRef, Subquery, is_queryset
from orm.functions import Extract, Substr
from orm.functions.aggregates import Aggregate, AllRows
from orm.functions.arrays import ArraySlice
from orm.functions.conditional import Case
from orm.functions.json import KeyString
from orm.functions.windows import Window, WindowFunction
from orm.lookups.base import Lookup, Prepared, lookup_for
from orm.lookups.json import KEY_IS_NULL
from orm.query.conditions.base import (
    EVERYTHING,
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
    without_group_terms,
)
from orm.query.conditions.comparing import PLAIN_VALUES, in_query, one_row, prepared, within_year
from orm.query.conditions.exists import ExistsQuery, NullAsFalse, RelatedNull, RelationPredicate, RowExists, local_terms
from orm.query.conditions.related_to import RelatedIn, RelatedTo
from orm.query.ordering import ClauseOrder, OrderTerm
from orm.query.paths import MAX_CACHED, Path, resolve_path, split_path
from orm.query.resolving.composite_keys import Spread, compared_parts, find_spread
from orm.query.resolving.order_by import KEY_NUMBER, named_ordering
from orm.query.resolving.scope import Scope
from orm.query.terms.aggregates import AggregateTerm, WindowTerm
from orm.query.terms.base import DECIMAL, NULL, ClauseTerm, NullTerm, PathTerm, RowTerm, Term, ValueTerm, value_field
from orm.query.terms.computed import CaseTerm, CombinedTerm, ConditionTerm, FuncTerm
from orm.query.terms.subqueries import CTETerm, OuterRefTerm, OuterTerm, SubqueryTerm
from orm.query.terms.transforms import KeyTerm, Steps, TransformTerm, split_lookup, with_steps
from orm.relations import RelationExpression

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo

Resolver = Callable[[Scope, Any, str], Term]

KEY_STRING = KeyString(F("key"))
SLICES = {"text": Substr(F("text"), 1), "array": ArraySlice(F("array"), 1)}


def resolve(names: Scope, node: Any, what: str) -> Term:
    """Resolve an expression (or a plain value) against a model.

    Raises `FieldError` for a name that is no field or a field of another model.
    """
    return _resolver_of(node.__class__)(names, node, what)


@lru_cache(MAX_CACHED)
def _resolver_of(kind: type) -> Resolver:
    return next((resolver for base, resolver in RESOLVERS if issubclass(kind, base)), _other)


def _field(names: Scope, node: FieldExpression[Any], what: str) -> Term:
    check_model(names.info, node, what)
    return names.path_term(resolve_path(names.info, "__".join(node._path), what))


def _value(names: Scope, node: Value[Any], what: str) -> Term:
    if node.value is None:
        return NULL if node.output_field is None else NullTerm(node.output_field)
    return ValueTerm(node.value, node.output_field or value_field(node.value))


def _window_function(names: Scope, node: WindowFunction[Any], what: str) -> Term:
    raise QueryError(f"{node!r} needs a Window(...) around it.")


def _func(names: Scope, node: Func[Any], what: str) -> Term:
    return FuncTerm(node, tuple(resolve(names, argument, what) for argument in node.arguments))


def _unusable(names: Scope, node: Expression[Any], what: str) -> Term:
    raise QueryError(f"{node!r} cannot be used as {what}.")


def _other(names: Scope, node: Any, what: str) -> Term:
    if is_queryset(node):
        return SubqueryTerm(node._query.as_single_column(None))
    return NULL if node is None else ValueTerm(node, value_field(node))


def check_model(info: ModelInfo, node: FieldExpression[Any], what: str) -> None:
    """Raise `FieldError` unless the expression starts at this model."""
    owner = node._model._meta
    if owner.model is not info.model and not (owner.abstract and issubclass(info.model, owner.model)):
        raise FieldError(
            f"{node!r} is a field of {owner.name} and was given as {what} of a query of {info.name}. "
            f"Start from {info.name} and walk its relations."
        )


def _combined(names: Scope, node: Combined[Any], what: str) -> CombinedTerm:
    left, right = node.left, node.right
    left_term = resolve(names, left, what) if is_expression(left) else None
    right_term = resolve(names, right, what) if is_expression(right) else _beside(right, left_term)
    if left_term is None:
        left_term = _beside(left, right_term)
    for term in (left_term, right_term):
        if term.typed and term.field.family == "json":
            raise QueryError(
                f"{what}: {node!r} calculates with JSON. Make it a number: Cast(KT('data__a'), orm.Float())."
            )
        if term.typed and not term.field.supports_arithmetic:
            raise FieldError(
                f"{what}: {node!r} calculates with {type(term.field).__name__}, which is no number. Texts are joined "
                "by Concat(), and Cast() makes one type another."
            )
    return CombinedTerm(node.operator, left_term, right_term)


def _sliced(names: Scope, node: Sliced[Any], what: str) -> FuncTerm:
    term = resolve(names, node.expression, what)
    family = term.field.family if term.typed else "text"
    if family not in SLICES:
        raise NotSupportedError(
            f"{what}: {node!r} is a part of {type(term.field).__name__}; only texts and arrays have parts."
        )
    bounds = (node.start + 1,) if node.length is None else (node.start + 1, node.length)
    return FuncTerm(SLICES[family], (term, *(ValueTerm(bound, value_field(bound)) for bound in bounds)))


def is_expression(value: Any) -> bool:
    """Whether a value is calculated by the database: an expression, a SQLAlchemy clause, or a queryset."""
    return isinstance(value, (Expression, ClauseElement)) or is_queryset(value)


def _beside(value: Any, other: Term | None) -> ValueTerm:
    """A plain value beside a term: a number takes the term's kind where that loses nothing."""
    if other is not None and other.typed and other.field.family == "decimal" and type(value) is int:
        return ValueTerm(decimal.Decimal(value), DECIMAL)
    return ValueTerm(value, value_field(value))


def _aggregate(names: Scope, node: Aggregate[Any], what: str) -> AggregateTerm:
    expression, *others = node.arguments
    argument = RowTerm() if isinstance(expression, AllRows) else resolve(names, expression, what)
    simple = not others and node.filter is None and node.default is None and node.output_field is None
    if simple and type(argument) is PathTerm:
        shape = (type(node), node.options)
        found = argument.aggregates.get(shape)
        if found is None:
            found = argument.aggregates[shape] = AggregateTerm(node, argument, EVERYTHING, None)
        return found
    if argument.aggregate:
        raise FieldError(f"{node!r} is an aggregate of an aggregate: {expression!r} is one already.")
    condition = EVERYTHING if node.filter is None else resolve_condition(names, node.filter)
    default = None if node.default is None else resolve(names, node.default, what)
    rest = tuple(resolve(names, other, what) for other in others)
    return AggregateTerm(node, argument, condition, default, rest)


def _window(names: Scope, node: Window[Any], what: str) -> WindowTerm:
    function = node.expression
    inner: FuncTerm | AggregateTerm
    if isinstance(function, Aggregate):
        inner = _aggregate(names, function, what)
    else:
        inner = FuncTerm(function, tuple(resolve(names, argument, what) for argument in function.arguments))
    partition = tuple(resolve(names, term, what) for term in node.partition_by)
    return WindowTerm(inner, partition, resolve_ordering(names, node.order_by), node.frame)


def _case(names: Scope, node: Case[Any], what: str) -> CaseTerm:
    branches = tuple(
        (resolve_condition(names, branch.condition), resolve(names, branch.then, what)) for branch in node.branches
    )
    return CaseTerm(node, branches, resolve(names, node.default, what))


def resolve_conditions(
    names: Scope,
    args: Sequence[Any],
    lookups: Iterable[tuple[str, Any]],
    *,
    negated: bool = False,
    grouped: bool = False,
) -> Predicate:
    """The condition that ``filter(*args, **lookups)`` states (or ``exclude``, negated); `grouped`: of groups."""
    given = [*args, *lookups]
    for argument in args:
        check_condition(argument)
    if len(given) == 1 and not negated:
        found = _resolved(names, given[0], negated=False) or EVERYTHING
    else:
        found = _joined(names, "AND", given, negated, negated) or EVERYTHING
    return found if grouped else without_group_terms(found)


def resolve_condition(names: Scope, condition: Any) -> Predicate:
    """One condition, resolved. Raises `FieldError` or `QueryError` for what makes no sense."""
    check_condition(condition)
    return _resolved(names, condition, negated=False) or EVERYTHING


def _joined(names: Scope, connector: Any, children: Iterable[Any], negated: bool, below: bool) -> Predicate | None:
    """The children of a `Q`; None if they state nothing, which negated states nothing either.

    `below`: they stand under a NOT, where a relation that leads to many rows is asked about as a whole.
    """
    nodes = [_resolved(names, child, below) for child in children]
    stated = [node for node in nodes if node is not None]
    return junction(connector, stated, negated) if stated else None


def _resolved(names: Scope, condition: Any, negated: bool) -> Predicate | None:
    """A condition, or a keyword with its value; None for an empty `Q`."""
    if isinstance(condition, tuple):
        return _keyword(names, condition[0], condition[1], negated)
    if isinstance(condition, Q):
        below = negated or condition.negated
        return _joined(names, condition.connector, condition.children, condition.negated, below)
    if isinstance(condition, Exists):
        return NOTHING if condition.query.is_empty else ExistsQuery(condition.query.as_exists())
    if isinstance(condition, RelatedTo):
        return _linked(names, condition, negated)
    if isinstance(condition, RelatedIn):
        return _linked_in(names, condition, negated)
    if isinstance(condition, Comparison):
        expression = condition.expression
        if isinstance(expression, FieldExpression):
            check_model(names.info, expression, "a condition")
            if isinstance(expression, RelationExpression):
                spread = find_spread(names.info, "__".join((*expression._path, condition.lookup)))
                if spread is not None:
                    return _resolved(names, spread.condition(condition.value), negated)
            path = resolve_path(names.info, "__".join(expression._path), "a condition")
            return _path_match(names, path, (), lookup_for(path.field, condition.lookup), condition.value, negated)
        term = resolve(names, expression, "a condition")
        return _match(names, term, lookup_for(term.field, condition.lookup), condition.value)
    if isinstance(condition, Expression):
        return _truth(names, condition, negated)
    return Clause(condition)


def _linked(names: Scope, condition: RelatedTo, negated: bool) -> Predicate:
    """All the columns of a key have their values: of the same row, if there may be many."""
    links = condition.links
    path = links[0][0]
    if not (negated and path.many):
        return junction(
            "AND", [_match(names, names.path_term(p), lookup_for(p.field, "exact"), value) for p, value in links]
        )
    count = path.first_many()
    hops = path.relations[:count]
    inner_names = Scope(hops[-1].target._meta, own_scope=True)
    found: list[Predicate] = []
    outside: tuple[Term, ...] = ()
    for linked, value in links:
        term, exact = inner_names.path_term(linked.after(count)), lookup_for(linked.field, "exact")
        known, reads = _from_outside(names, term, exact, value)
        found.append(_match(inner_names, term, exact, known))
        outside += reads
    return RelationPredicate(RowExists(hops, junction("AND", found), names.joined_here(hops), outside))


def _linked_in(names: Scope, condition: RelatedIn, negated: bool) -> Predicate:
    """A key of several columns is one that a query selects."""
    paths, query = condition.paths, condition.query
    if query is not None and not query.is_empty:
        query = one_row(query, condition.lookup)
    else:
        query = None
    if not (negated and paths[0].many):
        terms = tuple(names.path_term(path) for path in paths)
        return constant(False, *terms) if query is None else InQuery(terms, query)
    count = paths[0].first_many()
    hops = paths[0].relations[:count]
    if query is None:
        return constant(False, *local_terms(hops, names.joined_here(hops)))
    inner_names = Scope(hops[-1].target._meta, own_scope=True)
    inner = InQuery(tuple(inner_names.path_term(path.after(count)) for path in paths), query, outside=True)
    return RelationPredicate(RowExists(hops, inner, names.joined_here(hops), ()))


def _truth(names: Scope, expression: Expression[Any], negated: bool) -> Predicate:
    """An expression that is a condition by itself: that it is true."""
    field = resolve(Scope(names.info, names.annotations), expression, "a condition").field
    if field.family != "boolean":
        raise QueryError(
            f"{names.info.name}: {expression!r} is of type {type(field).__name__} and no condition by itself: "
            "compare it, or give an output_field=orm.Boolean()."
        )
    found = _resolved(names, Comparison(expression, "exact", True), negated)
    assert found is not None
    return found


def _keyword(names: Scope, name: str, value: Any, negated: bool) -> Predicate:
    info = names.info
    if len(info.pk_fields) > 1 and name in ("pk", "pk__exact", "pk__in"):
        return _composite(names, name, value)
    if names.annotations:
        first, _, rest = name.partition("__")
        term = names.annotations.get(first)
        if term is not None:
            steps, lookup = split_lookup(term.field, rest.split("__") if rest else ())
            return _match(names, with_steps(term, steps), lookup, value)
    known: tuple[Path, Steps, Lookup] | Spread | None = info.lookups.get(name)
    if known is None:
        known = find_spread(info, name)
        if known is None:
            path, parts = split_path(info, name, "a lookup")
            known = path, *split_lookup(path.field, parts)
        if len(info.lookups) >= MAX_CACHED:
            info.lookups.clear()
        info.lookups[name] = known
    if isinstance(known, Spread):
        return _resolved(names, known.condition(value), negated) or EVERYTHING
    return _path_match(names, *known, value, negated)


def _composite(names: Scope, name: str, value: Any) -> Predicate:
    """A composite key against one tuple, or one of several."""
    info = names.info
    paths = tuple(resolve_path(info, field.attname, "a lookup") for field in info.pk_fields)
    if is_queryset(value):
        query = value._query.selecting_key(f"{info.name}.pk", info, info.pk_fields)
        return _linked_in(names, RelatedIn(paths, query, "in" if name == "pk__in" else "exact"), False)
    keys = list(value) if name == "pk__in" else [value]
    if not keys:
        return constant(False, *map(names.path_term, paths))
    keys = [compared_parts(info, f"{info.name}.pk", info.pk_fields, key) or key for key in keys]
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


def _path_match(names: Scope, path: Path, steps: Steps, lookup: Lookup, value: Any, negated: bool) -> Predicate:
    if negated and path.many:
        return _exists(names, path, steps, lookup, value)
    return _match(names, with_steps(names.path_term(path), steps), lookup, value)


def _exists(names: Scope, path: Path, steps: Steps, lookup: Lookup, value: Any) -> Predicate:
    """What is excluded over a relation that leads to many rows: that one of them matches."""
    count = path.first_many()
    hops = path.relations[:count]
    # Rows that are not there are NULL too: then the relation is joined inside, from the row that may have none.
    outer = value is None or (lookup.name == "isnull" and value is True)
    if outer:
        start = hops[-2].target._meta if count > 1 else names.info
        inner_path = path.after(count - 1)
    else:
        start = hops[-1].target._meta
        inner_path = path.after(count)
    inner_names = Scope(start, own_scope=True)
    term = with_steps(inner_names.path_term(inner_path), steps)
    value, outside = _from_outside(names, term, lookup, value)
    if lookup.name == "in" and is_queryset(value):
        inner = in_query(term, value._query, outside=True)
    else:
        inner = _match(inner_names, term, lookup, value)
    if lookup.name == "exact" and isinstance(value, Outside) and not isinstance(value.term.term, PathTerm):
        inner = NullAsFalse(inner)
    if is_never(inner):
        return constant(False, *local_terms(hops, names.joined_here(hops)))
    # Asked last: what the value reads may have joined the relation, too.
    joined = names.joined_here(hops)
    return RelationPredicate(RelatedNull(hops, inner) if outer else RowExists(hops, inner, joined, outside))


class Outside(Expression[Any]):
    """What a value inside of an EXISTS is in the query around it, where it was written."""

    def __init__(self, term: Term) -> None:
        self.term = OuterTerm(term)


def _from_outside(names: Scope, term: Term, lookup: Lookup, value: Any) -> tuple[Any, tuple[Term, ...]]:
    """A value for a condition inside of an EXISTS, where its names are those outside; and what it reads there."""
    if is_queryset(value) and lookup.takes_expression:
        return Outside(SubqueryTerm(one_row(value._query, lookup.name).as_single_column(term.field))), ()
    if isinstance(value, (list, tuple, set, frozenset)) and any(isinstance(item, Expression) for item in value):
        found = [_from_outside(names, term, lookup, v) if isinstance(v, Expression) else (v, ()) for v in value]
        return [item for item, _ in found], tuple(leaf for _, leaves in found for leaf in leaves)
    if isinstance(value, (Expression, ClauseElement)):
        read = resolve(names, value, f"a value for {lookup.name}")
        return Outside(read), read.leaves()
    return value, ()


def _match(names: Scope, term: Term, lookup: Lookup, value: Any) -> Predicate:
    field = term.field
    if type(value) in PLAIN_VALUES and type(term) is PathTerm:
        return prepared(term, lookup, value)
    name = lookup.name
    if name == "in":
        query = getattr(value, "_query", None)
        if query is not None:
            return in_query(term, query)
    spread = _spread(names, term, name, value)
    if spread is not None:
        return spread
    if lookup.takes_expression and getattr(value, "_query", None) is not None:
        return TermPredicate(term, lookup, SubqueryTerm(one_row(value._query, name).as_single_column(field)))
    if isinstance(value, (Expression, ClauseElement)) and not hasattr(value, "_meta"):
        other = resolve(names, value, f"a value for {name}")
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
        found = within_year(term, term.function, name, value)
        if found is not None:
            return found
    return prepared(term, lookup, value)


def _spread(names: Scope, term: Term, name: str, value: Any) -> Predicate | None:
    """A list or a range with expressions in it, as one condition for each; None if there is none in it."""
    if name not in ("in", "range") or not isinstance(value, (list, tuple, set, frozenset)):
        return None
    if PLAIN_VALUES.issuperset(map(type, value)):
        return None
    if not any(isinstance(item, Expression) and not hasattr(item, "_meta") for item in value):
        return None
    if name == "in":
        exact = lookup_for(term.field, "exact")
        return junction("OR", [_match(names, term, exact, item) for item in value if item is not None])
    low, high = value
    bounds = (("gte", low), ("lte", high))
    return junction("AND", [_match(names, term, lookup_for(term.field, bound), item) for bound, item in bounds])


def resolve_ordering(names: Scope, terms: Iterable[Any]) -> tuple[OrderTerm, ...]:
    """The terms of ``order_by(...)`` or ``Meta.ordering``. Raises `FieldError` or `QueryError`."""
    found: list[OrderTerm] = []
    for term in terms:
        if isinstance(term, str):
            found += named_ordering(names, term)
        elif isinstance(term, Ordering):
            resolved = resolve(names, term.expression, "an ordering")
            found.append(OrderTerm(resolved, term.descending, term.nulls))
        elif isinstance(term, Expression):
            found.append(OrderTerm(resolve(names, term, "an ordering"), False))
        elif isinstance(term, ClauseElement):
            found.append(ClauseOrder(resolve(names, term, "an ordering"), False))
        else:
            raise QueryError(
                f"order_by() takes field names, expressions and SQLAlchemy clauses, got {type(term).__name__}."
            )
    return tuple(found)


def default_ordering(info: ModelInfo) -> tuple[OrderTerm, ...]:
    """The model's `Meta.ordering`, resolved once."""
    if info.default_order is None:
        info.default_order = resolve_ordering(Scope(info), info.options.ordering)
    return info.default_order


def primary_key_ordering(info: ModelInfo) -> tuple[OrderTerm, ...]:
    """By primary key; resolved once."""
    if info.pk_order is None:
        info.pk_order = resolve_ordering(Scope(info), [field.attname for field in info.pk_fields])
    return info.pk_order


# The first that an expression is an instance of.
RESOLVERS: tuple[tuple[type, Resolver], ...] = (
    (OuterRef, lambda names, node, what: OuterRefTerm(node.path, node.depth, node.key_part)),
    (F, lambda names, node, what: names.term(node.path, what)),
    (FieldExpression, _field),
    (Combined, _combined),
    (Outside, lambda names, node, what: node.term),
    (Sliced, _sliced),
    (Value, _value),
    (CTEColumn, lambda names, node, what: CTETerm(node.cte, node.name)),
    (Window, _window),
    (WindowFunction, _window_function),
    (Aggregate, _aggregate),
    (Func, _func),
    (Case, _case),
    (Subquery, lambda names, node, what: SubqueryTerm(node.query.as_single_column(None))),
    (Condition, lambda names, node, what: ConditionTerm(resolve_condition(names, node))),
    (Expression, _unusable),
    (ClauseElement, lambda names, node, what: ClauseTerm(node)),
)
