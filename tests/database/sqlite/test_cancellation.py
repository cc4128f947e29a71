"""Cancelled statements and transactions on SQLite: the connection goes back to the pool outside of any transaction."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator

import anyio
import pytest

from orm.database.connections.database import Database
from tests.database.notes_table import add_note, create_notes, texts

pytestmark = pytest.mark.anyio


@pytest.fixture
def other_process(sqlite_url: str) -> Iterator[sqlite3.Connection]:
    """A connection to the same file that the pool knows nothing of, as another process has it."""
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("PRAGMA busy_timeout = 1000")
    yield connection
    connection.close()


async def transaction(database: Database) -> None:
    async with database.transaction():
        await add_note(database, "given up")


async def statement(database: Database) -> None:
    await add_note(database, "given up")


async def assert_clean(database: Database, other: sqlite3.Connection) -> None:
    """Writes that were acknowledged are there for others, who can write, too."""
    for number in range(3):
        await add_note(database, f"acknowledged {number}")
    seen = {text for (text,) in other.execute("SELECT text FROM notes")}
    assert seen >= {"acknowledged 0", "acknowledged 1", "acknowledged 2"}
    assert seen == set(await texts(database))
    other.execute("INSERT INTO notes (text) VALUES ('from outside')")
    async with database.transaction():
        await add_note(database, "in a transaction")
    assert not any(raw.in_transaction for raw, *_ in database._backend._pool._idle)


@pytest.mark.parametrize("work", [transaction, statement])
@pytest.mark.parametrize("cancellations", [1, 2, 3, 5])
async def test_cancelled_while_another_process_writes_leaves_no_transaction(
    sqlite_url: str, other_process: sqlite3.Connection, work: object, cancellations: int
) -> None:
    async with Database(sqlite_url) as database:
        await create_notes(database)
        other_process.execute("BEGIN IMMEDIATE")
        task = asyncio.ensure_future(work(database))  # type: ignore[operator]
        await asyncio.sleep(0.1)
        for _ in range(cancellations):
            task.cancel()
            await asyncio.sleep(0.02)
        other_process.execute("ROLLBACK")
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        await assert_clean(database, other_process)


@pytest.mark.parametrize("work", [transaction, statement])
async def test_cancelled_by_an_anyio_scope_leaves_no_transaction(
    sqlite_url: str, other_process: sqlite3.Connection, work: object
) -> None:
    async with Database(sqlite_url) as database:
        await create_notes(database)
        other_process.execute("BEGIN IMMEDIATE")
        with anyio.move_on_after(0.1) as scope:
            await work(database)  # type: ignore[operator]
        assert scope.cancelled_caught
        other_process.execute("ROLLBACK")
        await assert_clean(database, other_process)
