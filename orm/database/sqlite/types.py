"""How SQLite keeps values: integers, floats, text and bytes are all it has."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import types as sqltypes

from orm.database.storage import (
    UTC,
    Process,
    Storage,
    Types,
    Unstorable,
    as_bool,
    bind_decimal,
    bind_integer,
    bind_naive,
    integer_type,
    json_to_text,
    require_aware,
    round_to,
    text_to_json,
    to_utc,
)
from orm.exceptions import NotSupportedError

#: A REAL keeps every decimal of so many significant digits.
DIGITS = 15


class SQLiteTypes(Types):
    """Storage on SQLite. Dates and times are ISO text, in the formats of SQLAlchemy."""

    def integer(self, bits: int, primary_key: bool) -> Storage:
        # Only a primary key of the type INTEGER counts up by itself, and every integer has 64 bits.
        return Storage(sqltypes.Integer() if primary_key else integer_type(bits), bind_integer(64))

    def float(self) -> Storage:
        return super().float()._replace(sql_type=sqltypes.Float())

    def decimal(self, max_digits: int | None, decimal_places: int | None) -> Storage:
        return Storage(
            sqltypes.Numeric(max_digits, decimal_places),
            bind_number(max_digits, decimal_places),
            number_to_decimal(decimal_places),
        )

    def boolean(self) -> Storage:
        return Storage(sqltypes.Boolean(), as_bool, as_bool)

    def date(self) -> Storage:
        return Storage(sqltypes.Date(), date_to_text, text_to_date)

    def time(self) -> Storage:
        return Storage(sqltypes.Time(), time_to_text, text_to_time)

    def datetime(self, timezone: bool) -> Storage:
        if timezone:
            return Storage(sqltypes.DateTime(), aware_to_text, text_to_aware)
        return Storage(sqltypes.DateTime(), naive_to_text, text_to_naive)

    def json(self) -> Storage:
        # A column declared JSON has NUMERIC affinity, which turns the text 1.0 into the integer 1.
        return Storage(sqltypes.Text(), json_to_text, text_to_json)

    def array(self, item: Storage) -> Storage:
        raise NotSupportedError("SQLite has no arrays: use orm.JSON() for the column.")


def bind_number(max_digits: int | None, decimal_places: int | None) -> Process:
    """A decimal as the integer or float that NUMERIC affinity keeps exactly."""
    bind = bind_decimal(max_digits, decimal_places)
    column = max_digits is not None

    def bind_as_number(value: Any) -> int | float | None:
        decimal: Decimal | None = bind(value)
        if decimal is None:
            return None
        if decimal == decimal.to_integral_value() and abs(decimal) < 1 << 63:
            return int(decimal)
        if column and len(decimal.normalize().as_tuple().digits) > DIGITS:
            raise Unstorable(f"Must have no more than {DIGITS} significant digits on SQLite.")
        return float(decimal)

    return bind_as_number


def number_to_decimal(decimal_places: int | None) -> Process:
    """The decimal of a stored number, with the column's digits after the point."""

    def result(value: Any) -> Decimal | None:
        if value is None:
            return None
        # The shortest text of a float has the digits that were written.
        decimal = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        return decimal if decimal_places is None else round_to(decimal, decimal_places)

    return result


def date_to_text(value: Any) -> str | None:
    if value is None:
        return None
    day: datetime.date = value.date() if isinstance(value, datetime.datetime) else value
    return day.isoformat()


def text_to_date(value: Any) -> datetime.date | None:
    return None if value is None else datetime.date.fromisoformat(value)


def time_to_text(value: Any) -> str | None:
    return None if value is None else value.isoformat("microseconds")


def text_to_time(value: Any) -> datetime.time | None:
    return None if value is None else datetime.time.fromisoformat(value)


def naive_to_text(value: Any) -> str | None:
    return None if value is None else bind_naive(value).isoformat(" ", "microseconds")


def text_to_naive(value: Any) -> datetime.datetime | None:
    return None if value is None else datetime.datetime.fromisoformat(value)


def aware_to_text(value: Any) -> str | None:
    if value is None:
        return None
    return to_utc(require_aware(value)).replace(tzinfo=None).isoformat(" ", "microseconds")


def text_to_aware(value: Any) -> datetime.datetime | None:
    if value is None:
        return None
    moment = datetime.datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
