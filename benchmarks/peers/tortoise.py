"""Tortoise ORM."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from tortoise import Tortoise, fields
from tortoise.expressions import Q
from tortoise.functions import Avg, Count, Max
from tortoise.models import Model
from tortoise.transactions import in_transaction

from benchmarks.peers.base import VALUES, Peer, utcnow

DISTRIBUTIONS = ["tortoise-orm", "aiosqlite", "asyncpg", "asyncmy"]
REQUIRES = ["tortoise-orm[accel]", "aiosqlite", "asyncpg", "asyncmy"]
ENGINES = {
    "sqlite": "tortoise.backends.sqlite",
    "postgresql": "tortoise.backends.asyncpg",
    "mysql": "tortoise.backends.mysql",
}


class User(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=100)
    email = fields.CharField(max_length=255, unique=True)
    age = fields.IntField()
    is_active = fields.BooleanField(default=True)
    created_at = fields.DatetimeField(default=utcnow)
    posts: fields.ReverseRelation[Post]

    class Meta:
        table = "users"


class Post(Model):
    id = fields.IntField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", related_name="posts")
    title = fields.CharField(max_length=200)
    content = fields.TextField()
    views = fields.IntField(default=0)
    created_at = fields.DatetimeField(default=utcnow)
    post_tags: fields.ReverseRelation[PostTag]

    class Meta:
        table = "posts"


class PostTag(Model):
    id = fields.IntField(primary_key=True)
    post: fields.ForeignKeyRelation[Post] = fields.ForeignKeyField("models.Post", related_name="post_tags")
    name = fields.CharField(max_length=50)

    class Meta:
        table = "post_tags"


class Event(Model):
    id = fields.IntField(primary_key=True)
    value = fields.IntField()
    name = fields.CharField(max_length=100)

    class Meta:
        table = "events"


class Subject(Peer):
    """Tortoise. `async for` over its querysets loads every row first."""

    async def connect(self) -> None:
        target = self.target
        if target.kind == "sqlite":
            credentials: dict[str, Any] = {"file_path": target.database}
            if target.tuned:
                credentials |= {"journal_mode": "WAL", "synchronous": "NORMAL"}
        else:
            credentials = {**target.login, "database": target.database}
            credentials.setdefault("password", None if target.kind == "postgresql" else "")
            if target.tuned:
                credentials |= {"minsize": target.pool, "maxsize": target.pool}
        await Tortoise.init(
            {
                "connections": {"default": {"engine": ENGINES[target.kind], "credentials": credentials}},
                "apps": {"models": {"models": [__name__], "default_connection": "default"}},
                "use_tz": target.kind == "postgresql",
            },
            _enable_global_fallback=True,
        )

    async def close(self) -> None:
        await Tortoise.close_connections()

    async def insert_one(self, name: str, email: str, age: int) -> Any:
        return await User.create(name=name, email=email, age=age)

    async def insert_many(self, rows: list[dict[str, Any]]) -> Any:
        return await User.bulk_create([User(**row) for row in rows])

    async def update_one(self, key: int, name: str) -> Any:
        return await User.filter(id=key).update(name=name)

    async def update_many(self) -> Any:
        return await User.filter(age__lt=18).update(is_active=False)

    async def delete_one(self, key: int) -> Any:
        return await User.filter(id=key).delete()

    async def get(self, key: int) -> Any:
        return await User.get(id=key)

    async def filter_many(self) -> Any:
        return await User.filter(age__gte=18)

    async def filter_one(self, name: str) -> Any:
        return await User.filter(name=name)

    async def filter_complex(self) -> Any:
        return await User.filter(Q(age__gte=18, is_active=True) | Q(name__startswith="A"))

    async def filter_in(self, keys: list[int]) -> Any:
        return await User.filter(id__in=keys)

    async def order_limit(self) -> Any:
        return await User.all().order_by("-created_at").limit(10)

    async def count(self) -> int:
        return await User.all().count()

    async def aggregates(self) -> Any:
        query = User.annotate(n=Count("id"), average=Avg("age"), oldest=Max("age"))
        return await query.values("n", "average", "oldest")

    async def join(self) -> Any:
        return await Post.all().select_related("user")

    async def page(self) -> Any:
        return await Post.all().select_related("user").order_by("-created_at").limit(20)

    async def prefetch(self) -> Any:
        return await User.all().prefetch_related("posts")

    async def nested(self) -> Any:
        return await User.all().prefetch_related("posts__post_tags")

    async def values(self) -> Any:
        return await Post.all().values(*VALUES)

    def stream(self) -> AsyncIterator[Any]:
        return aiter(Event.all())

    def transaction(self) -> Any:
        return in_transaction()
