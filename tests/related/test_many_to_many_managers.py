"""The managers of many-to-many relations: ``album.tags``."""

from __future__ import annotations

from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from orm.relations.instance_state import get_loaded, set_loaded
from tests.related.models import Album, NotHidden, Tag
from tests.statement_recorder import recorded


async def rows() -> tuple[Any, ...]:
    albums = await Album.objects.bulk_create([{"code": code} for code in "ab"])
    return (*albums, *await Tag.objects.bulk_create([{"name": name} for name in "xyz"]))


async def names(query: Any) -> list[str]:
    return sorted([tag.name for tag in await query])


def verbs(sent: Any) -> list[str]:
    return [verb for verb in (sql.split()[0] for sql in sent.texts) if verb in ("SELECT", "INSERT", "DELETE", "UPDATE")]


async def test_add_is_idempotent_and_one_statement(library: Database) -> None:
    a, b, x, y, z = await rows()
    with recorded(library) as sent:
        await a.tags.add(x, y.pk, x, x.pk)
        await a.tags.add(x, z)
        await a.tags.add()
        await x.albums.add(b, a)
    assert verbs(sent) == ["INSERT"] * 3 and len(sent) == 3
    assert await names(a.tags) == ["x", "y", "z"] and await names(b.tags) == ["x"]
    assert {album.code for album in await x.albums} == {"a", "b"} and await y.albums == [a]
    assert await Album._meta.accessors["tags"].through.objects.count() == 4  # type: ignore[attr-defined]


async def test_remove_clear_and_set_change_the_pairs(library: Database) -> None:
    a, b, x, y, z = await rows()
    await a.tags.add(x, y, z)
    await b.tags.add(x, y)
    with recorded(library) as sent:
        await a.tags.remove(x, z.pk)
        await a.tags.remove(x)
        await a.tags.remove()
    assert verbs(sent) == ["DELETE", "DELETE"]
    assert await names(a.tags) == ["y"] and await names(b.tags) == ["x", "y"]
    with recorded(library) as sent:
        await a.tags.set([x, y.pk])
    assert verbs(sent) == ["DELETE", "INSERT"]
    assert await names(a.tags) == ["x", "y"]
    await a.tags.set([z])
    assert await names(a.tags) == ["z"] and await names(b.tags) == ["x", "y"]
    with recorded(library) as sent:
        await b.tags.set([])
        await a.tags.clear()
    assert verbs(sent) == ["DELETE", "DELETE"]
    assert not await a.tags.exists() and await b.tags.count() == 0
    await x.albums.set([a, b])
    assert await names(a.tags) == await names(b.tags) == ["x"]


async def test_set_that_fails_changes_nothing(library: Database) -> None:
    a, _, x, y, _ = await rows()
    await a.tags.add(x)
    with pytest.raises(orm.ForeignKeyViolation):
        await a.tags.set([y, 1000])
    assert await names(a.tags) == ["x"]
    with pytest.raises(orm.ForeignKeyViolation):
        await a.tags.add(1000)


async def test_add_of_anything_but_saved_rows_raises(library: Database) -> None:
    a, b, *_ = await rows()
    with pytest.raises(orm.QueryError, match=r"Album\.tags is compared with Tag instances, got Album"):
        await a.tags.add(b)
    with pytest.raises(orm.QueryError, match="save it first"):
        await a.tags.set([Tag(name="new")])
    with pytest.raises(orm.QueryError, match="got None"):
        await a.tags.remove(None)
    with pytest.raises(orm.FieldError, match=r"Tag\.id"):
        await a.tags.add("x")
    for attempt in (
        lambda: Album(code="c", tags=[]),
        lambda: setattr(a, "tags", []),
        lambda: Album.objects.only("tags"),
        lambda: Album.objects.select_related("tags"),
    ):
        with pytest.raises(orm.FieldError, match="tags"):
            attempt()
    for refused in (a.update(tags=[]), Album.objects.update(tags=[]), a.save(update_fields=["tags"])):
        with pytest.raises(orm.FieldError, match=r"await instance\.tags\.set"):
            await refused


async def test_create_inserts_a_row_and_its_pair(library: Database) -> None:
    a, b, x, *_ = await rows()
    tag = await a.tags.create(name="new")
    assert await a.tags == [tag]
    assert await a.tags.get_or_create(name="new") == (tag, False)
    other, created = await a.tags.get_or_create(name="other", defaults={"hidden": False})
    assert created and await names(a.tags) == ["new", "other"]
    # As in Django: only the paired ones are looked through, and the name is taken.
    with pytest.raises(orm.UniqueViolation):
        await b.tags.get_or_create(name="new")
    assert not await b.tags.exists()
    renamed, created = await a.tags.update_or_create(name="other", defaults={"name": "renamed"})
    assert renamed == other and not created
    more, created = await b.tags.update_or_create(name="more", defaults={"name": "more"})
    assert created and await b.tags == [more]
    many = await b.tags.bulk_create([{"name": "p"}, Tag(name="q")])
    assert len(many) == 2 and await names(b.tags) == ["more", "p", "q"]
    with pytest.raises(orm.UniqueViolation):
        await b.tags.create(name="x")
    assert await x.albums.count() == 0


async def test_manager_has_the_methods_of_the_targets_objects(library: Database) -> None:
    a, _, x, y, z = await rows()
    await a.tags.add(x, y, z)
    await z.update(hidden=True)
    assert await names(a.tags) == ["x", "y"] and await a.tags.count() == 2
    assert await names(a.tags.starting("x")) == ["x"] and isinstance(a.tags, NotHidden)
    assert await names(a.tags.exclude(name="x")) == ["y"]
    assert await a.tags.contains(x) and not await a.tags.contains(z)
    assert type(a.tags.filter(name="x")) is orm.QuerySet and isinstance(a.tags, orm.ManyToManyManager)


async def test_first_filter_applies_to_the_same_pairs(library: Database) -> None:
    a, b, x, y, _ = await rows()
    await a.tags.add(x, y)
    await b.tags.add(x)
    assert await a.tags.filter(albums__code="b") == []
    assert await a.tags.filter(albums__code="a").count() == 2
    assert await a.tags.filter(name="x").filter(albums__code="b") == [x]
    assert await a.tags.order_by("id").filter(albums__code="b") == [x]


async def test_queries_over_many_to_many_relations(library: Database) -> None:
    a, b, x, y, z = await rows()
    await a.tags.add(x, y)
    await b.tags.add(x)
    assert await Album.objects.filter(tags__name="x").order_by("id") == [a, b]
    assert await Album.objects.filter(Album.tags.name == "y") == [a]
    assert await Album.objects.filter(tags=x, tags__name="x").count() == 2
    assert await Album.objects.filter(tags__in=[y, z.pk]) == [a]
    assert await Album.objects.exclude(tags=y) == [b] and await Tag.objects.filter(albums=None) == [z]
    counted = await Tag.objects.annotate(n=orm.Count("albums")).order_by("-n", "id").values_list("name", "n")
    assert counted == [("x", 2), ("y", 1), ("z", 0)]
    assert await Tag.objects.filter(albums__tags__name="y").order_by("id").values_list("name", flat=True) == ["x", "y"]


async def test_symmetrical_relation_to_the_same_model(library: Database) -> None:
    a, b, *_ = await rows()
    c = await Album.objects.create(code="c")
    with recorded(library) as sent:
        await a.similar.add(b, c.pk, a)
        await b.similar.add(a)
    assert verbs(sent) == ["INSERT", "INSERT"]
    assert {album.code for album in await a.similar} == {"a", "b", "c"}
    assert await b.similar == [a] == await c.similar
    with recorded(library) as sent:
        await b.similar.remove(a)
    assert verbs(sent) == ["DELETE"] and await b.similar == []
    assert {album.code for album in await a.similar} == {"a", "c"}
    await c.similar.set([b])
    assert await b.similar == [c] and await c.similar == [b] and await a.similar == [a]
    await b.similar.clear()
    assert not await c.similar.exists()
    assert await Album.objects.filter(similar=a) == [a] and not hasattr(Album, "album_set")
    await a.similar.create(code="d")
    assert await Album.objects.filter(similar__code="a").order_by("code").values_list("code", flat=True) == ["a", "d"]


async def test_asymmetrical_relation_to_the_same_model(library: Database) -> None:
    a, b, *_ = await rows()
    await a.follows.add(b)
    assert await a.follows == [b] and await b.followers == [a]
    assert not await b.follows.exists() and not await a.followers.exists()
    await b.follows.add(a, b)
    assert await Album.objects.filter(follows__follows=a).order_by("id") == [a, b]
    await a.followers.clear()
    assert await b.follows == [b] and await a.follows == [b]


async def test_prefetched_rows_are_returned_without_a_query(library: Database) -> None:
    a, _, x, y, _ = await rows()
    await a.tags.add(x, y)
    set_loaded(a, "tags", [x])
    with recorded(library) as sent:
        assert await a.tags.all() == [x] and await a.tags.count() == 1 and await a.tags.contains(x)
        assert not sent
    for write in (a.tags.add(x), a.tags.set([x]), a.tags.remove(y), a.tags.create(name="n"), a.tags.clear()):
        set_loaded(a, "tags", [])
        await write
        assert get_loaded(a, "tags") is None
