"""Dates, times and durations."""

from __future__ import annotations

import datetime
from typing import Any, Literal, TypeVar, overload

import typesystem
from sqlalchemy.types import TypeEngine
from typesystem.fields import FORMATS
from typing_extensions import Unpack

from orm.database.types import column_types
from orm.exceptions import FieldError
from orm.fields.base import NO_DEFAULT, ConversionError, Field
from orm.fields.durations import DurationValidator, parse_duration
from orm.fields.options import AutoOptions, FieldOptions, FormattedOptions
from orm.fields.validators import (
    OFFSET,
    ConvertingValidator,
    DateTimeValidator,
    DateValidator,
    TimeValidator,
    text_after_time,
)
from orm.utils.codegen import Inline
from orm.utils.period import Period

T = TypeVar("T")


def parse(format: str, text: Any) -> Any:
    """Parse text in one of typesystem's formats. Raises `ValidationError`, or TypeError for other types."""
    return FORMATS[format].validate(text)


class AutoNowField(Field[T]):
    """A date or datetime that saving can set: each time (`auto_now`), or when the row is created (`auto_now_add`)."""

    def __init__(self, *, auto_now: bool = False, auto_now_add: bool = False, **options: Any) -> None:
        if auto_now and auto_now_add:
            raise FieldError("auto_now and auto_now_add exclude each other: auto_now sets it at creation too.")
        self.auto_now = auto_now
        self.auto_now_add = auto_now_add
        if auto_now or auto_now_add:
            options.setdefault("default", self.now)
            options["read_only"] = True
        super().__init__(**options)

    def now(self) -> datetime.date:
        """The current date or time, as a value of this field."""
        raise NotImplementedError

    def sets_on_save(self, *, creating: bool) -> bool:
        return self.auto_now or (creating and self.auto_now_add)

    def pre_save(self, creating: bool) -> Any:
        return self.now() if self.sets_on_save(creating=creating) else NO_DEFAULT


class Date(AutoNowField[T]):
    """A datetime.date."""

    family = "date"
    is_ordered = is_text_like = is_temporal = supports_arithmetic = True
    accepts = "dates and ISO 8601 text"

    @overload
    def __init__(
        self: Date[datetime.date], *, allow_null: Literal[False] = ..., **options: Unpack[AutoOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: Date[datetime.date | None], *, allow_null: Literal[True], **options: Unpack[AutoOptions]
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return DateValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.Date()

    def fast_check(self) -> Inline | None:
        return Inline("type({v}) is {date}", date=datetime.date)

    def now(self) -> datetime.date:
        return datetime.date.today()

    def convert(self, value: Any) -> datetime.date:
        if isinstance(value, datetime.datetime):
            return value.date()
        if isinstance(value, datetime.date):
            return value
        day: datetime.date = parse("date", value)
        return day

    def to_json(self, value: Any) -> str:
        text: str = value.isoformat()
        return text


class DateTime(AutoNowField[T]):
    """A datetime.datetime with microseconds: an instant if `timezone=True`, else wall-clock time.

    With `timezone=True`, values must be aware, and read back in UTC; without it, they must be naive.
    """

    family = "datetime"
    is_ordered = is_text_like = is_temporal = supports_arithmetic = True
    accepts = "datetimes, dates and ISO 8601 text"

    @overload
    def __init__(
        self: DateTime[datetime.datetime],
        *,
        timezone: bool = ...,
        allow_null: Literal[False] = ...,
        **options: Unpack[AutoOptions],
    ) -> None: ...

    @overload
    def __init__(
        self: DateTime[datetime.datetime | None],
        *,
        timezone: bool = ...,
        allow_null: Literal[True],
        **options: Unpack[AutoOptions],
    ) -> None: ...

    def __init__(self, *, timezone: bool = False, **options: Any) -> None:
        self.timezone = timezone
        super().__init__(**options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return DateTimeValidator(timezone=self.timezone, **options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.DateTime(self.timezone)

    @property
    def sql_family(self) -> str:
        return "aware" if self.timezone else "naive"

    def fast_check(self) -> Inline | None:
        aware = "{v}.utcoffset() is not None" if self.timezone else "{v}.tzinfo is None"
        return Inline(f"type({{v}}) is {{datetime}} and {aware}", datetime=datetime.datetime)

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.timezone.utc if self.timezone else None)

    def convert(self, value: Any) -> datetime.datetime:
        if isinstance(value, datetime.datetime):
            moment = value
            if self.timezone and moment.utcoffset() is None:
                raise ConversionError("it has no timezone, and the field is declared with timezone=True.")
        else:
            moment = self._from_date_or_text(value)
        if not self.timezone and moment.tzinfo is not None:
            raise ConversionError("it has a timezone, and the field is declared without timezone=True.")
        return moment

    def _from_date_or_text(self, value: Any) -> datetime.datetime:
        if isinstance(value, str) and len(value) <= 10:
            value = parse("date", value)
        if isinstance(value, datetime.date):
            moment = datetime.datetime(value.year, value.month, value.day)
        else:
            moment = parse("datetime", value)
        # Values read back in UTC, so a filter without a timezone is taken as UTC.
        if self.timezone and moment.tzinfo is None:
            return moment.replace(tzinfo=datetime.timezone.utc)
        return moment

    def to_json(self, value: Any) -> str:
        text: str = value.isoformat()
        return text

    def from_json(self, value: Any) -> Any:
        # Unlike typesystem, it reads offsets with seconds, as time zones had before 1900.
        return self.to_python(datetime.datetime.fromisoformat(value))


class Time(Field[T]):
    """A datetime.time with microseconds, without a timezone."""

    family = "time"
    is_ordered = is_text_like = is_temporal = supports_arithmetic = True
    accepts = "times and ISO 8601 text"

    @overload
    def __init__(
        self: Time[datetime.time], *, allow_null: Literal[False] = ..., **options: Unpack[FormattedOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: Time[datetime.time | None], *, allow_null: Literal[True], **options: Unpack[FormattedOptions]
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return TimeValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.Time()

    def fast_check(self) -> Inline | None:
        return Inline("type({v}) is {time} and {v}.tzinfo is None", time=datetime.time)

    def convert(self, value: Any) -> datetime.time:
        time: datetime.time = value if isinstance(value, datetime.time) else parse("time", value)
        rest = text_after_time(value) if isinstance(value, str) else ""
        if rest and not OFFSET.fullmatch(rest.strip()):
            raise ConversionError("it is more than a time.")
        if rest or time.tzinfo is not None:
            raise ConversionError("it has a timezone.")
        return time

    def to_json(self, value: Any) -> str:
        text: str = value.isoformat()
        return text


class Duration(Field[T]):
    """A datetime.timedelta with microseconds.

    Forms send it as ISO 8601 (`P1DT2H30M`) or as `[days ][[hours:]minutes:]seconds[.fraction]`.
    """

    family = "duration"
    is_ordered = supports_arithmetic = True
    arithmetic_rank = 3
    accepts = "timedeltas and text of them"

    @overload
    def __init__(
        self: Duration[datetime.timedelta], *, allow_null: Literal[False] = ..., **options: Unpack[FieldOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: Duration[datetime.timedelta | None], *, allow_null: Literal[True], **options: Unpack[FieldOptions]
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return DurationValidator(**options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.Duration()

    def fast_check(self) -> Inline | None:
        return Inline("type({v}) is {timedelta}", timedelta=datetime.timedelta)

    def convert(self, value: Any) -> datetime.timedelta:
        return value if isinstance(value, datetime.timedelta) else parse_duration(value)

    def to_json(self, value: Any) -> float:
        """The duration in seconds."""
        seconds: float = value.total_seconds()
        return seconds

    def from_json(self, value: Any) -> Any:
        return self.to_python(value if isinstance(value, str) else datetime.timedelta(seconds=value))


class Interval(Field[T]):
    """An `orm.Period`: months, days and a time (PostgreSQL).

    A `datetime.timedelta` and ISO 8601 text (``P1Y6M``) are accepted as well. Added to a date or datetime in a query, a
    month leads to the same day of the next month. On other databases creating the table raises
    `orm.NotSupportedError`: use `Duration` for times of a fixed length.
    """

    family = "duration"
    is_ordered = supports_arithmetic = True
    is_pageable = False
    arithmetic_rank = 4
    accepts = "periods, timedeltas and ISO 8601 text such as 'P1Y6M'"
    exact_type = Period

    @overload
    def __init__(
        self: Interval[Period], *, allow_null: Literal[False] = ..., **options: Unpack[FieldOptions]
    ) -> None: ...

    @overload
    def __init__(
        self: Interval[Period | None], *, allow_null: Literal[True], **options: Unpack[FieldOptions]
    ) -> None: ...

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def build_validator(self, **options: Any) -> typesystem.Field:
        return ConvertingValidator(self, **options)

    def column_type(self) -> TypeEngine[Any]:
        return column_types.Interval()

    def convert(self, value: Any) -> Period:
        if isinstance(value, Period):
            return value
        if isinstance(value, datetime.timedelta):
            return Period.of(value)
        if isinstance(value, str):
            return Period.parse(value)
        raise TypeError

    def to_json(self, value: Any) -> str:
        """The period in ISO 8601."""
        return str(value)
