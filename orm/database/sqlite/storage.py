"""How SQLite stores values: it has integers, floats, text and bytes."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from typing import Any

from sqlalchemy import types as sqltypes

from orm.database.json_arrays import json_array
from orm.database.storage import (
    EXACT,
    UTC,
    Process,
    Storage,
    StorageTypes,
    UnstorableValue,
    as_bool,
    bind_decimal,
    bind_integer,
    bind_naive,
    bind_text,
    digits_to_uuid,
    fits_source,
    integer_type,
    json_to_text,
    require_aware,
    text_to_json,
    to_utc,
)
from orm.exceptions import DataError
from orm.utils.codegen import Inline, function_of

#: The number of significant digits of a decimal that a REAL always preserves.
DIGITS = 15


class SQLiteTypes(StorageTypes):
    """Storage on SQLite. Dates and times are ISO text in the formats of SQLAlchemy."""

    def integer(self, bits: int, primary_key: bool) -> Storage:
        # Only an INTEGER primary key is generated. All integers have 64 bits.
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
        return Storage(sqltypes.Boolean(), as_bool, number_to_bool)

    def regular_expression(self) -> Storage:
        return self.text()._replace(bind=bind_expression)

    def date(self) -> Storage:
        return Storage(sqltypes.Date(), date_to_text, text_to_date)

    def time(self) -> Storage:
        return Storage(sqltypes.Time(), time_to_text, text_to_time)

    def datetime(self, timezone: bool) -> Storage:
        if timezone:
            return Storage(sqltypes.DateTime(), aware_to_text, text_to_aware)
        return Storage(sqltypes.DateTime(), naive_to_text, text_to_naive)

    def uuid(self) -> Storage:
        return super().uuid()._replace(result=digits_to_uuid)

    def json(self) -> Storage:
        # A column declared as JSON has NUMERIC affinity, which converts the text 1.0 to the integer 1.
        return Storage(sqltypes.Text(), json_to_text, text_to_json)

    def array(self, item: Storage, what: str) -> Storage:
        return json_array(sqltypes.Text(), item, what, objects=False)


def _refuse_bool(value: Any) -> bool:
    raise DataError("SQLite's booleans are the numbers 0 and 1, with which filters compare.")


number_to_bool = Inline("None if {v} is None else {v} != 0 if type({v}) is int else {refuse}({v})", refuse=_refuse_bool)


def bind_number(max_digits: int | None, decimal_places: int | None) -> Process:
    """A conversion of decimals to the integer or float that NUMERIC affinity stores exactly."""
    bind = function_of(bind_decimal(max_digits, decimal_places))
    column = max_digits is not None

    def bind_as_number(value: Any) -> int | float | None:
        decimal: Decimal | None = bind(value)
        if decimal is None:
            return None
        if decimal == decimal.to_integral_value() and abs(decimal) < 1 << 63:
            return int(decimal)
        if column and len(EXACT.normalize(decimal).as_tuple().digits) > DIGITS:
            raise UnstorableValue(f"Must have no more than {DIGITS} significant digits on SQLite.")
        return float(decimal)

    if max_digits is None or decimal_places is None:
        return bind_as_number
    # The common case: a float preserves all digits.
    test, names = fits_source(min(max_digits, DIGITS), min(decimal_places, max_digits, DIGITS))
    return Inline(
        f"(int({{v}}) if int({{v}}) == {{v}} else float({{v}})) if type({{v}}) is {{Decimal}} and {test} "
        "else {bind}({v})",
        bind=bind_as_number,
        **names,
    )


def number_to_decimal(decimal_places: int | None) -> Process:
    """A conversion of stored numbers to decimals with the column's digits after the point."""
    # repr() of a float has the digits that were stored.
    if decimal_places is None:
        return Inline("None if {v} is None else {Decimal}(str({v}))", Decimal=Decimal)
    return Inline(
        "None if {v} is None else {quantize}({Decimal}(str({v})), {unit})",
        Decimal=Decimal,
        quantize=EXACT.quantize,
        unit=Decimal(1).scaleb(-decimal_places),
    )


check_text = function_of(bind_text)


def bind_expression(pattern: Any) -> Any:
    """A regular expression of Python's. Refused before the query is sent: SQLite reads it for the first row."""
    if pattern is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            raise DataError(f"invalid regular expression: {error.msg}") from None
    return check_text(pattern)


# A datetime is also a date: its text begins with the day.
date_to_text = Inline("None if {v} is None else {v}.isoformat()[:10]")
text_to_date = Inline("None if {v} is None else {parse}({v})", parse=datetime.date.fromisoformat)

#: The texts that the comparisons of `SQLiteDialect` know, of times and of datetimes.
TIME_TEXT = re.compile(r"\d\d:\d\d:\d\d(\.\d{1,6})?")
DATETIME_TEXT = re.compile(r"\d{4}-\d\d-\d\d " + TIME_TEXT.pattern)


def _checked(pattern: re.Pattern[str], text: Any, form: str) -> str:
    """The text with six digits in its fraction. Refused if comparisons would not find it."""
    if isinstance(text, str) and pattern.fullmatch(text):
        whole, _, fraction = text.partition(".")
        return f"{whole}.{fraction:0<6}"
    raise DataError(f"SQLite compares its texts, so they are written as {form}: change them with an UPDATE.")


def _text_to_time(text: Any) -> datetime.time:
    return datetime.time.fromisoformat(_checked(TIME_TEXT, text, "hh:mm:ss.ffffff"))


def _text_to_naive(text: Any) -> datetime.datetime:
    return datetime.datetime.fromisoformat(_checked(DATETIME_TEXT, text, "YYYY-MM-DD hh:mm:ss.ffffff"))


time_to_text = Inline("None if {v} is None else {v}.isoformat('microseconds')")
text_to_time = Inline(
    "None if {v} is None else {parse}({v}) if len({v}) == 15 and {v}[2] == ':' else {read}({v})",
    parse=datetime.time.fromisoformat,
    read=_text_to_time,
)

naive_to_text = Inline(
    "None if {v} is None else {v}.isoformat(' ', 'microseconds') if {v}.tzinfo is None else {bind}({v})",
    bind=function_of(bind_naive),
)
# Texts that are written here have 26 characters, of which the last six are digits.
text_to_naive = Inline(
    "None if {v} is None else {parse}({v}) "
    "if len({v}) == 26 and {v}[10] == ' ' and {v}[-6:].isdigit() else {read}({v})",
    parse=datetime.datetime.fromisoformat,
    read=_text_to_naive,
)


def _aware_to_text(value: datetime.datetime) -> str:
    return to_utc(require_aware(value)).replace(tzinfo=None).isoformat(" ", "microseconds")


def _text_to_aware(text: Any) -> datetime.datetime:
    return _text_to_naive(text).replace(tzinfo=UTC)


aware_to_text = Inline("None if {v} is None else {bind}({v})", bind=_aware_to_text)
text_to_aware = Inline(
    "None if {v} is None else {parse}({v} + '+00:00') "
    "if len({v}) == 26 and {v}[10] == ' ' and {v}[-6:].isdigit() else {read}({v})",
    parse=datetime.datetime.fromisoformat,
    read=_text_to_aware,
)
