"""The days, months or hours that a query's rows fall into: `dates()` and `datetimes()`."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Literal

from orm.exceptions import QueryError
from orm.expressions.base import F
from orm.fields import Date
from orm.functions.dates import Trunc
from orm.query.resolving.resolve import resolve

if TYPE_CHECKING:
    from orm.queryset.queryset import QuerySet

DATES = ("year", "month", "week", "day")
DATETIMES = (*DATES, "hour", "minute", "second")
# What the annotations are called that no row shows.
PERIOD, MOMENT = "period_of_row", "moment_of_row"


def dates(rows: QuerySet[Any, Any], field: str, kind: str, order: Literal["ASC", "DESC"]) -> QuerySet[Any, Any]:
    """The dates on which each period of the rows began."""
    if kind not in DATES:
        raise QueryError(f"dates() takes one of {', '.join(DATES)}; got {kind!r}.")
    return _periods(rows, field, Trunc(field, kind, output_field=Date()), order)


def datetimes(
    rows: QuerySet[Any, Any],
    field: str,
    kind: str,
    order: Literal["ASC", "DESC"],
    tzinfo: datetime.tzinfo | None,
) -> QuerySet[Any, Any]:
    """The moments at which each period of the rows began."""
    if kind not in DATETIMES:
        raise QueryError(f"datetimes() takes one of {', '.join(DATETIMES)}; got {kind!r}.")
    period = Trunc(field, kind, tzinfo=tzinfo)
    found = resolve(rows._query.names(), period, "datetimes()").field
    if found.family != "datetime":
        raise QueryError(f"datetimes() takes a DateTime, and {rows.model.__name__}.{field} is not one: use dates().")
    return _periods(rows, field, period, order)


def _periods(rows: QuerySet[Any, Any], field: str, period: Trunc, order: str) -> QuerySet[Any, Any]:
    if order not in ("ASC", "DESC"):
        raise QueryError(f"The order of periods is 'ASC' or 'DESC', not {order!r}.")
    named: dict[str, Any] = {PERIOD: period, MOMENT: F(field)}
    there = rows.annotate(**named).filter(**{f"{MOMENT}__isnull": False})
    return there.values_list(PERIOD, flat=True).distinct().order_by(PERIOD if order == "ASC" else f"-{PERIOD}")
