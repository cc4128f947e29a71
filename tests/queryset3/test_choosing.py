"""earliest, latest, contains, distinct over fields, dates and datetimes."""

from __future__ import annotations

import datetime
import zoneinfo

import pytest

import orm
from orm.database.database import Database
from tests.queryset3.stock import Item, Shelf

pytestmark = pytest.mark.anyio


async def test_earliest_and_latest(shop: Database) -> None:
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


async def test_contains(shop: Database) -> None:
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


async def test_distinct_over_fields(shop: Database) -> None:
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


async def test_dates(shop: Database) -> None:
    day = datetime.date
    assert await Item.objects.dates("best_before", "month") == [day(2025, 1, 1), day(2025, 2, 1)]
    assert await Item.objects.dates("best_before", "year", "DESC") == [day(2025, 1, 1)]
    assert await Item.objects.filter(id__lt=3).dates("made", "day") == [day(2024, 1, 2)]
    assert await Shelf.objects.filter(name="top").dates("items__best_before", "month") == [day(2025, 2, 1)]
    assert await Item.objects.dates("made", "day").count() == 3


async def test_datetimes(shop: Database) -> None:
    found = await Item.objects.datetimes("made", "hour", "DESC")
    assert found == [datetime.datetime(2024, 1, d, 12) for d in (3, 2, 1)]
    for field, kind in (("made", "decade"), ("best_before", "day"), ("sku", "day"), ("'; --", "day")):
        with pytest.raises((orm.QueryError, orm.FieldError)):
            Item.objects.datetimes(field, kind)
    with pytest.raises(orm.QueryError, match="tzinfo"):
        Item.objects.datetimes("made", "day", tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    with pytest.raises(orm.QueryError):
        Item.objects.dates("best_before", "hour")
    with pytest.raises(orm.QueryError):
        Item.objects.dates("best_before", "day", "; --")  # type: ignore[arg-type]
