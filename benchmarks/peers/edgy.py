"""Edgy: Pydantic's models on SQLAlchemy Core."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import edgy
import sqlalchemy
from edgy import Database, Prefetch, Q, Registry

from benchmarks.peers.base import VALUES, Missing, Peer, Target, utcnow

DISTRIBUTIONS = ["edgy", "databasez", "sqlalchemy", "pydantic"]
REQUIRES = ["edgy", "aiosqlite", "asyncpg", "asyncmy"]


def url(target: Target) -> str:
    """The URL with the driver and its settings."""
    schemes = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy"}
    size = f"?pool_size={target.pool}&max_overflow=0" if target.tuned and target.kind != "sqlite" else ""
    return target.url(schemes[target.kind]) + size


def declare(database: Database) -> dict[str, Any]:
    """The models, which take their database when they are declared."""
    models = Registry(database=database)

    class User(edgy.Model):
        id: int = edgy.IntegerField(primary_key=True, autoincrement=True)
        name: str = edgy.CharField(max_length=100)
        email: str = edgy.CharField(max_length=255, unique=True)
        age: int = edgy.IntegerField()
        is_active: bool = edgy.BooleanField(default=True)
        created_at: Any = edgy.DateTimeField(default=utcnow)

        class Meta:
            registry = models
            tablename = "users"

    class Post(edgy.Model):
        id: int = edgy.IntegerField(primary_key=True, autoincrement=True)
        user: Any = edgy.ForeignKey(User, column_name="user_id", on_delete=edgy.CASCADE, related_name="posts")
        title: str = edgy.CharField(max_length=200)
        content: str = edgy.TextField()
        views: int = edgy.IntegerField(default=0)
        created_at: Any = edgy.DateTimeField(default=utcnow)

        class Meta:
            registry = models
            tablename = "posts"

    class PostTag(edgy.Model):
        id: int = edgy.IntegerField(primary_key=True, autoincrement=True)
        post: Any = edgy.ForeignKey(Post, column_name="post_id", on_delete=edgy.CASCADE, related_name="post_tags")
        name: str = edgy.CharField(max_length=50)

        class Meta:
            registry = models
            tablename = "post_tags"

    class Event(edgy.Model):
        id: int = edgy.IntegerField(primary_key=True, autoincrement=True)
        value: int = edgy.IntegerField()
        name: str = edgy.CharField(max_length=100)

        class Meta:
            registry = models
            tablename = "events"

    return {"registry": models, "User": User, "Post": Post, "Event": Event}


class Subject(Peer):
    """Edgy."""

    async def connect(self) -> None:
        models = declare(Database(url(self.target)))
        self.registry, self.user, self.post, self.event = models.values()
        await self.registry.__aenter__()
        if self.target.tuned and self.target.kind == "sqlite":

            @sqlalchemy.event.listens_for(self.registry.database.engine.sync_engine, "connect")
            def prepare(opened: Any, _: Any) -> None:
                opened.execute("PRAGMA synchronous = NORMAL")

    async def close(self) -> None:
        await self.registry.__aexit__()

    async def insert_one(self, name: str, email: str, age: int) -> Any:
        return await self.user.query.create(name=name, email=email, age=age)

    async def insert_many(self, rows: list[dict[str, Any]]) -> Any:
        return await self.user.query.bulk_create(rows)

    async def update_one(self, key: int, name: str) -> Any:
        return await self.user.query.filter(id=key).update(name=name)

    async def update_many(self) -> Any:
        return await self.user.query.filter(age__lt=18).update(is_active=False)

    async def delete_one(self, key: int) -> Any:
        return await self.user.query.filter(id=key).delete()

    async def get(self, key: int) -> Any:
        return await self.user.query.get(id=key)

    async def filter_many(self) -> Any:
        return await self.user.query.filter(age__gte=18)

    async def filter_one(self, name: str) -> Any:
        return await self.user.query.filter(name=name)

    async def filter_complex(self) -> Any:
        return await self.user.query.filter(Q(age__gte=18, is_active=True) | Q(name__startswith="A"))

    async def filter_in(self, keys: list[int]) -> Any:
        return await self.user.query.filter(id__in=keys)

    async def order_limit(self) -> Any:
        return await self.user.query.order_by("-created_at").limit(10)

    async def count(self) -> int:
        return await self.user.query.count()

    async def aggregates(self) -> Any:
        raise Missing("no aggregates but count()")

    async def join(self) -> Any:
        return await self.post.query.select_related("user")

    async def page(self) -> Any:
        return await self.post.query.select_related("user").order_by("-created_at").limit(20)

    async def prefetch(self) -> Any:
        return await self.user.query.prefetch_related(Prefetch(related_name="posts", to_attr="found_posts"))

    async def values(self) -> Any:
        return await self.post.query.values(list(VALUES))

    async def stream(self) -> AsyncIterator[Any]:
        async for event in self.event.query.all():
            yield event

    def transaction(self) -> Any:
        return self.registry.database.transaction()

    def children(self, user: Any) -> Any:
        return user.found_posts
