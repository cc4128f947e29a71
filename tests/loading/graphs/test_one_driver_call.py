"""A graph is one round trip, counted at the driver: four levels, three branches, one root row or a thousand."""

from __future__ import annotations

from typing import Any

import databases
import pytest

import orm
from tests.driver_calls import counted_round_trips
from tests.loading.graphs.loaded_values import assert_one_instance_each, loaded

models = orm.ModelRegistry()


class Team(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=30)


class Member(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    team: Any = orm.ForeignKey(Team, related_name="members", index=True)


class Task(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    member: Any = orm.ForeignKey(Member, related_name="tasks", index=True)
    labels: Any = orm.ManyToMany("Label", related_name="tasks")


class Step(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    task: Any = orm.ForeignKey(Task, related_name="steps", index=True)
    doer: Any = orm.ForeignKey(Member, allow_null=True, related_name="steps", index=True)


class Label(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=30)


class Room(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    team: Any = orm.OneToOne(Team, related_name="room")


#: Four levels: team, member, task, step (and its doer, a fifth); three branches.
PATHS = ("members__tasks__steps__doer", "members__tasks__labels", "room")


async def fill(teams: int) -> None:
    """Insert teams, each with two members, each of these with a task, and each task with two steps and a label."""
    numbers = range(1, teams + 1)
    await Team.objects.bulk_create({"id": i, "name": f"team {i}"} for i in numbers)
    await Room.objects.bulk_create({"id": i, "team": i} for i in numbers if i % 2)
    await Member.objects.bulk_create({"id": 2 * i + n, "team": i} for i in numbers for n in (0, 1))
    await Task.objects.bulk_create({"id": 2 * i + n, "member": 2 * i + n} for i in numbers for n in (0, 1))
    await Step.objects.bulk_create(
        {"id": 4 * i + n, "task": 2 * i + n // 2, "doer": 2 * i + 1 if n % 2 else None}
        for i in numbers
        for n in range(4)
    )
    await Label.objects.bulk_create({"id": i, "name": f"label {i}"} for i in (1, 2, 3))
    through: Any = Task._meta.many_to_many["labels"].through_model
    await through.objects.bulk_create({"task": 2 * i + n, "label": i % 3 + 1} for i in numbers for n in (0, 1))


@pytest.mark.parametrize("teams", [1, 1_000])
async def test_graph_of_five_levels_is_one_round_trip(any_database: databases.Database, teams: int) -> None:
    models.database = any_database
    await models.create_all()
    await fill(teams)
    # Within one connection, so that connecting and asking for the server's version are not counted.
    async with any_database.connection():
        await Team.objects.count()
        with counted_round_trips() as driver, orm.track_queries() as queries:
            found = await Team.objects.order_by("id").graph(*PATHS)
        assert driver.count == 1, driver.calls
        assert (queries.count, queries.round_trips) == (1, 1)
        with counted_round_trips() as driver:
            plain = await Team.objects.order_by("id").graph(*PATHS).as_dicts()
        assert driver.count == 1, driver.calls
    assert [team.id for team in found] == [team["id"] for team in plain] == list(range(1, teams + 1))
    assert_one_instance_each(found)
    last = found[-1]
    tasks = [task for member in loaded(last, "members") for task in loaded(member, "tasks")]
    steps = [step for task in tasks for step in loaded(task, "steps")]
    assert {task.id for task in tasks} == {2 * teams, 2 * teams + 1}
    assert {step.id for step in steps} == {4 * teams + n for n in range(4)}
    assert {step.doer and step.doer.id for step in steps} == {None, 2 * teams + 1}
    assert [label.id for task in tasks for label in loaded(task, "labels")] == [teams % 3 + 1] * 2
    assert loaded(last, "room") is (last.room if teams % 2 else None)
    rows = sum(len(part) for part in (found, tasks, steps))
    assert rows == teams + 2 + 4


async def test_graph_in_a_transaction_is_one_round_trip(any_database: databases.Database) -> None:
    models.database = any_database
    await models.create_all()
    await fill(3)
    async with any_database.transaction():
        await Team.objects.filter(id=1).update(name="renamed")
        with counted_round_trips() as driver:
            found = await Team.objects.order_by("id").graph("members__tasks")
        assert driver.count == 1, driver.calls
        assert [team.name for team in found] == ["renamed", "team 2", "team 3"]
        await Team.objects.create(id=9, name="new")
    assert await Team.objects.count() == 4


async def test_connection_is_usable_after_a_graph_fails(any_database: databases.Database) -> None:
    class Parent(orm.Model):
        registry = orm.ModelRegistry(database=any_database)

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=30)

    class Child(orm.Model):
        registry = Parent.registry

        id = orm.Integer(primary_key=True)
        parent: Any = orm.ForeignKey(Parent, related_name="children")

    await Parent.registry.create_all()
    await Parent.objects.create(id=1, name="old")
    async with any_database.connection():
        assert len(await Parent.objects.graph("children")) == 1
        await any_database.execute("DROP TABLE child")
        with pytest.raises(orm.Error):
            await Parent.objects.graph("children")
        await Parent.objects.filter(id=1).update(name="new")
        assert [parent.name for parent in await Parent.objects.graph()] == ["new"]
    assert await Parent.objects.filter(name="new").exists()
