"""`bulk_create()` with conflicts, and `upsert()`."""

from __future__ import annotations

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.sample_models.shop import Item, Place
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


def unique(has_targets: bool, *names: str) -> list[str]:
    return list(names) if has_targets else []


async def test_bulk_create_with_ignored_conflicts_keeps_existing_rows(any_shop: databases.Database) -> None:
    items = await Item.objects.bulk_create(
        [{"sku": "sku03", "name": "no"}, {"sku": "new", "name": "yes"}], ignore_conflicts=True
    )
    assert [(item.pk, item._persisted) for item in items] == [(None, False)] * 2
    assert await Item.objects.count() == 21
    assert (await Item.objects.get(sku="sku03")).name != "no"
    assert (await Item.objects.get(sku="new")).name == "yes"


async def test_bulk_create_with_ignored_conflicts_raises_for_other_constraints(shop: Database) -> None:
    with pytest.raises(orm.ForeignKeyViolation):
        await Item.objects.bulk_create([{"sku": "x", "shelf": 99}], ignore_conflicts=True)


async def test_upsert_sets_the_keys_of_new_and_existing_rows(shop: Database, has_targets: bool) -> None:
    known = (await Item.objects.get(sku="sku07")).pk
    with recorded(shop) as statements:
        items = await Item.objects.upsert(
            [{"sku": "b", "name": "1"}, {"sku": "sku07", "name": "2"}, {"sku": "a", "name": "3"}],
            unique_fields=unique(has_targets, "sku"),
            update_fields=["name"],
        )
    assert len(statements) == 1
    assert items[1].pk == known
    for item, name in zip(items, "123", strict=True):
        assert (await Item.objects.get(pk=item.pk)).sku == item.sku
        assert (await Item.objects.get(pk=item.pk)).name == name


async def test_upsert_of_one_row_updates_only_the_fields_named(any_shop: databases.Database) -> None:
    fields = unique("mysql" not in any_shop.url.dialect, "sku")
    before = await Item.objects.get(sku="sku05")
    item = await Item.objects.upsert({"sku": "sku05", "count": 77}, unique_fields=fields)
    assert item.pk == before.pk
    after = await Item.objects.get(sku="sku05")
    assert (after.count, after.name, after.price) == (77, before.name, before.price)


async def test_upsert_of_an_instance_sets_the_key_of_the_existing_row(shop: Database, has_targets: bool) -> None:
    item = await Item.objects.upsert(
        Item(id=4711, sku="sku05", name="x"), unique_fields=unique(has_targets, "sku"), update_fields=["name"]
    )
    assert item.pk == 6
    item.name = "again"
    await item.save()
    assert (await Item.objects.get(sku="sku05")).name == "again"


async def test_upsert_with_composite_keys_updates_existing_rows(empty_shop: Database, has_targets: bool) -> None:
    rows = [{"row": 1, "column": c, "note": "old"} for c in range(3)]
    await Place.objects.bulk_create(rows)
    await Place.objects.upsert(
        [{"row": 1, "column": c, "note": "new"} for c in range(1, 5)], unique_fields=unique(has_targets, "pk")
    )
    notes = await Place.objects.order_by("pk").values_list("note", flat=True)
    assert notes == ["old", "new", "new", "new", "new"]
    await Place.objects.bulk_create([{"row": 1, "column": 0, "note": "never"}], ignore_conflicts=True)
    assert (await Place.objects.get(pk=(1, 0))).note == "old"


async def test_upsert_of_any_number_of_rows_is_planned_once(shop: Database, has_targets: bool) -> None:
    fields = unique(has_targets, "sku")
    for count in (3, 50, 1000):
        await Item.objects.upsert([{"sku": f"n{i}", "count": i} for i in range(count)], unique_fields=fields)
        if count == 3:
            planned = orm.plan_cache_info().misses
    assert orm.plan_cache_info().misses == planned
    assert await Item.objects.filter(sku__startswith="n").count() == 1000


async def test_upsert_requires_or_refuses_unique_fields_by_database(shop: Database, has_targets: bool) -> None:
    row = {"sku": "sku01", "name": "x"}
    if has_targets:
        with pytest.raises(orm.QueryError, match="unique_fields"):
            await Item.objects.upsert(row)
    else:
        with pytest.raises(orm.NotSupportedError, match="unique_fields"):
            await Item.objects.upsert(row, unique_fields=["sku"])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ignore_conflicts": True, "update_conflicts": True}, orm.QueryError),
        ({"update_conflicts": True}, orm.QueryError),
        ({"update_conflicts": True, "update_fields": ["id"]}, orm.QueryError),
        ({"update_conflicts": True, "update_fields": ["pk"]}, orm.QueryError),
        ({"update_conflicts": True, "update_fields": "name"}, orm.QueryError),
        ({"update_conflicts": True, "update_fields": ["nmae"]}, orm.FieldError),
        ({"update_conflicts": True, "update_fields": ["name"], "unique_fields": ["'; --"]}, orm.FieldError),
        ({"update_fields": ["name"]}, orm.QueryError),
        ({"batch_size": 0}, orm.QueryError),
    ],
)
async def test_bulk_create_with_invalid_conflict_options_raises(
    empty_shop: Database, options: dict[str, object], error: type[Exception]
) -> None:
    with recorded(empty_shop) as statements, pytest.raises(error):
        await Item.objects.bulk_create([{"sku": "x"}], **options)  # type: ignore[arg-type]
    assert not statements


async def test_upsert_of_invalid_rows_raises_before_anything_is_sent(empty_shop: Database, has_targets: bool) -> None:
    with recorded(empty_shop) as statements, pytest.raises(orm.ValidationError):
        await Item.objects.upsert(
            [{"sku": "ok", "count": 1}, {"sku": "x" * 51, "count": 1}], unique_fields=unique(has_targets, "sku")
        )
    assert not statements


async def test_upsert_of_rows_with_different_fields_updates_what_each_has(any_shop: databases.Database) -> None:
    fields = unique("mysql" not in any_shop.url.dialect, "sku")
    before = {item.sku: item for item in await Item.objects.all()}
    rows = [
        {"sku": "sku03", "count": 70},
        {"sku": "sku04", "name": "four"},
        {"sku": "sku05", "name": "five", "count": 50},
        {"sku": "new", "name": "six"},
        {"sku": "sku06", "count": 60},
    ]
    items = await Item.objects.upsert(rows, unique_fields=fields)
    assert [item.sku for item in items] == [row["sku"] for row in rows]
    after = {item.sku: item for item in await Item.objects.all()}
    assert (after["sku03"].count, after["sku03"].name) == (70, before["sku03"].name)
    assert (after["sku04"].count, after["sku04"].name) == (before["sku04"].count, "four")
    assert (after["sku05"].count, after["sku05"].name) == (50, "five")
    assert after["new"].name == "six"
    assert (after["sku06"].count, after["sku06"].name) == (60, before["sku06"].name)
    untouched = before.keys() - {row["sku"] for row in rows}
    assert all(after[sku].__dict__ == before[sku].__dict__ for sku in untouched)


async def test_upsert_of_rows_with_different_fields_is_one_transaction(any_shop: databases.Database) -> None:
    fields = unique("mysql" not in any_shop.url.dialect, "sku")
    before = await Item.objects.order_by("id").values("sku", "count", "shelf")
    with pytest.raises(orm.ForeignKeyViolation):
        await Item.objects.upsert([{"sku": "sku03", "count": 70}, {"sku": "sku04", "shelf": 99}], unique_fields=fields)
    assert await Item.objects.order_by("id").values("sku", "count", "shelf") == before


async def test_upsert_of_no_rows_is_an_empty_list(any_shop: databases.Database) -> None:
    assert await Item.objects.upsert([]) == []


async def test_upsert_of_nothing_but_the_unique_field_leaves_the_row(shop: Database, has_targets: bool) -> None:
    before = await Item.objects.get(sku="sku03")
    item = await Item.objects.upsert({"sku": "sku03"}, unique_fields=unique(has_targets, "sku"))
    after = await Item.objects.get(sku="sku03")
    assert after.__dict__ == before.__dict__
    assert item.pk == before.pk
