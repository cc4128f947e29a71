"""How SQLite stores values: it has integers, floats, text and bytes."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import types as sqltypes

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
    fits_source,
    integer_type,
    json_to_text,
    require_aware,
    text_to_json,
    to_utc,
)
from orm.exceptions import NotSupportedError
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
        # A column declared as JSON has NUMERIC affinity, which converts the text 1.0 to the integer 1.
        return Storage(sqltypes.Text(), json_to_text, text_to_json)

    def array(self, item: Storage) -> Storage:
        raise NotSupportedError("SQLite has no arrays: use orm.JSON() for the column.")


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
        if column and len(decimal.normalize().as_tuple().digits) > DIGITS:
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


# A datetime is also a date: its text begins with the day.
date_to_text = Inline("None if {v} is None else {v}.isoformat()[:10]")
text_to_date = Inline("None if {v} is None else {parse}({v})", parse=datetime.date.fromisoformat)

time_to_text = Inline("None if {v} is None else {v}.isoformat('microseconds')")
text_to_time = Inline("None if {v} is None else {parse}({v})", parse=datetime.time.fromisoformat)

naive_to_text = Inline(
    "None if {v} is None else {v}.isoformat(' ', 'microseconds') if {v}.tzinfo is None else {bind}({v})",
    bind=function_of(bind_naive),
)
text_to_naive = Inline("None if {v} is None else {parse}({v})", parse=datetime.datetime.fromisoformat)


def _aware_to_text(value: datetime.datetime) -> str:
    return to_utc(require_aware(value)).replace(tzinfo=None).isoformat(" ", "microseconds")


def _text_to_aware(value: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


aware_to_text = Inline("None if {v} is None else {bind}({v})", bind=_aware_to_text)
# Texts that are written here have 26 characters, of which the last six are digits.
text_to_aware = Inline(
    "None if {v} is None else {parse}({v} + '+00:00') if len({v}) == 26 and {v}[-6:].isdigit() else {read}({v})",
    parse=datetime.datetime.fromisoformat,
    read=_text_to_aware,
)
