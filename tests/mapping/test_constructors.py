"""Generated constructors, which fill new instances."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import orm

models = orm.ModelRegistry()


class Album(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)


class Track(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True, default=7)
    album = orm.ForeignKey(Album, default=3)
    missing = orm.String(max_length=10, default="no")  # names that code of ours might have used
    self = orm.Integer(allow_null=True)
    values = orm.JSON(default=[])


class Shouting(orm.Model):
    """An abstract model whose constructor is inherited."""

    name = orm.String(max_length=100)

    class Meta:
        abstract = True

    def __init__(self, /, **values: Any) -> None:
        super().__init__(**{**values, "name": values["name"].upper()})


class Shout(Shouting):
    registry = models


class Watched(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100, default="", allow_blank=True)
    seen: Any = []

    def __setattr__(self, name: str, value: Any) -> None:
        self.seen.append(name)
        super().__setattr__(name, value)


@pytest.mark.parametrize("time", [1, 2])
def test_constructor_sets_values_and_defaults(time: int) -> None:
    """The first instance generates the constructor; the second uses it."""
    track = Track(self=2)
    assert (track.id, track.album.pk, track.missing, track.self, track.values) == (7, 3, "no", 2, [])
    assert not track._persisted
    other = Track(pk=8, album=None, missing="yes", values=[1])
    assert (other.id, other.album, other.missing, other.values) == (8, None, "yes", [1])
    assert "name" not in Album().__dict__
    assert Track(album_id=4).album.pk == 4
    assert Track(album=Album(id=5)).album_id == 5
    assert Track().values is not track.values
    assert Track(pk=8, id=9).id == Track(id=9, pk=8).id == 8  # as in Django


@pytest.mark.parametrize("time", [1, 2])
def test_constructor_with_unknown_name_raises(time: int) -> None:
    with pytest.raises(orm.FieldError, match=r"Album has no field 'nam', given as an argument. Did you mean 'name'\?"):
        Album(nam="Malibu")
    with pytest.raises(TypeError, match="positional"):
        Album("Malibu")
    with pytest.raises(orm.FieldError, match="Shouting is abstract"):
        Shouting(name="x")
    with pytest.raises(orm.FieldError, match="no field 'ids'"):
        Album(pk=1, ids=2)


@pytest.mark.parametrize("time", [1, 2])
def test_custom_init_calls_the_constructor(time: int) -> None:
    assert Shout(name="hey").name == "HEY"


def test_constructor_calls_custom_setattr() -> None:
    assert Watched(name="x").name == "x"
    assert Watched().name == ""
    assert Watched.seen == ["name"]


def test_constructor_has_signature_and_names() -> None:
    Album()
    assert list(inspect.signature(Album).parameters) == ["id", "name", "pk", "_others"]
    assert Album.__init__.__qualname__ == "Album.__init__"
    assert Album.__init__.__module__ == __name__
