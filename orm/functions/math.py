"""Functions of numbers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.expressions.base import Operand
from orm.fields import Field
from orm.functions.base import DECIMAL, FLOAT, NamedFunc
from orm.functions.result_types import number_field


class NumberFunc(NamedFunc[Any]):
    """A function of one number that returns a number of the same type."""

    def __init__(self, expression: Operand, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(expression, output_field=output_field)

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """The number's field; an integer field for the members of an integer enum."""
        return number_field(super().result(*fields))


class FloatFunc(NamedFunc[float]):
    """A function that returns a float, or a `Decimal` if an argument is one."""

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A float or decimal field."""
        if self.output_field is not None:
            return self.output_field
        return DECIMAL if any(field.family == "decimal" for field in fields) else FLOAT


class UnaryFunc(FloatFunc):
    """A function of one number."""

    def __init__(self, expression: Operand, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(expression, output_field=output_field)


class BinaryFunc(FloatFunc):
    """A function of two numbers."""

    def __init__(self, first: Operand, second: Operand, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(first, second, output_field=output_field)


class NullaryFunc(FloatFunc):
    """A function without arguments."""

    def __init__(self, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(output_field=output_field)


class Abs(NumberFunc):
    """The absolute value."""

    sql_name = "abs"


class Ceil(NumberFunc):
    """Rounded up to an integer."""

    sql_name = "ceiling"


class Floor(NumberFunc):
    """Rounded down to an integer."""

    sql_name = "floor"


class Sign(NumberFunc):
    """-1, 0 or 1."""

    sql_name = "sign"


class Round(NamedFunc[Any]):
    """Rounded to `precision` digits after the decimal point (before it, if negative)."""

    sql_name = "round"

    def __init__(self, expression: Operand, precision: Operand = 0, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(expression, precision, output_field=output_field)

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        family = "" if fields[0] is None else fields[0].family
        return SQLFunction(self.sql_name, *arguments, literals=(family,))

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """The number's field; an integer field for the members of an integer enum."""
        return number_field(super().result(*fields))


class ACos(UnaryFunc):
    """The arc cosine."""

    sql_name = "acos"


class ASin(UnaryFunc):
    """The arc sine."""

    sql_name = "asin"


class ATan(UnaryFunc):
    """The arc tangent."""

    sql_name = "atan"


class ATan2(BinaryFunc):
    """The arc tangent of the first number divided by the second."""

    sql_name = "atan2"


class Cos(UnaryFunc):
    """The cosine."""

    sql_name = "cos"


class Cot(UnaryFunc):
    """The cotangent."""

    sql_name = "cot"


class Degrees(UnaryFunc):
    """Radians converted to degrees."""

    sql_name = "degrees"


class Exp(UnaryFunc):
    """e raised to the power of the number."""

    sql_name = "exp"


class Ln(UnaryFunc):
    """The natural logarithm."""

    sql_name = "ln"


class Log(BinaryFunc):
    """The logarithm of the second number to the base of the first."""

    sql_name = "log"


class Mod(BinaryFunc):
    """The remainder of dividing the first number by the second, with the first number's sign."""

    sql_name = "mod"


class Pi(NullaryFunc):
    """The number π."""

    sql_name = "pi"


class Power(BinaryFunc):
    """The first number raised to the power of the second."""

    sql_name = "power"


class Radians(UnaryFunc):
    """Degrees converted to radians."""

    sql_name = "radians"


class Random(NullaryFunc):
    """A random number from 0 (inclusive) to 1 (exclusive), for each row."""

    sql_name = "random"


class Sin(UnaryFunc):
    """The sine."""

    sql_name = "sin"


class Sqrt(UnaryFunc):
    """The square root."""

    sql_name = "sqrt"


class Tan(UnaryFunc):
    """The tangent."""

    sql_name = "tan"
