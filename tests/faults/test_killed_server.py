"""A server is killed in the midst of writes, again and again: what it acknowledged is there, nothing by half."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import statistics
import time

import pytest

import orm
from tests.faults.damage import check_undamaged
from tests.faults.killable_servers import SERVERS, killable_server
from tests.faults.writer_process import check_rows, row_model, rows_of

pytestmark = pytest.mark.anyio
KILLS = 200 if os.environ.get("FAULTS") == "full" else 3
TASKS = 10


@pytest.mark.parametrize("kind", SERVERS)
async def test_killed_server_loses_nothing_that_it_acknowledged(kind: str) -> None:
    choose = random.Random(11)
    with killable_server(kind) as server:
        row = row_model(server.url)
        database = row.registry.database
        await row.registry.create_all()
        acknowledged: list[tuple[str, str]] = []
        recoveries: list[float] = []
        up_since = 0.0
        numbers = itertools.count()

        async def write() -> None:
            while True:
                number = next(numbers)
                kind = ("transaction", "single", "bulk")[number % 3]
                name = f"{kind} {number} server 0"
                names = rows_of(kind, name)
                try:
                    if kind == "single":
                        await row.objects.create(name=name)
                    elif kind == "bulk":
                        await row.objects.bulk_create([{"name": each} for each in names])
                    else:
                        async with database.transaction():
                            for each in names:
                                await row.objects.create(name=each)
                except orm.OperationalError:
                    await asyncio.sleep(0.01)
                    continue
                acknowledged.append((kind, name))
                if len(recoveries) < kills and up_since:
                    recoveries.append(time.monotonic() - up_since)

        kills = 0
        tasks = [asyncio.create_task(write()) for _ in range(TASKS)]
        try:
            for _ in range(KILLS):
                await asyncio.sleep(choose.uniform(0.05, 0.4))
                await asyncio.to_thread(server.server.kill)
                up_since = 0.0
                kills += 1
                await asyncio.to_thread(server.server.start)
                up_since = time.monotonic()
                while len(recoveries) < kills:
                    assert time.monotonic() < up_since + 60, "no write works after the restart"
                    await asyncio.sleep(0.005)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        names = set(await row.objects.values_list("name", flat=True))
        print(
            f"{kind}: server killed {KILLS} times, {len(acknowledged)} acknowledged, {len(names)} rows,"
            f" writes work again after {statistics.median(recoveries):.2f} s, at most {max(recoveries):.2f} s"
        )
        check_rows(names, acknowledged)
        print(f"{kind}: {await check_undamaged(database, row.table.name)}")
        assert statistics.median(recoveries) < 1
        await database.disconnect()
