"""A graph reads the values of each field type as a query does, whichever other models it has."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import json
import uuid
from typing import Any

import databases

import orm
from tests.loading.graphs.loaded_values import loaded

models = orm.ModelRegistry()


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Root(orm.Model):
    registry = models

    id = orm.UUID(primary_key=True)
    short = orm.String(max_length=5)
    small = orm.Decimal(max_digits=6, decimal_places=1)


class Everything(orm.Model):
    registry = models

    id = orm.BigInteger(primary_key=True)
    root: Any = orm.ForeignKey(Root, related_name="everything")
    flag = orm.Boolean(allow_null=True)
    text = orm.Text(allow_null=True)
    name = orm.String(max_length=50, allow_null=True)
    whole = orm.Integer(allow_null=True)
    tiny = orm.SmallInteger(allow_null=True)
    real = orm.Float(allow_null=True)
    exact = orm.Decimal(max_digits=12, decimal_places=4, allow_null=True)
    day = orm.Date(allow_null=True)
    clock = orm.Time(allow_null=True)
    moment = orm.DateTime(allow_null=True)
    instant = orm.DateTime(timezone=True, allow_null=True)
    span = orm.Duration(allow_null=True)
    data = orm.JSON(allow_null=True)
    bits = orm.Binary(allow_null=True)
    mood = orm.Enum(Mood, allow_null=True)
    level = orm.Enum(Level, allow_null=True)
    address = orm.IPAddress(allow_null=True)
    other = orm.UUID(allow_null=True)


class Leaf(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    parent: Any = orm.ForeignKey(Everything, related_name="leaves")
    price = orm.Decimal(max_digits=20, decimal_places=9)
    word = orm.String(max_length=5)


KEY = uuid.UUID("12345678-1234-5678-1234-567812345678")
VALUES: dict[str, Any] = {
    "flag": True,
    "text": "long " * 100 + "end",
    "name": "ünïcödé 🎉",
    "whole": -(2**31),
    "tiny": 7,
    "real": 0.1,
    "exact": decimal.Decimal("12345678.9012"),
    "day": datetime.date(2024, 2, 29),
    "clock": datetime.time(23, 59, 59, 999999),
    "moment": datetime.datetime(2024, 2, 29, 12, 30, 15, 123456),
    "instant": datetime.datetime(2024, 2, 29, 12, 30, 15, 123456, datetime.timezone.utc),
    "span": datetime.timedelta(days=3, microseconds=5),
    "data": {"a": [1, 2.5, None, {"b": "c"}]},
    "bits": b"\x00\xff'%s",
    "mood": Mood.BAD,
    "level": Level.HIGH,
    "address": ipaddress.ip_address("2001:db8::1"),
    "other": uuid.UUID(int=7),
}
PLAIN = {
    **VALUES,
    "exact": "12345678.9012",
    "day": "2024-02-29",
    "clock": "23:59:59.999999",
    "moment": "2024-02-29T12:30:15.123456",
    "instant": "2024-02-29T12:30:15.123456+00:00",
    "span": 259200.000005,
    "bits": "AP8nJXM=",
    "mood": "bad",
    "level": 2,
    "address": "2001:db8::1",
    "other": "00000000-0000-0000-0000-000000000007",
}


async def fill(database: databases.Database) -> None:
    """A row with a value in each field, one without values, and rows of other models."""
    models.database = database
    await models.create_all()
    await Root.objects.create(id=KEY, short="abc", small="1.5")
    await Everything.objects.create(id=2**40, root=KEY, **VALUES)
    await Everything.objects.create(id=1, root=KEY)
    await Leaf.objects.create(id=1, parent=2**40, price="0.123456789", word="leaf")


async def test_graph_reads_values_of_each_field_as_a_query_does(any_database: databases.Database) -> None:
    await fill(any_database)
    (root,) = await Root.objects.graph({"everything": {"order_by": "id", "leaves": None}})
    empty, full = loaded(root, "everything")
    (alone,) = await Everything.objects.filter(id=2**40)
    for name in VALUES:
        assert getattr(full, name) == getattr(alone, name), name
        assert type(getattr(full, name)) is type(getattr(alone, name)), name
        assert getattr(empty, name) is None, name
    assert (root.id, root.small, full.root) == (KEY, decimal.Decimal("1.5"), root)
    (leaf,) = loaded(full, "leaves")
    assert (leaf.price, str(leaf.price), leaf.word) == (decimal.Decimal("0.123456789"), "0.123456789", "leaf")


async def test_as_dicts_converts_values_of_each_field_to_json(any_database: databases.Database) -> None:
    await fill(any_database)
    found = await Root.objects.graph({"everything": {"order_by": "id", "leaves": None}}).as_dicts()
    assert json.loads(json.dumps(found)) == found
    empty = {"id": 1, "root_id": str(KEY), **dict.fromkeys(VALUES), "leaves": []}
    leaves = [{"id": 1, "parent_id": 2**40, "price": "0.123456789", "word": "leaf"}]
    full = {"id": 2**40, "root_id": str(KEY), **PLAIN, "leaves": leaves}
    assert found == [{"id": str(KEY), "short": "abc", "small": "1.5", "everything": [empty, full]}]


async def test_annotations_of_each_type_read_as_in_a_query(any_database: databases.Database) -> None:
    """Computed values share no column of the UNION with others: their types may differ from what is expected."""
    await fill(any_database)
    annotated = Everything.objects.annotate(
        many=orm.Count("leaves"),
        dear=orm.Sum("leaves__price"),
        mean=orm.Avg("leaves__price"),
        last=orm.Max("moment"),
        upper=orm.functions.Upper("name"),
        double=orm.F("whole") * 2,
        sure=orm.Case(orm.When(flag=True, then=orm.Value(True)), default=orm.Value(False)),
    ).order_by("id")
    (root,) = await Root.objects.annotate(n=orm.Count("everything")).graph(
        {"everything": annotated}, "everything__leaves"
    )
    expected = await annotated
    assert root.n == 2  # type: ignore[attr-defined]
    for name in ("many", "dear", "mean", "last", "upper", "double", "sure"):
        values = [getattr(row, name) for row in loaded(root, "everything")]
        assert values == [getattr(row, name) for row in expected], name
        assert [type(value) for value in values] == [type(getattr(row, name)) for row in expected], name
    (found,) = await Root.objects.graph({"everything": annotated}).as_dicts()
    assert [row["many"] for row in found["everything"]] == [0, 1]
    json.dumps(found)
