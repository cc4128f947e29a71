"""A table with a column of each type, and rows with awkward values."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import databases

import orm

models = orm.ModelRegistry()
UTC = datetime.timezone.utc


class Thing(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100, allow_null=True, allow_blank=True, trim_whitespace=False)
    n = orm.Integer(allow_null=True)
    x = orm.Float(allow_null=True)
    d = orm.Decimal(max_digits=10, decimal_places=3, allow_null=True)
    flag = orm.Boolean(default=True)
    day = orm.Date(allow_null=True)
    at = orm.Time(allow_null=True)
    moment = orm.DateTime(timezone=True, allow_null=True)
    lasts = orm.Duration(allow_null=True)
    data = orm.JSON(allow_null=True)
    whole: Any = orm.ForeignKey("Thing", allow_null=True, related_name="parts")


class Face(orm.Model):
    """A naive datetime. Django cannot have one next to an aware one."""

    registry = models

    id = orm.Integer(primary_key=True)
    shown = orm.DateTime(allow_null=True)


ROWS: list[dict[str, Any]] = [
    {
        "id": 1,
        "name": " Ärger ß ",
        "n": 7,
        "x": 2.25,
        "d": Decimal("1.255"),
        "flag": True,
        "day": datetime.date(2023, 12, 31),
        "at": datetime.time(23, 59, 58, 999999),
        "moment": datetime.datetime(2023, 12, 31, 23, 30, 15, 123456, tzinfo=UTC),
        "lasts": datetime.timedelta(days=2, hours=3, minutes=4, seconds=5),
        "data": {"owner": {"name": "Bob", "age": 30}, "tags": ["a", "b"], "n": 1, "t": True, "z": None},
        "whole": None,
    },
    {
        "id": 2,
        "name": "abcabc",
        "n": -3,
        "x": -0.75,
        "d": Decimal("-2.5"),
        "flag": False,
        "day": datetime.date(2021, 1, 3),
        "at": datetime.time(0, 0),
        "moment": datetime.datetime(2024, 10, 27, 1, 30, tzinfo=UTC),
        "lasts": datetime.timedelta(seconds=1),
        "data": {"owner": {"name": "ann", "age": 9}, "n": 10, "t": False},
        "whole": 1,
    },
    {
        "id": 3,
        "name": "",
        "n": 0,
        "x": 0.25,
        "d": Decimal("0.5"),
        "flag": True,
        "day": datetime.date(1999, 2, 28),
        "moment": datetime.datetime(2037, 7, 1, 22, 30, tzinfo=UTC),
        "data": [1, [2, "x"], {"k": 1}],
        "whole": 1,
    },
    {"id": 4, "flag": False},
    {
        "id": 5,
        "name": "a%_é😀",
        "n": 100,
        "x": 10.5,
        "d": Decimal("999999.999"),
        "day": datetime.date(2024, 2, 29),
        "moment": datetime.datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC),
        "data": {"n": "10", "owner": None, "it's": 2},
        "whole": 2,
    },
]
FACES = [
    {"id": 1, "shown": datetime.datetime(2024, 1, 1, 0, 30, 15, 5)},
    {"id": 2, "shown": datetime.datetime(2021, 1, 3, 12, 0)},
    {"id": 3, "shown": None},
]


async def fill(database: databases.Database) -> None:
    """Create the tables in `database`, insert the rows, and make the models use it."""
    models.database = database
    await models.create_all()
    for row in ROWS:
        await Thing.objects.create(**row)
    await Face.objects.bulk_create(FACES)
