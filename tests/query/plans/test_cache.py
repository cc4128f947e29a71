"""The plan cache: one plan for each shape of query, a bounded size, and use from tasks and threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from orm.query.plans.cache import PlanCache
from tests.sample_models import players as world_module
from tests.sample_models.players import PLAYERS, Player, Tag, Team

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    orm.plan_cache_clear()


async def misses_of(make: Callable[[int], Any], numbers: Any) -> int:
    """The number of new plans that the queries of these numbers need."""
    before = orm.plan_cache_info().misses
    for number in numbers:
        await make(number)
    return orm.plan_cache_info().misses - before


async def test_ten_thousand_values_of_one_shape_need_one_plan(world: Database) -> None:
    before = orm.plan_cache_info()
    for number in range(10_000):
        # The queries themselves are not sent: their SQL goes the same way through the cache.
        assert Player.objects.filter(rank=number, name__icontains=f"x{number}").order_by("id")[: number + 1].sql.values
    after = orm.plan_cache_info()
    assert after.misses - before.misses == 1
    assert after.hits - before.hits == 9_999
    assert after.size - before.size == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda n: Player.objects.get(id=n % 14 + 1),
        lambda n: Player.objects.filter(name=f"name {n}"),
        lambda n: Player.objects.filter(team__org__name__icontains=f"x{n}").select_related("team").count(),
        lambda n: Player.objects.filter(rank__gt=n).exists(),
        lambda n: Player.objects.filter(score__range=(n, n + 3)),
        lambda n: Player.objects.filter(score__in=list(range(n + 1))),
        lambda n: Player.objects.filter(name__in=[f"name {n}"] * (n * 40 + 1)),
        lambda n: Player.objects.filter(team__in=Team.objects.filter(name=f"name {n}")),
        lambda n: Player.objects.filter(Player.rank + n > 3),
        lambda n: Player.objects.filter(rank__lt=orm.F("score") * n),
        lambda n: Player.objects.filter(orm.Q(rank=n) | ~orm.Q(name=f"name {n}")),
        lambda n: Player.objects.order_by("id")[n + 1 : n + 5],
        lambda n: Player.objects.order_by("id").limit(n + 1).offset(n + 1),
        lambda n: Player.objects.values("id", next=Player.rank + n),
        lambda n: Player.objects.filter(id=n).update(name=f"name {n}", rank=n),
        lambda n: Player.objects.filter(id=n).update(rank=Player.rank + n),
        lambda n: Player.objects.filter(id=n + 1000).delete(),
        lambda n: Tag.objects.create(name=f"tag {n}"),
        lambda n: Tag.objects.get_or_create(name=f"tag {n % 2}", defaults={"uses": n}),
        lambda n: Tag.objects.update_or_create(name="tag", defaults={"uses": n}),
        lambda n: Player.objects.in_bulk(list(range(1, n + 2))),
    ],
    ids=range(21),
)
async def test_plan_is_shared_by_values_limits_and_list_lengths(world: Database, make: Callable[[int], Any]) -> None:
    await misses_of(make, range(3))  # A later call may take another way than the first: find, not create.
    assert await misses_of(make, range(3, 20)) == 0


async def test_bulk_insert_of_any_length_needs_at_most_two_plans(tables: Database) -> None:
    await Tag.objects.bulk_create([{"name": "first"}])
    before = orm.plan_cache_info().misses
    for count in (2, 3, 10, 77, 500):
        await Tag.objects.bulk_create([{"name": f"{count} {n}"} for n in range(count)])
    assert orm.plan_cache_info().misses - before <= 1


async def test_dialect_is_part_of_the_key(world: Database) -> None:
    query = Player.objects.filter(rank=1)
    texts = {
        str(query.using(Database(url)).sql)
        for url in ("sqlite:///x.db", "postgresql://localhost/x", "mysql://localhost/x")
    }
    assert len(texts) == 3
    assert len(await query) == 1


async def test_full_cache_removes_the_least_recently_used_plan() -> None:
    cache = PlanCache(max_size=3)
    made: list[int] = []

    def get(number: int) -> int:
        def make() -> int:
            made.append(number)
            return number

        return cache.get(("plan", number), make)

    for number in (1, 2, 3, 1, 4):
        assert get(number) == number
    assert cache.info() == (1, 4, 3, 3)
    get(1)
    assert made == [1, 2, 3, 4]
    get(2)  # Forgotten when 4 came.
    assert made == [1, 2, 3, 4, 2]
    cache.clear()
    assert cache.info() == (0, 0, 0, 3)


async def test_plan_that_raises_is_not_cached() -> None:
    cache = PlanCache(max_size=3)

    def fail() -> int:
        raise orm.QueryError("no")

    for _ in range(2):
        with pytest.raises(orm.QueryError):
            cache.get("key", fail)
    assert cache.info().size == 0
    assert cache.get("key", lambda: 1) == 1


async def test_more_shapes_than_the_cache_holds_give_correct_rows(world: Database) -> None:
    """Queries give the right rows after their plans were removed from the cache."""
    limit = orm.plan_cache_info().max_size
    names = list(Player.fields)
    for number in range(limit + 200):
        chosen = [name for bit, name in enumerate(names) if number >> bit & 1]
        assert Player.objects.values("id", *chosen, **{f"x{number}": Player.rank}).sql.text
    assert orm.plan_cache_info().size <= limit
    assert await Player.objects.count() == len(PLAYERS)


async def test_concurrent_tasks_share_one_plan(world: Database) -> None:
    before = orm.plan_cache_info()
    found = await asyncio.gather(*(Player.objects.filter(rank__gt=n % 3, rank__lt=99).count() for n in range(60)))
    assert found == [14 - n % 3 for n in range(60)]
    after = orm.plan_cache_info()
    assert after.misses - before.misses == 1


@pytest.fixture
async def file_database(sqlite_url: str) -> AsyncIterator[str]:
    async with Database(sqlite_url) as database:
        await world_module.create(database)
        await world_module.fill()
    yield sqlite_url


async def test_threads_with_event_loops_share_the_cache(file_database: str) -> None:
    start = threading.Barrier(4)

    async def work(seed: int) -> int:
        async with Database(file_database) as database:
            players = Player.objects.using(database)
            for number in range(60):
                wanted = (number * 7 + seed) % 14 + 1
                assert (await players.get(rank=wanted)).pk == wanted
                fields = list(Player.fields)[: number % 8 + 1]
                assert len(await players.filter(rank__lte=wanted).values(*fields)) == wanted
                if number % 20 == 0:
                    orm.plan_cache_clear()
        return seed

    def run(seed: int) -> int:
        start.wait()
        return asyncio.run(work(seed))

    with ThreadPoolExecutor(4) as threads:
        running = [asyncio.get_running_loop().run_in_executor(threads, run, seed) for seed in range(4)]
        assert await asyncio.gather(*running) == [0, 1, 2, 3]


async def test_plan_cache_info_counts_hits_and_misses(world: Database) -> None:
    orm.plan_cache_clear()
    assert orm.plan_cache_info()[:3] == (0, 0, 0)
    await Player.objects.filter(rank=1)
    await Player.objects.filter(rank=2)
    info = orm.plan_cache_info()
    assert (info.hits, info.misses, info.size) == (1, 1, 1)
    assert info.max_size >= 100
