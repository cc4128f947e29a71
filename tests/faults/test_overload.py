"""Far more tasks than connections, in many rounds: each is served in its turn, and the memory stays flat."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import statistics
import time
from pathlib import Path

import pytest

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio
TASKS = 2_000
CONNECTIONS = 5
ROUNDS = 50 if os.environ.get("FAULTS") == "full" else 3
FIRST_ROUNDS = 2
"""After so many rounds the caches and the allocator have what they need."""
GROWTH_BYTES = 4_000_000
"""In all rounds, by the median of a round: a leak grows in each, an allocator that asks for memory once does not."""
STATUS = Path("/proc/self/statm")


def resident_bytes() -> int:
    """The memory of this process that is in RAM."""
    gc.collect()
    return int(STATUS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not STATUS.exists(), reason="only Linux tells how much memory is resident")
async def test_memory_is_flat_while_2000_tasks_share_five_connections(database_url: str) -> None:
    async with Database(database_url, max_size=CONNECTIONS, acquire_timeout=300) as database:

        class Item(orm.Model):
            registry = orm.ModelRegistry(database=database)

            id = orm.Integer(primary_key=True)
            text = orm.String(max_length=1000)

        await Item.registry.create_all()
        await Item.objects.bulk_create([Item(text="x" * 900) for _ in range(100)])
        waits: list[float] = []

        async def work(number: int) -> None:
            started = time.monotonic()
            if number % 4:
                assert len(await Item.objects.filter(id__lte=10)) == 10
            else:
                async with database.transaction():
                    await Item.objects.filter(id=1 + number % 100).first()
            waits.append(time.monotonic() - started)

        async def overload() -> None:
            await asyncio.gather(*(work(number) for number in range(TASKS)))

        for _ in range(FIRST_ROUNDS):
            await overload()
        resident = [resident_bytes()]
        longest = 0.0
        for _ in range(ROUNDS):
            waits.clear()
            await overload()
            assert len(waits) == TASKS
            longest = max(longest, max(waits) / statistics.median(waits))
            resident.append(resident_bytes())
        growth = statistics.median(after - before for before, after in itertools.pairwise(resident))
        print(
            f"{database.url.dialect}: {ROUNDS} rounds of {TASKS} tasks on {CONNECTIONS} connections: resident memory "
            f"{resident[0] / 1e6:.0f} MB to {resident[-1] / 1e6:.0f} MB, by round {growth / 1e6:+.2f} MB; "
            f"the longest wait of a round was at most {longest:.2f} times its median"
        )
        assert growth < GROWTH_BYTES / ROUNDS
        assert database.pool_status()[1:] == (CONNECTIONS, 0, 0, 0, ())
