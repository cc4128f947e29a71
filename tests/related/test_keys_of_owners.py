"""Related rows are those of the key that the owner has when `all()` is called; a NULL key has none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import orm
from tests.statement_recorder import recorded

models = orm.ModelRegistry()


class Make(orm.Model):
    registry = models

    name = orm.String(max_length=50, unique=True, allow_null=True)
    tags: orm.ManyToManyManager[Any]


class Car(orm.Model):
    registry = models

    make = orm.ForeignKey(Make, to_field="name", allow_null=True, related_name="cars")


class Tag(orm.Model):
    registry = models

    makes = orm.ManyToMany(Make, related_name="tags")


@pytest.fixture
async def nameless(database: orm.Database) -> AsyncIterator[Any]:
    """A saved `Make` whose name, which cars reference, is NULL; with a car that references none."""
    models.database = database
    await models.create_all()
    await Car.objects.create(make=None)
    yield await Make.objects.create(name=None)
    await models.drop_all()


async def test_rows_of_a_null_key_are_none(nameless: Any, database: orm.Database) -> None:
    with recorded(database) as statements:
        assert await nameless.cars.all() == await nameless.cars.filter(id__gt=0) == []
        assert (await nameless.cars.count(), await nameless.cars.first()) == (0, None)
        assert not await nameless.cars.exists()
    assert statements.texts == []
    assert await nameless.cars.update(make=None) == await nameless.cars.delete() == 0
    assert await Car.objects.count() == 1


WRITES: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda cars, car: cars.add(car),
    "create": lambda cars, car: cars.create(),
    "bulk_create": lambda cars, car: cars.bulk_create([{}]),
    "create_graph": lambda cars, car: cars.create_graph({}),
    "get_or_create": lambda cars, car: cars.get_or_create(),
    "update_or_create": lambda cars, car: cars.update_or_create(),
    "remove": lambda cars, car: cars.remove(car),
    "clear": lambda cars, car: cars.clear(),
    "set": lambda cars, car: cars.set([car]),
    "set of nothing": lambda cars, car: cars.set([]),
}


@pytest.mark.parametrize("write", WRITES)
async def test_write_of_rows_of_a_null_key_raises(nameless: Any, write: str) -> None:
    car = await Car.objects.get()
    with pytest.raises(orm.QueryError, match=r"Make.cars references name, which is NULL here: give it a value first"):
        await WRITES[write](nameless.cars, car)
    assert await Car.objects.count() == 1


def test_all_of_an_unsaved_instance_raises_at_once() -> None:
    with pytest.raises(orm.QueryError, match=r"Make\.cars is of saved rows"):
        Make(name="Ford").cars.all()
    with pytest.raises(orm.QueryError, match=r"Make\.tags is of saved rows"):
        Make(name="Ford").tags.all()


async def test_all_is_of_the_key_at_the_call(nameless: Any) -> None:
    """A row is copied, as Django's documentation has it, with the related rows of the original."""
    tag = await Tag.objects.create()
    await nameless.tags.add(tag)
    tags, original = nameless.tags.all(), nameless.pk
    nameless.pk, nameless._persisted = None, False
    await nameless.save()
    await nameless.tags.set(tags)
    assert nameless.pk != original
    assert await nameless.tags.all() == [tag]
    assert await Make.objects.filter(tags=tag).count() == 2
