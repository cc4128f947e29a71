"""Local time in MySQL and MariaDB: by the server's tables of time zones, or by a zone's clock changes in the SQL."""

from __future__ import annotations

import datetime
from abc import ABC, abstractmethod

from orm.database.types.time_zones import clock_changes, fixed_offset

HAS_TIME_ZONES = "(CONVERT_TZ('2000-01-01', '+00:00', 'Europe/Berlin') IS NOT NULL)"
LOAD_TIME_ZONES = "mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql -u root mysql"
# TO_SECONDS() counts from the year 0.
YEAR_ZERO = datetime.timedelta(days=366)


class TimeZones(ABC):
    """SQL from an instant in UTC to local time and back, in a zone of `orm.database.types.time_zones`."""

    def to_local(self, instant: str, zone: str) -> str:
        """The local time of an instant."""
        offset = fixed_offset(zone)
        if offset is None:
            return self.named_to_local(instant, zone)
        return f"({instant} + INTERVAL {offset} SECOND)" if offset else instant

    def to_instant(self, local: str, zone: str) -> str:
        """The instant of a local time; the first one of a time that the clock shows twice."""
        offset = fixed_offset(zone)
        if offset is None:
            return self.named_to_instant(local, zone)
        return f"({local} - INTERVAL {offset} SECOND)" if offset else local

    @abstractmethod
    def named_to_local(self, instant: str, zone: str) -> str:
        """`to_local` in a zone that is not a fixed offset."""

    @abstractmethod
    def named_to_instant(self, local: str, zone: str) -> str:
        """`to_instant` in a zone that is not a fixed offset."""


class ServerTimeZones(TimeZones):
    """CONVERT_TZ(), which follows a zone's clock changes from 1970 to 2037."""

    def named_to_local(self, instant: str, zone: str) -> str:
        """`to_local` in a zone that is not a fixed offset."""
        return f"CONVERT_TZ({instant}, '+00:00', {self._existing(zone)})"

    def named_to_instant(self, local: str, zone: str) -> str:
        """`to_instant` in a zone that is not a fixed offset."""
        return f"CONVERT_TZ({local}, {self._existing(zone)}, '+00:00')"

    def _existing(self, zone: str) -> str:
        """The zone, or an error: CONVERT_TZ() is NULL for a zone that the server does not have.

        SQL has no function to raise an error. A number that is out of range is one, which quotes the expression.
        """
        message = f"The server has no time zone {zone}. To load its time zones: {LOAD_TIME_ZONES}"
        known = f"CONVERT_TZ('2000-01-01', '+00:00', '{zone}')"
        return f"IF({known} IS NULL, EXP(999 + LENGTH('{message}')), '{zone}')"


class TimeZonesInSQL(TimeZones):
    """The offset from the zone's clock changes, among which INTERVAL() searches. Needs no tables; the SQL is long."""

    def named_to_local(self, instant: str, zone: str) -> str:
        """`to_local` in a zone that is not a fixed offset."""
        moments, offsets = clock_changes(zone)
        return f"({instant} + INTERVAL {_offset_at(instant, list(map(_seconds, moments)), offsets)} SECOND)"

    def named_to_instant(self, local: str, zone: str) -> str:
        """`to_instant` in a zone that is not a fixed offset."""
        moments, offsets = clock_changes(zone)
        changes = zip(moments, offsets, offsets[1:], strict=False)
        local_changes = [_seconds(moment) + max(before, after) for moment, before, after in changes]
        return f"({local} - INTERVAL {_offset_at(local, local_changes, offsets)} SECOND)"


def _seconds(moment: datetime.datetime) -> int:
    return int((moment - datetime.datetime.min + YEAR_ZERO).total_seconds())


def _offset_at(time: str, changes: list[int], offsets: tuple[int, ...]) -> str:
    if not changes:
        return str(offsets[0])
    position = f"INTERVAL(TO_SECONDS({time}), {', '.join(map(str, changes))})"
    # INTERVAL() of NULL is -1, and ELT() has nothing at 0.
    return f"ELT(1 + {position}, {', '.join(map(str, offsets))})"
