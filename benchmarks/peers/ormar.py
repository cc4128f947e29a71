"""ormar: Pydantic's models on SQLAlchemy Core."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import ormar
import sqlalchemy
from ormar import DatabaseConnection

from benchmarks.peers.base import KIND, VALUES, Missing, Peer, Target, utcnow

DISTRIBUTIONS = ["ormar", "sqlalchemy", "pydantic"]
REQUIRES = ["ormar", "aiosqlite", "asyncpg", "asyncmy"]
SCHEMES = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy"}


def connection(target: Target) -> DatabaseConnection:
    """The database with its pool."""
    size = {"pool_size": target.pool, "max_overflow": 0} if target.tuned else {}
    return DatabaseConnection(target.url(SCHEMES[target.kind]), **size)


# ormar wants a database when models are declared; connect() puts the target's in its place.
base = ormar.OrmarConfig(metadata=sqlalchemy.MetaData(), database=DatabaseConnection("sqlite+aiosqlite://"))
STAMP = {"timezone": True} if KIND == "postgresql" else {}


class User(ormar.Model):
    ormar_config = base.copy(tablename="users")

    id: int = ormar.Integer(primary_key=True)
    name: str = ormar.String(max_length=100)
    email: str = ormar.String(max_length=255, unique=True)
    age: int = ormar.Integer()
    is_active: bool = ormar.Boolean(default=True)
    created_at: Any = ormar.DateTime(default=utcnow, **STAMP)


class Post(ormar.Model):
    ormar_config = base.copy(tablename="posts")

    id: int = ormar.Integer(primary_key=True)
    user: Any = ormar.ForeignKey(User, name="user_id", related_name="posts")
    title: str = ormar.String(max_length=200)
    content: str = ormar.Text()
    views: int = ormar.Integer(default=0)
    created_at: Any = ormar.DateTime(default=utcnow, **STAMP)


class PostTag(ormar.Model):
    ormar_config = base.copy(tablename="post_tags")

    id: int = ormar.Integer(primary_key=True)
    post: Any = ormar.ForeignKey(Post, name="post_id", related_name="post_tags")
    name: str = ormar.String(max_length=50)


class Event(ormar.Model):
    ormar_config = base.copy(tablename="events")

    id: int = ormar.Integer(primary_key=True)
    value: int = ormar.Integer()
    name: str = ormar.String(max_length=100)


class Subject(Peer):
    """ormar."""

    async def connect(self) -> None:
        self.database = connection(self.target)
        await self.database.connect()
        for model in (User, Post, PostTag, Event):
            model.ormar_config.database = self.database
        if self.target.tuned and self.target.kind == "sqlite":

            @sqlalchemy.event.listens_for(self.database.engine.sync_engine, "connect")
            def prepare(opened: Any, _: Any) -> None:
                opened.execute("PRAGMA synchronous = NORMAL")

    async def close(self) -> None:
        await self.database.disconnect()

    async def insert_one(self, name: str, email: str, age: int) -> Any:
        return await User.objects.create(name=name, email=email, age=age)

    async def insert_many(self, rows: list[dict[str, Any]]) -> Any:
        return await User.objects.bulk_create([User(**row) for row in rows])

    async def update_one(self, key: int, name: str) -> Any:
        return await User.objects.filter(id=key).update(name=name)

    async def update_many(self) -> Any:
        return await User.objects.filter(age__lt=18).update(is_active=False)

    async def delete_one(self, key: int) -> Any:
        return await User.objects.filter(id=key).delete()

    async def get(self, key: int) -> Any:
        return await User.objects.get(id=key)

    async def filter_many(self) -> Any:
        return await User.objects.filter(age__gte=18).all()

    async def filter_one(self, name: str) -> Any:
        return await User.objects.filter(name=name).all()

    async def filter_complex(self) -> Any:
        grown = ormar.and_(age__gte=18, is_active=True)
        return await User.objects.filter(ormar.or_(grown, name__startswith="A")).all()

    async def filter_in(self, keys: list[int]) -> Any:
        return await User.objects.filter(id__in=keys).all()

    async def order_limit(self) -> Any:
        return await User.objects.order_by("-created_at").limit(10).all()

    async def count(self) -> int:
        return await User.objects.count()

    async def aggregates(self) -> Any:
        raise Missing("no statement with several aggregates")

    async def join(self) -> Any:
        return await Post.objects.select_related("user").all()

    async def page(self) -> Any:
        return await Post.objects.select_related("user").order_by("-created_at").limit(20).all()

    async def prefetch(self) -> Any:
        return await User.objects.prefetch_related("posts").all()

    async def nested(self) -> Any:
        return await User.objects.prefetch_related("posts__post_tags").all()

    async def values(self) -> Any:
        return await Post.objects.fields(list(VALUES)).values()

    def stream(self) -> AsyncIterator[Any]:
        return Event.objects.iterate()

    def transaction(self) -> Any:
        return self.database.transaction()

    def tags(self, post: Any) -> Any:
        return post.post_tags
