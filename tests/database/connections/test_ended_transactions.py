"""Transactions that the server ends: the first error is raised, and nothing more runs in any of their blocks."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import anyio
import pytest

from orm.database.connections.database import Database
from orm.exceptions import ConnectionLost, Deadlock, Error, SerializationFailure, TransactionError
from tests.database.notes_table import add_note, create_notes, execute, fetch, native, texts
from tests.waiting import noticed_as_closed

pytestmark = pytest.mark.anyio


async def increment(database: Database, key: int) -> None:
    await execute(database, "UPDATE notes SET views = views + 1 WHERE id = ?", key)


@pytest.mark.parametrize("caught", [True, False], ids=["caught", "raised"])
@pytest.mark.parametrize("nested", [True, False], ids=["nested", "flat"])
async def test_deadlock_keeps_all_of_a_transaction_or_nothing(database: Database, nested: bool, caught: bool) -> None:
    if database.url.dialect == "sqlite":
        pytest.skip("SQLite has one writer")
    await create_notes(database, 2)
    has_first_lock = [asyncio.Event(), asyncio.Event()]
    deadlocks: list[Deadlock] = []

    async def work(task: int) -> None:
        async with database.transaction():
            await increment(database, 1 + task)
            await add_note(database, f"before {task}")
            has_first_lock[task].set()
            await has_first_lock[1 - task].wait()
            try:
                if nested:
                    async with database.transaction():
                        await increment(database, 2 - task)
                else:
                    await increment(database, 2 - task)
            except Deadlock as error:
                deadlocks.append(error)
                if not caught:
                    raise
            await add_note(database, f"after {task}")

    results = await asyncio.wait_for(asyncio.gather(work(0), work(1), return_exceptions=True), 30)
    assert len(deadlocks) == 1
    kept = {text for text in await texts(database) if not text.startswith("note")}
    for task, result in enumerate(results):
        names = {f"before {task}", f"after {task}"}
        if result is None:
            assert names <= kept
        else:
            assert not names & kept
            assert isinstance(result, TransactionError if caught else Deadlock)
    if caught and nested and database.url.dialect == "postgresql":
        assert results == [None, None]  # its savepoint keeps what came before the deadlock
    else:
        assert results.count(None) == 1
    async with database.transaction():
        await add_note(database, "later")
    assert "later" in await texts(database)


@pytest.mark.parametrize("nested", [True, False], ids=["nested", "flat"])
async def test_outdated_snapshot_on_mariadb_ends_the_transaction(mysql_url: str, nested: bool) -> None:
    async with Database(mysql_url) as other:
        await create_notes(other, 1)
        ((version,),) = await fetch(other, "SELECT VERSION()")
        if "MariaDB" not in version:
            pytest.skip("MySQL does not compare snapshots")

        async def compare_snapshots(raw: Any) -> None:
            cursor = raw.cursor()
            await cursor.execute("SET SESSION innodb_snapshot_isolation = ON")

        async with Database(mysql_url, on_connect=compare_snapshots) as database:
            with pytest.raises(TransactionError, match="SerializationFailure"):
                async with database.transaction():
                    assert await texts(database) == ["note 1"]
                    await add_note(database, "before")
                    await increment(other, 1)
                    with pytest.raises(SerializationFailure):
                        if nested:
                            async with database.transaction():
                                await increment(database, 1)
                        else:
                            await increment(database, 1)
                    await add_note(database, "after")
            assert await texts(database) == ["note 1"]


async def test_after_a_lost_connection_every_block_refuses_further_statements(database: Database) -> None:
    if database.url.dialect == "sqlite":
        pytest.skip("SQLite has no connections to kill")
    await create_notes(database)
    who = "SELECT pg_backend_pid()" if database.url.dialect == "postgresql" else "SELECT connection_id()"
    async with Database(str(database.url)) as other:
        with pytest.raises(TransactionError, match="ConnectionLost"):
            async with database.transaction():
                await add_note(database, "outer")
                with contextlib.suppress(ConnectionLost):
                    async with database.transaction():
                        ((key,),) = await fetch(database, who)
                        kill = "SELECT pg_terminate_backend(?)" if "postgresql" in database.url.dialect else "KILL ?"
                        await fetch(other, kill, key)
                        async with database.connection() as connection:
                            await noticed_as_closed(database, connection.raw_connection)
                        await add_note(database, "inner")
                with pytest.raises(TransactionError):
                    await fetch(database, "SELECT 1")
                with pytest.raises(TransactionError):
                    await database.fetch_all("SELECT 1")
                with pytest.raises(TransactionError):
                    async with database.transaction():
                        pass
    assert await texts(database) == []
    await add_note(database, "later")
    assert await texts(database) == ["later"]


LONG_WRITE = (
    "INSERT INTO notes (text, views) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000000)"
    " SELECT 'row ' || i, i FROM n"
)


@pytest.mark.parametrize("nested", [True, False], ids=["nested", "flat"])
async def test_sqlite_write_that_is_interrupted_ends_the_transaction(sqlite_url: str, nested: bool) -> None:
    async with Database(sqlite_url) as database:
        await create_notes(database)
        with pytest.raises(TransactionError):
            async with database.transaction():
                await add_note(database, "before")
                with anyio.move_on_after(0.2) as scope:
                    if nested:
                        async with database.transaction():
                            await execute(database, LONG_WRITE)
                    else:
                        await execute(database, LONG_WRITE)
                assert scope.cancelled_caught
                with contextlib.suppress(Error):
                    await add_note(database, "after")
        assert await texts(database) == []
        async with database.transaction():
            await add_note(database, "later")
        assert await texts(database) == ["later"]


async def test_a_failed_statement_that_ends_nothing_leaves_the_transaction_usable(database: Database) -> None:
    await create_notes(database, 1)
    async with database.transaction():
        await add_note(database, "before")
        with contextlib.suppress(Error):
            async with database.transaction():
                await fetch(database, native(database, "SELECT nothing FROM notes WHERE id = ?"), 1)
        await add_note(database, "after")
    assert {"before", "after"} <= set(await texts(database))
