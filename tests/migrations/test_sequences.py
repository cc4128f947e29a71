"""Sequences in migrations: made before the tables, changed, dropped after the last use; those of others stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

import orm
from orm import migrations
from orm.database.connections.server_dialect import dialect_of
from orm.database.dialect_registry import dialect_for
from orm.migrations import connect
from orm.migrations.servers.registry import server_of
from tests.migrations.matrix.run import Migrator
from tests.migrations.test_autogenerate import migrate, models_of, on

HEAD = """
import orm

models = orm.ModelRegistry(database=orm.Database("sqlite://"))
numbers = orm.Sequence("Item %s :numbers", start=100)


class Item(orm.Model):
    registry = models

    id = orm.BigInteger(primary_key=True)
    name = orm.String(max_length=10)
    # FIELDS
"""
FIELD = ("# FIELDS", "number = orm.BigInteger(server_default=orm.NextVal(numbers))")
CHANGED = ("start=100", "start=100, increment=5")


async def test_a_sequence_is_made_with_its_table(database_url: str) -> None:
    def check(connection: Connection, migrator: Migrator) -> None:
        models = models_of(HEAD, FIELD)
        if not dialect_for(connection.dialect).sequences:
            with pytest.raises(orm.NotSupportedError, match="Item %s :numbers cannot be made"):
                migrate(migrator, models)
            return
        connection.exec_driver_sql("CREATE SEQUENCE theirs")
        upgrade = migrate(migrator, models)
        assert upgrade.index("CREATE SEQUENCE") < upgrade.index("create_table")
        assert migrate(migrator, models) == ""
        connection.exec_driver_sql("INSERT INTO item (id, name) VALUES (1, 'a')")
        assert connection.exec_driver_sql("SELECT number FROM item").scalar() == 100
        connection.commit()
        assert "theirs" in server_of(connection.dialect).sequences(connection, None)

    await on(database_url, check)


async def test_a_sequence_is_added_to_a_table_with_rows_and_changed(database_url: str) -> None:
    def check(connection: Connection, migrator: Migrator) -> None:
        if not dialect_for(connection.dialect).sequences:
            return
        migrate(migrator, models_of(HEAD))
        connection.exec_driver_sql("INSERT INTO item (id, name) VALUES (1, 'a'), (2, 'b')")
        connection.commit()
        migrate(migrator, models_of(HEAD, FIELD))
        assert sorted(connection.exec_driver_sql("SELECT number FROM item").scalars()) == [100, 101]
        connection.commit()
        changed = models_of(HEAD, CHANGED, FIELD)
        assert "ALTER SEQUENCE" in migrate(migrator, changed)
        assert migrate(migrator, changed) == ""
        options = server_of(connection.dialect).sequences(connection, None)["Item %s :numbers"]
        assert options is not None
        assert (options.start, options.increment, options.cycle) == (100, 5, False)

    await on(database_url, check)


@pytest.mark.parametrize("then", [(), (("# FIELDS", "number = orm.BigInteger(default=5)"),)], ids=["field", "default"])
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
async def test_revisions_drop_only_what_models_have_had(
    kind: str, then: tuple[tuple[str, str], ...], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    directory = tmp_path / "migrations"
    migrations.init("nowhere:models", directory)
    (directory / "env.py").write_text("from orm.migrations import run\n\nrun()\n")
    async with orm.Database(url) as database:
        if not (await dialect_of(database)).sequences:
            return
        await database.execute("CREATE SEQUENCE theirs")

    async def sequences() -> list[str]:
        async with connect(url) as connection:
            return await connection.run_sync(lambda each: sorted(server_of(each.dialect).sequences(each, None)))

    def registry(*edits: tuple[str, str]) -> orm.ModelRegistry:
        models = models_of(HEAD, *edits)
        models.database = orm.Database(url)
        return models

    with_sequence, without = registry(FIELD), registry(*then)
    await migrations.make(with_sequence, directory=directory)
    await migrations.upgrade(with_sequence, directory=directory)
    assert await sequences() == ["Item %s :numbers", "theirs"]
    assert await migrations.make(with_sequence, directory=directory) is None
    await migrations.make(without, directory=directory)
    await migrations.upgrade(without, directory=directory)
    assert await sequences() == ["theirs"]
    without.database = orm.Database(url)
    async with without.database:
        item = without.find("Item")
        assert item is not None
        await item.objects.create(id=1, name="a")
    await migrations.downgrade(without, "-1", directory=directory)
    assert await sequences() == ["Item %s :numbers", "theirs"]
    await migrations.downgrade(without, "base", directory=directory)
    assert await sequences() == ["theirs"]
