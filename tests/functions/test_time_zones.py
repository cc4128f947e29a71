"""Parts and truncation of aware datetimes in time zones, compared with Python's."""

from __future__ import annotations

import datetime
import itertools
import zoneinfo
from collections.abc import Callable

import pytest

import orm
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from orm.database.types.time_zones import clock_changes, zone_name
from orm.functions import Extract, Trunc, TruncDate, TruncTime
from tests.sample_models.all_column_types import Face, Thing, models

pytestmark = pytest.mark.anyio

UTC = datetime.timezone.utc
ZONES: list[datetime.tzinfo] = [
    zoneinfo.ZoneInfo("Europe/Berlin"),
    zoneinfo.ZoneInfo("America/New_York"),
    zoneinfo.ZoneInfo("Asia/Kathmandu"),
    zoneinfo.ZoneInfo("America/Sao_Paulo"),
    zoneinfo.ZoneInfo("Australia/Lord_Howe"),
    zoneinfo.ZoneInfo("UTC"),
    UTC,
    datetime.timezone(datetime.timedelta(hours=5, minutes=30)),
    datetime.timezone(-datetime.timedelta(hours=9, minutes=30)),
]
# Around the clock changes of Berlin and New York, before 1970 and after 2037.
MOMENTS = [
    datetime.datetime(2024, 3, 31, 0, 59, 59, 999999, tzinfo=UTC),
    datetime.datetime(2024, 3, 31, 1, 0, tzinfo=UTC),
    datetime.datetime(2024, 10, 27, 0, 30, tzinfo=UTC),
    datetime.datetime(2024, 10, 27, 1, 30, 15, 5, tzinfo=UTC),
    datetime.datetime(2024, 11, 3, 5, 30, tzinfo=UTC),
    datetime.datetime(2024, 11, 3, 6, 30, tzinfo=UTC),
    datetime.datetime(2023, 12, 31, 23, 30, tzinfo=UTC),
    datetime.datetime(1965, 7, 1, 3, 45, 1, tzinfo=UTC),
    datetime.datetime(2066, 7, 1, 3, 45, 1, tzinfo=UTC),
    datetime.datetime(2010, 10, 17, 4, 0, tzinfo=UTC),
]
PARTS: dict[str, Callable[[datetime.datetime], int]] = {
    "year": lambda m: m.year,
    "iso_year": lambda m: m.isocalendar()[0],
    "quarter": lambda m: (m.month + 2) // 3,
    "month": lambda m: m.month,
    "week": lambda m: m.isocalendar()[1],
    "day": lambda m: m.day,
    "week_day": lambda m: m.isoweekday() % 7 + 1,
    "iso_week_day": lambda m: m.isoweekday(),
    "hour": lambda m: m.hour,
    "minute": lambda m: m.minute,
    "second": lambda m: m.second,
}
UNITS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")


def began(moment: datetime.datetime, unit: str) -> datetime.datetime:
    """The moment truncated to the unit, in its own time zone."""
    if unit in ("hour", "minute", "second"):
        left = {"microsecond": 0, **({} if unit == "second" else {"second": 0})}
        return moment.replace(**left, **({"minute": 0} if unit == "hour" else {}))  # type: ignore[arg-type]
    day = moment.date()
    if unit == "week":
        day -= datetime.timedelta(days=day.weekday())
    elif unit != "day":
        month = {"year": 1, "quarter": (day.month - 1) // 3 * 3 + 1, "month": day.month}[unit]
        day = day.replace(month=month, day=1)
    return datetime.datetime.combine(day, datetime.time.min, moment.tzinfo)


@pytest.fixture
async def moments(database: Database) -> list[datetime.datetime]:
    """Rows with these datetimes: those that the server's tables of time zones cover, if it has any."""
    models.database = database
    await models.create_all()
    await dialect_of(database)
    by_the_server = "CONVERT_TZ" in str(Thing.objects.annotate(f_d=TruncDate("moment", tzinfo=ZONES[0])).sql)
    covered = [m for m in MOMENTS if not by_the_server or 1970 <= m.year <= 2037]
    await Thing.objects.bulk_create([{"moment": moment} for moment in covered])
    return covered


async def test_extract_in_time_zone_returns_local_parts(moments: list[datetime.datetime]) -> None:
    for zone in ZONES:
        rows = (
            await Thing.objects.order_by("id")
            .annotate(**{f"in_{part}": Extract("moment", part, tzinfo=zone) for part in PARTS})
            .values(*(f"in_{part}" for part in PARTS))
        )
        for row, moment in zip(rows, moments, strict=True):
            local = moment.astimezone(zone)
            assert row == {f"in_{part}": of(local) for part, of in PARTS.items()}, (zone, moment)


async def test_trunc_in_time_zone_returns_local_beginnings(moments: list[datetime.datetime]) -> None:
    for zone in ZONES:
        rows = (
            await Thing.objects.order_by("id")
            .annotate(**{f"in_{unit}": Trunc("moment", unit, tzinfo=zone) for unit in UNITS})
            .values(*(f"in_{unit}" for unit in UNITS))
        )
        for row, moment in zip(rows, moments, strict=True):
            for unit in UNITS:
                expected = began(moment.astimezone(zone), unit)
                value = row[f"in_{unit}"]
                # As instants: equal datetimes of one zone may be an hour apart.
                assert value.astimezone(UTC) == expected.astimezone(UTC), (zone, moment, unit)
                assert value.utcoffset() == expected.astimezone(UTC).astimezone(zone).utcoffset()


async def test_trunc_date_and_time_in_time_zone_return_local_values(moments: list[datetime.datetime]) -> None:
    for zone in ZONES:
        rows = (
            await Thing.objects.order_by("id")
            .annotate(
                f_d=TruncDate("moment", tzinfo=zone),
                f_t=TruncTime("moment", tzinfo=zone),
                f_m=Trunc("moment", "month", output_field=orm.Date(), tzinfo=zone),
                f_h=Trunc("moment", "hour", output_field=orm.Time(), tzinfo=zone),
                f_f=Trunc("moment", "day", output_field=orm.DateTime(), tzinfo=zone),
            )
            .values_list("f_d", "f_t", "f_m", "f_h", "f_f")
        )
        for row, moment in zip(rows, moments, strict=True):
            local = moment.astimezone(zone)
            day = datetime.datetime.combine(local.date(), datetime.time.min)
            hour = local.time().replace(minute=0, second=0, microsecond=0)
            assert row == (local.date(), local.time(), local.date().replace(day=1), hour, day)


async def test_trunc_of_aware_datetime_can_be_compared_as_instant(moments: list[datetime.datetime]) -> None:
    """They can be compared with, grouped by and ordered by."""
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    month = Trunc("moment", "month", tzinfo=zone)
    january = datetime.datetime(2024, 1, 1, tzinfo=zone)
    assert [t.moment for t in await Thing.objects.annotate(month=month).filter(month=january)] == [moments[6]]
    groups = await Thing.objects.annotate(month=month).values("month").annotate(c=orm.Count("id")).order_by("month")
    days = sorted(m.astimezone(zone).date().replace(day=1) for m in moments)
    expected = [(key, len(list(of))) for key, of in itertools.groupby(days)]
    assert [(g["month"].date(), g["c"]) for g in groups] == expected


async def test_naive_datetime_has_parts_without_zone_and_refuses_tzinfo(things: Database) -> None:
    rows = (
        await Face.objects.order_by("id")
        .annotate(hour=Extract("shown", "hour"), month=Trunc("shown", "month"), day=TruncDate("shown"))
        .values_list("hour", "month", "day")
    )
    assert rows == [
        (0, datetime.datetime(2024, 1, 1), datetime.date(2024, 1, 1)),
        (12, datetime.datetime(2021, 1, 1), datetime.date(2021, 1, 3)),
        (None, None, None),
    ]
    assert [f.id for f in await Face.objects.filter(shown__year=2024)] == [1]
    with pytest.raises(orm.QueryError, match="timezone=True"):
        Face.objects.annotate(hour=Extract("shown", "hour", tzinfo=UTC))


def test_zone_name_accepts_zoneinfo_and_utc_offsets() -> None:
    assert zone_name(None) == zone_name(UTC) == "UTC"
    assert zone_name(zoneinfo.ZoneInfo("America/Argentina/Buenos_Aires")) == "America/Argentina/Buenos_Aires"
    assert zone_name(datetime.timezone(datetime.timedelta(hours=-1))) == "-3600"

    class Hostile(datetime.tzinfo):
        key = "UTC'; DROP TABLE thing; --"

    with pytest.raises(orm.QueryError):
        zone_name(Hostile())


@pytest.mark.parametrize("name", ["Europe/Berlin", "Africa/Casablanca", "America/Recife", "Asia/Gaza", "Etc/GMT+3"])
def test_clock_changes_equal_those_of_zoneinfo(name: str) -> None:
    moments, offsets = clock_changes(name)
    zone = zoneinfo.ZoneInfo(name)
    assert len(offsets) == len(moments) + 1
    for moment, before, after in zip(moments, offsets, offsets[1:], strict=False):
        at = moment.replace(tzinfo=UTC)
        for instant, offset in ((at, after), (at - datetime.timedelta(seconds=1), before)):
            assert instant.astimezone(zone).utcoffset() == datetime.timedelta(seconds=offset)
