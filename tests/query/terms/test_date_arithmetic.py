"""Arithmetic with dates, times and durations has the same results on every database."""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import orm

models = orm.ModelRegistry()
HOUR = dt.timedelta(hours=1)


class Event(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    begins = orm.DateTime()
    planned = orm.DateTime()
    day = orm.Date()
    instant = orm.DateTime(timezone=True)
    clock = orm.Time()
    lasts = orm.Duration()


@pytest.fixture
async def event(database: orm.Database) -> AsyncIterator[Event]:
    models.database = database
    await models.create_all()
    yield await Event.objects.create(
        begins=dt.datetime(2024, 1, 31, 23, 30, 0, 5),
        planned=dt.datetime(2024, 1, 1),
        day=dt.date(2024, 2, 28),
        instant=dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc),
        clock=dt.time(23),
        lasts=dt.timedelta(hours=2, microseconds=7),
    )


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (Event.begins + HOUR, dt.datetime(2024, 2, 1, 0, 30, 0, 5)),
        (HOUR + orm.F("planned"), dt.datetime(2024, 1, 1, 1)),
        (Event.begins - Event.planned, dt.timedelta(days=30, hours=23, minutes=30, microseconds=5)),
        (Event.planned - Event.begins, -dt.timedelta(days=30, hours=23, minutes=30, microseconds=5)),
        (Event.begins + orm.F("lasts"), dt.datetime(2024, 2, 1, 1, 30, 0, 12)),
        (Event.day + dt.timedelta(days=2), dt.datetime(2024, 3, 1)),
        (Event.instant - HOUR, dt.datetime(2023, 12, 31, 23, tzinfo=dt.timezone.utc)),
        (Event.clock + 2 * HOUR, dt.time(1)),
        (orm.F("lasts") + HOUR, dt.timedelta(hours=3, microseconds=7)),
    ],
    ids=str,
)
async def test_date_arithmetic_computes_what_python_computes(
    event: Event, expression: orm.Expression[object], expected: object
) -> None:
    assert await Event.objects.annotate(found=expression).values_list("found", flat=True) == [expected]
    assert await Event.objects.filter(expression == expected).count() == 1
    assert await Event.objects.exclude(expression == expected).count() == 0


async def test_date_arithmetic_in_conditions_and_updates(event: Event) -> None:
    assert await Event.objects.filter(begins__gt=orm.F("planned") + 30 * 24 * HOUR).exists()
    assert not await Event.objects.filter(Event.begins - Event.planned > 31 * 24 * HOUR).exists()
    await Event.objects.update(begins=Event.begins + HOUR)
    assert (await Event.objects.get()).begins == dt.datetime(2024, 2, 1, 0, 30, 0, 5)


async def test_invalid_date_arithmetic_raises() -> None:
    with pytest.raises(orm.QueryError, match="makes no sense"):
        Event.objects.annotate(twice=orm.F("begins") * 2)


class Shift(orm.Model):
    """A moment of each type to shift, and one of each type to compare with."""

    registry = models

    id = orm.Integer(primary_key=True)
    day = orm.Date()
    begins = orm.DateTime()
    instant = orm.DateTime(timezone=True)
    clock = orm.Time()
    lasts = orm.Duration()
    other_day = orm.Date()
    other_begins = orm.DateTime()
    other_instant = orm.DateTime(timezone=True)
    other_clock = orm.Time()


DURATIONS = (
    dt.timedelta(0),
    dt.timedelta(days=1),
    dt.timedelta(days=-2),
    dt.timedelta(hours=12),
    dt.timedelta(hours=-3),
    dt.timedelta(days=1, hours=5),
    dt.timedelta(seconds=1, milliseconds=500),
    dt.timedelta(microseconds=-1),
)
OFFSETS = (*DURATIONS, dt.timedelta(days=-1), dt.timedelta(days=2), dt.timedelta(hours=-12), dt.timedelta(hours=3))
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "exact": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda value, other: value == other,
}
SIGNS: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub}
STAMPS = ("day", "begins", "instant")
UTC = dt.timezone.utc


def stamp(value: Any) -> Any:
    """A date or datetime as a local datetime in UTC, a time as it is."""
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None)
    return dt.datetime.combine(value, dt.time()) if isinstance(value, dt.date) else value


def as_value_of(name: str, value: Any) -> Any:
    """What a field stores of a `stamp`, or of a time."""
    if name.endswith("day"):
        return value.date()
    if name.endswith("instant"):
        return value.replace(tzinfo=UTC)
    return value.time() if name.endswith("clock") and isinstance(value, dt.datetime) else value


def shifted(value: Any, sign: str, duration: dt.timedelta) -> Any:
    """What Python computes: a `stamp`, or a time that wraps around at midnight."""
    if isinstance(value, dt.time):
        return SIGNS[sign](dt.datetime.combine(dt.date(2024, 1, 1), value), duration).time()
    return SIGNS[sign](stamp(value), duration)


@pytest.fixture
async def shifts(database: orm.Database) -> list[Shift]:
    """Rows whose pairs of moments are equal, or lie apart by less and more than what they are shifted by."""
    models.database = database
    await models.create_all()
    begins = (dt.datetime(2024, 2, 28), dt.datetime(2024, 12, 31, 23, 59, 59, 999999), dt.datetime(1969, 7, 20, 12))
    rows = []
    for number, offset in enumerate(OFFSETS):
        start = begins[number % len(begins)]
        other = start + offset
        values = {name: as_value_of(name, start) for name in (*STAMPS, "clock")}
        others = {f"other_{name}": as_value_of(name, other) for name in (*STAMPS, "clock")}
        rows.append(Shift(id=number + 1, lasts=offset, **values, **others))
    await Shift.objects.bulk_create(rows)
    return rows


def compared_pairs() -> list[tuple[str, str]]:
    """The moment that is shifted, and the column that it is compared with or assigned to."""
    return [(name, f"other_{other}") for name in STAMPS for other in STAMPS] + [("clock", "other_clock")]


def expressions(name: str) -> Iterator[tuple[Any, Callable[[Shift], Any]]]:
    """The moment plus and minus durations: the expression, and what it is of a row."""
    for sign, combine in SIGNS.items():
        for duration in DURATIONS:
            yield (
                combine(orm.F(name), duration),
                lambda row, sign=sign, duration=duration: shifted(getattr(row, name), sign, duration),
            )
        yield combine(orm.F(name), orm.F("lasts")), lambda row, sign=sign: shifted(getattr(row, name), sign, row.lasts)


@pytest.mark.parametrize(("name", "other"), compared_pairs())
async def test_shifted_moments_compare_as_in_python(shifts: list[Shift], name: str, other: str) -> None:
    for expression, value in expressions(name):
        for lookup, holds in COMPARISONS.items():
            expected = [row.id for row in shifts if holds(stamp(getattr(row, other)), value(row))]
            operand = [expression] if lookup == "in" else expression
            query = Shift.objects.order_by("id").values_list("id", flat=True)
            assert await query.filter(**{f"{other}__{lookup}": operand}) == expected, (expression, lookup)
            if lookup in ("exact", "lt"):
                excluded = [row.id for row in shifts if row.id not in expected]
                assert await query.exclude(**{f"{other}__{lookup}": operand}) == excluded, (expression, lookup)


@pytest.mark.parametrize(("name", "other"), compared_pairs())
async def test_shifted_moments_are_assigned_as_values_of_the_field(shifts: list[Shift], name: str, other: str) -> None:
    for expression, value in expressions(name):
        assert await Shift.objects.update(**{other: expression}) == len(shifts)
        expected = [as_value_of(other, value(row)) for row in shifts]
        assert await Shift.objects.order_by("id").values_list(other, flat=True) == expected, expression
        # What was written is found by its value, too.
        assert await Shift.objects.filter(**{other: expected[0], "id": 1}).exists(), expression


@pytest.mark.parametrize("name", [*STAMPS, "clock"])
async def test_shifted_moments_are_read_filtered_and_ordered_as_in_python(shifts: list[Shift], name: str) -> None:
    for expression, value in expressions(name):
        moments = {row.id: value(row) for row in shifts}
        read = as_value_of("begins" if name == "day" else name, moments[1])
        annotated = Shift.objects.annotate(moment=expression)
        assert await annotated.filter(id=1).values_list("moment", flat=True) == [read], expression
        by_moment = sorted(moments, key=lambda key: (moments[key], key))
        assert await annotated.order_by("moment", "id").values_list("id", flat=True) == by_moment, expression
        for lookup, holds in COMPARISONS.items():
            expected = [key for key, moment in moments.items() if holds(moment, moments[1])]
            query = annotated.filter(**{f"moment__{lookup}": [read] if lookup == "in" else read})
            assert await query.order_by("id").values_list("id", flat=True) == expected, (expression, lookup)


async def test_dates_and_datetimes_compare_alike_without_arithmetic_too(shifts: list[Shift]) -> None:
    for name in STAMPS:
        for other in STAMPS:
            expected = [row.id for row in shifts if stamp(getattr(row, f"other_{other}")) >= stamp(getattr(row, name))]
            query = Shift.objects.order_by("id").values_list("id", flat=True)
            assert await query.filter(**{f"other_{other}__gte": orm.F(name)}) == expected, (name, other)
            outer = query.filter(
                orm.Exists(
                    Shift.objects.filter(**{"id": orm.OuterRef("id"), f"{name}__lte": orm.OuterRef(f"other_{other}")})
                )
            )
            assert await outer == expected, (name, other)
            moments = {stamp(getattr(row, name)) for row in shifts}
            expected = [row.id for row in shifts if stamp(getattr(row, f"other_{other}")) in moments]
            assert await query.filter(**{f"other_{other}__in": Shift.objects.values(name)}) == expected, (name, other)


async def test_functions_of_dates_and_datetimes_with_an_output_field_return_its_type(shifts: list[Shift]) -> None:
    later = orm.F("day") + dt.timedelta(days=1)
    expected = [max(row.other_day, row.day + dt.timedelta(days=1)) for row in shifts]
    greatest = orm.functions.Greatest("other_day", later, output_field=orm.Date())
    assert await Shift.objects.annotate(k=greatest).order_by("id").values_list("k", flat=True) == expected
    assert await Shift.objects.annotate(k=greatest).filter(k=orm.F("other_day")).count() == sum(
        row.other_day == day for row, day in zip(shifts, expected, strict=True)
    )
    case = orm.Case(orm.When(id__lte=4, then=later), default="other_day", output_field=orm.Date())
    expected = [row.day + dt.timedelta(days=1) if row.id <= 4 else row.other_day for row in shifts]
    assert await Shift.objects.annotate(k=case).order_by("id").values_list("k", flat=True) == expected
    coalesced = orm.functions.Coalesce("day", "other_begins", output_field=orm.DateTime())
    assert await Shift.objects.annotate(k=coalesced).order_by("id").values_list("k", flat=True) == [
        stamp(row.day) for row in shifts
    ]


async def test_times_of_datetimes_are_found_by_value_and_by_column(shifts: list[Shift]) -> None:
    query = Shift.objects.order_by("id").values_list("id", flat=True)
    for name in ("begins", "other_begins", "other_instant"):
        times = {row.id: getattr(row, name).time() for row in shifts}
        for wanted in (dt.time(), dt.time(12), times[2], times[12]):
            for lookup, holds in COMPARISONS.items():
                operand = [wanted] if lookup == "in" else wanted
                expected = [key for key, time in times.items() if holds(time, wanted)]
                assert await query.filter(**{f"{name}__time__{lookup}": operand}) == expected, (name, lookup, wanted)
                truncated = query.annotate(k=orm.functions.TruncTime(name))
                assert await truncated.filter(**{f"k__{lookup}": operand}) == expected, (name, lookup, wanted)
            expected = [key for key, time in times.items() if dt.time(1) <= time <= wanted]
            assert await query.filter(**{f"{name}__time__range": (dt.time(1), wanted)}) == expected, (name, wanted)
            # Truncated to hours, times have no fraction on any database.
            hours = [key for key, time in times.items() if time.hour == wanted.hour]
            by_hour = query.annotate(k=orm.functions.TruncHour(orm.functions.TruncTime(name)))
            assert await by_hour.filter(k=wanted.replace(minute=0, second=0, microsecond=0)) == hours, (name, wanted)
        expected = [row.id for row in shifts if times[row.id] == row.other_clock]
        assert await query.filter(**{f"{name}__time": orm.F("other_clock")}) == expected, name
        assert await query.filter(other_clock=orm.functions.TruncTime(name)) == expected, name


async def test_bulk_update_and_instances_assign_shifted_dates(shifts: list[Shift]) -> None:
    one, two = shifts[:2]
    before = one.day, two.day
    one.day = orm.F("day") + dt.timedelta(days=1)  # type: ignore[assignment]
    two.day = orm.F("day") + dt.timedelta(days=1)  # type: ignore[assignment]
    await Shift.objects.bulk_update([one, two], ["day"])
    await (await Shift.objects.get(id=2)).update(day=orm.F("day") - dt.timedelta(days=2))
    days = await Shift.objects.filter(id__lte=2).order_by("id").values_list("day", flat=True)
    assert days == [before[0] + dt.timedelta(days=1), before[1] - dt.timedelta(days=1)]
    assert await Shift.objects.filter(id=1, day=days[0]).exists()


async def test_dates_are_midnights_in_utc_whatever_the_sessions_time_zone(
    shifts: list[Shift], database: orm.Database
) -> None:
    async with database.transaction():
        # SQLite has no time zone.
        if database.url.dialect == "postgresql":
            await database.execute("SET LOCAL TIME ZONE 'Asia/Tokyo'")
        elif database.url.dialect == "mysql":
            await database.execute("SET time_zone = '+09:00'")
        midnights = Shift.objects.filter(id__in=[1, 4])
        for name in STAMPS:
            for other in STAMPS:
                assert await midnights.filter(**{name: orm.F(other)}).count() == 2, (name, other)
                assert await midnights.filter(**{f"{name}__in": Shift.objects.values(other)}).count() == 2, (
                    name,
                    other,
                )
                await midnights.update(**{name: orm.F(other)})
                assert await midnights.filter(**{name: as_value_of(name, stamp(shifts[0].begins))}).exists()
        gap = midnights.annotate(gap=orm.F("instant") - orm.F("begins")).values_list("gap", flat=True)
        assert await gap == [dt.timedelta(0)] * 2
