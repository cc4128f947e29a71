"""Copies of querysets; querysets and named rows that are pickled."""

from __future__ import annotations

import asyncio
import copy
import pickle
import sys

import pytest

import orm
from orm import Exists, OuterRef
from orm.database.connections.database import Database
from orm.queryset.pickling import referenced
from tests.sample_models import players, shop
from tests.sample_models.players import Player, Team
from tests.sample_models.shop import Item, Shelf


async def test_deepcopy_of_a_queryset_asks_the_same(world: Database) -> None:
    players = Player.objects.filter(active=True).order_by("id")
    copied = copy.deepcopy({"players": players})["players"]
    assert await copied == await players
    assert await copy.copy(players) == await players
    elsewhere = players.using(orm.Database("sqlite://"))
    assert copy.copy(elsewhere).database is elsewhere.database is copy.deepcopy(elsewhere).database


async def test_named_rows_are_pickled_by_their_names(world: Database) -> None:
    rows = await Player.objects.order_by("id").values_list("id", "name", named=True)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(rows, protocol))
        assert again == rows and again[0].name == rows[0].name and type(again[0]) is type(rows[0])
    assert copy.deepcopy(rows) == rows


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
async def test_pickled_queryset_finds_the_same_rows(world: Database, protocol: int) -> None:
    captains = Player.objects.filter(team__league__isnull=False, id__in=(key for key in (1, 2, 3, 4))).distinct()
    asked = [
        captains.select_related("team__org").order_by("-team__name", "id"),
        Player.objects.exclude(Exists(captains.filter(pk=OuterRef("pk")))),
        Player.objects.annotate(n=orm.Count("team")).filter(n__gt=0).values("n", "name").order_by("name"),
        Player.objects.filter(Player.team.name != "Reds") & Player.objects.exclude(~orm.Q(active=True)),
        Player.objects.filter(active=True).union(Player.objects.filter(id=1)).order_by("id")[:3],
        Player.objects.prefetch_related(orm.Prefetch("team", Team.objects.filter(id__gt=1))).using(world),
        Player.objects.annotate(
            owner=orm.FilteredRelation("team__org", condition=orm.Q(team__org__name__gt=orm.F("name")))
        )
        .fetch_mode(orm.PEERS)
        .order_by("id")
        .values_list("name", "owner__name"),
    ]
    for queryset in asked:
        again = pickle.loads(pickle.dumps({"rows": [queryset]}, protocol))["rows"][0]
        assert again.sql == queryset.sql
        assert await again == await queryset
        assert again._using is None


async def test_pickled_queryset_of_related_rows_finds_the_same_rows(database: Database) -> None:
    await shop.create(database)
    shelf, other = [await Shelf.objects.create() for _ in range(2)]
    await Item.objects.bulk_create(
        [{"sku": str(n), "name": f"item {n}", "shelf": (shelf, other)[n % 2]} for n in range(6)]
    )
    for queryset in (shelf.items, shelf.items.filter(name__gt="item 2"), Shelf.objects.filter(items__name="item 3")):
        again = pickle.loads(pickle.dumps(queryset))
        assert await again.order_by("id") == await queryset.order_by("id") != []


async def test_pickled_queryset_is_read_by_another_process(sqlite_url: str) -> None:
    async with Database(sqlite_url) as database:
        await players.create(database)
        await players.fill()
        queryset = Player.objects.filter(active=True, team__org__isnull=False).order_by("id")
        found = [player.id for player in await queryset]
    code = (
        "import asyncio, pickle, sys\n"
        "from orm import Database\n"
        "from tests.sample_models import players\n"
        "async def main():\n"
        f"    async with Database({sqlite_url!r}) as players.models.database:\n"
        "        print([player.id for player in await pickle.loads(sys.stdin.buffer.read())])\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate(pickle.dumps(queryset))
    assert printed.decode().strip() == str(found) and found


def test_pickled_queryset_of_what_is_gone_is_refused() -> None:
    data = pickle.dumps(Player.objects.filter(active=True))
    with pytest.raises(orm.FieldError, match="Player has no field 'astive'"):
        pickle.loads(data.replace(b"active", b"astive"))
    for reference in (("Plaier", "info"), ("Player", "fields", "astive"), ("Player", "column", "astive")):
        with pytest.raises(pickle.UnpicklingError, match=r"The pickled query refers to Pla.er.*, which is not here"):
            referenced(Player, *reference)
