"""`update(returning=)` and `delete(returning=)`: the written rows, without another query."""

from __future__ import annotations

import contextlib

import pytest

import orm
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from tests.sample_models.shop import Item
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


async def test_update_returning_gives_the_updated_rows(shop: Database) -> None:
    chosen = Item.objects.filter(shelf__name="top", id__lt=7)
    with recorded(shop) as statements:
        dicts = await chosen.update(count=Item.count + 5, returning=["id", "count"])
        items = await chosen.update(name="new", returning=True)
    if (await dialect_of(shop)).update_returning:
        assert len(statements) == 2
    else:
        assert [sql.split()[0] for sql in (event.sql for event in statements) if "item" in sql] == [
            *("SELECT", "UPDATE", "SELECT"),
            *("SELECT", "UPDATE", "SELECT"),
        ]
    assert sorted(row["id"] for row in dicts) == [2, 6]
    assert {row["id"]: row["count"] for row in dicts} == {2: 6, 6: 7}
    assert sorted((item.pk, item.name, item.sku) for item in items) == [(2, "new", "sku01"), (6, "new", "sku05")]
    assert await Item.objects.none().update(name="x", returning=True) == []


async def test_update_returning_sees_rows_that_kept_their_values_and_is_rolled_back(shop: Database) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with shop.transaction():
            [same] = await Item.objects.filter(id=2).update(count=Item.count, returning=["id", "count"])
            changed = await Item.objects.filter(count__gte=0).update(count=-1, returning=["count"])
            assert {row["count"] for row in changed} == {-1}
            raise ZeroDivisionError
    assert same == {"id": 2, "count": 1}
    assert not await Item.objects.filter(count=-1).exists()


async def test_update_returning_of_the_primary_key_is_refused_where_rows_are_read_by_it(shop: Database) -> None:
    if (await dialect_of(shop)).update_returning:
        assert await Item.objects.filter(id=2).update(id=200, returning=["id"]) == [{"id": 200}]
        return
    with pytest.raises(orm.NotSupportedError, match="primary key"):
        await Item.objects.filter(id=2).update(id=200, returning=["id"])
    assert await Item.objects.filter(id=2).exists()


@pytest.mark.parametrize("emulated", [False, True])
async def test_delete_returning_gives_the_deleted_rows(
    shop: Database, monkeypatch: pytest.MonkeyPatch, emulated: bool
) -> None:
    dialect = await dialect_of(shop)
    if emulated:  # as on MySQL
        monkeypatch.setattr(dialect, "delete_returning", False)
    with recorded(shop) as statements:
        items = await Item.objects.filter(shelf__name="top", id__lt=7).delete(returning=True)
        dicts = await Item.objects.filter(id__in=[1, 3]).delete(returning=["sku", "price"])
    assert len(statements) == 2 or not dialect.delete_returning
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
