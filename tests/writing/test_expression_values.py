"""Expressions as the values of rows: in create(), save(), bulk_create() and on instances."""

from __future__ import annotations

import pytest

import orm
from orm import F, Value
from orm.database.connections.database import Database
from orm.functions import Coalesce, Lower, Upper
from tests.sample_models.shop import Item


async def test_create_computes_an_expression(empty_shop: Database) -> None:
    item = await Item.objects.create(sku="a", name=Upper(Value("abc")), count=Value(2) + 3)
    assert (await Item.objects.values_list("sku", "name", "count").get()) == ("a", "ABC", 5)
    assert item.pk == (await Item.objects.get()).pk
    await item.load()
    assert (item.name, item.count) == ("ABC", 5)


async def test_create_reads_a_computed_value_back(empty_shop: Database) -> None:
    item = await Item.objects.create(sku="a", name=Lower(Value("ABC")))
    assert vars(item)["name"] == "abc"


async def test_create_takes_a_subquery(empty_shop: Database) -> None:
    await Item.objects.create(sku="a", count=7)
    await Item.objects.create(sku="b", count=Coalesce(orm.Subquery(Item.objects.values("count")[:1]), 0))
    assert await Item.objects.order_by("sku").values_list("count", flat=True) == [7, 7]


async def test_create_validates_the_values_beside_an_expression(empty_shop: Database) -> None:
    with pytest.raises(orm.ValidationError) as caught:
        await Item.objects.create(name=Upper(Value("abc")), count="many")
    assert dict(caught.value) == {"sku": "This field is required.", "count": "Must be a number."}
    assert await Item.objects.count() == 0


async def test_new_row_cannot_read_a_field(empty_shop: Database) -> None:
    with pytest.raises(orm.FieldError, match=r"Item.count of a new row is set to .*F\('price'\).* which reads a row"):
        await Item.objects.create(sku="a", count=F("price") + 1)


async def test_save_of_a_loaded_instance_computes_an_expression(empty_shop: Database) -> None:
    item = await Item.objects.create(sku="a", count=1)
    item.count = Item.count + 4  # type: ignore[assignment]
    item.name = "renamed"
    await item.save()
    assert await Item.objects.values_list("name", "count").get() == ("renamed", 5)
    with pytest.raises(orm.NotLoaded):
        _ = item.count


async def test_bulk_create_computes_expressions_in_some_rows(empty_shop: Database) -> None:
    rows = [Item(sku="a", count=1), Item(sku="b", name=Upper(Value("x"))), {"sku": "c", "count": Value(1) + 1}]
    items = await Item.objects.bulk_create(rows)
    assert await Item.objects.order_by("sku").values_list("sku", "name", "count") == [
        ("a", "thing", 1),
        ("b", "X", 0),
        ("c", "thing", 2),
    ]
    assert {item.pk for item in items} == set(await Item.objects.values_list("id", flat=True))


async def test_bulk_create_with_conflicts_refuses_expressions(empty_shop: Database) -> None:
    with pytest.raises(orm.QueryError, match="takes values, not expressions"):
        await Item.objects.bulk_create([Item(sku=Upper(Value("x")))], ignore_conflicts=True)


async def test_force_insert_and_force_update_write_as_they_say(empty_shop: Database) -> None:
    item = await Item.objects.create(sku="a")
    with pytest.raises(orm.UniqueViolation):
        await item.save(force_insert=True)
    gone = Item(id=item.pk + 1, sku="b")
    with pytest.raises(orm.NoMatch, match="force_update"):
        await gone.save(force_update=True)
    item.name = "renamed"
    await item.save(force_update=True)
    assert await Item.objects.values_list("sku", "name") == [("a", "renamed")]
    with pytest.raises(orm.QueryError, match="force_insert excludes"):
        await item.save(force_insert=True, force_update=True)


async def test_bulk_create_tells_the_row_of_each_message(empty_shop: Database) -> None:
    rows: list[dict[str, object]] = [{"sku": str(number)} for number in range(140)]
    rows[3]["count"] = "many"
    rows[137] = {"name": 5, "sku": "x" * 51}
    with pytest.raises(orm.ValidationError) as caught:
        await Item.objects.bulk_create(rows, 10)
    assert [message.index for message in caught.value.messages()] == [[3, "count"], [137, "sku"], [137, "name"]]
    assert await Item.objects.count() == 0


async def test_bulk_update_tells_the_row_of_each_message(empty_shop: Database) -> None:
    items = await Item.objects.bulk_create([Item(sku=str(number)) for number in range(3)])
    items[1].count = "many"  # type: ignore[assignment]
    items[2].count = "few"  # type: ignore[assignment]
    with pytest.raises(orm.ValidationError) as caught:
        await Item.objects.bulk_update(items, ["count"])
    assert [message.index for message in caught.value.messages()] == [[1, "count"], [2, "count"]]


async def test_bulk_methods_take_querysets(empty_shop: Database) -> None:
    await Item.objects.bulk_create([Item(sku="a"), Item(sku="b")], 1)
    assert await Item.objects.bulk_update(Item.objects.all(), ["name"]) == 2
    keys = await Item.objects.order_by("id").values_list("id", flat=True)
    assert list(await Item.objects.in_bulk(Item.objects.order_by("id").values_list("id", flat=True))) == keys
    with pytest.raises(orm.UniqueViolation):
        await Item.objects.bulk_create(Item.objects.all())
