"""Resolves expressions against a model: names become terms."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import ClauseElement

from orm.exceptions import FieldError, QueryError
from orm.expressions import Combined, Expression, F, FieldExpression, Value
from orm.planning.names import Names
from orm.planning.paths import resolve_path
from orm.planning.terms import DECIMAL, ClauseTerm, CombinedTerm, Term, ValueTerm, value_field

if TYPE_CHECKING:
    from orm.meta import ModelInfo


def resolve(names: Names, node: Any, what: str) -> Term:
    """Resolve an expression (or a plain value) against a model.

    Raises `FieldError` for a name that is no field or a field of another model.
    """
    if isinstance(node, F):
        return names.term(node.path, what)
    if isinstance(node, FieldExpression):
        check_model(names.info, node, what)
        return names.path_term(resolve_path(names.info, "__".join(node._path), what))
    if isinstance(node, Combined):
        return _combined(names, node, what)
    if isinstance(node, Value):
        return ValueTerm(node.value, value_field(node.value))
    if isinstance(node, Expression):
        raise QueryError(f"{node!r} cannot be used as {what}.")
    if isinstance(node, ClauseElement):
        return ClauseTerm(node)
    return ValueTerm(node, value_field(node))


def check_model(info: ModelInfo, node: FieldExpression[Any], what: str) -> None:
    """Raise `FieldError` unless the expression starts at this model."""
    owner = node._model._meta
    if owner.model is not info.model and not (owner.abstract and issubclass(info.model, owner.model)):
        raise FieldError(
            f"{node!r} is a field of {owner.name} and was given as {what} of a query of {info.name}. "
            f"Start from {info.name} and walk its relations."
        )


def _combined(names: Names, node: Combined[Any], what: str) -> CombinedTerm:
    left, right = node.left, node.right
    plain_left = not isinstance(left, (Expression, ClauseElement))
    left_term = None if plain_left else resolve(names, left, what)
    right_term = None
    if isinstance(right, (Expression, ClauseElement)):
        right_term = resolve(names, right, what)
    else:
        right_term = _beside(right, left_term)
    if left_term is None:
        left_term = _beside(left, right_term)
    return CombinedTerm(node.operator, left_term, right_term)


def _beside(value: Any, other: Term | None) -> ValueTerm:
    """A plain value beside a term: a number takes the term's kind where that loses nothing."""
    if other is not None and other.field.kind == "decimal" and type(value) is int:
        return ValueTerm(decimal.Decimal(value), DECIMAL)
    return ValueTerm(value, value_field(value))
