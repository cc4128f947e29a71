"""The drivers alone, as their documentation uses them: rows are left as the driver returns them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import aiosqlite
import asyncmy
import asyncmy.cursors
import asyncpg

from benchmarks.peers.base import POST, USER, VALUES, Peer, Target, plain, utcnow

DISTRIBUTIONS = ["aiosqlite", "asyncpg", "asyncmy"]
REQUIRES = ["aiosqlite", "asyncpg", "asyncmy"]

USERS = "SELECT id, name, email, age, is_active, created_at FROM users"
POSTS = "SELECT id, title, content, views, created_at, user_id FROM posts"
TAGS = "SELECT id, post_id FROM post_tags"
JOIN = (
    "SELECT p.id, p.title, p.content, p.views, p.created_at, u.id, u.name, u.email, u.age, u.is_active, u.created_at"
    " FROM posts p JOIN users u ON p.user_id = u.id"
)
COLUMNS = "(name, email, age, is_active, created_at)"


class Driver(Peer):
    """The operations in SQL; the classes below say how each driver runs it. `?` is the placeholder."""

    mark = "?"

    def sql(self, text: str) -> str:
        """The SQL in the driver's spelling."""
        return text

    async def fetch(self, text: str, *values: Any) -> Sequence[Any]:
        """All rows."""
        raise NotImplementedError

    async def run(self, text: str, *values: Any) -> Any:
        """Run and commit."""
        raise NotImplementedError

    async def insert_one(self, name: str, email: str, age: int) -> Any:
        sql = f"INSERT INTO users {COLUMNS} VALUES (?, ?, ?, ?, ?) RETURNING id"
        return (await self.run(sql, name, email, age, True, utcnow()))[0]

    async def insert_many(self, rows: list[dict[str, Any]]) -> Any:
        now = utcnow()
        values = [(row["name"], row["email"], row["age"], True, now) for row in rows]
        await self.run_many(f"INSERT INTO users {COLUMNS} VALUES (?, ?, ?, ?, ?)", values)

    async def run_many(self, text: str, values: list[tuple[Any, ...]]) -> None:
        """Run for each of the values, and commit."""
        raise NotImplementedError

    async def update_one(self, key: int, name: str) -> Any:
        return await self.run("UPDATE users SET name = ? WHERE id = ?", name, key)

    async def update_many(self) -> Any:
        return await self.run("UPDATE users SET is_active = ? WHERE age < ?", False, 18)

    async def unit_of_work(self, rows: list[dict[str, Any]]) -> Any:
        users = await self.fetch(USERS)
        await self.run_many("UPDATE users SET name = ? WHERE id = ?", [(f"{user[1]}!", user[0]) for user in users])
        await self.insert_many(rows)

    async def delete_one(self, key: int) -> Any:
        return await self.run("DELETE FROM users WHERE id = ?", key)

    async def get(self, key: int) -> Any:
        return (await self.fetch(f"{USERS} WHERE id = ?", key))[0]

    async def filter_many(self) -> Any:
        return await self.fetch(f"{USERS} WHERE age >= ?", 18)

    async def filter_one(self, name: str) -> Any:
        return await self.fetch(f"{USERS} WHERE name = ?", name)

    async def filter_complex(self) -> Any:
        return await self.fetch(f"{USERS} WHERE (age >= ? AND is_active = ?) OR name LIKE ?", 18, True, "A%")

    async def filter_in(self, keys: list[int]) -> Any:
        return await self.fetch(f"{USERS} WHERE id IN ({', '.join(['?'] * len(keys))})", *keys)

    async def order_limit(self) -> Any:
        return await self.fetch(f"{USERS} ORDER BY created_at DESC LIMIT 10")

    async def count(self) -> int:
        return (await self.fetch("SELECT COUNT(*) FROM users"))[0][0]

    async def aggregates(self) -> Any:
        return (await self.fetch("SELECT COUNT(*), AVG(age), MAX(age) FROM users"))[0]

    async def join(self) -> Any:
        return await self.fetch(JOIN)

    async def page(self) -> Any:
        return await self.fetch(f"{JOIN} ORDER BY p.created_at DESC LIMIT 20")

    async def prefetch(self) -> Any:
        users = await self.fetch(USERS)
        return users, await self.fetch_in(POSTS, "user_id", [row[0] for row in users]), []

    async def nested(self) -> Any:
        users = await self.fetch(USERS)
        posts = await self.fetch_in(POSTS, "user_id", [row[0] for row in users])
        return users, posts, await self.fetch_in(TAGS, "post_id", [row[0] for row in posts])

    async def fetch_in(self, text: str, column: str, keys: list[int]) -> Sequence[Any]:
        """All rows whose column has one of these keys."""
        return await self.fetch(f"{text} WHERE {column} IN ({', '.join(map(str, keys))})")

    async def values(self) -> Any:
        return await self.fetch(f"SELECT {', '.join(VALUES)} FROM posts")

    def parent(self, post: Any) -> Any:
        return tuple(post)[len(POST) :]

    async def trees(self, users: Any, *, nested: bool) -> list[Any]:
        user_rows, posts, tags = users
        tags_of: dict[int, list[int]] = defaultdict(list)
        posts_of: dict[int, list[Any]] = defaultdict(list)
        for tag in tags:
            tags_of[tag[1]].append(tag[0])
        for post in sorted(map(tuple, posts)):
            posts_of[post[-1]].append([*plain(post, POST), sorted(tags_of[post[0]])])
        return sorted([*plain(user, USER), posts_of[user[0]]] for user in user_rows)


class SQLite(Driver):
    """aiosqlite, with the one connection that its documentation opens."""

    async def connect(self) -> None:
        self.connection = await aiosqlite.connect(self.target.database)
        await self.connection.execute("PRAGMA foreign_keys = ON")
        if self.target.tuned:
            await self.connection.execute("PRAGMA synchronous = NORMAL")
        self.commits = True

    async def close(self) -> None:
        await self.connection.close()

    async def fetch(self, text: str, *values: Any) -> Any:
        return await self.connection.execute_fetchall(text, values)

    async def run(self, text: str, *values: Any) -> Any:
        rows = await self.connection.execute_fetchall(text, [_text(value) for value in values])
        if self.commits:
            await self.connection.commit()
        return rows

    async def run_many(self, text: str, values: list[tuple[Any, ...]]) -> None:
        await self.connection.executemany(text, [[_text(value) for value in row] for row in values])
        await self.connection.commit()

    async def stream(self) -> AsyncIterator[Any]:
        async with self.connection.execute("SELECT id, value, name FROM events") as cursor:
            async for row in cursor:
                yield row

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self.commits = False
        try:
            yield
            await self.connection.commit()
        finally:
            self.commits = True


def _text(value: Any) -> Any:
    return value.isoformat(" ") if hasattr(value, "isoformat") else value


class PostgreSQL(Driver):
    """asyncpg with its pool."""

    async def connect(self) -> None:
        size = {"min_size": self.target.pool, "max_size": self.target.pool} if self.target.tuned else {}
        self.pool = await asyncpg.create_pool(self.target.url(), **size)
        self.held: ContextVar[Any] = ContextVar("held", default=None)
        self.spelled: dict[str, str] = {}

    async def close(self) -> None:
        await self.pool.close()

    def sql(self, text: str) -> str:
        # Computed once, as an application would write it.
        spelling = self.spelled.get(text)
        if spelling is None:
            first, *rest = text.split("?")
            spelling = self.spelled[text] = first + "".join(f"${i}{part}" for i, part in enumerate(rest, 1))
        return spelling

    async def fetch(self, text: str, *values: Any) -> Any:
        return await (self.held.get() or self.pool).fetch(self.sql(text), *values)

    run = fetch

    async def run_many(self, text: str, values: list[tuple[Any, ...]]) -> None:
        await self.pool.executemany(self.sql(text), values)

    async def fetch_in(self, text: str, column: str, keys: list[int]) -> Any:
        return await self.pool.fetch(f"{text} WHERE {column} = ANY($1)", keys)

    async def stream(self) -> AsyncIterator[Any]:
        async with self.pool.acquire() as connection, connection.transaction():
            async for row in connection.cursor("SELECT id, value, name FROM events", prefetch=1000):
                yield row

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with self.pool.acquire() as connection, connection.transaction():
            token = self.held.set(connection)
            try:
                yield
            finally:
                self.held.reset(token)


class MySQL(Driver):
    """asyncmy with its pool."""

    async def connect(self) -> None:
        size = {"minsize": self.target.pool, "maxsize": self.target.pool} if self.target.tuned else {}
        login = {**self.target.login, "db": self.target.database}
        self.pool = await asyncmy.create_pool(**login, autocommit=True, **size)
        self.held: ContextVar[Any] = ContextVar("held", default=None)

    async def close(self) -> None:
        self.pool.close()
        await self.pool.wait_closed()

    @asynccontextmanager
    async def cursor(self, *kind: Any) -> AsyncIterator[Any]:
        """A cursor of the transaction's connection, or of one from the pool."""
        if connection := self.held.get():
            async with connection.cursor() as cursor:
                yield cursor
        else:
            async with self.pool.acquire() as connection, connection.cursor(*kind) as cursor:
                yield cursor

    async def fetch(self, text: str, *values: Any) -> Any:
        async with self.cursor() as cursor:
            await cursor.execute(text.replace("?", "%s"), values)
            return await cursor.fetchall()

    async def run(self, text: str, *values: Any) -> Any:
        # MySQL has no RETURNING: the key of a new row is the cursor's.
        async with self.cursor() as cursor:
            await cursor.execute(text.replace("?", "%s").replace(" RETURNING id", ""), values)
            return [(cursor.lastrowid,)]

    async def run_many(self, text: str, values: list[tuple[Any, ...]]) -> None:
        async with self.cursor() as cursor:
            await cursor.executemany(text.replace("?", "%s"), values)

    async def stream(self) -> AsyncIterator[Any]:
        async with self.cursor(asyncmy.cursors.SSCursor) as cursor:
            await cursor.execute("SELECT id, value, name FROM events")
            while row := await cursor.fetchone():
                yield row

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with self.pool.acquire() as connection:
            await connection.begin()
            token = self.held.set(connection)
            try:
                yield
                await connection.commit()
            finally:
                self.held.reset(token)


def Subject(target: Target) -> Driver:
    """The driver of the target's database."""
    return {"sqlite": SQLite, "postgresql": PostgreSQL, "mysql": MySQL}[target.kind](target)
