"""get(), first(), count(), exists(), page() and `async for` of a graph."""

from __future__ import annotations

import pytest

from orm.database.connections.database import Database
from orm.loading import graph as graphs
from tests.loading.models import TRACKS, Album, Label, Track
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


async def test_get_gives_the_only_tree(world: Database) -> None:
    with recorded(world) as statements:
        album = await Album.objects.graph("tracks__tags", "label").get(name="Malibu")
        assert album.label.name == "Obsessed"
        assert {t.id: sorted(tag.id for tag in t.tags) for t in album.tracks} == {
            key: ids for key, of, *_, ids in TRACKS if of == 1
        }
    assert len(statements) <= 4
    with pytest.raises(Album.DoesNotExist, match="No Album matches name"):
        await Album.objects.graph("tracks").get(name="None")
    with pytest.raises(Album.MultipleObjectsReturned):
        await Album.objects.graph("tracks").get(label=1)


async def test_first_gives_the_first_tree(world: Database) -> None:
    album = await Album.objects.order_by("-name").graph("tracks").first()
    assert album is not None and album.name == "Oxnard" and [t.title for t in album.tracks] == ["Saviers"]
    by_key = await Album.objects.graph("tracks").first(label=1)
    assert by_key is not None and by_key.id == 1
    assert await Album.objects.graph("tracks").first(name="None") is None


async def test_count_and_exists_load_nothing(world: Database) -> None:
    graph = Album.objects.filter(label=1).graph("tracks")
    with recorded(world) as statements:
        assert await graph.count() == 2 and await graph.exists()
    assert len(statements) == 2


async def test_pages_follow_each_other_in_order(world: Database) -> None:
    graph = Track.objects.order_by("-plays").graph("album__label", "tags")
    seen, cursor = [], None
    while True:
        page = await graph.page(after=cursor, size=2)
        seen += [(t.id, t.album.name, sorted(tag.id for tag in t.tags)) for t in page]
        if not page.has_next:
            break
        cursor = page.next_cursor
    ordered = sorted(TRACKS, key=lambda row: (-row[4], row[0]))
    assert [key for key, *_ in seen] == [row[0] for row in ordered]
    assert [tags for *_, tags in seen] == [row[5] for row in ordered]
    back = await graph.page(before=page.previous_cursor, size=3)
    assert [t.id for t in back] == [row[0] for row in ordered[-4:-1]]


@pytest.mark.parametrize("part", [1, 2, 200])
async def test_async_for_reads_all_trees_in_order(world: Database, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "ROWS_PER_PART", part)
    labels = [la async for la in Label.objects.order_by("-name").graph({"albums": {"tracks": {"order_by": "-id"}}})]
    assert [la.name for la in labels] == ["Sub Pop", "Obsessed", "Nonesuch"]
    assert [[t.id for a in la.albums for t in a.tracks] for la in labels] == [[6, 5], [4, 3, 2, 1, 7], []]


async def test_async_for_of_a_slice_reads_its_rows(world: Database) -> None:
    names = [la.name async for la in Label.objects.order_by("name")[1:3].graph("albums")]
    assert names == ["Obsessed", "Sub Pop"]
