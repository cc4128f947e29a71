"""The cost of Python itself: a hand-written loop that makes plain objects of the driver's rows.

    BENCHMARK_DATABASE=postgresql python -m benchmarks.by_hand [--rounds 25]

The objects are of classes without anything, filled attribute by attribute, with the garbage collector off: less cannot
be done in Python to have objects in the place of rows. Figures are milliseconds of this process's CPU time, medians.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from itertools import repeat
from typing import Any

from benchmarks.databases import STAGES
from benchmarks.peers import orm as ours
from benchmarks.peers import raw as drivers
from benchmarks.peers.base import KIND
from tests.servers import Servers

Way = Callable[[], Awaitable[Any]]
# SQLite has no datetimes and booleans: its rows have text and numbers, which are converted.
TEXT = KIND == "sqlite"


class User:
    """A user as a plain object."""

    posts: list[Post]


class Post:
    """A post as a plain object."""


# CPython shares the attribute names of all instances of a class if the first instance has them.
first_user, first_post = User(), Post()
first_user.id = first_user.name = first_user.email = first_user.age = None
first_user.is_active = first_user.created_at = None
first_user.posts = []
first_post.id = first_post.title = first_post.content = first_post.views = first_post.created_at = None
first_post.user_id = None


def make_users(rows: Sequence[Any]) -> list[Any]:
    """The users of these rows."""
    instances: list[Any] = list(map(User.__new__, repeat(User, len(rows))))
    for (key, name, email, age, active, created), user in zip(rows, instances, strict=True):
        user.id = key
        user.name = name
        user.email = email
        user.age = age
        user.is_active = active == 1 if TEXT else active
        user.created_at = datetime.fromisoformat(created) if TEXT else created
    return instances


def make_posts(rows: Sequence[Any], posts_of: dict[int, list[Any]]) -> None:
    """Add the posts of these rows to the lists of their users."""
    instances: list[Any] = list(map(Post.__new__, repeat(Post, len(rows))))
    for (key, title, content, views, created, owner), post in zip(rows, instances, strict=True):
        post.id = key
        post.title = title
        post.content = content
        post.views = views
        post.created_at = datetime.fromisoformat(created) if TEXT else created
        post.user_id = owner
        posts_of[owner].append(post)


class ByHand:
    """The operations with hand-written loops."""

    def __init__(self, driver: drivers.Driver) -> None:
        self.driver = driver

    async def filter_many(self) -> Any:
        return make_users(await self.driver.filter_many())

    async def prefetch(self) -> Any:
        rows, posts, _ = await self.driver.prefetch()
        users = make_users(rows)
        posts_of: dict[int, list[Any]] = {user.id: [] for user in users}
        for user in users:
            user.posts = posts_of[user.id]
        make_posts(posts, posts_of)
        return users

    async def values(self) -> Any:
        rows = await self.driver.values()
        return [{"id": key, "title": title, "content": content, "views": views} for key, title, content, views in rows]


async def taken(way: Way, *, collecting: bool) -> float:
    """The CPU milliseconds of one run."""
    if not collecting:
        gc.disable()
    try:
        started = time.process_time()
        result = await way()
        seconds = time.process_time() - started
        del result
    finally:
        gc.enable()
    return seconds * 1000


async def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    rounds = parser.parse_args(arguments).rounds
    servers = Servers(print)
    stage = STAGES[KIND](servers, tuned=True, posts=20, events=0)
    target = stage.make("by_hand")
    driver, subject = drivers.Subject(target), ours.Subject(target)
    try:
        await driver.connect()
        await subject.connect()
        for operation, times in (("filter_many", 20), ("prefetch", 1), ("values", 1)):
            ways = {"driver": driver, "by hand": ByHand(driver), "orm": subject}
            timings: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, way in ways.items():
                    for _ in range(times):
                        timings[name].append(await taken(getattr(way, operation), collecting=name != "by hand"))
            medians = {name: statistics.median(of) for name, of in timings.items()}
            shown = (f"{name} {median:.2f} ({median / medians['driver']:.2f})" for name, median in medians.items())
            print(f"{KIND}, {operation}:", "  ".join(shown), flush=True)
    finally:
        await driver.close()
        await subject.close()
        stage.drop(target)
        stage.close()
        servers.close()


if __name__ == "__main__":
    asyncio.run(main())
