"""A connection that is lost, or that leads to a server without writes, is not lent again; and what it says."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from orm.database.connections.database import Database
from orm.exceptions import CommitUnknown, ConnectionLost, ReadOnlyServer, TransactionError
from tests.cutting_proxy import cutting_proxy
from tests.database.notes_table import add_note, create_notes, execute, fetch, texts
from tests.waiting import noticed_as_closed

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["postgresql", "mysql", "aiomysql"])
def server_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database on each server, with each driver."""
    if request.param == "aiomysql":
        url: str = request.getfixturevalue("mysql_url")
        return url.replace("mysql://", "mysql+aiomysql://")
    return str(request.getfixturevalue(f"{request.param}_url"))


def is_postgresql(database: Database) -> bool:
    return database.url.dialect == "postgresql"


async def connection_key(database: Database) -> int:
    ((key,),) = await fetch(
        database, "SELECT pg_backend_pid()" if is_postgresql(database) else "SELECT CONNECTION_ID()"
    )
    return int(key)


async def kill(database: Database, key: int) -> None:
    await fetch(database, "SELECT pg_terminate_backend(?)" if is_postgresql(database) else "KILL ?", key)


@contextlib.asynccontextmanager
async def replica(url: str, **options: Any) -> Any:
    """A database whose first connections lead to a server that only reads, as after a switchover."""
    async with Database(url) as admin:
        await create_notes(admin, 1)
        if is_postgresql(admin):
            await execute(admin, f"ALTER DATABASE {admin.url.database} SET default_transaction_read_only = on")
        else:
            ((version,),) = await fetch(admin, "SELECT VERSION()")
            setting = "tx_read_only" if "MariaDB" in version else "transaction_read_only"
            options["init_command"] = f"SET SESSION {setting} = (SELECT COUNT(*) > 0 FROM notes WHERE views = 1)"
        async with Database(url, min_size=4, max_size=4, **options) as database:
            if is_postgresql(admin):
                async with Database(url, server_settings={"default_transaction_read_only": "off"}) as primary:
                    await execute(primary, f"ALTER DATABASE {admin.url.database} RESET default_transaction_read_only")
            else:
                await execute(admin, "UPDATE notes SET views = 2")
            yield database


@pytest.mark.parametrize("way", ["alone", "session", "transaction", "databases"])
async def test_server_without_writes_is_left_after_one_error(server_url: str, way: str) -> None:
    async with replica(server_url) as database:
        with pytest.raises(ReadOnlyServer) as info:
            if way == "alone":
                await database.autocommit_backend().execute("INSERT INTO notes (text) VALUES ('lost')", ())
            elif way == "session":
                await add_note(database, "lost")
            elif way == "databases":
                await database.execute("INSERT INTO notes (text) VALUES ('lost')")
            else:
                async with database.transaction():
                    await add_note(database, "lost")
        assert not info.value.retryable
        # Not one of the connections that were idle at that time is used again.
        await asyncio.gather(*(add_note(database, f"kept {number}") for number in range(8)))
        assert len(await texts(database)) == 9


async def test_write_in_a_readonly_transaction_is_the_programs_mistake(database: Database) -> None:
    await create_notes(database, 1)
    async with database.transaction(readonly=True):
        key = 0 if database.url.dialect == "sqlite" else await connection_key(database)
        with pytest.raises(TransactionError, match="readonly=True"):
            async with database.transaction():
                await add_note(database, "lost")
    assert await texts(database) == ["note 1"]
    if key:
        assert await connection_key(database) == key
    await add_note(database, "kept")
    assert await texts(database) == ["note 1", "kept"]


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
async def test_lost_answer_of_a_commit_is_unknown(server_url: str, nested: bool) -> None:
    async with Database(server_url) as direct:
        await create_notes(direct)
        async with cutting_proxy(server_url) as (proxy, url), Database(url) as database:
            await add_note(database, "before")
            proxy.cut_at = b"COMMIT"
            ran: list[str] = []
            with pytest.raises(CommitUnknown, match="during COMMIT") as info:
                async with database.transaction():
                    await add_note(database, "unknown")
                    await database.on_commit(lambda: ran.append("on_commit"))
                    if nested:
                        async with database.transaction():
                            await add_note(database, "unknown too")
            assert not info.value.retryable and not isinstance(info.value, ConnectionLost)
            assert isinstance(info.value.__cause__, Exception)
            assert ran == []
            proxy.cut_at = None
            await add_note(database, "after")
        # This server did commit before the answer was lost.
        assert await texts(direct) == ["before", "unknown", *(["unknown too"] if nested else []), "after"]


async def test_connection_that_was_lost_before_the_commit_kept_nothing(server_url: str) -> None:
    async with Database(server_url) as admin, Database(server_url) as database:
        await create_notes(admin)
        with pytest.raises(ConnectionLost, match="before COMMIT"):
            async with database.transaction():
                await add_note(database, "lost")
                await kill(admin, await connection_key(database))
                async with database.connection() as connection:
                    await noticed_as_closed(database, connection.raw_connection)
        assert await texts(database) == []


@pytest.mark.parametrize("yields", [0, 1, 2, 3])
@pytest.mark.parametrize("idle", [True, False], ids=["idle", "in a transaction"])
async def test_killed_connection_is_lost_whenever_that_is_noticed(server_url: str, idle: bool, yields: int) -> None:
    """The server's last message may arrive before, while or after the next statement is sent."""
    async with Database(server_url) as admin, Database(server_url, max_size=1) as database:
        await create_notes(database)
        for _ in range(5):
            with contextlib.suppress(ConnectionLost):
                if idle:
                    await kill(admin, await connection_key(database))
                    for _ in range(yields):
                        await asyncio.sleep(0)
                    await texts(database)
                else:
                    async with database.transaction():
                        await kill(admin, await connection_key(database))
                        for _ in range(yields):
                            await asyncio.sleep(0)
                        await texts(database)
            assert await texts(database) == []
