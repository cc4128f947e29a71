"""``get_level_display()``, ``get_next_by_day()`` and ``get_previous_by_day()``."""

from __future__ import annotations

import datetime
import enum
from collections.abc import AsyncIterator
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database

models = orm.ModelRegistry()


class Color(enum.Enum):
    RED = "r"
    BLUE = "b"


class Visit(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    day = orm.Date()
    closed = orm.Date(allow_null=True)
    level: Any = orm.Integer(choices={1: "low", "More": {2: "high"}}, allow_null=True)
    kind: Any = orm.String(max_length=9, choices=[("Group", [("a", "An A")]), ("b", "A B")], default="a")
    color: Any = orm.Enum(Color, default=Color.RED)
    mood: Any = orm.String(max_length=9, choices=["good", "bad"], default="good")
    size: Any = orm.Integer(choices=lambda: [(number, f"size {number}") for number in range(3)], default=1)
    place: Any = orm.JSON(choices=[([1, 2], "the yard"), ({"x": 1}, "the hall")], default=lambda: [1, 2])

    def get_mood_display(self) -> str:
        return "my own"


@pytest.fixture
async def visits(database: Database) -> AsyncIterator[list[Visit]]:
    models.database = database
    await models.create_all()
    days = (3, 1, 2, 2)
    yield await Visit.objects.bulk_create([Visit(day=datetime.date(2024, 1, day), level=1) for day in days])


def test_display_is_the_label_of_the_value() -> None:
    visit: Any = Visit(day=datetime.date(2024, 1, 1), level=2, kind="a")
    assert (visit.get_level_display(), visit.get_kind_display(), visit.get_mood_display()) == ("high", "An A", "my own")
    assert (visit.get_size_display(), visit.get_place_display()) == ("size 1", "the yard")
    assert not hasattr(visit, "get_day_display")


def test_display_of_another_value_is_the_value_as_in_django() -> None:
    visit: Any = Visit(day=datetime.date(2024, 1, 1), level=None, kind="a")
    visit.kind, visit.size = "unknown", 9
    assert (visit.get_level_display(), visit.get_kind_display(), visit.get_size_display()) == (None, "unknown", 9)
    assert not hasattr(visit, "get_day_display")


async def test_next_and_previous_follow_the_date_and_then_the_key(visits: list[Visit]) -> None:

    third: Any
    first: Any
    second: Any
    same: Any
    third, first, second, same = visits
    assert await first.get_next_by_day() == second
    assert await second.get_next_by_day() == same
    assert await same.get_next_by_day() == third
    assert await same.get_previous_by_day() == second
    assert await first.get_next_by_day(day__gt=datetime.date(2024, 1, 2)) == third
    with pytest.raises(Visit.DoesNotExist, match="No Visit is beyond this one by day"):
        await third.get_next_by_day()
    with pytest.raises(orm.QueryError, match="save it first"):
        await Visit(day=datetime.date(2024, 1, 1)).get_next_by_day()  # type: ignore[attr-defined]
    assert not hasattr(Visit, "get_next_by_closed")
