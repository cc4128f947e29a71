"""Arithmetic on decimals, which SQLite stores as integers and floats: it is done in decimals, in Python.

A float keeps 15 digits of a decimal. What has more is refused with an OverflowError (`sqlite3` makes it a DataError),
unless an operand is itself a quotient, whose digits never ended.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TypeAlias

DIGITS = 15
EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN)
OPERATORS: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": EXACT.add,
    "-": EXACT.subtract,
    "*": EXACT.multiply,
    "/": EXACT.divide,
    "%": EXACT.remainder,
}
Number: TypeAlias = int | float


def calculate(left: Number | None, right: Number | None, symbol: str) -> Number | None:
    """The result of an operator; None if an operand is, or if it divides by zero, as in SQLite."""
    if left is None or right is None or (symbol in "/%" and not right):
        return None
    first, second = exact(left), exact(right)
    result = OPERATORS[symbol](first, second)
    return nearest(result) if symbol == "/" or is_rounded(left) or is_rounded(right) else stored(result)


def exact(number: Number) -> Decimal:
    """The decimal that was stored as this number."""
    return Decimal(repr(number))


def is_rounded(number: Number) -> bool:
    """Whether it is a float of more digits than are kept: a quotient."""
    return type(number) is float and len(exact(number).normalize(EXACT).as_tuple().digits) > DIGITS


def nearest(result: Decimal) -> Number:
    """The integer or float that is nearest to a result."""
    if abs(result) < 1 << 63 and result == result.to_integral_value():
        return int(result)
    return float(result)


def stored(result: Decimal) -> Number:
    """The number that stores a result. Raises OverflowError if that would lose digits."""
    number = nearest(result)
    if exact(number) != result:
        raise OverflowError(f"{result} has more than {DIGITS} digits")
    return number


class DecimalSum:
    """The sum of decimals, also over a window."""

    arguments = 1

    def __init__(self) -> None:
        self.total = Decimal(0)
        self.count = 0
        self.rounded = 0

    def step(self, number: Number | None) -> None:
        """Add a row."""
        if number is not None:
            text = repr(number)
            self.total = EXACT.add(self.total, Decimal(text))
            self.count += 1
            if len(text) > DIGITS:
                self.rounded += is_rounded(number)

    def inverse(self, number: Number | None) -> None:
        """Take away a row that the window's frame has left."""
        if number is not None:
            self.total = EXACT.subtract(self.total, exact(number))
            self.count -= 1
            self.rounded -= is_rounded(number)

    def value(self) -> Number | None:
        """The result of the rows so far; None if there are none."""
        if not self.count:
            return None
        return nearest(self.total) if self.rounded else stored(self.total)

    def finalize(self) -> Number | None:
        """The result."""
        return self.value()


class DecimalMean(DecimalSum):
    """The mean of decimals, also over a window."""

    def value(self) -> Number | None:
        """The result of the rows so far; None if there are none."""
        return nearest(EXACT.divide(self.total, Decimal(self.count))) if self.count else None
