"""A dialect from the base class up compiles what it defines and what is standard SQL, and refuses all else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import UnsupportedCompilationError

import orm
from orm import functions
from orm.database.dialect import Dialect
from orm.database.dialect_registry import dialects, register, unregister
from orm.database.postgresql.dialect import PostgreSQLDialect
from orm.database.sql_functions import STANDARD_FUNCTIONS, same_name
from orm.query.plans.write import delete_plan, insert_plan, update_plan

pytestmark = pytest.mark.anyio


def in_one_line(sql: object) -> str:
    return " ".join(str(sql).split())


models = orm.ModelRegistry()


class Item(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)
    price = orm.Integer(default=0)
    added = orm.DateTime()
    data = orm.JSON(default=dict)


class NewDialect(Dialect):
    """A dialect without drivers."""

    name = "newdb"
    insert_returning = update_returning = delete_returning = True
    sql_functions = {**same_name("length"), "sha512": None}


class RelatedDialect(PostgreSQLDialect):
    """A relative of PostgreSQL, with its driver."""

    name = "relatedb"


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    register("newdb", f"{__name__}:NewDialect")
    register("relatedb", f"{__name__}:RelatedDialect", aliases=["related"])
    yield
    unregister("newdb")
    unregister("relatedb")


@pytest.fixture
def database() -> orm.Database:
    return orm.Database("newdb://localhost/shop")


@pytest.fixture
def items(database: orm.Database) -> orm.QuerySet[Item]:
    return Item.objects.using(database)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("extract", lambda items: items.filter(added__month=3)),
        ("trunc", lambda items: items.annotate(x=functions.TruncMonth("added"))),
        ("round", lambda items: items.annotate(x=functions.Round("price", 1))),
        ("signed", lambda items: items.annotate(x=orm.F("price").bitand(1))),
        ("json_at", lambda items: items.filter(data__size__width=3)),
        ("datetime_gap", lambda items: items.annotate(x=orm.F("added") - orm.F("added"))),
        ("substr_of", lambda items: items.annotate(x=functions.Substr("name", 1, 2))),
        ("sha256", lambda items: items.annotate(x=functions.SHA256("name"))),
        ("now", lambda items: items.annotate(x=functions.Now())),
        ("as_datetime", lambda items: items.filter(added__lt=functions.Now())),
    ],
)
def test_function_without_an_entry_is_refused(name: str, query: Any, items: orm.QuerySet[Item]) -> None:
    with pytest.raises(orm.NotSupportedError, match=rf"newdb has no SQL .* sql_functions\['{name}'\] of NewDialect"):
        _ = query(items).sql


def test_error_of_a_function_without_an_entry_tells_what_it_takes() -> None:
    with pytest.raises(orm.NotSupportedError, match=r"of NewDialect\. It takes 2 literals and 1 arguments\.$"):
        dialects["newdb"].function("extract", ("month", "date"), ("item.added",))
    with pytest.raises(orm.NotSupportedError, match=r"of NewDialect\. It takes nothing\.$"):
        dialects["newdb"].function("random", (), ())


def test_standard_function_with_literals_is_refused() -> None:
    with pytest.raises(orm.NotSupportedError, match="the function abs"):
        dialects["newdb"].function("abs", ("integer",), ("item.price",))


def test_functions_with_standard_names_and_own_ones_compile(items: orm.QuerySet[Item]) -> None:
    for name in STANDARD_FUNCTIONS:
        assert dialects["newdb"].function(name, (), ("x", "y")) == f"{name.upper()}(x, y)"
    sql = items.annotate(x=functions.Upper("name"), y=functions.Length("name")).values("x", "y").sql
    assert in_one_line(sql) == "SELECT UPPER(item.name) AS anon_1, LENGTH(item.name) AS anon_2 FROM item"


def test_dialect_that_is_not_registered_compiles_standard_functions_only() -> None:
    expression: Any = Item
    assert str(functions.Upper("name").build(expression.table.c.name)) == "UPPER(item.name)"
    with pytest.raises(UnsupportedCompilationError):
        functions.SHA256("name").build(expression.table.c.name).compile(dialect=DefaultDialect())


def test_writes_compile_with_returning() -> None:
    dialect, info = dialects["newdb"], Item._meta
    key, name = info.fields["id"], info.fields["name"]
    assert in_one_line(insert_plan(dialect, info, (name,), (key,)).sql) == (
        "INSERT INTO item (name) VALUES (:p0) RETURNING item.id"
    )
    assert in_one_line(delete_plan(dialect, Item.objects.filter(name="x")._query).sql) == (
        "DELETE FROM item WHERE item.name = :p0"
    )
    assert update_plan(dialect, Item.objects.filter(name="x")._query, ()) is not None
    many = sqlalchemy.insert(Item.table).values([{"name": "a"}, {"name": "b"}]).returning(Item.table.c.id)
    assert "VALUES (:name_m0), (:name_m1) RETURNING item.id" in in_one_line(dialect.compile(many))
    one = dialect.compile(sqlalchemy.insert(Item.table).values([{}]))
    assert in_one_line(one) == "INSERT INTO item DEFAULT VALUES"


async def test_database_without_a_driver_compiles_and_does_not_connect(
    database: orm.Database, items: orm.QuerySet[Item]
) -> None:
    query = items.filter(price=3).values("id")
    assert in_one_line(query.sql) == "SELECT item.id FROM item WHERE item.price = :p0"
    refusals = [database.connect, query.count, lambda: query, lambda: database.fetch_all("SELECT 1")]
    for refused in refusals:
        with pytest.raises(orm.NotSupportedError, match=r"newdb cannot be connected to.* `drivers` of NewDialect"):
            await refused()
    await database.disconnect()


def test_database_with_an_unknown_driver_is_refused() -> None:
    with pytest.raises(orm.NotSupportedError, match="newdb\\+h2driver:// is not a database the ORM knows"):
        orm.Database("newdb+h2driver://localhost/shop")


@pytest.mark.parametrize("scheme", ["relatedb", "related", "relatedb+asyncpg"])
async def test_connection_errors_name_the_registered_dialect(scheme: str) -> None:
    database = orm.Database(f"{scheme}://localhost:1/shop")
    with pytest.raises(orm.OperationalError, match="cannot connect to relatedb at localhost:1, database 'shop'"):
        await database.connect()


@pytest.mark.parametrize("option", ["nowait", "skip_locked", "no_key", "of", "share"])
def test_option_of_a_lock_that_the_dialect_would_leave_out_is_refused(option: str, items: orm.QuerySet[Item]) -> None:
    assert in_one_line(items.select_for_update().values("id").sql) == "SELECT item.id FROM item FOR UPDATE"
    options: dict[str, Any] = {"of": ("self",)} if option == "of" else {option: True}
    locked = items.select_for_share() if option == "share" else items.select_for_update(**options)
    with pytest.raises(orm.NotSupportedError, match=f"FOR UPDATE alone, without {option}.*lock_rows"):
        _ = locked.sql
    related = Item.objects.using(orm.Database("relatedb://localhost/shop")).select_for_update(skip_locked=True)
    assert in_one_line(related.values("id").sql).endswith("FOR UPDATE SKIP LOCKED")
