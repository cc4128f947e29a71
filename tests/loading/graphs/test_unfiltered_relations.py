"""A section of which all owners are loaded is not filtered by their keys, and skips rows without an owner."""

from __future__ import annotations

from typing import Any

import databases
import pytest

import orm
from tests.loading.graphs.loaded_values import loaded, snapshot

models = orm.ModelRegistry()


class Team(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=30)


class Member(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    team: Any = orm.ForeignKey(Team, related_name="members", index=True)
    mentor: Any = orm.ForeignKey("Member", allow_null=True, related_name="pupils", index=True)
    skills: Any = orm.ManyToMany("Skill", related_name="members")


class Task(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    member: Any = orm.ForeignKey(Member, related_name="tasks", index=True)


class Skill(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)


# No foreign key is enforced here, so rows may refer to missing ones.
TABLES = (
    "team (id INTEGER PRIMARY KEY, name VARCHAR(30) NOT NULL)",
    "member (id INTEGER PRIMARY KEY, team INTEGER NOT NULL, mentor INTEGER)",
    "task (id INTEGER PRIMARY KEY, member INTEGER NOT NULL)",
    "skill (id INTEGER PRIMARY KEY)",
    "member_skills (id INTEGER PRIMARY KEY, member INTEGER NOT NULL, skill INTEGER NOT NULL)",
)


@pytest.fixture
async def stray_rows(any_database: databases.Database) -> None:
    """Members, tasks and pairs, some of which refer to missing rows."""
    models.database = any_database
    for table in TABLES:
        await any_database.execute(f"CREATE TABLE {table}")
    await Team.objects.bulk_create({"id": i, "name": f"team {i}"} for i in (1, 2, 3))
    members = ((1, 1, None), (2, 1, 1), (3, 2, 1), (4, 9, 1), (5, 2, 9))
    await Member.objects.bulk_create({"id": i, "team": team, "mentor": mentor} for i, team, mentor in members)
    await Task.objects.bulk_create({"id": i, "member": member} for i, member in enumerate((1, 1, 2, 4, 5, 9)))
    await Skill.objects.bulk_create({"id": i} for i in (1, 2))
    through: Any = Member._meta.many_to_many["skills"].through_model
    pairs = ((1, 1), (1, 2), (3, 2), (4, 1), (9, 1), (2, 9))
    await through.objects.bulk_create(
        {"id": i, "member": member, "skill": skill} for i, (member, skill) in enumerate(pairs)
    )


@pytest.mark.parametrize("path", ["members", "members__tasks", "members__skills", "members__pupils__tasks"])
async def test_graph_skips_rows_without_an_owner(stray_rows: None, path: str) -> None:
    found = snapshot(await Team.objects.order_by("id").graph(path), path)
    expected = snapshot(await Team.objects.order_by("id").prefetch_related(path), path)
    assert found == expected
    assert [[member["id"] for member in team["members"]] for team in found] == [[1, 2], [3, 5], []]


@pytest.mark.parametrize("path", ["members__tasks", "members__skills"])
async def test_as_dicts_skips_rows_without_an_owner(stray_rows: None, path: str) -> None:
    _, name = path.split("__")
    teams = await Team.objects.order_by("id").graph(path).as_dicts()
    expected = {"tasks": [[[0, 1], [2]], [[], [4]], []], "skills": [[[1, 2], []], [[2], []], []]}
    assert [[sorted(row["id"] for row in member[name]) for member in team["members"]] for team in teams] == expected[
        name
    ]


async def test_owners_that_other_sections_load_too_get_their_rows(stray_rows: None) -> None:
    teams = await Team.objects.order_by("id").graph("members__pupils", "members__mentor")
    members = {member.id: member for team in teams for member in loaded(team, "members")}
    assert sorted(members) == [1, 2, 3, 5]
    assert sorted(pupil.id for pupil in loaded(members[1], "pupils")) == [2, 3, 4]
    assert members[2].mentor is members[3].mentor is members[1]


def test_sections_filter_by_keys_only_if_not_all_owners_are_loaded(sqlite_url: str) -> None:
    models.database = orm.Database(sqlite_url)

    def sections(query: Any, path: Any) -> list[str]:
        return str(query.graph(path).sql).split(";\n")

    teams = Team.objects
    for path in ("members", "members__tasks"):
        assert not any(" IN " in sql for sql in sections(teams, path))
        assert not any(" IN " in sql for sql in sections(teams.order_by("name"), path))
    # Rows may belong to another team, or to none.
    assert [" IN " in sql for sql in sections(teams.filter(id=1), "members__tasks")] == [False, True, True]
    assert [" IN " in sql for sql in sections(teams.limit(1), "members__tasks")] == [False, True, True]
    assert [" IN " in sql for sql in sections(teams.distinct(), "members__tasks")] == [False, True, True]
    assert [" IN " in sql for sql in sections(Member.objects, "pupils")] == [False, True]
    narrowed = {"members": {"filter": {"id": 1}, "tasks": None}}
    assert [" IN " in sql for sql in sections(teams, narrowed)] == [False, False, True]
    limited = {"members": {"limit": 1, "tasks": None}}
    assert [" IN " in sql for sql in sections(teams, limited)] == [False, False, True]
    # The rows of the other side of pairs, or of a foreign key, need not all be referred to.
    assert [" IN " in sql for sql in sections(Member.objects, "skills")] == [False, False, True]
    assert [" IN " in sql for sql in sections(Member.objects, "team__members")] == [False, True, True]
