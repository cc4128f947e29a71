"""Branches are merged; a row of revisions becomes one."""

from __future__ import annotations

from pathlib import Path

import pytest

import orm
from orm import migrations
from orm.database.connections.database import Database
from orm.migrations.folder import Folder
from orm.migrations.squashing import merge, squash
from tests.migrations.hand_written import no_models, set_up, write

CREATE = "op.create_table('{0}', sa.Column('id', sa.Integer(), primary_key=True))"


async def test_two_heads_are_named_and_merged(sqlite_url: str, tmp_path: Path) -> None:
    directory, models = set_up(tmp_path / "migrations"), no_models(sqlite_url)
    write(directory, "r1", None, [CREATE.format("a")], ["op.drop_table('a')"])
    with pytest.raises(orm.MigrationError, match="nothing to merge"):
        merge(Folder(directory))
    write(directory, "r2", "r1", [CREATE.format("b")], ["op.drop_table('b')"])
    write(directory, "r3", "r1", [CREATE.format("c")], ["op.drop_table('c')"])
    with pytest.raises(orm.MigrationError, match="`orm merge`"):
        await migrations.make(models, directory=directory)
    with pytest.raises(orm.MigrationError, match="only revisions without branches"):
        squash(Folder(directory))
    path = merge(Folder(directory))
    ran = await migrations.upgrade(models, directory=directory)
    assert ran[0] == "r1" and set(ran[1:3]) == {"r2", "r3"} and path.name.startswith(ran[3])
    assert await migrations.current(models, directory=directory) == (ran[3],)
    assert len(await migrations.downgrade(models, "base", directory=directory)) == 4


async def test_squashed_revision_does_the_same_and_a_database_at_the_head_needs_nothing(
    database_url: str, tmp_path: Path
) -> None:
    directory, models = set_up(tmp_path / "migrations"), no_models(database_url)
    write(
        directory,
        "r1",
        None,
        [CREATE.format("a"), "op.execute('INSERT INTO a (id) VALUES (1)')"],
        ["op.drop_table('a')"],
    )
    write(directory, "r2", "r1", ["op.add_column('a', sa.Column('n', sa.Integer()))"], ["op.drop_column('a', 'n')"])
    write(directory, "r3", "r2", ["text = 'UPDATE a SET n = 5'", "op.execute(text)"])
    await migrations.upgrade(models, "r2", directory=directory)
    path, replaced = squash(Folder(directory), "until two")
    assert (path.name, [each.name for each in replaced]) == ("r3_until_two.py", ["r1.py", "r2.py", "r3.py"])
    with pytest.raises(orm.MigrationError, match="r2, which was squashed into r3: run `orm migrate`"):
        await migrations.upgrade(models, directory=directory)
    path.rename(path.with_suffix(".new"))
    for each in replaced:
        each.with_suffix(".py.squashed").rename(each)
    await migrations.upgrade(models, directory=directory)
    for each in replaced:
        each.unlink()
    path.with_suffix(".new").rename(path)
    assert await migrations.upgrade(models, directory=directory) == []
    [state] = await migrations.show(models, directory=directory)
    assert (state.revision, state.state, state.is_edited) == ("r3", "applied", False)
    await migrations.downgrade(models, "base", directory=directory)
    assert await migrations.upgrade(models, directory=directory) == ["r3"]
    async with Database(database_url) as database:
        found = await database.fetch_one("SELECT id, n FROM a")
        assert found is not None and (found["id"], found["n"]) == (1, 5)


def test_code_outside_of_the_functions_is_named(tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    write(directory, "r1", None, [])
    with pytest.raises(orm.MigrationError, match="one revision only"):
        squash(Folder(directory))
    path = write(directory, "r2", "r1", [])
    path.write_text(path.read_text() + "\n\nNUMBER = 5\n")
    with pytest.raises(orm.MigrationError, match=r"r2\.py, line \d+: code outside of upgrade\(\)"):
        squash(Folder(directory))
    assert path.exists()
