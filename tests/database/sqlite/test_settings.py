"""The options of SQLite databases, and files that cannot be opened or written."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from orm import exceptions as ours
from orm.database.connections.database import Database
from tests.database.notes_table import add_note, create_notes, execute, fetch, texts

pytestmark = pytest.mark.anyio


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A file with two notes."""
    async with Database(f"sqlite:///{tmp_path}/a file.db") as database:
        await create_notes(database, 2)
    return tmp_path / "a file.db"


@pytest.mark.parametrize("options", [{"mode": "ro"}, {"immutable": True}, {"mode": "rw", "immutable": "1"}])
@pytest.mark.parametrize("in_url", [True, False])
async def test_read_only_file_is_read_and_not_written(path: Path, options: dict[str, Any], in_url: bool) -> None:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    database = Database(f"sqlite:///{path}?{query}") if in_url else Database(f"sqlite:///{path}", **options)
    async with database:
        for _ in range(3):
            assert await texts(database) == ["note 1", "note 2"]
        for _ in range(3):
            with pytest.raises(ours.OperationalError, match="readonly"):
                await add_note(database, "refused")
        async with database.transaction():
            assert await texts(database) == ["note 1", "note 2"]
            with pytest.raises(ours.OperationalError, match="readonly"):
                await add_note(database, "refused")
    assert {name.name.partition("-")[0] for name in path.parent.iterdir()} == {"a file.db"}


@pytest.mark.parametrize("mode", ["ro", "rw"])
async def test_mode_that_creates_no_file_creates_none(tmp_path: Path, mode: str) -> None:
    with pytest.raises(ours.OperationalError, match=r"missing\.db: there is no such file"):
        await Database(f"sqlite:///{tmp_path}/missing.db?mode={mode}").connect()
    assert list(tmp_path.iterdir()) == []


async def test_relative_path_with_options_names_the_same_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    async with Database("sqlite:///a file.db?mode=ro") as database:
        assert await texts(database) == ["note 1", "note 2"]
    async with Database("sqlite:///file:a%20file.db?mode=ro") as database:
        assert await texts(database) == ["note 1", "note 2"]


@pytest.mark.parametrize(("word", "level"), [("normal", 1), ("full", 2), ("FULL", 2)])
@pytest.mark.parametrize("in_url", [True, False])
async def test_synchronous_is_set_on_each_connection(path: Path, word: str, level: int, in_url: bool) -> None:
    url = f"sqlite:///{path}"
    database = Database(f"{url}?synchronous={word}") if in_url else Database(url, synchronous=word)
    async with database, database.transaction():
        assert await fetch(database, "PRAGMA synchronous") == [(level,)]
        backend = database._backend
        other = await backend.pool.acquire()
        assert await backend.driver.fetch(other, "PRAGMA synchronous", ()) == [(level,)]
        await backend.pool.check_in(other)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("jounral=wal", "no option jounral"),
        ("factory=x", "no option factory"),
        ("mode=append", "mode of an SQLite database is one of ro, rw, rwc, memory, not 'append'"),
        ("synchronous=off", "synchronous of an SQLite database is one of normal, full, not 'off'"),
        ("busy_timeout=long", "busy_timeout of an SQLite database is a number of seconds"),
        ("timeout=-1", "timeout of an SQLite database is a number of seconds"),
        ("max_size=1.5", "max_size of an SQLite database is a whole number"),
        ("immutable=maybe", "immutable of an SQLite database is true or false"),
    ],
)
def test_unknown_option_or_value_in_a_url_is_refused_by_name(query: str, message: str) -> None:
    with pytest.raises(ours.InterfaceError, match=message):
        Database(f"sqlite:///notes.db?{query}")


@pytest.mark.parametrize("options", [{"jounral": "wal"}, {"synchronous": None}, {"mode": 1}, {"max_size": "many"}])
def test_unknown_keyword_option_or_value_is_refused_by_name(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ours.InterfaceError, match=name):
        Database("sqlite:///notes.db", **options)


async def refused(url: str, **options: Any) -> ours.Error:
    with pytest.raises(ours.OperationalError) as info:
        await Database(url, **options).connect()
    return info.value


async def test_file_that_cannot_be_opened_raises_with_the_reason(path: Path) -> None:
    folder = path.parent
    assert "it is a directory" in str(await refused(f"sqlite:///{folder}"))
    assert f"there is no directory {folder}/nowhere" in str(await refused(f"sqlite:///{folder}/nowhere/notes.db"))
    junk = folder / "junk.db"
    junk.write_bytes(b"no database at all\n" * 1000)
    assert "junk.db: file is not a database (it is damaged" in str(await refused(f"sqlite:///{junk}"))
    damaged = folder / "damaged.db"
    damaged.write_bytes(path.read_bytes()[:100] + b"\xff" * 20_000)
    assert "damaged.db: database disk image is malformed" in str(await refused(f"sqlite:///{damaged}"))


async def test_file_that_another_process_has_locked_raises_lock_not_available(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    error = await refused(f"sqlite:///{path}", busy_timeout=0.05)
    assert isinstance(error, ours.LockNotAvailable)
    assert "database is locked" in str(error)
    other.close()


async def test_damage_that_a_query_meets_raises_internal_error(path: Path) -> None:
    async with Database(f"sqlite:///{path}") as database:
        await execute(database, "CREATE TABLE big AS SELECT randomblob(100000) AS body")
    content = bytearray(path.read_bytes())
    content[3 * 4096 : 6 * 4096] = b"\xff" * (3 * 4096)
    path.write_bytes(content)
    async with Database(f"sqlite:///{path}") as database:
        with pytest.raises(ours.DataCorrupted, match="malformed"):
            await fetch(database, "SELECT * FROM notes")
            await fetch(database, "SELECT * FROM big")


async def test_full_disk_raises_operational_error_and_keeps_what_was_there(path: Path) -> None:
    async with Database(f"sqlite:///{path}", max_size=1) as database:
        raw = database._backend.pool.acquire_nowait()
        raw._conn.execute("PRAGMA max_page_count = 10").fetchall()
        database._backend.pool.release_nowait(raw)
        for _ in range(3):
            with pytest.raises(ours.OperationalError, match="full"):
                await execute(database, "INSERT INTO notes (text) VALUES (hex(randomblob(100000)))")
            with pytest.raises(ours.OperationalError, match="full"):
                async with database.transaction():
                    await add_note(database, "lost")
                    await execute(database, "INSERT INTO notes (text) VALUES (hex(randomblob(100000)))")
        await add_note(database, "kept")
        assert await texts(database) == ["note 1", "note 2", "kept"]


@pytest.mark.parametrize("url", ["sqlite://notes.db", "sqlite://data/notes.db", "sqlite://user:S3cr3t@host/notes.db"])
def test_url_with_a_host_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ours.InterfaceError, match="three slashes") as caught:
        Database(url)
    assert "S3cr3t" not in str(caught.value)
