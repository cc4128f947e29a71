"""A process that writes until it is killed, and says on standard output what was acknowledged.

    python -m tests.faults.writer_process URL ROUND OPTIONS

Each line is the kind of write and its name; or "error" and its class; or "pause" and the seconds for which the event
loop stood still. A transaction writes two rows, a bulk insert `BULK` of them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from typing import Any

import orm

BULK = 40
TASKS = 4
PAUSE_SECONDS = 0.05


def row_model(url: str, **options: Any) -> Any:
    """The table that is written to."""

    class Row(orm.Model):
        registry = orm.ModelRegistry(database=orm.Database(url, max_size=TASKS, **options))

        name = orm.String(max_length=50, primary_key=True)

    return Row


def rows_of(kind: str, name: str) -> list[str]:
    """The rows that a write of this kind makes."""
    if kind == "bulk":
        return [f"{name} {number}" for number in range(BULK)]
    return [f"{name} first", f"{name} second"] if kind == "transaction" else [name]


def check_rows(names: set[str], acknowledged: list[tuple[str, str]]) -> None:
    """Assert that the acknowledged writes, each a kind and a name, are among the rows, and that no write is by half."""
    writes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name in names:
        kind, *words = name.split(" ")
        writes[kind, " ".join([kind, *words[:3]])].add(name)
    assert acknowledged
    assert [name for kind, name in acknowledged if not names.issuperset(rows_of(kind, name))] == []
    assert [name for (kind, name), rows in writes.items() if rows != set(rows_of(kind, name))] == []


async def write(url: str, round_: str, options: dict[str, Any]) -> None:
    """Write without end."""
    row = row_model(url, **options)

    def say(kind: str, text: str) -> None:
        sys.stdout.write(f"{kind}\t{text}\n")
        sys.stdout.flush()

    async def task(number: int) -> None:
        step = 0
        while True:
            step += 1
            kind = ("transaction", "single", "bulk")[step % 3]
            name = f"{kind} {round_} {number} {step}"
            names = rows_of(kind, name)
            try:
                if kind == "transaction":
                    async with row.registry.database.transaction():
                        await row.objects.create(name=names[0])
                        async with row.registry.database.transaction():
                            await row.objects.create(name=names[1])
                elif kind == "bulk":
                    await row.objects.bulk_create([{"name": each} for each in names])
                else:
                    await row.objects.create(name=name)
            except orm.Error as error:
                say("error", type(error).__name__)
                await asyncio.sleep(0.01)
            else:
                say(kind, name)

    async def watch_event_loop() -> None:
        while True:
            due = time.monotonic() + 0.005
            await asyncio.sleep(0.005)
            if time.monotonic() - due > PAUSE_SECONDS:
                say("pause", f"{time.monotonic() - due:.3f}")

    await row.registry.database.connect()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.gather(watch_event_loop(), *[task(number) for number in range(TASKS)])


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
