"""What `orm.run()` and `orm.sync()` cost over awaiting: microseconds per call, by database.

    python -m benchmarks.synchronous sqlite:////tmp/a.db postgresql://… mysql://…

Rounds of awaited and of synchronous calls take turns, so that both see the same machine. The limit is 60 microseconds.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import orm

ROUNDS, CALLS = 40, 100
models = orm.ModelRegistry()


class Row(orm.Model):
    """A row to read and write."""

    registry = models

    class Meta:
        tablename = "benchmark_synchronous"

    id = orm.Integer(primary_key=True)
    number = orm.Integer(default=0)


async def awaited(call: Callable[[], Awaitable[object]]) -> float:
    """Microseconds of an awaited call."""
    before = time.perf_counter()
    for _ in range(CALLS):
        await call()
    return (time.perf_counter() - before) / CALLS * 1e6


def called(call: Callable[[], object]) -> float:
    """Microseconds of a synchronous call."""
    before = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - before) / CALLS * 1e6


def measure(name: str, await_one: Callable[[], Awaitable[object]], call_one: Callable[[], object]) -> None:
    """Print the medians of both, and of their difference in each round."""
    orm.run(awaited(await_one))
    called(call_one)
    rounds = [(orm.run(awaited(await_one)), called(call_one)) for _ in range(ROUNDS)]
    with_await, without = (statistics.median(column) for column in zip(*rounds, strict=True))
    more = statistics.median(ours - theirs for theirs, ours in rounds)
    print(f"  {name:<28} awaited {with_await:8.1f}   without {without:8.1f}   more {more:6.1f} µs")


def measure_on(database: orm.Database) -> None:
    """Measure on one database."""
    row = orm.run(Row.objects.create(id=1))

    async def block() -> None:
        async with database.transaction():
            await Row.objects.get(id=1)

    def sync_block() -> None:
        with database.transaction():
            Row.objects.get(id=1)

    with orm.sync(models):
        measure("a call of nothing", lambda: asyncio.sleep(0), lambda: orm.run(asyncio.sleep(0)))
        measure("objects.get(id=1)", lambda: Row.objects.get(id=1), lambda: Row.objects.get(id=1))
        measure("objects.filter(id=1)", lambda: Row.objects.filter(id=1), lambda: Row.objects.filter(id=1).all())
        measure("row.save()", lambda: row.save(), lambda: row.save())
        measure("a transaction of one get()", block, sync_block)


def main(urls: list[str]) -> None:
    """Measure on each database."""
    for url in urls:
        models.database = database = orm.Database(url)
        orm.run(models.drop_all())
        orm.run(models.create_all())
        print(database.url.dialect)
        measure_on(database)
        orm.run(models.drop_all())
        orm.run(database.disconnect())


if __name__ == "__main__":
    main(sys.argv[1:] or ["sqlite:///synchronous.db"])
