"""select_related() over one-to-one relations in both directions, with only() and defer(); unloaded instances."""

from __future__ import annotations

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.loading.models import Album, Cover, Label, Person, Track
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


async def test_select_related_joins_a_reverse_one_to_one(any_world: databases.Database) -> None:
    albums = await Album.objects.select_related("cover__painter", "label").order_by("id")
    assert [album.label and album.label.code for album in albums] == ["obs", "sub", None, "obs"]
    assert albums[0].cover.colour == "red" and albums[0].cover.painter.name == "Eve"
    assert albums[0].cover.album is albums[0]
    assert albums[3].cover.colour == "blue" and albums[3].cover.painter is None
    for album in albums[1:3]:
        with pytest.raises(orm.NoMatch, match="no Cover points at this Album"):
            _ = album.cover


async def test_select_related_of_several_levels_is_one_statement(world: Database) -> None:
    with recorded(world) as statements:
        tracks = await Track.objects.select_related("album__cover__painter__mentor", "album__label").order_by("id")
        seen = [(t.album.name, t.album.cover.colour) for t in tracks if hasattr(t.album, "cover")]
        covers = await Cover.objects.select_related("album__cover").order_by("id")
        assert covers[0].album.cover == covers[0]
    assert len(statements) == 2
    assert seen == [("Malibu", "red")] * 4 + [("Oxnard", "blue")]


async def test_select_related_paths_in_any_order_load_the_same(world: Database) -> None:
    """A path may extend one that is not the last before it."""
    for paths in (("cover", "label", "cover__painter"), ("label", "cover__painter", "imprint"), ("cover__painter",)):
        albums = await Album.objects.select_related(*paths).order_by("id")
        assert albums[0].cover.painter.name == "Eve"
        assert albums[3].cover.painter is None
        assert not hasattr(albums[2], "cover")


async def test_select_related_with_filter_order_and_aggregate_of_the_joined_row(world: Database) -> None:
    query = Album.objects.select_related("cover").filter(cover__colour="blue").order_by("cover__id")
    assert [album.cover.colour for album in await query] == ["blue"]
    assert [album.pk for album in await Album.objects.select_related("cover").filter(cover=None).order_by("id")] == [
        2,
        3,
    ]
    counted = await Album.objects.select_related("cover").annotate(n=orm.Count("tracks")).order_by("id")
    assert [(a.n, hasattr(a, "cover")) for a in counted] == [(4, True), (2, False), (0, False), (1, True)]  # type: ignore[attr-defined]


async def test_only_and_defer_apply_to_the_joined_row(world: Database) -> None:
    (album,) = await Album.objects.filter(id=1).select_related("cover").only("name", "cover__colour")
    assert album.cover.colour == "red" and album.cover.album is album
    with pytest.raises(orm.NotLoaded, match=r"Cover\.painter was not loaded"):
        _ = album.cover.painter_id
    (album,) = await Album.objects.filter(id=1).select_related("cover").defer("cover__colour", "label")
    assert album.cover.painter_id == 5
    with pytest.raises(orm.NotLoaded, match=r"Cover\.colour was not loaded.*only\(\) or defer\(\)"):
        _ = album.cover.colour
    with pytest.raises(orm.NotLoaded, match=r"Album\.label was not loaded"):
        _ = album.label


def test_select_related_of_a_relation_to_many_raises() -> None:
    for model, path in ((Album, "tracks"), (Track, "tags"), (Person, "cover_set")):
        with pytest.raises(orm.FieldError, match=rf"leads to many rows.*Use prefetch_related\('{path}'\)"):
            model.objects.select_related(path)
    with pytest.raises(orm.FieldError, match=r"The relations of Album are: cover, imprint, label\."):
        Album.objects.select_related("name")


async def test_access_to_an_unloaded_related_instance_names_the_ways_to_load_it(world: Database) -> None:
    track = await Track.objects.get(id=1)
    assert track.album.pk == 1
    with pytest.raises(orm.NotLoaded) as caught:
        _ = track.album.name
    for words in ("Track.objects.select_related('album')", "prefetch_related('album')", "orm.load(track, 'album')"):
        assert words in str(caught.value)
    with pytest.raises(orm.NotLoaded, match=r"Track\.album holds only its key"):
        _ = track.album.label
    with recorded(world) as statements:
        await track.album.load()
    assert len(statements) == 1 and track.album.name == "Malibu"
    album = await Album.objects.get(id=1)
    with pytest.raises(orm.NotLoaded, match=r"Album\.cover was not loaded.*select_related\('cover'\)"):
        _ = album.cover


async def test_load_of_an_instance_discards_its_prefetched_rows(world: Database) -> None:
    label = await Label.objects.prefetch_related("albums").get(id=1)
    await Album.objects.create(id=9, name="Ventura", label=label)
    assert len(await label.albums.all()) == 2
    await label.load()
    assert len(await label.albums.all()) == 3
