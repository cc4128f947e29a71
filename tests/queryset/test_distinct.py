"""`distinct()` over fields: PostgreSQL's DISTINCT ON."""

from __future__ import annotations

import pytest

import orm
from orm.database.connections.database import Database
from tests.sample_models import shop as shop_models
from tests.sample_models.shop import Item

pytestmark = pytest.mark.anyio


async def test_distinct_with_fields_returns_first_row_of_each(shop: Database) -> None:
    query = Item.objects.distinct("count").order_by("count", "-id")
    if shop.url.dialect != "postgresql":
        with pytest.raises(orm.NotSupportedError, match="DISTINCT ON"):
            await query
        return
    assert await query.values_list("id", flat=True) == [19, 20, 18]
    assert await query.count() == 3
    assert [item.pk for item in await Item.objects.distinct("shelf__name").order_by("shelf__name", "id")] == [4, 2, 1]
    doubled = Item.objects.annotate(twice=orm.F("count") * 2).distinct("twice").order_by("twice", "id")
    assert [item.pk for item in await doubled] == [1, 2, 3]
    with pytest.raises(orm.FieldError):
        Item.objects.distinct('x" --')


async def test_distinct_with_json_path_returns_first_row_of_each(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        await shop_models.create(database)
        kinds = (2, 10, 2, "x", None, "x", 10)
        await Item.objects.bulk_create([{"sku": f"{n}", "count": n, "data": {"k": k}} for n, k in enumerate(kinds)])
        query = Item.objects.distinct("data__k")
        assert await query.order_by("data__k", "count").values_list("count", flat=True) == [0, 1, 4, 3]
        assert await query.order_by("data__k", "-count").values_list("count", flat=True) == [2, 6, 4, 5]
        assert sorted(await query.order_by().values_list("data__k", flat=True), key=str) == [10, 2, None, "x"]
        assert await query.order_by("data__k").filter(count__gt=1).count() == 4
        # The path is a value: one plan for all paths.
        before = orm.plan_cache_info().misses
        assert len(await Item.objects.distinct("data__z").order_by("data__z", "count").values_list("count")) == 1
        assert orm.plan_cache_info().misses == before + 1
        assert await Item.objects.distinct("data__y").order_by("data__y", "count").values_list("count") == [(0,)]
        assert orm.plan_cache_info().misses == before + 1
        # Two paths of one shape, of which only the one is ordered by, are two shapes.
        with pytest.raises(orm.ProgrammingError, match="DISTINCT ON"):
            await Item.objects.distinct("data__k").order_by("data__z")


async def test_distinct_with_bound_expression_binds_its_values_once(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        await shop_models.create(database)
        await shop_models.fill()
        parity = Item.objects.annotate(parity=orm.F("count") % 2).distinct("parity").order_by("parity", "-id")
        assert await parity.values_list("id", flat=True) == [19, 20]
        place = orm.Window(orm.RowNumber(), order_by="id")
        late = Item.objects.annotate(place=place).filter(place__gt=10).distinct("data__k").order_by("data__k", "id")
        assert await late.values_list("id", flat=True) == [11]
