"""select_related(): related instances in the same query, nested and null."""

from __future__ import annotations

from typing import Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.sample_models.players import ORGS, PLAYERS, TEAMS, Org, Player, Team
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


def check_team(team: Team | None, key: int | None, *, orgs: bool) -> None:
    """Check that the loaded team is the row with this key, or None."""
    if key is None:
        assert team is None
        return
    assert team is not None
    row = TEAMS[key - 1]
    assert (team.pk, team.name, team.org_id, team.league_id) == (row["id"], row["name"], row["org"], row["league"])
    if orgs:
        if row["org"] is None:
            assert team.org is None
        else:
            org = ORGS[row["org"] - 1]
            assert (team.org.pk, team.org.name, team.org.size) == (org["id"], org["name"], org["size"])


async def test_select_related_loads_nested_and_null_relations(any_world: databases.Database) -> None:
    rows = await Player.objects.select_related("team__org", "home").order_by("id")
    assert [player.pk for player in rows] == [row["id"] for row in PLAYERS]
    for player, row in zip(rows, PLAYERS, strict=True):
        check_team(player.team, row["team"], orgs=True)
        check_team(player.home, row["home"], orgs=False)
        with pytest.raises(orm.NotLoaded, match="select_related"):
            _ = player.home.league.name


async def test_select_related_sends_one_query(world: Database) -> None:
    with recorded(world) as statements:
        rows = await Player.objects.select_related("team__org", "team__league", "home__org", "home__league")
        names = {player.home.league.name for player in rows}
        names |= {player.team.org.name for player in rows if player.team and player.team.org}
    assert len(statements) == 1
    assert names == {"Acme", "acme", "Ölwerk"}


async def test_select_related_of_one_table_over_several_relations_loads_each(any_world: databases.Database) -> None:
    """`team` and `home` are teams with two orgs each: the orgs table is joined four times."""
    query = Player.objects.select_related("team__org", "team__league", "home__org", "home__league")
    for player in await query.filter(team__league__name="Acme", home__org__name__isnull=False).order_by(
        "home__org__name"
    ):
        check_team(player.team, PLAYERS[player.pk - 1]["team"], orgs=True)
        check_team(player.home, PLAYERS[player.pk - 1]["home"], orgs=True)
        assert player.team.league.name == "Acme"
        assert player.home.league.pk == TEAMS[player.home_id - 1]["league"]


async def test_select_related_without_names_loads_relations_that_cannot_be_null(any_world: databases.Database) -> None:
    player = await Player.objects.select_related().get(id=1)
    assert player.home.name == "Red"
    assert player.home.league.name == "Acme"
    with pytest.raises(orm.NotLoaded):
        _ = player.team.name


async def test_select_related_calls_add_up_and_none_resets(any_world: databases.Database) -> None:
    query = Player.objects.select_related("team").select_related("home")
    player = await query.get(id=2)
    assert (player.team.name, player.home.name) == ("Red", "Blue")
    player = await query.select_related(None).get(id=2)
    with pytest.raises(orm.NotLoaded):
        _ = player.team.name
    assert "JOIN" not in str(query.select_related(None).sql)


async def test_select_related_with_list_of_names_loads_all(any_world: databases.Database) -> None:
    player = await Player.objects.select_related(["team", "home__league"]).get(id=2)
    assert (player.team.name, player.home.league.name) == ("Red", "acme")


async def test_select_related_with_filter_shares_the_join_and_drops_no_rows(world: Database) -> None:
    query = Player.objects.select_related("team")
    assert await query.count() == len(PLAYERS) == len(await query)
    narrowed = query.filter(team__name="Red")
    assert str(narrowed.sql).count("JOIN") == 1
    assert [p.team.name for p in await narrowed] == ["Red"] * 4
    assert "JOIN" not in str(query.filter(rank=1).select_related(None).sql)


async def test_select_related_with_streams_slices_first_and_get_loads_relations(any_world: databases.Database) -> None:
    query = Player.objects.select_related("team__org").order_by("-id")
    assert [p.team and p.team.name async for p in query[:4]] == ["Red", "Blue", None, "Red"]
    first = await query.first()
    assert first is not None and first.team.org.name == "Acme"
    bulk = await query.in_bulk([3, 5])
    assert bulk[3].team.name == "Blue" and bulk[3].team.org is None and bulk[5].team is None


async def test_select_related_of_self_relation_loads_ancestors(any_database: databases.Database) -> None:
    models = orm.ModelRegistry(any_database)

    class Page(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        title = orm.String(max_length=20)
        parent: Any = orm.ForeignKey("Page", allow_null=True)

    await models.create_all()
    root = await Page.objects.create(title="root")
    child = await Page.objects.create(title="child", parent=root)
    await Page.objects.create(title="leaf", parent=child)
    rows = await Page.objects.select_related("parent__parent").order_by("id")
    assert [p.parent and p.parent.title for p in rows] == [None, "root", "child"]
    assert rows[2].parent.parent.title == "root"
    assert rows[1].parent.parent is None
    assert [p.title for p in await Page.objects.filter(parent__parent__title="root")] == ["leaf"]
    assert [p.title for p in await Page.objects.exclude(parent__title="root").order_by("id")] == ["root", "leaf"]
    assert [p.title for p in await Page.objects.order_by("parent__title", "id").filter(parent__isnull=False)] == [
        "leaf",
        "child",
    ]


async def test_select_related_with_unknown_names_raises(tables: Database) -> None:
    for bad in ("name", "nope", "team__name", "team__nope", "team_id", "team__org__id", ""):
        with pytest.raises(orm.FieldError, match="relation"):
            Player.objects.select_related(bad)
    assert Org.objects.select_related() is not None


async def test_slice_with_select_related_limits_before_joining(world: Database) -> None:
    """Otherwise MariaDB joins the smaller table first and sorts all rows to return a few."""
    page = Player.objects.select_related("home").order_by("-rank")
    few = [
        page[:3],
        page.filter(rank__gt=2)[:3],
        page.filter(orm.Q(rank=1) | orm.Q(home=2))[1:],
        page.order_by().limit(2),
    ]
    others = [
        page,
        page.filter(home__name="Red")[:3],
        page.order_by("home__name")[:3],
        page.order_by(orm.functions.Lower("home__name"))[:3],
        page.annotate(n=orm.F("home__id") + 1).filter(n__gt=1)[:3],
        Player.objects.order_by("rank")[:3],
    ]
    told = world.url.dialect == "mysql"
    for query in few:
        assert ("STRAIGHT_JOIN" in str(query.sql)) is told
    for query in others:
        assert "STRAIGHT_JOIN" not in str(query.sql)
    assert [player.pk for player in await few[0]] == [14, 13, 12]
    assert [player.home.pk for player in await few[1]] == [4, 2, 1]
    async with world.transaction():
        assert len(await few[0].select_for_update()) == 3
