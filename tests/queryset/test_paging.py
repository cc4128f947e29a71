"""Pages by cursor: every row once, in order, in both directions, with rows changed in between; hostile cursors."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import databases
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orm
from orm.database.connections.database import Database
from orm.query.cursors import DIGEST_SIZE, _digest, decode_cursor
from orm.query.keyset import Keyset
from orm.query.ordering import OrderTerm
from tests.sample_models.shop import Item, Shelf
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio

NAMES = (
    *("name", "count", "price", "weight", "made", "best_before", "kept", "size", "sold", "label", "sku", "id"),
    *("shelf__name", "shelf", "more"),
)
TERMS = st.one_of(
    st.sampled_from([f"{sign}{name}" for name in NAMES for sign in ("", "-")]),
    st.builds(
        lambda name, descending, nulls: getattr(orm.F(name), "desc" if descending else "asc")(**{nulls: True}),
        st.sampled_from(NAMES),
        st.booleans(),
        st.sampled_from(["nulls_first", "nulls_last"]),
    ),
)


def items() -> Any:
    return Item.objects.annotate(more=orm.F("price") + orm.F("count"))


async def forwards(query: Any, size: int) -> list[Any]:
    items: list[Any] = []
    page = await query.page(size=size)
    while True:
        items += page.items
        assert len(page) <= size
        if not page.has_next:
            return items
        page = await query.page(after=page.next_cursor, size=size)
        assert page.has_previous


async def backwards(query: Any, size: int) -> list[Any]:
    """The rows from after the last one back to the first."""
    last = await query.page(size=100)
    page = await query.page(after=last.next_cursor, size=size)
    assert (page.items, page.has_next, page.has_previous) == ([], False, True)
    items: list[Any] = []
    while page.has_previous:
        page = await query.page(before=page.previous_cursor, size=size)
        assert page.has_next
        items = page.items + items
    return items


@settings(max_examples=25)
@given(order=st.lists(TERMS, max_size=3), size=st.integers(1, 21))
async def test_pages_in_any_order_cover_all_rows_once(shop: Database, order: list[Any], size: int) -> None:
    query = items().order_by(*order)
    expected = [item.pk for item in await items().order_by(*order, "pk")]
    assert [item.pk for item in await forwards(query, size)] == expected
    assert [item.pk for item in await backwards(query, size)] == expected


async def test_page_sends_one_query_of_one_shape(any_shop: databases.Database) -> None:
    query = Item.objects.order_by("-count")
    first = await query.page(size=3)
    second = await query.page(after=first.next_cursor, size=3)
    planned = orm.plan_cache_info().misses
    third = await query.page(after=second.next_cursor, size=5)
    assert orm.plan_cache_info().misses == planned
    assert (len(first), len(third), first.has_previous, third.has_previous) == (3, 5, False, True)
    assert len({*first, *second, *third}) == 11


async def test_pages_with_rows_changed_in_between_repeat_and_skip_none(shop: Database) -> None:
    query = Item.objects.order_by("sku")
    first = await query.page(size=5)
    await Item.objects.create(sku="sku000")
    await Item.objects.filter(pk=first.items[-1].pk).delete()
    second = await query.page(after=first.next_cursor, size=5)
    assert [item.sku for item in second] == [f"sku{i:02}" for i in range(5, 10)]
    before = await query.page(before=second.previous_cursor, size=10)
    assert [item.sku for item in before] == ["sku00", "sku000", "sku01", "sku02", "sku03"]
    assert (before.has_previous, before.has_next) == (False, True)


async def test_page_of_filtered_and_annotated_querysets_returns_rows(shop: Database) -> None:
    dicts = await Item.objects.order_by("-price").values("sku").page(size=2)
    assert [set(row) for row in dicts] == [{"sku"}] * 2
    groups = Shelf.objects.annotate(n=orm.Count("items")).order_by("-n")
    assert [shelf.n for shelf in await forwards(groups, 1)] == [5, 5, 5]
    joined = Shelf.objects.filter(items__count__gte=0).order_by("name")
    assert len(await forwards(joined, 1)) == 3
    related = await Item.objects.select_related("shelf").order_by("shelf__name").page(size=20)
    assert {item.shelf and item.shelf.name for item in related} == {None, "top", "low"}
    empty = await Item.objects.none().page()
    assert (empty.items, empty.next_cursor, empty.previous_cursor) == ([], None, None)
    other = Database(str(shop.url))
    async with other:
        assert (await Item.objects.using(other).page(size=1)).items[0].__dict__["_database"] is other


async def test_page_of_unpageable_query_raises(shop: Database) -> None:
    cursor = (await Item.objects.page(size=1)).next_cursor
    for query, error in (
        (Item.objects.all()[:5], orm.QueryError),
        (Shelf.objects.order_by("items__name"), orm.QueryError),
        (Item.objects.order_by(orm.Value(1)), orm.QueryError),
        (Item.objects.values("name").annotate(n=orm.Count("id")), orm.QueryError),
        (Item.objects.order_by("data"), orm.QueryError),
        (Item.objects.union(Item.objects.all()), orm.NotSupportedError),
    ):
        with pytest.raises(error):
            await query.page()
    for options in ({"size": 0}, {"size": True}, {"size": "1"}, {"after": cursor, "before": cursor}):
        with pytest.raises(orm.QueryError):
            await Item.objects.page(**options)


async def test_page_with_cursor_of_another_order_raises(shop: Database) -> None:
    cursor = (await Item.objects.order_by("count").page(size=1)).next_cursor
    for query in (
        Item.objects.order_by("-count"),
        Item.objects.order_by("name"),
        Item.objects.order_by("count", "name"),
        Item.objects.order_by(orm.F("count").asc(nulls_first=True)),
        Shelf.objects.all(),
    ):
        with recorded(shop) as statements, pytest.raises(orm.QueryError, match="cursor"):
            await query.page(after=cursor)
        assert not statements


@given(st.one_of(st.text(), st.binary().map(lambda b: base64.urlsafe_b64encode(b).decode()), st.integers()))
def test_decode_of_invented_cursor_raises(text: Any) -> None:
    order = Keyset.of(Item.objects.order_by("name")._query, nulls_high=False).order
    with pytest.raises(orm.QueryError):
        decode_cursor("Item", order, text)


def forged(order: Sequence[OrderTerm], content: Any) -> str:
    """A cursor with a valid checksum."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    raw = _digest("Item", order, body) + body
    assert len(raw) == len(body) + DIGEST_SIZE
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"x", b"[" * 100_000, b"[0," + b"9" * 5_000 + b"]", b"\xff", [], {}, [0], [0, None], [0, "a"]),
        *([0, "a", 1, None], [0, ["a"], 1], [0, [], 1], [0, "s", "i"], b'[0,"a",NaN]', b'[0,"a",Infinity]'),
        *([0, 5, "x"], [0, "a", 2**63], [0, "a", str(2**63)], [0, "a", None], [0, "a", 1.5], [0, "a", [1]]),
        *([0, "a", "NaN"], [0, "a", "inf"], [0, "a", "1 OR 1=1"], [0, "a", {"i": 1}], [0, ["s", "a"], ["i", "1"]]),
        *([0, None, 1], [0, {"s": 1}, 1], [0, "a", "9" * 30], b'[0,"a",1e400]'),
    ],
)
def test_decode_of_forged_cursor_raises_or_returns_values_of_the_fields(content: Any) -> None:
    order = Keyset.of(Item.objects.order_by("name")._query, nulls_high=False).order
    with pytest.raises(orm.QueryError):
        decode_cursor("Item", order, forged(order, content))


@pytest.mark.parametrize("text", ["'; DROP TABLE item; --", "\x00", "\ud800", "%s", "\\", "🎉" * 500])
async def test_page_with_forged_values_only_moves_the_position(shop: Database, text: str) -> None:
    query = Item.objects.order_by("name")
    cursor = forged(Keyset.of(query._query, nulls_high=True).order, [0, text, 1])
    with suppress(orm.Error):
        await query.page(after=cursor)
    assert await Item.objects.count() == 20


async def test_in_batches_returns_all_rows_by_primary_key(any_shop: databases.Database) -> None:
    assert [len(rows) async for rows in Item.objects.order_by("name").in_batches(8)] == [8, 8, 4]
    assert [[item.pk for item in rows] async for rows in Item.objects.filter(count=1).in_batches(4)] == [
        [2, 5, 8, 11],
        [14, 17, 20],
    ]
    deleted = 0
    async for keys in Item.objects.values_list("id", flat=True).in_batches(6):
        deleted += await Item.objects.filter(id__in=keys).delete()
    assert deleted == 20
    with pytest.raises(orm.QueryError):
        async for _ in Item.objects.all()[:5].in_batches():
            pass
    with pytest.raises(orm.QueryError):
        async for _ in Item.objects.in_batches(0):
            pass
