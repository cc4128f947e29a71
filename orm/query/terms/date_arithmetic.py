"""Arithmetic with dates and times, here called moments: a moment and a duration, or two moments."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from orm.database.sql.datetimes import comparable
from orm.database.sql.functions import SQLFunction
from orm.exceptions import QueryError
from orm.fields import DateTime, Duration, Field

NAIVE, DURATION = DateTime(), Duration()


def moment_field(symbol: str, left: Field[Any], right: Field[Any]) -> Field[Any] | None:
    """The field of the result; None if neither field is a moment.

    Raises `QueryError` for other operations on moments, such as a product.
    """
    if not left.is_temporal and not right.is_temporal:
        return None
    if symbol == "-" and left.family == right.family:
        return DURATION
    if symbol in "+-" and left.is_temporal and right.family == "duration":
        return NAIVE if left.family == "date" else left
    if symbol == "+" and left.family == "duration":
        return NAIVE if right.family == "date" else right
    raise QueryError(
        f"{left.family} {symbol} {right.family} makes no sense: a moment takes a duration (a timedelta), "
        "and two moments of one kind can be subtracted."
    )


def moment_arithmetic(
    symbol: str, left: Field[Any], right: Field[Any], first: ColumnElement[Any], second: ColumnElement[Any]
) -> ColumnElement[Any]:
    """The SQL, for fields that `moment_field` accepts."""
    if left.family == right.family:
        return SQLFunction(f"{left.family}_gap", *comparable(first, second))
    if left.family == "duration":
        left, first, second = right, second, first
    return SQLFunction(f"{left.family}_{'before' if symbol == '-' else 'after'}", first, second)
