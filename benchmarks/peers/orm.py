"""orm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orm
from benchmarks.peers.base import KIND, VALUES, Peer, utcnow

DISTRIBUTIONS = ["orm", "sqlalchemy", "databases"]
REQUIRES = ["-e", ".[all]"]

models = orm.ModelRegistry()
STAMP = {"timezone": True} if KIND == "postgresql" else {}


class User(orm.Model):
    registry = models
    tablename = "users"

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)
    email = orm.String(max_length=255, unique=True)
    age = orm.Integer()
    is_active = orm.Boolean(default=True)
    created_at = orm.DateTime(default=utcnow, **STAMP)


class Post(orm.Model):
    registry = models
    tablename = "posts"

    id = orm.Integer(primary_key=True)
    user = orm.ForeignKey(User, column="user_id", on_delete=orm.CASCADE, related_name="posts")
    title = orm.String(max_length=200)
    content = orm.Text()
    views = orm.Integer(default=0)
    created_at = orm.DateTime(default=utcnow, **STAMP)


class PostTag(orm.Model):
    registry = models
    tablename = "post_tags"

    id = orm.Integer(primary_key=True)
    post = orm.ForeignKey(Post, column="post_id", on_delete=orm.CASCADE, related_name="post_tags")
    name = orm.String(max_length=50)


class Event(orm.Model):
    registry = models
    tablename = "events"

    id = orm.Integer(primary_key=True)
    value = orm.Integer()
    name = orm.String(max_length=100)


class Subject(Peer):
    """orm, with its own `orm.Database`."""

    async def connect(self) -> None:
        options: dict[str, Any] = {}
        if self.target.tuned:
            options = {"min_size": self.target.pool, "max_size": self.target.pool}
        models.database = orm.Database(self.target.url(), **options)
        await models.database.connect()

    async def close(self) -> None:
        await models.database.disconnect()

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
        return await User.objects.filter(age__gte=18)

    async def filter_one(self, name: str) -> Any:
        return await User.objects.filter(name=name)

    async def filter_complex(self) -> Any:
        return await User.objects.filter(orm.Q(age__gte=18, is_active=True) | orm.Q(name__startswith="A"))

    async def filter_in(self, keys: list[int]) -> Any:
        return await User.objects.filter(id__in=keys)

    async def order_limit(self) -> Any:
        return await User.objects.order_by("-created_at").limit(10)

    async def count(self) -> int:
        return await User.objects.count()

    async def aggregates(self) -> Any:
        return await User.objects.aggregate(n=orm.Count("id"), average=orm.Avg("age"), oldest=orm.Max("age"))

    async def join(self) -> Any:
        return await Post.objects.select_related("user")

    async def page(self) -> Any:
        return await Post.objects.select_related("user").order_by("-created_at").limit(20)

    async def prefetch(self) -> Any:
        return await User.objects.prefetch_related("posts")

    async def nested(self) -> Any:
        return await User.objects.prefetch_related("posts__post_tags")

    async def values(self) -> Any:
        return await Post.objects.values(*VALUES)

    async def unit_of_work(self, rows: list[dict[str, Any]]) -> Any:
        database: Any = models.database
        async with orm.Session(database) as session:
            for user in await User.objects.all():
                user.name += "!"
            session.add_all([User(**row) for row in rows])
            await session.commit()

    def stream(self) -> AsyncIterator[Any]:
        return aiter(Event.objects.all())

    def transaction(self) -> Any:
        return models.database.transaction()

    def children(self, user: Any) -> Any:
        return user.posts.all()

    def tags(self, post: Any) -> Any:
        return post.post_tags.all()
