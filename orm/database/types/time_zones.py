"""Time zones by name, as they are written into SQL, and their clock changes for servers that have no time zones."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from functools import cache, lru_cache

from orm.exceptions import QueryError

UTC_NAME = "UTC"
KEY = re.compile(r"[A-Za-z0-9_+\-]+(?:/[A-Za-z0-9_+\-]+)*")
UTC_ZONE = datetime.timezone.utc
#: Clock changes are found in these years (UTC). Before and after them, the first and the last offset apply.
FIRST_YEAR, LAST_YEAR = 1880, 2100
#: In seconds; no two changes that cancel each other out are closer in any zone.
STEP = 5 * 24 * 3600


def zone_name(zone: datetime.tzinfo | None) -> str:
    """The name of a `zoneinfo.ZoneInfo`, or the offset of a `datetime.timezone` in seconds; UTC for None.

    Raises `QueryError` for other time zones.
    """
    if zone is None:
        return UTC_NAME
    if isinstance(zone, datetime.timezone):
        seconds = int(zone.utcoffset(None).total_seconds())
        return f"{seconds:+d}" if seconds else UTC_NAME
    key = getattr(zone, "key", None)
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise QueryError(
            f"A time zone is a zoneinfo.ZoneInfo or a datetime.timezone; got {type(zone).__name__} without a name."
        )
    return key


def fixed_offset(name: str) -> int | None:
    """The offset from UTC in seconds, if the zone has only the one."""
    if name == UTC_NAME:
        return 0
    return int(name) if name[0] in "+-" else None


@cache
def zone_of(name: str) -> datetime.tzinfo:
    """The time zone that has this `zone_name`."""
    offset = fixed_offset(name)
    if offset is None:
        return zoneinfo.ZoneInfo(name)
    return UTC_ZONE if not offset else datetime.timezone(datetime.timedelta(seconds=offset))


@lru_cache(maxsize=64)
def clock_changes(name: str) -> tuple[tuple[datetime.datetime, ...], tuple[int, ...]]:
    """The times (UTC, naive) at which a zone's offset changes, and the offsets before, between and after them."""
    zone = zone_of(name)
    start, end = (
        int(datetime.datetime(year, 1, 1, tzinfo=UTC_ZONE).timestamp()) for year in (FIRST_YEAR, LAST_YEAR + 1)
    )

    def offset(second: int) -> int:
        difference = datetime.datetime.fromtimestamp(second, zone).utcoffset()
        assert difference is not None
        return int(difference.total_seconds())

    moments: list[datetime.datetime] = []
    offsets = [offset(start)]
    before = start
    while before < end:
        after = min(before + STEP, end)
        if offset(after) == offsets[-1]:
            before = after
            continue
        low, high = before, after
        while high - low > 1:
            middle = (low + high) // 2
            if offset(middle) == offsets[-1]:
                low = middle
            else:
                high = middle
        moments.append(datetime.datetime.fromtimestamp(high, UTC_ZONE).replace(tzinfo=None))
        offsets.append(offset(high))
        before = high
    return tuple(moments), tuple(offsets)
