"""Many rows: the keys of a large insert, and a large result that is read in batches."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from orm.database.mysql import driver as mysql_driver
from orm.database.sqlite import driver as sqlite_driver
from orm.utils import row_batches
from orm.utils.row_batches import BATCH_ROWS, LOOP_BATCH_ROWS
from tests.sample_models import players as world_module
from tests.sample_models.players import Org, Player, Tag, Team
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio
MANY = 3 * BATCH_ROWS


@pytest.fixture
async def sqlite_tables(sqlite_url: str) -> AsyncIterator[Database]:
    """The empty tables of the players, on SQLite."""
    async with Database(sqlite_url) as database:
        await world_module.create(database)
        yield database


async def test_large_result_is_read_in_batches_between_which_other_tasks_run(
    tables: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Tag.objects.bulk_create({"name": f"tag {n}", "uses": n} for n in range(MANY))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turns_at_batch: list[int] = []
    read_batch = row_batches.call_with_gc_paused

    def counting(reader: Any, rows: Any) -> Any:
        if rows:
            turns_at_batch.append(turns)
        return read_batch(reader, rows)

    for module in (row_batches, sqlite_driver, mysql_driver):
        monkeypatch.setattr(module, "call_with_gc_paused", counting)
    task = asyncio.create_task(other())
    tags = await Tag.objects.order_by("uses")
    task.cancel()
    assert [tag.uses for tag in tags] == list(range(MANY))
    if tables.url.dialect == "sqlite":
        assert len(turns_at_batch) == MANY / BATCH_ROWS
        assert turns_at_batch[0] < turns  # Batches are read in another thread, when the interpreter switches to it.
    else:
        assert len(turns_at_batch) == MANY / LOOP_BATCH_ROWS
        assert turns_at_batch == sorted(set(turns_at_batch))


async def test_bulk_create_with_a_value_missing_in_all_rows_raises(tables: Database) -> None:
    await Tag.objects.create(name="known")
    with pytest.raises(orm.ValidationError) as caught:
        await Tag.objects.bulk_create([{"uses": 1}, {"uses": 2}])
    assert dict(caught.value) == {row: {"name": "This field is required."} for row in range(2)}


async def test_bulk_create_of_many_rows_sets_their_keys_in_order(tables: Database) -> None:
    first = await Tag.objects.create(name="first")
    tags = await Tag.objects.bulk_create({"name": f"tag {n}", "uses": n} for n in range(MANY))
    keys = [tag.pk for tag in tags]
    assert len(set(keys)) == MANY and min(keys) > first.pk and keys == sorted(keys)
    stored = await Tag.objects.exclude(pk=first.pk).values_list("id", "uses")
    assert {tag.pk: tag.uses for tag in tags} == dict(stored)


@pytest.fixture
async def row_adding_trigger(sqlite_tables: Database) -> AsyncIterator[None]:
    """A trigger that inserts a further row for each new one."""
    await sqlite_tables.execute(
        "CREATE TRIGGER more AFTER INSERT ON TAG WHEN new.uses >= 0 "
        "BEGIN INSERT INTO tag (name, uses) VALUES (new.name || '!', -1); END"
    )
    yield
    await sqlite_tables.execute("DROP TRIGGER more")


async def test_bulk_create_with_a_trigger_that_adds_rows_sets_the_right_keys(row_adding_trigger: None) -> None:
    await _keys_are_right()


@pytest.mark.parametrize("count", [2, 10, 1_000])
@pytest.mark.parametrize("inside", [False, True])
async def test_bulk_create_after_the_highest_possible_key_sets_the_right_keys(
    sqlite_tables: Database, count: int, inside: bool
) -> None:
    """SQLite then picks free keys in random order; each instance must still get its own."""
    await Tag.objects.create(id=2**63 - 1, name="last")
    async with sqlite_tables.transaction() if inside else nullcontext():
        tags = await _keys_are_right(count)
    keys = [tag.pk for tag in tags]
    assert count == 2 or keys != sorted(keys), "keys in order would be told apart anyway"


async def test_bulk_create_after_the_highest_possible_key_with_a_trigger_sets_the_right_keys(
    sqlite_tables: Database, row_adding_trigger: None
) -> None:
    await Tag.objects.create(id=2**63 - 1, name="last", uses=-1)
    await _keys_are_right()


async def test_bulk_create_inside_a_transaction_sets_the_right_keys(tables: Database) -> None:
    async with tables.transaction():
        await _keys_are_right()


async def _keys_are_right(count: int = 1_000) -> list[Tag]:
    tags = await Tag.objects.bulk_create({"name": f"tag {n}", "uses": n} for n in range(count))
    stored = dict(await Tag.objects.filter(name__startswith="tag").values_list("id", "uses"))
    assert all(stored[tag.pk] == tag.uses for tag in tags)
    return tags


async def test_bulk_create_on_sqlite_needs_no_returning(sqlite_tables: Database) -> None:
    with recorded(sqlite_tables) as statements:
        await Tag.objects.bulk_create({"name": f"tag {n}"} for n in range(1_000))
    inserts = [statement for statement in statements.texts if statement.startswith("INSERT")]
    assert inserts and not any("RETURNING" in statement for statement in inserts)


async def test_bulk_create_of_rows_with_different_fields_and_value_types(tables: Database) -> None:
    acme, red = Org(name="Acme"), Team(name="Red")
    await acme.save()
    red.league = acme
    await red.save()
    late = Team(name="Late", league=acme)
    players = [
        Player(name="plain", home=red),
        Player(name="  kept ", home=red.pk, score="7", joined="2024-05-17"),
        Player(name="keyed", home=red, id=1_000),
        Player(name="of one saved later", home=late, active="false"),
        Player(name="plain again", home=red, rank=3),
    ]
    await late.save()
    await Player.objects.bulk_create(players)
    assert players[0].pk < players[1].pk < players[4].pk and players[2].pk == 1_000
    assert (players[1].score, players[1].joined) == (7, datetime.date(2024, 5, 17))
    assert players[3].home_id == late.pk and players[3].active is False
    stored = {player.pk: player for player in await Player.objects.all()}
    for player in players:
        assert {**vars(stored[player.pk])} == {key: value for key, value in vars(player).items() if key != "home"}


async def test_bulk_create_of_invalid_rows_raises_all_messages_and_inserts_nothing(tables: Database) -> None:
    players = [Player(name="fine", home=1), Player(name="x" * 51, home=1, score="many")]
    with pytest.raises(orm.ValidationError) as caught:
        await Player.objects.bulk_create(players)
    assert [message.index for message in caught.value.messages()] == [[1, "name"], [1, "score"]]
    assert players[1].score == "many"
    assert await Player.objects.count() == 0


async def test_select_related_shares_instances_of_the_same_row(world: Database) -> None:
    players = await Player.objects.filter(team=1).select_related("team__org")
    assert len(players) > 1
    assert len({id(player.team) for player in players}) == 1
    assert players[0].team.org.name == "Acme"
