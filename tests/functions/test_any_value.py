"""`AnyValue`: one of a group's values that are not NULL, of every type."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio

models = orm.ModelRegistry()
KEY = uuid.UUID(int=7)
DAY = datetime.date(2024, 2, 29)


class Row(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    team = orm.Integer()
    text = orm.String(max_length=20, allow_null=True)
    number = orm.Integer(allow_null=True)
    price = orm.Decimal(max_digits=8, decimal_places=2, allow_null=True)
    done = orm.Boolean(allow_null=True)
    key = orm.UUID(allow_null=True)
    day = orm.Date(allow_null=True)


VALUES: dict[str, Any] = {
    "text": "a",
    "number": 3,
    "price": decimal.Decimal("1.50"),
    "done": False,
    "key": KEY,
    "day": DAY,
}


@pytest.fixture
async def rows(database: Database) -> AsyncIterator[Database]:
    models.database = database
    await models.create_all()
    await Row.objects.bulk_create([{"team": 1, **VALUES}, {"team": 1}, {"team": 1, **VALUES}, {"team": 2}])
    yield database


@pytest.mark.parametrize("field", VALUES)
async def test_any_value_of_every_type(rows: Database, field: str) -> None:
    groups = Row.objects.values("team").annotate(x=orm.AnyValue(field)).order_by("team")
    assert await groups.values_list("team", "x") == [(1, VALUES[field]), (2, None)]
    assert await Row.objects.aggregate(x=orm.AnyValue(field, filter=orm.Q(team=1))) == {"x": VALUES[field]}
    assert await Row.objects.aggregate(x=orm.AnyValue(field, filter=orm.Q(team=2))) == {"x": None}


async def test_any_value_is_a_value_of_the_group_and_has_a_default_alias(rows: Database) -> None:
    await Row.objects.create(team=2, number=10)
    await Row.objects.create(team=2, number=20)
    assert (await Row.objects.filter(team=2).aggregate(orm.AnyValue("number")))["number__anyvalue"] in (10, 20)
    assert await Row.objects.filter(team=3).aggregate(x=orm.AnyValue("number", default=0)) == {"x": 0}
    having = Row.objects.values("team").annotate(x=orm.AnyValue("text")).filter(x="a")
    assert [row["team"] for row in await having] == [1]


def test_any_value_takes_no_distinct_and_no_window() -> None:
    with pytest.raises(orm.QueryError, match="distinct"):
        orm.AnyValue("number", distinct=True)
    with pytest.raises(orm.QueryError, match="no window function"):
        orm.Window(orm.AnyValue("number"), partition_by="team")
