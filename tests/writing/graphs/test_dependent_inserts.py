"""`bulk_create()` of rows that reference unsaved ones, which are inserted first."""

from __future__ import annotations

from typing import Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.writing.graphs.models import (
    Album,
    Artist,
    Category,
    Comment,
    Egg,
    Hen,
    Label,
    Line,
    Node,
    Order,
    Player,
    Profile,
    Shop,
    Team,
    Track,
)

pytestmark = pytest.mark.anyio


async def test_bulk_create_inserts_unsaved_parents_and_their_parents_first(any_tables: databases.Database) -> None:
    artists = [Artist(name=f"X{i}") for i in range(2)]
    albums = [Album(name=f"A{i}", artist=artists[i % 2]) for i in range(4)]
    tracks = [Track(title=f"T{i}", album=albums[i % 4]) for i in range(400)]
    with orm.track_queries() as queries:
        created = await Track.objects.bulk_create(tracks)
    assert queries.count == 3
    assert created == tracks and all(track.pk and track.album_id == track.album.pk for track in tracks)
    assert await Track.objects.order_by("id").values_list("title", "album__name", "album__artist__name") == [
        (f"T{i}", f"A{i % 4}", f"X{i % 4 % 2}") for i in range(400)
    ]
    assert [artist.pk for artist in artists] == await Artist.objects.order_by("id").values_list("id", flat=True)
    assert all(one._persisted for one in (*artists, *albums, *tracks))


async def test_bulk_create_with_saved_and_unsaved_parents_and_dicts(any_tables: databases.Database) -> None:
    saved = await Artist.objects.create(name="saved")
    new = Artist(name="new")
    await Album.objects.bulk_create(
        [
            Album(name="1", artist=saved),
            Album(name="2", artist_id=saved.pk),
            {"name": "3", "artist": new},
            Album(name="4", artist=Artist(id=saved.pk)),
            Album(name="5", artist=new, label=Label(code="c")),
            Album(name="6", artist=new, label=None),
        ]
    )
    assert await Album.objects.order_by("name").values_list("name", "artist__name", "label__code") == [
        ("1", "saved", None),
        ("2", "saved", None),
        ("3", "new", None),
        ("4", "saved", None),
        ("5", "new", "c"),
        ("6", "new", None),
    ]
    assert await Artist.objects.count() == 2


@pytest.mark.parametrize("reverse", [False, True])
async def test_bulk_create_of_rows_that_reference_each_other_in_any_order(
    any_tables: databases.Database, reverse: bool
) -> None:
    root = Category(name="0")
    rows = [root]
    for i in range(1, 30):
        rows.append(Category(name=str(i), parent=rows[(i - 1) // 3]))
    ordered = rows[::-1] if reverse else rows
    with orm.track_queries() as queries:
        assert await Category.objects.bulk_create(ordered) is not rows
    assert queries.count == 4
    pairs = await Category.objects.exclude(parent=None).values_list("name", "parent__name")
    assert sorted(pairs) == sorted((str(i), str((i - 1) // 3)) for i in range(1, 30))
    assert rows[29].parent.parent.parent is not None and rows[29].parent_id == rows[9].pk


async def test_bulk_create_inserts_a_parent_of_the_same_model_outside_the_list(any_tables: databases.Database) -> None:
    root = Category(name="root")
    (child,) = await Category.objects.bulk_create([Category(name="child", parent=root)])
    assert child.parent_id == root.pk
    assert await Category.objects.count() == 2


async def test_bulk_create_with_generated_keys_takes_one_statement(any_tables: databases.Database) -> None:
    root = Node(name="0")
    rows = [Node(name="2", parent=Node(name="1", parent=root)), Node(name="3", parent=root)]
    with orm.track_queries() as queries:
        await Node.objects.bulk_create(rows)
    assert queries.count == 1
    assert await Node.objects.order_by("name").values_list("name", "parent__name") == [
        ("0", None),
        ("1", "0"),
        ("2", "1"),
        ("3", "0"),
    ]


async def test_bulk_create_with_composite_and_generic_foreign_keys_to_unsaved_parents(
    any_tables: databases.Database,
) -> None:
    shop = Shop(name="S")
    order = Order(shop=shop, number=1)
    await Line.objects.bulk_create([Line(text=text, order=order) for text in "ab"])
    assert await Line.objects.order_by("text").values_list("text", "number", "order__shop__name") == [
        ("a", 1, "S"),
        ("b", 1, "S"),
    ]
    album = Album(name="A", artist=Artist(name="X"))
    await Comment.objects.bulk_create(
        [Comment(text="a", subject=album), Comment(text="b", subject=Track(album=album, title="T"))]
    )
    assert await Comment.objects.order_by("text").values_list("subject_album__name", "subject_track__album__name") == [
        ("A", None),
        (None, "A"),
    ]


async def test_bulk_create_of_rows_in_a_cycle(any_tables: databases.Database) -> None:
    teams = []
    for i in range(3):
        team = Team(name=f"T{i}")
        team.captain = Player(name=f"P{i}", team=team)
        teams.append(team)
    with orm.track_queries() as queries:
        await Team.objects.bulk_create(teams)
    assert queries.count == 3
    assert await Team.objects.order_by("id").values_list("name", "captain__name", "captain__team__name") == [
        (f"T{i}", f"P{i}", f"T{i}") for i in range(3)
    ]
    hen = Hen()
    hen.egg = Egg(hen=hen)
    with pytest.raises(orm.QueryError, match="may not be null"):
        await Hen.objects.bulk_create([hen])


async def test_bulk_create_with_parents_applies_the_batch_size(tables: Database) -> None:
    artists = [Artist(name=str(i)) for i in range(5)]
    with orm.track_queries() as queries:
        await Album.objects.bulk_create([Album(name=artist.name, artist=artist) for artist in artists], batch_size=2)
    assert queries.count == 6
    assert sorted(await Album.objects.values_list("name", "artist__name")) == [(str(i), str(i)) for i in range(5)]


async def test_bulk_create_with_an_invalid_parent_raises_messages_with_its_path(tables: Database) -> None:
    with orm.track_queries() as queries, pytest.raises(orm.ValidationError) as raised:
        await Track.objects.bulk_create([Track(title="T", album=Album(name="A", artist=Artist(name="x" * 21)))])
    assert dict(raised.value) == {"album": {"artist": {"name": "Must have no more than 20 characters."}}}
    assert queries.count == 0


async def test_bulk_create_that_fails_leaves_the_parents_unchanged(any_tables: databases.Database) -> None:
    await Label.objects.create(code="taken")
    artist, label = Artist(name="X"), Label(code="taken")
    albums = [Album(name="A", artist=artist, label=label), Album(name="B", artist=artist)]
    with pytest.raises(orm.UniqueViolation):
        await Album.objects.bulk_create(albums)
    assert artist.pk is None and not artist._persisted and not label._persisted
    assert all(album.pk is None and not album._persisted and "artist_id" not in album.__dict__ for album in albums)
    assert await Artist.objects.count() == await Album.objects.count() == 0
    label.code = "free"
    albums[0].label = label
    await Album.objects.bulk_create(albums)
    assert await Album.objects.order_by("name").values_list("artist__name", "label__code") == [
        ("X", "free"),
        ("X", None),
    ]


async def test_bulk_create_with_conflict_options_and_unsaved_parents_raises(tables: Database) -> None:
    rows = [Profile(bio="b", artist=Artist(name="X"))]
    with pytest.raises(orm.QueryError, match="save the instances"):
        await Profile.objects.bulk_create(rows, ignore_conflicts=True)


async def test_save_with_an_unsaved_parent_raises(tables: Database) -> None:
    with pytest.raises(orm.QueryError, match="is not saved"):
        await Album(name="A", artist=Artist(name="X")).save()


async def test_bulk_create_with_a_key_set_after_the_parent_uses_the_key(tables: Database) -> None:
    saved = await Artist.objects.create(name="saved")
    album: Any = Album(name="A", artist=Artist(name="left"))
    album.artist_id = saved.pk
    await Album.objects.bulk_create([album, Album(name="B", artist=Artist(name="new"))])
    assert await Artist.objects.order_by("name").values_list("name", flat=True) == ["new", "saved"]
    assert await Album.objects.order_by("name").values_list("artist__name", flat=True) == ["saved", "new"]
