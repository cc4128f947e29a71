"""The cookbook's rename by expand and contract: code of both releases runs, and each sees what the other writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

import orm
from orm import migrations
from orm.database.connections.database import Database
from tests.migrations.hand_written import no_models, set_up, write

RECIPE = Path(__file__).parents[2] / "docs" / "migrations-cookbook.md"


def registry(url: str, **fields: Any) -> orm.ModelRegistry:
    """A registry with one model."""
    models = orm.ModelRegistry(database=orm.Database(url))
    body = {"registry": models, "__module__": __name__, "id": orm.Integer(primary_key=True), **fields}
    type(orm.Model)("Track", (orm.Model,), body)
    return models


def lines_of(function: str) -> list[str]:
    """The lines of a function of the recipe's revision."""
    text = RECIPE.read_text().partition("### Without an error in code that runs")[2].partition("\n## ")[0]
    body = text.partition(f"def {function}() -> None:\n")[2].partition("\n\n\n")[0].partition("```")[0]
    return [line.removeprefix("    ") for line in body.rstrip().split("\n")]


@pytest.fixture(params=["postgresql_url", "mysql_url"])
def url(request: pytest.FixtureRequest) -> str:
    """A database with triggers that can change the row that is written."""
    url: str = request.getfixturevalue(request.param)
    return url


async def test_code_of_both_releases_runs_during_a_rename(url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    old = registry(url, position=orm.Integer())
    made = await migrations.make(old, directory=directory)
    await migrations.upgrade(old, directory=directory)
    both = registry(url, position=orm.Integer(), index=orm.Integer(allow_null=True))
    track_of: Any = {models: models.models["Track"] for models in (old, both)}
    async with old.database, both.database:
        await track_of[old].objects.create(id=1, position=10)
        made = await migrations.make(both, directory=directory)
        await migrations.upgrade(both, directory=directory)
        assert made is not None
        # A row that is changed before it is filled keeps its value.
        changed = 'op.execute("UPDATE track SET id = 1 WHERE id = 1")'
        lines = "\n".join(lines_of("upgrade")).replace("op.backfill", f"{changed}\nop.backfill").split("\n")
        write(directory, "mirror", made.revision, lines, lines_of("downgrade"))
        planned = await migrations.plan(both, directory=directory)
        assert {str(row.grade) for row in planned} <= {"A", "B", "C"}  # C is the UPDATE above
        await migrations.upgrade(both, directory=directory, allow="C")
        new = registry(url, position=orm.Integer(retired=True), index=orm.Integer(allow_null=True))
        await migrations.make(new, directory=directory)
        await migrations.upgrade(new, directory=directory)
        track: Any = new.models["Track"]
        await track_of[old].objects.create(id=2, position=20)
        async with new.database:
            assert [row.index for row in await track.objects.order_by("id")] == [10, 20]
            await track.objects.create(id=3, index=30)
            await track.objects.filter(id=1).update(index=11)
            await track_of[old].objects.filter(id=2).update(position=21)
            rows = await track_of[both].objects.order_by("id").values_list("position", "index")
            assert rows == [(11, 11), (21, 21), (30, 30)]
            # Of a write that changes both, the old one counts; NULL is a value, too.
            await track_of[both].objects.filter(id=2).update(position=23, index=24)
            await track.objects.filter(id=3).update(index=None)
            rows = await track_of[both].objects.filter(id__gte=2).order_by("id").values_list("position", "index")
            assert rows == [(23, 23), (None, None)]
            await track.objects.filter(id=3).delete()
        await migrations.downgrade(both, made.revision, directory=directory)
        await track_of[both].objects.filter(id=2).update(position=22)
        assert await track_of[both].objects.values_list("index", flat=True).get(id=2) == 23


async def test_names_are_quoted_and_short_enough(url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    names = ("the 'old' name, " + "o" * 40, "new: 100 % $mirror$")
    arguments = f'"track\'s", {names[0]!r}, {names[1]!r}'
    columns = ", ".join(f"sa.Column({name!r}, sa.Integer)" for name in names)
    table = f'op.create_table("track\'s", sa.Column("id", sa.Integer, primary_key=True), {columns})'
    write(directory, "both", None, [table, f"op.mirror_columns({arguments})"])
    write(directory, "one", "both", [f"op.stop_mirroring({arguments})"])
    models = no_models(url)
    await migrations.upgrade(models, "both", directory=directory)
    track = sqlalchemy.table("track's", *map(sqlalchemy.column, ("id", *names)))
    async with Database(url) as database:
        await database.execute(track.insert().values({"id": 1, names[0]: 5}))
        assert await database.fetch_val(sqlalchemy.select(track.c[names[1]])) == 5
        await migrations.upgrade(models, directory=directory)
        await database.execute(track.insert().values({"id": 2, names[0]: 5}))
        assert await database.fetch_val(sqlalchemy.select(track.c[names[1]]).where(track.c.id == 2)) is None


@pytest.mark.parametrize("operation", ["mirror_columns", "stop_mirroring"])
async def test_sqlite_says_what_to_do_instead(sqlite_url: str, tmp_path: Path, operation: str) -> None:
    directory = set_up(tmp_path / "migrations")
    write(directory, "mirror", None, [f'op.{operation}("track", "position", "index")'])
    with pytest.raises(orm.MigrationError, match=r"index = \.\.\.\(column='position'\)"):
        await migrations.upgrade(no_models(sqlite_url), directory=directory)
