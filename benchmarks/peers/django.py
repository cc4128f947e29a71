"""Django's ORM by its async API, whose queries run in a thread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections, models, transaction
from django.db.models import Avg, Count, Max, Q

from benchmarks.peers.base import KIND, VALUES, Peer, utcnow

if KIND == "mysql":
    # In place of mysqlclient, which has no wheels: only its version is looked at.
    import pymysql

    pymysql.version_info = (2, 2, 8, "final", 0)
    pymysql.install_as_MySQLdb()

DISTRIBUTIONS = ["django", "psycopg", "PyMySQL"]
REQUIRES = ["django", "psycopg[binary,pool]", "PyMySQL"]

settings.configure(DATABASES={}, USE_TZ=KIND == "postgresql", DEFAULT_AUTO_FIELD="django.db.models.AutoField")
django.setup()


class User(models.Model):
    name = models.CharField(max_length=100)
    email = models.CharField(max_length=255, unique=True)
    age = models.IntegerField()
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=utcnow)

    class Meta:
        app_label = "benchmarks"
        db_table = "users"


class Post(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="posts")
    title = models.CharField(max_length=200)
    content = models.TextField()
    views = models.IntegerField(default=0)
    created_at = models.DateTimeField(default=utcnow)

    class Meta:
        app_label = "benchmarks"
        db_table = "posts"


class PostTag(models.Model):
    post = models.ForeignKey(Post, on_delete=models.CASCADE, related_name="post_tags")
    name = models.CharField(max_length=50)

    class Meta:
        app_label = "benchmarks"
        db_table = "post_tags"


class Event(models.Model):
    value = models.IntegerField()
    name = models.CharField(max_length=100)

    class Meta:
        app_label = "benchmarks"
        db_table = "events"


class Subject(Peer):
    """Django."""

    async def connect(self) -> None:
        target = self.target
        login = {name.upper(): value for name, value in target.login.items()}
        database: dict[str, Any] = {"ENGINE": f"django.db.backends.{KIND}", "NAME": target.database, **login}
        if KIND == "sqlite":
            database["ENGINE"] = "django.db.backends.sqlite3"
            if target.tuned:
                database["OPTIONS"] = {"init_command": "PRAGMA synchronous = NORMAL"}
        elif KIND == "postgresql" and target.tuned:
            database["OPTIONS"] = {"pool": {"min_size": target.pool, "max_size": target.pool}}
        connections.settings = connections.configure_settings({"default": database})

    async def close(self) -> None:
        await sync_to_async(connections.close_all)()

    async def insert_one(self, name: str, email: str, age: int) -> Any:
        return await User.objects.acreate(name=name, email=email, age=age)

    async def insert_many(self, rows: list[dict[str, Any]]) -> Any:
        return await User.objects.abulk_create([User(**row) for row in rows])

    async def update_one(self, key: int, name: str) -> Any:
        return await User.objects.filter(id=key).aupdate(name=name)

    async def update_many(self) -> Any:
        return await User.objects.filter(age__lt=18).aupdate(is_active=False)

    async def delete_one(self, key: int) -> Any:
        return await User.objects.filter(id=key).adelete()

    async def get(self, key: int) -> Any:
        return await User.objects.aget(id=key)

    async def filter_many(self) -> Any:
        return [user async for user in User.objects.filter(age__gte=18)]

    async def filter_one(self, name: str) -> Any:
        return [user async for user in User.objects.filter(name=name)]

    async def filter_complex(self) -> Any:
        query = User.objects.filter(Q(age__gte=18, is_active=True) | Q(name__startswith="A"))
        return [user async for user in query]

    async def filter_in(self, keys: list[int]) -> Any:
        return [user async for user in User.objects.filter(id__in=keys)]

    async def order_limit(self) -> Any:
        return [user async for user in User.objects.order_by("-created_at")[:10]]

    async def count(self) -> int:
        return await User.objects.acount()

    async def aggregates(self) -> Any:
        return await User.objects.aaggregate(n=Count("id"), average=Avg("age"), oldest=Max("age"))

    async def join(self) -> Any:
        return [post async for post in Post.objects.select_related("user")]

    async def page(self) -> Any:
        return [post async for post in Post.objects.select_related("user").order_by("-created_at")[:20]]

    async def prefetch(self) -> Any:
        return [user async for user in User.objects.prefetch_related("posts")]

    async def nested(self) -> Any:
        return [user async for user in User.objects.prefetch_related("posts__post_tags")]

    async def values(self) -> Any:
        return [row async for row in Post.objects.values(*VALUES)]

    def stream(self) -> AsyncIterator[Any]:
        return Event.objects.aiterator()

    async def five(self, name: str, email: str, age: int) -> Any:
        # Transactions have no async form: the documentation sends them to a thread as one function.
        return await sync_to_async(self._five)(name, email, age)

    def _five(self, name: str, email: str, age: int) -> Any:
        with transaction.atomic():
            User.objects.create(name=name, email=email, age=age)
            user = User.objects.get(id=1)
            User.objects.filter(id=2).update(name=name)
            list(User.objects.filter(name="User 5"))
            User.objects.count()
        return user

    def children(self, user: Any) -> Any:
        return user.posts.all()

    def tags(self, post: Any) -> Any:
        return post.post_tags.all()
