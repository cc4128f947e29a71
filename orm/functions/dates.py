"""Functions of dates and times: `Extract…`, `Trunc…` and `Now`."""

from __future__ import annotations

import datetime
from collections.abc import Hashable
from functools import cache
from typing import Any, ClassVar

from sqlalchemy import ColumnElement
from sqlalchemy.types import TypeEngine

from orm.database.sql.functions import SQLFunction
from orm.database.types import column_types
from orm.database.types.time_zones import UTC_NAME, zone_name
from orm.exceptions import QueryError
from orm.expressions.base import Operand
from orm.fields import Date, DateTime, Field, Time
from orm.functions.base import INTEGER, NamedFunc
from orm.utils.articles import with_article

DAY_UNITS = ("year", "iso_year", "quarter", "month", "week", "day", "week_day", "iso_week_day")
TIME_UNITS = ("hour", "minute", "second")
EXTRACTABLE = {
    "date": DAY_UNITS,
    "time": TIME_UNITS,
    "naive": DAY_UNITS + TIME_UNITS,
    "aware": DAY_UNITS + TIME_UNITS,
    "duration": ("day", *TIME_UNITS),
}
TRUNCATED_DATE_UNITS = ("year", "quarter", "month", "week", "day")
TRUNCATABLE = {
    "date": TRUNCATED_DATE_UNITS,
    "time": TIME_UNITS,
    "naive": (*TRUNCATED_DATE_UNITS, "date", "time", *TIME_UNITS),
    "aware": (*TRUNCATED_DATE_UNITS, "date", "time", *TIME_UNITS),
}
# What each kind can be truncated to.
TRUNCATED_TO = {
    "date": ("date",),
    "time": ("time",),
    "naive": ("naive", "date", "time"),
    "aware": ("aware", "naive", "date", "time"),
}
DATE = Date()
TIME = Time()
NAIVE_DATETIME = DateTime()
AWARE_DATETIME = DateTime(timezone=True)


class LocalDateTime(DateTime[datetime.datetime]):
    """An aware datetime that is read in a fixed time zone."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        super().__init__(timezone=True)

    def column_type(self) -> TypeEngine[Any]:
        """The SQLAlchemy type."""
        return column_types.LocalDateTime(self.zone)


@cache
def _aware_datetime_in(zone: str) -> DateTime[Any]:
    return AWARE_DATETIME if zone == UTC_NAME else LocalDateTime(zone)


class DateFunc(NamedFunc[Any]):
    """A function of a date or time, computed in a time zone."""

    def __init__(
        self, expression: Operand, tzinfo: datetime.tzinfo | None, output_field: Field[Any] | None = None
    ) -> None:
        self.tzinfo = tzinfo
        self.zone = zone_name(tzinfo)
        super().__init__(expression, output_field=output_field)

    def _kind(self, field: Field[Any], unit: str, known: dict[str, tuple[str, ...]], what: str) -> str:
        kind, field_type = field.sql_family, with_article(type(field).__name__)
        if kind not in known:
            raise QueryError(f"{what} takes dates and times, and {self.arguments[0]!r} is {field_type}.")
        if unit not in known[kind]:
            raise QueryError(f"{what} has no {unit!r} of {field_type}. It has: {', '.join(known[kind])}.")
        if self.tzinfo is not None and kind != "aware":
            raise QueryError(
                f"{what}: tzinfo is for instants, and {self.arguments[0]!r} is not declared with timezone=True."
            )
        return kind


class Extract(DateFunc):
    """A part of a date or time, as an integer: ``Extract("created", "year")``.

    The parts are year, iso_year, quarter, month, week (ISO 8601), day, week_day (1 is Sunday), iso_week_day (1 is
    Monday), hour, minute and second. Parts of an aware datetime are taken in the time zone `tzinfo` (UTC by default).
    """

    lookup_name: ClassVar[str | None] = None

    def __init__(
        self,
        expression: Operand,
        lookup_name: str | None = None,
        tzinfo: datetime.tzinfo | None = None,
        *,
        output_field: Field[Any] | None = None,
    ) -> None:
        unit = type(self).lookup_name or lookup_name
        if unit not in EXTRACTABLE["naive"]:
            raise QueryError(f"Extract() takes one of {', '.join(EXTRACTABLE['naive'])}; got {unit!r}.")
        self.unit = unit
        super().__init__(expression, tzinfo, output_field)

    @property
    def options(self) -> Hashable:
        """The part and the time zone."""
        return self.unit, self.zone

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        kind = "naive" if fields[0] is None else fields[0].sql_family
        return SQLFunction("extract", *arguments, literals=(self.unit, kind, self.zone))

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """An integer field. Raises `QueryError` for a part that the argument's type does not have."""
        for field in fields:
            self._kind(field, self.unit, EXTRACTABLE, "Extract()")
        return self.output_field or INTEGER

    def as_bounds(self, field: Field[Any], year: Any) -> tuple[Any, Any] | None:
        """The first and the last value of a year, for a range that can use the column's index.

        None if this is not a year, or not one that is a range of the column's values.
        """
        if self.unit not in ("year", "iso_year") or type(year) is not int or not 1 < year < 9999:
            return None
        first, last = datetime.date(year, 1, 1), datetime.date(year, 12, 31)
        if self.unit == "iso_year":
            first = datetime.date.fromisocalendar(year, 1, 1)
            last = datetime.date.fromisocalendar(year + 1, 1, 1) - datetime.timedelta(days=1)
        kind = field.sql_family
        if kind == "date":
            return first, last
        if self.zone != UTC_NAME:
            return None
        zone = datetime.timezone.utc if kind == "aware" else None
        start = datetime.datetime.combine(first, datetime.time.min, zone)
        return start, datetime.datetime.combine(last, datetime.time.max, zone)


class ExtractYear(Extract):
    """The year."""

    lookup_name = "year"


class ExtractIsoYear(Extract):
    """The year that the week belongs to (ISO 8601)."""

    lookup_name = "iso_year"


class ExtractMonth(Extract):
    """The month, from 1 to 12."""

    lookup_name = "month"


class ExtractDay(Extract):
    """The day of the month."""

    lookup_name = "day"


class ExtractWeek(Extract):
    """The week of the year (ISO 8601)."""

    lookup_name = "week"


class ExtractWeekDay(Extract):
    """The day of the week, from 1 (Sunday) to 7 (Saturday)."""

    lookup_name = "week_day"


class ExtractIsoWeekDay(Extract):
    """The day of the week, from 1 (Monday) to 7 (Sunday)."""

    lookup_name = "iso_week_day"


class ExtractQuarter(Extract):
    """The quarter of the year, from 1 to 4."""

    lookup_name = "quarter"


class ExtractHour(Extract):
    """The hour."""

    lookup_name = "hour"


class ExtractMinute(Extract):
    """The minute."""

    lookup_name = "minute"


class ExtractSecond(Extract):
    """The second, without fractions."""

    lookup_name = "second"


class TruncBase(DateFunc):
    """A date or time truncated to a unit.

    An aware datetime is truncated in the time zone `tzinfo` (UTC by default), and returned in it. With `output_field`,
    a datetime becomes a date or a time.
    """

    kind: str

    def __init__(
        self,
        expression: Operand,
        output_field: Field[Any] | None = None,
        tzinfo: datetime.tzinfo | None = None,
    ) -> None:
        super().__init__(expression, tzinfo, output_field)

    @property
    def options(self) -> Hashable:
        """The unit and the time zone."""
        return self.kind, self.zone

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        field = fields[0] or NAIVE_DATETIME
        literals = (self.kind, field.sql_family, self.result(field).sql_family, self.zone)
        return SQLFunction("trunc", *arguments, literals=literals)

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A date, time or datetime field. Raises `QueryError` for a unit that the argument's type does not have."""
        (field,) = fields or (NAIVE_DATETIME,)
        kind = self._kind(field, self.kind, TRUNCATABLE, "Trunc()")
        if self.output_field is None:
            if kind == "aware":
                return _aware_datetime_in(self.zone)
            return DATE if kind == "date" else TIME if kind == "time" else NAIVE_DATETIME
        wanted = self.output_field.sql_family
        if wanted not in TRUNCATED_TO[kind]:
            result, source = (with_article(type(each).__name__) for each in (self.output_field, field))
            raise QueryError(f"Trunc() cannot make {result} of {source}.")
        return _aware_datetime_in(self.zone) if wanted == "aware" else self.output_field


class Trunc(TruncBase):
    """Truncated to `kind`: year, quarter, month, week, day, hour, minute or second."""

    def __init__(
        self,
        expression: Operand,
        kind: str,
        output_field: Field[Any] | None = None,
        tzinfo: datetime.tzinfo | None = None,
    ) -> None:
        if kind not in TRUNCATED_DATE_UNITS + TIME_UNITS:
            raise QueryError(f"Trunc() takes one of {', '.join(TRUNCATED_DATE_UNITS + TIME_UNITS)}; got {kind!r}.")
        self.kind = kind
        super().__init__(expression, output_field, tzinfo)


class TruncYear(TruncBase):
    """Truncated to the year."""

    kind = "year"


class TruncQuarter(TruncBase):
    """Truncated to the quarter."""

    kind = "quarter"


class TruncMonth(TruncBase):
    """Truncated to the month."""

    kind = "month"


class TruncWeek(TruncBase):
    """The Monday that the week begins on."""

    kind = "week"


class TruncDay(TruncBase):
    """Truncated to the day."""

    kind = "day"


class TruncHour(TruncBase):
    """Truncated to the hour."""

    kind = "hour"


class TruncMinute(TruncBase):
    """Truncated to the minute."""

    kind = "minute"


class TruncSecond(TruncBase):
    """Truncated to the second."""

    kind = "second"


class TruncDate(TruncBase):
    """The date of a datetime."""

    kind = "date"

    def __init__(self, expression: Operand, tzinfo: datetime.tzinfo | None = None) -> None:
        super().__init__(expression, DATE, tzinfo)


class TruncTime(TruncBase):
    """The time of day of a datetime."""

    kind = "time"

    def __init__(self, expression: Operand, tzinfo: datetime.tzinfo | None = None) -> None:
        super().__init__(expression, TIME, tzinfo)


class Now(NamedFunc[datetime.datetime]):
    """The time of the statement, as an aware datetime; with ``output_field=orm.DateTime()``, naive and in UTC."""

    def __init__(self, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(output_field=output_field or AWARE_DATETIME)

    @property
    def options(self) -> Hashable:
        """Whether it is an aware datetime."""
        return (self.output_field or AWARE_DATETIME).sql_family

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL."""
        return SQLFunction("now", literals=((self.output_field or AWARE_DATETIME).sql_family,))
