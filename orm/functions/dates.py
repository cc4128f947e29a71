"""Functions of dates and times."""

from __future__ import annotations

import datetime
from collections.abc import Hashable
from functools import cache
from typing import Any, ClassVar

from sqlalchemy import ColumnElement
from sqlalchemy.types import TypeEngine

from orm.database.sql.functions import SQLFunction
from orm.database.types import column_types
from orm.database.types.time_zones import UTC, zone_name
from orm.exceptions import QueryError
from orm.expressions.base import Operand
from orm.fields import Date, DateTime, Field, Time
from orm.functions.base import WHOLE, NamedFunc
from orm.functions.result_types import kind_of

DAY_UNITS = ("year", "iso_year", "quarter", "month", "week", "day", "week_day", "iso_week_day")
TIME_UNITS = ("hour", "minute", "second")
EXTRACTED_FROM = {
    "date": DAY_UNITS,
    "time": TIME_UNITS,
    "naive": DAY_UNITS + TIME_UNITS,
    "aware": DAY_UNITS + TIME_UNITS,
    "duration": ("day", *TIME_UNITS),
}
CUT_DAYS = ("year", "quarter", "month", "week", "day")
TRUNCATED_FROM = {
    "date": CUT_DAYS,
    "time": TIME_UNITS,
    "naive": (*CUT_DAYS, "date", "time", *TIME_UNITS),
    "aware": (*CUT_DAYS, "date", "time", *TIME_UNITS),
}
# What each kind can be cut to.
RESULTS = {
    "date": ("date",),
    "time": ("time",),
    "naive": ("naive", "date", "time"),
    "aware": ("aware", "naive", "date", "time"),
}
DAY = Date()
TIME_OF_DAY = Time()
CLOCK = DateTime()
INSTANT = DateTime(timezone=True)


class LocalDateTime(DateTime[datetime.datetime]):
    """An instant that is read in a time zone of its own."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        super().__init__(timezone=True)

    def column_type(self) -> TypeEngine[Any]:
        """The SQLAlchemy type."""
        return column_types.LocalDateTime(self.zone)


@cache
def _instant_in(zone: str) -> DateTime[Any]:
    return INSTANT if zone == UTC else LocalDateTime(zone)


class DateFunc(NamedFunc[Any]):
    """A function of a date or time, in a time zone."""

    def __init__(
        self, expression: Operand, tzinfo: datetime.tzinfo | None, output_field: Field[Any] | None = None
    ) -> None:
        self.tzinfo = tzinfo
        self.zone = zone_name(tzinfo)
        super().__init__(expression, output_field=output_field)

    def _kind(self, field: Field[Any], unit: str, known: dict[str, tuple[str, ...]], what: str) -> str:
        kind = kind_of(field)
        if kind not in known:
            raise QueryError(f"{what} takes dates and times, and {self.arguments[0]!r} is a {type(field).__name__}.")
        if unit not in known[kind]:
            raise QueryError(f"{what} has no {unit!r} of a {type(field).__name__}. It has: {', '.join(known[kind])}.")
        if self.tzinfo is not None and kind != "aware":
            raise QueryError(
                f"{what}: tzinfo is for instants, and {self.arguments[0]!r} is not declared with timezone=True."
            )
        return kind


class Extract(DateFunc):
    """A part of a date or time, as a whole number: ``Extract("created", "year")``.

    The parts are year, iso_year, quarter, month, week (of ISO 8601), day, week_day (1 is Sunday), iso_week_day
    (1 is Monday), hour, minute, second. Of an instant they are those of a clock in the time zone `tzinfo` (UTC by
    default).
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
        if unit not in EXTRACTED_FROM["naive"]:
            raise QueryError(f"Extract() takes one of {', '.join(EXTRACTED_FROM['naive'])}; got {unit!r}.")
        self.unit = unit
        super().__init__(expression, tzinfo, output_field)

    @property
    def options(self) -> Hashable:
        """The part, and the time zone."""
        return self.unit, self.zone

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        kind = "naive" if fields[0] is None else kind_of(fields[0])
        return SQLFunction("extract", *arguments, words=(self.unit, kind, self.zone))

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A whole number."""
        for field in fields:
            self._kind(field, self.unit, EXTRACTED_FROM, "Extract()")
        return self.output_field or WHOLE

    def as_bounds(self, field: Field[Any], year: Any) -> tuple[Any, Any] | None:
        """The first and the last moment of a year, so that an index on the column serves; None if there are none."""
        if self.unit not in ("year", "iso_year") or type(year) is not int or not 1 < year < 9999:
            return None
        first, last = datetime.date(year, 1, 1), datetime.date(year, 12, 31)
        if self.unit == "iso_year":
            first = datetime.date.fromisocalendar(year, 1, 1)
            last = datetime.date.fromisocalendar(year + 1, 1, 1) - datetime.timedelta(days=1)
        kind = kind_of(field)
        if kind == "date":
            return first, last
        if self.zone != UTC:
            return None
        zone = datetime.timezone.utc if kind == "aware" else None
        start = datetime.datetime.combine(first, datetime.time.min, zone)
        return start, datetime.datetime.combine(last, datetime.time.max, zone)


class ExtractYear(Extract):
    """The year."""

    lookup_name = "year"


class ExtractIsoYear(Extract):
    """The year that the week belongs to, by ISO 8601."""

    lookup_name = "iso_year"


class ExtractMonth(Extract):
    """The month, 1 to 12."""

    lookup_name = "month"


class ExtractDay(Extract):
    """The day of the month."""

    lookup_name = "day"


class ExtractWeek(Extract):
    """The week of the year, by ISO 8601."""

    lookup_name = "week"


class ExtractWeekDay(Extract):
    """The day of the week, from Sunday, 1, to Saturday, 7."""

    lookup_name = "week_day"


class ExtractIsoWeekDay(Extract):
    """The day of the week, from Monday, 1, to Sunday, 7."""

    lookup_name = "iso_week_day"


class ExtractQuarter(Extract):
    """The quarter of the year, 1 to 4."""

    lookup_name = "quarter"


class ExtractHour(Extract):
    """The hour."""

    lookup_name = "hour"


class ExtractMinute(Extract):
    """The minute."""

    lookup_name = "minute"


class ExtractSecond(Extract):
    """The second, without its fractions."""

    lookup_name = "second"


class TruncBase(DateFunc):
    """When the unit that a date or time falls into began.

    Of an instant, by a clock in the time zone `tzinfo` (UTC by default), in which it is given too. `output_field`
    makes a date of a datetime, or a time.
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
        """The unit, and the time zone."""
        return self.kind, self.zone

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        field = fields[0] or CLOCK
        words = (self.kind, kind_of(field), kind_of(self.result(field)), self.zone)
        return SQLFunction("trunc", *arguments, words=words)

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A date, time or datetime."""
        (field,) = fields or (CLOCK,)
        kind = self._kind(field, self.kind, TRUNCATED_FROM, "Trunc()")
        if self.output_field is None:
            if kind == "aware":
                return _instant_in(self.zone)
            return DAY if kind == "date" else TIME_OF_DAY if kind == "time" else CLOCK
        wanted = kind_of(self.output_field)
        if wanted not in RESULTS[kind]:
            raise QueryError(f"Trunc() cannot make a {type(self.output_field).__name__} of a {type(field).__name__}.")
        return _instant_in(self.zone) if wanted == "aware" else self.output_field


class Trunc(TruncBase):
    """When the unit `kind` began: year, quarter, month, week, day, hour, minute, second; or the date, or the time."""

    def __init__(
        self,
        expression: Operand,
        kind: str,
        output_field: Field[Any] | None = None,
        tzinfo: datetime.tzinfo | None = None,
    ) -> None:
        if kind not in CUT_DAYS + TIME_UNITS:
            raise QueryError(f"Trunc() takes one of {', '.join(CUT_DAYS + TIME_UNITS)}; got {kind!r}.")
        self.kind = kind
        super().__init__(expression, output_field, tzinfo)


class TruncYear(TruncBase):
    """The beginning of the year."""

    kind = "year"


class TruncQuarter(TruncBase):
    """The beginning of the quarter."""

    kind = "quarter"


class TruncMonth(TruncBase):
    """The beginning of the month."""

    kind = "month"


class TruncWeek(TruncBase):
    """The beginning of the week, which is on Monday."""

    kind = "week"


class TruncDay(TruncBase):
    """The beginning of the day."""

    kind = "day"


class TruncHour(TruncBase):
    """The beginning of the hour."""

    kind = "hour"


class TruncMinute(TruncBase):
    """The beginning of the minute."""

    kind = "minute"


class TruncSecond(TruncBase):
    """The beginning of the second."""

    kind = "second"


class TruncDate(TruncBase):
    """The date of a datetime."""

    kind = "date"

    def __init__(self, expression: Operand, tzinfo: datetime.tzinfo | None = None) -> None:
        super().__init__(expression, DAY, tzinfo)


class TruncTime(TruncBase):
    """The time of day of a datetime."""

    kind = "time"

    def __init__(self, expression: Operand, tzinfo: datetime.tzinfo | None = None) -> None:
        super().__init__(expression, TIME_OF_DAY, tzinfo)


class Now(NamedFunc[datetime.datetime]):
    """The moment at which the statement runs, as an instant; with ``output_field=orm.DateTime()`` as UTC's clock."""

    def __init__(self, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(output_field=output_field or INSTANT)

    @property
    def options(self) -> Hashable:
        """Whether it is an instant."""
        return kind_of(self.output_field or INSTANT)

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL."""
        return SQLFunction("now", words=(kind_of(self.output_field or INSTANT),))
