"""options(): joined, selectin, noload and raiseload."""

from __future__ import annotations

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.loading.models import Album, Label, Tag, Track
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


async def test_joined_and_selectin_load_as_select_and_prefetch_related(any_world: databases.Database) -> None:
    query = Track.objects.options(orm.joined("album__label", "album__cover"), orm.selectin("tags", "people__mentor"))
    joined = Track.objects.select_related("album__label", "album__cover").prefetch_related("tags", "people__mentor")
    assert str(query.sql) == str(joined.sql)
    for track, other in zip(await query.order_by("id"), await joined.order_by("id"), strict=True):
        assert track.album.label.name == other.album.label.name
        assert await track.tags.all() == await other.tags.all()
        assert [p.mentor for p in await track.people.all()] == [p.mentor for p in await other.people.all()]


async def test_noload_reads_as_empty(world: Database) -> None:
    query = Album.objects.order_by("id").options(
        orm.noload("tracks", "label", "cover"), orm.selectin("imprint__albums"), orm.noload("imprint__albums__tracks")
    )
    with recorded(world) as statements:
        album = (await query)[0]
        assert await album.tracks.all() == [] and await album.tracks.count() == 0
        assert album.label is None and album.label_id == 1
        assert album.cover is None
        (other,) = await album.imprint.albums.all()
        assert other.name == "Fantasies" and await other.tracks.all() == []
    assert len(statements) == 3
    assert await album.tracks.filter(plays__gt=60).count() == 2


async def test_raiseload_raises_on_access(world: Database) -> None:
    query = Track.objects.select_related("album").options(
        orm.raiseload("tags", "album__label", "album__cover"), orm.selectin("people"), orm.raiseload("people__mentor")
    )
    track = (await query)[0]
    assert track.album.label_id == 1 and track.album.name == "Malibu"
    person = (await track.people.all())[0]
    for touch, name in (
        (lambda: track.tags, "Track.tags"),
        (lambda: track.album.label, "Album.label"),
        (lambda: track.album.cover, "Album.cover"),
        (lambda: person.mentor and person.mentor.name, "Person.mentor"),
    ):
        if name == "Person.mentor" and person.mentor_id is None:
            continue
        with pytest.raises(orm.NotLoaded, match=rf"{name} is not loaded.*raiseload\('{name.split('.')[1]}'\)"):
            touch()
    await orm.load(track, "album__label")
    assert track.album.label.name == "Obsessed"


async def test_raiseload_of_a_loaded_relation_has_no_effect(world: Database) -> None:
    album = (await Album.objects.select_related("label").options(orm.raiseload("label")).order_by("id"))[0]
    assert album.label.name == "Obsessed"


def test_invalid_options_raise() -> None:
    with pytest.raises(orm.FieldError, match=r"Album has no relation 'name'"):
        Album.objects.options(orm.noload("name"))
    with pytest.raises(orm.FieldError, match=r"'tracks__tags': 'tracks' is not loaded by this query"):
        Album.objects.options(orm.raiseload("tracks__tags"))
    with pytest.raises(orm.FieldError, match=r"leads to many rows"):
        Album.objects.options(orm.joined("tracks"))
    with pytest.raises(orm.QueryError, match=r"options\(\) takes orm.joined\(…\), .* got str"):
        Album.objects.options("tracks")  # type: ignore[arg-type]
    with pytest.raises(orm.QueryError, match="this query selects values"):
        Label.objects.values("id").options(orm.selectin("albums"))
    assert Tag.objects.options(orm.selectin("tracks__album")).model is Tag
