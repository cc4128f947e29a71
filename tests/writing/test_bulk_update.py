"""`bulk_update()`: different values for each row, in one statement."""

from __future__ import annotations

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.sample_models.shop import Item, Numbered, Place, Shelf, arrays, rows
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio

FIELDS = [name for name in rows()[0] if name not in ("id", "sku")]


async def test_bulk_update_writes_every_field_type(any_shop: databases.Database) -> None:
    items = await Item.objects.order_by("id")
    others = rows()[1:] + rows()[:1]
    for item, other in zip(items, others, strict=True):
        for name in FIELDS:
            setattr(item, name if name != "shelf" else "shelf_id", other[name])
        item.data = None if item.pk % 3 == 0 else {"n": item.pk, "text": "ä'%s?"}
    assert await Item.objects.bulk_update(items, [*FIELDS, "data"]) == 20
    for item, stored in zip(items, await Item.objects.order_by("id"), strict=True):
        for name in [*FIELDS, "data"]:
            attribute = "shelf_id" if name == "shelf" else name
            assert getattr(stored, attribute) == getattr(item, attribute), name


async def test_bulk_update_with_expressions_groups_rows_by_assignments(shop: Database) -> None:
    items = await Item.objects.order_by("id")
    expected = {}
    for i, item in enumerate(items):
        expected[item.pk] = item.count + i if i % 2 else 100 + i
        item.count = Item.count + i if i % 2 else 100 + i  # type: ignore[assignment]
    with recorded(shop) as statements:
        assert await Item.objects.bulk_update(items, ["count"]) == 20
    assert len([text for text in statements.texts if text.startswith("UPDATE")]) == 2
    assert dict(await Item.objects.values_list("id", "count")) == expected
    assert "count" not in items[1].__dict__ and items[0].count == 100


async def test_bulk_update_of_any_number_of_rows_is_planned_once(shop: Database) -> None:
    items = await Item.objects.order_by("id")
    await Item.objects.bulk_update(items[:2], ["name", "count"])
    planned = orm.plan_cache_info().misses
    for count in (1, 5, 20):
        for item in items:
            item.count = count
        with recorded(shop) as statements:
            assert await Item.objects.bulk_update(items[:count], ["name", "count"]) == count
        assert len(statements) == 1
    assert orm.plan_cache_info().misses == planned


async def test_bulk_update_in_batches_is_one_transaction(shop: Database) -> None:
    items = await Item.objects.order_by("id")
    for item in items:
        item.name = "new"
    setattr(items[-1], "shelf_id", 99)  # noqa: B010 - a name that type checkers do not know
    with recorded(shop) as statements, pytest.raises(orm.ForeignKeyViolation):
        await Item.objects.bulk_update(items, ["name", "shelf"], batch_size=6)
    assert len([text for text in statements.texts if text.startswith("UPDATE")]) == 4
    assert not await Item.objects.filter(name="new").exists()


async def test_bulk_update_of_a_queryset_leaves_other_rows(shop: Database) -> None:
    items = await Item.objects.order_by("id")
    for item in items:
        item.name = "new"
    assert await Item.objects.filter(count=1, id__in=[1, 2, 3, 5]).bulk_update(items, ["name"]) == 2
    assert await Item.objects.filter(shelf__name="top").bulk_update(items, ["name"]) == 5
    assert await Item.objects.none().bulk_update(items, ["name"]) == 0


async def test_bulk_update_with_missing_rows_and_duplicates_counts_matched_rows(shop: Database) -> None:
    one, two = (await Item.objects.order_by("id"))[:2]
    await Item.objects.filter(pk=two.pk).delete()
    again = Item(id=one.pk, sku="x", name="second")
    one.name = "first"
    assert await Item.objects.bulk_update([one, two, again], ["name"]) == 1
    assert (await Item.objects.get(pk=one.pk)).name == "first"  # As in Django.


async def test_bulk_update_with_composite_keys_writes_matching_rows(empty_shop: Database) -> None:
    places = await Place.objects.bulk_create([{"row": r, "column": c} for r in range(3) for c in range(3)])
    for place in places:
        place.note = f"{place.row}{place.column}"
    assert await Place.objects.bulk_update(places[2:7], ["note"]) == 5
    assert {place.note for place in await Place.objects.exclude(note="none")} == {"02", "10", "11", "12", "20"}


async def test_bulk_update_writes_arrays(postgresql_url: str) -> None:
    arrays.database = Database(postgresql_url)
    await arrays.create_all()
    rows_with_arrays = await Numbered.objects.bulk_create([{"numbers": [i]} for i in range(3)])
    for numbered in rows_with_arrays:
        numbered.numbers = [*numbered.numbers, 9]
    assert await Numbered.objects.bulk_update(rows_with_arrays, ["numbers"]) == 3
    assert [n.numbers for n in await Numbered.objects.order_by("id")] == [[0, 9], [1, 9], [2, 9]]
    await arrays.database.disconnect()


async def test_bulk_update_with_lists_in_expressions(empty_shop: Database) -> None:
    items = await Item.objects.bulk_create([{"sku": str(i)} for i in range(3)])
    for item in items:
        among = orm.When(sku__in=["0", "2"], then=orm.Value(item.pk))
        item.count = orm.Case(among, default=orm.Value(0))  # type: ignore[assignment]
    assert await Item.objects.bulk_update(items, ["count"]) == 3
    counts = await Item.objects.order_by("id").values_list("count", flat=True)
    assert counts == [items[0].pk, 0, items[2].pk]


async def test_bulk_update_minds_unsaved_instances_of_its_fields_only(empty_shop: Database) -> None:
    item = await Item.objects.create(sku="x")
    item.shelf = Shelf(name="not saved")
    item.count = 7
    assert await Item.objects.bulk_update([item], ["count"]) == 1
    assert await Item.objects.values_list("count", "shelf_id") == [(7, None)]
    with pytest.raises(orm.QueryError, match="not saved"):
        await Item.objects.bulk_update([item], ["count", "shelf"])


async def test_bulk_update_with_invalid_arguments_raises(empty_shop: Database) -> None:
    item = await Item.objects.create(sku="x")
    shelf = Shelf(name="not saved")
    with recorded(empty_shop) as statements:
        for fields, error in (
            ([], orm.QueryError),
            ("name", orm.QueryError),
            (["id"], orm.QueryError),
            (["nmae"], orm.FieldError),
            (["items; --"], orm.FieldError),
        ):
            with pytest.raises(error):
                await Item.objects.bulk_update([item], fields)
        with pytest.raises(orm.QueryError, match="primary key"):
            await Item.objects.bulk_update([Item(sku="new")], ["name"])
        with pytest.raises(orm.QueryError):
            await Item.objects.bulk_update([shelf], ["name"])  # type: ignore[list-item]
        with pytest.raises(orm.QueryError):
            await Item.objects.all()[:3].bulk_update([item], ["name"])
        with pytest.raises(orm.ValidationError):
            item.name = "x" * 101
            await Item.objects.bulk_update([item], ["name"])
        item.name = "ok"
        with pytest.raises(orm.FieldError, match="related"):
            item.name = orm.F("shelf__name")  # type: ignore[assignment]
            await Item.objects.bulk_update([item], ["name"])
        assert await Item.objects.bulk_update([], ["name"]) == 0
    assert not statements
