"""Functions of numbers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from orm.database.sql.functions import Call
from orm.expressions.base import Operand
from orm.fields import Field
from orm.functions.base import EXACT, REAL, NamedFunc


class SameNumber(NamedFunc[Any]):
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


class OfOne(RealNumber):
    """A function of one number."""

    def __init__(self, expression: Operand, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(expression, output_field=output_field)


class OfTwo(RealNumber):
    """A function of two numbers."""

    def __init__(self, first: Operand, second: Operand, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(first, second, output_field=output_field)


class OfNone(RealNumber):
    """A function without arguments."""

    def __init__(self, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(output_field=output_field)


class Abs(SameNumber):
    """The absolute value."""

    call = "abs"


class Ceil(SameNumber):
    """The smallest whole number that is not less."""

    call = "ceiling"


class Floor(SameNumber):
    """The largest whole number that is not more."""

    call = "floor"


class Sign(SameNumber):
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
        return Call(self.call, *arguments, words=(kind,))


class ACos(OfOne):
    """The arc cosine."""

    call = "acos"


class ASin(OfOne):
    """The arc sine."""

    call = "asin"


class ATan(OfOne):
    """The arc tangent."""

    call = "atan"


class ATan2(OfTwo):
    """The arc tangent of the first number divided by the second."""

    call = "atan2"


class Cos(OfOne):
    """The cosine."""

    call = "cos"


class Cot(OfOne):
    """The cotangent."""

    call = "cot"


class Degrees(OfOne):
    """Radians in degrees."""

    call = "degrees"


class Exp(OfOne):
    """e to the power of the number."""

    call = "exp"


class Ln(OfOne):
    """The natural logarithm."""

    call = "ln"


class Log(OfTwo):
    """The logarithm to the base of the first number, of the second."""

    call = "log"


class Mod(OfTwo):
    """What is left of the first number after division by the second; it has the first one's sign."""

    call = "mod"


class Pi(OfNone):
    """The number π."""

    call = "pi"


class Power(OfTwo):
    """The first number to the power of the second."""

    call = "power"


class Radians(OfOne):
    """Degrees in radians."""

    call = "radians"


class Random(OfNone):
    """A random number from 0 up to (and without) 1, another one for each row."""

    call = "random"


class Sin(OfOne):
    """The sine."""

    call = "sin"


class Sqrt(OfOne):
    """The square root."""

    call = "sqrt"


class Tan(OfOne):
    """The tangent."""

    call = "tan"
