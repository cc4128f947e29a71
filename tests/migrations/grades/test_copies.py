"""MySQL and MariaDB are told LOCK=NONE, so that what copies a large table while writers wait is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import orm
from orm import migrations
from orm.database.connections.database import Database
from orm.database.mysql.schema_changes import MySQLSchemaChanges
from orm.migrations.grades.grading import Grading
from orm.migrations.runner import Migrations
from tests.migrations.hand_written import no_models, set_up, write

DIGITS = " UNION ALL SELECT ".join(map(str, range(10)))
NUMBERS = (
    "SELECT 1 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n AS n FROM "
    + ", ".join(f"(SELECT {DIGITS.replace('0', '0 AS n', 1)}) {name}" for name in "abcd")
    + ", (SELECT 0 AS n UNION ALL SELECT 1) e"
)
CREATE = (
    "op.create_table('a', sa.Column('id', sa.Integer(), primary_key=True, autoincrement=False), "
    "sa.Column('n', sa.Integer()), sa.Column('t', sa.String(20)))"
)
# Graded as wider text; but the character set changes as well, for which the server copies the table.
COPIED = "op.alter_column('a', 't', existing_type=sa.String(20), type_=mysql.VARCHAR(30, charset='latin1'))"
IMPORT = "from sqlalchemy.dialects import mysql"


async def prepare(url: str, directory: Path, rows: int) -> orm.ModelRegistry:
    """A table with rows; then the revision to try is `r2`."""
    models = no_models(url)
    write(set_up(directory), "r1", None, [CREATE], ["op.drop_table('a')"])
    await migrations.upgrade(models, directory=directory)
    async with Database(url) as database:
        await database.execute(f"INSERT INTO a (id, n, t) SELECT n, n, 't' FROM ({NUMBERS}) x WHERE n <= {rows}")
        await database.fetch_all("ANALYZE TABLE a")
    return models


async def test_copy_that_was_not_foreseen_is_refused_unless_it_is_allowed(mysql_url: str, tmp_path: Path) -> None:
    directory = tmp_path / "migrations"
    models = await prepare(mysql_url, directory, 20_000)
    write(directory, "r2", "r1", [IMPORT, COPIED])
    [row] = await migrations.plan(models, directory=directory)
    assert str(row.grade) in "AB"
    async with migrations.connect(mysql_url) as connection:
        copies_online = await connection.run_sync(lambda sync: Grading(sync).of_rule("text narrower").letter == "B")
    if copies_online:  # MariaDB from 11.2
        statements: list[str] = []
        runner = Migrations(models, directory, on_statement=statements.append)
        assert await runner.upgrade(allow="B") == ["r2"]
        assert statements[0].endswith(", LOCK=NONE")
        return
    with pytest.raises(orm.MigrationError, match=r"LOCK=NONE .*Nothing of it has stayed.*`orm migrate --allow C`"):
        await migrations.upgrade(models, directory=directory, allow="B")
    states = await migrations.show(models, directory=directory)
    assert [each.state for each in states] == ["applied", "pending"]
    assert await migrations.upgrade(models, directory=directory, allow="C") == ["r2"]


async def test_person_who_says_yes_to_a_c_allows_copies(mysql_url: str, tmp_path: Path) -> None:
    directory = tmp_path / "migrations"
    models = await prepare(mysql_url, directory, 20_000)
    rename = "op.alter_column('a', 'n', existing_type=sa.Integer(), new_column_name='m')"
    write(directory, "r2", "r1", [IMPORT, COPIED, rename])
    runner = Migrations(models, directory)
    assert await runner.upgrade(allow="B", ask=lambda worse: True) == ["r2"]


async def test_small_and_marked_tables_are_copied(mysql_url: str, tmp_path: Path) -> None:
    directory = tmp_path / "migrations"
    models = await prepare(mysql_url, directory, 100)
    write(directory, "r2", "r1", [IMPORT, COPIED])
    assert await migrations.upgrade(models, directory=directory, allow="B") == ["r2"]
    async with Database(mysql_url) as database:
        await database.execute(f"INSERT INTO a (id, n, t) SELECT n, n, 't' FROM ({NUMBERS}) x WHERE n > 100")
        await database.fetch_all("ANALYZE TABLE a")
    write(directory, "r3", "r2", ["op.execute('/* grade: B */ ALTER TABLE a MODIFY n BIGINT, ALGORITHM=COPY')"])
    write(directory, "r4", "r3", ["op.execute('/* grade: B */ ALTER TABLE a ADD CONSTRAINT c CHECK (n > 0)')"])
    assert await migrations.upgrade(models, directory=directory, allow="B") == ["r3", "r4"]


async def test_online_operations_on_a_large_table_run(mysql_url: str, tmp_path: Path) -> None:
    directory = tmp_path / "migrations"
    models = await prepare(mysql_url, directory, 20_000)
    lines = [
        "op.add_column('a', sa.Column('x', sa.Integer()))",
        "op.create_index('i', 'a', ['n'])",
        "op.create_unique_constraint('u', 'a', ['n'])",
        "op.alter_column('a', 'n', existing_type=sa.Integer(), nullable=False)",
        "op.alter_column('a', 'n', existing_type=sa.Integer(), existing_nullable=False, server_default='1')",
        "op.drop_index('i', 'a')",
        "op.drop_constraint('u', 'a', type_='unique')",
    ]
    write(directory, "r2", "r1", lines)
    statements: list[str] = []
    runner = Migrations(models, directory, on_statement=statements.append)
    assert await runner.upgrade(allow="B") == ["r2"]
    assert len([sql for sql in statements if sql.endswith("LOCK=NONE")]) == len(lines) - 1  # not DROP INDEX


async def test_default_in_parentheses_is_graded_as_the_server_takes_it(mysql_url: str, tmp_path: Path) -> None:
    """MySQL copies the table for an expression, MariaDB does not."""
    directory = tmp_path / "migrations"
    models = await prepare(mysql_url, directory, 20_000)
    for number, default in enumerate(("sa.func.now()", "sa.text('CURRENT_TIMESTAMP')"), 2):
        added = f"op.add_column('a', sa.Column('x{number}', sa.DateTime(), server_default={default}))"
        write(directory, f"r{number}", f"r{number - 1}", [added])
        [row] = await migrations.plan(models, directory=directory)
        async with Database(mysql_url) as database:
            version = str(await database.fetch_val("SELECT version()"))
        is_copied = number == 2 and "MariaDB" not in version
        assert str(row.grade) == ("C" if is_copied else "A")
        await migrations.upgrade(models, directory=directory, allow="C" if is_copied else "B")


@pytest.mark.parametrize(
    ("sql", "online"),
    [
        ("ALTER TABLE a ADD COLUMN n INTEGER", "ALTER TABLE a ADD COLUMN n INTEGER, LOCK=NONE"),
        ("CREATE UNIQUE INDEX i ON a (n)", "CREATE UNIQUE INDEX i ON a (n) LOCK=NONE"),
        ("ALTER TABLE a RENAME COLUMN n TO m", "ALTER TABLE a RENAME COLUMN n TO m, LOCK=NONE"),
        ("ALTER TABLE a RENAME INDEX n TO m", "ALTER TABLE a RENAME INDEX n TO m, LOCK=NONE"),
        ("ALTER TABLE a RENAME b", None),
        ("ALTER TABLE a RENAME TO b", None),
        ("ALTER TABLE a MODIFY n BIGINT, ALGORITHM=COPY", None),
        ("ALTER TABLE a MODIFY n BIGINT, lock = shared", None),
        ("ALTER TABLE a DROP PARTITION p0", None),
        ("ALTER TABLE a DISCARD TABLESPACE", None),
        ("DROP INDEX i ON a", None),
        ("UPDATE a SET n = 1", None),
    ],
)
def test_statements_that_take_a_lock(sql: str, online: str | None) -> None:
    assert MySQLSchemaChanges().online(sql) == (online or sql)
