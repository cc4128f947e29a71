"""Oxyde: a Rust core, models that are Pydantic's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from oxyde import AsyncDatabase, Avg, Count, Field, Max, Model, PoolSettings, Q, atomic, disconnect_all

from benchmarks.peers.base import VALUES, Peer, utcnow

DISTRIBUTIONS = ["oxyde", "oxyde-core", "pydantic"]
REQUIRES = ["oxyde"]


class User(Model):
    class Meta:
        is_table = True
        table_name = "users"

    id: int | None = Field(default=None, db_pk=True)
    name: str = Field(max_length=100)
    email: str = Field(max_length=255, db_unique=True)
    age: int
    is_active: bool = True
    created_at: datetime = Field(default_factory=utcnow)
    posts: list[Post] = Field(db_reverse_fk="user")


class Post(Model):
    class Meta:
        is_table = True
        table_name = "posts"

    id: int | None = Field(default=None, db_pk=True)
    user: User | None = Field(default=None, db_on_delete="CASCADE")
    title: str = Field(max_length=200)
    content: str = ""
    views: int = 0
    created_at: datetime = Field(default_factory=utcnow)
    post_tags: list[PostTag] = Field(db_reverse_fk="post")


class PostTag(Model):
    class Meta:
        is_table = True
        table_name = "post_tags"

    id: int | None = Field(default=None, db_pk=True)
    post: Post | None = Field(default=None, db_on_delete="CASCADE")
    name: str = Field(max_length=50)


class Subject(Peer):
    """Oxyde. It has no way to stream rows."""

    async def connect(self) -> None:
        size = {"min_connections": self.target.pool, "max_connections": self.target.pool} if self.target.tuned else {}
        self.database = AsyncDatabase(self.target.url(), name="default", settings=PoolSettings(**size))
        await self.database.connect()

    async def close(self) -> None:
        await disconnect_all()

    async def insert_one(self, name: str, email: str, age: int) -> Any:
        return await User.objects.create(name=name, email=email, age=age)

    async def insert_many(self, rows: list[dict[str, Any]]) -> Any:
        return await User.objects.bulk_create([User(**row) for row in rows], batch_size=5000)

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
        return await User.objects.filter(Q(age__gte=18, is_active=True) | Q(name__startswith="A")).all()

    async def filter_in(self, keys: list[int]) -> Any:
        return await User.objects.filter(id__in=keys).all()

    async def order_limit(self) -> Any:
        return await User.objects.order_by("-created_at").limit(10).all()

    async def count(self) -> int:
        return await User.objects.count()

    async def aggregates(self) -> Any:
        query = User.objects.annotate(n=Count("*"), average=Avg("age"), oldest=Max("age"))
        return await query.values("n", "average", "oldest").all()

    async def join(self) -> Any:
        return await Post.objects.join("user").all()

    async def page(self) -> Any:
        return await Post.objects.join("user").order_by("-created_at").limit(20).all()

    async def prefetch(self) -> Any:
        return await User.objects.prefetch("posts").all()

    async def nested(self) -> Any:
        return await User.objects.prefetch("posts__post_tags").all()

    async def values(self) -> Any:
        return await Post.objects.values(*VALUES).all()

    def transaction(self) -> Any:
        return atomic()
