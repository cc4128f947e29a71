"""Each rule: the grade and the lock of an operation on a large table, on each server; small tables; raw SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import ops

import orm
from orm import migrations
from orm.database.connections.database import Database
from orm.database.dialect_registry import server_name
from orm.migrations.grades.classification import type_rule
from orm.migrations.grades.grading import Grading
from orm.migrations.grades.rules import RULES, effect_of
from orm.migrations.grades.statements import rule_of
from tests.migrations.hand_written import no_models, set_up, write


def column(name: str, type_: Any = None, *items: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, type_ or sa.Integer(), *items, **options)


def altered(**options: Any) -> ops.AlterColumnOp:
    return ops.AlterColumnOp("a", "n", **options)


def typed(old: Any, new: Any) -> ops.AlterColumnOp:
    return altered(existing_type=old, modify_type=new)


KEY = ops.CreateForeignKeyOp("k", "a", "b", ["n"], ["id"])
# The operation; its rule; its grade on PostgreSQL, MariaDB before 11.2, and SQLite; PostgreSQL's lock.
CASES: list[tuple[Any, str, str, str]] = [
    (ops.CreateTableOp("c", [column("id")]), "create table", "AAA", "none"),
    (
        ops.CreateTableOp("d", [column("id"), column("b_id", sa.Integer(), sa.ForeignKey("b.id"))]),
        "create table with foreign key",
        "AAA",
        "SHARE ROW EXCLUSIVE",
    ),
    (ops.DropTableOp("a"), "drop table", "DDD", "ACCESS EXCLUSIVE"),
    (ops.RenameTableOp("a", "z"), "rename table", "CCC", "ACCESS EXCLUSIVE"),
    (ops.AddColumnOp("a", column("x")), "add column", "AAA", "ACCESS EXCLUSIVE"),
    (ops.AddColumnOp("a", column("x", nullable=False, server_default="1")), "add column", "AAA", "ACCESS EXCLUSIVE"),
    (
        ops.AddColumnOp("a", column("x", sa.DateTime(), server_default=sa.func.now())),
        "add column|add column with an expression as default",
        "AAA",
        "ACCESS EXCLUSIVE",
    ),
    (
        ops.AddColumnOp("a", column("x", nullable=False)),
        "add required column without default",
        "CDC",
        "ACCESS EXCLUSIVE",
    ),
    (
        ops.AddColumnOp("a", column("x", sa.Uuid(), server_default=sa.text("gen_random_uuid()"))),
        "add column with a value for each row",
        "CCC",
        "ACCESS EXCLUSIVE",
    ),
    (
        ops.AddColumnOp("a", column("x", sa.Integer(), sa.Computed("n + 1", persisted=True))),
        "add column with a value for each row",
        "CCC",
        "ACCESS EXCLUSIVE",
    ),
    (
        ops.AddColumnOp("a", column("x", sa.Integer(), sa.Computed("n + 1", persisted=False))),
        "add virtual column",
        "AAA",
        "ACCESS EXCLUSIVE",
    ),
    (ops.AddColumnOp("a", column("x", unique=True)), "add unique column", "CBC", "ACCESS EXCLUSIVE"),
    (
        ops.AddColumnOp("a", column("x", sa.Integer(), sa.ForeignKey("b.id"))),
        "add column with foreign key",
        "ACA",
        "ACCESS EXCLUSIVE, SHARE ROW EXCLUSIVE on the target",
    ),
    (
        ops.AddColumnOp("a", column("x", sa.Integer(), sa.CheckConstraint("x > 0"))),
        "add column with check",
        "CCC",
        "ACCESS EXCLUSIVE",
    ),
    (ops.DropColumnOp("a", "n"), "drop column", "DDD", "ACCESS EXCLUSIVE"),
    (altered(modify_name="m"), "rename column", "CCC", "ACCESS EXCLUSIVE"),
    (altered(modify_server_default="1"), "set default", "AAC", "ACCESS EXCLUSIVE"),
    (altered(modify_nullable=False), "set not null", "BBC", "ACCESS EXCLUSIVE"),
    (altered(modify_nullable=True), "drop not null", "ABC", "ACCESS EXCLUSIVE"),
    (altered(modify_comment="n"), "comment", "AAA", "SHARE UPDATE EXCLUSIVE"),
    (typed(sa.String(70), sa.String(90)), "text wider", "AAC", "ACCESS EXCLUSIVE"),
    (typed(sa.String(63), sa.String(64)), "text wider over 255 bytes", "ACC", "ACCESS EXCLUSIVE"),
    (typed(sa.String(70), sa.Text()), "text without limit", "ACC", "ACCESS EXCLUSIVE"),
    (typed(sa.String(70), sa.String(20)), "text narrower", "CCC", "ACCESS EXCLUSIVE"),
    (typed(sa.Integer(), sa.BigInteger()), "type that rewrites the table", "CCC", "ACCESS EXCLUSIVE"),
    (typed(sa.BigInteger(), sa.SmallInteger()), "type that may lose values", "DDD", "ACCESS EXCLUSIVE"),
    (typed(sa.Numeric(8, 2), sa.Numeric(10, 2)), "decimal wider", "ACC", "ACCESS EXCLUSIVE"),
    (typed(sa.DateTime(), sa.DateTime(timezone=True)), "time zone", "CCC", "ACCESS EXCLUSIVE"),
    (ops.CreateIndexOp("i", "a", ["n"]), "create index", "BBB", "SHARE"),
    (
        ops.CreateIndexOp("i", "a", ["n"], postgresql_concurrently=True),
        "create index|create index concurrently",
        "ABB",
        "SHARE UPDATE EXCLUSIVE",
    ),
    (ops.CreateIndexOp("i", "a", [sa.text("n + 1")]), "create index of expressions", "BCB", "SHARE"),
    (ops.DropIndexOp("i", "a"), "drop index", "AAA", "ACCESS EXCLUSIVE"),
    (
        ops.DropIndexOp("i", "a", postgresql_concurrently=True),
        "drop index|drop index concurrently",
        "AAA",
        "SHARE UPDATE EXCLUSIVE",
    ),
    (ops.CreateUniqueConstraintOp("u", "a", ["n"]), "add unique constraint", "BBC", "ACCESS EXCLUSIVE"),
    (ops.CreatePrimaryKeyOp("p", "a", ["n"]), "change primary key", "CCC", "ACCESS EXCLUSIVE"),
    (ops.CreateCheckConstraintOp("c", "a", "n > 0"), "add check", "BCC", "ACCESS EXCLUSIVE"),
    (KEY, "add foreign key", "BCC", "SHARE ROW EXCLUSIVE"),
    (ops.DropConstraintOp("c", "a", type_="check"), "drop check", "AAC", "ACCESS EXCLUSIVE"),
    (ops.DropConstraintOp("k", "a", type_="foreignkey"), "drop foreign key", "AAC", "ACCESS EXCLUSIVE"),
    (ops.DropConstraintOp("u", "a", type_="unique"), "drop constraint", "ABC", "ACCESS EXCLUSIVE"),
    (ops.ExecuteSQLOp("UPDATE a SET n = 1"), "update rows", "CCC", "row locks"),
    (ops.ExecuteSQLOp(sa.table("a", column("n")).delete()), "delete rows", "DDD", "row locks"),
    (ops.ExecuteSQLOp("INSERT INTO a (n) VALUES (1)"), "insert rows", "AAA", "row locks"),
    (ops.ExecuteSQLOp("CALL rebuild()"), "not understood", "DDD", "unknown"),
    (ops.ExecuteSQLOp("/* grade: B */ CALL rebuild()"), "not understood", "BBB", "unknown"),
]
PLACES = {"postgresql": 0, "mariadb": 1, "sqlite": 2}


async def test_each_operation_has_the_grade_and_the_lock_of_its_rule(database_url: str) -> None:
    async with migrations.connect(database_url) as connection:

        def compare(sync: sa.Connection) -> None:
            grading = Grading(sync, is_large=True)
            name = server_name(sync.dialect)
            if name == "mysql":
                pytest.fail("add MySQL's grades to the cases")
            for operation, rules, letters, lock in CASES:
                grading._created.clear()
                grade = grading.grade(operation)
                assert grade.rule in rules.split("|"), (operation, grade)
                expected = letters[PLACES[name]]
                if name == "mariadb" and grading.version >= (11, 2) and grade.rewrites:
                    continue  # test_mariadb_copies_tables_online_from_11_2
                assert grade.letter == expected, (name, operation, grade)
                assert name != "postgresql" or grade.lock == lock, (operation, grade)
                assert (grade.letter == "D") is bool(grade.loses)

        await connection.run_sync(compare)


def test_mariadb_copies_tables_online_from_11_2() -> None:
    for rule in ("type that rewrites the table", "add check", "text narrower"):
        assert effect_of(rule, "mariadb", (10, 11, 9)).letter == "C"
        assert effect_of(rule, "mariadb", (11, 8, 2)).lock == "ALGORITHM=COPY, LOCK=NONE"
        assert effect_of(rule, "mysql", (9, 7, 0)).lock == "ALGORITHM=COPY, LOCK=SHARED"
    assert effect_of("add foreign key", "mariadb", (11, 8, 2)).letter == "C"
    assert effect_of("add column", "cockroachdb", ()).letter == "C"  # not measured


def test_every_rule_names_the_effect_on_each_server() -> None:
    for name, rule in RULES.items():
        assert {"postgresql", "mysql", "mariadb", "sqlite"} <= set(rule.effects), name
        losing = any(effect.letter == "D" for effect in rule.effects.values())
        unknown = any(effect.lock == "unknown" for effect in rule.effects.values())
        assert not losing or rule.loses or unknown, name


@pytest.mark.parametrize(
    ("sql", "rule", "table"),
    [
        ("CREATE TABLE x (id int)", "create table", "x"),
        ("DROP TABLE IF EXISTS s.x", "drop table", "x"),
        ("TRUNCATE x", "delete rows", "x"),
        ('UPDATE "s"."the x" SET a = 1', "update rows", "the x"),
        ("INSERT INTO x (a) SELECT a FROM y", "insert rows of a query", "x"),
        ("INSERT INTO x (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2", "not understood", None),
        ("CREATE INDEX CONCURRENTLY i ON x (a)", "create index concurrently", "x"),
        ("CREATE UNIQUE INDEX i ON x (lower(a))", "create index of expressions", "x"),
        ("ALTER TABLE x ADD CONSTRAINT c CHECK (a > 0) NOT VALID", "add check not valid", "x"),
        (
            "ALTER TABLE x ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES y (id) NOT VALID",
            "add foreign key not valid",
            "x",
        ),
        ("ALTER TABLE x ADD CONSTRAINT c CHECK (a > 0)", "add check", "x"),
        ("ALTER TABLE x ADD CHECK (a > 0), DROP COLUMN b", "not understood", None),
        ("ALTER TABLE x VALIDATE CONSTRAINT c", "validate constraint", "x"),
        ("ALTER TABLE x ADD COLUMN b integer", "add column", "x"),
        ("ALTER TABLE x ADD COLUMN b integer NOT NULL", "not understood", None),
        ("ALTER TABLE x ADD COLUMN b integer, DROP COLUMN a", "not understood", None),
        ("ALTER TABLE x ALTER COLUMN a SET NOT NULL", "set not null", "x"),
        ("ALTER TABLE x ALTER COLUMN a TYPE bigint", "not understood", None),
        ("ALTER TABLE x DROP CONSTRAINT c", "drop constraint", "x"),
        ("ALTER TABLE x DROP COLUMN a", "drop column", "x"),
        ("ALTER TABLE x RENAME COLUMN a TO b", "rename column", "x"),
        ("ALTER TABLE x SET SCHEMA s", "rename table", "x"),
        ("SET lock_timeout = 3000", "read", None),
        ("SELECT count(*) FROM x", "not understood", None),
        ("SELECT drop_everything()", "not understood", None),
        ("UPDATE x SET a = 1; DROP TABLE x", "not understood", None),
        ("UPDATE x SET a = ';' -- DROP", "update rows", "x"),
        ("DO $$ BEGIN DROP TABLE x; END $$", "not understood", None),
        ("WITH gone AS (DELETE FROM x RETURNING *) SELECT * FROM gone", "not understood", None),
    ],
)
def test_statements_of_sql_are_understood_or_not(sql: str, rule: str, table: str | None) -> None:
    found, _, name = rule_of(sql)
    assert (found, name) == (rule, table)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (sa.Numeric(10, 2), sa.Numeric(10, 4), "type that may lose values"),
        (sa.Numeric(10, 2), sa.Numeric(12, 4), "type that rewrites the table"),
        (sa.Numeric(10, 4), sa.Numeric(10, 2), "type that may lose values"),
        (sa.Double(), sa.Integer(), "type that may lose values"),
        (sa.DateTime(), sa.Date(), "type that may lose values"),
        (sa.Integer(), sa.String(20), "type that rewrites the table"),
        (sa.Enum("a", "b", name="e"), sa.Enum("a", "b", "c", name="e"), "enum value"),
        (sa.Enum("a", "b", name="e"), sa.Enum("a", name="e"), "type that may lose values"),
    ],
)
def test_changes_of_types(old: Any, new: Any, rule: str) -> None:
    assert type_rule(old, new) == rule


CREATE = "op.create_table('a', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('n', sa.Integer()))"
INDEX = "op.create_index('i', 'a', ['n'])"
DROP = "op.drop_column('a', 'n')"
RENAME = "op.alter_column('a', 'n', new_column_name='m', existing_type=sa.Integer())"
UNKNOWN = "op.execute('SELECT something()')"
READS = "op.execute(str(op.get_bind().scalar(sa.text('SELECT max(id) FROM a')) + 1))"


async def letters(models: orm.ModelRegistry, directory: Path) -> list[str]:
    return [str(row.grade) for row in await migrations.plan(models, directory=directory)]


async def test_empty_and_small_tables_are_exempt(database_url: str, tmp_path: Path) -> None:
    directory, models = set_up(tmp_path / "migrations"), no_models(database_url)
    write(
        directory, "r1", None, [CREATE, INDEX, RENAME, UNKNOWN, "op.drop_index('i', 'a')", "op.drop_table('a')", CREATE]
    )
    assert await letters(models, directory) == ["A"] * 7
    (directory / "versions/r1.py").unlink()
    write(directory, "r1", None, [CREATE])
    assert await migrations.upgrade(models, directory=directory, allow="A") == ["r1"]
    write(directory, "r2", "r1", [INDEX, RENAME, DROP, UNKNOWN, READS])
    # Python that fails without the rows that it reads is graded as a whole.
    assert await letters(models, directory) == ["A"]
    write(directory, "r2", "r1", [INDEX, RENAME, DROP, UNKNOWN])
    assert await letters(models, directory) == ["A"] * 4
    async with Database(database_url) as database:
        await database.execute("INSERT INTO a (id, n) VALUES (1, 1), (2, 2)")
        assert await letters(models, directory) == ["A", "C", "D", "D"]
        planned = await migrations.plan(models, directory=directory)
        assert planned[0].grade is not None and planned[0].grade.rows == 2
        with pytest.raises(orm.GradeNotAllowed, match="nothing has run") as caught:
            await migrations.upgrade(models, directory=directory, allow="C")
        assert [row.description for row in caught.value.operations] == ["drop column a.n", "SELECT something()"]
        assert "first deploy code" in str(caught.value) and "--allow D" in str(caught.value)
        assert await migrations.current(models, directory=directory) == ("r1",)
        found = await migrations.check(models, max_grade="B", directory=directory)
        assert [finding.kind for finding in found] == ["grade"] * 3


async def test_large_table_by_the_statistics_of_the_server(database_url: str, tmp_path: Path) -> None:
    directory, models = set_up(tmp_path / "migrations"), no_models(database_url)
    write(directory, "r1", None, [CREATE])
    await migrations.upgrade(models, directory=directory)
    write(directory, "r2", "r1", [INDEX])
    async with Database(database_url) as database:
        digits = " CROSS JOIN ".join(f"(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2) d{i}" for i in range(9))
        await database.execute(f"INSERT INTO a (n) SELECT 1 FROM {digits}")  # 19,683 rows
        [row] = await migrations.plan(models, directory=directory)
        assert row.grade is not None and row.grade.letter == "B" and 15_000 < (row.grade.rows or 0) < 200_000


async def test_new_file_has_its_grades_as_comments(database_url: str, tmp_path: Path) -> None:
    directory = set_up(tmp_path / "migrations")
    models = orm.ModelRegistry(database=orm.Database(database_url))

    class Note(orm.Model):
        registry = models

        id = orm.BigInteger(primary_key=True)

    made = await migrations.make(models, directory=directory)
    assert made is not None and made.path is not None
    text = made.path.read_text(encoding="utf-8")
    assert "; `orm migrate --plan` has those of a database:\n#   A  create table note (none)\ndef upgrade()" in text
    assert await migrations.upgrade(models, directory=directory, allow="B") == [made.revision]
