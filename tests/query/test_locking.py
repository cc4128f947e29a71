"""Row locks: `select_for_update()` and `select_for_share()`."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

import databases
import pytest

import orm
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from tests.sample_models.shop import Item
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio
T = TypeVar("T")


def kind(database: databases.Database) -> str:
    return str(database.url.dialect)


async def test_lock_outside_a_transaction_raises(shop: Database) -> None:
    queries = [Item.objects.select_for_update(), Item.objects.filter(id=1).select_for_share()]
    if kind(shop) == "sqlite":
        for query in queries:
            assert await query
        return
    with recorded(shop) as statements:
        for query in queries:
            with pytest.raises(orm.TransactionError, match="transaction"):
                await query
            with pytest.raises(orm.TransactionError):
                await query.get(id=1)
            with pytest.raises(orm.TransactionError):
                await query.exists()
            with pytest.raises(orm.TransactionError):
                async for _ in query:
                    pass
    assert not statements
    assert await queries[0].count() == 20


def outside(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that is not in the transaction that it is started in, of an `orm.Database` or a plain one."""
    return contextvars.Context().run(asyncio.create_task, work)


async def test_locked_row_blocks_other_transactions(any_shop: databases.Database) -> None:
    """Another task is refused the row, skips it or waits for it; other rows are not locked."""

    async def other(**options: Any) -> list[Any]:
        async with any_shop.transaction():
            return await Item.objects.filter(id__lt=4).order_by("id").select_for_update(**options)

    async with any_shop.transaction():
        (locked,) = await Item.objects.filter(id=2).select_for_update()
        assert locked.pk == 2
        if kind(any_shop) == "sqlite":
            return
        with pytest.raises(orm.LockNotAvailable):
            await outside(other(nowait=True))
        assert [item.pk for item in await outside(other(skip_locked=True))] == [1, 3]
        waiting = outside(other())
        await Item.objects.filter(id=2).update(name="seen")
    assert [item.name for item in await waiting][1] == "seen"


async def test_shared_lock_blocks_writers_only(shop: Database) -> None:
    if kind(shop) == "sqlite":
        pytest.skip("SQLite has no row locks")

    async def other(query: Any) -> Any:
        async with shop.transaction():
            return await query

    async with shop.transaction():
        await Item.objects.filter(id=2).select_for_share()
        row = Item.objects.filter(id=2)
        assert await outside(other(row.select_for_share(nowait=True)))
        with pytest.raises(orm.LockNotAvailable):
            await outside(other(row.select_for_update(nowait=True)))


async def test_lock_options_that_a_database_lacks_raise(shop: Database) -> None:
    of = Item.objects.select_related("shelf").filter(id=2).select_for_update(of=["self"])
    no_key = Item.objects.filter(id=2).select_for_update(no_key=True)
    server = (await dialect_of(shop)).name
    async with shop.transaction():
        with recorded(shop) as statements:
            for query, missing in ((of, ["mariadb"]), (no_key, ["mysql", "mariadb"])):
                if server in missing:
                    with pytest.raises(orm.NotSupportedError):
                        await query
                else:
                    assert len(await query) == 1
    expected = {"postgresql": ["FOR UPDATE OF item", "FOR NO KEY UPDATE"], "mysql": ["FOR UPDATE OF item"]}
    if server in expected:
        for text, clause in zip(statements.texts, expected[server], strict=True):
            assert text.endswith(clause)


async def test_contradictory_lock_options_raise() -> None:
    with pytest.raises(orm.QueryError, match="nowait"):
        Item.objects.select_for_update(nowait=True, skip_locked=True)
    with pytest.raises(orm.QueryError, match="list"):
        Item.objects.select_for_update(of="self")


async def test_of_takes_only_loaded_relations(shop: Database) -> None:
    if kind(shop) == "sqlite":
        pytest.skip("SQLite has no row locks")
    async with shop.transaction():
        with recorded(shop) as statements:
            for name in ("shelf", "sku", "'; --"):
                with pytest.raises(orm.FieldError, match="self"):
                    await Item.objects.select_for_update(of=[name])
        assert not statements


async def test_update_and_delete_ignore_the_lock(shop: Database) -> None:
    assert await Item.objects.select_for_update().filter(id=1).update(name="x") == 1
    assert await Item.objects.select_for_update().filter(id=1).delete() == 1
