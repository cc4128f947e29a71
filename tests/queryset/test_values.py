"""`values()` and `values_list()`: dicts, tuples, named tuples, single values; fields, paths and expressions."""

from __future__ import annotations

import datetime
from typing import Any

import databases
import pytest
import sqlalchemy

import orm
from orm.database.connections.database import Database
from tests.sample_models.players import PLAYERS, Player, Team, value_at

pytestmark = pytest.mark.anyio


async def test_values_returns_dicts_of_all_or_named_fields(any_world: databases.Database) -> None:
    players = Player.objects.order_by("id")
    everything = await players.values()
    renamed = [
        {{"team": "team_id", "home": "home_id"}.get(name, name): value for name, value in row.items()}
        for row in PLAYERS
    ]
    assert everything == renamed
    assert type(everything[0]["active"]) is bool
    assert type(everything[0]["joined"]) is datetime.date
    assert await players.values("name", "score")[:2] == [{"name": "Ann", "score": 10}, {"name": "ann", "score": None}]
    assert await players.values("pk")[:1] == [{"pk": 1}]
    assert list((await players.values("score", "name", "id"))[0]) == ["score", "name", "id"]


async def test_values_across_null_relations_keep_the_row(any_world: databases.Database) -> None:
    paths = (
        "id",
        "team",
        "team_id",
        "team__name",
        "team__org__name",
        "team__org",
        "home__league__name",
        "home__org_id",
    )
    rows = await Player.objects.order_by("id").values(*paths)
    assert rows == [{path: value_at(row, path) for path in paths} for row in PLAYERS]
    tuples = await Player.objects.order_by("id").values_list(*paths)
    assert tuples == [tuple(row.values()) for row in rows]
    narrowed = await Player.objects.filter(team__name="Red").order_by("id").values_list("team__org__name", flat=True)
    assert narrowed == ["Acme"] * 4


async def test_values_list_returns_tuples_values_or_named_tuples(any_world: databases.Database) -> None:
    players = Player.objects.order_by("id")
    assert await players.values_list("id", "name")[:2] == [(1, "Ann"), (2, "ann")]
    assert (await players.values_list())[0] == tuple(PLAYERS[0].values())
    assert await players.values_list("rank", flat=True) == [row["rank"] for row in PLAYERS]
    row = (await players.values_list("id", "team__name", named=True))[0]
    assert (row.id, row.team__name) == (1, "Red") == row
    assert type(row).__name__ == "Row"
    assert await players.values_list("rank", flat=True).get(id=3) == 3
    assert await players.values("rank").get(id=3) == {"rank": 3}
    assert [value async for value in players.values_list("rank", flat=True)[:3]] == [1, 2, 3]


async def test_values_with_expressions_returns_their_results(any_world: databases.Database) -> None:
    players = Player.objects.order_by("id")
    assert (await players.values("id", twice=Player.rank * 2))[1] == {"id": 2, "twice": 4}
    assert (await players.values(sum=orm.F("rank") + orm.F("home__id"), org=orm.F("team__org__name")))[2] == {
        "sum": 4,
        "org": None,
    }
    assert await players.values_list(Player.rank + 1, flat=True)[:2] == [2, 3]
    assert (await players.values(Player.team.name, Player.rank))[0] == {"team__name": "Red", "rank": 1}
    upper = sqlalchemy.func.upper(Player.columns.nick)
    assert (await players.values(loud=upper))[0] == {"loud": "ANNIE"}
    assert (await players.values(five=orm.Value(5)))[0] == {"five": 5}


async def test_values_with_other_methods_returns_selected_columns(any_world: databases.Database) -> None:
    query = Player.objects.values("home__name").filter(active=True).exclude(team=None).order_by("-rank")
    assert [row["home__name"] for row in await query] == ["Blue", "Grün", "red 100%", "Grün", "Blue", "Red", "Red"]
    assert await query.count() == 7
    assert await query.exists() is True
    assert (await query.first())["home__name"] == "Blue"
    assert len(await query.distinct().order_by()) == 4
    assert await Player.objects.none().values("id") == []


async def test_invalid_values_raise(tables: Database) -> None:
    players = Player.objects.all()
    for bad in ("nope", "team__nope", "name__upper", "team__name__x"):
        with pytest.raises(orm.FieldError):
            players.values(bad)
        with pytest.raises(orm.FieldError):
            players.values_list(bad, flat=True)
    for fields in ((), ("id", "name")):
        with pytest.raises(orm.QueryError):
            players.values_list(*fields, flat=True)
    with pytest.raises(orm.QueryError):
        players.values_list("id", flat=True, named=True)
    with pytest.raises(orm.QueryError):
        players.values("id").select_related("team")
    with pytest.raises(orm.QueryError):
        players.values("id").only("name")
    with pytest.raises(orm.QueryError):
        players.values("id").defer("name")
    with pytest.raises(orm.FieldError):
        players.values(Team.name)
    with pytest.raises(orm.QueryError):
        await players.values("id").in_bulk([1])
    with pytest.raises(orm.QueryError):
        await players.values("id").delete()


async def test_update_after_values_changes_rows(any_world: databases.Database) -> None:
    assert await Player.objects.filter(rank__lt=3).values("id").update(score=1) == 2
    assert await Player.objects.filter(score=1).count() == 4


async def test_derived_querysets_leave_the_original_unchanged(any_world: databases.Database) -> None:
    base = Player.objects.filter(rank__lt=3).order_by("id")
    derived: list[Any] = [
        base.values("id"),
        base.values_list("id", flat=True),
        base.filter(score=10),
        base.exclude(score=10),
        base.order_by("-id"),
        base.reverse(),
        base[:1],
        base.limit(1),
        base.offset(1),
        base.distinct(),
        base.select_related("team"),
        base.only("name"),
        base.defer("name"),
        base.none(),
        base.using(any_world),
        base.search("x"),
    ]
    for query in derived:
        await query
    assert [player.pk for player in await base] == [1, 2]
    assert [player.name for player in await base] == ["Ann", "ann"]
    assert base.all() is base or await base.all() == await base
