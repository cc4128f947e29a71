"""Names of fields that end in an underscore, in every place that takes the name of a path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

import orm
from orm import F, Q
from orm.database.connections.database import Database

models = orm.ModelRegistry()


class Person(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    class_ = orm.String(max_length=9, column="class")
    joined_ = orm.Date(allow_null=True)


class Gift(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    objects_ = orm.Integer(column="objects")
    from_: Any = orm.ForeignKey(Person, related_name="gifts")
    to: Any = orm.ForeignKey(Person, related_name="received", allow_null=True)


@pytest.fixture
async def gift(database: Database) -> AsyncIterator[Gift]:
    models.database = database
    await models.create_all()
    ann, bob = await Person.objects.bulk_create([Person(class_="a"), Person(class_="b")])
    await Gift.objects.create(objects_=1, from_=bob, to=ann)
    yield await Gift.objects.create(objects_=3, from_=ann)


@pytest.mark.parametrize(
    "lookups",
    [
        {"objects_": 3},
        {"objects___gt": 2},
        {"objects___in": [3, 4]},
        {"from__id": 1},
        {"from__id__in": [1]},
        {"from___id": 1},
        {"from___class_": "a"},
        {"from___class___startswith": "a"},
        {"from___gifts__objects_": 3},
        {"from___gifts__objects___gte": 2},
        {"from___pk": 1},
        {"from___joined___isnull": True, "objects_": 3},
    ],
)
async def test_lookup_finds_the_row(gift: Gift, lookups: dict[str, Any]) -> None:
    assert await Gift.objects.filter(**lookups) == [gift]
    assert await Gift.objects.filter(~Q(**lookups)).count() == 1


async def test_typed_names_find_the_row(gift: Gift) -> None:
    assert await Gift.objects.filter(Gift.from_.class_ == "a") == [gift]
    assert await Gift.objects.filter(Gift.objects_ > 2) == [gift]


async def test_names_select_order_and_load(gift: Gift) -> None:
    assert await Gift.objects.order_by("-from___class_").values_list("from___class_", "objects_") == [
        ("b", 1),
        ("a", 3),
    ]
    assert await Gift.objects.order_by("from__id").values_list("from__id", flat=True) == [1, 2]
    assert await Gift.objects.filter(objects_=F("from___id") + 2) == [gift]
    assert (await Gift.objects.select_related("from_").get(objects_=3)).from_.class_ == "a"
    people = await Person.objects.prefetch_related("gifts__from_").order_by("id")
    assert list(people[0].gifts.all()) == [gift]  # type: ignore[attr-defined]
    assert [row.objects_ for row in await Gift.objects.only("objects_", "from__id").order_by("id")] == [1, 3]
    counted = Person.objects.annotate(n=orm.Count("gifts__objects_")).order_by("id")
    assert await counted.values_list("n", flat=True) == [1, 1]


async def test_update_takes_the_names(gift: Gift) -> None:
    assert await Gift.objects.filter(from___class_="a").update(objects_=F("objects_") + 1) == 1
    assert await Gift.objects.filter(objects___gt=3).count() == 1
