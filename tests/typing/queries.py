"""What type checkers see of models and querysets. Checked by `make check`, never run."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

import orm

database = orm.Database("sqlite://")
models = orm.ModelRegistry(database=database)


class Album(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)


class Track(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    album = orm.ForeignKey(Album, on_delete=orm.CASCADE, related_name="tracks")
    cover_of = orm.ForeignKey(Album, allow_null=True)
    sequel = orm.ForeignKey("Track", allow_null=True)
    title = orm.String(max_length=100)
    position = orm.Integer(allow_null=True)


async def instances() -> None:
    track = await Track.objects.get(id=1)
    assert_type(track, Track)
    assert_type(track.title, str)
    assert_type(track.position, "int | None")
    assert_type(track.album, Album)
    assert_type(track.cover_of, "Album | None")
    assert_type(track.album.name, str)
    assert_type(await track.save(), Track)
    assert_type(await track.delete(), int)
    assert_type(await track.album.load(), Album)
    track.title = "The Bird"
    track.position = None
    track.album = Album(name="Malibu")
    track.cover_of = None


async def querysets() -> None:
    assert_type(await Track.objects.all(), list[Track])
    assert_type(await Track.objects.filter(title="x").order_by("-id")[:3], list[Track])
    assert_type(await Track.objects.first(), "Track | None")
    assert_type(await Track.objects.create(title="x"), Track)
    assert_type(await Track.objects.bulk_create([{"title": "x"}]), list[Track])
    assert_type(await Track.objects.count(), int)
    assert_type(await Track.objects.exists(), bool)
    assert_type(await Track.objects.update(title="x"), int)
    assert_type(await Track.objects.get_or_create(title="x"), tuple[Track, bool])
    assert_type(await Track.raw("SELECT * FROM track"), list[Track])
    assert_type(await Track.objects.raw("SELECT * FROM track WHERE id > :id", {"id": 1}), list[Track])
    assert_type(await Track.objects.order_by("title").limit(1, per="album"), list[Track])
    assert_type(await Track.objects.limit(1, per=[Track.album.name, "position"]), list[Track])
    assert_type(await Track.objects.values("title"), list[dict[str, Any]])
    assert_type(await Track.objects.values_list("title"), list[tuple[Any, ...]])
    async for track in Track.objects.filter(title="x"):
        assert_type(track, Track)


async def expressions() -> None:
    assert_type(Track.title, orm.Expression[str])
    assert_type(Track.position, "orm.Expression[int | None]")
    assert_type(Track.album.name, orm.Expression[str])
    await Track.objects.filter(Track.title.icontains("x"), Track.album.name == "Malibu")
    await Track.objects.filter(~(Track.title == "x") | orm.Q(position__lt=3))
    await Track.objects.filter(orm.Value(True), ~orm.F("hidden") & (Track.id > 3))
    await Track.objects.order_by(Track.title.desc(), "-id")
    await Track.objects.filter(title=Track.album.name[:3])
    await Track.objects.annotate(size=orm.Func("title", function="LENGTH", output_field=orm.Integer()))
    await Track.objects.update(position=Track.id + 1)
