"""The lock that a rule names, seen in pg_locks while the operation's transaction is open, and who is blocked by it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from orm import migrations
from orm.migrations.grades.grading import Grading

LOCKS = """
    SELECT replace(regexp_replace(l.mode, '([a-z])([A-Z])', '\\1 \\2', 'g'), ' Lock', '') FROM pg_locks l
    WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation = cast(:name AS regclass)
"""
# PostgreSQL's table of conflicts: who waits for whom.
BLOCKS_READERS = {"ACCESS EXCLUSIVE"}
BLOCKS_WRITERS = {"SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", *BLOCKS_READERS}

OPERATIONS: list[Any] = [
    ops.AddColumnOp("a", sa.Column("x", sa.Integer())),
    ops.AddColumnOp("a", sa.Column("x", sa.Uuid(), server_default=sa.text("gen_random_uuid()"))),
    ops.DropColumnOp("a", "n"),
    ops.AlterColumnOp("a", "n", modify_name="m"),
    ops.AlterColumnOp("a", "n", modify_nullable=False),
    ops.AlterColumnOp("a", "n", modify_server_default="1"),
    ops.AlterColumnOp("a", "n", existing_type=sa.Integer(), modify_type=sa.BigInteger()),
    ops.AlterColumnOp("a", "n", modify_comment="a number"),
    ops.CreateIndexOp("i", "a", ["n"]),
    ops.CreateUniqueConstraintOp("u", "a", ["n"]),
    ops.CreateCheckConstraintOp("c", "a", "n > 0"),
    ops.CreateCheckConstraintOp("c", "a", "n > 0", postgresql_not_valid=True),
    ops.CreateForeignKeyOp("k", "a", "b", ["n"], ["id"]),
    ops.DropConstraintOp("positive", "a", type_="check"),
    ops.ExecuteSQLOp("ALTER TABLE a VALIDATE CONSTRAINT later"),
    ops.RenameTableOp("a", "z"),
]


async def blocked(connection: Any, statement: str) -> bool:
    """Whether a statement of another connection waits."""
    await connection.execute(sa.text("SET LOCAL lock_timeout = '50ms'"))
    try:
        await connection.execute(sa.text(statement))
    except DBAPIError as error:
        assert "lock timeout" in str(error)
        return True
    finally:
        await connection.rollback()
    return False


@pytest.mark.parametrize("number", range(len(OPERATIONS)))
async def test_operation_takes_the_lock_of_its_rule(number: int, postgresql_url: str) -> None:
    async with migrations.connect(postgresql_url) as runner, migrations.connect(postgresql_url) as other:
        for statement in (
            "CREATE TABLE b (id integer PRIMARY KEY)",
            "CREATE TABLE a (id integer PRIMARY KEY, n integer, CONSTRAINT positive CHECK (id > 0))",
            "INSERT INTO b VALUES (1)",
            "INSERT INTO a VALUES (1, 1)",
            "ALTER TABLE a ADD CONSTRAINT later CHECK (n > 0) NOT VALID",
        ):
            await runner.execute(sa.text(statement))
        await runner.commit()

        def run(connection: sa.Connection) -> tuple[str, set[str]]:
            grade = Grading(connection, is_large=True).grade(OPERATIONS[number])
            oid = connection.scalar(sa.text("SELECT 'a'::regclass::oid::text"))
            Operations(MigrationContext.configure(connection)).invoke(OPERATIONS[number])
            modes = {str(mode).upper() for (mode,) in connection.execute(sa.text(LOCKS), {"name": oid})}
            return grade.lock, modes

        lock, modes = await runner.run_sync(run)
        assert lock in modes
        assert (lock in BLOCKS_READERS) is bool(modes & BLOCKS_READERS), modes  # no stronger one beside it
        assert await blocked(other, "SELECT count(*) FROM a") is (lock in BLOCKS_READERS)
        assert await blocked(other, "UPDATE a SET id = id WHERE id = 1") is (lock in BLOCKS_WRITERS)
        await runner.rollback()
