"""Relations to models with a composite primary key."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from tests.loaded_attributes import is_loaded
from tests.statement_recorder import recorded

models = orm.ModelRegistry()


class Shop(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)


class Order(orm.Model):
    registry = models

    shop: Any = orm.ForeignKey(Shop, primary_key=True, on_delete=orm.CASCADE)
    number = orm.Integer(primary_key=True)
    note = orm.String(max_length=10, default="", allow_blank=True)
    tags = orm.ManyToMany("Tag", related_name="orders")
    linked = orm.ManyToMany("self")


class Line(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    shop: Any = orm.ForeignKey(Shop, on_delete=orm.CASCADE, related_name="+")
    number = orm.Integer()
    what = orm.String(max_length=10)
    order = orm.CompositeForeignKey(Order, from_fields=["shop", "number"], on_delete=orm.CASCADE, related_name="lines")

    class Meta:
        ordering = ("id",)


class Visit(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    at = orm.Integer(allow_null=True, column="visit_at")
    nth = orm.Integer(allow_null=True)
    order = orm.CompositeForeignKey(
        "Order", from_fields=["at", "nth"], allow_null=True, on_delete=orm.SET_NULL, related_name="visits"
    )


class Tag(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=10)


@pytest.fixture
async def orders(database: Database) -> AsyncIterator[tuple[Any, ...]]:
    models.database = database
    await models.create_all()
    shops = await Shop.objects.bulk_create([{}, {}])
    yield tuple(
        await Order.objects.bulk_create(
            [
                {"shop": shop, "number": number, "note": note}
                for shop, number, note in zip([shops[0], shops[0], shops[1]], [1, 2, 1], "xyz", strict=True)
            ]
        )
    )


def test_composite_foreign_key_is_one_constraint() -> None:
    [constraint] = [key for key in Line.table.foreign_key_constraints if len(key.elements) == 2]
    assert [column.name for column in constraint.columns] == ["shop", "number"]
    assert [element.column.name for element in constraint.elements] == ["shop", "number"]
    assert constraint.referred_table is Order.table and constraint.ondelete == "CASCADE"
    assert "visit_at" in [column.name for key in Visit.table.foreign_key_constraints for column in key.columns]


async def test_composite_foreign_key_takes_an_instance_or_a_tuple(orders: Any) -> None:
    first, second, _ = orders
    line = await Line.objects.create(order=first, what="a")
    assert (line.shop_id, line.number) == first.pk and line.order is first
    other = await Line.objects.create(order=second.pk, what="b")
    assert other.order == second and not is_loaded(other.order, "note")
    loaded = await Line.objects.get(pk=line.pk)
    assert loaded.order == first and str(loaded.order).endswith("[sparse]")
    with pytest.raises(orm.NotLoaded, match=r"Line\.order holds only its key.*select_related\('order'\)"):
        _ = loaded.order.note
    await loaded.order.load()
    assert loaded.order.note == "x"
    await loaded.update(order=second)
    assert loaded.order is second and (await Line.objects.get(pk=line.pk)).order == second
    loaded.order = first
    await loaded.save(update_fields=["order"])
    assert (await Line.objects.get(pk=line.pk)).number == first.number
    loaded.number = second.number
    assert loaded.order == second
    assert await Line.objects.filter(pk=line.pk).update(order=orders[2]) == 1
    other.order = orders[2].pk
    assert await Line.objects.bulk_update([other], ["order"]) == 1
    assert await Line.objects.filter(order=orders[2]).count() == 2
    assert (await Line.objects.get_or_create(order=orders[2], what="b"))[1] is False
    with pytest.raises(orm.ForeignKeyViolation):
        await Line.objects.create(order=(first.shop_id, 99), what="c")
    new = Order(shop=first.shop_id, number=7)
    line = Line(order=new, what="d")
    await new.save()
    await line.save()
    assert (await Line.objects.get(pk=line.pk)).order == new


async def test_composite_foreign_key_set_to_anything_else_raises(orders: Any) -> None:
    for wrong in (5, (1,), (1, 2, 3), "ab1", [1]):
        with pytest.raises(orm.QueryError, match=r"Line\.order takes Order instances, or tuples of their key"):
            Line(order=wrong, what="x")
        with pytest.raises(orm.QueryError, match="tuples of their key"):
            Line.objects.filter(order=wrong)
    with pytest.raises(orm.QueryError, match="Order instances, got Shop"):
        Line.objects.filter(order=await Shop.objects.first())
    with pytest.raises(orm.QueryError, match=r"no shop: save it first"):
        Line.objects.filter(order=Order())
    with pytest.raises(orm.QueryError, match="key of several columns"):
        Line.objects.filter(order__contains=(1, 2))
    with pytest.raises(orm.QueryError, match="isnull takes True or False"):
        Order.objects.filter(pk__isnull=1)


COMPARISONS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le, "exact": operator.eq}


@pytest.mark.parametrize("lookup", COMPARISONS)
async def test_composite_keys_are_compared_as_tuples_over_every_relation(orders: Any, lookup: str) -> None:
    compare = COMPARISONS[lookup]
    other = await Shop.objects.create()
    await Line.objects.bulk_create([{"order": order, "what": order.note} for order in orders])
    keys = {order.note: order.pk for order in orders}
    for bound in orders:
        found = {note for note, key in keys.items() if compare(key, bound.pk)}
        of_orders, of_lines = Order.objects, Line.objects
        assert {order.note for order in await of_orders.filter(**{f"pk__{lookup}": bound.pk})} == found
        assert {order.note for order in await of_orders.exclude(**{f"pk__{lookup}": bound.pk})} == {*keys} - found
        assert {line.what for line in await of_lines.filter(**{f"order__{lookup}": bound})} == found
        assert {line.what for line in await of_lines.exclude(**{f"order__{lookup}": bound.pk})} == {*keys} - found
        # Over a relation to many rows, a shop is found for each row that matches, and excluded for any.
        shops = sorted(keys[note][0] for note in found)
        assert [shop.pk for shop in await Shop.objects.filter(**{f"order__{lookup}": bound}).order_by("id")] == shops
        rest = {order.shop_id for order in orders} | {other.pk}
        assert {shop.pk for shop in await Shop.objects.exclude(**{f"order__{lookup}": bound})} == rest - {*shops}


async def test_composite_key_of_a_relation_to_many_rows_is_null_without_a_row(orders: Any) -> None:
    other = await Shop.objects.create()
    assert await Shop.objects.filter(order__isnull=True) == [other] == await Shop.objects.exclude(order__isnull=False)
    assert [shop.pk for shop in await Shop.objects.filter(order__isnull=False).order_by("id")] == sorted(
        order.shop_id for order in orders
    )
    assert not await Order.objects.filter(pk__isnull=True) and await Order.objects.filter(pk__isnull=False).count() == 3


async def test_composite_foreign_key_without_values_or_row(orders: Any) -> None:
    visit = await Visit.objects.create()
    assert visit.order is None
    half = await Visit.objects.create(at=orders[0].shop_id)
    assert half.order is None
    whole = await Visit.objects.create(order=orders[0])
    assert await Visit.objects.filter(order=None).order_by("id") == [visit, half]
    assert await Visit.objects.filter(order__isnull=False) == [whole]
    assert await Visit.objects.exclude(order=None) == [whole]
    assert await Visit.objects.filter(order__note__isnull=True).count() == 2
    whole.order = None
    await whole.save()
    assert (whole.at, whole.nth) == (None, None) and await Visit.objects.filter(order=None).count() == 3
    await whole.update(order=orders[1])
    await orders[1].delete()
    await whole.load()
    assert whole.order is None
    assert await Line.objects.exclude(order=orders[0]).count() == 0


async def test_queries_over_composite_foreign_keys(orders: Any, database: Database) -> None:
    first, second, third = orders
    lines = await Line.objects.bulk_create(
        [{"order": order, "what": what} for order, what in zip([first, first, second], "abc", strict=True)]
    )
    assert await Line.objects.filter(order=first) == lines[:2] == await Line.objects.filter(Line.order == first)
    assert await Line.objects.filter(order__in=[first.pk, third]) == lines[:2]
    assert await Line.objects.filter(order__in=[]) == [] and await Line.objects.exclude(order=first) == lines[2:]
    assert await Line.objects.filter(order__note="y") == lines[2:] == await Line.objects.filter(Line.order.note == "y")
    assert "JOIN" not in str(Line.objects.filter(order__shop=1, order__number=2).sql)
    assert await Line.objects.order_by("-order__note", "id").values_list("what", flat=True) == ["c", "a", "b"]
    assert await Line.objects.order_by("-order", "id").values_list("what", flat=True) == ["c", "a", "b"]
    assert await Order.objects.filter(lines__what="a") == [first] == await Order.objects.filter(lines=lines[0])
    assert await Order.objects.exclude(lines__what="a").order_by("note") == [second, third]
    assert await Order.objects.filter(lines=None) == [third] and await Order.objects.exclude(lines=None).count() == 2
    counts = await Order.objects.annotate(n=orm.Count("lines")).order_by("note").values_list("note", "n")
    assert counts == [("x", 2), ("y", 1), ("z", 0)]
    assert await Order.objects.filter(lines__order=first).distinct() == [first]
    assert await Order.objects.exclude(lines__order=first).order_by("note") == [second, third]
    # Two lines that have one part of the key each are no line that has both.
    assert third in await Order.objects.exclude(lines__order=(third.shop_id, 1))
    with recorded(database) as sent:
        loaded = await Line.objects.select_related("order__shop")
        assert [line.order.note for line in loaded] == ["x", "x", "y"] and loaded[0].order.shop.pk == first.shop_id
        assert len(sent) == 1
    with recorded(database) as sent:
        loaded = await Line.objects.prefetch_related("order")
        assert [line.order.note for line in loaded] == ["x", "x", "y"] and len(sent) == 2
        loaded = await Order.objects.order_by("note").prefetch_related("lines")
        assert [[line.what for line in await order.lines] for order in loaded] == [["a", "b"], ["c"], []]
        assert (await loaded[0].lines)[0].order is loaded[0] and len(sent) == 4
    assert await Line.objects.values_list("order__note", flat=True) == ["x", "x", "y"]
    assert await Line.objects.filter(order__note="x").update(what="new") == 2


@pytest.fixture
async def lines(orders: Any) -> list[Any]:
    first, second, _ = orders
    return await Line.objects.bulk_create(
        [{"order": order, "what": what} for order, what in zip([first, first, second], "abc", strict=True)]
    )


async def test_composite_keys_compared_with_queries(orders: Any, lines: list[Line], database: Database) -> None:
    first, second, third = orders
    noted = Order.objects.filter(note="x")
    with recorded(database) as sent:
        for keys in (noted, noted.values("pk"), noted.values_list("shop", "number"), noted.values(key=orm.F("pk"))):
            assert await Line.objects.filter(order__in=keys) == lines[:2]
            assert await Line.objects.filter(order__pk__in=keys) == lines[:2]
            assert await Order.objects.filter(pk__in=keys) == [first]
            assert await Line.objects.exclude(order__in=keys) == lines[2:]
            assert await Order.objects.exclude(pk__in=keys).order_by("note") == [second, third]
        assert len(sent) == 20
    assert await Line.objects.filter(Line.order.in_(noted)) == lines[:2]
    assert await Line.objects.filter(order__in=Line.objects.filter(what="c").values("order")) == lines[2:]
    assert await Line.objects.filter(order__in=Order.objects.order_by("-note")[1:]) == lines
    assert await Line.objects.filter(order__in=Order.objects.order_by("note")[:1]) == lines[:2]
    assert await Line.objects.filter(order=Order.objects.order_by("note")[:1]) == lines[:2]
    assert await Order.objects.filter(pk=noted[:1]) == [first]
    assert await Order.objects.filter(lines__order__in=noted).distinct() == [first]
    assert await Order.objects.exclude(lines__order__in=noted).order_by("note") == [second, third]
    assert await Order.objects.filter(linked__in=noted) == [] == await Tag.objects.filter(orders__in=noted)
    await first.linked.add(second)
    assert await Order.objects.filter(linked__in=noted) == [second]
    assert await Order.objects.exclude(linked__in=noted).order_by("note") == [first, third]
    assert await Line.objects.filter(order__in=noted).update(what="z") == 2
    assert await Line.objects.filter(order__in=noted, what="z").delete() == 2


async def test_composite_keys_with_null_parts_compared_with_queries(orders: Any, database: Database) -> None:
    first, *_ = orders
    none, half, whole = [await Visit.objects.create(**key) for key in ({}, {"at": first.shop_id}, {"order": first})]
    noted = Order.objects.filter(note="x")
    assert await Visit.objects.filter(order__in=noted) == [whole]
    assert await Visit.objects.exclude(order__in=noted).order_by("id") == [none, half]
    assert await Visit.objects.filter(~orm.Q(order__in=noted) | orm.Q(pk=whole.pk)).count() == 3
    keys = Visit.objects.values("order")
    assert await Order.objects.filter(pk__in=keys) == [first]
    with recorded(database) as sent:
        assert await Visit.objects.filter(order__in=Order.objects.none()) == []
        assert await Order.objects.filter(pk__in=Order.objects.none()) == [] and sent.texts == []
    assert await Visit.objects.exclude(order__in=Order.objects.none()).count() == 3
    assert await Order.objects.exclude(visits__order__in=Order.objects.none()).count() == 3
    sums = Visit.objects.values("nth").annotate(n=orm.Count("id"))
    grouped = await sums.filter(orm.Q(n=2) | orm.Q(order__in=[])).values_list("n", flat=True)
    assert grouped == await sums.filter(orm.Q(n=2) | orm.Q(at__in=[])).values_list("n", flat=True) == []


async def test_composite_keys_compared_with_expressions(orders: Any, lines: list[Line]) -> None:
    first, second, third = orders
    assert await Line.objects.filter(order=orm.F("order")) == lines == await Line.objects.filter(order=Line.order)
    assert await Order.objects.filter(pk=orm.F("pk")).count() == 3
    assert await Order.objects.filter(pk=(orm.F("shop"), 2)) == [second]
    assert await Line.objects.filter(order=(orm.F("shop"), 1), what="a") == lines[:1]
    with_lines = Order.objects.filter(orm.Exists(Line.objects.filter(order=orm.OuterRef("pk")))).order_by("note")
    assert await with_lines == [first, second]
    own = Order.objects.filter(pk=orm.OuterRef("order")).values("note")
    assert await Line.objects.annotate(said=orm.Subquery(own)).values_list("said", flat=True) == ["x", "x", "y"]
    assert await Order.objects.exclude(lines__order=orm.F("pk")) == [third]
    two_down = Line.objects.filter(order=orm.OuterRef(orm.OuterRef("pk")))
    inner = Shop.objects.filter(orm.Exists(two_down), id=orm.OuterRef("shop"))
    assert await Order.objects.filter(orm.Exists(inner)).order_by("note") == [first, second]


async def test_composite_keys_as_values(orders: Any, lines: list[Line]) -> None:
    first, second, third = orders
    rows = Line.objects.filter(what__gt="a")
    assert await rows.values("order", "what") == [
        {"order": first.pk, "what": "b"},
        {"order": second.pk, "what": "c"},
    ]
    assert await rows.values_list("what", "order") == [("b", first.pk), ("c", second.pk)]
    assert await rows.values_list("order", flat=True) == [first.pk, second.pk]
    [row, _] = await rows.values_list("order", "what", named=True)
    assert (row.order, row.what) == (first.pk, "b")
    assert await rows.values(key=orm.F("order"), n=orm.F("number") + 1) == [
        {"key": first.pk, "n": 2},
        {"key": second.pk, "n": 3},
    ]
    assert await rows.values_list(Line.order, Line.what) == [(first.pk, "b"), (second.pk, "c")]
    assert await rows.values("order__pk", "order__note") == [
        {"order__pk": first.pk, "order__note": "x"},
        {"order__pk": second.pk, "order__note": "y"},
    ]
    assert await Order.objects.order_by("-pk").values_list("pk", flat=True) == [third.pk, second.pk, first.pk]
    assert await Order.objects.filter(note="x").values("pk", "note") == [{"pk": first.pk, "note": "x"}]
    assert await Line.objects.order_by("-order__pk", "id").values_list("what", flat=True) == ["c", "a", "b"]
    assert sorted(await Line.objects.order_by().values_list("order", flat=True).distinct()) == [first.pk, second.pk]
    counted = Line.objects.order_by("order").values("order").annotate(n=orm.Count("id"))
    assert await counted == [{"order": first.pk, "n": 2}, {"order": second.pk, "n": 1}]
    assert await counted.filter(n=2).count() == 1
    both = Line.objects.values_list("order", "what").union(Order.objects.values_list("pk", "note"))
    assert sorted(await both)[0] == (first.pk, "a") and len(await both) == 6
    assert [row["order"] async for row in Line.objects.values("order")] == [first.pk, first.pk, second.pk]
    page = await Line.objects.order_by("id").values("order").page(size=2)
    assert page.items == [{"order": first.pk}] * 2
    [seen] = (await Line.objects.order_by("id").values("order").page(after=page.next_cursor)).items
    assert seen == {"order": second.pk}
    named = orm.CTE("named", Line.objects.values("order", "what"))
    names = await named.join(Line, what=named.col.what).with_cte(named).filter(what="a").values_list(named.col.what)
    assert names == [("a",)]
    with pytest.raises(orm.QueryError, match="'order' is a key of several columns"):
        named.join(Line, shop=named.col.order)


async def test_composite_keys_with_null_parts_as_values(orders: Any) -> None:
    """As with Django's composite keys, they are tuples with None for the parts that are NULL."""
    first, *_ = orders
    for key in ({}, {"at": first.shop_id}, {"order": first}):
        await Visit.objects.create(**key)
    assert await Visit.objects.order_by("id").values_list("order", flat=True) == [
        (None, None),
        (first.shop_id, None),
        first.pk,
    ]
    visits = Order.objects.order_by("note").values_list("visits__order", "visits__id")
    assert (await visits)[0][0] == first.pk and (await visits)[1] == ((None, None), None)


async def test_composite_keys_compared_with_other_shapes_raise(orders: Any) -> None:
    with pytest.raises(orm.QueryError, match=r"Line\.order is compared with a query of Shop; it takes .* of Order"):
        Line.objects.filter(order__in=Shop.objects.all())
    with pytest.raises(orm.QueryError, match=r"Line\.order is a key of 2 columns .* selects 1"):
        Line.objects.filter(order__in=Order.objects.values("shop"))
    with pytest.raises(orm.QueryError, match=r"Order\.pk is a key of 2 columns .* selects 3"):
        Order.objects.filter(pk__in=Order.objects.values("pk", "note"))
    with pytest.raises(orm.QueryError, match="sliced to one row"):
        Line.objects.filter(order=Order.objects.all())
    with pytest.raises(
        orm.QueryError, match=r"Line\.order is a key of 2 columns, and is not compared with F\('what'\)"
    ):
        Line.objects.filter(order=orm.F("what"))
    with pytest.raises(orm.QueryError, match=r"selects 2 columns cannot stand for one value"):
        Shop.objects.filter(pk__in=Line.objects.values("order"))
    with pytest.raises(orm.QueryError, match="key of 2 columns, which it is not"):
        await Shop.objects.filter(orm.Exists(Line.objects.filter(order=orm.OuterRef("pk"))))
    with pytest.raises(orm.QueryError, match="composite primary key"):
        Line.objects.annotate(key=orm.F("order"))
    with pytest.raises(orm.FieldError, match="a field of Visit"):
        Line.objects.values_list(Visit.order)


async def test_reverse_relation_of_a_composite_foreign_key(orders: Any) -> None:
    first, second, _ = orders
    line = await first.lines.create(what="a")
    assert line.order is first and await first.lines.count() == 1
    await second.lines.add(line)
    assert await second.lines == [line] and line.number == second.number and not await first.lines.exists()
    with pytest.raises(orm.QueryError, match=r"Line\.order may not be null"):
        await second.lines.clear()
    visit = await first.visits.create()
    await first.visits.remove(visit)
    assert visit.order is None and not await first.visits.exists()
    await first.visits.set([visit.pk])
    assert await first.visits == [visit]


async def test_many_to_many_between_models_with_composite_keys(orders: Any) -> None:
    first, second, third = orders
    tag = await Tag.objects.create(name="t")
    await first.tags.add(tag)
    await tag.orders.add(second, first.pk)
    assert await tag.orders.order_by("note") == [first, second] and await second.tags == [tag]
    await tag.orders.remove(first)
    assert await first.tags == []
    await tag.orders.set([third, second.pk])
    assert await tag.orders.order_by("note") == [second, third]
    assert await Tag.objects.filter(orders=third) == [tag] and await Tag.objects.exclude(orders=third) == []
    assert await Tag.objects.filter(orders__in=[first]) == [] and await Order.objects.filter(tags=None) == [first]
    await first.linked.add(second)
    assert await second.linked == [first] and await Order.objects.filter(linked=first) == [second]
    loaded = await Order.objects.order_by("note").prefetch_related("linked", "tags")
    assert [await order.linked for order in loaded] == [[second], [first], []]
    assert [await order.tags for order in loaded] == [[], [tag], [tag]]


@pytest.mark.parametrize(
    ("fields", "options", "message"),
    [
        ({"a": orm.Integer()}, {"from_fields": ["a", "b"]}, "no field 'b', given as one of the from_fields"),
        ({"a": orm.Integer(), "b": orm.Integer(), "c": orm.Integer()}, {"from_fields": ["a", "b", "c"]}, "2 fields"),
        ({"a": orm.Integer(allow_null=True), "b": orm.Integer()}, {"from_fields": ["a", "b"]}, "'a' may be null"),
        ({"a": orm.Integer(), "b": orm.Integer()}, {"from_fields": ["a", "b"], "allow_null": True}, "allow_null=False"),
    ],
)
def test_from_fields_that_do_not_fit_raise(fields: Any, options: Any, message: str) -> None:
    members = {**fields, "order": orm.CompositeForeignKey(Order, **options, related_name="+")}
    with pytest.raises(orm.FieldError, match=message):
        type("Wrong", (orm.Model,), {"registry": orm.ModelRegistry(), **members})


def test_foreign_key_to_a_composite_key_raises_with_advice() -> None:
    with pytest.raises(orm.FieldError, match=r"CompositeForeignKey\(from_fields"):
        type("Wrong", (orm.Model,), {"registry": orm.ModelRegistry(), "order": orm.ForeignKey(Order)})
