"""The models of the tests of Pydantic and FastAPI: albums with tracks, covers and tags."""

from __future__ import annotations

import datetime
import enum
from types import SimpleNamespace
from typing import Any

import databases
from pydantic import BaseModel

import orm


class Format(enum.Enum):
    """How an album is sold."""

    LP = "lp"
    CD = "cd"


class Studio(BaseModel):
    """Where an album was recorded."""

    name: str
    city: str | None = None


def define_models(database: databases.Database) -> Any:
    """The models, in a registry of their own."""
    models = orm.ModelRegistry(database=database)

    class Artist(orm.Model):
        """Who plays."""

        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=40, unique=True, description="As on the record.")

    class Album(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        artist = orm.ForeignKey(Artist, related_name="albums", on_delete=orm.CASCADE)
        name = orm.String(max_length=20, min_length=2, pattern="^[A-Z]")
        format = orm.Enum(Format, default=Format.LP)
        price = orm.Decimal(max_digits=6, decimal_places=2, minimum=0)
        released = orm.Date(allow_null=True)
        length = orm.Duration(default=datetime.timedelta(minutes=40))
        studio = orm.JSON(Studio, allow_null=True)
        sleeve = orm.Binary(allow_null=True)
        rank = orm.SmallInteger(server_default="3")
        added = orm.DateTime(auto_now_add=True)

    class Track(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        album = orm.ForeignKey(Album, related_name="tracks", on_delete=orm.CASCADE)
        bonus_of = orm.ForeignKey("self", allow_null=True, related_name="bonus_tracks")
        title = orm.String(max_length=20)
        side = orm.String(max_length=1, choices=["A", "B"], default="A")
        position = orm.Integer(minimum=1)

        class Meta:
            constraints = (orm.UniqueConstraint("album", "position"),)

    class Cover(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        album = orm.OneToOne(Album, related_name="cover", on_delete=orm.CASCADE)
        colour = orm.String(max_length=10)

    class Tag(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=10)
        albums = orm.ManyToMany(Album, related_name="tags")

    return SimpleNamespace(registry=models, Artist=Artist, Album=Album, Track=Track, Cover=Cover, Tag=Tag)


async def create_rows(music: Any) -> None:
    """One artist with one album of two tracks, with a tag and without a cover."""
    await music.registry.create_all()
    artist = await music.Artist.objects.create(name="Nina")
    album = await music.Album.objects.create(
        artist=artist, name="Wild", price="9.50", sleeve=b"\xff\0", studio={"name": "RCA"}
    )
    for position, title in enumerate(["Intro", "End"], start=1):
        await music.Track.objects.create(album=album, title=title, position=position)
    tag = await music.Tag.objects.create(name="jazz")
    await tag.albums.add(album)
