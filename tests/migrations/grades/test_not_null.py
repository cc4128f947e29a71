"""SET NOT NULL after a valid CHECK: PostgreSQL scans nothing, and it is graded so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext

from orm import migrations
from orm.migrations.grades.grading import Grading
from tests.migrations.hand_written import no_models, set_up, write

SCANS = "SELECT coalesce(seq_scan, 0) FROM pg_stat_xact_user_tables WHERE relid = 'a'::regclass"
SET_NOT_NULL = ops.AlterColumnOp("a", "n", modify_nullable=False)
CHECK = "ALTER TABLE a ADD CONSTRAINT n_there CHECK (n IS NOT NULL)"
VALIDATE = "ALTER TABLE a VALIDATE CONSTRAINT n_there"
DROP = "ALTER TABLE a DROP CONSTRAINT n_there"


def graded(connection: sa.Connection, *statements: Any) -> str:
    """The grade of SET NOT NULL after these statements of the same run."""
    grading = Grading(connection, is_large=True)
    for statement in statements:
        grading.grade(ops.ExecuteSQLOp(statement) if isinstance(statement, str) else statement)
    return grading.grade(SET_NOT_NULL).letter


@pytest.mark.parametrize(
    ("statements", "letter"),
    [
        ([], "B"),
        ([f"{CHECK} NOT VALID"], "B"),
        ([f"{CHECK} NOT VALID", VALIDATE], "A"),
        ([CHECK], "A"),
        ([CHECK, DROP], "B"),
        (["ALTER TABLE a ADD CONSTRAINT n_there CHECK (n IS NOT NULL OR id = 1)"], "B"),
    ],
)
async def test_grade_is_that_of_what_the_server_scans(statements: list[str], letter: str, postgresql_url: str) -> None:
    async with migrations.connect(postgresql_url) as connection:
        await connection.execute(sa.text("CREATE TABLE a (id integer PRIMARY KEY, n integer)"))
        await connection.execute(sa.text("INSERT INTO a VALUES (1, 1)"))
        await connection.commit()
        assert await connection.run_sync(graded, *statements) == letter  # they will run
        for statement in statements:
            await connection.execute(sa.text(statement))
        assert await connection.run_sync(graded) == letter  # they have run

        def scans(sync: sa.Connection) -> int:
            before = sync.scalar(sa.text(SCANS))
            Operations(MigrationContext.configure(sync)).invoke(SET_NOT_NULL)
            return int(sync.scalar(sa.text(SCANS)) or 0) - int(before or 0)

        assert (await connection.run_sync(scans) > 0) is (letter == "B")
        await connection.rollback()


async def test_check_that_the_same_run_drops_counts_no_more(postgresql_url: str) -> None:
    async with migrations.connect(postgresql_url) as connection:
        await connection.execute(sa.text("CREATE TABLE a (id integer PRIMARY KEY, n integer)"))
        await connection.execute(sa.text(CHECK))
        assert await connection.run_sync(graded) == "A"
        assert await connection.run_sync(graded, DROP) == "B"
        assert await connection.run_sync(graded, ops.DropConstraintOp("n_there", "a", type_="check")) == "B"
        await connection.rollback()


async def test_plan_of_a_sequence_is_online(postgresql_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = no_models(postgresql_url)
    write(directory, "r1", None, ["op.execute('CREATE TABLE a (id integer PRIMARY KEY, n integer)')"])
    await migrations.upgrade(models, directory=directory)
    async with migrations.connect(postgresql_url) as connection:
        await connection.execute(sa.text("INSERT INTO a SELECT i, i FROM generate_series(1, 10001) AS i"))
        await connection.commit()
    lines = [f"op.execute('{CHECK} NOT VALID')", f"op.execute('{VALIDATE}')"]
    write(directory, "r2", "r1", [*lines, "op.alter_column('a', 'n', nullable=False)"])
    plan = await migrations.plan(models, directory=directory)
    assert [str(row.grade) for row in plan] == ["A", "A", "A"]
    write(directory, "r2", "r1", ["op.alter_column('a', 'n', nullable=False)"])
    [row] = await migrations.plan(models, directory=directory)
    assert str(row.grade) == "B"
