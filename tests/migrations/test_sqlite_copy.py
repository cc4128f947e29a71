"""Copies of tables on SQLite: everything is there afterwards, and a copy that fails changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.util import CommandError
from sqlalchemy import event

import orm.migrations  # noqa: F401 - it registers the operations of SQLite
from orm.migrations.servers.sqlite_table import CreateTable, normalized

TABLE = """CREATE TABLE t (
  id integer primary key autoincrement, -- the key, counted
  name text not null collate nocase,
  amount integer not null default 3 check (amount > 0),
  p_id integer references p(id) on delete cascade deferrable initially deferred,
  twice integer generated always as (amount * 2) stored,
  thrice integer generated always as (amount * 3) virtual,
  made text not null default (strftime('%Y', 'now')),
  code text unique on conflict replace,
  a integer, b integer, "odd ""name""," text default 'x, (y',
  constraint named_ck check (a is null or a < 100),
  constraint u_ab unique (a, b),
  check (b is null or b < 100)
) strict"""
OTHERS = (
    "CREATE TABLE p (id integer primary key)",
    "CREATE TABLE log (n integer)",
    "CREATE INDEX ix_desc ON t (a, b DESC)",
    "CREATE INDEX ix_part ON t (b) WHERE b > 5",
    "CREATE INDEX ix_expr ON t (lower(name))",
    "CREATE INDEX ix_nocase ON t (name COLLATE nocase)",
    "CREATE TABLE child (id integer primary key, t_id integer not null references t(id) on delete cascade)",
    "CREATE TRIGGER trg AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.id); END",
    "CREATE VIEW v AS SELECT id, name FROM t",
    "INSERT INTO p VALUES (1)",
    "INSERT INTO t (name, p_id, a, b, code) VALUES ('x', 1, 1, 1, 'c'), ('y', 1, 2, 2, 'd'), ('z', 1, 3, 3, 'e')",
    "INSERT INTO child VALUES (1, 1), (2, 2)",
    "DELETE FROM t WHERE id = 3",
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sa.Connection]:
    """A file with the table, and a connection whose transactions begin when SQLAlchemy says so."""
    path = tmp_path / "copies.db"
    with sqlite3.connect(path) as raw:
        for statement in (TABLE, *OTHERS):
            raw.execute(statement)
    raw.close()
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.pool.NullPool)
    event.listen(engine, "connect", lambda driver, record: setattr(driver, "isolation_level", None))
    event.listen(engine, "begin", lambda each: each.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def master(connection: sa.Connection) -> dict[str, str]:
    rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: normalized(sql) for name, sql in rows}


def everything(connection: sa.Connection) -> list[object]:
    tables = ("t", "child", "log", "p", "sqlite_sequence")
    return [connection.exec_driver_sql(f"SELECT rowid, * FROM {name}").fetchall() for name in tables]


def operations(connection: sa.Connection) -> Operations:
    return Operations(MigrationContext.configure(connection))


def test_copy_keeps_everything_but_what_changes(connection: sa.Connection) -> None:
    before, rows = master(connection), everything(connection)
    with operations(connection).batch_alter_table("t") as batch:
        batch.alter_column("amount", existing_type=sa.Integer(), server_default="4")
    connection.commit()
    after = master(connection)
    assert after.pop("t") == before.pop("t").replace("default 3", "default '4'").replace(
        "amount integer not null default '4'", "amount integer default '4' not null"
    )
    assert after == before
    assert everything(connection) == rows
    assert connection.exec_driver_sql("SELECT * FROM v").fetchall() == [(1, "x"), (2, "y")]
    # What it keeps works: the trigger, the counter, the constraints, the default.
    connection.exec_driver_sql("INSERT INTO t (name) VALUES ('new')")
    assert connection.exec_driver_sql("SELECT id, amount, twice, thrice FROM t WHERE name = 'NEW'").fetchone() == (
        4,
        4,
        8,
        12,
    )
    connection.exec_driver_sql("DELETE FROM t WHERE id = 4")
    assert connection.exec_driver_sql("SELECT n FROM log").fetchall() == [(3,), (4,)]
    for values in ("'q', 0, 1, 1", "'q', 1, 100, 1", "'q', 1, 1, 100"):
        with pytest.raises(sa.exc.IntegrityError):
            connection.exec_driver_sql(f"INSERT INTO t (name, amount, a, b) VALUES ({values})")


def test_several_changes_are_one_copy_in_their_order(connection: sa.Connection) -> None:
    statements: list[str] = []
    event.listen(connection, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    with operations(connection).batch_alter_table("t") as batch:
        batch.drop_constraint("named_ck", type_="check")
        batch.add_column(sa.Column("added", sa.Text(), nullable=False, server_default="old"))
        batch.alter_column("added", existing_type=sa.Text(), server_default=None)
        batch.alter_column("a", existing_type=sa.Integer(), nullable=False)
        batch.create_check_constraint("positive", sa.text("a > 0"))
        batch.alter_column("b", existing_type=sa.Integer(), new_column_name="c")
    assert sum(statement.startswith("INSERT INTO _orm_copy_t") for statement in statements) == 1
    table = CreateTable.parse(
        connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 't'").scalar() or ""
    )
    assert [(name, normalized(text)) for name, text in table.named("check")] == [
        (None, "check ( amount > 0 )"),
        (None, "check ( c is null or c < 100 )"),
        ("positive", "constraint positive check ( a > 0 )"),
    ]
    assert connection.exec_driver_sql("SELECT added, c FROM t").fetchall() == [("old", 1), ("old", 2)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda batch: batch.alter_column("name", type_=sa.Integer()),
            "cannot store TEXT value in INTEGER column",
        ),
        (lambda batch: batch.create_foreign_key("fk", "p", ["a"], ["id"]), "row 2 of t has no row in p"),
        (lambda batch: batch.alter_column("p_id", nullable=False, new_column_name="made"), "duplicate column name"),
        (lambda batch: batch.create_check_constraint("some", sa.text("a > 1")), "CHECK constraint failed: some"),
        (lambda batch: batch.drop_constraint("nothing", type_="check"), "has no constraint nothing"),
        (lambda batch: batch.alter_column("nothing", nullable=True), "has no column nothing"),
    ],
)
def test_copy_that_fails_changes_nothing(connection: sa.Connection, change: Any, message: str) -> None:
    connection.exec_driver_sql("UPDATE t SET code = name")
    connection.commit()
    before, rows = master(connection), everything(connection)
    connection.commit()
    with (
        pytest.raises((CommandError, sa.exc.DBAPIError), match=message),
        operations(connection).batch_alter_table("t") as batch,
    ):
        change(batch)
    # The transaction goes on, as before the batch.
    assert (master(connection), everything(connection)) == (before, rows)
    connection.rollback()
    assert (master(connection), everything(connection)) == (before, rows)


def test_copy_is_refused_while_foreign_keys_are_enforced(connection: sa.Connection) -> None:
    raw = connection.connection.dbapi_connection
    assert raw is not None
    connection.commit()
    raw.execute("PRAGMA foreign_keys = ON")  # type: ignore[attr-defined]
    with (
        pytest.raises(CommandError, match="enforces foreign keys"),
        operations(connection).batch_alter_table("t") as batch,
    ):
        batch.alter_column("amount", existing_type=sa.Integer(), server_default="4")
    assert connection.exec_driver_sql("SELECT count(*) FROM child").scalar() == 2


@pytest.mark.parametrize(
    ("sql", "columns", "constraints"),
    [
        ("CREATE TABLE x(a)", {"a": ""}, []),
        (
            "create table [x y] ('a' varchar (10, 2) , `b` double precision null)",
            {"a": "varchar (10, 2)", "b": "double precision"},
            [],
        ),
        (
            "CREATE TABLE x (a INT REFERENCES y ON DELETE SET NULL NOT DEFERRABLE DEFAULT NULL NOT NULL)",
            {"a": "INT"},
            [],
        ),
        ("CREATE TABLE x (a TEXT, PRIMARY KEY (a COLLATE nocase DESC)) WITHOUT ROWID", {"a": "TEXT"}, ["primary key"]),
        (
            "CREATE TABLE x (a /* , b */ INT, -- c\n UNIQUE (a), CONSTRAINT f FOREIGN KEY (a) REFERENCES y)",
            {"a": "INT"},
            ["unique", "foreign key"],
        ),
    ],
)
def test_create_table_is_taken_apart(sql: str, columns: dict[str, str], constraints: list[str]) -> None:
    table = CreateTable.parse(sql)
    assert {column.name: column.type for column in table.columns} == columns
    assert [constraint.kind for constraint in table.constraints] == constraints
    # It can be put together again, and means the same.
    with sqlite3.connect(":memory:") as raw:
        raw.execute("CREATE TABLE y (a TEXT PRIMARY KEY)")
        raw.execute(table.sql("z"))
    raw.close()
