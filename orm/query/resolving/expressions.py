"""Expressions resolved to terms: one function for each class of expression."""

from __future__ import annotations

import copy
import decimal
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import ClauseElement

from orm.exceptions import FieldError, NotSupportedError, QueryError
from orm.expressions.base import Combined, Condition, Expression, F, FieldExpression, Logical, Negated, Sliced
from orm.expressions.ctes import CTEColumn
from orm.expressions.subqueries import OuterRef, Subquery, is_queryset
from orm.fields import Field
from orm.fields.values import DECIMAL, value_field
from orm.functions import Substr
from orm.functions.aggregates import Aggregate, AllRows, Count
from orm.functions.arrays import ArraySlice
from orm.functions.base import ExpressionWrapper, Func, Value
from orm.functions.conditional import Case
from orm.functions.windows import Window, WindowFunction
from orm.query.conditions.base import EVERYTHING
from orm.query.paths import MAX_CACHED, resolve_path
from orm.query.resolving.composite_keys import key_parts
from orm.query.terms.aggregates import AggregateTerm, WindowTerm
from orm.query.terms.base import NULL, ClauseTerm, NullTerm, PathTerm, RowTerm, Term, ValueTerm
from orm.query.terms.computed import CaseTerm, CombinedTerm, ConditionTerm, FuncTerm, NegatedTerm
from orm.query.terms.subqueries import CTETerm, OuterTerm, SubqueryTerm

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.query.query import Query
    from orm.query.resolving.resolver import Resolver

ResolveFunction = Callable[["Resolver", Any, str], Term]

SLICES = {"text": Substr(F("text"), 1), "array": ArraySlice(F("array"), 1)}


class OuterExpression(Expression[Any]):
    """A term of the outer query, as a value in a condition inside of an EXISTS."""

    def __init__(self, term: Term) -> None:
        self.term = OuterTerm(term)


@lru_cache(MAX_CACHED)
def resolve_function(expression_class: type) -> ResolveFunction:
    """The function that resolves instances of a class; of a class that is no expression, plain values."""
    return next((function for base, function in RESOLVE_FUNCTIONS if issubclass(expression_class, base)), _plain_value)


def is_expression(value: Any) -> bool:
    """Whether the database computes a value: an expression, a condition, a SQLAlchemy clause or a queryset."""
    return isinstance(value, (Logical, ClauseElement)) or is_queryset(value)


def check_model(info: ModelInfo, node: FieldExpression[Any], what: str) -> None:
    """Raise `FieldError` unless the expression starts at this model."""
    owner = node._model._meta
    if owner.concrete is not info.concrete and not issubclass(info.model, owner.model):
        raise FieldError(
            f"{node!r} is a field of {owner.name} and was given as {what} of a query of {info.name}. "
            f"Start from {info.name} and walk its relations."
        )


def resolve_subquery(resolver: Resolver, query: Query, compared: Field[Any] | None) -> SubqueryTerm:
    """The term of a query that stands for one value, which is compared with the field `compared`."""
    return SubqueryTerm(query.as_single_column(compared), resolver.correlation(query))


def _plain_value(resolver: Resolver, node: Any, what: str) -> Term:
    if is_queryset(node):
        return resolve_subquery(resolver, node._query, None)
    return NULL if node is None else ValueTerm(node, value_field(node))


def _field(resolver: Resolver, node: FieldExpression[Any], what: str) -> Term:
    check_model(resolver.info, node, what)
    return resolver.column(resolve_path(resolver.info, "__".join(node._path), what))


def _value(resolver: Resolver, node: Value[Any], what: str) -> Term:
    field = node.output_field
    if node.value is None:
        return NULL if field is None else NullTerm(field)
    if field is None:
        return ValueTerm(node.value, value_field(node.value))
    return ValueTerm(field.to_python(node.value), field)


def converted_value(node: Any, field: Field[Any]) -> Any:
    """The value of a plain value or `Value`, converted by the field beside it if that is stored as another one.

    None if it is no such value or beside no such field, so that it is resolved by itself.
    """
    if field.underlying_field.storage_field is None:
        return None
    if type(node) is Value:
        return None if node.output_field is not None or node.value is None else field.to_python(node.value)
    return None if node is None or is_expression(node) else field.to_python(node)


def _operand_beside(resolver: Resolver, node: Any, field: Field[Any] | None, what: str) -> Term:
    value = None if field is None else converted_value(node, field)
    return resolver.expression(node, what) if field is None or value is None else ValueTerm(value, field)


def _is_converted(node: Any, field: Field[Any]) -> bool:
    """Whether this is a `Value` without `output_field`, whose type tells nothing: a text, a list or a dict."""
    if type(node) is not Value or node.output_field is not None:
        return False
    return isinstance(node.value, (list, dict)) or (isinstance(node.value, str) and field.family != "text")


def as_assigned(node: Any, field: Field[Any]) -> Any:
    """The expression as it is assigned to `field`, which converts the texts, lists and dicts among its outcomes."""
    if isinstance(node, Case):
        outcomes = [*(branch.then for branch in node.branches), node.default]
    else:
        outcomes = [*node.arguments] if isinstance(node, Func) and node.mixes_arguments else []
    if not any(_is_converted(outcome, field) for outcome in outcomes) or node.output_field is not None:
        return node
    node = copy.copy(node)
    node.output_field = field
    return node


def _unless_value(resolver: Resolver, node: Any, what: str) -> Term | None:
    return resolver.expression(node, what) if is_expression(node) and type(node) is not Value else None


def _mixed(
    resolver: Resolver, operands: list[tuple[Any, Term | None]], output_field: Field[Any] | None, what: str
) -> tuple[Term, ...]:
    """The terms of operands that are values of one field: `output_field`, or that of a term among them.

    The operands that are plain values have no term yet.
    """
    if output_field is None:
        fields = (term.field for _, term in operands if term is not None and term.typed)
        stored = next((field for field in fields if field.underlying_field.storage_field is not None), None)
        return tuple(term or _operand_beside(resolver, node, stored, what) for node, term in operands)
    terms: list[Term] = []
    for node, term in operands:
        if term is None and _is_converted(node, output_field):
            term = ValueTerm(output_field.to_python(node.value), output_field)
        terms.append(term or _operand_beside(resolver, node, output_field, what))
    return tuple(terms)


def _wrapped(resolver: Resolver, node: ExpressionWrapper[Any], what: str) -> Term:
    (argument,) = node.arguments
    if type(argument) is Value and argument.output_field is None:
        return _value(resolver, Value(argument.value, output_field=node.output_field), what)
    return _func(resolver, node, what)


def _func(resolver: Resolver, node: Func[Any], what: str) -> FuncTerm:
    if node.mixes_arguments:
        operands = [(argument, _unless_value(resolver, argument, what)) for argument in node.arguments]
        return FuncTerm(node, _mixed(resolver, operands, node.output_field, what))
    return FuncTerm(node, tuple(resolver.expression(argument, what) for argument in node.arguments))


def _combined(resolver: Resolver, node: Combined[Any], what: str) -> CombinedTerm:
    left, right = node.left, node.right
    left_term = resolver.expression(left, what) if is_expression(left) else None
    right_term = resolver.expression(right, what) if is_expression(right) else _operand(right, left_term)
    if left_term is None:
        left_term = _operand(left, right_term)
    if left_term is NULL and right_term.typed:
        left_term = NullTerm(right_term.field)
    if right_term is NULL and left_term.typed:
        right_term = NullTerm(left_term.field)
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


def _operand(value: Any, other: Term | None) -> Term:
    """The plain value on one side of an operator: an integer becomes a decimal if the other side is one."""
    if value is None:
        return NULL
    if other is not None and other.typed:
        if other.field.family == "decimal" and type(value) is int:
            return ValueTerm(decimal.Decimal(value), DECIMAL)
        if type(value) is other.field.exact_type and other.field.storage_field is not None:
            return ValueTerm(value, other.field)
    return ValueTerm(value, value_field(value))


def _sliced(resolver: Resolver, node: Sliced[Any], what: str) -> FuncTerm:
    term = resolver.expression(node.expression, what)
    family = term.field.family if term.typed else "text"
    if family not in SLICES:
        raise NotSupportedError(
            f"{what}: {node!r} is a part of {type(term.field).__name__}; only texts and arrays have parts."
        )
    bounds = (node.start + 1,) if node.length is None else (node.start + 1, node.length)
    return FuncTerm(SLICES[family], (term, *(ValueTerm(bound, value_field(bound)) for bound in bounds)))


def _aggregate(resolver: Resolver, node: Aggregate[Any], what: str) -> AggregateTerm:
    expression, *others = node.arguments
    if isinstance(node, Count) and type(expression) in (F, FieldExpression):
        # As in Django, a key of several columns is counted by the first.
        expression = (key_parts(resolver.info, expression) or [expression])[0]
    argument = RowTerm() if isinstance(expression, AllRows) else resolver.expression(expression, what)
    simple = not others and node.filter is None and node.default is None and node.output_field is None
    if simple and type(argument) is PathTerm:
        shape = (type(node), node.options)
        known = argument.aggregates.get(shape)
        if known is None:
            known = argument.aggregates[shape] = AggregateTerm(node, argument, EVERYTHING, None)
        return known
    if argument.aggregate:
        raise FieldError(f"{node!r} is an aggregate of an aggregate: {expression!r} is one already.")
    condition = EVERYTHING if node.filter is None else resolver.condition(node.filter)
    default = None
    if node.default is not None:
        result = node.result(argument.field) if argument.typed else None
        default = _operand_beside(resolver, node.default, result, what)
    rest = tuple(resolver.expression(other, what) for other in others)
    return AggregateTerm(node, argument, condition, default, rest)


def _window(resolver: Resolver, node: Window[Any], what: str) -> Term:
    function = node.expression
    call = _aggregate(resolver, function, what) if isinstance(function, Aggregate) else _func(resolver, function, what)
    partition = tuple(resolver.expression(term, what) for term in node.partition_by)
    return resolver.window(WindowTerm(call, partition, resolver.order_by(node.order_by), node.frame))


def _window_function(resolver: Resolver, node: WindowFunction[Any], what: str) -> Term:
    raise QueryError(f"{node!r} needs a Window(...) around it.")


def _case(resolver: Resolver, node: Case[Any], what: str) -> CaseTerm:
    conditions = []
    outcomes = []
    for branch in node.branches:
        conditions.append(resolver.condition(branch.condition))
        outcomes.append((branch.then, _unless_value(resolver, branch.then, what)))
    outcomes.append((node.default, _unless_value(resolver, node.default, what)))
    *results, default = _mixed(resolver, outcomes, node.output_field, what)
    return CaseTerm(node, tuple(zip(conditions, results, strict=True)), default)


def _negated(resolver: Resolver, node: Negated, what: str) -> NegatedTerm:
    term = resolver.expression(node.expression, what)
    if term.typed and term.field.family != "boolean":
        raise FieldError(f"{what}: {node!r} negates {type(term.field).__name__}, which is not true or false.")
    return NegatedTerm(term)


def _unusable(resolver: Resolver, node: Expression[Any], what: str) -> Term:
    raise QueryError(f"{node!r} cannot be used as {what}.")


# By the first class that an expression is an instance of.
RESOLVE_FUNCTIONS: tuple[tuple[type, ResolveFunction], ...] = (
    (OuterRef, lambda resolver, node, what: resolver.outer_reference(node.path, node.depth, node.key_part)),
    (F, lambda resolver, node, what: resolver.name(node.path, what)),
    (FieldExpression, _field),
    (Combined, _combined),
    (OuterExpression, lambda resolver, node, what: node.term),
    (Sliced, _sliced),
    (Negated, _negated),
    (Value, _value),
    (CTEColumn, lambda resolver, node, what: CTETerm(node.cte, node.name)),
    (Window, _window),
    (WindowFunction, _window_function),
    (Aggregate, _aggregate),
    (ExpressionWrapper, _wrapped),
    (Func, _func),
    (Case, _case),
    (Subquery, lambda resolver, node, what: resolve_subquery(resolver, node.query, None)),
    (Condition, lambda resolver, node, what: ConditionTerm(resolver.condition(node))),
    (Expression, _unusable),
    (ClauseElement, lambda resolver, node, what: ClauseTerm(node)),
)
