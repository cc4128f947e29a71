"""The reverse attribute of a `OneToOne`."""

from __future__ import annotations

import pickle

import pytest

import orm
from orm.database.connections.database import Database
from orm.relations.instance_state import set_loaded
from tests.related.models import Album, Cover
from tests.statement_recorder import recorded


async def test_reverse_one_to_one_that_is_not_loaded_raises_with_advice(library: Database) -> None:
    album = await Album.objects.create(code="a")
    cover = await Cover.objects.create(album=album.pk, url="x")
    with recorded(library) as sent:
        with pytest.raises(orm.NotLoaded, match=r"select_related\('cover'\).*orm\.load\(instance, 'cover'\)") as caught:
            _ = album.cover
        assert not isinstance(caught.value, (orm.NoMatch, AttributeError)) and not sent
    cover.album = album  # As in Django, the other side knows of it.
    assert album.cover is cover
    del album.cover
    with pytest.raises(orm.NotLoaded):
        _ = album.cover
    assert not hasattr(Album(code="b"), "cover")  # It is not saved, so that no row can point at it.


async def test_reverse_one_to_one_without_a_row_raises_does_not_exist(library: Database) -> None:
    album = await Album.objects.create(code="a")
    set_loaded(album, "cover", [])
    with pytest.raises(Cover.DoesNotExist, match=r"no Cover points at this Album") as caught:
        _ = album.cover
    assert isinstance(caught.value, AttributeError) and isinstance(caught.value, orm.NoMatch)
    assert not hasattr(album, "cover")


async def test_error_of_a_relation_without_a_row_is_named_by_it_and_pickled(library: Database) -> None:
    await Album.objects.create(code="a")
    [album] = await Album.objects.prefetch_related("cover")
    with pytest.raises(Album.cover.RelatedObjectDoesNotExist, match="no Cover points at") as caught:
        _ = album.cover
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is Album.cover.RelatedObjectDoesNotExist and again.args == caught.value.args
    assert pickle.loads(pickle.dumps(Cover.album.RelatedObjectDoesNotExist)) is Cover.album.RelatedObjectDoesNotExist
    assert issubclass(Cover.album.RelatedObjectDoesNotExist, Album.DoesNotExist)
    assert not hasattr(Album.tracks, "RelatedObjectDoesNotExist")


async def test_assigning_a_reverse_one_to_one_sets_the_foreign_key(library: Database) -> None:
    first, second = await Album.objects.bulk_create([{"code": "a"}, {"code": "b"}])
    cover = Cover(url="x")
    first.cover = cover
    assert cover.album is first and first.cover is cover
    await cover.save()
    assert (await Cover.objects.get()).album_id == first.pk
    cover.album = second
    assert second.cover is cover
    first.cover = None
    assert cover.album_id is None
    with pytest.raises(Cover.DoesNotExist):
        _ = first.cover
    with pytest.raises(orm.FieldError, match=r"Album\.cover takes Cover instances, got Album"):
        first.cover = second


async def test_reverse_one_to_one_in_queries(library: Database) -> None:
    a, b = await Album.objects.bulk_create([{"code": "a"}, {"code": "b"}])
    cover = await Cover.objects.create(album=a, url="x")
    assert await Album.objects.filter(cover__url="x") == [a] == await Album.objects.filter(Album.cover.url == "x")
    assert await Album.objects.filter(cover=cover) == [a] and await Album.objects.filter(cover=None) == [b]
    assert await Album.objects.order_by("-cover__url", "id").values_list("cover__url", flat=True) in (
        [None, "x"],
        ["x", None],
    )
    with pytest.raises(orm.FieldError, match=r"Album\.cover is kept in the row of Cover: save that one"):
        Album(code="c", cover=cover)
    with pytest.raises(orm.UniqueViolation):
        await Cover.objects.create(album=a, url="y")


def test_foreign_key_in_a_composite_key_is_not_one_to_one() -> None:
    models = orm.ModelRegistry()

    class Shop(orm.Model):
        registry = models

    class Order(orm.Model):
        registry = models
        shop = orm.ForeignKey(Shop, primary_key=True)
        number = orm.Integer(primary_key=True)

    class Licence(orm.Model):
        registry = models
        shop = orm.ForeignKey(Shop, primary_key=True)

    assert Shop._meta.accessors["order_set"].many and not Shop._meta.accessors["licence"].many
