"""The cookbook's rename by expand and contract: code of both releases runs, and each sees what the other writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orm
from orm import migrations
from orm.database.connections.database import Database
from tests.migrations.hand_written import set_up, write

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


async def test_code_of_both_releases_runs_during_a_rename(postgresql_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    old = registry(postgresql_url, position=orm.Integer())
    made = await migrations.make(old, directory=directory)
    await migrations.upgrade(old, directory=directory)
    both = registry(postgresql_url, position=orm.Integer(), index=orm.Integer(allow_null=True))
    async with Database(postgresql_url) as database:
        await database.execute("INSERT INTO track (id, position) VALUES (1, 10)")
        made = await migrations.make(both, directory=directory)
        await migrations.upgrade(both, directory=directory)
        assert made is not None
        # A row that is changed before it is filled keeps its value.
        changed = 'op.execute("UPDATE track SET id = 1 WHERE id = 1")'
        lines = "\n".join(lines_of("upgrade")).replace("op.backfill", f"{changed}\nop.backfill").split("\n")
        write(directory, "mirror", made.revision, lines, lines_of("downgrade"))
        await migrations.upgrade(both, directory=directory)
        new = registry(postgresql_url, position=orm.Integer(retired=True), index=orm.Integer(allow_null=True))
        await migrations.make(new, directory=directory)
        await migrations.upgrade(new, directory=directory)
        track: Any = new.models["Track"]
        await database.execute("INSERT INTO track (id, position) VALUES (2, 20)")
        async with new.database:
            assert [row.index for row in await track.objects.order_by("id")] == [10, 20]
            await track.objects.create(id=3, index=30)
            await track.objects.filter(id=1).update(index=11)
        await database.execute("UPDATE track SET position = 21 WHERE id = 2")
        rows = await database.fetch_all("SELECT position, index FROM track ORDER BY id")
        assert [(row["position"], row["index"]) for row in rows] == [(11, 11), (21, 21), (30, 30)]
        await migrations.downgrade(both, made.revision, directory=directory)
        await database.execute("UPDATE track SET position = 22 WHERE id = 2")
        assert await database.fetch_val("SELECT index FROM track WHERE id = 2") == 21
