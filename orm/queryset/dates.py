"""The distinct years, months, days, hours, … of a field: `dates()` and `datetimes()`."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Literal

from orm.exceptions import QueryError
from orm.expressions.base import F
from orm.fields import Date
from orm.functions.dates import Trunc

if TYPE_CHECKING:
    from orm.queryset.queryset import QuerySet

DATES = ("year", "month", "week", "day")
DATETIMES = (*DATES, "hour", "minute", "second")
# The names of the annotations that are filtered and ordered by.
PERIOD, FIELD_VALUE = "period_of_row", "value_of_row"


def dates(queryset: QuerySet[Any, Any], field: str, kind: str, order: Literal["ASC", "DESC"]) -> QuerySet[Any, Any]:
    """The first date of each distinct period of the field. Raises `QueryError`."""
    if kind not in DATES:
        raise QueryError(f"dates() takes one of {', '.join(DATES)}; got {kind!r}.")
    return _periods(queryset, field, Trunc(field, kind, output_field=Date()), order)


def datetimes(
    queryset: QuerySet[Any, Any],
    field: str,
    kind: str,
    order: Literal["ASC", "DESC"],
    tzinfo: datetime.tzinfo | None,
) -> QuerySet[Any, Any]:
    """The first moment of each distinct period of the field. Raises `QueryError`."""
    if kind not in DATETIMES:
        raise QueryError(f"datetimes() takes one of {', '.join(DATETIMES)}; got {kind!r}.")
    period = Trunc(field, kind, tzinfo=tzinfo)
    resolved = queryset._query.resolver().expression(period, "datetimes()").field
    if resolved.family != "datetime":
        raise QueryError(
            f"datetimes() takes a DateTime, and {queryset.model.__name__}.{field} is not one: use dates()."
        )
    return _periods(queryset, field, period, order)


def _periods(queryset: QuerySet[Any, Any], field: str, period: Trunc, order: str) -> QuerySet[Any, Any]:
    if order not in ("ASC", "DESC"):
        raise QueryError(f"The order of periods is 'ASC' or 'DESC', not {order!r}.")
    annotations: dict[str, Any] = {PERIOD: period, FIELD_VALUE: F(field)}
    periods = queryset.annotate(**annotations).filter(**{f"{FIELD_VALUE}__isnull": False})
    return periods.values_list(PERIOD, flat=True).distinct().order_by(PERIOD if order == "ASC" else f"-{PERIOD}")
