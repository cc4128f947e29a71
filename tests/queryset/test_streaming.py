"""``async for``: constant memory, leaving early, other queries during a stream; transactions; concurrent tasks."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from contextlib import aclosing
from typing import Any

import databases
import pytest

from orm.database.connections.checkout import Checkout
from orm.database.connections.database import Database
from tests.sample_models import players as world_module
from tests.sample_models.players import PLAYERS, Org, Player, Tag
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio
MANY = 3_000


async def make_tags(count: int = MANY) -> None:
    await Tag.objects.bulk_create({"name": f"tag {n}", "uses": n} for n in range(count))


async def test_stream_returns_the_rows_of_a_list(any_world: databases.Database) -> None:
    for query in (
        Player.objects.order_by("id"),
        Player.objects.filter(team__org__name="Acme").select_related("team").order_by("-id"),
        Player.objects.order_by("id")[2:5],
        Player.objects.none(),
        Player.objects.filter(rank=99),
    ):
        assert [player async for player in query] == await query
    assert [row async for row in Player.objects.order_by("id").values("id")] == await Player.objects.order_by(
        "id"
    ).values("id")


async def test_stream_holds_one_batch_of_rows(tables: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_tags()
    living: dict[int, bool] = {}
    monkeypatch.setattr(Tag, "__del__", lambda self: living.pop(id(self), None), raising=False)
    seen = most = 0
    async for tag in Tag.objects.filter(uses__gte=0).only("name", "uses"):
        seen += 1
        living[id(tag)] = True
        most = max(most, len(living))
    assert seen == MANY
    assert most <= 1_000


async def test_slow_stream_receives_no_rows_ahead(tables: Database) -> None:
    """Rows that the server sends ahead must not pile up: 20 MB here."""
    await make_tags(200)
    sql = "SELECT a.name, REPEAT('x', 500) FROM tag a, tag b, tag c LIMIT 40000"
    if tables.url.dialect == "sqlite":
        sql = sql.replace("REPEAT('x', 500)", "HEX(ZEROBLOB(250))")
    async with Checkout(tables) as checkout:
        seen = 0
        tracemalloc.start()
        try:
            async for batch in checkout.stream(sql, chunk=100):
                seen += len(batch)
                for _ in range(5):
                    await asyncio.sleep(0)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert seen == 40_000
        assert peak < 5_000_000
        assert await checkout.fetch("SELECT 1")
    assert await Tag.objects.count() == 200


async def test_stream_closed_early_returns_its_connection(any_tables: databases.Database) -> None:
    await make_tags(1_200)
    for _ in range(12):
        async with aclosing(aiter(Tag.objects.order_by("id"))) as stream:
            async for tag in stream:
                if tag.uses == 5:
                    break
    async with any_tables.transaction():
        async with aclosing(aiter(Tag.objects.order_by("id"))) as stream:
            await anext(stream)
        assert await Tag.objects.count() == 1_200
    assert await Tag.objects.count() == 1_200


async def test_stream_left_by_break_returns_its_connection(tables: Database) -> None:
    """Python closes an abandoned generator when it is collected; then the connection must be free."""
    await make_tags(1_200)
    gc.freeze()  # the objects of the tests before, which would take seconds each time
    try:
        for _ in range(15):
            async for tag in Tag.objects.order_by("id"):
                if tag.uses == 5:
                    break
            gc.collect()
            await asyncio.sleep(0)
    finally:
        gc.unfreeze()
    assert await Tag.objects.count() == 1_200
    assert await asyncio.gather(*(Tag.objects.filter(uses=n).exists() for n in range(20))) == [True] * 20


async def test_stream_left_by_error_returns_its_connection(any_tables: databases.Database) -> None:
    await make_tags(1_200)
    for _ in range(12):
        with pytest.raises(ZeroDivisionError):
            async with aclosing(aiter(Tag.objects.all())) as stream:
                async for tag in stream:
                    _ = tag.uses // 0
    assert await Tag.objects.count() == 1_200


async def test_queries_during_a_stream_run(any_tables: databases.Database) -> None:
    await make_tags(1_200)
    seen = 0
    async for tag in Tag.objects.order_by("id"):
        if seen % 400 == 0:
            assert (await Tag.objects.get(pk=tag.pk)).uses == tag.uses
        seen += 1
    assert seen == 1_200


async def test_queries_during_a_stream_in_a_transaction_run(any_tables: databases.Database) -> None:
    await make_tags(1_200)
    seen = 0
    async with any_tables.transaction():
        async for tag in Tag.objects.order_by("id"):
            if seen % 300 == 0:
                await Tag.objects.filter(pk=tag.pk).update(note="seen")
                assert await Tag.objects.filter(note="seen").count() == seen // 300 + 1
            seen += 1
    assert seen == 1_200
    assert await Tag.objects.filter(note="seen").count() == 4


async def test_stream_sends_one_statement(world: Database) -> None:
    with recorded(world) as statements:
        assert len([player async for player in Player.objects.all()]) == len(PLAYERS)
    selects = [event for event in statements if event.sql.startswith("SELECT")]
    assert len(selects) == 1
    assert selects[0].rows == len(PLAYERS)


# Transactions


async def test_queryset_created_before_a_transaction_runs_inside_it(any_tables: databases.Database) -> None:
    tags = Tag.objects.filter(uses__gt=0)
    creating = tags.create(name="made inside", uses=1)
    coroutine_of_update = tags.update(note="x")
    transaction = await any_tables.transaction()
    try:
        await creating
        assert await coroutine_of_update == 1
        assert [tag.note for tag in await tags] == ["x"]
        assert await tags.count() == 1
        assert [tag.name async for tag in tags] == ["made inside"]
    finally:
        await transaction.rollback()
    assert await tags == []


async def test_error_in_savepoint_keeps_outer_transaction(any_tables: databases.Database) -> None:
    async with any_tables.transaction():
        await Tag.objects.create(name="outer")
        with pytest.raises(ZeroDivisionError):
            async with any_tables.transaction():
                await Tag.objects.create(name="inner")
                _ = 1 // 0
        assert await Tag.objects.values_list("name", flat=True) == ["outer"]
    assert await Tag.objects.values_list("name", flat=True) == ["outer"]


# Many tasks


async def test_concurrent_reads_return_their_own_rows(any_world: databases.Database) -> None:
    async def one(number: int) -> Any:
        player = await Player.objects.select_related("team").get(id=number % 14 + 1)
        return player.pk, await Player.objects.filter(rank__lte=player.rank).count()

    counts = await asyncio.gather(*(one(number) for number in range(60)))
    assert counts == [(number % 14 + 1, number % 14 + 1) for number in range(60)]


async def test_concurrent_writes_all_succeed(tables: Database) -> None:
    await asyncio.gather(*(Tag.objects.create(name=f"tag {n}") for n in range(40)))
    assert await Tag.objects.count() == 40
    await asyncio.gather(*(Tag.objects.filter(name="tag 7").update(uses=Tag.uses + 1) for _ in range(20)))
    assert (await Tag.objects.get(name="tag 7")).uses == 20


async def test_in_memory_database_is_shared_by_tasks() -> None:
    async with Database("sqlite://") as database:
        await world_module.create(database)
        await world_module.fill()
        counts = await asyncio.gather(*(Org.objects.filter(id__gt=0).count() for _ in range(30)))
        assert counts == [4] * 30
        await asyncio.gather(*(Tag.objects.get_or_create(name=f"tag {n % 5}") for n in range(30)))
        assert await Tag.objects.count() == 5
        async with database.transaction(force_rollback=True):
            await Tag.objects.delete()
        assert await Tag.objects.count() == 5


async def test_using_reads_and_saves_on_that_database(database_url: str, sqlite_url: str) -> None:
    async with Database(database_url) as first, Database("sqlite://") as second:
        await world_module.create(second)
        await world_module.create(first)
        await Tag.objects.create(name="first")
        other = await Tag.objects.using(second).create(name="second")
        assert await Tag.objects.values_list("name", flat=True) == ["first"]
        assert await Tag.objects.using(second).values_list("name", flat=True) == ["second"]
        other.note = "saved there"
        await other.save()
        instance = await Tag.objects.using(second).get()
        assert instance.note == "saved there"
        await instance.delete()
        assert await Tag.objects.using(second).count() == 0
        assert await Tag.objects.count() == 1
        instances = await Tag.objects.using(second).bulk_create([{"name": "x"}, {"name": "y"}])
        await instances[0].update(uses=5)
        assert await Tag.objects.using(second).filter(uses=5).count() == 1
        assert (await Tag.objects.using(second).get_or_create(name="x"))[1] is False
