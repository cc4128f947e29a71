"""Functions of numbers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.expressions.base import Operand
from orm.fields import Field
from orm.functions.base import EXACT, REAL, NamedFunc


class NumberFunc(NamedFunc[Any]):
    """A function of one number that gives one of the same kind."""

    def __init__(self, expression: Operand, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(expression, output_field=output_field)


class RealNumber(NamedFunc[float]):
    """A function that gives a float, of decimals a Decimal."""

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A float or a Decimal."""
        if self.output_field is not None:
            return self.output_field
        return EXACT if any(field.kind == "decimal" for field in fields) else REAL


class UnaryFunc(RealNumber):
    """A function of one number."""

    def __init__(self, expression: Operand, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(expression, output_field=output_field)


class BinaryFunc(RealNumber):
    """A function of two numbers."""

    def __init__(self, first: Operand, second: Operand, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(first, second, output_field=output_field)


class NullaryFunc(RealNumber):
    """A function without arguments."""

    def __init__(self, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(output_field=output_field)


class Abs(NumberFunc):
    """The absolute value."""

    call = "abs"


class Ceil(NumberFunc):
    """The smallest whole number that is not less."""

    call = "ceiling"


class Floor(NumberFunc):
    """The largest whole number that is not more."""

    call = "floor"


class Sign(NumberFunc):
    """-1, 0 or 1."""

    call = "sign"


class Round(NamedFunc[Any]):
    """Rounded to `precision` digits after the point (before it, if negative)."""

    call = "round"

    def __init__(self, expression: Operand, precision: Operand = 0, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(expression, precision, output_field=output_field)

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        kind = "" if fields[0] is None else fields[0].kind
        return SQLFunction(self.call, *arguments, words=(kind,))


class ACos(UnaryFunc):
    """The arc cosine."""

    call = "acos"


class ASin(UnaryFunc):
    """The arc sine."""

    call = "asin"


class ATan(UnaryFunc):
    """The arc tangent."""

    call = "atan"


class ATan2(BinaryFunc):
    """The arc tangent of the first number divided by the second."""

    call = "atan2"


class Cos(UnaryFunc):
    """The cosine."""

    call = "cos"


class Cot(UnaryFunc):
    """The cotangent."""

    call = "cot"


class Degrees(UnaryFunc):
    """Radians in degrees."""

    call = "degrees"


class Exp(UnaryFunc):
    """e to the power of the number."""

    call = "exp"


class Ln(UnaryFunc):
    """The natural logarithm."""

    call = "ln"


class Log(BinaryFunc):
    """The logarithm to the base of the first number, of the second."""

    call = "log"


class Mod(BinaryFunc):
    """What is left of the first number after division by the second; it has the first one's sign."""

    call = "mod"


class Pi(NullaryFunc):
    """The number π."""

    call = "pi"


class Power(BinaryFunc):
    """The first number to the power of the second."""

    call = "power"


class Radians(UnaryFunc):
    """Degrees in radians."""

    call = "radians"


class Random(NullaryFunc):
    """A random number from 0 up to (and without) 1, another one for each row."""

    call = "random"


class Sin(UnaryFunc):
    """The sine."""

    call = "sin"


class Sqrt(UnaryFunc):
    """The square root."""

    call = "sqrt"


class Tan(UnaryFunc):
    """The tangent."""

    call = "tan"
