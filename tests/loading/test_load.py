"""orm.load(): loads relations onto existing instances, one statement for each that is not loaded."""

from __future__ import annotations

from typing import Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.loading.models import TRACKS, Album, Label, Person, Track
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


async def test_load_onto_one_instance_and_onto_several(any_world: databases.Database) -> None:
    track = await Track.objects.get(id=4)
    await orm.load(track, "album__label", "tags", "people__mentor")
    assert track.album.label.name == "Obsessed"
    assert sorted(tag.name for tag in await track.tags.all()) == ["live", "rock", "soul"]
    assert {person.name: person.mentor and person.mentor.name for person in await track.people.all()} == {
        "Ada": None,
        "Cleo": "Ada",
    }
    tracks = await Track.objects.order_by("id")
    await orm.load((track for track in tracks), "tags")
    assert [len(await track.tags.all()) for track in tracks] == [len(row[5]) for row in TRACKS]


async def test_load_sends_one_statement_for_each_relation(world: Database) -> None:
    tracks = await Track.objects.order_by("id")
    assert tracks[0].album.pk == 1 and tracks[0].album is not tracks[1].album
    with recorded(world) as statements:
        await orm.load(tracks, "album__label", "album__cover", "tags", "people__mentor")
    assert len(statements) == 6
    assert tracks[0].album is tracks[1].album, "a sparse instance gives way to the row's own"
    assert tracks[0].album.cover.colour == "red"


async def test_load_skips_loaded_relations(world: Database) -> None:
    tracks = await Track.objects.order_by("id").select_related("album").prefetch_related("tags")
    first = await tracks[0].tags.all()
    with recorded(world) as statements:
        await orm.load(tracks, "album", "tags", "tags")
        await orm.load(tracks[:0], "album")
    assert len(statements) == 0
    await orm.load(tracks, "tags", "album__label")
    assert [tag is same for tag, same in zip(await tracks[0].tags.all(), first, strict=True)] == [True, True]
    with recorded(world) as statements:
        await orm.load(tracks, "album__label", "album__cover")
    assert len(statements) == 1, "the labels are there, and missing ones are known to be; the covers are not"
    with recorded(world) as statements:
        await orm.load(tracks, "album__cover")
    assert len(statements) == 0


async def test_load_of_a_path_over_loaded_and_unloaded_relations(world: Database) -> None:
    labels = await Label.objects.order_by("id")
    await orm.load(labels[0], "albums")
    before = await labels[0].albums.all()
    await orm.load(labels, "albums__tracks", "albums__tracks__tags")
    assert [album is same for album, same in zip(await labels[0].albums.all(), before, strict=True)] == [True, True]
    with recorded(world) as statements:
        found = {
            album.name: {track.title: len(await track.tags.all()) for track in await album.tracks.all()}
            for label in labels
            for album in await label.albums.all()
        }
    assert len(statements) == 0
    assert found == {
        "Malibu": {"The Bird": 2, "Heart": 1, "The Waters": 0, "Dreamer": 3},
        "Fantasies": {"Help": 1, "Sick Muse": 2},
        "Oxnard": {"Saviers": 1},
    }


async def test_row_that_a_query_repeats_is_loaded_in_each_instance(world: Database) -> None:
    """If a query returns a row several times, each of its instances has the related rows."""
    albums = await Album.objects.filter(tracks__plays__gte=50).prefetch_related("tracks__tags", "tracks__people")
    assert sorted(album.name for album in albums) == ["Fantasies", "Malibu", "Malibu", "Malibu"]
    for album in albums:
        tracks = await album.tracks.all()
        assert len(tracks) == (4 if album.name == "Malibu" else 2)
        assert [track.album is album for track in tracks].count(True) in (0, len(tracks))
        people = {track.title: len(await track.people.all()) for track in tracks if track.plays == 50}
        assert people == ({"The Bird": 2} if album.name == "Malibu" else {})


async def test_load_changes_only_instances_without_the_relation(world: Database) -> None:
    albums = await Album.objects.order_by("id")
    await orm.load(albums[0], "tracks")
    kept = await albums[0].tracks.all()
    with recorded(world) as statements:
        await orm.load(albums, "tracks")
    assert len(statements) == 1
    assert all(track is same for track, same in zip(await albums[0].tracks.all(), kept, strict=True))
    assert [len(await album.tracks.all()) for album in albums] == [4, 2, 0, 1]
    changed = await Track.objects.select_related("album").get(id=1)
    changed.album_id = 2
    await orm.load(changed, "album")
    assert changed.album.name == "Fantasies"


async def test_load_with_a_queryset_and_to_attr(world: Database) -> None:
    albums: list[Any] = await Album.objects.order_by("id")
    await orm.load(albums, orm.Prefetch("tracks", Track.objects.order_by("-plays", "id")[:1], to_attr="top"))
    assert [[track.title for track in album.top] for album in albums] == [["Heart"], ["Help"], [], ["Saviers"]]
    await orm.load(albums, orm.Prefetch("tracks", Track.objects.filter(plays=0), to_attr="top"))
    assert [len(album.top) for album in albums] == [1, 1, 0, 1], "it is there already"


async def test_load_onto_key_only_new_and_unsaved_instances(world: Database) -> None:
    track = await Track.objects.get(id=1)
    await orm.load(track.album, "tracks", "cover")
    assert len(await track.album.tracks.all()) == 4 and track.album.cover.colour == "red"
    made = await Label.objects.create(id=9, code="new", name="New")
    await orm.load(made, "albums", "imprints")
    assert await made.albums.all() == []
    await orm.load(Album(name="unsaved", label=made, imprint=made), "label", "imprint")
    with pytest.raises(orm.QueryError, match="'tracks' is loaded for instances that are saved"):
        await orm.load(Album(name="unsaved"), "tracks")
    album = await Album.objects.only("name").get(id=1)
    with pytest.raises(orm.NotLoaded, match=r"Album\.label was not loaded"):
        await orm.load(album, "label")


async def test_invalid_load_raises(world: Database) -> None:
    album = await Album.objects.get(id=1)
    with pytest.raises(orm.FieldError, match=r"Album has no relation 'trakcs'"):
        await orm.load(album, "trakcs")
    with pytest.raises(orm.QueryError, match="instances of a model, got str"):
        await orm.load(["Malibu"], "tracks")  # type: ignore[list-item]
    with pytest.raises(orm.QueryError, match="of one model, got Album and Label"):
        await orm.load([album, await Label.objects.get(id=1)], "tracks")
    with pytest.raises(orm.QueryError, match="instances of a model, got ModelMetaclass"):
        await orm.load([Album], "tracks")  # type: ignore[list-item]


async def test_load_of_a_model_s_relations_to_itself(world: Database) -> None:
    """The paths lead back to the rows that they start from."""
    people = await Person.objects.order_by("id")
    with recorded(world) as statements:
        await orm.load(people, "mentor__pupils__friends", "follows__followers")
    assert len(statements) == 5
    ben = people[1]
    assert ben.mentor.name == "Ada"
    assert sorted(pupil.name for pupil in await ben.mentor.pupils.all()) == ["Ben", "Cleo"]
