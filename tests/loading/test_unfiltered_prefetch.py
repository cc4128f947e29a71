"""A prefetch for all rows of a model is not filtered by their keys, and skips rows without an owner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import databases
import pytest

import orm
from orm.database.connections import ddl
from orm.database.connections.database import Database
from orm.relations.instance_state import get_loaded
from tests.loaded_attributes import is_loaded
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio

models = orm.ModelRegistry()


class Team(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=30)


class Member(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    team: Any = orm.ForeignKey(Team, related_name="members")
    mentor: Any = orm.ForeignKey("Member", allow_null=True, related_name="pupils")


class Task(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    member: Any = orm.ForeignKey(Member, related_name="tasks")
    day = orm.Integer(default=1)
    tags: Any = orm.ManyToMany("Tag", related_name="tasks")


class Badge(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    member: Any = orm.OneToOne(Member, related_name="badge")


class Tag(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)


@pytest.fixture
async def teams(any_database: databases.Database) -> AsyncIterator[databases.Database]:
    """Three teams; members, tasks and badges, some without an owner because no foreign key is enforced."""
    models.database = any_database
    for table in (
        "team (id INTEGER PRIMARY KEY, name VARCHAR(30) NOT NULL)",
        "member (id INTEGER PRIMARY KEY, team INTEGER NOT NULL, mentor INTEGER)",
        "task (id INTEGER PRIMARY KEY, member INTEGER NOT NULL, day INTEGER NOT NULL)",
        "badge (id INTEGER PRIMARY KEY, member INTEGER NOT NULL)",
    ):
        await any_database.execute(f"CREATE TABLE {table}")
    await Team.objects.bulk_create({"id": i, "name": f"team {i}"} for i in (1, 2, 3))
    members = ((1, 1, None), (2, 1, 1), (3, 2, 1), (4, 9, 1), (5, 2, 9))
    await Member.objects.bulk_create({"id": i, "team": team, "mentor": mentor} for i, team, mentor in members)
    tasks = enumerate((1, 1, 2, 4, 5, 9))
    await Task.objects.bulk_create({"id": i, "member": member, "day": i} for i, member in tasks)
    await Badge.objects.bulk_create({"id": i, "member": member} for i, member in enumerate((1, 4, 9)))
    yield any_database


async def test_prefetch_skips_rows_without_an_owner(teams: databases.Database) -> None:
    found = await Team.objects.order_by("id").prefetch_related("members__tasks", "members__badge")
    members = [await team.members.order_by("id") for team in found]
    assert [[member.id for member in rows] for rows in members] == [[1, 2], [3, 5], []]
    loaded = [sorted(get_loaded(team, "members") or [], key=lambda member: member.id) for team in found]
    assert [[member.id for member in rows] for rows in loaded] == [[1, 2], [3, 5], []]
    tasks = {member.id: [task.id for task in await member.tasks.all()] for rows in loaded for member in rows}
    assert tasks == {1: [0, 1], 2: [2], 3: [], 5: [4]}
    assert [member.id for rows in loaded for member in rows if hasattr(member, "badge")] == [1]
    assert all(member.team is team for team, rows in zip(found, loaded, strict=True) for member in rows)


@pytest.mark.parametrize(
    "tasks",
    [
        Task.objects.annotate(n=orm.Window(orm.functions.RowNumber(), order_by="-id")),
        Task.objects.annotate(n=orm.Count("member")),
        Task.objects.order_by("-day")[:1],
        Task.objects.filter(day__gt=0).order_by("-day"),
        Task.objects.distinct(),
    ],
    ids=["window", "count", "slice", "filter", "distinct"],
)
async def test_rows_without_an_owner_do_not_change_annotations_and_slices(
    teams: databases.Database, tasks: Any
) -> None:
    async def read(query: Any) -> dict[int, list[tuple[int, int | None]]]:
        found = await query.prefetch_related(orm.Prefetch("tasks", tasks, to_attr="found"))
        return {member.id: [(task.id, getattr(task, "n", None)) for task in member.found] for member in found}

    assert await read(Member.objects) == await read(Member.objects.filter(id__gt=0))


@pytest.fixture
async def empty(database: Database) -> Database:
    """The tables, and one row in each."""
    models.database = database
    await models.create_all()
    await Team.objects.create(id=1, name="one")
    await Member.objects.create(id=1, team=1, mentor=1)
    await Task.objects.create(id=1, member=1)
    await Badge.objects.create(id=1, member=1)
    return database


async def _asked(database: Database, query: Any) -> list[bool]:
    """For each statement of a query, whether it has a WHERE."""
    with recorded(database) as statements:
        await query
    return [" WHERE " in " ".join(text.split()) for text in statements.texts]


async def test_prefetch_filters_by_keys_only_if_not_all_owners_are_loaded(empty: Database) -> None:
    everybody = Team.objects.prefetch_related("members__tasks", "members__badge")
    assert await _asked(empty, everybody) == [False] * 4
    assert await _asked(empty, everybody.order_by("name")) == [False] * 4
    narrowed = [everybody.filter(id=1), everybody.exclude(id=2), everybody.distinct(), everybody.limit(5)]
    for query in [*narrowed, everybody.annotate(n=orm.Count("members"))]:
        assert (await _asked(empty, query))[1:] == [True] * 3
    # Some of the rows may have no owner, or another one.
    assert await _asked(empty, Member.objects.prefetch_related("pupils__tasks")) == [False, True, True]
    assert await _asked(empty, Task.objects.prefetch_related("member__tasks")) == [False, True, True]
    some = orm.Prefetch("members", Member.objects.filter(id=1))
    assert await _asked(empty, Team.objects.prefetch_related(some, "members__tasks")) == [False, True, True]
    async with empty.transaction():
        locked = orm.Prefetch("members", Member.objects.select_for_update())
        assert (await _asked(empty, Team.objects.prefetch_related(locked)))[1]


async def test_noload_relation_is_not_prefetched(empty: Database) -> None:
    query = Team.objects.options(orm.noload("members")).prefetch_related("members__tasks")
    with recorded(empty) as statements:
        (team,) = await query
        assert await team.members.all() == []
    assert len(statements) == 1


async def test_stream_prefetch_filters_by_keys(empty: Database) -> None:
    with recorded(empty) as statements:
        assert [len(await team.members.all()) async for team in Team.objects.prefetch_related("members")] == [1]
    assert "WHERE" in statements.texts[0]


async def test_prefetch_from_another_database_filters_by_keys(empty: Database, tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path / 'other.db'}") as other:
        await ddl.create_all(other, models.metadata)
        for i in (1, 2):
            await Team.objects.using(other).create(id=i, name="there")
            await Member.objects.using(other).create(id=i, team=i)
        elsewhere = orm.Prefetch("members", Member.objects.using(other))
        with recorded(other) as statements:
            (team,) = await Team.objects.prefetch_related(elsewhere)
        assert [member.id for member in await team.members.all()] == [1]
        assert "WHERE" in statements.texts[0]
        assert await _asked(other, Team.objects.using(other).prefetch_related("members")) == [False, False]


async def test_failed_load_leaves_the_relation_unloaded(empty: Database) -> None:
    teams = await Team.objects.all()
    await empty.execute("DROP TABLE badge")
    with pytest.raises(orm.DatabaseError):
        await orm.load(teams, "members__badge")
    (member,) = await teams[0].members.all()
    assert not is_loaded(member, "badge")
    await empty.execute("DROP TABLE task_tags")
    await empty.execute("DROP TABLE task")
    members = await Member.objects.all()
    with pytest.raises(orm.DatabaseError):
        await orm.load(members, "tasks")
    assert get_loaded(members[0], "tasks") is None


async def test_row_with_several_owners_is_one_instance_over_batches(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the number of batches and statements that its pairs are read in."""
    for name in ("utils.row_batches.LOOP_", "database.sqlite.driver.", "database.mysql.driver.LOOP_"):
        monkeypatch.setattr(f"orm.{name}BATCH_ROWS", 3)
    monkeypatch.setattr("orm.database.dialect.Dialect.max_keys_per_query", 4)
    monkeypatch.setattr("orm.database.mysql.dialect.MySQLDialect.max_keys_per_query", 4)
    await Task.objects.bulk_create({"id": i, "member": 1} for i in range(2, 9))
    tags = await Tag.objects.bulk_create({"id": i} for i in (1, 2))
    for task in await Task.objects.all():
        await task.tags.add(*tags)
    for _ in range(2):
        tasks = await Task.objects.prefetch_related("tags__tasks")
    found = [tag for task in tasks for tag in await task.tags.all()]
    assert len(found) == 16 and len({id(tag) for tag in found}) == 2
    assert [len(await tag.tasks.all()) for tag in found[:2]] == [8, 8]
