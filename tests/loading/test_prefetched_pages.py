"""`Prefetch(..., page=)`: the first page of the rows of each instance, and the pages after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import databases
import pytest

import orm

pytestmark = pytest.mark.anyio

FIVE = [("a", 3), ("b", 1), ("c", 3), ("d", None), ("e", 2)]


@pytest.fixture
async def m(any_database: databases.Database) -> AsyncIterator[Any]:
    """Three albums with five, two and no tracks; the last has NULLs among the plays."""
    models = orm.ModelRegistry(database=any_database)

    class Tag(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=10)

    class Album(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=10)
        tags = orm.ManyToMany(Tag, related_name="albums")

    class Track(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        album = orm.ForeignKey(Album, on_delete=orm.CASCADE, related_name="tracks")
        title = orm.String(max_length=10)
        plays = orm.Integer(allow_null=True)

    await models.create_all()
    await Album.objects.create_graph(
        [
            {"name": "five", "tracks": [{"title": title, "plays": plays} for title, plays in FIVE]},
            {"name": "two", "tracks": [{"title": "x", "plays": 1}, {"title": "y", "plays": 2}]},
            {"name": "none", "tags": [{"name": n} for n in "rst"]},
        ]
    )
    yield SimpleNamespace(Tag=Tag, Album=Album, Track=Track)


def titles(page: orm.Page[Any]) -> list[str]:
    return [track.title for track in page]


@pytest.mark.parametrize("order", ["plays", "-plays", "title", "-title"])
async def test_first_pages_continue_with_pages_of_the_relation(m: Any, order: str) -> None:
    with orm.track_queries() as queries:
        albums = await m.Album.objects.order_by("id").prefetch_related(
            orm.Prefetch("tracks", m.Track.objects.order_by(order), to_attr="first", page=2)
        )
    assert queries.count == 2
    assert [album.first.has_next for album in albums] == [True, False, False]
    assert [len(album.first) for album in albums] == [2, 2, 0]
    assert albums[2].first == orm.Page([], False, False, None, None)
    for album in albums[:2]:
        expected = await album.tracks.order_by(order, "id")
        seen, page = list(album.first.items), album.first
        while page.has_next:
            page = await album.tracks.order_by(order).page(after=page.next_cursor, size=2)
            seen += page.items
        assert seen == expected
        first = await album.tracks.order_by(order).page(size=2)
        assert (first.next_cursor, first.previous_cursor) == (album.first.next_cursor, album.first.previous_cursor)


async def test_pages_of_pairs_and_of_annotations(m: Any) -> None:
    album = await m.Album.objects.prefetch_related(
        orm.Prefetch("tags", m.Tag.objects.order_by("-name"), to_attr="first", page=2)
    ).get(name="none")
    assert [tag.name for tag in album.first] == ["t", "s"]
    rest = await album.tags.order_by("-name").page(after=album.first.next_cursor, size=2)
    assert [tag.name for tag in rest] == ["r"]
    tracks = m.Track.objects.annotate(twice=orm.F("plays") * 2).filter(plays__gt=0).order_by("-twice")
    album = await m.Album.objects.prefetch_related(orm.Prefetch("tracks", tracks, to_attr="top", page=3)).get(
        name="five"
    )
    assert [track.twice for track in album.top] == [6, 6, 4]


async def test_relations_of_the_rows_are_loaded_too(m: Any) -> None:
    tracks = m.Track.objects.order_by("title").select_related("album")
    albums = await m.Album.objects.prefetch_related(
        orm.Prefetch("tracks", tracks, to_attr="first", page=1), "first__album__tags"
    )
    assert [album.first.items[0].album.name for album in albums if album.first] == ["five", "two"]


async def test_what_has_no_pages_is_refused(m: Any) -> None:
    tracks = m.Track.objects.order_by("title")
    for options in ({}, {"to_attr": "first"}):
        with pytest.raises(orm.QueryError, match="takes a queryset"):
            orm.Prefetch("tracks", page=2, **options)
    with pytest.raises(orm.QueryError, match="to_attr"):
        orm.Prefetch("tracks", tracks, page=2)
    with pytest.raises(orm.QueryError, match="at least 1"):
        orm.Prefetch("tracks", tracks, to_attr="first", page=0)
    refused = {
        "sliced": orm.Prefetch("tracks", tracks[:3], to_attr="first", page=2),
        "of Track itself": orm.Prefetch("tracks", m.Track.objects.order_by("album__name"), to_attr="first", page=2),
    }
    for message, prefetch in refused.items():
        with pytest.raises(orm.QueryError, match=message):
            m.Album.objects.prefetch_related(prefetch)
    with pytest.raises(orm.QueryError, match="leads to one row"):
        m.Track.objects.prefetch_related(orm.Prefetch("album", m.Album.objects.all(), to_attr="first", page=2))
    with pytest.raises(orm.QueryError, match="has a page"):
        m.Album.objects.graph(orm.Prefetch("tracks", tracks, to_attr="first", page=2))
