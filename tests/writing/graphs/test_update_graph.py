"""`update_graph()`: the rows that are updated, inserted and deleted, the number of statements, and the errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.writing.graphs.models import (
    Album,
    Artist,
    Category,
    Label,
    Line,
    Order,
    Profile,
    Shop,
    Tag,
    Track,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def miley(any_tables: databases.Database) -> AsyncIterator[Any]:
    """An artist with two albums, of which the first has two tracks, and another artist with an album."""
    await Artist.objects.create_graph({"name": "Other", "albums": [{"name": "Theirs"}]})
    artist = await Artist.objects.create_graph(
        {
            "name": "Miley",
            "albums": [
                {"name": "Malibu", "tracks": [{"title": "The Bird"}, {"title": "Heart", "position": 2}]},
                {"name": "Waters"},
            ],
        }
    )
    yield artist


async def albums() -> list[tuple[str, str]]:
    rows: list[Any] = await Album.objects.order_by("artist__name", "name").values_list("artist__name", "name")
    return rows


async def tracks() -> list[tuple[str, str, int]]:
    rows: list[Any] = await Track.objects.order_by("album__name", "title").values_list(
        "album__name", "title", "position"
    )
    return rows


async def test_tree_is_updated_inserted_and_deleted_level_by_level(any_tables: databases.Database, miley: Any) -> None:
    malibu = miley.albums[0]
    heart = malibu.tracks[1]
    with orm.track_queries() as queries:
        artist = await Artist.objects.update_graph(
            {
                "id": miley.id,
                "name": "Miley Cyrus",
                "albums": [
                    {
                        "id": malibu.id,
                        "tracks": [{"id": heart.id, "position": 1}, {"title": "New", "position": 2}],
                    },
                    {"name": "Endless", "tracks": [{"title": "Flowers"}]},
                ],
            }
        )
    assert await albums() == [("Miley Cyrus", "Endless"), ("Miley Cyrus", "Malibu"), ("Other", "Theirs")]
    assert await tracks() == [("Endless", "Flowers", 1), ("Malibu", "Heart", 1), ("Malibu", "New", 2)]
    assert [album.name for album in artist.albums] == ["Malibu", "Endless"]
    assert [track.title for track in artist.albums[0].tracks] == ["Heart", "New"]
    assert artist.albums[0].artist is artist
    # 3 SELECT, 2 DELETE, 2 UPDATE, 3 INSERT, and what the server needs for transactions and keys.
    assert queries.count <= 16


async def test_number_of_statements_does_not_grow_with_the_rows(tables: Database) -> None:
    counts = []
    for size in (2, 20):
        artist = await Artist.objects.create_graph(
            {"name": "A", "albums": [{"name": f"{i}", "tracks": [{"title": f"{i}"}]} for i in range(size)]}
        )
        changed = {
            "id": artist.id,
            "albums": [
                {"id": album.id, "name": f"{album.name}!", "tracks": [{"id": album.tracks[0].id, "title": "x"}]}
                for album in artist.albums
            ],
        }
        with orm.track_queries() as queries:
            await Artist.objects.update_graph(changed)
        counts.append(queries.count)
        with orm.track_queries() as queries:
            await Artist.objects.update_graph(changed)
        assert not any(query.sql.startswith("UPDATE") for query in queries._queries), "nothing has changed"
    assert counts[0] == counts[1] <= 7


async def test_relations_and_fields_that_are_not_given_are_left_alone(miley: Any) -> None:
    await Artist.objects.update_graph({"id": miley.id, "name": "M"})
    await Album.objects.update_graph([{"id": miley.albums[0].id, "name": "N"}])
    assert await albums() == [("M", "N"), ("M", "Waters"), ("Other", "Theirs")]
    assert len(await tracks()) == 2


async def test_empty_list_deletes_all_and_keep_keeps_them(miley: Any) -> None:
    artist = await Artist.objects.update_graph({"id": miley.id, "albums": []}, missing="keep")
    assert len(artist.albums) == 2
    await Artist.objects.update_graph({"id": miley.id, "albums": []})
    assert await albums() == [("Other", "Theirs")]


async def test_detach_sets_null_and_is_refused_where_it_cannot(miley: Any) -> None:
    root = await Category.objects.create_graph({"name": "root", "children": [{"name": "a"}, {"name": "b"}]})
    a, b = root.children
    await Category.objects.update_graph({"id": root.id, "children": [a.id]}, missing="detach")
    assert await Category.objects.filter(parent=None).order_by("name").values_list("name", flat=True) == ["b", "root"]
    with pytest.raises(orm.QueryError, match="cannot be null"):
        await Artist.objects.update_graph({"id": miley.id, "albums": []}, missing="detach")
    with pytest.raises(orm.QueryError, match="missing is one of"):
        await Artist.objects.update_graph({"id": miley.id}, missing="drop")  # type: ignore[call-overload]
    assert len(await albums()) == 3
    assert b.name == "b"


async def test_key_of_a_row_of_another_owner_is_refused(miley: Any) -> None:
    theirs = await Album.objects.get(name="Theirs")
    for nested in ({"id": theirs.id, "name": "stolen"}, theirs.id, {"id": 999_999, "name": "none"}):
        with pytest.raises(orm.QueryError, match=r"albums\.0.* is not one of this Artist's albums"):
            await Artist.objects.update_graph({"id": miley.id, "name": "changed", "albums": [nested]})
    assert await albums() == [("Miley", "Malibu"), ("Miley", "Waters"), ("Other", "Theirs")]


async def test_forward_relation_is_updated_created_and_cleared(miley: Any) -> None:
    malibu = miley.albums[0]
    await Label.objects.create(code="RCA", name="old")
    label = await Label.objects.get(code="RCA")
    updated = await Album.objects.update_graph({"id": malibu.id, "label": {"id": label.id, "name": "new"}})
    assert updated.label.name == "new"
    assert await Album.objects.filter(id=malibu.id).values_list("label__code", "label__name") == [("RCA", "new")]
    await Album.objects.update_graph({"id": malibu.id, "label": {"code": "EMI", "name": "made"}})
    assert await Album.objects.filter(id=malibu.id).values_list("label__code", "label__name") == [("EMI", "made")]
    await Album.objects.update_graph({"id": malibu.id, "label": None})
    assert await Album.objects.filter(id=malibu.id, label=None).exists()


async def test_one_to_one_is_updated_created_and_removed(miley: Any) -> None:
    artist = await Artist.objects.update_graph({"id": miley.id, "profile": {"bio": "first"}})
    assert artist.profile.bio == "first"
    await Artist.objects.update_graph({"id": miley.id, "profile": {"id": artist.profile.id, "bio": "second"}})
    assert await Profile.objects.values_list("bio", flat=True) == ["second"]
    await Artist.objects.update_graph({"id": miley.id, "profile": None})
    assert await Profile.objects.count() == 0


async def test_pairs_are_those_that_are_given_and_related_rows_stay(miley: Any) -> None:
    rock, pop = [await Tag.objects.create(name=name) for name in ("rock", "pop")]
    await Artist.objects.update_graph({"id": miley.id, "tags": [rock.id, {"name": "new"}]})
    assert sorted(await miley.tags.values_list("name", flat=True)) == ["new", "rock"]
    artist = await Artist.objects.update_graph({"id": miley.id, "tags": [{"id": pop.id, "name": "POP"}, rock]})
    assert [tag.name for tag in artist.tags] == ["POP", "rock"]
    assert sorted(await miley.tags.values_list("name", flat=True)) == ["POP", "rock"]
    assert await Tag.objects.count() == 3
    with pytest.raises(Tag.DoesNotExist, match=r"tags\.0"):
        await Artist.objects.update_graph({"id": miley.id, "tags": [999_999]})
    await Artist.objects.update_graph({"id": miley.id, "tags": []})
    assert await miley.tags.count() == 0


async def test_instances_are_written_with_what_is_loaded_of_them(miley: Any) -> None:
    artist = await Artist.objects.prefetch_related("albums__tracks").get(id=miley.id)
    artist.name = "changed"
    artist.albums[0].tracks[0].title = "changed too"
    returned = await Artist.objects.update_graph(artist)
    assert returned is artist
    assert await tracks() == [("Malibu", "Heart", 2), ("Malibu", "changed too", 1)]
    assert (await Artist.objects.get(id=miley.id)).name == "changed"
    assert len(await albums()) == 3


async def test_instance_in_a_list_is_moved(miley: Any) -> None:
    theirs = await Album.objects.get(name="Theirs")
    theirs.artist = miley
    await Artist.objects.update_graph({"id": miley.id, "albums": [theirs]})
    assert await albums() == [("Miley", "Theirs")]


async def test_manager_of_related_rows_limits_the_rows(miley: Any) -> None:
    theirs = await Album.objects.get(name="Theirs")
    malibu = await miley.albums.update_graph({"id": miley.albums[0].id, "name": "M", "tracks": []})
    assert malibu.name == "M"
    with pytest.raises(Album.DoesNotExist):
        await miley.albums.update_graph({"id": theirs.id, "name": "stolen"})
    assert await albums() == [("Miley", "M"), ("Miley", "Waters"), ("Other", "Theirs")]


async def test_rows_of_composite_keys(any_tables: databases.Database) -> None:
    shop = await Shop.objects.create(name="s")
    await Order.objects.create_graph(
        {"shop": shop, "number": 1, "lines": [{"text": "a"}, {"text": "b"}]},
    )
    a, _ = await Line.objects.order_by("text")
    order = await Order.objects.update_graph(
        {"shop": shop.id, "number": 1, "lines": [{"id": a.id, "text": "A"}, {"text": "c"}]}
    )
    assert [line.text for line in order.lines] == ["A", "c"]
    assert await Line.objects.order_by("text").values_list("text", "number") == [("A", 1), ("c", 1)]


async def test_messages_have_the_path_to_the_value_and_nothing_is_written(miley: Any) -> None:
    malibu = miley.albums[0]
    with pytest.raises(orm.ValidationError) as caught:
        await Artist.objects.update_graph(
            {"id": miley.id, "name": "x" * 99, "albums": [{"id": malibu.id, "tracks": "no", "name": 3}]}
        )
    paths = {".".join(map(str, message.index)) for message in caught.value.messages()}
    assert paths == {"name", "albums.0.tracks", "albums.0.name"}
    with pytest.raises(orm.ValidationError) as caught:
        await Artist.objects.update_graph({"id": miley.id, "name": "y", "albums": [malibu.id, {"name": "x" * 99}]})
    assert [message.index for message in caught.value.messages()] == [["albums", 1, "name"]]
    assert await albums() == [("Miley", "Malibu"), ("Miley", "Waters"), ("Other", "Theirs")]


INVALID: dict[str, Any] = {
    "no key": ({"name": "x"}, "no primary key"),
    "unknown name": ({"id": 1, "nome": "x"}, "no field 'nome'"),
    "unknown nested name": ({"id": 1, "albums": [{"id": 1, "nome": "x"}]}, r"albums\.0\.nome"),
    "number": (3, "takes dicts"),
    "text": ("x", "takes dicts"),
    "another model": (Tag(name="x"), "takes dicts"),
    "unsaved": (Artist(name="x"), "no primary key"),
}


@pytest.mark.parametrize("case", INVALID)
async def test_invalid_input_is_refused(miley: Any, case: str) -> None:
    rows, message = INVALID[case]
    with pytest.raises((orm.QueryError, orm.FieldError), match=message):
        await Artist.objects.update_graph(rows)


async def test_row_that_is_gone_or_not_in_the_queryset_is_an_error(miley: Any) -> None:
    with pytest.raises(Artist.DoesNotExist, match="999999"):
        await Artist.objects.update_graph({"id": 999_999, "name": "x"})
    with pytest.raises(Artist.DoesNotExist):
        await Artist.objects.filter(name="Other").update_graph({"id": miley.id, "name": "x"})
    assert (await Artist.objects.get(id=miley.id)).name == "Miley"


async def test_versions_are_checked_and_counted(any_database: databases.Database) -> None:
    models = orm.ModelRegistry(database=any_database)

    class Doc(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        title = orm.String(max_length=20)
        version = orm.Version()

    class Page(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        doc = orm.ForeignKey(Doc, on_delete=orm.CASCADE, related_name="pages")
        text = orm.String(max_length=20)
        updated = orm.DateTime(auto_now=True)
        version = orm.Version()

    await models.create_all()
    doc = await Doc.objects.create_graph({"title": "a", "pages": [{"text": "one"}]})
    page = doc.pages[0]
    changed = {"id": doc.id, "version": 1, "title": "b", "pages": [{"id": page.id, "version": 1, "text": "two"}]}
    written = await Doc.objects.update_graph(changed)
    assert (written.version, written.pages[0].version) == (2, 2)
    assert written.pages[0].updated > page.updated
    with pytest.raises(orm.StaleObject):
        await Doc.objects.update_graph({"id": doc.id, "title": "c", "pages": [{"id": page.id, "version": 1}]})
    assert await Doc.objects.values_list("title", "version").get() == ("b", 2)
    await Doc.objects.update_graph({"id": doc.id, "title": "d"})
    assert await Doc.objects.values_list("title", "version").get() == ("d", 3)


async def test_hooks_of_bulk_writes_and_deletions_are_sent_and_roll_back(any_database: databases.Database) -> None:
    models = orm.ModelRegistry(database=any_database)
    sent: list[str] = []

    class Doc(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        title = orm.String(max_length=20)

    class Page(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        doc = orm.ForeignKey(Doc, on_delete=orm.CASCADE, related_name="pages")
        text = orm.String(max_length=20)

    await models.create_all()
    doc = await Doc.objects.create_graph({"title": "a", "pages": [{"text": "one"}, {"text": "two"}]})
    for name in ("pre_bulk_update", "post_bulk_update", "post_bulk_create", "post_delete"):

        def receive(sender: Any, name: str = name, **details: Any) -> None:
            sent.append(f"{name} of {sender.__name__}")
            if "refused" in str([getattr(each, "text", "") for each in details.get("instances", ())]):
                raise ZeroDivisionError

        for model in (Doc, Page):
            getattr(orm, name).connect(receive, sender=model)
    await Doc.objects.update_graph({"id": doc.id, "title": "b", "pages": [doc.pages[0].id, {"text": "three"}]})
    assert sent == [
        "post_delete of Page",
        "pre_bulk_update of Doc",
        "post_bulk_update of Doc",
        "post_bulk_create of Page",
    ]
    with pytest.raises(ZeroDivisionError):
        await Doc.objects.update_graph({"id": doc.id, "title": "c", "pages": [{"text": "refused"}]})
    assert await Doc.objects.values_list("title", flat=True) == ["b"]
    assert sorted(await Page.objects.values_list("text", flat=True)) == ["one", "three"]


async def test_expressions_are_computed_by_the_database(miley: Any) -> None:
    heart = miley.albums[0].tracks[1]
    await Track.objects.update_graph({"id": heart.id, "position": Track.position + 5})
    assert (await Track.objects.get(id=heart.id)).position == 7


async def test_rows_of_a_generator_are_all_written(any_tables: databases.Database, miley: Any) -> None:
    names = {album.pk: f"Album {position}" for position, album in enumerate(await Album.objects.order_by("id"))}
    written = await Album.objects.update_graph({"id": key, "name": name} for key, name in names.items())
    assert [album.name for album in written] == list(names.values())
    assert dict(await Album.objects.values_list("id", "name")) == names


async def test_instance_that_is_given_to_another_owner_is_moved(miley: Any) -> None:
    malibu, waters = miley.albums
    bird, heart = malibu.tracks
    rows = [{"id": malibu.pk, "tracks": [heart]}, {"id": waters.pk, "tracks": [bird]}]
    await Album.objects.update_graph(rows)
    assert await tracks() == [("Malibu", "Heart", 2), ("Waters", "The Bird", bird.position)]
    await Album.objects.update_graph([{"id": malibu.pk, "tracks": [bird]}, {"id": waters.pk, "tracks": []}])
    assert await tracks() == [("Malibu", "The Bird", bird.position)]
