"""What is wrong with a SQLite file is told by the class of the error."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from orm.database.connections.database import Database
from orm.exceptions import (
    DataCorrupted,
    DiskFull,
    LockNotAvailable,
    OperationalError,
    ProgrammingError,
    ReadOnlyServer,
    TransactionError,
)
from tests.database.notes_table import add_note, create_notes, execute, fetch, texts

pytestmark = pytest.mark.anyio


async def test_full_file_is_a_full_disk_and_ends_nothing_else(sqlite_url: str) -> None:
    async with Database(sqlite_url, max_size=1) as database:
        await create_notes(database, 1)
        async with database.connection() as connection:
            pages = await connection.fetch_val("PRAGMA page_count")
            await connection.execute(f"PRAGMA max_page_count = {pages}")
            with pytest.raises(DiskFull):
                await fetch(database, "CREATE TABLE more (id INTEGER PRIMARY KEY)")
            assert await texts(database) == ["note 1"]
        await add_note(database, "kept")
        assert await texts(database) == ["note 1", "kept"]


async def test_file_that_refuses_writes_is_a_server_without_writes(sqlite_url: str) -> None:
    async with Database(sqlite_url) as database:
        await create_notes(database, 1)
        async with database.connection() as connection:
            await connection.execute("PRAGMA query_only = ON")
            with pytest.raises(ReadOnlyServer):
                await add_note(database, "lost")
        await add_note(database, "kept")
        assert await texts(database) == ["note 1", "kept"]


async def test_locked_file_is_no_lock(sqlite_url: str) -> None:
    async with Database(sqlite_url, timeout=0.1) as database:
        await create_notes(database)
        with sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LockNotAvailable) as info:
                await add_note(database, "lost")
            assert info.value.retryable
            other.execute("ROLLBACK")
        other.close()
        await add_note(database, "kept")
        assert await texts(database) == ["kept"]


async def test_damaged_file_and_one_that_is_no_database(sqlite_url: str, tmp_path: Path) -> None:
    no_database = tmp_path / "letter.txt"
    no_database.write_text("Dear Sir or Madam, " * 500)
    with pytest.raises(DataCorrupted, match=r"cannot connect to sqlite at .*letter\.txt"):
        await Database(f"sqlite:///{no_database}").connect()
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany(
            "INSERT INTO notes (text) VALUES (?)", [(f"note {number} " * 20,) for number in range(500)]
        )
    connection.close()
    pages = path.read_bytes()
    path.write_bytes(pages[:4096] + b"\xff" * 8192 + pages[12288:])
    async with Database(sqlite_url) as database:
        with pytest.raises(DataCorrupted):
            await texts(database)


async def test_triggers_that_never_end_are_no_mistake_in_the_sql(sqlite_url: str) -> None:
    async with Database(sqlite_url) as database:
        await execute(database, "CREATE TABLE counters (n INTEGER)")
        await execute(
            database,
            "CREATE TRIGGER next AFTER INSERT ON counters BEGIN INSERT INTO counters VALUES (NEW.n + 1); END",
        )
        async with database.connection() as connection:
            await connection.execute("PRAGMA recursive_triggers = ON")
            with pytest.raises(OperationalError, match="too many levels of trigger recursion") as info:
                await execute(database, "INSERT INTO counters VALUES (1)")
        assert not isinstance(info.value, ProgrammingError)
        assert await fetch(database, "SELECT n FROM counters") == []


async def test_commands_of_transactions_that_do_not_fit(sqlite_url: str) -> None:
    async with Database(sqlite_url) as database, database.connection():
        for sql in ("COMMIT", "ROLLBACK", "RELEASE SAVEPOINT missing"):
            with pytest.raises(TransactionError):
                await execute(database, sql)
        async with database.transaction(force_rollback=True):
            for sql in ("BEGIN", "VACUUM"):
                with pytest.raises(TransactionError):
                    await execute(database, sql)
