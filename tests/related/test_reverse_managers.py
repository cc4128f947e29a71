"""The managers of reverse relations: ``album.tracks``."""

from __future__ import annotations

from typing import Any

import pytest

import orm
from orm.database.connections import ddl
from orm.database.connections.database import Database
from orm.relations.instance_state import get_loaded, set_loaded
from tests.loaded_attributes import is_loaded
from tests.related.models import Album, Loud, Review, Tag, Track, models
from tests.statement_recorder import recorded


async def albums() -> tuple[Any, Any]:
    first = await Album.objects.create(code="a")
    return first, await Album.objects.create(code="b")


async def titles(query: Any) -> list[str]:
    return [track.title for track in await query]


async def test_manager_is_a_queryset_of_the_target(library: Database) -> None:
    a, b = await albums()
    places = [(a, "x"), (b, "y"), (a, "z"), (a, "w")]
    await Track.objects.bulk_create(
        [{"album": album, "title": title, "position": n} for n, (album, title) in enumerate(places)]
    )
    assert await titles(a.tracks) == await titles(a.tracks.all()) == ["w", "z", "x"]
    assert [track.title async for track in a.tracks] == ["w", "z", "x"]
    assert await titles(a.tracks.filter(position__gt=0)) == ["w", "z"]
    assert await titles(a.tracks.exclude(title="w").order_by("position")) == ["x", "z"]
    assert await titles(a.tracks.all()[:2]) == ["w", "z"] and (await a.tracks.all()[1]).title == "z"
    assert await a.tracks.count() == 3 and await a.tracks.exists()
    assert (await a.tracks.first()).title == "w" and (await a.tracks.last()).title == "x"
    assert (await a.tracks.get(title="z")).position == 2
    assert await a.tracks.contains(await Track.objects.get(title="x"))
    assert not await a.tracks.contains(await Track.objects.get(title="y"))
    assert await a.tracks.aggregate(top=orm.Max("position")) == {"top": 3}
    assert await a.tracks.values_list("title", flat=True) == ["w", "z", "x"]
    assert await a.tracks.filter(position=2).update(volume=1) == 1
    assert await a.tracks.filter(title="x").delete() == 1 and await Track.objects.count() == 3
    # A sparse instance has its key, so it has them, too.
    sparse = (await Track.objects.get(title="w")).album
    assert await titles(sparse.tracks) == ["w", "z"]
    assert sorted([track.album_id for track in await a.tracks.union(b.tracks)]) == [a.pk, a.pk, b.pk]


async def test_manager_has_the_methods_of_the_targets_objects(library: Database) -> None:
    a, _ = await albums()
    await a.tracks.create(title="x", volume=9)
    await a.tracks.create(title="y", volume=1)
    assert await titles(a.tracks.loud()) == ["x"] == await titles(a.tracks.filter(position=0).loud())
    assert type(a.tracks.filter(title="x")) is Loud and isinstance(a.tracks, Loud)
    assert isinstance(a.tracks, orm.RelatedManager)


async def test_manager_on_the_class_is_an_expression(library: Database) -> None:
    a, _ = await albums()
    await a.tracks.create(title="x")
    assert await Album.objects.filter(Album.tracks.title == "x") == [a]
    assert await Album.objects.filter(~(Album.tracks.title == "y")).count() == 2
    assert not hasattr(Album.tracks, "nothing") and hasattr(Album.tracks, "title")
    with pytest.raises(AttributeError, match="Choices are"):
        _ = Album.tracks.titel
    with pytest.raises(orm.FieldError, match="Did you mean 'title'"):
        _ = Album.tracks.titel


async def test_create_sets_the_foreign_key(library: Database) -> None:
    a, b = await albums()
    track = await a.tracks.create(title="x", album=b)
    assert track.album is a
    many = await a.tracks.bulk_create([{"title": "y"}, Track(title="z")])
    assert [track.album_id for track in many] == [a.pk, a.pk] and await a.tracks.count() == 3
    track, created = await a.tracks.get_or_create(title="y", defaults={"position": 5})
    assert (track, created) == (many[0], False)
    track, created = await b.tracks.get_or_create(title="y", defaults={"position": 5})
    assert created and track.album_id == b.pk and track.position == 5
    track, created = await b.tracks.update_or_create(title="y", defaults={"position": 6})
    assert not created and (await Track.objects.get(pk=track.pk)).position == 6
    track, created = await b.tracks.update_or_create(title="q", create_defaults={"position": 7})
    assert created and track.album_id == b.pk and track.position == 7


async def test_add_and_remove_set_the_foreign_key(library: Database) -> None:
    a, b = await albums()
    x, y, z = await Track.objects.bulk_create([{"title": title} for title in "xyz"])
    with recorded(library) as sent:
        await a.tracks.add(x, y.pk, x)
        assert len(sent) == 1 and x.album is a
        await a.tracks.add()
        assert len(sent) == 1
        await b.tracks.add(y)
        await b.tracks.remove(y, z.pk)
        assert len(sent) == 3 and y.album is None
    assert await titles(a.tracks) == ["x"] and await b.tracks.count() == 0
    with recorded(library) as sent:
        await a.tracks.set([y, z.pk])
        written = [sql.split()[0] for sql in sent.texts if sql.split()[0] in ("SELECT", "UPDATE")]
        assert written == ["UPDATE", "UPDATE"]
    assert await titles(a.tracks.order_by("id")) == ["y", "z"] and y.album is a
    assert (await Track.objects.get(pk=x.pk)).album is None
    await a.tracks.set([x], clear=True)
    assert await titles(a.tracks) == ["x"]
    await a.tracks.clear()
    assert not await a.tracks.exists() and await Track.objects.count() == 3
    await a.tracks.add(x, Track(title="new"), bulk=False)
    assert await titles(a.tracks.order_by("id")) == ["x", "new"]
    await a.tracks.remove(x, bulk=False)
    assert await titles(a.tracks) == ["new"]
    await a.tracks.set([])
    assert not await a.tracks.exists()
    await a.tracks.add(x, y)
    with recorded(library) as sent:
        await a.tracks.clear(bulk=False)
        assert len([sql for sql in sent.texts if sql.startswith("UPDATE")]) == 2
    assert not await a.tracks.exists() and await Track.objects.count() == 4


async def test_rows_of_a_manager_know_their_owner_whatever_is_left_out(library: Database) -> None:
    a, b = await albums()
    await a.tracks.create(title="x")
    for rows in (a.tracks.only("title"), a.tracks.only("pk"), a.tracks.defer("album"), a.tracks.all()):
        [track] = await rows
        assert track.album is a and track.album_id == a.pk
        assert [found.album async for found in rows] == [a]
    [track] = await (a.tracks.only("pk") | b.tracks.all())
    assert track.album is a
    [track] = await Track.objects.only("pk")
    with pytest.raises(orm.NotLoaded):
        _ = track.album_id


async def test_add_and_remove_of_other_rows_raise(library: Database) -> None:
    a, b = await albums()
    x = await b.tracks.create(title="x")
    with pytest.raises(orm.QueryError, match=r"Album\.tracks is compared with Track instances, got Album"):
        await a.tracks.add(b)
    with pytest.raises(orm.QueryError, match=r"[Ss]ave it first"):
        await a.tracks.add(Track(title="new"))
    with pytest.raises(orm.QueryError, match="None"):
        await a.tracks.add(None)
    with pytest.raises(orm.FieldError, match=r"Track\.id"):
        await a.tracks.add("one")
    with pytest.raises(Album.DoesNotExist, match=r"not among Album\.tracks"):
        await a.tracks.remove(x)
    assert x.album is b and await b.tracks.count() == 1
    with pytest.raises(orm.FieldError, match=r"await instance\.tracks\.set"):
        a.tracks = [x]
    with pytest.raises(orm.FieldError, match=r"await instance\.tracks\.set"):
        Album(code="c", tracks=[x])
    for attempt in (a.update(tracks=[x]), Album.objects.update(tracks=[x]), a.save(update_fields=["tracks"])):
        with pytest.raises(orm.FieldError, match=r"Album\.tracks is a relation to many rows"):
            await attempt
    await a.reviews.create()
    for refused in (a.reviews.clear(), a.reviews.remove(await a.reviews.get())):
        with pytest.raises(orm.QueryError, match=r"Review\.album may not be null"):
            await refused
    # As in Django: what cannot point at nothing stays.
    await a.reviews.set([])
    assert await a.reviews.count() == 1


async def test_manager_of_an_unsaved_instance_raises(library: Database) -> None:
    new = Album(code="new")
    assert hasattr(new, "tracks")
    for attempt in (
        lambda: new.tracks.all().count(),
        lambda: new.tracks.create(title="x"),
        lambda: new.tracks.add(1),
        lambda: new.tags.add(1),
    ):
        with pytest.raises(orm.QueryError, match="save it first"):
            await attempt()
    with pytest.raises(orm.QueryError, match=r"Album\.tracks is of saved rows"):
        new.tracks.filter(title="x")
    kept = new.tracks
    await new.save()
    assert await kept.count() == 0
    await kept.create(title="x")
    await new.delete()
    with pytest.raises(orm.QueryError, match="save it first"):
        await new.tracks
    assert (await Track.objects.get()).album is None


async def test_manager_over_a_to_field(library: Database) -> None:
    a, b = await albums()
    review = await a.reviews.create(stars=5)
    assert review.album_id == "a" and await a.reviews == [review] and not await b.reviews.exists()
    await b.reviews.add(review)
    assert await b.reviews.values_list("album_id", "stars") == [("b", 5)]
    partly = await Album.objects.defer("code").get(code="b")
    with pytest.raises(orm.NotLoaded, match=r"Album\.code was not loaded"):
        await partly.reviews
    sparse = (await Review.objects.get()).album
    assert not is_loaded(sparse, "id") and await sparse.reviews.count() == 1


async def test_prefetched_rows_are_returned_if_all_are_asked_for(library: Database) -> None:
    a, b = await albums()
    x = await a.tracks.create(title="x", position=1)
    y = await a.tracks.create(title="y", position=2)
    other = await b.tracks.create(title="z")
    set_loaded(a, "tracks", [y, x])
    with recorded(library) as sent:
        assert await a.tracks == await a.tracks.all() == [y, x] == [row async for row in a.tracks.all()]
        assert await a.tracks.count() == 2 and await a.tracks.exists() and await a.tracks.first() is y
        assert await a.tracks.contains(x) and not await a.tracks.contains(other)
        assert x in a.tracks and other not in a.tracks
        assert await a.tracks.all()[1:] == [x] and await a.tracks.all()[0] is y
        assert await a.tracks.all()[:2][1:] == [x] and await a.tracks.all()[5:].count() == 0
        (await a.tracks.all()).append(other)  # A list of the caller's own.
        assert len(await a.tracks) == 2
        assert not sent
        assert await a.tracks.filter(title="x") == [x] and await a.tracks.last() == x
        assert await a.tracks.order_by("id") == [x, y] and await a.tracks.get(title="y") == y
        assert len(sent) == 4
    set_loaded(a, "tracks", [])
    assert not await a.tracks.exists() and await a.tracks.first() is None and await a.tracks == []


@pytest.mark.parametrize(
    "write",
    [
        lambda a, x: a.tracks.add(x),
        lambda a, x: a.tracks.remove(x),
        lambda a, x: a.tracks.clear(),
        lambda a, x: a.tracks.set([x]),
        lambda a, x: a.tracks.create(title="y"),
        lambda a, x: a.tracks.bulk_create([{"title": "y"}]),
        lambda a, x: a.tracks.get_or_create(title="y"),
        lambda a, x: a.tracks.update(title="y"),
        lambda a, x: a.tracks.all().delete(),
    ],
)
async def test_writing_discards_prefetched_rows(library: Database, write: Any) -> None:
    a, _ = await albums()
    x = await a.tracks.create(title="x")
    set_loaded(a, "tracks", [])
    set_loaded(a, "tags", [])
    await write(a, x)
    assert get_loaded(a, "tracks") is None and get_loaded(a, "tags") == []
    assert await a.tracks == await Track.objects.filter(album=a)


async def test_manager_uses_the_database_of_its_instance(library: Database, tmp_path: Any) -> None:
    async with Database(f"sqlite:///{tmp_path}/other.db") as other:
        await ddl.create_all(other, models.metadata)
        there = await Album.objects.using(other).create(code="there")
        track = await there.tracks.create(title="x")
        assert await there.tracks == [track] and await Track.objects.count() == 0
        await there.tags.add(await Tag.objects.using(other).create(name="t"))
        assert [tag.name for tag in await there.tags] == ["t"]
        album = await Album.objects.using(other).get()
        assert await album.tracks.count() == 1 and await album.tracks.using(library).count() == 0
