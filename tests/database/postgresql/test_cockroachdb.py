"""CockroachDB's dialect: what it compiles differently from PostgreSQL's. (`test_variants.py` runs it.)"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.schema import CreateTable

import orm
from orm import functions
from orm.database.dialect import Dialect
from orm.database.dialect_registry import dialects
from orm.database.postgresql.dialect import PostgreSQLDialect
from orm.migrations import async_url
from orm.query.on_conflict import Conflict
from orm.query.plans.select import count_plan
from orm.query.plans.write import WriteTerm, bulk_insert, delete_plan, insert_plan, update_plan
from tests.conformance import orm_side
from tests.conformance.areas import ALL

models = orm.ModelRegistry()


class Author(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50, unique=True)


class Book(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    author = orm.ForeignKey(Author)
    pages = orm.Integer(allow_null=True)
    copies = orm.SmallInteger(default=1)
    title = orm.String(max_length=50)
    data = orm.JSON(default=dict)


@pytest.fixture
def dialect() -> Dialect:
    return dialects["cockroachdb"]


@pytest.fixture
def database() -> orm.Database:
    """Never connected: nothing answers there."""
    return orm.Database("cockroachdb://root@localhost:26257/shop")


def in_one_line(sql: object) -> str:
    return " ".join(str(sql).split())


def test_urls_with_the_scheme_name_the_dialect(dialect: Dialect) -> None:
    for url in ("cockroachdb://root@localhost/shop", "cockroachdb+asyncpg://root@localhost/shop"):
        query = Book.objects.using(orm.Database(url)).filter(pages__in=[1])
        assert "book.pages = ANY(CAST($1 AS BIGINT[]))" in in_one_line(query.sql)
        assert str(async_url(url)) == "cockroachdb+asyncpg://root@localhost/shop"
    with pytest.raises(orm.NotSupportedError, match=r"cockroachdb\+asyncpg"):
        orm.Database("cockroachdb+psycopg://root@localhost/shop")


def conformance_queries() -> list[tuple[str, orm.QuerySet[Any]]]:
    """The querysets of the conformance suite, unevaluated."""
    queries = []
    for case in ALL:
        if case.area == "errors and transactions":
            continue  # coroutines, which would have to be awaited
        try:
            query = case.query(orm_side.m, orm_side.o)
        except orm.Error:
            continue  # a case of an error
        if isinstance(query, orm.QuerySet):
            queries.append((f"{case.area}: {case.name}", query))
        elif isinstance(query, Generator) or hasattr(query, "close"):
            query.close()
    return queries


def compiled(query: orm.QuerySet[Any], database: orm.Database) -> str:
    try:
        return in_one_line(query.using(database).sql)
    except orm.QueryError as error:
        return repr(error)


def test_the_queries_of_the_conformance_suite_compile_as_on_postgresql_but_for_what_differs(
    database: orm.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgresql = orm.Database("postgresql://localhost/shop")
    monkeypatch.setattr(orm_side.models, "_database", postgresql)
    queries = conformance_queries()
    assert len(queries) > 1_500
    different = {name for name, query in queries if compiled(query, database) != compiled(query, postgresql)}
    assert different == {"functions: SHA256", "functions: Cast to integer"}


def test_lookups_of_every_family_compile(database: orm.Database) -> None:
    cases = {
        "book.title = $1": {"title": "x"},
        "book.title LIKE $1::VARCHAR ESCAPE '!'": {"title__contains": "x"},
        "UPPER(book.title) LIKE UPPER($1::VARCHAR) ESCAPE '!'": {"title__istartswith": "x"},
        "book.title ~* $1": {"title__iregex": "^x"},
        "book.pages BETWEEN $1::BIGINT AND $2::BIGINT": {"pages__range": (1, 2)},
        "book.pages = ANY(CAST($1 AS BIGINT[]))": {"pages__in": [1, 2]},
        "book.pages IS NULL": {"pages__isnull": True},
        "(book.data @> $1::JSONB)": {"data__contains": {"a": 1}},
        "(book.data #> CAST($1 AS TEXT[])) = $2::JSONB": {"data__a__b": 1},
        "author.name = $1": {"author__name": "x"},
    }
    for condition, lookup in cases.items():
        query = Book.objects.using(database).filter(**lookup)
        assert in_one_line(query.sql).endswith(f" WHERE {condition}"), lookup


def test_functions_and_windows_compile(database: orm.Database) -> None:
    cases: dict[str, Any] = {
        "(SHA256(book.title))": functions.SHA256("title"),
        "(SHA1(book.title))": functions.SHA1("title"),
        "(STRPOS(book.title, CAST($1 AS VARCHAR)))": functions.StrIndex("title", orm.Value("x")),
        "CAST(book.title AS BIGINT)": functions.Cast("title", orm.Integer()),
        "row_number() OVER (ORDER BY book.pages DESC)": orm.Window(functions.RowNumber(), order_by="-pages"),
        "STRING_AGG(book.title, CAST($1 AS VARCHAR) ORDER BY book.pages)": orm.StringAgg(
            "title", ", ", order_by="pages"
        ),
    }
    for sql, expression in cases.items():
        query = Book.objects.using(database).annotate(value=expression).values_list("value")
        assert in_one_line(query.sql).startswith(f"SELECT {sql} AS anon_1"), sql


@pytest.mark.parametrize(
    ("options", "clause"),
    [
        ({}, "FOR UPDATE"),
        ({"no_key": True}, "FOR UPDATE"),
        ({"nowait": True}, "FOR UPDATE NOWAIT"),
        ({"skip_locked": True, "of": ["self"]}, "FOR UPDATE OF book SKIP LOCKED"),
    ],
)
def test_row_locks_are_never_weaker_than_for_update(
    options: dict[str, Any], clause: str, database: orm.Database, dialect: Dialect
) -> None:
    assert in_one_line(Book.objects.using(database).select_for_update(**options).sql).endswith(f"FROM book {clause}")
    shared = dialect.lock_rows(
        sqlalchemy.select(Book.table.c.id), of=(), share=True, no_key=False, nowait=False, skip_locked=False
    )
    assert in_one_line(dialect.compile(shared)).endswith("FROM book FOR UPDATE")


def test_writes_compile(dialect: Dialect) -> None:
    author, book = Author._meta, Book._meta
    name, (title, pages, key) = author.fields["name"], (book.fields[name] for name in ("title", "pages", "id"))
    query = Book.objects.filter(pages=1)._query
    assignments = ((title, WriteTerm(title, "x")),)
    upsert = Conflict(update=(name,), unique=(name,))
    cases = {
        "INSERT INTO book (title) VALUES ($1) RETURNING book.id": insert_plan(dialect, book, (title,), (key,)),
        "INSERT INTO book (title) VALUES ($1) ON CONFLICT DO NOTHING": insert_plan(
            dialect, book, (title,), (), Conflict()
        ),
        "INSERT INTO author (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = excluded.name": (
            insert_plan(dialect, author, (name,), (), upsert)
        ),
        "UPDATE book SET title=$1 WHERE book.pages = $2::BIGINT": update_plan(dialect, query, assignments),
        "DELETE FROM book WHERE book.pages = $1::BIGINT": delete_plan(dialect, query),
        "SELECT count(*) AS count_1 FROM book WHERE book.pages = $1::BIGINT": count_plan(dialect, query),
    }
    for sql, plan in cases.items():
        assert in_one_line(plan.sql) == sql
    sql, arguments, _ = bulk_insert(dialect, book, (title, pages), (key,), None).statement([("a", 1), ("b", 2)])
    assert in_one_line(sql) == (
        "INSERT INTO book (title, pages) SELECT anon_1.c0, anon_1.c1 FROM "
        "unnest(CAST($1 AS TEXT[]), CAST($2 AS BIGINT[])) WITH ORDINALITY AS anon_1(c0, c1, n) "
        "ORDER BY anon_1.n RETURNING book.id"
    )
    assert [*map(list, arguments)] == [["a", "b"], [1, 2]]


def test_tables_have_keys_and_foreign_keys_of_64_bits(dialect: Dialect) -> None:
    assert in_one_line(CreateTable(Book.table).compile(dialect=dialect.sqlalchemy)) == (
        "CREATE TABLE book ( id BIGSERIAL NOT NULL, author BIGINT NOT NULL, pages BIGINT, copies SMALLINT NOT NULL, "
        "title VARCHAR(50) NOT NULL, data JSONB NOT NULL, PRIMARY KEY (id), "
        "CONSTRAINT book_author_fkey FOREIGN KEY(author) REFERENCES author (id) )"
    )
    with pytest.raises(orm.NotSupportedError, match="CockroachDB has no arrays of JSON"):
        orm.Array(orm.JSON()).column_type().storage(dialect.sqlalchemy)


def test_null_comes_first(dialect: Dialect) -> None:
    assert not dialect.nulls_high
    assert PostgreSQLDialect.nulls_high
