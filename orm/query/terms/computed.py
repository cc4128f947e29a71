"""Terms computed from others: arithmetic, functions, CASE, and conditions as values."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.sql import operators as sqlalchemy_operators
from sqlalchemy.sql.elements import Grouping, UnaryExpression

from orm.database.sql.datetimes import converted_to
from orm.database.sql.functions import DecimalDividend, SQLFunction
from orm.database.types.column_types import ComputedResult
from orm.exceptions import QueryError
from orm.fields import Field
from orm.fields.values import BOOLEAN
from orm.functions.result_types import common_field, number_field
from orm.query.terms.base import NULL, ResolvedCondition, Term, lookup_key
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
        if self.aggregate:
            left, right = rendering.render_once(self.left), rendering.render_once(self.right)
        else:
            left = self.left.render(rendering, required=required)
            right = self.right.render(rendering, required=required)
        if self.is_moment:
            result = moment_arithmetic(self.symbol, self.left.field, self.right.field, left, right)
            return sqlalchemy.type_coerce(result, self.field.comparison_type())
        if self.symbol == "/" and self.field.family == "decimal":
            left = DecimalDividend(left)
        if self.field.family == "decimal" and self.symbol in DECIMAL_ARITHMETIC:
            combined: ColumnElement[Any] = SQLFunction(DECIMAL_ARITHMETIC[self.symbol], left, right)
        elif self.field.family == "duration" and self.symbol == "*":
            combined = left.op("*", precedence=8)(right)  # SQLAlchemy 2.1 would warn that moments are not multiplied.
        else:
            combined = ARITHMETIC[self.symbol](left, right)
        # Most databases return a power of integers as a float, and MySQL returns their sum as a decimal.
        type_ = self.field.result_type() if self.field.family in ("integer", "float") else self.field.comparison_type()
        return sqlalchemy.type_coerce(combined, type_).self_group()

    def operands(self) -> tuple[Term, ...]:
        return (self.left, self.right)

    def leaves(self) -> tuple[Term, ...]:
        return (*self.left.leaves(), *self.right.leaves())


def _result_field(left: Field[Any], right: Field[Any]) -> Field[Any]:
    return right if right.arithmetic_rank > left.arithmetic_rank else left


def checked_sql(function: Func[Any], sql: Any) -> ColumnElement[Any]:
    """The SQL that a function built. Raises `QueryError` for anything else, which the plan would keep as a constant."""
    if isinstance(sql, ColumnElement):
        return sql
    raise QueryError(
        f"{function!r} is no SQL: {type(function).__name__}.build() returned {type(sql).__name__} instead of a "
        "SQLAlchemy expression."
    )


class FuncTerm(Term):
    """A function call."""

    def __init__(self, function: Func[Any], arguments: tuple[Term, ...]) -> None:
        self.function = function
        self.arguments = arguments
        self.fields = tuple(known_field(term) for term in arguments)
        self.field = function.result(*(field for field in self.fields if field is not None))
        if not isinstance(self.field, Field):
            raise QueryError(f"The type of {function!r} is a field, such as orm.Integer(), not {self.field!r}.")
        shape = (type(function), function.function, function.options, lookup_key(self.field))
        self.key = (shape, *(term.key for term in arguments))
        self.values = tuple(value for term in arguments for value in term.values)
        self.aggregate = any(term.aggregate for term in arguments)
        self.window = any(term.window for term in arguments)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return sqlalchemy.type_coerce(self.call(rendering), self.field.result_type())

    def call(self, rendering: Rendering) -> ColumnElement[Any]:
        """The call, without its type."""
        arguments = [rendering.render_once(argument) for argument in self.arguments]
        if self.function.mixes_arguments and self.field.is_temporal:
            arguments = [converted_to(self.field.comparison_type(), argument) for argument in arguments]
        return checked_sql(self.function, self.function.build_from(self.fields, *arguments))

    def operands(self) -> tuple[Term, ...]:
        return self.arguments

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
            (when.render(rendering, required=False, negated=False), converted_to(type_, rendering.render_once(then)))
            for when, then in self.branches
        ]
        default = converted_to(type_, rendering.render_once(self.default))
        result = sqlalchemy.case(*pairs, else_=default) if pairs else default
        return sqlalchemy.type_coerce(result, self.field.result_type())

    def operands(self) -> tuple[Term | ResolvedCondition, ...]:
        return (*(part for branch in self.branches for part in branch), self.default)

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
        condition: ColumnElement[Any] = self.condition.render(rendering, required=False, negated=False)
        if self.condition.truth is not None:
            # A comparison: ORDER BY would take a literal for the position of a column.
            condition = sqlalchemy.literal_column("1 = 1" if self.condition.truth else "1 = 0")
        return sqlalchemy.type_coerce(Grouping(condition), ComputedResult("boolean"))

    def leaves(self) -> tuple[Term, ...]:
        return self.condition.leaves()

    def operands(self) -> tuple[ResolvedCondition, ...]:
        return (self.condition,)

    def group_terms(self) -> Iterator[Term]:
        return iter(()) if self.condition.truth is not None else super().group_terms()


class NegatedTerm(Term):
    """SQL's NOT of a boolean term: NULL where the term is."""

    def __init__(self, term: Term) -> None:
        self.term = term
        self.key = ("not", term.key)
        self.values = term.values
        self.field = BOOLEAN
        self.nullable = term.nullable
        self.aggregate = term.aggregate
        self.window = term.window

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        operand = Grouping(rendering.render_once(self.term))
        negated: ColumnElement[Any] = UnaryExpression(operand, operator=sqlalchemy_operators.inv)
        return sqlalchemy.type_coerce(Grouping(negated), ComputedResult("boolean"))

    def leaves(self) -> tuple[Term, ...]:
        return self.term.leaves()

    def operands(self) -> tuple[Term, ...]:
        return (self.term,)
