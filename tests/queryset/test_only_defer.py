"""`only()` and `defer()`: which fields are loaded, and the error for the others."""

from __future__ import annotations

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.sample_models.players import Player, Team
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio
FIELDS = {"id", "name", "nick", "score", "rank", "joined", "active", "team_id", "home_id"}


def loaded(instance: orm.Model) -> set[str]:
    """The attributes that an instance holds."""
    return {name for name in vars(instance) if not name.startswith("_")}


async def test_only_loads_named_fields_and_key(any_world: databases.Database) -> None:
    player = await Player.objects.only("name", "score").get(id=1)
    assert loaded(player) == {"id", "name", "score"}
    assert (player.pk, player.name, player.score) == (1, "Ann", 10)
    with pytest.raises(orm.NotLoaded, match="rank"):
        _ = player.rank
    with pytest.raises(orm.NotLoaded, match="team"):
        _ = player.team
    assert loaded(await Player.objects.only("pk").get(id=1)) == {"id"}
    assert loaded(await Player.objects.only("team").get(id=1)) == {"id", "team_id"}
    assert loaded(await Player.objects.only("team_id").get(id=1)) == {"id", "team_id"}
    assert loaded(await Player.objects.only("team__name").get(id=1)) == {"id", "team_id"}


async def test_defer_loads_other_fields(any_world: databases.Database) -> None:
    player = await Player.objects.defer("name", "team").get(id=1)
    assert loaded(player) == FIELDS - {"name", "team_id"}
    with pytest.raises(orm.NotLoaded, match="load"):
        _ = player.name
    assert loaded(await Player.objects.defer("id", "pk").get(id=1)) == FIELDS


async def test_repeated_only_replaces_and_repeated_defer_adds(world: Database) -> None:
    players = Player.objects
    assert loaded(await players.only("name").only("rank").get(id=1)) == {"id", "rank"}
    assert loaded(await players.defer("name").defer("rank").get(id=1)) == FIELDS - {"name", "rank"}
    assert loaded(await players.only("name", "rank").defer("rank").get(id=1)) == {"id", "name"}
    assert loaded(await players.defer("name", "rank").only("name", "score").get(id=1)) == {"id", "score"}
    assert loaded(await players.only("name").defer("name", "rank").get(id=1)) == FIELDS - {"rank"}


async def test_load_after_only_fetches_all_fields_in_one_query(world: Database) -> None:
    player = await Player.objects.only("name").get(id=1)
    with recorded(world) as statements:
        await player.load()
    assert len(statements) == 1
    assert loaded(player) == FIELDS
    assert player.rank == 1


async def test_save_after_only_writes_loaded_fields(any_world: databases.Database) -> None:
    player = await Player.objects.only("name").get(id=1)
    player.name = "Anna"
    await player.save()
    after = await Player.objects.get(id=1)
    assert (after.name, after.score, after.rank, after.team_id) == ("Anna", 10, 1, 1)


async def test_only_with_select_related_loads_named_fields_of_both(any_world: databases.Database) -> None:
    players = Player.objects.select_related("team__org")
    player = await players.only("name", "team__name").get(id=1)
    assert loaded(player) == {"id", "name", "team_id", "team"}
    assert loaded(player.team) >= {"id", "name", "org_id", "org"}
    assert "league_id" not in loaded(player.team)
    assert player.team.org.name == "Acme"
    player = await players.defer("team__league", "team__org__size", "rank").get(id=1)
    assert "rank" not in loaded(player)
    assert "league_id" not in loaded(player.team)
    assert "size" not in loaded(player.team.org)
    assert player.team.org.name == "Acme"
    assert (await players.only("name", "team__name").get(id=5)).team is None


async def test_only_with_streams_and_slices_loads_named_fields(any_world: databases.Database) -> None:
    async for player in Player.objects.only("name").order_by("id")[:2]:
        assert loaded(player) == {"id", "name"}
    assert loaded((await Player.objects.order_by("-rank").defer("joined").first()) or Team()) == FIELDS - {"joined"}


async def test_only_and_defer_with_unknown_names_raise(tables: Database) -> None:
    for bad in ("nope", "team__nope", "name__x", "nope__name"):
        with pytest.raises(orm.FieldError):
            Player.objects.only(bad)
        with pytest.raises(orm.FieldError):
            Player.objects.defer(bad)
