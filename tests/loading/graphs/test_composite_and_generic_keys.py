"""Graphs over composite foreign keys, and over generic ones, which refer to one of several models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import databases
import pytest

import orm
from tests.loading.graphs.loaded_values import assert_one_instance_each, loaded, snapshot

models = orm.ModelRegistry()


class Shop(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=10)


class Tag(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=10)


class Order(orm.Model):
    registry = models

    shop: Any = orm.ForeignKey(Shop, primary_key=True, related_name="orders")
    number = orm.String(max_length=5, primary_key=True)
    note = orm.String(max_length=10, allow_blank=True)
    tags = orm.ManyToMany(Tag, related_name="orders")
    linked = orm.ManyToMany("self")


class Line(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    at = orm.Integer(allow_null=True, column="line_at")
    nth = orm.String(max_length=5, allow_null=True)
    order = orm.CompositeForeignKey(
        Order, from_fields=["at", "nth"], allow_null=True, on_delete=orm.SET_NULL, related_name="lines"
    )
    after: Any = orm.ForeignKey("self", allow_null=True, related_name="before")
    what = orm.String(max_length=10)


class Bill(orm.Model):
    """One of each order: its key is the order's."""

    registry = models

    shop = orm.Integer(primary_key=True)
    number = orm.String(max_length=5, primary_key=True)
    order = orm.CompositeForeignKey(Order, from_fields=["shop", "number"], on_delete=orm.CASCADE, related_name="bill")
    total = orm.Decimal(max_digits=8, decimal_places=2)


class Note(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=10)
    subject = orm.GenericForeignKey(Shop, Line, "Note", allow_null=True, on_delete=orm.CASCADE, related_name="notes")

    class Meta:
        ordering = ("id",)


@pytest.fixture
async def filled(any_database: databases.Database) -> AsyncIterator[databases.Database]:
    """Orders of two shops whose numbers are alike, lines, bills of some, notes on this and that."""
    models.database = any_database
    await models.create_all()
    shops = await Shop.objects.bulk_create(
        {"id": key, "name": name} for key, name in ((1, "one"), (2, "two"), (3, "none"))
    )
    tags = await Tag.objects.bulk_create(
        {"id": key, "name": name} for key, name in ((1, "red"), (2, "blue"), (3, "none"))
    )
    keys = [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (2, "é")]
    orders = await Order.objects.bulk_create(
        {"shop": shop, "number": number, "note": f"{shop}{number}"} for shop, number in keys
    )
    places = [(1, "a"), (1, "a"), (2, "a"), (2, "é"), (None, None), (1, None), (None, "a"), (1, "a")]
    lines = await Line.objects.bulk_create(
        {"id": key, "order": None, "at": at, "nth": nth, "what": f"line {key}"}
        if None in (at, nth)
        else {"id": key, "order": (at, nth), "what": f"line {key}"}
        for key, (at, nth) in enumerate(places, start=1)
    )
    for line, before in ((1, 0), (2, 0), (3, 2)):
        await lines[line].update(after=lines[before])
    await Bill.objects.bulk_create({"order": orders[n], "total": f"{n}.50"} for n in (0, 3))
    await orders[0].tags.add(tags[0], tags[1])
    await orders[2].tags.add(tags[0])
    await orders[0].linked.add(orders[0], orders[2])
    await orders[3].linked.add(orders[4])
    first = await Note.objects.create(id=1, text="a shop", subject=shops[0])
    await Note.objects.create(id=2, text="a line", subject=lines[0])
    await Note.objects.create(id=3, text="a note", subject=first)
    await Note.objects.create(id=4, text="nothing")
    await Note.objects.create(id=5, text="shop again", subject=shops[0])
    yield any_database


PATHS: list[tuple[Any, tuple[str, ...]]] = [
    (Line.objects.order_by("id"), ("order",)),
    (Line.objects.order_by("id"), ("order__shop",)),
    (Line.objects.order_by("id"), ("order__lines__order", "after__order")),
    (Line.objects.filter(order__note="1a").order_by("id"), ("order__bill", "before")),
    (Line.objects.order_by("-id")[:5], ("order__tags",)),
    (Line.objects.only("what").order_by("id"), ("order",)),
    (Line.objects.select_related("order").order_by("id"), ("order__lines", "after")),
    (Order.objects.order_by("shop", "number"), ("lines",)),
    (Order.objects.order_by("shop", "number"), ("shop__orders__lines", "bill")),
    (Order.objects.order_by("shop", "number"), ("tags__orders", "linked__linked")),
    (Order.objects.order_by("-note")[1:4], ("lines__after__order__bill", "linked")),
    (Order.objects.only("note").order_by("note"), ("lines", "bill", "tags")),
    (Bill.objects.order_by("shop"), ("order__bill", "order__lines")),
    (Shop.objects.order_by("id"), ("orders__lines__before", "orders__bill__order")),
    (Tag.objects.order_by("id"), ("orders__lines",)),
    (Note.objects.all(), ("subject_shop", "subject_line", "subject_note")),
    (Note.objects.all(), ("subject_line__order__lines", "subject_shop__orders", "notes")),
    (Note.objects.filter(subject_shop__name="one"), ("subject_shop__notes",)),
    (Shop.objects.order_by("id"), ("notes__notes__subject_note", "orders__lines__notes")),
    (Line.objects.order_by("id"), ("notes__subject_line", "order__shop__notes")),
]


@pytest.mark.parametrize(("query", "paths"), PATHS, ids=lambda value: "-".join(value) if type(value) is tuple else "")
async def test_graph_loads_what_prefetch_related_loads(
    filled: databases.Database, query: Any, paths: tuple[str, ...]
) -> None:
    found = await query.graph(*paths)
    expected = await query.prefetch_related(*paths)
    assert found and in_any_order(snapshot(found, *paths)) == in_any_order(snapshot(expected, *paths))
    assert_one_instance_each(found)


def in_any_order(value: Any) -> Any:
    """The value with its lists of rows sorted: other tests check their order."""
    if isinstance(value, dict):
        return {name: in_any_order(inner) for name, inner in value.items()}
    return sorted((in_any_order(item) for item in value), key=repr) if isinstance(value, list) else value


async def test_each_row_is_one_instance_attached_in_both_directions(filled: databases.Database) -> None:
    orders = await Order.objects.order_by("shop", "number").graph("lines", "bill", "linked")
    assert [[line.id for line in sorted(loaded(order, "lines"), key=lambda line: line.id)] for order in orders] == [
        [1, 2, 8],
        [],
        [3],
        [],
        [4],
    ]
    assert all(line.order is order for order in orders for line in loaded(order, "lines"))
    assert [loaded(order, "bill") and loaded(order, "bill").order is order for order in orders] == [
        True,
        None,
        None,
        True,
        None,
    ]
    assert loaded(orders[0], "linked")[0] in orders and {id(o) for o in loaded(orders[0], "linked")} <= set(
        map(id, orders)
    )
    lines = await Line.objects.order_by("id").graph("order")
    assert lines[0].order is lines[1].order is lines[7].order
    assert [line.order and line.order.note for line in lines] == ["1a", "1a", "2a", "2é", None, None, None, "1a"]


async def test_shapes_filter_order_and_limit_relations_of_composite_keys(filled: databases.Database) -> None:
    orders = await Order.objects.order_by("shop", "number").graph(
        {
            "lines": {"filter": {"id__lt": 8}, "order_by": "-id", "limit": 1, "after": {"order": {"bill": None}}},
            "tags": {"exclude": {"name": "red"}, "order_by": "name", "to_attr": "others"},
        }
    )
    assert [[line.id for line in loaded(order, "lines")] for order in orders] == [[2], [], [3], [], [4]]
    assert [[tag.name for tag in order.others] for order in orders] == [["blue"], [], [], [], []]  # type: ignore[attr-defined]
    after = loaded(loaded(orders[0], "lines")[0], "after")
    assert after.id == 1 and after.order is orders[0] and loaded(orders[0], "bill").total == 0.5
    shops = await Shop.objects.order_by("id").graph(
        {"orders": {"filter": orm.Q(lines__what="line 3"), "lines": Line.objects.filter(what="line 3")}}
    )
    assert [[[line.id for line in loaded(o, "lines")] for o in loaded(shop, "orders")] for shop in shops] == [
        [],
        [[3]],
        [],
    ]
    linked = await Order.objects.order_by("note").graph({"linked": Order.objects.order_by("-note")[:1]})
    assert [[other.note for other in loaded(order, "linked")] for order in linked] == [
        ["2a"],
        [],
        ["1a"],
        ["2é"],
        ["2b"],
    ]
    bills = await Bill.objects.order_by("shop").graph({"order": {"filter": {"note": "1a"}, "to_attr": "first"}})
    assert [bill.first and bill.first.note for bill in bills] == ["1a", None]  # type: ignore[attr-defined]


async def test_as_dicts_of_composite_and_generic_keys(filled: databases.Database) -> None:
    [first, *_, last] = (
        await Line.objects.order_by("id").graph({"order": {"bill": None, "tags": {"order_by": "id"}}}).as_dicts()
    )
    assert first["order"] == {
        "shop_id": 1,
        "number": "a",
        "note": "1a",
        "bill": {"shop": 1, "number": "a", "total": "0.50"},
        "tags": [{"id": 1, "name": "red"}, {"id": 2, "name": "blue"}],
    }
    assert first["at"] == 1 and first["nth"] == "a" and last["order"] is first["order"]
    notes = await Note.objects.graph("subject").as_dicts()
    assert [(note["subject_shop"], note["subject_line"] and note["subject_line"]["id"]) for note in notes] == [
        ({"id": 1, "name": "one"}, None),
        (None, 1),
        (None, None),
        (None, None),
        ({"id": 1, "name": "one"}, None),
    ]
    assert notes[2]["subject_note"] == {key: notes[0][key] for key in notes[2]["subject_note"]}
    assert notes[0]["subject_shop"] is notes[4]["subject_shop"]


async def test_generic_relation_loads_each_row_s_model(filled: databases.Database) -> None:
    notes = await Note.objects.graph("subject")
    assert [type(note.subject).__name__ for note in notes] == ["Shop", "Line", "Note", "NoneType", "Shop"]
    assert notes[0].subject.name == "one" and notes[0].subject is notes[4].subject
    assert notes[1].subject.what == "line 1" and notes[2].subject is notes[0]
    for shape in ("subject__line__order", {"subject__line": {"order": None}}, {"subject": {"line": {"order": None}}}):
        found = await Note.objects.graph(shape)  # type: ignore[arg-type]
        assert found[1].subject.order.note == "1a"
    for shape in ({"subject": None}, {"subject": {}}):
        assert (await Note.objects.graph(shape))[0].subject.name == "one"
    found = await Shop.objects.order_by("id").graph({"notes": {"subject": {"shop": {"orders": {"order_by": "note"}}}}})
    assert [note.text for note in loaded(found[0], "notes")] == ["a shop", "shop again"]
    assert loaded(found[0], "notes")[0].subject is found[0]
    assert [order.note for order in loaded(found[0], "orders")] == ["1a", "1b"]


def test_options_of_a_generic_relation_without_a_model_raise() -> None:
    with pytest.raises(orm.FieldError, match=r"given as graph\(\), leads to one of several models: say which"):
        Note.objects.graph("subject__order")
    for options in ({"filter": {"id": 1}}, {"order": None}):
        with pytest.raises(
            orm.FieldError, match="one of several models: say which, subject__shop, subject__line, subject__note"
        ):
            Note.objects.graph({"subject": options})


def test_errors_name_the_method_that_was_called() -> None:
    with pytest.raises(orm.QueryError, match=r"^graph\(\): 'lines' is loaded already, by another queryset"):
        Order.objects.graph("lines", {"lines": Line.objects.order_by("id")})
    with pytest.raises(
        orm.QueryError, match=r"^graph\(\): the queryset of 'order', which leads to one Order, takes no"
    ):
        Line.objects.graph({"order": {"limit": 1}})
    with pytest.raises(orm.QueryError, match=r"^prefetch_related\(\): the queryset of 'order', which leads to one"):
        Line.objects.prefetch_related(orm.Prefetch("order", Order.objects.all()[:1]))
    with pytest.raises(orm.QueryError, match=r"^graph\(\): .* leads to Order, not to Shop"):
        Line.objects.graph({"order": Shop.objects.all()})
    with pytest.raises(orm.QueryError, match=r"^selectin\(\) takes relations as .* Prefetch objects; got int"):
        Line.objects.options(orm.selectin(3))  # type: ignore[arg-type]
