"""Models with each kind of relation; the programs that tests start import them, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typing_extensions import Self

import orm

models = orm.ModelRegistry()


class AuthorQuerySet(orm.QuerySet["Author", "Author"]):
    def named(self, name: str) -> Self:
        return self.filter(name=name)

    async def rename_all(self, name: str) -> int:
        return await self.update(name=name)


class Author(orm.Model):
    registry = models
    objects = AuthorQuerySet.as_manager()

    class Meta:
        tablename = "sync_author"
        ordering = ("id",)

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)

    async def shout(self) -> str:
        self.name = self.name.upper()
        await self.save()
        return self.name


class Published(orm.Manager["Book"]):
    def get_queryset(self) -> Any:
        return super().get_queryset().filter(year__isnull=False)


class Book(orm.Model):
    registry = models
    published = Published()

    class Meta:
        tablename = "sync_book"
        ordering = ("id",)

    id = orm.Integer(primary_key=True)
    author = orm.ForeignKey(Author, related_name="books")
    title = orm.String(max_length=100)
    year = orm.Integer(allow_null=True)
    added = orm.Date(default="2026-01-01")
    tags = orm.ManyToMany("Tag")


class Tag(orm.Model):
    registry = models

    class Meta:
        tablename = "sync_tag"
        ordering = ("name",)

    name = orm.String(max_length=100, unique=True)


class Account(orm.Model):
    registry = models

    class Meta:
        tablename = "sync_account"

    id = orm.Integer(primary_key=True)
    balance = orm.Integer(default=0)


def connected(url: str, **options: Any) -> Iterator[orm.Database]:
    """A database with empty tables of the models, for one test."""
    database = orm.Database(url, **options)
    models.database = database
    orm.run(models.drop_all())
    orm.run(models.create_all())
    yield database
    assert database.pool_status().in_use == 0
    orm.run(database.disconnect())


def use(url: str) -> orm.Database:
    """The database of a test, in a program that it starts."""
    database = orm.Database(url)
    models.database = database
    return database
