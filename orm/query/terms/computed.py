"""Terms computed from others: arithmetic, functions, CASE, and conditions as values."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.sql.elements import Grouping

from orm.database.sql.datetimes import converted_to
from orm.database.sql.functions import DecimalDividend, SQLFunction
from orm.database.types.column_types import ComputedResult
from orm.exceptions import QueryError
from orm.fields import Field
from orm.fields.values import BOOLEAN
from orm.functions.result_types import common_field, number_field
from orm.query.terms.base import NULL, PathTerm, ResolvedCondition, Term, lookup_key
from orm.query.terms.date_arithmetic import moment_arithmetic, moment_field

if TYPE_CHECKING:
    from orm.functions.base import Func
    from orm.functions.conditional import Case
    from orm.query.rendering import Rendering

ARITHMETIC: dict[str, Callable[[Any, Any], ColumnElement[Any]]] = {
    "&": lambda left, right: SQLFunction("signed", left.bitwise_and(right)),
    "|": lambda left, right: SQLFunction("signed", left.bitwise_or(right)),
    # SQLite has no operator for XOR.
    "^": lambda left, right: (
        SQLFunction("signed", left.bitwise_or(right)) - SQLFunction("signed", left.bitwise_and(right))
    ),
    "<<": lambda left, right: SQLFunction("signed", left.bitwise_lshift(sqlalchemy.cast(right, sqlalchemy.Integer()))),
    ">>": lambda left, right: SQLFunction("shifted_right", left, sqlalchemy.cast(right, sqlalchemy.Integer())),
    "**": sqlalchemy.func.power,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "%": operator.mod,
    # As in Django, SQL's division, which most databases do in integers if both operands are.
    "/": lambda left, right: left.op("/", precedence=8)(right),
}

# SQLite has no decimals: it would calculate in integers and floats.
DECIMAL_ARITHMETIC = {
    "+": "decimal_plus",
    "-": "decimal_minus",
    "*": "decimal_times",
    "/": "decimal_over",
    "%": "decimal_rest",
}


class CombinedTerm(Term):
    """Arithmetic on two terms."""

    def __init__(self, symbol: str, left: Term, right: Term) -> None:
        self.symbol = symbol
        self.left = left
        self.right = right
        self.key = (symbol, left.key, right.key)
        self.values = (*left.values, *right.values)
        fields = [number_field(term.field) for term in (left, right) if term.typed] or [number_field(left.field)]
        moment = moment_field(symbol, *fields) if len(fields) == 2 else None
        self.is_moment = moment is not None
        self.field = moment or (_result_field(*fields) if len(fields) == 2 else fields[0])
        self.nullable = left.nullable or right.nullable
        self.aggregate = left.aggregate or right.aggregate
        self.window = left.window or right.window

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        left = self.left.render(rendering, required=required)
        right = self.right.render(rendering, required=required)
        if self.is_moment:
            result = moment_arithmetic(self.symbol, self.left.field, self.right.field, left, right)
            return sqlalchemy.type_coerce(result, self.field.comparison_type())
        if self.symbol == "/" and self.field.family == "decimal":
            left = DecimalDividend(left)
        if self.field.family == "decimal" and self.symbol in DECIMAL_ARITHMETIC:
            combined: ColumnElement[Any] = SQLFunction(DECIMAL_ARITHMETIC[self.symbol], left, right)
        else:
            combined = ARITHMETIC[self.symbol](left, right)
        # Most databases return a power of integers as a float, and MySQL returns their sum as a decimal.
        type_ = self.field.result_type() if self.field.family in ("integer", "float") else self.field.comparison_type()
        return sqlalchemy.type_coerce(combined, type_).self_group()

    def columns(self) -> tuple[PathTerm, ...]:
        return (*self.left.columns(), *self.right.columns())

    def leaves(self) -> tuple[Term, ...]:
        return (*self.left.leaves(), *self.right.leaves())


def _result_field(left: Field[Any], right: Field[Any]) -> Field[Any]:
    return right if right.arithmetic_rank > left.arithmetic_rank else left


class FuncTerm(Term):
    """A function call."""

    def __init__(self, function: Func[Any], arguments: tuple[Term, ...]) -> None:
        self.function = function
        self.arguments = arguments
        self.fields = tuple(known_field(term) for term in arguments)
        self.field = function.result(*(field for field in self.fields if field is not None))
        shape = (type(function), function.function, function.options, lookup_key(self.field))
        self.key = (shape, *(term.key for term in arguments))
        self.values = tuple(value for term in arguments for value in term.values)
        self.aggregate = any(term.aggregate for term in arguments)
        self.window = any(term.window for term in arguments)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return sqlalchemy.type_coerce(self.call(rendering), self.field.result_type())

    def call(self, rendering: Rendering) -> ColumnElement[Any]:
        """The call, without its type."""
        return self.function.build_from(self.fields, *(term.render(rendering) for term in self.arguments))

    def leaves(self) -> tuple[Term, ...]:
        return tuple(leaf for term in self.arguments for leaf in term.leaves())


def known_field(term: Term) -> Field[Any] | None:
    """The field of an argument; None for NULL, and for an `OuterRef`, whose field is not known yet."""
    return None if term is NULL or not term.typed else term.field


class CaseTerm(Term):
    """A CASE expression."""

    def __init__(self, case: Case[Any], branches: tuple[tuple[ResolvedCondition, Term], ...], default: Term) -> None:
        self.branches = branches
        self.default = default
        output_field = case.output_field
        outcomes = [*(term for _, term in branches), default]
        known = [field for field in map(known_field, outcomes) if field is not None]
        if output_field is None and not known:
            raise QueryError("A Case() whose every outcome is None needs output_field=.")
        self.field = output_field or common_field(case, known)
        self.key = ("case", *((when.key, then.key) for when, then in branches), default.key, lookup_key(self.field))
        values: list[Any] = []
        for when, then in branches:
            values += [*when.values, *then.values]
        self.values = (*values, *default.values)
        parts: list[Term | ResolvedCondition] = [*outcomes, *(when for when, _ in branches)]
        self.aggregate = any(part.aggregate for part in parts)
        self.window = any(part.window for part in parts)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        type_ = self.field.comparison_type()
        pairs = [
            (when.render(rendering, required=False, negated=False), converted_to(type_, then.render(rendering)))
            for when, then in self.branches
        ]
        default = converted_to(type_, self.default.render(rendering))
        result = sqlalchemy.case(*pairs, else_=default) if pairs else default
        return sqlalchemy.type_coerce(result, self.field.result_type())

    def leaves(self) -> tuple[Term, ...]:
        leaves = [leaf for when, then in self.branches for leaf in (*when.leaves(), *then.leaves())]
        return (*leaves, *self.default.leaves())


class ConditionTerm(Term):
    """A condition as a boolean value, which may be NULL."""

    def __init__(self, condition: ResolvedCondition) -> None:
        self.condition = condition
        self.key = ("condition", condition.key)
        self.values = condition.values
        self.field = BOOLEAN
        self.aggregate = condition.aggregate
        self.window = condition.window

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        condition = self.condition.render(rendering, required=False, negated=False)
        return sqlalchemy.type_coerce(Grouping(condition), ComputedResult("boolean"))

    def leaves(self) -> tuple[Term, ...]:
        return self.condition.leaves()
