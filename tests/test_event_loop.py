"""For how long the event loop stands still during large reads and writes.

The bound is on the processor's time between two turns of another task: the time by the clock is that of all that runs
on the machine. What waits for a disk or a lock is tested with SQLite's quick statements.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import orm

pytestmark = pytest.mark.anyio

# Development mode checks each allocation, and asyncio's debug mode records where each callback comes from.
MAX_SECONDS = 0.060 if sys.flags.dev_mode else 0.020
ROWS = 10_000
TRIES = 6

models = orm.ModelRegistry()


class Owner(orm.Model):
    registry = models
    tablename = "loop_owners"

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)


class Doc(orm.Model):
    registry = models
    tablename = "loop_docs"

    id = orm.Integer(primary_key=True)
    number = orm.Integer()
    name = orm.String(max_length=100, default="", allow_blank=True)
    data = orm.JSON(allow_null=True)
    owner = orm.ForeignKey(Owner, on_delete=orm.CASCADE, allow_null=True, related_name="docs")


Work = Callable[[], Awaitable[Any]]


def docs() -> list[dict[str, Any]]:
    return [{"number": number, "name": f"doc {number}", "data": {"a": number}} for number in range(ROWS)]


async def filled() -> list[Doc]:
    """Rows in the database, ten for each owner."""
    if await Doc.objects.count() != ROWS:
        owners = await Owner.objects.bulk_create([{"name": f"owner {number}"} for number in range(ROWS // 10)])
        await Doc.objects.bulk_create([{**doc, "owner": owners[doc["number"] // 10]} for doc in docs()])
    return await Doc.objects.order_by("id")


# Each prepares its work, which is then measured.


async def bulk_create() -> Work:
    instances = [Doc(**doc) for doc in docs()]
    return lambda: Doc.objects.bulk_create(instances)


async def bulk_create_of_dicts() -> Work:
    rows = docs()
    return lambda: Doc.objects.bulk_create(rows)


async def bulk_create_with_new_parents() -> Work:
    owners = [Owner(name=f"owner {number}") for number in range(ROWS // 10)]
    instances = [Doc(**doc, owner=owners[doc["number"] // 10]) for doc in docs()]
    return lambda: Doc.objects.bulk_create(instances)


async def upsert() -> Work:
    rows = [{**doc, "id": doc["number"] + 1} for doc in docs()]
    unique_fields = [] if models.database.url.dialect == "mysql" else ["id"]
    return lambda: Doc.objects.upsert(rows, unique_fields=unique_fields)


async def create_graph() -> Work:
    all_docs = docs()
    owners = [{"name": "owner", "docs": all_docs[start : start + 10]} for start in range(0, ROWS, 10)]
    return lambda: Owner.objects.create_graph(owners)


async def create_graph_of_one_owner() -> Work:
    owner = {"name": "owner", "docs": docs()}
    return lambda: Owner.objects.create_graph(owner)


async def bulk_update() -> Work:
    instances = await filled()
    for instance in instances:
        instance.name = "new"
    return lambda: Doc.objects.bulk_update(instances, ["name", "data"])


async def read() -> Work:
    await filled()
    return lambda: Doc.objects.all()


async def read_values() -> Work:
    await filled()
    return lambda: Doc.objects.values("id", "name", "data")


async def read_with_joined_owners() -> Work:
    await filled()
    return lambda: Doc.objects.select_related("owner")


async def prefetch_owners() -> Work:
    await filled()
    return lambda: Doc.objects.prefetch_related("owner")


async def prefetch_docs() -> Work:
    await filled()
    return lambda: Owner.objects.prefetch_related("docs")


async def graph() -> Work:
    await filled()
    return lambda: Owner.objects.graph("docs")


async def graph_as_dicts() -> Work:
    await filled()
    return lambda: Owner.objects.graph("docs").as_dicts()


async def page() -> Work:
    await filled()
    return lambda: Doc.objects.order_by("number").page(size=ROWS)


async def stream() -> Work:
    await filled()

    async def read_all() -> int:
        count = 0
        async for _ in Doc.objects.all():
            count += 1
        return count

    return read_all


WORK = [
    bulk_create,
    bulk_create_of_dicts,
    bulk_create_with_new_parents,
    upsert,
    create_graph,
    create_graph_of_one_owner,
    bulk_update,
    read,
    read_values,
    read_with_joined_owners,
    prefetch_owners,
    prefetch_docs,
    graph,
    graph_as_dicts,
    page,
    stream,
]


@pytest.fixture
async def database(database: orm.Database) -> AsyncIterator[orm.Database]:
    models.database = database
    await models.create_all()
    yield database


async def longest_turn(work: Work) -> float:
    """The most processor time that this thread takes between two turns of another task, in seconds."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.thread_time() - before)

    gc.disable()  # a full collection takes as long as all objects of the program are many
    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    longest = 0.0
    try:
        await work()
        await asyncio.sleep(0.002)
    finally:
        gc.enable()
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
    return longest


@pytest.mark.parametrize("prepare", WORK, ids=lambda prepare: prepare.__name__)
async def test_event_loop_runs_during_large_reads_and_writes(
    database: orm.Database, prepare: Callable[[], Awaitable[Work]]
) -> None:
    turns: list[float] = []
    for _ in range(TRIES):  # the machine may be busy
        turns.append(await longest_turn(await prepare()))
        if turns[-1] <= MAX_SECONDS:
            return
    raise AssertionError(f"the event loop stood still for {min(turns) * 1000:.0f} ms")
