"""Piccolo. It knows SQLite and PostgreSQL, no MySQL."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

from piccolo.columns import Boolean, ForeignKey, Integer, Serial, Text, Timestamp, Timestamptz, Varchar
from piccolo.engine.postgres import PostgresEngine
from piccolo.engine.sqlite import SQLiteEngine
from piccolo.query.functions.aggregate import Avg, Count, Max
from piccolo.table import Table

from benchmarks.peers.base import KIND, POST, USER, VALUES, Peer, plain, utcnow

DISTRIBUTIONS = ["piccolo", "aiosqlite", "asyncpg"]
REQUIRES = ["piccolo[postgres,sqlite]"]
Moment = Timestamptz if KIND == "postgresql" else Timestamp


class User(Table, tablename="users"):
    id = Serial(primary_key=True)
    name = Varchar(100)
    email = Varchar(255, unique=True)
    age = Integer()
    is_active = Boolean(default=True)
    created_at = Moment(default=utcnow)


class Post(Table, tablename="posts"):
    id = Serial(primary_key=True)
    user = ForeignKey(User, db_column_name="user_id")
    title = Varchar(200)
    content = Text()
    views = Integer(default=0)
    created_at = Moment(default=utcnow)


class PostTag(Table, tablename="post_tags"):
    id = Serial(primary_key=True)
    post = ForeignKey(Post, db_column_name="post_id")
    name = Varchar(50)


class Event(Table, tablename="events"):
    id = Serial(primary_key=True)
    value = Integer()
    name = Varchar(100)


class NormalSync(sqlite3.Connection):
    """A connection with synchronous=NORMAL: Piccolo opens one for each query, and has no option for it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.execute("PRAGMA synchronous = NORMAL")


class Subject(Peer):
    """Piccolo. It has no reverse relations: their rows are asked for and grouped by hand."""

    databases = ("sqlite", "postgresql")

    async def connect(self) -> None:
        target = self.target
        if target.kind == "sqlite":
            options: dict[str, Any] = {"factory": NormalSync} if target.tuned else {}
            self.engine: Any = SQLiteEngine(path=target.database, **options)
        else:
            self.engine = PostgresEngine({**target.login, "database": target.database})
            size = {"min_size": target.pool, "max_size": target.pool} if target.tuned else {}
            await self.engine.start_connection_pool(**size)
        for table in (User, Post, PostTag, Event):
            table._meta.db = self.engine

    async def close(self) -> None:
        if self.target.kind == "postgresql":
            await self.engine.close_connection_pool()

    async def insert_one(self, name: str, email: str, age: int) -> Any:
        user = User(name=name, email=email, age=age)
        await user.save()
        return user

    async def insert_many(self, rows: list[dict[str, Any]]) -> Any:
        # No statement may have more values than the databases take: 5,000 rows of five.
        for start in range(0, len(rows), 5000):
            await User.insert(*(User(**row) for row in rows[start : start + 5000]))

    async def update_one(self, key: int, name: str) -> Any:
        return await User.update({User.name: name}).where(User.id == key)

    async def update_many(self) -> Any:
        return await User.update({User.is_active: False}).where(User.age < 18)

    async def delete_one(self, key: int) -> Any:
        return await User.delete().where(User.id == key)

    async def get(self, key: int) -> Any:
        return await User.objects().get(User.id == key)

    async def filter_many(self) -> Any:
        return await User.objects().where(User.age >= 18)

    async def filter_one(self, name: str) -> Any:
        return await User.objects().where(User.name == name)

    async def filter_complex(self) -> Any:
        return await User.objects().where(((User.age >= 18) & (User.is_active.eq(True))) | User.name.like("A%"))

    async def filter_in(self, keys: list[int]) -> Any:
        return await User.objects().where(User.id.is_in(keys))

    async def order_limit(self) -> Any:
        return await User.objects().order_by(User.created_at, ascending=False).limit(10)

    async def count(self) -> int:
        return await User.count()

    async def aggregates(self) -> Any:
        return await User.select(Count(), Avg(User.age), Max(User.age))

    async def join(self) -> Any:
        return await Post.objects(Post.user)

    async def page(self) -> Any:
        return await Post.objects(Post.user).order_by(Post.created_at, ascending=False).limit(20)

    async def prefetch(self) -> Any:
        users = await User.objects()
        return users, await self._grouped(Post, Post.user, "user", users)

    async def nested(self) -> Any:
        users, posts = await self.prefetch()
        every = [post for some in posts.values() for post in some]
        return users, posts, await self._grouped(PostTag, PostTag.post, "post", every)

    async def _grouped(self, table: Any, column: Any, name: str, parents: list[Any]) -> dict[int, list[Any]]:
        grouped = defaultdict(list)
        for row in await table.objects().where(column.is_in([parent.id for parent in parents])):
            grouped[getattr(row, name)].append(row)
        return grouped

    async def trees(self, users: Any, *, nested: bool) -> list[Any]:
        rows, posts, *tags = users
        return sorted(
            [
                *plain(user, USER),
                [
                    [*plain(post, POST), sorted(tag.id for tag in tags[0][post.id]) if nested else []]
                    for post in sorted(posts[user.id], key=lambda post: post.id)
                ],
            ]
            for user in rows
        )

    async def values(self) -> Any:
        return await Post.select(*VALUES)

    async def stream(self) -> AsyncIterator[Any]:
        async with await Event.objects().batch(batch_size=1000) as batches:
            async for batch in batches:
                for event in batch:
                    yield event

    def transaction(self) -> Any:
        return self.engine.transaction()
