"""Slices, indexes, `limit()` and `offset()`, and the methods that can follow them."""

from __future__ import annotations

from typing import Any

import databases
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orm
from orm.database.connections.database import Database
from tests.sample_models.players import PLAYERS, Player, Team
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio
EVERYONE = [row["id"] for row in PLAYERS]


async def keys(query: Any) -> list[int]:
    rows: list[int] = await query.values_list("id", flat=True)
    return rows


ends = st.one_of(st.none(), st.integers(0, 20))


@given(slices=st.lists(st.tuples(ends, ends), max_size=3))
@settings(max_examples=60)
async def test_slices_of_slices_equal_python_slices(
    world: Database, slices: list[tuple[int | None, int | None]]
) -> None:
    query: Any = Player.objects.order_by("id")
    expected = list(EVERYONE)
    for start, stop in slices:
        query = query[start:stop]
        expected = expected[start:stop]
    assert await keys(query) == expected
    assert await query.count() == len(expected)
    assert await query.exists() is bool(expected)
    first = await query.first()
    assert (first and first.pk) == (expected[0] if expected else None)


async def test_slices_on_each_kind_of_database_return_rows(any_world: databases.Database) -> None:
    query = Player.objects.order_by("-rank")
    assert await keys(query[2:5]) == [12, 11, 10]
    assert await keys(query[12:]) == [2, 1]
    assert await keys(query[:1]) == [14]
    assert [player.pk async for player in query[3:5]] == [11, 10]


async def test_index_returns_one_row_or_raises(any_world: databases.Database) -> None:
    query = Player.objects.order_by("-rank")
    assert (await query[0]).pk == 14
    assert (await query[2:5][1]).pk == 11
    assert await query.values_list("id", flat=True)[13] == 1
    with pytest.raises(IndexError):
        await query[14]
    with pytest.raises(IndexError):
        await query[2:4][2]


@pytest.mark.parametrize(
    "index",
    [-1, slice(-1, None), slice(None, -1), slice(-3, -1), slice(0, 10, 2), slice(None, None, -1), "a", 1.0, True],
    ids=str,
)
async def test_invalid_index_raises(tables: Database, index: Any) -> None:
    with pytest.raises((orm.QueryError, TypeError)):
        Player.objects.all()[index]


@pytest.mark.parametrize("step", [slice(0, 10, 1), slice("a", None), slice(None, 2.5)], ids=str)
async def test_slice_with_step_raises(tables: Database, step: Any) -> None:
    with pytest.raises(orm.QueryError):
        Player.objects.all()[step]


async def test_filter_or_write_after_slice_raises(tables: Database) -> None:
    for sliced in (Player.objects.order_by("id")[:3], Player.objects.all()[2:], Player.objects.all()[:0]):
        for change in (
            lambda q: q.filter(rank=1),
            lambda q: q.exclude(rank=1),
            lambda q: q.all(rank=1),
            lambda q: q.order_by("rank"),
            lambda q: q.reverse(),
            lambda q: q.distinct(),
            lambda q: q.search("x"),
        ):
            with pytest.raises(orm.QueryError, match="slice"):
                change(sliced)
        with pytest.raises(orm.QueryError, match="slice"):
            await sliced.update(rank=1)
        with pytest.raises(orm.QueryError, match="slice"):
            await sliced.delete()
        with pytest.raises(orm.QueryError, match="slice"):
            await sliced.get(rank=1)
        with pytest.raises(orm.QueryError):
            await sliced.last()
        with pytest.raises(orm.QueryError):
            await sliced.in_bulk([1])


async def test_filter_after_limit_and_offset_applies_first(any_world: databases.Database) -> None:
    players = Player.objects.order_by("id")
    assert await keys(players.limit(3)) == [1, 2, 3]
    assert await keys(players.offset(12)) == [13, 14]
    assert await keys(players.limit(3).offset(2)) == [3, 4, 5]
    assert await keys(players.offset(2).limit(3)) == [3, 4, 5]
    assert await keys(players.limit(2).filter(rank__gt=5)) == [6, 7]
    assert await keys(Player.objects.offset(1).limit(2).exclude(rank__lt=5).order_by("-id")) == [13, 12]
    assert await keys(players.limit(3).limit(5)) == [1, 2, 3, 4, 5]
    assert await keys(players.limit(10)[2:4]) == [3, 4]
    assert await keys(players[2:6].limit(2)) == [3, 4]
    assert await keys(players[2:6].offset(1)) == [4, 5, 6]
    assert await players.limit(3).count() == 3
    assert await players.limit(30).count() == 14
    assert await players.offset(12).count() == 2
    assert await players.offset(14).exists() is False
    for bad in (-1, None, "1", 1.5, True):
        with pytest.raises(orm.QueryError):
            players.limit(bad)  # type: ignore[arg-type]
        with pytest.raises(orm.QueryError):
            players.offset(bad)  # type: ignore[arg-type]


async def test_empty_slice_sends_no_statement(world: Database) -> None:
    with recorded(world) as statements:
        for empty in (
            Player.objects.limit(0),
            Player.objects.all()[0:0],
            Player.objects.all()[5:5],
            Player.objects.all()[5:2],
        ):
            assert await empty == []
            assert await empty.count() == 0
            assert await empty.exists() is False
            assert await empty.first() is None
            assert [player async for player in empty] == []
    assert statements == []


async def test_get_reads_at_most_two_rows(world: Database) -> None:
    with recorded(world) as statements, pytest.raises(Player.MultipleObjectsReturned):
        await Player.objects.get()
    assert [event.rows for event in statements] == [2]
    assert (await Player.objects.limit(1).get()).pk
    with pytest.raises(Player.DoesNotExist):
        await Player.objects.get(rank=99)
    with pytest.raises(orm.NoMatch):
        await Player.objects.filter(rank=1).get(rank=2)
    assert (await Player.objects.get(Player.rank == 5, team=None)).pk == 5


async def test_count_and_exists_of_distinct_rows_count_them_once(any_world: databases.Database) -> None:
    scores = Player.objects.values_list("score", flat=True).distinct()
    assert await scores.count() == len({row["score"] for row in PLAYERS})
    homes = Player.objects.order_by("home__name").values("home__league__name").distinct()
    assert await Player.objects.values("home__league__name").order_by().distinct().count() == 3
    assert await homes.exists() is True
    assert await Player.objects.distinct().count() == 14
    assert await Player.objects.distinct()[:4].count() == 4
    assert await Player.objects.select_related("team__org").distinct().count() == 14
    assert await Player.objects.filter(rank=99).distinct().exists() is False
    assert await Player.objects.order_by("score").values("score").distinct()[:3].count() == 3
    assert await Player.objects.values_list("score", "rank")[:3].count() == 3


async def test_slice_in_subquery_and_with_select_related_returns_its_rows(any_world: databases.Database) -> None:
    sliced = Player.objects.order_by("id")[1:4].select_related("team")
    assert [(p.pk, p.team and p.team.name) for p in await sliced] == [(2, "Red"), (3, "Blue"), (4, "red 100%")]
    homes = Player.objects.order_by("-id").values_list("home", flat=True)[:2]
    assert await Team.objects.filter(id__in=homes).order_by("id").values_list("id", flat=True) == [2, 4]
    names = Player.objects.order_by("id").only("name")[:2]
    assert [p.name for p in await names] == ["Ann", "ann"]
