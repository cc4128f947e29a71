"""Large results, whose rows become objects in batches while they arrive."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from orm.database.connections.statements import fetch_objects

pytestmark = pytest.mark.anyio
BATCH_ROWS = 40
models = orm.ModelRegistry()


class Row(orm.Model):
    registry = models
    tablename = "piecemeal"

    id = orm.Integer(primary_key=True)
    data = orm.JSON()


SQL = "SELECT id FROM piecemeal ORDER BY id"


@pytest.fixture
async def rows(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A table of a hundred rows, with batches of forty."""
    for name in ("utils.row_batches.LOOP_", "database.sqlite.driver.", "database.mysql.driver.LOOP_"):
        monkeypatch.setattr(f"orm.{name}BATCH_ROWS", BATCH_ROWS)
    monkeypatch.setattr("orm.database.mysql.driver.MAX_ROWS_OF_SMALL_RESULTS", BATCH_ROWS)
    monkeypatch.setattr("orm.database.sqlite.backend.MIN_OBJECTS", BATCH_ROWS)
    models.database = database
    await models.create_all()
    await Row.objects.bulk_create([Row(data=[n]) for n in range(100)])
    yield database


def contexts(database: Database) -> list[AbstractAsyncContextManager[Any]]:
    """The contexts in which a statement may run: none, a transaction, a connection."""
    return [nullcontext(), database.transaction(), database.connection()]


async def test_large_result_keeps_the_order_of_its_rows(rows: Database) -> None:
    for context in contexts(rows):
        async with context:
            for _ in range(3):
                assert [row.data for row in await Row.objects.order_by("id")] == [[n] for n in range(100)]
            assert len(await Row.objects.filter(id__gt=30)) == 70
            assert await Row.objects.count() == 100


async def test_fetch_objects_reads_a_large_result_in_batches(rows: Database) -> None:
    for context in contexts(rows):
        batch_sizes: list[int] = []

        def read(found: Sequence[Any], batch_sizes: list[int] = batch_sizes) -> list[Any]:
            batch_sizes.append(len(found))
            return [row[0] for row in found]

        async with context:
            for _ in range(2):
                batch_sizes.clear()
                found = await fetch_objects(rows, SQL, (), read)
                assert found == list(range(1, 101)) and type(found) is list
            assert batch_sizes == [40, 40, 20]


async def test_reader_that_fails_leaves_a_usable_connection(rows: Database) -> None:
    def read(found: Sequence[Any]) -> list[Any]:
        if found[0][0] > BATCH_ROWS:
            raise ValueError("no more")
        return list(found)

    for context in contexts(rows):
        async with context:
            for _ in range(2):
                with pytest.raises(ValueError, match="no more"):
                    await fetch_objects(rows, SQL, (), read)
            assert await Row.objects.count() == 100
            assert await Row.objects.filter(id=1).exists()


async def test_cancelled_fetch_objects_leaves_a_usable_connection(rows: Database) -> None:
    async def once() -> None:
        def read(found: Sequence[Any]) -> list[Any]:
            loop.call_soon_threadsafe(task.cancel)
            return list(found)

        await asyncio.sleep(0)
        await fetch_objects(rows, SQL, (), read)
        await asyncio.sleep(1)

    loop = asyncio.get_running_loop()
    assert len(await Row.objects.order_by("id")) == 100
    for _ in range(20):
        task = asyncio.create_task(once())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await Row.objects.count() == 100
    assert len(await Row.objects.order_by("id")) == 100


async def test_fetch_objects_leaves_no_reference_to_the_objects(rows: Database) -> None:
    class Item:
        """An object that can be referred to weakly."""

    def read(batch: Sequence[Any]) -> list[Any]:
        return [Item() for _ in batch]

    objects = await fetch_objects(rows, SQL, (), read)
    references = [weakref.ref(item) for item in objects]
    del objects
    assert [reference() for reference in references] == [None] * 100
