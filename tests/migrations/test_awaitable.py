"""The awaitable functions of `orm.migrations`, inside a running event loop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import orm
from orm import migrations


def models_of(url: str, *, more: bool = False) -> orm.ModelRegistry:
    models = orm.ModelRegistry(database=orm.Database(url))

    class Note(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        title = orm.String(max_length=100)
        if more:
            rating = orm.Integer(allow_null=True)

    return models


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    migrations.init("nowhere:models", tmp_path / "migrations")
    env = tmp_path / "migrations/env.py"
    # The functions are given the models; env.py has those of the command.
    env.write_text("from orm.migrations import run\n\nrun()\n")
    return tmp_path / "migrations"


async def test_make_upgrade_show_and_downgrade_inside_a_running_loop(database_url: str, directory: Path) -> None:
    models = models_of(database_url)
    made = await migrations.make(models, directory=directory)
    assert made is not None and made.operations == ["create table note"]
    assert await migrations.current(models, directory=directory) == ()
    assert [row.description for row in await migrations.plan(models, directory=directory)] == ["create table note"]
    assert "CREATE TABLE note" in await migrations.sql(models, directory=directory)
    assert await migrations.upgrade(models, directory=directory) == [made.revision]
    assert await migrations.current(models, directory=directory) == (made.revision,)
    more = models_of(database_url, more=True)
    made_next = await migrations.make(more, "rating", directory=directory)
    assert made_next is not None and made_next.path is not None and made_next.path.name.endswith("_rating.py")
    assert await migrations.upgrade(more, "+1", directory=directory) == [made_next.revision]
    assert await migrations.make(more, directory=directory) is None
    assert [state.state for state in await migrations.show(more, directory=directory)] == ["applied", "applied"]
    assert await migrations.downgrade(more, "base", directory=directory) == [made_next.revision, made.revision]
    assert await migrations.current(more, directory=directory) == ()


async def test_two_tasks_that_upgrade_run_each_revision_once(database_url: str, directory: Path) -> None:
    models = models_of(database_url)
    made = await migrations.make(models, directory=directory)
    assert made is not None
    ran = await asyncio.gather(*(migrations.upgrade(models, directory=directory) for _ in range(3)))
    assert sorted(ran, key=len) == [[], [], [made.revision]]


async def test_two_databases_migrate_at_once_in_one_loop(tmp_path: Path, directory: Path) -> None:
    both = [models_of(f"sqlite:///{tmp_path}/{name}.db") for name in "ab"]
    await migrations.make(both[0], directory=directory)
    await asyncio.gather(*(migrations.upgrade(models, directory=directory) for models in both))
    for models in both:
        async with models.database as database:
            assert await database.fetch_all("SELECT * FROM note") == []


async def test_env_that_does_not_call_run_is_named(sqlite_url: str, directory: Path) -> None:
    (directory / "env.py").write_text("pass\n")
    with pytest.raises(orm.MigrationError, match=r"env\.py does not call orm\.migrations\.run\(models\)"):
        await migrations.make(models_of(sqlite_url), directory=directory)


async def test_env_with_a_connection_of_its_own_is_named(sqlite_url: str, directory: Path) -> None:
    (directory / "env.py").write_text(
        "import asyncio\n\nasync def main(): pass\n\nwork = main()\n"
        "try:\n    asyncio.run(work)\nfinally:\n    work.close()\n"
    )
    with pytest.raises(orm.MigrationError, match="opens a connection of its own"):
        await migrations.make(models_of(sqlite_url), directory=directory)


async def test_folder_that_was_not_set_up_is_named(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(orm.MigrationError, match="`orm init` sets up"):
        await migrations.upgrade(models_of(sqlite_url), directory=tmp_path / "nothing")
