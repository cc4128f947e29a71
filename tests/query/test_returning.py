"""`update(returning=)` and `delete(returning=)`: the written rows, without another query."""

from __future__ import annotations

import pytest

import orm
from orm.database.connections.database import Database
from tests.sample_models.shop import Item
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


async def test_update_returning_gives_the_updated_rows(shop: Database, has_targets: bool) -> None:
    chosen = Item.objects.filter(shelf__name="top", id__lt=7)
    if not has_targets:
        with pytest.raises(orm.NotSupportedError, match="UPDATE"):
            await chosen.update(count=5, returning=True)
        return
    with recorded(shop) as statements:
        dicts = await chosen.update(count=Item.count + 5, returning=["id", "count"])
        items = await chosen.update(name="new", returning=True)
    assert len(statements) == 2
    assert sorted(row["id"] for row in dicts) == [2, 6]
    assert {row["id"]: row["count"] for row in dicts} == {2: 6, 6: 7}
    assert sorted((item.pk, item.name, item.sku) for item in items) == [(2, "new", "sku01"), (6, "new", "sku05")]
    assert await Item.objects.none().update(name="x", returning=True) == []


async def test_delete_returning_gives_the_deleted_rows(shop: Database) -> None:
    with recorded(shop) as statements:
        items = await Item.objects.filter(shelf__name="top", id__lt=7).delete(returning=True)
        dicts = await Item.objects.filter(id__in=[1, 3]).delete(returning=["sku", "price"])
    assert len(statements) == 2
    assert sorted(item.sku for item in items) == ["sku01", "sku05"]
    assert not any(item._persisted for item in items)
    assert sorted(row["sku"] for row in dicts) == ["sku00", "sku02"]
    assert await Item.objects.count() == 16
    await items[0].save()
    assert await Item.objects.count() == 17


@pytest.mark.parametrize("returning", ["id", [], ["shelf__name"], False, 3, [orm.F("id") + 1]])
async def test_invalid_returning_raises(shop: Database, returning: object) -> None:
    with recorded(shop) as statements:
        with pytest.raises(orm.QueryError):
            await Item.objects.filter(id=1).update(name="x", returning=returning)  # type: ignore[call-overload]
        with pytest.raises(orm.QueryError):
            await Item.objects.filter(id=1).delete(returning=returning)  # type: ignore[call-overload]
        with pytest.raises(orm.FieldError):
            await Item.objects.filter(id=1).delete(returning=["'; DROP TABLE item; --"])
    assert not statements
