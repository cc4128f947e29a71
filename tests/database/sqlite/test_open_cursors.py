"""A read that fails, or is cancelled, leaves no cursor open, even while the program keeps the error.

An open cursor keeps the connection in its state of the database: its next reads miss rows, and its writes fail.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

import orm
from orm.database.connections.checkout import Checkout
from orm.database.connections.database import Database
from tests.database.notes_table import add_note, create_notes, texts

# The second row has a text that is not UTF-8, which is an error when the row is read.
FAILING = "SELECT text FROM notes UNION ALL SELECT CAST(x'ff' AS TEXT)"
READABLE = "SELECT text FROM notes"


async def fetched(database: Database, sql: str) -> None:
    async with Checkout(database) as checkout:
        await checkout.fetch(sql, ())


async def executed(database: Database, sql: str) -> None:
    async with Checkout(database) as checkout:
        await checkout.execute(sql, ())


async def fetched_in_transaction(database: Database, sql: str) -> None:
    async with database.transaction():
        await fetched(database, sql)


async def records(database: Database, sql: str) -> None:
    await database.fetch_all(sql)


async def one_record(database: Database, sql: str) -> None:
    await database.fetch_one(sql)


async def iterated(database: Database, sql: str) -> None:
    async for _ in database.iterate(sql):
        pass


async def iterated_in_transaction(database: Database, sql: str) -> None:
    async with database.transaction(readonly=True):
        await iterated(database, sql)


async def queried(database: Database, sql: str) -> None:
    await notes_model(database).objects.all()


async def streamed(database: Database, sql: str) -> None:
    async for _ in notes_model(database).objects.all():
        pass


def notes_model(database: Database) -> type[orm.Model]:
    class Note(orm.Model):
        registry = orm.ModelRegistry(database=database)

        class Meta:
            tablename = "notes"

        id = orm.Integer(primary_key=True)
        text = orm.Text()

    return Note


READS = [
    fetched,
    executed,
    fetched_in_transaction,
    records,
    one_record,
    iterated,
    iterated_in_transaction,
    queried,
    streamed,
]
Read = Callable[[Database, str], Awaitable[None]]


def let_thread_end() -> None:
    """Block the event loop until the connection's thread has ended its call."""
    time.sleep(0.002)


async def assert_current(database: Database, writer: Database) -> None:
    """The only connection of `database` sees what another one writes, and can write itself."""
    await add_note(writer, "written by another connection")
    assert (await texts(database))[-1] == "written by another connection"
    await add_note(database, "written by the connection")
    assert (await texts(writer))[-1] == "written by the connection"


@pytest.mark.parametrize("read", READS)
async def test_failed_read_leaves_no_cursor(read: Read, sqlite_url: str) -> None:
    async with Database(sqlite_url, max_size=1) as database, Database(sqlite_url) as writer:
        await create_notes(writer, 300)
        if read in (queried, streamed):
            await writer.execute("INSERT INTO notes (text) VALUES (CAST(x'ff' AS TEXT))")
            with pytest.raises(orm.Error) as caught:
                await read(database, "")
            await writer.execute("DELETE FROM notes WHERE id > 300")
        elif read is one_record:
            await read(database, FAILING)  # it reads the first row alone
        else:
            with pytest.raises(orm.Error) as caught:
                await read(database, FAILING)
        await assert_current(database, writer)
        assert read is one_record or caught.value is not None


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("steps", range(1, 13))
async def test_read_cancelled_after_its_trip_leaves_no_cursor(read: Read, steps: int, sqlite_url: str) -> None:
    async with Database(sqlite_url, max_size=1) as database, Database(sqlite_url) as writer:
        await create_notes(writer, 300)
        errors: list[BaseException] = []

        async def run() -> None:
            try:
                await read(database, READABLE)
            except BaseException as error:
                errors.append(error)  # as programs do that keep the results of gather()
                raise

        task = asyncio.create_task(run())
        for _ in range(steps):
            let_thread_end()  # the task sees the result of its call in its next step
            await asyncio.sleep(0)
        let_thread_end()
        task.cancel()
        await asyncio.wait([task])
        await assert_current(database, writer)
        assert not database.open_transactions
