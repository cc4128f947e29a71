"""HStore on PostgreSQL with the extension; refused by name elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from orm.database.postgresql.hstore import hstore_text, hstore_value
from tests.private_servers import ProgramsMissing

pytestmark = pytest.mark.anyio
models = orm.ModelRegistry()
ODD = {'a "b"\\': "x, => y", "ключ": "", "": None, "n\nl": "'"}


class Dog(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    data: Any = orm.HStore(default=dict)
    other: Any = orm.HStore(allow_null=True)


@pytest.fixture
async def dogs(postgresql_url: str) -> AsyncIterator[Database]:
    async with Database(postgresql_url) as database:
        try:
            await database.execute("CREATE EXTENSION IF NOT EXISTS hstore")
        except orm.NotSupportedError as error:
            raise ProgramsMissing(f"this PostgreSQL has no extension hstore: {error}") from error
        models.database = database
        await models.create_all()
        await Dog.objects.bulk_create(
            [{"data": {"breed": "Lab", "age": 3}}, {"data": {"breed": "Pug", "owner": None}}, {"data": ODD}, {}]
        )
        yield database


async def found(**lookups: Any) -> list[int]:
    return await Dog.objects.filter(**lookups).order_by("id").values_list("id", flat=True)


async def test_values_are_written_and_read(dogs: Database) -> None:
    read = await Dog.objects.order_by("id").values_list("data", flat=True)
    assert read == [{"breed": "Lab", "age": "3"}, {"breed": "Pug", "owner": None}, ODD, {}]
    dog = await Dog.objects.get(id=4)
    dog.data = ODD
    dog.other = {"a": "b"}
    await dog.save()
    assert ((await dog.load()).data, dog.other) == (ODD, {"a": "b"})
    assert await Dog.objects.bulk_update([dog], ["data", "other"]) == 1
    assert await Dog.objects.filter(data=ODD).update(other=orm.F("data")) == 2
    assert (await Dog.objects.get(id=3)).other == ODD


async def test_lookups(dogs: Database) -> None:
    assert await found(data__breed="Lab") == await found(data__breed__startswith="L") == [1]
    assert await found(data__breed__in=["Lab", "Pug"]) == await found(data__has_key="breed") == [1, 2]
    assert await found(data__has_keys=["breed", "owner"]) == [2]
    assert await found(data__has_any_keys=["age", "owner", "x"]) == [1, 2]
    assert await found(data__contains={"breed": "Lab"}) == [1]
    assert await found(data__contained_by={"breed": "Lab", "age": "3", "x": "y"}) == [1, 4]
    assert await found(data={"age": "3", "breed": "Lab"}) == [1]
    assert await found(data__owner__isnull=False) == [] and await found(other=None) == [1, 2, 3, 4]
    assert await found(data__keys__contains=["breed"]) == [1, 2] and await found(data__keys__len=0) == [4]
    assert await found(data__values__overlap=["Pug", "3"]) == [1, 2]
    assert await Dog.objects.exclude(data__has_key="breed").count() == 2
    names = Dog.objects.filter(data__has_key="breed").order_by("-data__breed")
    assert await names.values_list("data__breed", flat=True) == ["Pug", "Lab"]
    for lookups in ({"data__has_keys": "ab"}, {"data__has_key": None}, {"data__contains": None}):
        with pytest.raises(orm.QueryError):
            Dog.objects.filter(**lookups)
    for value in ("x", {"a": ["b"]}, {"a": "\0"}):
        with pytest.raises(orm.ValidationError):
            await Dog.objects.create(data=value)


@pytest.mark.parametrize("kind", ["sqlite", "mysql"])
async def test_it_is_refused_by_name_elsewhere(kind: str, request: pytest.FixtureRequest) -> None:
    async with Database(request.getfixturevalue(f"{kind}_url")) as database:

        class Kept(orm.Model):
            registry = orm.ModelRegistry(database=database)
            data: Any = orm.HStore()

        with pytest.raises(orm.NotSupportedError, match="Only PostgreSQL has hstore"):
            await Kept._meta.registry.create_all()


def test_the_text_of_a_dict() -> None:
    assert hstore_text({"a": "1", 'b"': None}) == '"a"=>"1", "b\\""=>NULL'
    for value in ({}, ODD, {"a": "\\", "\\\\": '"'}):
        assert hstore_value(hstore_text(value)) == value
    with pytest.raises(orm.DataError):
        hstore_value("a=>b")
