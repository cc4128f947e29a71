"""`orm.Database`: connecting, databases in memory, records, hooks, state left on connections, and event loops."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import databases
import pytest
import sqlalchemy as sa

from orm.database.connections.checkout import Checkout
from orm.database.connections.database import Database
from orm.database.query_log.events import QueryEvent
from orm.exceptions import InterfaceError, NotSupportedError, PoolTimeout, UniqueViolation
from tests.database.notes_table import add_note, create_notes, execute, fetch, texts

pytestmark = pytest.mark.anyio

metadata = sa.MetaData()
notes = sa.Table(
    "notes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("text", sa.String(50)),
    sa.Column("views", sa.Integer),
)


# Connecting


async def test_connect_and_disconnect_are_idempotent(database_url: str) -> None:
    database = Database(database_url)
    await database.disconnect()
    await asyncio.gather(*(database.connect() for _ in range(10)))
    assert await fetch(database, "SELECT 1") == [(1,)]
    await asyncio.gather(*(database.disconnect() for _ in range(10)))
    assert not database.is_connected
    assert await fetch(database, "SELECT 1") == [(1,)]  # first use again
    await database.disconnect()


async def test_options_of_the_call_override_those_of_the_url(database_url: str) -> None:
    url = databases.DatabaseURL(database_url)
    for database in (Database(url, min_size=2, max_size=3), Database(f"{url}?min_size=2&max_size=3")):
        async with database:
            await asyncio.wait_for(asyncio.gather(*(fetch(database, "SELECT 1") for _ in range(10))), 10)


@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql", "postgresql+asyncpg", "mysql", "mysql+asyncmy", "mysql+aiomysql", "mariadb"]
)
async def test_each_supported_scheme_names_its_backend(scheme: str, postgresql_url: str, mysql_url: str) -> None:
    url = postgresql_url if "postgres" in scheme else mysql_url
    async with Database(scheme + url[url.index(":") :]) as database:
        assert await fetch(database, "SELECT 1") == [(1,)]
        driver = type(database._backend).__module__
        assert "aiomysql" not in scheme or "aiomysql" in driver


def test_unknown_scheme_is_refused() -> None:
    with pytest.raises(NotSupportedError, match="postgresql"):
        Database("oracle://localhost/shop")


@pytest.mark.parametrize(
    ("url", "packages", "named"),
    [
        ("sqlite://", ["aiosqlite"], "aiosqlite"),
        ("postgresql://localhost/x", ["asyncpg"], "asyncpg"),
        ("mysql://localhost/x", ["asyncmy", "aiomysql"], "asyncmy"),
        ("mysql+asyncmy://localhost/x", ["asyncmy"], "asyncmy"),
        ("mysql+aiomysql://localhost/x", ["aiomysql"], "aiomysql"),
    ],
)
def test_missing_driver_names_its_package(url: str, packages: list[str], named: str) -> None:
    program = (
        "import sys\n"
        "from orm.database.connections.database import Database\n"
        f"sys.modules.update(dict.fromkeys({packages!r}))\n"
        f"try: Database({url!r})\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("InterfaceError"), done.stdout
    assert f"pip install {named} (" in done.stdout


def test_program_without_disconnect_exits(database_url: str) -> None:
    program = (
        "import asyncio\n"
        "from orm.database.connections.database import Database\n"
        "from orm.database.connections.checkout import Checkout\n"
        f"database = Database({database_url!r})\n"
        "async def main():\n"
        "    async with Checkout(database) as checkout: print(len(await checkout.fetch('SELECT 1')))\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=180, check=True)
    assert done.stdout == "1\n"


# Event loops


def test_database_works_on_one_event_loop_after_another(database_url: str) -> None:
    database = Database(database_url)

    async def first() -> None:
        await create_notes(database, 1)
        await database.disconnect()

    async def then() -> None:
        assert await texts(database) == ["note 1"]
        await database.disconnect()

    asyncio.run(first())
    asyncio.run(then())


def test_database_works_after_a_loop_closed_without_disconnect(sqlite_url: str) -> None:
    for url in (sqlite_url, "sqlite://"):
        database = Database(url)
        asyncio.run(create_notes(database, 1))
        assert asyncio.run(texts(database)) == ["note 1"]

        async def interrupted(database: Database = database) -> None:
            await database.transaction()
            await add_note(database, "lost")

        if url == "sqlite://":
            asyncio.run(interrupted())
            assert asyncio.run(texts(database)) == ["note 1"]
        asyncio.run(database.disconnect())


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_disconnect_closes_connections_of_another_loop(database_url: str) -> None:
    database = Database(database_url)
    asyncio.run(create_notes(database, 1))
    assert asyncio.run(texts(database)) == ["note 1"]
    asyncio.run(database.disconnect())
    gc.collect()


async def test_second_running_loop_is_refused(sqlite_url: str) -> None:
    async with Database(sqlite_url) as database:

        def elsewhere() -> None:
            with pytest.raises(InterfaceError, match="another event loop"):
                asyncio.run(fetch(database, "SELECT 1"))

        await asyncio.to_thread(elsewhere)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("in_block", [False, True], ids=["a query", "a transaction"])
def test_scope_that_rolls_back_begins_again_on_another_loop(database_url: str, in_block: bool) -> None:
    asyncio.run(create_notes(Database(database_url), 1))
    database = Database(database_url, force_rollback=True)

    async def add() -> list[str]:
        async with database.transaction() if in_block else contextlib.nullcontext():
            await add_note(database, "note 2")
            return await texts(database)

    for _ in range(3):  # what was written on a loop that was closed without disconnect() is gone
        assert asyncio.run(add()) == ["note 1", "note 2"]
    asyncio.run(database.disconnect())
    assert asyncio.run(texts(Database(database_url))) == ["note 1"]
    gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("dropped", [False, True], ids=["kept", "dropped"])
def test_scope_that_rolls_back_keeps_nothing_locked_when_its_loop_ends(database_url: str, dropped: bool) -> None:
    scopes = [Database(database_url, force_rollback=True)]

    async def create() -> None:
        async with Database(database_url) as other:
            await create_notes(other, 1)

    async def change() -> None:
        await execute(scopes[0], "UPDATE notes SET text = 'changed'")
        if dropped:
            scopes.clear()
            gc.collect()

    async def change_elsewhere() -> list[str]:
        async with Database(database_url) as other:
            assert await texts(other) == ["note 1"]
            await asyncio.wait_for(execute(other, "UPDATE notes SET text = 'free'"), 10)
            return await texts(other)

    asyncio.run(create())
    asyncio.run(change())
    assert asyncio.run(change_elsewhere()) == ["free"]


async def test_second_running_loop_is_refused_in_a_scope_that_rolls_back(database_url: str) -> None:
    async with Database(database_url, force_rollback=True) as database:

        async def transaction() -> None:
            async with database.transaction():
                raise AssertionError("it has begun")

        async def stream() -> None:
            async for _ in database.iterate("SELECT 1"):
                raise AssertionError("it has read")

        async def callback() -> None:
            await database.on_commit(lambda: None)

        def elsewhere() -> None:
            for use in (lambda: fetch(database, "SELECT 1"), transaction, stream, callback, database.connect):
                with pytest.raises(InterfaceError, match="another event loop"):
                    asyncio.run(use())

        await asyncio.to_thread(elsewhere)
        assert await fetch(database, "SELECT 1") == [(1,)]


async def test_second_loop_is_refused_while_the_first_one_connects(sqlite_url: str) -> None:
    database = Database(sqlite_url)

    def elsewhere() -> None:
        with pytest.raises(InterfaceError, match="another event loop"):
            asyncio.run(fetch(database, "SELECT 1"))

    async def open_connection(connection: object) -> None:
        await asyncio.to_thread(elsewhere)

    database = Database(sqlite_url, on_connect=open_connection)
    async with database:
        assert await fetch(database, "SELECT 1") == [(1,)]


# SQLite


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
async def test_in_memory_database_is_shared_by_all_tasks(url: str) -> None:
    async with Database(url) as database:
        await create_notes(database)
        await asyncio.gather(*(add_note(database, f"{i}") for i in range(50)))
        assert len(await texts(database)) == 50

        async def work(number: int) -> None:
            async with database.transaction():
                await add_note(database, f"in {number}")
                await asyncio.sleep(0)
                assert (await texts(database))[-1] == f"in {number}"

        await asyncio.gather(*(work(i) for i in range(20)))
        assert len(await texts(database)) == 70
    async with Database(url) as database:
        assert await fetch(database, "SELECT name FROM sqlite_master") == []


async def test_waiting_for_a_connection_of_the_same_task_times_out() -> None:
    async with Database("sqlite://", timeout=0.1) as database:
        async with database.transaction():
            with pytest.raises(PoolTimeout), database.detached():
                await fetch(database, "SELECT 1")
        assert await fetch(database, "SELECT 1") == [(1,)]


async def test_sqlite_file_settings(sqlite_url: str) -> None:
    async with Database(sqlite_url) as database:
        # The ORM waits for locks itself; SQLite does so for the users of the raw connection.
        settings = {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 0}
        for pragma, value in settings.items():
            assert await fetch(database, f"PRAGMA {pragma}") == [(value,)]
        async with database.connection() as connection:
            assert await fetch(database, "PRAGMA busy_timeout") == [(0,)]
            raw: Any = connection.raw_connection
            assert await raw.execute_fetchall("PRAGMA busy_timeout") == [(30000,)]


async def test_sqlite_readers_do_not_wait_for_the_writer(sqlite_url: str) -> None:
    async with Database(sqlite_url) as database:
        await create_notes(database, 1)
        async with database.transaction():
            await add_note(database, "uncommitted")
            with database.detached():
                read = await asyncio.wait_for(asyncio.gather(*(texts(database) for _ in range(4))), 25)
        assert read == [["note 1"]] * 4


async def test_sqlite_waits_for_the_write_of_another_process(sqlite_url: str, tmp_path: Path) -> None:
    async with Database(sqlite_url) as database:
        await create_notes(database)
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
        try:
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO notes (text) VALUES ('other')")
            waiting = asyncio.create_task(add_note(database, "mine"))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            other.execute("COMMIT")
            await asyncio.wait_for(waiting, 25)
        finally:
            other.close()
        assert await texts(database) == ["other", "mine"]


async def test_memory_uri_opens_a_database_in_memory() -> None:
    async with Database("sqlite:///file:shared?mode=memory&cache=shared", uri=True) as database:
        await create_notes(database, 3)
        assert len(await texts(database)) == 3


# What is left on a connection


async def test_state_left_on_a_connection_is_reset(database: Database) -> None:
    settings = {
        "postgresql": ("SET search_path = nowhere", "SELECT current_setting('search_path')", '"$user", public'),
        "mysql": ("SET @@session.sql_mode = ''", "SELECT @@session.sql_mode = ''", 0),
        "sqlite": ("PRAGMA cache_size = 7", "SELECT cache_size = 7 FROM pragma_cache_size", 0),
    }
    change, look, value = settings[database.url.dialect]
    await database.execute(change)
    assert await fetch(database, look) == [(value,)]
    async with database.connection() as connection:
        raw = connection.raw_connection
        await raw.execute(change) if database.url.dialect != "mysql" else await raw.query(change)
    assert await fetch(database, look) == [(value,)]


async def test_clean_connections_are_not_reset(postgresql_url: str) -> None:
    async with Database(postgresql_url, max_size=1) as database:
        [(one,)] = await fetch(database, "SELECT pg_backend_pid()")
        assert await database.fetch_val("SELECT pg_backend_pid()") == one
        await database.execute("SET search_path = nowhere")
        assert await fetch(database, "SELECT pg_backend_pid()") == [(one,)]
        await database.fetch_val("SELECT pg_advisory_lock(42)")
        assert await fetch(database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


async def test_transaction_begun_by_sql_ends_with_its_session(database: Database) -> None:
    await create_notes(database)
    async with Checkout(database) as checkout:
        await checkout.execute("BEGIN")
        await checkout.execute("INSERT INTO notes (text) VALUES ('lost')")
    assert await texts(database) == []


# The methods of `databases`


async def test_fetch_methods_of_databases_return_records(any_database: databases.Database) -> None:
    await create_notes(any_database)
    database = any_database
    assert await database.execute(notes.insert().values(text="one", views=1)) == 1
    await database.execute_many(notes.insert(), [{"text": "two", "views": 2}, {"text": "three", "views": 3}])
    rows = await database.fetch_all(notes.select().order_by(notes.c.id))
    assert [getattr(row, name) for row in rows for name in ("text",)] == ["one", "two", "three"]
    assert rows[0]["text"] == rows[0][notes.c.text] == rows[0][1] == rows[0]._mapping["text"] == "one"
    row = await database.fetch_one("SELECT id, text FROM notes WHERE views = :views", {"views": 2})
    assert row is not None and (row["id"], row["text"]) == (2, "two")
    assert await database.fetch_one(notes.select().where(notes.c.id == 9)) is None
    assert await database.fetch_val(sa.select(sa.func.count()).select_from(notes)) == 3
    assert await database.fetch_val(notes.select().order_by(notes.c.id), column="text") == "one"
    assert [row["id"] async for row in database.iterate(notes.select().order_by(notes.c.id))] == [1, 2, 3]


async def test_execute_of_databases_returns_the_number_of_rows(database: Database) -> None:
    await create_notes(database, 5)
    updated = await database.execute(notes.update().where(notes.c.id < 3).values(views=9))
    deleted = await database.execute("DELETE FROM notes WHERE id = 5")
    if database.url.dialect != "postgresql":  # where `databases` returns the first column of the first row
        assert (updated, deleted) == (2, 1)


async def test_statements_run_between_the_rows_of_iterate(database: Database) -> None:
    await create_notes(database, 30)
    seen = []
    async for row in database.iterate(notes.select().order_by(notes.c.id)):
        seen.append(row["id"])
        if row["id"] % 10 == 0:
            await add_note(database, f"while at {row['id']}")
    assert seen[:30] == list(range(1, 31))
    async for _ in database.iterate(notes.select()):
        break
    async with database.transaction():
        assert [row["id"] async for row in database.iterate(notes.select().where(notes.c.id < 4))] == [1, 2, 3]
    if database.url.dialect != "mysql":
        insert = "INSERT INTO notes (text) VALUES ('new') RETURNING text"
        assert [row["text"] async for row in database.iterate(insert)] == ["new"]
    assert await fetch(database, "SELECT COUNT(*) FROM notes WHERE SUBSTR(text, 1, 5) = 'while'") == [(3,)]


# Hooks and echo


async def test_hooks_are_called_for_every_statement(database: Database) -> None:
    await create_notes(database, 3)
    events: list[QueryEvent] = []
    database.add_hook(events.append)
    await fetch(database, "SELECT * FROM notes WHERE id > ?", 1)
    await execute(database, "UPDATE notes SET views = ?", 5)
    await database.fetch_all(notes.select().where(notes.c.id == 1))
    with pytest.raises(UniqueViolation):
        await add_note(database, "note 1")
    async with Checkout(database) as checkout:
        async for _ in checkout.stream("SELECT id FROM notes", chunk=2):
            pass
    assert [event.rows for event in events] == [2, 3, 1, None, 3]
    assert "SELECT * FROM notes" in events[0].sql and list(events[0].values) == [1]
    assert all(0 < event.seconds < 5 for event in events)
    assert [type(event.error).__name__ for event in events] == ["NoneType"] * 3 + ["UniqueViolation", "NoneType"]
    async with database.transaction():
        pass
    begin, commit = events[-2:]
    assert begin.sql.startswith(("BEGIN", "START")) and commit.sql == "COMMIT"
    database.remove_hook(events.append)
    await fetch(database, "SELECT 1")
    assert len(events) == 7
    with pytest.raises(ValueError, match="not in list"):
        database.remove_hook(events.append)


async def test_echo_logs_each_statement(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Database(sqlite_url, echo=True) as database:
        assert database.echo
        with caplog.at_level(logging.INFO, "orm.sql"):
            await fetch(database, "SELECT ?", 42)
        database.echo = False
        await fetch(database, "SELECT 'silent'")
        database.echo = database.echo
    [message] = [record.message for record in caplog.records if record.name == "orm.sql"]
    assert message.startswith("SELECT ? (42,)") and message.endswith("1 row")


def test_echo_prints_to_standard_error_without_configured_logging(sqlite_url: str) -> None:
    program = (
        "import asyncio\n"
        "from orm.database.connections.database import Database\n"
        "async def main():\n"
        f"    async with Database({sqlite_url!r}, echo=True) as database: await database.fetch_all('SELECT 42')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "SELECT 42" in done.stderr


# The pool


async def test_tasks_beyond_the_pool_size_wait_for_a_connection(database_url: str) -> None:
    async with Database(database_url, max_size=2) as database:
        await create_notes(database, 1)

        async def work() -> None:
            async with database.transaction(readonly=True):
                await fetch(database, "SELECT COUNT(*) FROM notes")

        await asyncio.wait_for(asyncio.gather(*(work() for _ in range(40))), 20)
