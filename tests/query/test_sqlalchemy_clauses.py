"""Conditions given as SQLAlchemy clauses: the right rows, one plan for all values, no values in the SQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import databases
import pytest
import sqlalchemy

import orm
from orm.database.connections.database import Database
from tests.sample_models.players import PLAYERS, Org, Player, Tag, Team

pytestmark = pytest.mark.anyio
columns = Player.columns


async def keys(query: Any) -> list[int]:
    found: list[int] = await query.order_by("id").values_list("id", flat=True)
    return found


def matching(test: Callable[[dict[str, Any]], bool]) -> list[int]:
    return [row["id"] for row in PLAYERS if test(row)]


async def test_clause_selects_the_right_rows(any_world: databases.Database) -> None:
    cases: list[tuple[Any, list[int]]] = [
        (columns.rank == 3, [3]),
        (columns.rank > 12, [13, 14]),
        (columns.rank.in_([1, 2, 99]), [1, 2]),
        (columns.rank.not_in([1, 2]), list(range(3, 15))),
        (columns.rank.in_([]), []),
        (columns.rank.between(3, 5), [3, 4, 5]),
        (columns.score.is_(None), [2, 7]),
        (columns.score.is_not(None) & (columns.rank < 3), [1]),
        (columns.name.contains("nn"), [1, 2]),
        (columns.name.startswith("Zed"), [12, 13]),
        (columns.name.contains("%", autoescape=True), [4]),
        (columns.nick.like("%nnie"), [1]),
        (sqlalchemy.and_(columns.rank > 1, columns.rank < 4), [2, 3]),
        (sqlalchemy.or_(columns.rank == 1, columns.name == "Bob"), [1, 3]),
        (sqlalchemy.not_(columns.rank > 2), [1, 2]),
        (~columns.rank.in_(range(3, 100)), [1, 2]),
        (columns.team == 1, [1, 2, 11, 14]),
        (columns.rank + 1 == 3, [2]),
        (sqlalchemy.func.length(columns.nick) == 5, [1, 6, 7, 8]),
        (columns.rank == columns.id, [row["id"] for row in PLAYERS]),
        (columns.active == True, matching(lambda row: row["active"])),  # noqa: E712
        (sqlalchemy.case((columns.rank > 10, "high"), else_="low") == "high", [11, 12, 13, 14]),
        (sqlalchemy.exists().where(Tag.columns.uses == columns.rank), []),
    ]
    for clause, expected in cases:
        assert await keys(Player.objects.filter(clause)) == expected, str(clause)
        assert await Player.objects.filter(clause).count() == len(expected), str(clause)


async def test_exclude_of_a_clause_is_not(any_world: databases.Database) -> None:
    assert await keys(Player.objects.exclude(columns.rank < 13)) == [13, 14]
    assert await keys(Player.objects.exclude(sqlalchemy.or_(columns.rank < 13, columns.name == "Zed"))) == [14]
    assert await keys(Player.objects.exclude(columns.rank.in_([1, 2]))) == list(range(3, 15))


async def test_clause_combines_with_lookups_slices_updates_and_deletes(any_world: databases.Database) -> None:
    query = Player.objects.filter(columns.rank > 2, team__name="Blue").exclude(columns.name == "Zed")
    assert await keys(query) == [3, 10]
    assert await query.filter(columns.rank < 5).update(score=77) == 1
    assert (await Player.objects.get(columns.score == 77)).pk == 3
    assert await query.order_by(columns.rank.desc())[:1].values_list("id", flat=True) == [10]
    assert await query.filter(columns.id.in_([3, 5])).delete() == 1
    assert await keys(query) == [10]
    assert await Player.objects.filter(columns.rank.in_([1, 2])).update(rank=columns.rank + 100) == 2
    assert await keys(Player.objects.filter(columns.rank > 100)) == [1, 2]


async def test_clause_reads_joined_tables_only(any_world: databases.Database) -> None:
    joined = Player.objects.select_related("team")
    reds = joined.filter(Team.columns.name == "Red").order_by("id")
    assert [player.pk for player in await reds] == [1, 2, 11, 14]
    assert await reds.count() == 4
    assert await reds.exists() is True
    assert (await reds.first()).team.name == "Red"  # type: ignore[union-attr]
    assert await keys(Player.objects.filter(Team.columns.name == "Red", team__org__isnull=False)) == [1, 2, 11, 14]
    for query in (Player.objects.filter(Org.columns.name == "Acme"), joined.filter(Org.columns.name == "x")):
        with pytest.raises(orm.QueryError, match="join"):
            await query
    red = Player.objects.filter(Team.columns.name == "Red")
    for write in (red.delete, lambda: red.update(rank=1), lambda: red.select_related("team").update(rank=1)):
        with pytest.raises(orm.QueryError, match="state the condition as a lookup across the relation"):
            await write()
    assert await red.filter(team__org__isnull=False).update(rank=50) == 4
    assert await Player.objects.count() == len(PLAYERS)


async def test_clause_with_a_scalar_subquery_selects_the_right_rows(any_world: databases.Database) -> None:
    reds = sqlalchemy.select(Team.columns.id).where(Team.columns.name == "Red")
    assert await keys(Player.objects.filter(columns.team.in_(reds))) == [1, 2, 11, 14]
    highest = sqlalchemy.select(sqlalchemy.func.max(Team.columns.id)).scalar_subquery()
    assert await keys(Player.objects.filter(columns.team == highest)) == [7, 8]


async def test_text_clause_with_binds_selects_the_right_rows(any_world: databases.Database) -> None:
    clause = sqlalchemy.text("player.rank > :low AND player.rank < :high").bindparams(low=3, high=6)
    if any_world.url.dialect == "mysql":
        clause = sqlalchemy.text("player.`rank` > :low AND player.`rank` < :high").bindparams(low=3, high=6)
    assert await keys(Player.objects.filter(clause)) == [4, 5]


@pytest.mark.parametrize(
    ("make", "values"),
    [
        (lambda v: columns.name.contains(v), ["n", "%", "Bob"]),
        (lambda v: columns.rank == v, [1, 2, 3]),
        (lambda v: columns.rank.in_(range(v)), [1, 5, 500]),
        (lambda v: columns.rank.not_in(list(range(v))), [1, 5, 500]),
        (
            lambda v: sqlalchemy.and_(columns.rank > v, sqlalchemy.or_(columns.score > v, columns.name != str(v))),
            [1, 2],
        ),
        (lambda v: sqlalchemy.not_(columns.rank.between(v, v + 3)), [1, 2, 3]),
        (lambda v: sqlalchemy.func.length(columns.name) + v > 5, [1, 2]),
    ],
)
async def test_clause_needs_one_plan_for_all_values(
    world: Database, make: Callable[[Any], Any], values: list[Any]
) -> None:
    await Player.objects.filter(make(values[0]))
    before = orm.plan_cache_info()
    for value in values:
        await Player.objects.filter(make(value))
    after = orm.plan_cache_info()
    assert after.misses == before.misses
    assert after.hits == before.hits + len(values)


async def test_clause_with_hostile_values_binds_them(any_world: databases.Database) -> None:
    hostile = ["'; DROP TABLE player; --", '"', "\\", "%s", ":name", "{}", "$1", "?", "%(x)s", "`", "\x00nul"]
    for text in hostile[:-1]:
        for query in (
            Player.objects.filter(columns.name == text),
            Player.objects.filter(columns.name.contains(text)),
            Player.objects.filter(name=text),
            Player.objects.filter(name__icontains=text, nick__in=[text, text * 2]),
            Player.objects.values("id", text=orm.Value(text)),
        ):
            assert text not in str(query.sql) or text in ("%s", "?", "$1", "`", '"'), str(query.sql)
            await query
        assert await Player.objects.filter(id=1).update(name=text) == 1
        assert (await Player.objects.get(id=1)).name == text
        assert await keys(Player.objects.filter(name=text)) == [1]
        assert 1 in await keys(Player.objects.filter(name__contains=text))
        assert await keys(Player.objects.filter(columns.name == text)) == [1]
    assert await Player.objects.count() == len(PLAYERS)
