"""The memo of lookups: repeated `get()` and `filter()` with the same names and other values."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from orm.query.lookup_memo import MAX_TEMPLATES, LookupTemplate
from tests.sample_models.players import Org, Player, Team

pytestmark = pytest.mark.anyio

BIG = 10**30


async def outcome(found: Any) -> Any:
    """The result of an awaitable, or the class and message of its error."""
    try:
        return await found
    except (orm.Error, LookupError, ValueError) as error:
        return type(error), str(error)


async def filtered(queryset: Any, lookups: dict[str, Any]) -> Any:
    """The expected outcome of `get()`, from the rows of `filter()`."""
    rows = await queryset.filter(**lookups)
    if len(rows) == 1:
        return rows[0]
    kind = Player.MultipleObjectsReturned if rows else Player.DoesNotExist
    count = "More than one" if rows else "No"
    verb = "matches"
    return kind, f"{count} Player {verb} {', '.join(lookups)}."


@pytest.mark.parametrize(
    ("tried", "remembered"),
    [
        ([{"id": n} for n in (1, 2, 3, 99, "4", True, BIG, -BIG, None, 5)], True),
        ([{"id": n} for n in (1, 2, "x", 3)], True),
        ([{"pk": n} for n in (1, 2, 3)], True),
        ([{"name": "Ann"}, {"name": "ann"}, {"name": "nobody"}, {"name": ""}], True),
        ([{"rank": 3, "name": "Bob"}, {"rank": 4, "name": "100%"}, {"rank": 3, "name": "Ann"}], True),
        ([{"name__startswith": "A"}, {"name__startswith": "%"}, {"name__startswith": "Z"}], True),
        ([{"rank__gt": 13}, {"rank__gt": 12}, {"rank__gt": 13.5}, {"rank__gt": -BIG}, {"rank__gt": BIG}], True),
        ([{"rank__gt": -BIG}, {"rank__gt": -BIG}, {"rank__gt": 13}], True),
        ([{"joined": datetime.date(2025, 5, 5)}] * 3, True),
        ([{"joined__year": 2025}, {"joined__year": 1999}, {"joined__year": 2024}, {"joined__year": 2025}], False),
        ([{"team__org__name": "Acme"}, {"team__org__name": "Ölwerk"}, {"team__org__name": "x"}], True),
        ([{"team": 4}, {"team": 3}, {"team_id": 3}], True),
        ([{"rank__gt": -BIG}] * 3, False),
        ([{"nick": None, "id": 2}, {"nick": None, "id": 3}], False),
        ([{"score__isnull": True, "name": "ann"}, {"score__isnull": False, "name": "Ann"}] * 2, True),
        ([{"id__in": [1]}, {"id__in": [2]}, {"id__in": []}, {"id__in": [1, 2]}], False),
        ([{"rank": orm.F("id"), "id": 1}, {"rank": orm.F("id"), "id": 2}, {"rank": 3, "id": 3}], True),
        ([{"nick": None, "id": 2}, {"nick": None, "id": 3}, {"nick": "annie", "id": 1}], True),
    ],
)
async def test_repeated_get_gives_what_filter_gives(
    world: Database, tried: list[dict[str, Any]], remembered: bool
) -> None:
    queryset = Player.objects.order_by("-id")
    for lookups in tried * 3:
        assert await outcome(queryset.get(**lookups)) == await outcome(filtered(queryset, lookups)), lookups
    names = tuple(tried[0])
    assert isinstance(queryset._query.get_memo._known.get(names), LookupTemplate) is remembered


@pytest.mark.parametrize(
    "make",
    [
        lambda: Player.objects.filter(active=True),
        lambda: Player.objects.annotate(twice=orm.F("rank") * 2),
        lambda: Player.objects.select_related("team"),
        lambda: Player.objects.values("id", "name"),
        lambda: Player.objects.values_list("name", orm.Value(7)),
        lambda: Player.objects.only("name"),
        lambda: Player.objects.exclude(team=1),
        lambda: Player.objects.distinct(),
    ],
)
async def test_repeated_get_of_changed_querysets_gives_what_filter_gives(world: Database, make: Any) -> None:
    queryset = make()
    for key in (3, 1, 2, 4, 3, 99, 5):
        assert await outcome(queryset.get(id=key)) == await outcome(filtered(queryset, {"id": key}))
        assert await outcome(queryset.get(id=key, rank=key)) == await outcome(
            filtered(queryset, {"id": key, "rank": key})
        )


async def test_repeated_get_loads_relations(world: Database) -> None:
    queryset = Team.objects.prefetch_related("org").select_related("league")
    for key in (1, 3, 4, 1):
        with orm.track_queries() as queries:
            team = await queryset.get(id=key)
            assert team.id == key
            assert isinstance(team.org.name, str) and isinstance(team.league.name, str)
        assert queries.count == 2


async def test_repeated_get_keeps_the_limit(world: Database) -> None:
    queryset = Player.objects.order_by("id").limit(1)
    for name in ("100x", "Bob", "nobody"):
        assert await outcome(queryset.get(name=name)) == await outcome(filtered(queryset, {"name": name}))


async def test_repeated_get_keeps_the_lock(world: Database) -> None:
    queryset = Org.objects.select_for_update()
    for key in (1, 2, 3):
        async with world.transaction():
            assert (await queryset.get(id=key)).id == key


async def test_repeated_get_remembers_the_database(world: Database) -> None:
    queryset = Org.objects.using(world)
    for key in (1, 2, 3):
        assert (await queryset.get(id=key)).__dict__["_database"] is world


async def test_memo_of_many_names_is_bounded(world: Database) -> None:
    """A program that takes lookups from its users can get any number of names."""
    queryset = Player.objects.order_by("id")
    lookups = ["id", "rank", "id__gt", "rank__gt", "id__gte", "rank__gte", "id__lt", "rank__lt"]
    for names in itertools.islice(itertools.permutations(lookups), 2 * MAX_TEMPLATES):
        queryset.filter(**dict.fromkeys(names, 1))
    assert len(queryset._query.filter_memo._known) <= MAX_TEMPLATES


@pytest.mark.parametrize("lookups", [{"name": "Ann"}, {"rank__gte": 3, "team__org__name": "Acme"}])
async def test_repeated_filter_gives_the_same_rows(world: Database, lookups: dict[str, Any]) -> None:
    """The repeated query has the clauses of the first one, and can be chained."""
    queryset = Player.objects.order_by("-id")
    first = queryset.filter(**lookups)
    for _ in range(4):
        again = queryset.filter(**lookups)
        assert again._query.key == first._query.key
        assert again._query.values == first._query.values
        assert again._query.filters == first._query.filters
        assert again.sql == first.sql
        assert await again.exclude(rank=3).values_list("id") == await first.exclude(rank=3).values_list("id")
        assert await (again | queryset.filter(id=2)).count() == await (first | queryset.filter(id=2)).count()
        assert await again.filter(rank=3).count() == await first.filter(rank=3).count()
    assert isinstance(queryset._query.filter_memo.get(lookups), LookupTemplate)
    other = dict.fromkeys(lookups, "5")
    assert await queryset.filter(**other) == await Player.objects.order_by("-id").filter(orm.Q(**other))


async def test_repeated_filter_raises_what_the_first_one_raises(world: Database) -> None:
    for _ in range(4):
        await Player.objects.filter(rank=3)
    with pytest.raises(orm.FieldError, match="rank"):
        Player.objects.filter(rank="many")
    with pytest.raises(orm.QueryError, match="after a slice"):
        Player.objects.order_by("id")[:2].filter(rank=3)
