"""`Period`: months, days and a time, of which only the last has a fixed length."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

ISO = re.compile(
    r"(?P<sign>[+-])?P(?=.)(?:(?P<years>-?\d+)Y)?(?:(?P<months>-?\d+)M)?(?:(?P<weeks>-?\d+)W)?(?:(?P<days>-?\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>-?\d+)H)?(?:(?P<minutes>-?\d+)M)?(?:(?P<seconds>-?\d+(?:\.\d{1,6})?)S)?)?",
    re.ASCII,
)
NO_TIME = datetime.timedelta()
MICROSECOND = datetime.timedelta(microseconds=1)


@dataclass(frozen=True)
class Period:
    """Months, days and a time: what is added to a date to get to the same day of a later month.

        await Contract.objects.create(term=orm.Period(months=18, days=3))

    Two periods are equal if all three parts are. (PostgreSQL compares them with 30 days a month and 24 hours a day.)
    """

    months: int = 0
    days: int = 0
    time: datetime.timedelta = NO_TIME

    @classmethod
    def of(cls, duration: datetime.timedelta) -> Period:
        """The days and the time of a duration."""
        return cls(0, duration.days, datetime.timedelta(0, duration.seconds, duration.microseconds))

    @classmethod
    def parse(cls, text: str) -> Period:
        """The period of an ISO 8601 text such as ``P1Y6M3DT4H30M``. Raises ValueError for anything else."""
        match = ISO.fullmatch(text)
        if match is None:
            raise ValueError("A period is written like P1Y6M3DT4H30M.")
        sign = -1 if match["sign"] == "-" else 1
        years, months, weeks, days, hours, minutes = (
            sign * int(match[name] or 0) for name in ("years", "months", "weeks", "days", "hours", "minutes")
        )
        whole, _, fraction = (match["seconds"] or "0").partition(".")
        microseconds = int(whole + fraction.ljust(6, "0")) * sign
        return cls(
            12 * years + months,
            7 * weeks + days,
            datetime.timedelta(hours=hours, minutes=minutes, microseconds=microseconds),
        )

    def __str__(self) -> str:
        years, months = _split(self.months, 12)
        total, microseconds = _split(self.time // MICROSECOND, 1_000_000)
        minutes, seconds = _split(total, 60)
        hours, minutes = _split(minutes, 60)
        day = "".join(f"{number}{unit}" for number, unit in ((years, "Y"), (months, "M"), (self.days, "D")) if number)
        clock = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M")) if number)
        if seconds or microseconds:
            sign = "-" if seconds < 0 or microseconds < 0 else ""
            fraction = f".{abs(microseconds):06}".rstrip("0") if microseconds else ""
            clock += f"{sign}{abs(seconds)}{fraction}S"
        return f"P{day}T{clock}" if clock else f"P{day or '0D'}"


def _split(number: int, unit: int) -> tuple[int, int]:
    """The whole units in a number, and the rest, both with its sign."""
    sign = -1 if number < 0 else 1
    return sign * (abs(number) // unit), sign * (abs(number) % unit)
