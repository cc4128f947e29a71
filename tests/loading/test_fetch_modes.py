"""fetch_mode(), raiseload("*"), and awaiting instances of which only the key is known."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from tests.loading.models import ALBUMS, LABELS, TRACKS, Album, Cover, Label, Person, Tag, Track
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio
LABEL_NAMES = {key: name for key, _, name in LABELS}
TITLES = {album: [title for _, of, title, *_ in TRACKS if of == album] for album, *_ in ALBUMS}


async def test_awaited_relation_loads_the_one_instance(world: Database) -> None:
    first, second = await Album.objects.filter(label=1).order_by("id")
    with recorded(world) as statements:
        label = await first.label
        assert label.name == first.label.name == "Obsessed"
        assert await first.label is label
    assert len(statements) == 1
    with pytest.raises(orm.NotLoaded):
        second.label.name  # noqa: B018


async def test_awaited_instance_that_is_loaded_is_itself(world: Database) -> None:
    album = await Album.objects.only("id").get(id=1)
    with recorded(world) as statements:
        assert await album is album
    assert not statements


async def test_awaited_relation_without_row_raises(world: Database) -> None:
    track = await Track.objects.get(id=1)
    related = track.album
    await Track.objects.filter(album=1).delete()
    await Album.objects.filter(id=1).delete()
    with pytest.raises(Album.DoesNotExist):
        await related


async def test_peers_load_a_relation_to_one_together(world: Database) -> None:
    albums = await Album.objects.fetch_mode(orm.PEERS).order_by("id")
    with recorded(world) as statements:
        assert (await albums[0].label).name == "Obsessed"
        for album in albums:
            assert (album.label and album.label.name) == LABEL_NAMES.get(album.label_id)
    assert len(statements) == 1


async def test_peers_load_by_a_unique_field_together(world: Database) -> None:
    albums = await Album.objects.fetch_mode(orm.PEERS).order_by("id")
    with recorded(world) as statements:
        assert (await albums[3].imprint).name == "Sub Pop"
        assert albums[0].imprint.name == "Sub Pop" and albums[1].imprint is None
    assert len(statements) == 1


async def test_peers_load_three_levels_with_a_statement_each(world: Database) -> None:
    with recorded(world) as statements:
        labels = await Label.objects.fetch_mode(orm.PEERS).order_by("id")
        for label in labels:
            for album in await label.albums:
                for track in await album.tracks:
                    await track.tags
    assert len(statements) == 4
    with recorded(world) as statements:
        titles = {album.id: [t.title for t in album.tracks] for label in labels for album in label.albums}
        assert titles == {key: TITLES[key] for key, _, label, _ in ALBUMS if label is not None}
        tags = {t.id: sorted(tag.id for tag in t.tags) for la in labels for a in la.albums for t in a.tracks}
        assert tags == {key: ids for key, *_, ids in TRACKS}
    assert not statements


async def test_peers_stay_peers_of_the_rows_that_are_loaded_for_them(world: Database) -> None:
    tracks = await Track.objects.fetch_mode(orm.PEERS)
    with recorded(world) as statements:
        album = await tracks[0].album
        await album.label
        assert {t.album.label.name for t in tracks} == {"Obsessed", "Sub Pop"}
    assert len(statements) == 2


@pytest.mark.parametrize("how", ["select_related", "prefetch_related", "graph"])
async def test_peers_of_joined_and_prefetched_rows(world: Database, how: str) -> None:
    query: Any = Track.objects.fetch_mode(orm.PEERS).order_by("id")
    tracks = await (query.graph("album") if how == "graph" else getattr(query, how)("album"))
    with recorded(world) as statements:
        await tracks[0].album.label
        assert {t.album.label.name for t in tracks} == {"Obsessed", "Sub Pop"}
    assert len(statements) == 1


async def test_peers_load_deferred_fields_together(world: Database) -> None:
    tracks = await Track.objects.fetch_mode(orm.PEERS).only("title").order_by("id")
    with recorded(world) as statements:
        await tracks[0].load(fields=["plays", "album"])
        assert [(t.id, t.album_id, t.plays) for t in tracks] == [(k, a, p) for k, a, _, _, p, _ in TRACKS]
    assert len(statements) == 1
    with pytest.raises(orm.NotLoaded):
        tracks[0].position  # noqa: B018


async def test_fields_that_a_peer_has_stay_as_they_were_changed(world: Database) -> None:
    first, second, *_ = await Track.objects.fetch_mode(orm.PEERS).only("title").order_by("id")
    second.title = "changed"
    await first.load(fields=["title", "plays"])
    assert second.title == "changed"
    assert second.plays == TRACKS[1][4]


async def test_orm_load_of_one_instance_loads_its_peers(world: Database) -> None:
    albums = await Album.objects.fetch_mode(orm.PEERS).order_by("id")
    with recorded(world) as statements:
        await orm.load(albums[1], "cover")
        covers = {}
        for album in albums:
            try:
                covers[album.id] = album.cover.colour
            except Cover.DoesNotExist:
                covers[album.id] = None
    assert covers == {1: "red", 2: None, 3: None, 4: "blue"} and len(statements) == 1


async def test_peers_of_another_result_are_left_alone(world: Database) -> None:
    first = await Album.objects.fetch_mode(orm.PEERS).order_by("id")
    second = await Album.objects.fetch_mode(orm.PEERS).order_by("id")
    await first[0].label
    with pytest.raises(orm.NotLoaded):
        second[0].label.name  # noqa: B018


async def test_peers_that_are_gone_or_deleted_are_skipped(world: Database) -> None:
    people = await Person.objects.fetch_mode(orm.PEERS).order_by("id")
    deleted = people.pop()
    await deleted.delete()
    del people[0]
    gc.collect()
    assert (await people[0].mentor).name == "Ada"
    assert people[1].mentor.name == "Ada" and people[2].mentor.name == "Ben"


async def test_streamed_batches_are_peers(world: Database) -> None:
    tracks = [track async for track in Track.objects.fetch_mode(orm.PEERS).order_by("id")]
    with recorded(world) as statements:
        await tracks[0].album
        assert [t.album.name for t in tracks] == ["Malibu"] * 4 + ["Fantasies"] * 2 + ["Oxnard"]
    assert len(statements) == 1


async def test_queries_of_a_related_manager_are_of_its_instance_alone(world: Database) -> None:
    albums = await Album.objects.fetch_mode(orm.PEERS).order_by("id")
    assert await albums[0].tracks.count() == 4
    assert [t.title for t in await albums[0].tracks.filter(plays=70)] == ["Heart", "The Waters"]
    with pytest.raises(orm.NotLoaded):
        len(albums[0].tracks)


async def test_writing_through_a_manager_discards_the_rows_of_peers_mode(world: Database) -> None:
    albums = await Album.objects.fetch_mode(orm.PEERS).order_by("id")
    assert len(await albums[2].tracks) == 0
    await albums[2].tracks.create(id=100, title="New", position=1)
    assert [t.title for t in await albums[2].tracks] == ["New"]


async def test_peers_survive_pickling_and_copying(world: Database) -> None:
    albums = await Album.objects.fetch_mode(orm.PEERS).order_by("id")
    related = albums[0].label
    restored = pickle.loads(pickle.dumps(albums[0]))
    assert (await restored.label).name == "Obsessed"
    assert (await pickle.loads(pickle.dumps(related))).name == "Obsessed"
    assert (await copy.deepcopy(albums[3]).label).name == "Obsessed"
    assert (await copy.copy(albums[3]).label).name == "Obsessed"


async def test_raise_mode_forbids_relations_to_one(world: Database) -> None:
    album = await Album.objects.fetch_mode(orm.RAISE).get(id=1)
    with pytest.raises(orm.NotLoaded, match=r"Album.label is not loaded, and its query said fetch_mode\(orm.RAISE\)"):
        album.label  # noqa: B018
    assert album.label_id == 1
    assert await album.tracks.count() == 4
    loaded = await Album.objects.fetch_mode(orm.RAISE).select_related("label").get(id=1)
    assert loaded.label.name == "Obsessed"
    blank = await Album.objects.fetch_mode(orm.RAISE).get(id=3)
    assert blank.label is None


async def test_raise_mode_applies_to_joined_and_prefetched_rows(world: Database) -> None:
    query = Album.objects.fetch_mode(orm.RAISE).select_related("cover").prefetch_related("tracks__tags")
    album = await query.get(id=1)
    assert [t.title for t in album.tracks] == TITLES[1] and album.tracks[0].album is album
    with pytest.raises(orm.NotLoaded, match=r"Cover.painter"):
        album.cover.painter  # noqa: B018


async def test_mode_of_a_prefetch_overrides_that_of_the_query(world: Database) -> None:
    tracks = orm.Prefetch("tracks", Track.objects.fetch_mode(orm.ONE).prefetch_related("credits"))
    album = await Album.objects.fetch_mode(orm.RAISE).prefetch_related(tracks).get(id=1)
    credit = album.tracks[0].credits[0]
    assert (await credit.person).name == "Ada"


async def test_raiseload_of_everything_forbids_what_is_not_loaded(world: Database) -> None:
    query = Album.objects.options(orm.raiseload("*")).select_related("label").prefetch_related("tracks")
    album = await query.get(id=1)
    assert album.label.name == "Obsessed" and len(album.tracks) == 4
    for touch in (
        lambda: album.imprint,
        lambda: album.cover,
        lambda: album.label.albums,
        lambda: album.tracks[0].tags,
    ):
        with pytest.raises(orm.NotLoaded, match=r'not loaded, and its query said raiseload\("\*"\)'):
            touch()
    await orm.load(album, "imprint", "tracks__tags")
    assert album.imprint.name == "Sub Pop" and {t.name for t in album.tracks[0].tags} == {"soul", "live"}


async def test_raiseload_of_everything_beside_other_strategies(world: Database) -> None:
    query = Album.objects.options(orm.raiseload("*"), orm.selectin("tracks"), orm.noload("cover"))
    album = await query.get(id=1)
    assert album.cover is None and len(album.tracks) == 4
    with pytest.raises(orm.NotLoaded):
        album.label  # noqa: B018


async def test_fields_are_loaded_again(world: Database) -> None:
    track = await Track.objects.prefetch_related("tags").get(id=1)
    await Track.objects.filter(id=1).update(title="Bird", plays=1, album=2)
    with recorded(world) as statements:
        await track.load(fields=["title", "album"])
    assert (track.title, track.plays, track.album_id) == ("Bird", 50, 2) and len(statements) == 1
    assert (await track.album).name == "Fantasies"
    assert len(track.tags) == 2
    await track.load(fields=["tags"])
    with pytest.raises(orm.NotLoaded):
        len(track.tags)


async def test_fields_of_a_row_that_is_gone_raise(world: Database) -> None:
    tag = await Tag.objects.get(id=4)
    await Tag.objects.filter(id=4).delete()
    with pytest.raises(Tag.DoesNotExist, match="gone"):
        await tag.load(fields=["name"])


async def test_wrong_arguments_are_refused(world: Database) -> None:
    with pytest.raises(orm.QueryError, match=r"fetch_mode\(\) takes orm.ONE, orm.PEERS or orm.RAISE, got 'peers'"):
        Album.objects.fetch_mode("peers")  # type: ignore[arg-type]
    album = await Album.objects.get(id=1)
    with pytest.raises(orm.FieldError, match="titel"):
        await album.load(fields=["titel"])
    with pytest.raises(orm.QueryError, match="no primary key"):
        await Album(name="New").load(fields=["name"])
