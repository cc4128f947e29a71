"""`limit(n, per=...)`: the first rows of each group, on every database."""

from __future__ import annotations

from typing import Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from orm.functions import Lower
from tests.sample_models.shop import Item, Shelf, rows
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


def expected(count: int, group: Any, order: Any, keep: Any = lambda row: True) -> list[int]:
    """The keys of the first `count` rows of each group in the order, computed in Python."""
    seen: dict[Any, int] = {}
    expected_keys = []
    for row in sorted(filter(keep, rows()), key=order):
        seen[group(row)] = seen.get(group(row), 0) + 1
        if seen[group(row)] <= count:
            expected_keys.append(row["id"])
    return expected_keys


async def keys(query: Any) -> list[int]:
    rows: list[int] = await query.values_list("id", flat=True)
    return rows


async def test_limit_per_field_returns_first_rows_of_each_group(any_shop: databases.Database) -> None:
    query = Item.objects.order_by("-count", "id").limit(2, per="shelf")
    assert await keys(query) == expected(2, lambda r: r["shelf"], lambda r: (-r["count"], r["id"]))
    assert [item.pk for item in await query] == await keys(query)
    assert await query.count() == 8
    assert await query.exists()
    assert (await query.aggregate(most=orm.Max("id")))["most"] == max(await keys(query))


async def test_limit_per_several_terms_groups_by_all(shop: Database) -> None:
    queryset = Item.objects.order_by("id").limit(1, per=["shelf__name", "sold"])
    names = {1: "top", 2: None, 3: "low", None: None}
    assert await keys(queryset) == expected(1, lambda r: (names[r["shelf"]], r["sold"]), lambda r: r["id"])
    queryset = Item.objects.order_by("-id").limit(1, per=Lower("name"))
    assert await keys(queryset) == expected(1, lambda r: r["name"].lower(), lambda r: -r["id"])
    queryset = Item.objects.order_by("-id").limit(3, per=orm.F("id") % 4)
    assert await keys(queryset) == expected(3, lambda r: r["id"] % 4, lambda r: -r["id"])


async def test_limit_per_without_order_takes_rows_by_primary_key(shop: Database) -> None:
    assert sorted(await keys(Item.objects.limit(1, per="count"))) == [1, 2, 3]


async def test_limit_per_then_order_by_keeps_chosen_rows(shop: Database) -> None:
    query = Item.objects.order_by("-id").limit(1, per="count")
    assert await keys(query) == [20, 19, 18]
    assert await keys(query.order_by("count")) == [19, 20, 18]
    assert await keys(query.reverse()) == [18, 19, 20]
    assert await keys(query.order_by("id")[1:]) == [19, 20]


async def test_limit_per_after_filter_counts_matching_rows(shop: Database) -> None:
    before = Item.objects.filter(sold=True).order_by("id").limit(1, per="shelf")
    after = Item.objects.order_by("id").limit(1, per="shelf").filter(sold=True)
    wanted = expected(1, lambda r: r["shelf"], lambda r: r["id"], lambda r: r["sold"])
    assert await keys(before) == await keys(after) == wanted


async def test_limit_per_of_grouped_rows_returns_first_groups(shop: Database) -> None:
    by_shelf = Item.objects.values("shelf", "sold").annotate(n=orm.Count("id")).order_by("-n", "shelf", "sold")
    assert len(await by_shelf.limit(1, per="shelf")) == len({row["shelf"] for row in rows()})


async def test_limit_per_in_subquery_returns_chosen_rows(shop: Database) -> None:
    firsts = Item.objects.order_by("id").limit(1, per="shelf").values("id")
    assert await Item.objects.filter(id__in=firsts).count() == 4
    assert await keys(Item.objects.filter(id__in=firsts).exclude(shelf=None).order_by("-id")) == [4, 3, 2]
    per_shelf = orm.Count("items", filter=orm.Q(items__in=firsts))
    assert await Shelf.objects.annotate(n=per_shelf).order_by("id").values_list("n", flat=True) == [1, 1, 1]


async def test_update_and_delete_after_limit_per_affect_chosen_rows(shop: Database) -> None:
    with recorded(shop) as statements:
        assert await Item.objects.order_by("-id").limit(2, per="shelf").update(name="last") == 8
        assert await Item.objects.order_by("id").limit(1, per="shelf").delete() == 4
    assert len(statements) == 2
    assert await keys(Item.objects.filter(name="last").order_by("id")) == list(range(13, 21))
    assert await keys(Item.objects.order_by("id")[:1]) == [5]


async def test_limit_per_zero_returns_nothing(shop: Database) -> None:
    assert await Item.objects.limit(0, per="shelf") == []


async def test_limit_per_with_invalid_arguments_raises(shop: Database) -> None:
    with pytest.raises(orm.FieldError, match="shelv"):
        Item.objects.limit(1, per="shelv")
    with pytest.raises(orm.QueryError, match="negative"):
        Item.objects.limit(-1, per="shelf")
    with pytest.raises(orm.QueryError, match="slice"):
        Item.objects.all()[:5].limit(1, per="shelf")
    with pytest.raises(orm.QueryError, match="rows of a group are equal"):
        Item.objects.limit(1, per=[])
    with pytest.raises(orm.QueryError, match="rows of a group are equal"):
        Item.objects.limit(1, per=orm.Count("id"))
    with pytest.raises(orm.QueryError, match="rows of a group are equal"):
        Item.objects.limit(1, per=orm.Window(orm.Rank(), order_by="id"))
    with pytest.raises(orm.NotSupportedError, match="union"):
        Item.objects.all().union(Item.objects.all()).limit(1, per="shelf")
