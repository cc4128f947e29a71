"""A small music library with every kind of relation."""

from __future__ import annotations

from typing import Any

import orm

models = orm.ModelRegistry()


class Loud(orm.QuerySet[Any, Any]):
    def loud(self) -> Any:
        return self.filter(volume__gt=5)


class NotHidden(orm.Manager[Any]):
    def get_queryset(self) -> Any:
        return super().get_queryset().filter(hidden=False)

    def starting(self, text: str) -> Any:
        return self.filter(name__startswith=text)


class Album(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    code = orm.String(max_length=10, unique=True)
    tracks: orm.RelatedManager[Track]
    tags = orm.ManyToMany("Tag", related_name="albums")
    similar = orm.ManyToMany("self")
    follows = orm.ManyToMany("self", symmetrical=False, related_name="followers")


class Track(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    album: Any = orm.ForeignKey(Album, allow_null=True, on_delete=orm.SET_NULL, related_name="tracks")
    title = orm.String(max_length=20)
    position = orm.Integer(default=0)
    volume = orm.Integer(default=0)
    objects = Loud.as_manager()

    class Meta:
        ordering = ["-position", "id"]


class Tag(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=20, unique=True)
    hidden = orm.Boolean(default=False)
    objects = NotHidden()


class Cover(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    album: Any = orm.OneToOne(Album, on_delete=orm.CASCADE, related_name="cover")
    url = orm.String(max_length=20)


class Review(orm.Model):
    """References a field other than the primary key, and may not be null."""

    registry = models

    id = orm.Integer(primary_key=True)
    album: Any = orm.ForeignKey(Album, to_field="code", on_delete=orm.CASCADE, related_name="reviews")
    stars = orm.Integer(default=3)


class Person(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=20)
    albums = orm.ManyToMany(Album, through="Credit", through_fields=("person", "album"), related_name="people")
    plays = orm.ManyToMany(Track, through="Part", related_name="players")


class Credit(orm.Model):
    """Pairs that are not unique, over a field other than the primary key, with further columns."""

    registry = models

    id = orm.Integer(primary_key=True)
    person: Any = orm.ForeignKey(Person, on_delete=orm.CASCADE, related_name="credits")
    album: Any = orm.ForeignKey(Album, to_field="code", on_delete=orm.CASCADE, related_name="credits")
    by: Any = orm.ForeignKey(Person, allow_null=True, on_delete=orm.CASCADE, related_name="+")
    role = orm.String(max_length=20, default="?")


class Part(orm.Model):
    """Unique pairs, with a further required column."""

    registry = models

    id = orm.Integer(primary_key=True)
    person: Any = orm.ForeignKey(Person, on_delete=orm.CASCADE, related_name="parts")
    track: Any = orm.ForeignKey(Track, on_delete=orm.CASCADE, related_name="parts")
    instrument = orm.String(max_length=20)

    class Meta:
        constraints = (orm.UniqueConstraint("person", "track"),)
