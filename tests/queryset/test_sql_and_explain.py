"""`sql` and `explain()`."""

from __future__ import annotations

import json

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.sample_models.players import Org, Player
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


def test_sql_without_connection_returns_statement() -> None:
    query = (
        Org.objects.using(Database("postgresql://localhost/nowhere")).filter(name="x", size__gt=3).order_by("id")[:5]
    )
    assert str(query.sql).startswith("SELECT org.id, org.name, org.size \nFROM org \nWHERE org.name = $1")
    assert query.sql.values == ("x", 3, 5)
    assert str(query.sql) == query.sql.text
    sqlite = query.using(Database("sqlite:///nowhere.db"))
    assert str(sqlite.sql).count("?") >= 3  # SQLAlchemy adds an OFFSET of 0.
    mysql = query.using(Database("mysql://localhost/nowhere"))
    assert str(mysql.sql).count("%s") == 3


async def test_sql_equals_the_statement_that_is_sent(world: Database) -> None:
    query = Player.objects.filter(team__org__name="Acme", rank__in=[1, 2]).select_related("home").order_by("-rank")[1:3]
    with recorded(world) as statements:
        await query
    assert statements.texts == [str(query.sql)]
    assert tuple(statements[0].values) == query.sql.values


async def test_sql_of_joined_filter_is_readable(world: Database) -> None:
    text = (
        " ".join(str(Player.objects.filter(team__name="Red").values("id").sql).split())
        .replace("`", "")
        .replace("INNER ", "")
    )
    assert text.startswith("SELECT player.id FROM player JOIN team ON player.team = team.id WHERE team.name = ")
    assert "1 = 1" not in text and "true" not in text


async def test_explain_returns_the_plan_of_the_database(any_world: databases.Database) -> None:
    plan = await Player.objects.filter(team__name="Red").explain()
    assert isinstance(plan, str) and plan
    assert "player" in plan.lower()
    assert await Player.objects.filter(orm.Q(rank=1) | orm.Q(name="x")).order_by("id")[:3].explain()


async def test_explain_runs_the_query_and_gives_a_format(world: Database) -> None:
    query = Player.objects.filter(team__name="Red")
    kind = world.url.scheme
    if kind.startswith("sqlite"):
        with pytest.raises(orm.NotSupportedError, match="sqlite does not run a statement to explain it"):
            await query.explain(analyze=True)
        with pytest.raises(orm.NotSupportedError, match=r"explain\(format='json'\): the formats of sqlite are none"):
            await query.explain(format="json")
        return
    assert json.loads(await query.explain(format="json"))
    plan = await query.explain(analyze=True, format="json" if kind.startswith("mysql") else "text")
    assert "actual" in plan or "r_rows" in plan
    with pytest.raises(orm.NotSupportedError, match=r"explain\(format='json; DROP TABLE player'\)"):
        await query.explain(format="json; DROP TABLE player")


async def test_options_of_explain_are_those_of_the_server(world: Database) -> None:
    query = Player.objects.all()
    with pytest.raises(orm.NotSupportedError, match=r"explain\(colour=...\): the further options of"):
        await query.explain(colour=True)
    if world.url.scheme.startswith("postgres"):
        assert "cost=" not in await query.explain(costs=False)
        assert "Buffers" in await query.explain(analyze=True, buffers=True, timing=False)
        assert "Buffers" in await query.explain(ANALYZE=True, BUFFERS=True, TIMING=False)
    elif world.url.scheme.startswith("mysql"):
        assert await query.explain(format="text") == await query.explain(format="TRADITIONAL")
