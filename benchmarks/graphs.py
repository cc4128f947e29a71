"""Graphs against the raw drivers: 1,000 users, 20,000 posts and 30,000 tags, as instances.

    python -m benchmarks.graphs [--rounds 11] [--kinds sqlite,postgresql,mysql]

It makes databases of its own, on the servers that the tests use. Every way of loading takes its turn in every round,
so that what else the machine does meets all of them alike. The raw driver asks for the same rows by three queries (four
with pairs), each with the keys that the one before has brought; "tables" is the same without any condition, which only
fits when all rows are wanted. Its rows stay what the driver gives: no instance is made, nothing is put together.

Figures are milliseconds of the clock, the median and the best, and of the processors (those of the server's part too,
where it runs on this Linux machine), which other work on the machine disturbs less; as multiples of the raw driver's.
Memory, as a multiple of what the raw driver's rows take, is what the result takes and what was taken at most.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import orm
from orm.database.connections.checkout import Checkout
from tests import temporary_databases
from tests.servers import Servers

USERS, POSTS, TAGS = 1_000, 20_000, 30_000
NAME = "orm_benchmark_graphs"
Way = Callable[[], Awaitable[Any]]
models = orm.ModelRegistry()


class User(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)
    email = orm.String(max_length=100)


class Post(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    author = orm.ForeignKey(User, related_name="posts", index=True)
    title = orm.String(max_length=100)
    body = orm.Text()
    views = orm.Integer()
    labels = orm.ManyToMany("Label", related_name="posts")


class Tag(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    post = orm.ForeignKey(Post, related_name="tags", index=True)
    name = orm.String(max_length=100)


class Label(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)


async def fill() -> None:
    """The rows: each user has 20 posts, a post one or two tags and as many labels."""
    body = "What the post says, in a sentence or two that nobody will read. " * 2
    await User.objects.bulk_create(
        {"id": i, "name": f"User {i}", "email": f"user{i}@example.org"} for i in range(1, USERS + 1)
    )
    await Post.objects.bulk_create(
        {"id": i, "author": i % USERS + 1, "title": f"The title of {i}", "body": body, "views": i % 97}
        for i in range(1, POSTS + 1)
    )
    await Tag.objects.bulk_create({"id": i, "post": i % POSTS + 1, "name": f"tag {i}"} for i in range(1, TAGS + 1))
    await Label.objects.bulk_create({"id": i, "name": f"label {i}"} for i in range(1, TAGS + 1))
    pairs = Post._meta.accessors["labels"].through
    await pairs.objects.bulk_create({"id": i, "post": i % POSTS + 1, "label": i} for i in range(1, TAGS + 1))


class Raw:
    """The ways of the raw driver, on the connection of the task."""

    def __init__(self, kind: str, checkout: Checkout) -> None:
        self.kind = kind
        self.checkout = checkout

    async def fetch(self, table: str, columns: str, key: str = "", keys: Iterator[Any] | None = None) -> Any:
        table = f'"{table}"' if self.kind == "postgresql" else table
        sql = f"SELECT {columns} FROM {table}"
        if keys is None:
            return await self.checkout.fetch(sql)
        wanted = list(keys)
        if self.kind == "postgresql":
            return await self.checkout.fetch(f"{sql} WHERE {key} = ANY($1)", [wanted])
        if self.kind == "sqlite":
            return await self.checkout.fetch(
                f"{sql} WHERE {key} IN (SELECT value FROM json_each(?))", [json.dumps(wanted)]
            )
        return await self.checkout.fetch(f"{sql} WHERE {key} IN ({', '.join(['%s'] * len(wanted))})", wanted)

    async def tags(self) -> Any:
        users = await self.fetch("user", "id, name, email")
        posts = await self.fetch("post", "id, author, title, body, views", "author", (row[0] for row in users))
        return users, posts, await self.fetch("tag", "id, post, name", "post", (row[0] for row in posts))

    async def tag_tables(self) -> Any:
        users = await self.fetch("user", "id, name, email")
        posts = await self.fetch("post", "id, author, title, body, views")
        return users, posts, await self.fetch("tag", "id, post, name")

    async def labels(self) -> Any:
        users = await self.fetch("user", "id, name, email")
        posts = await self.fetch("post", "id, author, title, body, views", "author", (row[0] for row in users))
        pairs = await self.fetch("post_labels", "post, label", "post", (row[0] for row in posts))
        labels = await self.fetch("label", "id, name", "id", iter({row[1] for row in pairs}))
        return users, posts, pairs, labels


def ways(raw: Raw) -> dict[str, dict[str, Way]]:
    """What is measured: the raw driver first."""
    graph = User.objects.graph("posts__tags")
    pairs = User.objects.graph("posts__labels")
    return {
        "tags": {
            "raw driver": raw.tags,
            "raw driver, tables": raw.tag_tables,
            "graph()": lambda: graph._fetch(),
            "graph().as_dicts()": graph.as_dicts,
            "prefetch_related()": lambda: User.objects.prefetch_related("posts__tags")._fetch(),
        },
        "labels by pairs": {
            "raw driver": raw.labels,
            "graph()": lambda: pairs._fetch(),
            "graph().as_dicts()": pairs.as_dicts,
            "prefetch_related()": lambda: User.objects.prefetch_related("posts__labels")._fetch(),
        },
    }


async def server_thread(kind: str, checkout: Checkout) -> Path | None:
    """The file in which Linux counts the server's CPU time, or None."""
    sql = {
        "postgresql": "SELECT pg_backend_pid()",
        "mysql": "SELECT tid FROM information_schema.processlist WHERE id = connection_id()",
    }.get(kind)
    if sql is None:
        return None
    ((number,),) = await checkout.fetch(sql)
    return _told_by_linux(number)


def _told_by_linux(thread: int) -> Path | None:
    path = Path(f"/proc/{thread}/schedstat")
    return path if path.exists() else None


async def measure(ways: dict[str, Way], rounds: int, server: Path | None) -> dict[str, list[tuple[float, float]]]:
    """The seconds of each way in each round: elapsed time and CPU time."""

    def busy() -> float:
        server_seconds = 0.0 if server is None else int(server.read_text().split()[0]) / 1e9
        return time.process_time() + server_seconds

    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for round_ in range(rounds + 1):
        for name, way in ways.items():
            gc.collect()
            worked, started = busy(), time.perf_counter()
            result = await way()
            seconds, work = time.perf_counter() - started, busy() - worked
            del result
            if round_:  # The first one plans.
                taken[name].append((seconds, work))
    return taken


async def weigh(way: Way) -> tuple[int, int]:
    """The bytes of the result, and the peak."""
    gc.collect()
    tracemalloc.start()
    try:
        result = await way()
        size, peak = tracemalloc.get_traced_memory()
        del result
    finally:
        tracemalloc.stop()
    return size, peak


@contextlib.asynccontextmanager
async def database_of(kind: str, servers: Servers) -> AsyncIterator[orm.Database]:
    """An empty database of this kind."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as directory:
            async with orm.Database(f"sqlite:///{directory}/graphs.db") as database:
                yield database
        return
    server = servers.get(kind).url
    with temporary_databases.connect(server) as admin:
        if NAME in admin.databases():
            admin.drop(NAME)
        admin.create(NAME)
        try:
            async with orm.Database(temporary_databases.with_database(server, NAME)) as database:
                yield database
        finally:
            admin.drop(NAME)


async def run(kind: str, servers: Servers, rounds: int) -> None:
    async with database_of(kind, servers) as database:
        models.database = database
        await models.create_all()
        await fill()
        if kind != "sqlite":
            tables = '"user", post, tag, label, post_labels'
            await database.execute(
                f"ANALYZE {tables}" if kind == "postgresql" else f"ANALYZE TABLE {tables.replace(chr(34), '')}"
            )
        async with Checkout(database) as checkout:
            server = await server_thread(kind, checkout)
            for title, measured in ways(Raw(kind, checkout)).items():
                taken = await measure(measured, rounds, server)
                size, _ = await weigh(measured["raw driver"])
                print(f"\n{kind}, {title}: raw rows take {size / 1e6:.1f} MB")
                base = figures(taken["raw driver"])
                for name, seconds in taken.items():
                    kept, peak = await weigh(measured[name])
                    shown = "  ".join(
                        f"{what} {figure * 1000:6.1f} ({figure / raw:4.2f} x)"
                        for what, figure, raw in zip(("median", "best", "cpu"), figures(seconds), base, strict=True)
                    )
                    print(f"  {name:20} {shown}  memory {kept / size:4.2f} x, at most {peak / size:4.2f} x", flush=True)


def figures(taken: list[tuple[float, float]]) -> tuple[float, float, float]:
    """The median and the best elapsed time, and the median CPU time."""
    seconds = [each for each, _ in taken]
    return statistics.median(seconds), min(seconds), statistics.median(work for _, work in taken)


async def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--kinds", default="sqlite,postgresql,mysql")
    options = parser.parse_args(arguments)
    servers = Servers(print)
    try:
        for kind in options.kinds.split(","):
            await run(kind, servers, options.rounds)
    finally:
        servers.close()


if __name__ == "__main__":
    asyncio.run(main())
