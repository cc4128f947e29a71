"""A session with 10,000 changed and 10,000 new rows, beside `bulk_update()` and `bulk_create()`, and SQLAlchemy's.

    python -m benchmarks.sessions sqlite:////tmp/sessions.db postgresql://postgres@localhost/bench

Each URL names an empty database, whose table is dropped afterwards. It prints the medians of five rounds, in which the
subjects take turns, and the number of statements.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import registry

import orm

ROWS = 10_000
ROUNDS = 5
SCHEMES = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy"}

models = orm.ModelRegistry()


class Row(orm.Model):
    registry = models
    tablename = "session_row"

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)
    views = orm.Integer(default=0)
    text = orm.String(max_length=100, default="x")


def mapped_row() -> Any:
    """The same table, mapped by SQLAlchemy's ORM."""

    class MappedRow:
        def __init__(self, **values: Any) -> None:
            for name, value in values.items():
                setattr(self, name, value)

    registry(metadata=models.metadata).map_imperatively(MappedRow, Row.table)
    return MappedRow


async def bulk(database: orm.Database) -> float:
    """The time of `bulk_update()` and `bulk_create()`, in a transaction."""
    rows = await Row.objects.order_by("id")[:ROWS]
    for row in rows:
        row.views += 1
    new = [Row(name="new") for _ in range(ROWS)]
    began = time.perf_counter()
    async with database.transaction():
        await Row.objects.bulk_update(rows, ["views"])
        await Row.objects.bulk_create(new)
    return time.perf_counter() - began


async def session(database: orm.Database) -> float:
    """The time that a session takes to write the same."""
    async with orm.Session(database) as unit:
        rows = await Row.objects.order_by("id")[:ROWS]
        for row in rows:
            row.views += 1
        new = [Row(name="new") for _ in range(ROWS)]
        began = time.perf_counter()
        unit.add_all(new)
        await unit.commit()
        return time.perf_counter() - began


def of_sqlalchemy(engine: Any, mapped: Any) -> Callable[[orm.Database], Awaitable[float]]:
    """The time that SQLAlchemy's session takes."""

    async def run(database: orm.Database) -> float:
        async with AsyncSession(engine, expire_on_commit=False) as unit:
            rows = (await unit.scalars(sqlalchemy.select(mapped).order_by(mapped.id).limit(ROWS))).all()
            for row in rows:
                row.views += 1
            new = [mapped(name="new", views=0, text="x") for _ in range(ROWS)]
            began = time.perf_counter()
            unit.add_all(new)
            await unit.commit()
            return time.perf_counter() - began

    return run


async def measure(url: str, mapped: Any) -> None:
    """Measure on one database, and print a line for each."""
    async with orm.Database(url) as database:
        models.database = database
        await models.create_all()
        await Row.objects.bulk_create([Row(name="old") for _ in range(ROWS)])
        kind = url.partition(":")[0]
        engine = create_async_engine(SCHEMES[kind] + url[len(kind) :])
        try:
            subjects = {"bulk": bulk, "session": session, "SQLAlchemy": of_sqlalchemy(engine, mapped)}
            times: dict[str, list[float]] = {name: [] for name in subjects}
            for _ in range(ROUNDS):  # in turns, so that all of them see the same machine
                for name, run in subjects.items():
                    gc.collect()
                    times[name].append(await run(database))
                    await Row.objects.filter(name="new").delete()
            for name, seconds in times.items():
                print(f"{kind:12}{name:12}{statistics.median(seconds) * 1000:8.0f} ms")
            with orm.track_queries() as queries:
                await session(database)
            print(f"{kind:12}statements of the session: {len(queries)}")
        finally:
            await models.drop_all()
            await engine.dispose()


async def main() -> None:
    """Measure on each of the databases of the command line."""
    mapped = mapped_row()
    for url in sys.argv[1:]:
        await measure(url, mapped)


if __name__ == "__main__":
    asyncio.run(main())
