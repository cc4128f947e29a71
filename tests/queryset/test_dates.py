"""`dates()` and `datetimes()`."""

from __future__ import annotations

import datetime
import zoneinfo

import pytest

import orm
from orm.database.connections.database import Database
from tests.sample_models.shop import Item, Shelf

pytestmark = pytest.mark.anyio


async def test_dates_returns_distinct_periods(shop: Database) -> None:
    day = datetime.date
    assert await Item.objects.dates("best_before", "month") == [day(2025, 1, 1), day(2025, 2, 1)]
    assert await Item.objects.dates("best_before", "year", "DESC") == [day(2025, 1, 1)]
    assert await Item.objects.filter(id__lt=3).dates("made", "day") == [day(2024, 1, 2)]
    assert await Shelf.objects.filter(name="top").dates("items__best_before", "month") == [day(2025, 2, 1)]
    assert await Item.objects.dates("made", "day").count() == 3


async def test_datetimes_returns_distinct_periods_and_refuses_other_fields(shop: Database) -> None:
    rows = await Item.objects.datetimes("made", "hour", "DESC")
    assert rows == [datetime.datetime(2024, 1, d, 12) for d in (3, 2, 1)]
    for field, kind in (("made", "decade"), ("best_before", "day"), ("sku", "day"), ("'; --", "day")):
        with pytest.raises((orm.QueryError, orm.FieldError)):
            Item.objects.datetimes(field, kind)
    with pytest.raises(orm.QueryError, match="tzinfo"):
        Item.objects.datetimes("made", "day", tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    with pytest.raises(orm.QueryError):
        Item.objects.dates("best_before", "hour")
    with pytest.raises(orm.QueryError):
        Item.objects.dates("best_before", "day", "; --")  # type: ignore[arg-type]
