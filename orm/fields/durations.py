"""The validator of durations, and their text in ISO 8601."""

# ruff: noqa: RUF012 - typesystem keeps the messages of a class in its attribute `errors`.

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from typing import Any

import typesystem

WEEK, DAY, HOUR, MINUTE, SECOND = 604_800, 86_400, 3_600, 60, 1
NUMBER = r"(\d+(?:[.,]\d+)?)"
ISO_DURATION = re.compile(
    rf"([-+]?)P(?:{NUMBER}W)?(?:{NUMBER}D)?(?:T(?:{NUMBER}H)?(?:{NUMBER}M)?(?:{NUMBER}S)?)?", re.ASCII
)
CLOCK_DURATION = re.compile(
    rf"(?:(?P<days>[-+]?\d+)(?: days?,)?\s+)?(?P<sign>[-+]?)"
    rf"(?:(?:(?P<hours>\d+):)?(?P<minutes>\d+):)?(?P<seconds>{NUMBER})",
    re.ASCII,
)


class DurationValidator(typesystem.String):
    """A timedelta, or its text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format="duration", **options)

    errors = {
        "null": "May not be null.",
        "type": "Must be a duration.",
        "format": "Must be a valid duration format.",
    }

    def validate(self, value: Any) -> Any:
        """Return the timedelta. Raises `ValidationError`."""
        if isinstance(value, datetime.timedelta):
            return value
        if self.allow_null and (value is None or value == ""):
            return None
        if value is None:
            raise self.validation_error("null")
        if not isinstance(value, str):
            raise self.validation_error("type")
        try:
            return parse_duration(value.strip())
        except (ValueError, OverflowError):
            raise self.validation_error("format") from None

    def serialize(self, obj: Any) -> Any:
        """Return ISO 8601 text: `P1DT2H30M`."""
        return None if obj is None else format_duration(obj)


def parse_duration(text: str) -> datetime.timedelta:
    """Parse ISO 8601 (`P1DT2H30M`) or `[days ][[hours:]minutes:]seconds[.fraction]`.

    It reads `str(timedelta)`, too. Raises ValueError, or OverflowError for more than a timedelta holds.
    """
    if iso := ISO_DURATION.fullmatch(text):
        sign, *amounts = iso.groups()
        if text[-1] in "PT":
            raise ValueError("a duration without an amount")
        units = (WEEK, DAY, HOUR, MINUTE, SECOND)
        total = sum((_number(n) * unit for n, unit in zip(amounts, units, strict=True)), Decimal(0))
        return _seconds(-total if sign == "-" else total)
    if clock := CLOCK_DURATION.fullmatch(text):
        days, sign, hours, minutes, seconds = clock.group("days", "sign", "hours", "minutes", "seconds")
        total = _number(hours) * HOUR + _number(minutes) * MINUTE + _number(seconds)
        return _seconds(int(days or 0) * DAY + (-total if sign == "-" else total))
    raise ValueError("not a duration")


def _number(text: str | None) -> Decimal:
    return Decimal((text or "0").replace(",", "."))


def _seconds(total: Decimal) -> datetime.timedelta:
    return datetime.timedelta(microseconds=int(total * 1_000_000))


def format_duration(duration: datetime.timedelta) -> str:
    """The ISO 8601 text of a timedelta, which `parse_duration` reads back."""
    sign = "-" if duration < datetime.timedelta(0) else ""
    duration = abs(duration)
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{duration.microseconds:06}".rstrip("0") if duration.microseconds else ""
    return f"{sign}P{duration.days}DT{hours:02}H{minutes:02}M{seconds:02}{fraction}S"
