"""Checkouts: statements, counts, streams and placeholders, on `orm.Database` and on a plain one."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import databases
import pytest

from orm.database.connections.checkout import Checkout
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from orm.exceptions import ForeignKeyViolation, ProgrammingError
from tests.database.notes_table import add_note, create_notes, execute, fetch, native, texts

pytestmark = pytest.mark.anyio


async def test_dialect_of_names_the_server(any_database: databases.Database) -> None:
    kind = (await dialect_of(any_database)).name
    assert (
        kind
        in {"sqlite": ["sqlite"], "postgresql": ["postgresql"], "mysql": ["mysql", "mariadb"]}[any_database.url.dialect]
    )
    assert (await dialect_of(any_database)).name == kind


async def test_fetch_returns_rows_in_column_order(any_database: databases.Database) -> None:
    await create_notes(any_database, 2)
    async with Checkout(any_database) as checkout:
        first, second = await checkout.fetch("SELECT views, id, text FROM notes ORDER BY id")
    assert tuple(first) == (1, 1, "note 1")
    views, key, text = second
    assert (views, key, text) == (2, 2, "note 2")


async def test_execute_returns_the_generated_key_of_an_insert(any_database: databases.Database) -> None:
    await create_notes(any_database, 3)
    outcome = await add_note(any_database, "four")
    assert outcome.rowcount == 1
    if any_database.url.dialect != "postgresql":
        assert outcome.lastrowid == 4


async def test_execute_counts_the_rows_matched_not_those_changed(any_database: databases.Database) -> None:
    await create_notes(any_database, 5)
    outcome = await execute(any_database, "UPDATE notes SET views = views WHERE id <= ?", 3)
    assert outcome.rowcount == 3
    assert (await execute(any_database, "DELETE FROM notes WHERE id > ?", 100)).rowcount == 0
    assert (await execute(any_database, "DELETE FROM notes")).rowcount == 5


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 25])
async def test_stream_gives_every_row_once(any_database: databases.Database, count: int) -> None:
    await create_notes(any_database, count)
    query = native(any_database, "SELECT id FROM notes WHERE id > ? ORDER BY id")
    async with Checkout(any_database) as checkout:
        batches = [batch async for batch in checkout.stream(query, [0], chunk=10)]
    assert [row[0] for batch in batches for row in batch] == list(range(1, count + 1))
    assert all(len(batch) <= 10 for batch in batches)
    async with any_database.transaction(), Checkout(any_database) as checkout:
        assert [row[0] async for batch in checkout.stream(query, [0], 10) for row in batch] == list(range(1, count + 1))


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_statements_run_between_the_batches_of_a_stream(
    any_database: databases.Database, in_transaction: bool
) -> None:
    await create_notes(any_database, 30)

    async def walk() -> list[int]:
        seen = []
        async with Checkout(any_database) as checkout:
            async for batch in checkout.stream("SELECT id FROM notes ORDER BY id", chunk=7):
                seen += [row[0] for row in batch]
                assert await fetch(any_database, "SELECT 1") == [(1,)]
                await add_note(any_database, f"while at {seen[-1]}")
        return seen

    if in_transaction:
        async with any_database.transaction():
            seen = await walk()
    else:
        seen = await walk()
    assert seen == list(range(1, 31))
    assert len(await texts(any_database)) == 35


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_stream_ended_early_leaves_a_usable_connection(
    any_database: databases.Database, in_transaction: bool
) -> None:
    await create_notes(any_database, 2000)

    async def look() -> None:
        for _ in range(3):
            async with (
                Checkout(any_database) as checkout,
                aclosing(checkout.stream("SELECT id FROM notes ORDER BY id", chunk=10)) as stream,  # type: ignore[type-var]
            ):
                async for batch in stream:
                    assert len(batch) == 10
                    break
            assert await fetch(any_database, "SELECT COUNT(*) FROM notes") == [(2000,)]

    if in_transaction:
        async with any_database.transaction():
            await look()
    else:
        await look()


async def test_abandoned_stream_is_cleaned_up(any_database: databases.Database) -> None:
    await create_notes(any_database, 2000)

    async def look() -> None:
        async with Checkout(any_database) as checkout:
            async for _ in checkout.stream("SELECT id FROM notes ORDER BY id", chunk=10):
                break

    await look()
    async with any_database.transaction():
        await add_note(any_database, "after")
    await asyncio.sleep(0.05)
    assert await fetch(any_database, "SELECT COUNT(*) FROM notes") == [(2001,)]


async def test_failing_stream_raises_a_translated_error(any_database: databases.Database) -> None:
    async with Checkout(any_database) as checkout:
        with pytest.raises(ProgrammingError):
            async for _ in checkout.stream("SELECT * FROM nowhere"):
                pass


async def test_first_use_connects_once_for_many_tasks(database_url: str) -> None:
    for kind in (databases.Database, Database):
        database = kind(database_url)
        try:
            assert await asyncio.gather(*(fetch(database, "SELECT 1") for _ in range(30))) == [[(1,)]] * 30
        finally:
            await database.disconnect()


async def test_each_task_has_its_own_connection(any_database: databases.Database) -> None:
    await create_notes(any_database)
    inside = asyncio.Event()
    done = asyncio.Event()

    async def writer() -> None:
        async with any_database.transaction():
            await add_note(any_database, "uncommitted")
            inside.set()
            await done.wait()

    task = asyncio.create_task(writer())
    await inside.wait()
    assert await texts(any_database) == []
    done.set()
    await task
    assert await texts(any_database) == ["uncommitted"]


async def test_foreign_keys_are_enforced(any_database: databases.Database) -> None:
    await create_notes(any_database, 1)
    await execute(
        any_database,
        "CREATE TABLE remarks (id INTEGER PRIMARY KEY, note INTEGER, FOREIGN KEY (note) REFERENCES notes (id))",
    )
    await execute(any_database, "INSERT INTO remarks (id, note) VALUES (1, 1)")
    with pytest.raises(ForeignKeyViolation):
        await execute(any_database, "INSERT INTO remarks (id, note) VALUES (2, 7)")
    with pytest.raises(ForeignKeyViolation):
        async with any_database.transaction():
            await execute(any_database, "DELETE FROM notes")


@pytest.mark.parametrize("plain", [False, True])
async def test_sqlite_has_regexp_and_casefold(sqlite_url: str, plain: bool) -> None:
    kind = databases.Database if plain else Database
    async with kind(sqlite_url) as database:
        sql = "SELECT 'Malibu' REGEXP 'l.b', 'Malibu' REGEXP '^l', NULL REGEXP 'x', 'x' REGEXP NULL, 12 REGEXP '2$'"
        assert await fetch(database, sql) == [(1, 0, None, None, 1)]
        assert await fetch(database, "SELECT orm_casefold('STRASSE ÄÖ'), orm_casefold(NULL)") == [("strasse äö", None)]
        async with database.transaction():
            assert await fetch(database, "SELECT orm_casefold('Ä')") == [("ä",)]
