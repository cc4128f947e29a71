"""Tasks that wait for the lock of another process: how long, and what a deadline does."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator

import anyio
import pytest

from orm.database.connections.database import Database
from orm.database.sqlite.busy_retries import BusyRetries
from orm.database.sqlite.managed_driver import SerializedWriterDriver
from orm.exceptions import LockNotAvailable
from tests.database.notes_table import add_note, create_notes, texts

pytestmark = pytest.mark.anyio
Work = Callable[[Database], Awaitable[object]]


@pytest.fixture
def other_process(sqlite_url: str) -> Iterator[sqlite3.Connection]:
    """A connection to the same file that the pool knows nothing of, as another process has it."""
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    yield connection
    connection.close()


async def statement(database: Database) -> None:
    await add_note(database, "mine")


async def transaction(database: Database) -> None:
    async with database.transaction():
        await add_note(database, "mine")


async def raw_sql(database: Database) -> None:
    await database.execute("INSERT INTO notes (text) VALUES ('mine')")


WRITES = [statement, transaction, raw_sql]


@pytest.fixture
async def database(sqlite_url: str) -> object:
    async with Database(sqlite_url) as database:
        await create_notes(database)
        for number in range(5):
            await add_note(database, f"note {number}")
            await database.execute(f"DELETE FROM notes WHERE text = 'note {number}'")
        yield database


@pytest.mark.parametrize("work", WRITES)
async def test_write_goes_on_when_the_other_process_is_done(
    database: Database, other_process: sqlite3.Connection, work: Work
) -> None:
    other_process.execute("BEGIN IMMEDIATE")
    task = asyncio.ensure_future(work(database))
    await asyncio.sleep(0.1)
    assert not task.done()
    other_process.execute("COMMIT")
    await asyncio.wait_for(task, 25)  # less than it waits for a lock
    assert await texts(database) == ["mine"]


@pytest.mark.parametrize("work", WRITES)
async def test_deadline_holds_during_the_wait_and_nothing_is_written(
    database: Database, other_process: sqlite3.Connection, work: Work
) -> None:
    for _ in range(20):  # the machine may be busy
        other_process.execute("BEGIN IMMEDIATE")
        before = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(work(database), 0.1)
        late = time.monotonic() - before - 0.1
        other_process.execute("COMMIT")
        await asyncio.sleep(0.1)
        assert await texts(database) == []
        await add_note(database, "acknowledged")
        other_process.execute("DELETE FROM notes")
        if late < 0.05:
            break
    else:
        raise AssertionError("the deadline does not hold")


@pytest.mark.parametrize("work", WRITES)
async def test_deadline_of_an_anyio_scope_holds_during_the_wait(
    database: Database, other_process: sqlite3.Connection, work: Work
) -> None:
    other_process.execute("BEGIN IMMEDIATE")
    before = time.monotonic()
    with anyio.move_on_after(0.1) as scope:
        await work(database)
    assert scope.cancelled_caught
    assert time.monotonic() - before < 25  # less than it waits for a lock
    other_process.execute("COMMIT")
    await work(database)
    assert await texts(database) == ["mine"]


@pytest.mark.parametrize("work", WRITES)
async def test_lock_that_is_kept_for_longer_than_busy_timeout_raises(
    sqlite_url: str, database: Database, other_process: sqlite3.Connection, work: Work
) -> None:
    async with Database(sqlite_url, busy_timeout=0.1) as impatient:
        other_process.execute("BEGIN IMMEDIATE")
        before = time.monotonic()
        with pytest.raises(LockNotAvailable, match=r"another process has been using it for 0\.1 seconds"):
            await work(impatient)
        assert time.monotonic() - before >= 0.1
        other_process.execute("COMMIT")
        await work(impatient)
        assert await texts(impatient) == ["mine"]


async def test_without_wal_reads_wait_as_well(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{tmp_path}/delete.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
    other.execute("BEGIN")
    other.execute("SELECT * FROM notes").fetchall()
    async with Database(f"sqlite:///{path}", busy_timeout=0.2) as database:
        other.execute("ROLLBACK")
        driver = database._backend.driver
        assert isinstance(driver, SerializedWriterDriver)
        for iterates in (False, True):
            other.execute("BEGIN EXCLUSIVE")

            async def read(iterates: bool = iterates) -> list[object]:
                if iterates:
                    return [row async for row in database.iterate("SELECT * FROM notes")]
                return list(await texts(database))

            with pytest.raises(LockNotAvailable):
                await read()
            with monkeypatch.context() as patch:
                patch.setattr(driver, "busy_retries", BusyRetries(30))
                task = asyncio.ensure_future(read())
                await asyncio.sleep(0.05)
                assert not task.done()
                other.execute("COMMIT")
                assert await asyncio.wait_for(task, 25) == []
    other.close()
