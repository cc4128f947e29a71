"""`earliest()` and `latest()`, and whether a queryset `contains()` a row."""

from __future__ import annotations

import pytest

import orm
from orm.database.connections.database import Database
from tests.sample_models.shop import Item, Shelf

pytestmark = pytest.mark.anyio


async def test_earliest_and_latest_return_row_at_the_end_of_the_order(shop: Database) -> None:
    assert (await Item.objects.order_by("-id").earliest("count", "id")).pk == 1
    assert (await Item.objects.latest("count", "id")).pk == 18
    assert (await Item.objects.latest("-id")).pk == 1
    assert (await Item.objects.filter(count__lt=2).latest()).count == 1
    assert (await Item.objects.earliest()).count == 0
    assert await Item.objects.values("id").latest("id") == {"id": 20}
    with pytest.raises(Item.DoesNotExist):
        await Item.objects.filter(count=9).latest()
    with pytest.raises(orm.QueryError, match="get_latest_by"):
        await Shelf.objects.earliest()
    with pytest.raises(orm.QueryError, match="slice"):
        await Item.objects.all()[:3].latest()
    with pytest.raises(orm.FieldError):
        await Item.objects.latest("'; --")


async def test_contains_tells_whether_the_row_is_in_the_query(shop: Database) -> None:
    item = await Item.objects.get(id=1)
    assert await Item.objects.filter(count=0).contains(item)
    assert not await Item.objects.filter(count=1).contains(item)
    assert not await Item.objects.contains(await Shelf.objects.get(id=1))  # type: ignore[arg-type]
    with pytest.raises(orm.QueryError, match="saved"):
        await Item.objects.contains(Item(sku="x"))
    with pytest.raises(orm.QueryError):
        await Item.objects.contains(1)  # type: ignore[arg-type]
    with pytest.raises(orm.QueryError):
        await Item.objects.values("id").contains(item)
    with pytest.raises(orm.QueryError):
        await Item.objects.all()[:3].contains(item)
