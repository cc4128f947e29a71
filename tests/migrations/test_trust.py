"""What can be relied on: one runner, bounded waits, whole revisions or a point to go on from, edited files, drift."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import orm
from orm import migrations
from orm.database.connections.database import Database
from orm.database.dialect_registry import find
from tests.migrations.hand_written import no_models, set_up, write

CREATE_A = "op.create_table('a', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('n', sa.Integer()))"
ROWS = "op.execute('INSERT INTO a (id, n) VALUES (1, 10), (2, 20)')"


async def tables(database: Database) -> set[str]:
    dialect = find(database.url.scheme)
    assert dialect is not None
    rows = await database.fetch_all(dialect.tables_query)
    return {name for schema, name in rows if schema is None} & {"a", "b", "c"}


async def test_failed_revision_leaves_nothing_or_goes_on_after_what_is_done(database_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(database_url)
    add = "op.add_column('a', sa.Column('{}', sa.Integer()))"
    fails = [CREATE_A, ROWS, add.format("x"), "op.execute('UPDATE a SET x = n + 1')", add.format("n")]
    write(directory, "r1", None, fails, ["op.drop_table('a')"])
    with pytest.raises(orm.MigrationError) as caught:
        await migrations.upgrade(models, directory=directory)
    [state] = await migrations.show(models, directory=directory)
    async with Database(database_url) as database:
        if "mysql" not in database_url:
            assert "Nothing of it has stayed" in str(caught.value) and state.state == "pending"
            assert await tables(database) == set()
        else:
            assert "The first 2 statements that commit by themselves stay" in str(caught.value)
            assert (state.state, state.done) == ("applying", 2)
            with pytest.raises(orm.MigrationError, match="interrupted while applying"):
                await migrations.downgrade(models, "base", directory=directory)
        write(directory, "r1", None, [*fails[:-1], add.format("y")], ["op.drop_table('a')"])
        assert await migrations.upgrade(models, directory=directory) == ["r1"]
        rows = await database.fetch_all("SELECT id, n, x, y FROM a ORDER BY id")
        values = [tuple(row[name] for name in ("id", "n", "x", "y")) for row in rows]
        assert values == [(1, 10, 11, None), (2, 20, 21, None)]  # each statement ran once
        assert await migrations.downgrade(models, directory=directory) == ["r1"]
        assert await tables(database) == set()


async def test_interrupted_revision_that_became_another_one_is_refused(mysql_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(mysql_url)
    write(directory, "r1", None, [CREATE_A, "op.execute('nonsense')"])
    with pytest.raises(orm.MigrationError, match="nonsense"):
        await migrations.upgrade(models, directory=directory)
    write(directory, "r1", None, [CREATE_A.replace("'a'", "'b'")])
    with pytest.raises(orm.MigrationError, match=r"its statement 1 is now another one .* `orm repair --forget r1`"):
        await migrations.upgrade(models, directory=directory)
    repaired = await migrations.repair(models, forget="r1", directory=directory)
    assert repaired.done == ["forgot how far r1 had come: it begins anew"]
    assert await migrations.upgrade(models, directory=directory) == ["r1"]
    with pytest.raises(orm.MigrationError, match="was not interrupted"):
        await migrations.repair(models, forget="r1", directory=directory)


async def test_first_statement_that_failed_leaves_no_note(database_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(database_url)
    write(directory, "r1", None, [CREATE_A, ROWS], ["op.drop_table('a')"])
    await migrations.upgrade(models, directory=directory)
    path = write(directory, "r2", "r1", ["op.add_column('a', sa.Column('n', sa.Integer()))"])
    with pytest.raises(orm.MigrationError, match="Nothing of it has stayed"):
        await migrations.upgrade(models, directory=directory)
    assert [state.state for state in await migrations.show(models, directory=directory)] == ["applied", "pending"]
    path.unlink()
    assert await migrations.downgrade(models, directory=directory) == ["r1"]


async def test_rows_changed_before_a_first_statement_that_failed_are_not_denied(mysql_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(mysql_url)
    write(directory, "r1", None, [CREATE_A, ROWS])
    await migrations.upgrade(models, directory=directory)
    update = "op.execute('UPDATE a SET n = n + 1')"
    write(directory, "r2", "r1", [update, "op.add_column('a', sa.Column('n', sa.Integer()))"])
    for _ in range(2):
        with pytest.raises(orm.MigrationError, match="What it changed before that stays; `orm migrate` goes on"):
            await migrations.upgrade(models, directory=directory)
    write(directory, "r2", "r1", [update, "op.add_column('a', sa.Column('m', sa.Integer()))"])
    await migrations.upgrade(models, directory=directory)
    async with Database(mysql_url) as database:
        assert [row[0] for row in await database.fetch_all("SELECT n FROM a ORDER BY id")] == [11, 21]


async def test_interrupted_revision_whose_file_is_gone_is_reported_and_forgotten(
    mysql_url: str, tmp_path: Path
) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(mysql_url)
    write(directory, "r1", None, [CREATE_A], ["op.drop_table('a')"])
    await migrations.upgrade(models, directory=directory)
    path = write(directory, "r2", "r1", [CREATE_A.replace("'a'", "'b'"), "op.execute('nonsense')"])
    with pytest.raises(orm.MigrationError, match="The first statement"):
        await migrations.upgrade(models, directory=directory)
    path.unlink()
    message = r"r2 was interrupted while applying, after 1 statements .* no file has it.*`orm repair --forget r2`"
    with pytest.raises(orm.MigrationError, match=message):
        await migrations.downgrade(models, directory=directory)
    [finding] = await migrations.check(models, directory=directory)
    assert finding.kind == "interrupted" and "no file has it" in finding.text
    assert (await migrations.repair(models, directory=directory)).left == [finding.text]
    repaired = await migrations.repair(models, forget="r2", directory=directory)
    assert (repaired.done, repaired.left) == (["forgot r2, which no file has"], [])
    assert await migrations.downgrade(models, directory=directory) == ["r1"]


async def test_branches_are_named_where_a_target_is_not_clear(sqlite_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(sqlite_url)
    for name, down in (("r1", None), ("r2", "r1"), ("r3", "r1")):
        write(directory, name, down, [])
    with pytest.raises(orm.MigrationError, match=r"there are 2 heads, r\d and r\d: `orm merge` joins them"):
        await migrations.upgrade(models, directory=directory)
    path = write(directory, "r4", "r2", [])
    path.write_text(path.read_text().replace("'r2'", "('r2', 'r3')"))
    assert (await migrations.upgrade(models, directory=directory))[-1] == "r4"
    with pytest.raises(orm.MigrationError, match=r"r4 \(r4\) joins branches.*: name one of r2, r3, or base"):
        await migrations.downgrade(models, directory=directory)
    assert await migrations.downgrade(models, "r2", directory=directory) == ["r4"]


async def test_revision_that_inspects_is_not_understood(sqlite_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(sqlite_url)
    write(directory, "r1", None, [CREATE_A, "assert sa.inspect(op.get_bind()).get_table_names()"])
    [planned] = await migrations.plan(models, directory=directory)
    assert planned.description == "unknown: NoInspectionAvailable without the rows that the revision reads"
    assert str(planned.grade) in ("A", "D")
    assert await migrations.upgrade(models, directory=directory) == ["r1"]


async def test_statement_that_waits_for_a_lock_is_given_up_and_tried_again(database_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(database_url)
    write(directory, "r1", None, [CREATE_A, ROWS])
    write(
        directory, "r2", "r1", ["op.add_column('a', sa.Column('x', sa.Integer()))", "op.execute('UPDATE a SET x = 1')"]
    )
    await migrations.upgrade(models, "r1", directory=directory)
    said: list[str] = []
    waited = asyncio.Event()

    def say(text: str) -> None:
        said.append(text)
        waited.set()

    async with Database(database_url) as database:
        async with database.transaction():
            await database.execute("UPDATE a SET n = n + 1")  # locks the table; on SQLite the file
            upgrade = asyncio.create_task(migrations.upgrade(models, directory=directory, lock_timeout=0.5, say=say))
            await asyncio.wait_for(waited.wait(), 60)
            assert not upgrade.done()
        assert await upgrade == ["r2"]
        assert [row[0] for row in await database.fetch_all("SELECT x FROM a")] == [1, 1]
    assert "tried again (1 of 10)" in said[0] and "r2" in said[0]


async def test_lock_that_does_not_become_free_ends_the_migration(database_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(database_url)
    write(directory, "r1", None, [CREATE_A, ROWS])
    write(directory, "r2", "r1", ["op.add_column('a', sa.Column('x', sa.Integer()))"])
    await migrations.upgrade(models, "r1", directory=directory)
    async with Database(database_url) as database, database.transaction():
        await database.execute("UPDATE a SET n = n + 1")
        with pytest.raises(orm.MigrationError, match=r"^r2 \(r2\) failed") as caught:
            await migrations.upgrade(models, directory=directory, lock_timeout=0.2, retries=1, say=lambda text: None)
        assert isinstance(caught.value.__cause__, orm.LockNotAvailable)


async def test_revision_edited_after_it_ran_is_seen(database_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(database_url)
    path = write(directory, "r1", None, [CREATE_A])
    await migrations.upgrade(models, directory=directory)
    path.write_text(
        path.read_text().replace('"""r1"""', '"""another text"""\n# and a comment').replace("    op.", "    op .")
    )
    [state] = await migrations.show(models, directory=directory)
    assert not state.is_edited
    path.write_text(path.read_text().replace("'n'", "'m'"))
    [state] = await migrations.show(models, directory=directory)
    assert state.is_edited
    assert "edited" in [finding.kind for finding in await migrations.check(models, directory=directory)]
    assert (await migrations.repair(models, directory=directory)).left
    repaired = await migrations.repair(models, accept=True, directory=directory)
    assert (repaired.done, repaired.left) == (["accepted r1 (another text) as it is"], [])


def notes(url: str) -> orm.ModelRegistry:
    models = orm.ModelRegistry(database=orm.Database(url))

    class A(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        n = orm.Integer(allow_null=True, index=True)

    return models


async def test_check_finds_drift_with_the_statements_that_close_it(database_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = notes(database_url)
    assert await migrations.make(models, directory=directory) is not None
    [finding] = await migrations.check(models, directory=directory)
    assert finding.kind == "pending"
    await migrations.upgrade(models, directory=directory)
    assert await migrations.check(models, directory=directory) == []
    async with Database(database_url) as database:
        on = " ON a" if "mysql" in database_url else ""
        await database.execute(f"DROP INDEX ix_a_n{on}")
        [finding] = await migrations.check(models, directory=directory)
        assert (finding.kind, finding.text) == ("drift", "create index ix_a_n on a")
        for statement in finding.statements:
            await database.execute(statement)
    assert await migrations.check(models, directory=directory) == []


async def test_interrupted_concurrent_index_is_made_again(postgresql_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(postgresql_url)
    concurrently = [
        CREATE_A,
        "op.execute('INSERT INTO a (id, n) VALUES (1, 7), (2, 7)')",
        "with op.get_context().autocommit_block():",
        "    op.create_index('by_n', 'a', ['n'], unique=True, postgresql_concurrently=True)",
        "op.execute('INSERT INTO a (id, n) VALUES (3, 8)')",
    ]
    write(directory, "r1", None, concurrently)
    with pytest.raises(orm.MigrationError, match="could not create unique index"):
        await migrations.upgrade(models, directory=directory)
    [state] = await migrations.show(models, directory=directory)
    assert (state.state, state.done) == ("applying", 0)
    async with Database(postgresql_url) as database:
        await database.execute("DELETE FROM a WHERE id = 2")
        repaired = await migrations.repair(models, directory=directory)
        assert repaired.done[-1] == "completed r1 (r1)"
        assert [row[0] for row in await database.fetch_all("SELECT id FROM a ORDER BY id")] == [1, 3]
        query = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_n'::regclass"
        assert await database.fetch_val(query) is True
