"""CockroachDB, YugabyteDB and TiDB: their dialects on a real PostgreSQL or MySQL that answers as such a server would.

No such servers are there to test with. What they say of themselves is faked: the query that asks a server for its
version and settings is replaced by one that selects the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import orm
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from orm.database.dialect import Dialect
from orm.database.dialect_registry import dialects
from orm.database.mysql.driver import AsyncmyDriver, MySQLDriver
from orm.exceptions import NotSupportedError
from orm.migrations import async_url

pytestmark = pytest.mark.anyio

COCKROACHDB = "CockroachDB CCL v24.3.1 (x86_64-pc-linux-gnu, built 2024/12/05 14:32:23, go1.22.8) rowid"
YUGABYTEDB = "PostgreSQL 15.2-YB-2025.1.0.0-b168 on x86_64-pc-linux-gnu, compiled by clang"
TIDB = "8.0.11-TiDB-v8.5.0 1"

models = orm.ModelRegistry()


class Shelf(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    number = orm.Integer(unique=True)


class Book(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    shelf = orm.ForeignKey(Shelf, related_name="books", on_delete=orm.CASCADE)
    pages = orm.Integer(default=0)


Connect = Callable[..., Database]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Connect:
    """A database whose server gives this answer."""

    def make(name: str, answer: str, **options: Any) -> Database:
        kind = "mysql" if name == "tidb" else "postgresql"
        url = str(request.getfixturevalue(f"{kind}_url"))
        monkeypatch.setattr(type(dialects[name]), "server_query", f"SELECT '{answer}'")
        return Database(url.replace(kind, name, 1), **options)

    return make


async def create_tables(database: Database) -> None:
    """On MariaDB, which lacks TiDB's collation, by its own dialect."""
    if database.url.dialect == "tidb":
        async with Database(str(database.url).replace("tidb", "mysql", 1)) as models.database:
            await models.create_all()
    else:
        models.database = database
        await models.create_all()
    models.database = database


@pytest.mark.parametrize(("name", "answer"), [("cockroachdb", COCKROACHDB), ("yugabytedb", YUGABYTEDB), ("tidb", TIDB)])
async def test_reads_writes_streams_and_savepoints_work(name: str, answer: str, connect: Connect) -> None:
    async with connect(name, answer) as database:
        await create_tables(database)
        dialect = await dialect_of(database)
        assert dialect.name == name and database._backend.dialect is dialect
        shelf = await Shelf.objects.create(number=1)
        made = await Shelf.objects.bulk_create([Shelf(number=number) for number in range(2, 40)])
        for row in made:
            assert (await Shelf.objects.get(id=row.id)).number == row.number
        await Book.objects.create(shelf=shelf)
        await Shelf.objects.create_graph([{"number": 50 + n, "books": [{"pages": n}, {"pages": n}]} for n in range(3)])
        assert await Book.objects.filter(shelf__number=52).values_list("pages", flat=True) == [2, 2]
        assert len(await Shelf.objects.filter(number__lt=3).graph("books")) == 2
        async with database.transaction(isolation="read_committed"):
            await Shelf.objects.select_for_update().get(number=1)
            try:
                async with database.transaction():
                    await Shelf.objects.create(number=1)
            except orm.UniqueViolation:
                pass
            assert await Shelf.objects.count() == 42
        seen = 0
        async for row in Shelf.objects.order_by("number"):
            if row.number % 10 == 0:
                await row.update(number=-row.number)
            seen += 1
        assert seen == 42
        assert [row["number"] async for row in database.iterate("SELECT number FROM shelf WHERE number = -10")] == [-10]
        await shelf.delete()
        assert await Book.objects.count() == 6


async def test_stream_on_cockroachdb_has_a_transaction_and_a_connection_of_its_own(connect: Connect) -> None:
    async with connect("cockroachdb", COCKROACHDB) as database:
        await create_tables(database)
        await Shelf.objects.bulk_create([Shelf(number=number) for number in range(700)])
        statements: list[str] = []
        async for shelf in Shelf.objects.all():
            if not statements:
                database.add_hook(lambda event: statements.append(event.sql))
                await shelf.delete()
                assert database.pool_status().in_use == 1
        assert not [sql for sql in statements if "WITH HOLD" in sql]
        async with database.transaction():
            assert len([shelf async for shelf in Shelf.objects.all()]) == 699


async def test_connection_with_state_is_closed_where_the_driver_cannot_reset_it(connect: Connect) -> None:
    async with connect("cockroachdb", COCKROACHDB, max_size=1) as database:
        before = await database.fetch_val("SELECT pg_backend_pid()")
        assert await database.fetch_val("SELECT pg_backend_pid()") == before
        await database.execute("SET application_name = 'left behind'")
        assert await database.fetch_val("SELECT current_setting('application_name')") != "left behind"
        assert await database.fetch_val("SELECT pg_backend_pid()") != before


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("cockroachdb", COCKROACHDB, "CockroachDB takes pg_advisory_lock.* locks nothing: keep a table of locks"),
        ("yugabytedb", "PostgreSQL 11.2-YB-2.20.1.3-b3 on x86_64", "before 2025.1 has no advisory locks: keep a table"),
        ("yugabytedb", "PostgreSQL 11.2-YB-2024.2.1.0-b3 on x86_64", "before 2025.1 has no advisory locks"),
    ],
)
async def test_advisory_lock_that_would_not_lock_is_refused(
    name: str, answer: str, message: str, connect: Connect
) -> None:
    async with connect(name, answer) as database:
        with pytest.raises(NotSupportedError, match=message):
            async with database.advisory_lock("report"):
                pass


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("yugabytedb", YUGABYTEDB),
        ("yugabytedb", "PostgreSQL 15.2-YB-2.25.1.0-b1 on x86_64"),
        ("tidb", TIDB),
    ],
)
async def test_advisory_lock_is_taken_where_the_server_has_them(name: str, answer: str, connect: Connect) -> None:
    async with connect(name, answer) as database, database.advisory_lock("report", timeout=1):
        pass


@pytest.mark.parametrize(
    ("name", "answer", "options", "message"),
    [
        ("cockroachdb", COCKROACHDB, {"deferrable": True}, "leave deferrable=True out"),
        ("tidb", TIDB, {"readonly": True}, "leave readonly=True out"),
        ("tidb", TIDB, {"isolation": "serializable"}, 'use "repeatable_read"'),
        ("tidb", TIDB, {"isolation": "read_uncommitted"}, 'use "read_committed"'),
        ("tidb", TIDB, {"deferrable": True}, "no deferrable transactions"),
    ],
)
async def test_transaction_that_the_server_would_not_honour_is_refused(
    name: str, answer: str, options: dict[str, Any], message: str, connect: Connect
) -> None:
    async with connect(name, answer) as database:
        with pytest.raises(NotSupportedError, match=message):
            async with database.transaction(**options):
                pass
        async with database.transaction():
            assert await database.fetch_val("SELECT 1") == 1


async def test_savepoint_is_refused_on_a_server_that_is_too_old_for_it(connect: Connect) -> None:
    async with connect("cockroachdb", "CockroachDB CCL v19.2.1 (x86_64) rowid") as database, database.transaction():
        with pytest.raises(NotSupportedError, match=r"before 20\.1 has no nested transactions"):
            async with database.transaction():
                pass
        assert await database.fetch_val("SELECT 1") == 1


async def test_locks_that_the_server_lacks_are_refused_or_made_stronger(connect: Connect) -> None:
    async with connect("tidb", TIDB) as database:
        await create_tables(database)
        shelves = Shelf.objects.using(database)
        async with database.transaction():
            with pytest.raises(NotSupportedError, match=r"TiDB has no SKIP LOCKED: .* nowait=True"):
                await shelves.select_for_update(skip_locked=True)
            await shelves.select_for_update(nowait=True)
    async with connect("cockroachdb", "CockroachDB CCL v22.1.5 (x86_64) rowid") as database:
        await create_tables(database)
        async with database.transaction():
            with pytest.raises(NotSupportedError, match=r"before 22\.2 has no SKIP LOCKED"):
                await Shelf.objects.using(database).select_for_update(skip_locked=True)


@pytest.mark.parametrize(("name", "answer"), [("cockroachdb", COCKROACHDB), ("yugabytedb", YUGABYTEDB), ("tidb", TIDB)])
async def test_replicas_without_positions_need_eventual_consistency(name: str, answer: str, connect: Connect) -> None:
    url = str(connect(name, answer).url)
    async with Database(url, replicas=[url]) as database:
        await create_tables(database)
        await Shelf.objects.create(number=1)
        with pytest.raises(NotSupportedError, match="consistency='eventual'"):
            await Shelf.objects.count()
    async with Database(url, replicas=[url], consistency="eventual") as database:
        assert await Shelf.objects.using(database).count() == 1


async def test_tidb_that_is_too_old_is_refused_when_it_is_connected(connect: Connect) -> None:
    database = connect("tidb", "5.7.25-TiDB-v6.5.3 1")
    with pytest.raises(NotSupportedError, match=r"before TiDB 7\.4 there is no collation utf8mb4_0900_bin"):
        await database.connect()


@pytest.mark.parametrize(("enforces", "warnings"), [("0", 1), ("1", 0)])
async def test_tidb_that_ignores_checks_is_named_in_the_log(
    enforces: str, warnings: int, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect("tidb", f"8.0.11-TiDB-v8.5.0 {enforces}") as database:
        await database.fetch_val("SELECT 1")
    assert sum("tidb_enable_check_constraint = ON" in record.message for record in caplog.records) == warnings


@pytest.mark.parametrize("version", ["8.0.11-TiDB-v8.5.0", "5.7.25-tidb-serverless"])
async def test_mysql_url_that_leads_to_tidb_gets_its_dialect(
    version: str, mysql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def names_itself(driver: object, raw: object) -> str:
        return await MySQLDriver.server(driver, Handshake(version))  # type: ignore[arg-type]

    monkeypatch.setattr(AsyncmyDriver, "server", names_itself)
    monkeypatch.setattr(type(dialects["tidb"]), "server_query", f"SELECT '{TIDB}'")
    async with Database(mysql_url) as database:
        assert (await dialect_of(database)).name == "tidb"


class Handshake(NamedTuple):
    """What a server says of itself when it is connected to."""

    version: str

    def get_server_info(self) -> str:
        """Its version."""
        return self.version


def test_json_in_a_list_says_what_to_write_on_tidb() -> None:
    class Note(orm.Model):
        registry = orm.ModelRegistry(database=Database("tidb://root@localhost:4000/shop"))

        id = orm.Integer(primary_key=True)
        data = orm.JSON()

    with pytest.raises(NotSupportedError, match="combine conditions"):
        str(Note.objects.filter(data__key__in=["a", "b"]).sql)


@pytest.mark.parametrize("normalization", ["sql_sequence", "sql_sequence_cached", "rowid", "unordered_rowid"])
def test_rows_are_told_apart_by_their_keys_where_these_ascend(normalization: str) -> None:
    dialect = dialects["cockroachdb"].for_server(f"CockroachDB CCL v24.3.1 (x86_64) {normalization}")
    assert dialect.sequential_keys == normalization.startswith("sql_sequence")
    returned: list[tuple[Any, ...]] = [(3,), (1,), (2,)]
    assert dialect.in_insert_order(returned, 0) == (sorted(returned) if dialect.sequential_keys else returned)


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("cockroachdb", "exclusion", "check the rows in a transaction"),
        ("cockroachdb", "nulls_distinct", "make the fields NOT NULL"),
        ("yugabytedb", "deferrable", "at once"),
        ("tidb", "using fulltext", "only btree"),
        ("tidb", "condition", "no partial indexes"),
    ],
)
def test_options_of_indexes_and_constraints_that_the_server_lacks_are_refused(
    name: str, option: str, message: str
) -> None:
    assert message in str(dialects[name].refused_table_option(option))
    assert dialects[name].refused_table_option("using btree") is None


def test_servers_that_answer_alike_share_a_dialect() -> None:
    base: Dialect = dialects["cockroachdb"]
    assert base.for_server(COCKROACHDB) is base.for_server(COCKROACHDB) is not base


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("cockroachdb://app@h/shop", "cockroachdb+asyncpg://app@h/shop"),
        ("yugabytedb://app@h/shop", "postgresql+asyncpg://app@h/shop"),
        ("tidb://app@h/shop", "mysql+asyncmy://app@h/shop"),
    ],
)
def test_migrations_use_the_sqlalchemy_dialect_that_knows_the_server(url: str, expected: str) -> None:
    assert str(async_url(url)) == expected
