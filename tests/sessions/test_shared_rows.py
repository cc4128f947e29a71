"""Instances of two models that are one row: of a proxy and its model, of a child and its parent in another table."""

from __future__ import annotations

from typing import Any

import pytest

import orm

models = orm.ModelRegistry()


class Task(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    title = orm.String(max_length=50)
    priority = orm.Integer(default=0)
    version = orm.Version()


class UrgentTask(Task):
    class Meta:
        proxy = True


class Place(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    title = orm.String(max_length=50)
    priority = orm.Integer(default=0)


class Restaurant(Place):
    rating = orm.Integer(default=0)


PAIRS: list[Any] = [(Task, UrgentTask), (UrgentTask, Task), (Place, Restaurant), (Restaurant, Place)]
pairs = pytest.mark.parametrize(("model", "other_model"), PAIRS)


@pytest.fixture
async def database_of_models(database: orm.Database) -> orm.Database:
    models.database = database
    await models.create_all()
    await Task.objects.create(title="a")
    await Restaurant.objects.create(title="a")
    return database


@pairs
async def test_different_changes_of_one_row_are_refused(
    database_of_models: orm.Database, model: Any, other_model: Any
) -> None:
    async with orm.Session(database_of_models) as session:
        one, two = await session.get_one(model, 1), await session.get_one(other_model, 1)
        one.title, two.title = "one", "two"
        with pytest.raises(orm.QueryError, match="are one row, and the session has an instance of each"):
            await session.flush()
        await session.refresh(two)
        await session.commit()
        assert two.title == "one"
    assert await model.objects.values_list("title", flat=True) == ["one"]


@pairs
@pytest.mark.parametrize("saves", [True, False])
async def test_what_one_instance_writes_the_other_has(
    database_of_models: orm.Database, model: Any, other_model: Any, saves: bool
) -> None:
    async with orm.Session(database_of_models) as session:
        one, two = await session.get_one(model, 1), await session.get_one(other_model, 1)
        one.title, two.priority = "one", 5
        if saves:
            await one.save()
            await two.save()
        await session.flush()
        assert (two.title, one.priority) == ("one", 5)
        assert not session.dirty
        two.title = "two"
        await session.flush()
        assert one.title == "two"
        await session.rollback()
        assert (one.title, one.priority, two.title, two.priority) == ("a", 0, "a", 0)
        one.title, two.priority = "again", 6
        await session.commit()
    assert await model.objects.values_list("title", "priority") == [("again", 6)]
