"""Arithmetic with dates, times and durations has the same results on every database."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator

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
