"""Attributes of fields: an expression on the class, an ordinary attribute on an instance."""

from __future__ import annotations

import sys

import pytest

import orm
from orm.database.connections.database import Database
from orm.expressions.base import FieldExpression

models = orm.ModelRegistry()


class Labelled:
    """Not a model, but a base class of models."""

    label = "none"

    def __repr__(self) -> str:
        return f"<{self.label}>"


class Album(Labelled, orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)
    label = orm.String(max_length=100, default="some")

    @property
    def shelf(self) -> str:
        raise AttributeError("it is on no shelf")


class Track(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    album = orm.ForeignKey(Album, on_delete=orm.CASCADE, related_name="tracks")
    title = orm.String(max_length=100)
    position = orm.Integer(default=1)


def test_field_on_class_is_an_expression() -> None:
    for expression in (Track.title, Track.album_id, getattr(Track, "position")):  # noqa: B009 # type: ignore[attr-defined]
        assert isinstance(expression, FieldExpression)
    assert hasattr(Track, "title") and not hasattr(Track, "length")
    assert {"title", "album", "album_id", "objects"} <= set(dir(Track))
    with pytest.raises(AttributeError, match="'Track' has no attribute 'length'"):
        Track.length  # type: ignore[attr-defined] # noqa: B018
    with pytest.raises(AttributeError, match="'Model' has no attribute 'title'"):
        orm.Model.title  # type: ignore[attr-defined] # noqa: B018


def test_field_on_instance_is_its_value() -> None:
    track = Track(title="The Bird", album=3)
    assert (track.title, track.position, track.album_id) == ("The Bird", 1, 3)  # type: ignore[attr-defined]
    del track.title
    assert not hasattr(track, "title")
    with pytest.raises(AttributeError, match=r"Track\.title has no value yet"):
        track.title  # noqa: B018
    with pytest.raises(AttributeError, match="'Track' object has no attribute 'length'"):
        track.length  # type: ignore[attr-defined] # noqa: B018


def test_attribute_error_in_property_is_not_replaced() -> None:
    with pytest.raises(AttributeError, match="it is on no shelf"):
        Album(name="Malibu").shelf  # noqa: B018


def test_field_overrides_attribute_of_base_class() -> None:
    assert isinstance(Album.label, FieldExpression)
    assert repr(Album(name="Malibu", label="Steel Wool")) == "<Steel Wool>"
    sparse = Album.__new__(Album)
    with pytest.raises(orm.NotLoaded, match=r"Album\.label was not loaded"):
        sparse.label  # noqa: B018


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 keeps the names for all instances otherwise")
async def test_instances_share_attribute_keys(database: Database) -> None:
    """A dict with its own keys would take twice the time and memory of one with shared keys."""
    models.database = database
    await models.create_all()
    album = await Album.objects.create(name="Malibu")
    await Track.objects.bulk_create([{"album": album, "title": f"{n}"} for n in range(100)])

    class Song(orm.Model):
        """A model whose first instances are all read at once."""

        registry = orm.ModelRegistry(database=database)
        tablename = "track"

        id = orm.Integer(primary_key=True)
        title = orm.String(max_length=100)
        position = orm.Integer(default=1)

    for instances in (await Song.objects.all(), [Song(title="x") for _ in range(100)]):
        shared = vars(instances[-1])
        assert set(shared) >= {"title", "position"}
        assert sys.getsizeof(shared) < sys.getsizeof(dict(shared)) * 2 / 3
