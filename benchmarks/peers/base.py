"""The base class of subjects: the operations that are measured, on a database that is already filled."""

from __future__ import annotations

import datetime
import os
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

USER = ("id", "name", "email", "age", "is_active", "created_at")
POST = ("id", "title", "content", "views", "created_at")
VALUES = ("id", "title", "content", "views")

# Which database the process works on: some peers must know it when their models are declared.
KIND = os.environ.get("BENCHMARK_DATABASE", "sqlite")


@dataclass(frozen=True)
class Target:
    """The database of one subject, and how to connect to it.

    Attributes:
        kind: "sqlite", "postgresql" or "mysql".
        database: its name; SQLite: its file.
        tuned: whether pools have `pool` connections each, and SQLite WAL with synchronous=NORMAL; otherwise everyone
            has the defaults of their own.
    """

    kind: str
    database: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    tuned: bool = True
    pool: int = 8

    def url(self, scheme: str = "") -> str:
        """The database's URL, with another scheme if one is given."""
        scheme = scheme or self.kind
        if self.kind == "sqlite":
            return f"{scheme}:///{self.database}"
        password = f":{self.password}" if self.password else ""
        return f"{scheme}://{self.user}{password}@{self.host}:{self.port}/{self.database}"

    @property
    def login(self) -> dict[str, Any]:
        """Host, port, user and password, for drivers that take them separately."""
        options = {"host": self.host, "port": self.port, "user": self.user}
        return {**options, "password": self.password} if self.password else options


class Missing(Exception):
    """Raised by an operation that a subject cannot do."""


class Peer:
    """A subject. Operations that raise `Missing` or `AttributeError` are reported as missing."""

    databases: tuple[str, ...] = ("sqlite", "postgresql", "mysql")

    def __init__(self, target: Target) -> None:
        self.target = target

    async def connect(self) -> None:
        """Open the pool."""

    async def close(self) -> None:
        """Close the pool."""

    # Writing.

    async def insert_one(self, name: str, email: str, age: int) -> Any:
        """Insert a user, and return it with its key."""
        raise Missing

    async def insert_many(self, rows: list[dict[str, Any]]) -> Any:
        """Insert users from dicts of name, email and age."""
        raise Missing

    async def update_one(self, key: int, name: str) -> Any:
        """Give the user with this key another name, in one statement."""
        raise Missing

    async def update_many(self) -> Any:
        """Set is_active to false for every user younger than 18, in one statement."""
        raise Missing

    async def delete_one(self, key: int) -> Any:
        """Delete the user with this key, in one statement."""
        raise Missing

    # Reading users.

    async def get(self, key: int) -> Any:
        """The user with this key."""
        raise Missing

    async def filter_many(self) -> Any:
        """Users of 18 or older: about 950 of 1,000."""
        raise Missing

    async def filter_one(self, name: str) -> Any:
        """Users of this name, a list of one."""
        raise Missing

    async def filter_complex(self) -> Any:
        """Users who are active and 18 or older, or whose name begins with an A."""
        raise Missing

    async def filter_in(self, keys: list[int]) -> Any:
        """Users with these keys."""
        raise Missing

    async def order_limit(self) -> Any:
        """The ten newest users, newest first."""
        raise Missing

    async def count(self) -> int:
        """How many users there are."""
        raise Missing

    async def aggregates(self) -> Any:
        """Count, average age and greatest age of all users, in this order, in one statement."""
        raise Missing

    # Reading relations and many rows.

    async def join(self) -> Any:
        """Every post with its user, in one statement."""
        raise Missing

    async def page(self) -> Any:
        """The 20 newest posts, newest first, with their users: for the web service."""
        raise Missing

    async def prefetch(self) -> Any:
        """Every user with all of its posts."""
        raise Missing

    async def nested(self) -> Any:
        """Every user with all of its posts, and these with their tags."""
        raise Missing

    async def values(self) -> Any:
        """`VALUES` of every post, as dicts."""
        raise Missing

    def stream(self) -> AsyncIterator[Any]:
        """Every event, one by one, in constant memory if the subject can."""
        raise Missing

    async def unit_of_work(self, rows: list[dict[str, Any]]) -> Any:
        """Load all users, append "!" to the name of each, and insert users from dicts, all in one transaction."""
        raise Missing

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """A transaction that contains the operations above."""
        raise Missing

    async def five(self, name: str, email: str, age: int) -> Any:
        """A transaction of five statements; the user with key 1, which one of them reads."""
        async with self.transaction():
            await self.insert_one(name, email, age)
            user = await self.get(1)
            await self.update_one(2, name)
            await self.filter_one("User 5")
            await self.count()
        return user

    # What a result looks like, for the comparison with the raw driver's. Never timed.

    def parent(self, post: Any) -> Any:
        """The user of a post of `join()`."""
        return post.user

    def children(self, user: Any) -> Any:
        """The posts of a user of `prefetch()`; may be awaitable."""
        return user.posts

    def tags(self, post: Any) -> Any:
        """The post_tags of a post of `nested()`; may be awaitable."""
        return post.post_tags

    async def trees(self, users: Any, *, nested: bool) -> list[Any]:
        """The result of `prefetch()` or `nested()` as plain data."""
        trees = []
        for user in users:
            posts = []
            for post in sorted(await settled(self.children(user)), key=lambda post: post.id):
                tags = [tag.id for tag in await settled(self.tags(post))] if nested else []
                posts.append([*plain(post, POST), sorted(tags)])
            trees.append([*plain(user, USER), posts])
        return sorted(trees)


async def settled(value: Any | Awaitable[Any]) -> Any:
    """The value itself, or what it becomes when it is awaited."""
    return await value if isawaitable(value) else value


def plain(row: Any, names: tuple[str, ...]) -> list[Any]:
    """A row as a list of comparable values, whether it is an object, a dict, or a row of a driver."""
    if isinstance(row, Mapping):
        values = [row[name] for name in names]
    elif isinstance(row, tuple) or type(row).__name__ == "Record":
        values = list(row)[: len(names)]
    else:
        values = [getattr(row, name) for name in names]
    return [comparable(value) for value in values]


def comparable(value: Any) -> Any:
    """The value as JSON has it: datetimes as text in UTC, numbers rounded, booleans as numbers."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc)
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, str) or value is None:
        return value
    return round(float(value), 4)


def utcnow() -> datetime.datetime:
    """Now in UTC: aware on PostgreSQL, whose column is a timestamptz, naive elsewhere."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return now if KIND == "postgresql" else now.replace(tzinfo=None)
