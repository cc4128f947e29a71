"""Arithmetic with dates and times: a moment and a duration, or two moments."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.exceptions import QueryError
from orm.fields import DateTime, Duration, Field

MOMENTS = ("date", "datetime", "time")
NAIVE, DURATION = DateTime(), Duration()


def moment_field(symbol: str, left: Field[Any], right: Field[Any]) -> Field[Any] | None:
    """What comes out, None if neither is a moment. Raises `QueryError` for what makes no sense, such as a product."""
    kinds = left.kind, right.kind
    if not set(kinds).intersection(MOMENTS):
        return None
    if symbol == "-" and kinds[0] == kinds[1]:
        return DURATION
    if symbol in "+-" and kinds[0] in MOMENTS and kinds[1] == "duration":
        return NAIVE if kinds[0] == "date" else left
    if symbol == "+" and kinds[0] == "duration":
        return NAIVE if kinds[1] == "date" else right
    raise QueryError(
        f"{left.kind} {symbol} {right.kind} makes no sense: a moment takes a duration (a timedelta), "
        "and two moments of one kind can be subtracted."
    )


def moment_arithmetic(
    symbol: str, left: Field[Any], right: Field[Any], first: ColumnElement[Any], second: ColumnElement[Any]
) -> ColumnElement[Any]:
    """The SQL, for fields of which `moment_field` made sense."""
    if left.kind == right.kind:
        return SQLFunction(f"{left.kind}_gap", first, second)
    if left.kind == "duration":
        left, first, second = right, second, first
    return SQLFunction(f"{left.kind}_{'before' if symbol == '-' else 'after'}", first, second)
