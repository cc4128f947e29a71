"""Conditional expressions: `Case` and `When`."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from orm.exceptions import QueryError
from orm.expressions.base import Condition, ConditionLike, Expression, F, Logical, Operand, Q
from orm.expressions.subqueries import Subquery, is_queryset
from orm.fields import Field
from orm.functions.base import Value, check_output_field

T = TypeVar("T")


class When:
    """One branch of a `Case`: a condition, as for `filter()`, and the result if it holds."""

    def __init__(self, condition: ConditionLike | type[Any] | None = None, /, *, then: Operand, **lookups: Any) -> None:
        if condition is None and not lookups:
            raise QueryError("When() needs a condition: lookups, or a Q.")
        self.condition: Condition = Q(*(() if condition is None else (condition,)), **lookups)
        self.then = as_expression(then)


class Case(Expression[T]):
    """The result of the first branch whose condition holds, else `default`.

    Case(When(views__gt=100, then=Value("hot")), default=Value("cold"))
    """

    @overload
    def __init__(self, *branches: When, default: Operand = ..., output_field: Field[T]) -> None: ...
    @overload
    def __init__(self: Case[Any], *branches: When, default: Operand = ..., output_field: None = ...) -> None: ...
    def __init__(self, *branches: When, default: Operand = None, output_field: Field[Any] | None = None) -> None:
        for branch in branches:
            if not isinstance(branch, When):
                raise QueryError(f"Case() takes When(...), got {type(branch).__name__}.")
        self.branches = branches
        self.default = as_expression(default)
        if output_field is not None:
            check_output_field(output_field)
        self.output_field = output_field

    def __repr__(self) -> str:
        return f"Case({len(self.branches)} branches)"


def as_expression(operand: Operand) -> Logical:
    """The operand as an expression: a string names a field, a queryset is a subquery, any other value a `Value`."""
    if isinstance(operand, Logical):
        return operand
    if is_queryset(operand):
        return Subquery(operand)
    return F(operand) if isinstance(operand, str) else Value(operand)
