"""`bulk_create()` with conflicts, and `upsert()`."""

from __future__ import annotations

from typing import Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
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
    inserts = [text for text in statements.texts if text.startswith("INSERT")]
    assert len(inserts) == (3 if (await dialect_of(shop)).one_key_per_upsert else 1)
    assert items[1].pk == known
    for item, name in zip(items, "123", strict=True):
        assert (await Item.objects.get(pk=item.pk)).sku == item.sku
        assert (await Item.objects.get(pk=item.pk)).name == name


@pytest.mark.parametrize("order", [("a", "a"), ("sku07", "sku07"), ("a", "sku07", "a", "sku07", "b", "a")])
async def test_upsert_of_a_key_several_times_keeps_the_last_row(
    shop: Database, has_targets: bool, order: tuple[str, ...]
) -> None:
    rows = [{"sku": sku, "name": str(n)} for n, sku in enumerate(order)]
    known = (await Item.objects.get(sku="sku07")).pk
    for given in (rows, [Item(**row) for row in rows]):
        items = await Item.objects.upsert(given, unique_fields=unique(has_targets, "sku"))
        assert [item.sku for item in items] == list(order)
        for sku in set(order):
            stored = await Item.objects.get(sku=sku)
            assert stored.name == max(row["name"] for row in rows if row["sku"] == sku)
            assert {item.pk for item in items if item.sku == sku} == {stored.pk}
            assert sku != "sku07" or stored.pk == known


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


async def test_bulk_create_takes_none_for_no_fields(shop: Database, has_targets: bool) -> None:
    rows = [{"sku": "new", "name": "x"}]
    await Item.objects.bulk_create(rows, update_fields=None, unique_fields=None)
    await Item.objects.bulk_create(rows, ignore_conflicts=True, update_fields=None, unique_fields=None)
    changed = [{"sku": "new", "name": "y"}]
    keys = ["sku"] if has_targets else None
    await Item.objects.bulk_create(changed, update_conflicts=True, update_fields=["name"], unique_fields=keys)
    assert await Item.objects.filter(sku="new").values_list("name", flat=True) == ["y"]


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


async def test_upsert_of_nothing_but_the_key_inserts_what_is_missing(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Membership(orm.Model):
        registry = models

        person = orm.Integer(primary_key=True)
        team = orm.String(max_length=10, primary_key=True)

    class Word(orm.Model):
        registry = models

        text = orm.String(max_length=10, primary_key=True)

    await models.create_all()
    has_targets = database.url.dialect in ("sqlite", "postgresql")
    one = await Membership.objects.upsert({"person": 1, "team": "a"}, unique_fields=unique(has_targets, "pk"))
    again = await Membership.objects.upsert(
        [Membership(person=1, team="a"), Membership(person=2, team="a"), Membership(person=1, team="a")],
        unique_fields=unique(has_targets, "person", "team"),
    )
    assert [each.pk for each in (one, *again)] == [(1, "a"), (1, "a"), (2, "a"), (1, "a")]
    await one.delete()
    assert await Membership.objects.order_by("pk").values_list("person", "team") == [(2, "a")]
    for _ in range(2):
        word = await Word.objects.upsert({"text": "x"}, unique_fields=unique(has_targets, "text"))
        assert word.text == "x"
    assert await Word.objects.count() == 1


async def test_upsert_of_nothing_but_the_key_beside_other_constraints_is_refused_without_targets(
    mysql_url: str,
) -> None:
    async with Database(mysql_url) as database:
        models = orm.ModelRegistry(database=database)

        class Word(orm.Model):
            registry = models

            text = orm.String(max_length=10, primary_key=True)
            rank = orm.Integer(unique=True, default=1)

        await models.create_all()
        with pytest.raises(orm.QueryError, match=r"update_fields cannot hold the primary key \(text\)"):
            await Word.objects.upsert({"text": "x"})


def loaded(instance: orm.Model) -> set[str]:
    return {field.name for field in instance._meta.fields.values() if field.attname in instance.__dict__}


async def test_an_upsert_knows_only_what_it_has_written(any_shop: databases.Database) -> None:
    fields = unique("mysql" not in any_shop.url.dialect, "sku")
    before = await Item.objects.filter(sku="sku05").values().get()
    rows = [{"sku": "sku05", "name": "five"}, {"sku": "new", "name": "six"}, {"sku": "sku06", "name": "7", "count": 60}]
    known, new, counted = await Item.objects.upsert(rows, unique_fields=fields)
    assert loaded(known) == loaded(new) == {"id", "sku", "name"}
    assert loaded(counted) == {"id", "sku", "name", "count"}
    for item in (known, new):
        for name in ("count", "price", "shelf"):
            with pytest.raises(orm.NotLoaded, match="was not loaded"):
                getattr(item, name)
    known.name = "again"
    await known.save()
    assert await Item.objects.filter(sku="sku05").values().get() == {**before, "name": "again"}
    assert (await known.load()).count == before["count"]
    assert (await new.load()).count == 0


async def test_bulk_create_with_updated_conflicts_knows_only_what_it_has_written(shop: Database) -> None:
    fields = unique("mysql" not in shop.url.dialect, "sku")
    before = await Item.objects.filter(sku="sku05").values().get()
    given = Item(sku="sku05", name="five", count=99, shelf=1)
    (item,) = await Item.objects.bulk_create(
        [given], batch_size=1, update_conflicts=True, unique_fields=fields, update_fields=["name"]
    )
    assert item is given
    assert loaded(item) == {"id", "sku", "name"}
    with pytest.raises(orm.NotLoaded):
        item.shelf  # noqa: B018
    await item.save()
    assert await Item.objects.filter(sku="sku05").values().get() == {**before, "name": "five"}


models = orm.ModelRegistry()


class Pair(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    a = orm.Integer()
    b = orm.Integer(allow_null=True)
    v = orm.Integer(default=0)

    class Meta:
        constraints = (orm.UniqueConstraint("a", "b"),)


class Coupon(orm.Model):
    """Either of two constraints may be violated."""

    registry = models

    code = orm.String(max_length=20, primary_key=True)
    serial = orm.Integer(unique=True)
    price = orm.Integer(default=0)


class Shape(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50, unique=True)

    class Meta:
        discriminator = "kind"


class Circle(Shape):
    radius = orm.Integer(default=1)


class Ring(Circle):
    width = orm.Integer(default=1)


class Rect(Shape):
    height = orm.Integer(default=1)


@pytest.fixture
async def tables(database: Database) -> Database:
    models.database = database
    await models.create_all()
    return database


def targets(database: Database, *names: str) -> list[str]:
    return unique("mysql" not in database.url.dialect, *names)


@pytest.mark.parametrize("with_keys", [False, True])
async def test_rows_with_null_in_the_unique_fields_get_their_own_keys(tables: Database, with_keys: bool) -> None:
    await Pair.objects.bulk_create([{"a": 1, "b": 1, "v": 9}, {"a": 1, "v": 9}])
    rows = [(1, None, 3), (1, 1, 4), (1, None, 5), (2, None, 6), (1, None, 7), (2, 2, 8)]
    given: list[dict[str, int | None]] = [{"a": a, "b": b, "v": v} for a, b, v in rows]
    if with_keys:
        for row, key in zip(given, (29, 28, 27, 26, 25, 24), strict=True):
            row["id"] = key
    pairs = await Pair.objects.upsert(given, unique_fields=targets(tables, "a", "b"))
    assert [(pair.a, pair.b, pair.v) for pair in pairs] == rows
    for pair in pairs:
        stored = await Pair.objects.get(pk=pair.pk)
        assert (stored.a, stored.b, stored.v) == (pair.a, pair.b, pair.v)
    assert len({pair.pk for pair in pairs}) == 6
    assert await Pair.objects.count() == 7


async def test_a_field_of_one_of_two_constraints_is_known_only_if_the_statement_names_it(tables: Database) -> None:
    await Coupon.objects.create(code="a", serial=1, price=3)
    fields = targets(tables, "serial")
    row = await Coupon.objects.upsert({"code": "b", "serial": 1, "price": 4}, unique_fields=fields)
    stored = await Coupon.objects.values("code", "serial", "price")
    assert stored == [{"code": "a", "serial": 1, "price": 4}]
    if row._persisted:
        assert (row.code, row.price) == ("a", 4)
    (row,) = await Coupon.objects.bulk_create(
        [Coupon(code="a", serial=2, price=5)],
        update_conflicts=True,
        update_fields=["price"],
        unique_fields=targets(tables, "code"),
    )
    assert await Coupon.objects.values_list("serial", "price") == [(1, 5)]
    if row._persisted:
        assert loaded(row) == {"code", "price"}


@pytest.mark.parametrize("as_instances", [False, True])
async def test_an_upsert_onto_a_row_of_another_model_of_the_table_is_refused(
    tables: Database, as_instances: bool
) -> None:
    rect = await Rect.objects.create(name="r", height=7)
    ring = await Ring.objects.create(name="ring", radius=2)
    fields = targets(tables, "name")
    before = await Shape.objects.order_by("id").values_list("id", "name", "kind")

    def circle(**values: Any) -> Any:
        return Circle(**values) if as_instances else values

    with pytest.raises(orm.UniqueViolation, match=r"name='r'.*kind='rect'.*nothing was written") as refused:
        await Circle.objects.upsert([circle(name="new", radius=1), circle(name="r", radius=9)], unique_fields=fields)
    assert (refused.value.model, refused.value.fields) == (Circle, ("name",))
    with pytest.raises(orm.UniqueViolation, match="kind='rect'"):
        await Circle.objects.upsert(circle(name="r", radius=9), unique_fields=fields)
    assert await Shape.objects.order_by("id").values_list("id", "name", "kind") == before
    assert (await Rect.objects.get(pk=rect.pk)).height == 7
    written = await Circle.objects.upsert(
        [circle(name="new", radius=4), circle(name="ring", radius=5)], unique_fields=fields
    )
    assert written[1].pk == ring.pk
    stored = await Shape.objects.get(name="ring")
    assert (type(stored), stored.radius) == (Ring, 5)
    assert await Circle.objects.order_by("id").values_list("name", "radius") == [("ring", 5), ("new", 4)]
    with pytest.raises(orm.QueryError, match="tells the rows of models apart"):
        await Circle.objects.upsert(circle(name="r"), unique_fields=fields, update_fields=["kind"])
