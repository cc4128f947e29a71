"""URLs of databases: several servers, characters that need escaping, and no password in what anybody can read."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import time
import traceback
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest

from orm.database.connections.database import Database
from orm.database.connections.database_url import SafeURL, servers_of
from orm.exceptions import ConnectionLost, Error, InterfaceError
from orm.registry import ModelRegistry
from tests.private_servers import free_port
from tests.stream_servers import stream_server

pytestmark = pytest.mark.anyio
PASSWORD = "S3cr3t-pw"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:{}@127.0.0.1:1/shop",
        "mysql://app:{}@127.0.0.1:1/shop",
        "mysql+aiomysql://app:{}@127.0.0.1:1/shop",
        "postgresql://127.0.0.1:1/shop?user=app&password={}",
        "postgresql://app:{}/x@127.0.0.1:1/shop",
        "postgresql://app:{}#x@127.0.0.1:1/shop",
        "postgresql://app:{}?x@127.0.0.1:1/shop",
        "postgresql://app:1/{}@127.0.0.1:1/shop",
        "postgresql://app:{}@127.0.0.1:54x/shop",
        "postgresql://app:{}@127.0.0.1:99999/shop",
        "postgresql://app:{}@[::1/shop",
        "postgresql://app:[{}]@h/shop",
        "postgresql://app:{}@127.0.0.1:1,127.0.0.1:2/shop",
        "mysql://app:{}@127.0.0.1:1,127.0.0.1:2/shop",
        "mysql://app:{}@127.0.0.1:1/shop?nonsense=1",
        "postgresql://app:{}@127.0.0.1:1/shop?command_timeout=soon",
        "oracle://app:{}@127.0.0.1/shop",
        "app:{}@127.0.0.1/shop",
    ],
)
async def test_password_is_in_nothing_that_is_shown(url: str) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    try:
        with pytest.raises(Error) as raised:
            database = Database(url.format(PASSWORD))
            for text in (repr(database), repr(database.url), repr(database._backend), database._backend.display_name):
                assert PASSWORD not in text
            assert PASSWORD not in repr(ModelRegistry(database=database))
            await database.connect()
    finally:
        logging.getLogger().removeHandler(handler)
    error: BaseException | None = raised.value
    # The variables of this test's frame hold the URL.
    frames = traceback.TracebackException.from_exception(raised.value, capture_locals=True, compact=True)
    while error is not None:
        assert PASSWORD not in str(error) and PASSWORD not in repr(error)
        error = error.__cause__ or error.__context__
    chain: traceback.TracebackException | None = frames
    while chain is not None:
        shown = [frame for frame in chain.stack if os.path.basename(frame.filename) != os.path.basename(__file__)]
        assert not [
            (frame.name, name) for frame in shown for name, value in (frame.locals or {}).items() if PASSWORD in value
        ]
        chain = chain.__cause__ or chain.__context__
    assert PASSWORD not in log.getvalue()


@pytest.mark.parametrize(
    "url, servers",
    [
        ("postgresql://h/x", [("h", 5432)]),
        (
            "postgresql://a:b@h1:1,h2,[::1]:3,[fe80::1]/x",
            [("h1", 1), ("h2", 5432), ("::1", 3), ("fe80::1", 5432)],
        ),
        ("postgresql:///x", []),
        ("postgresql://a@:1/x", [("localhost", 1)]),
        ("postgresql://a@%2Fvar%2Frun%2Fpostgresql/x", [("/var/run/postgresql", 5432)]),
        ("postgresql://a@[fe80::1%25eth0]:7/x", [("fe80::1%eth0", 7)]),
    ],
)
def test_servers_of_a_url_are_read_with_their_ports(url: str, servers: list[tuple[str, int]]) -> None:
    assert servers_of(SafeURL(url), 5432) == servers


def with_servers(url: str, *more: str, options: str = "") -> str:
    """The URL with other servers before its own."""
    head, _, tail = url.rpartition("@")
    return f"{head}@{','.join(more)},{tail}{options}"


@pytest.mark.parametrize("driver", ["", "+aiomysql"])
async def test_first_server_that_answers_is_taken_of_mysql(mysql_url: str, driver: str) -> None:
    url = with_servers(mysql_url, f"127.0.0.1:{free_port()}", "no-such-host.invalid").replace(
        "mysql", f"mysql{driver}", 1
    )
    async with Database(url) as database:
        assert await database.fetch_val("SELECT 1") == 1


async def test_first_server_that_answers_is_taken_of_postgresql(postgresql_url: str) -> None:
    url = with_servers(postgresql_url, f"127.0.0.1:{free_port()}", "no-such-host.invalid")
    async with Database(url) as database:
        assert await database.fetch_val("SELECT 1") == 1


@pytest.fixture
async def silent_server() -> AsyncIterator[str]:
    """The host and port of a server that accepts connections and says nothing."""

    async def say_nothing(*streams: object) -> None:
        await asyncio.Event().wait()

    async with stream_server(say_nothing) as port:
        yield f"127.0.0.1:{port}"


@pytest.mark.parametrize("driver", ["", "+aiomysql"])
async def test_server_that_does_not_answer_is_left_for_the_next_of_mysql(
    mysql_url: str, driver: str, silent_server: str
) -> None:
    url = with_servers(mysql_url, silent_server, options="?connect_timeout=3").replace("mysql", f"mysql{driver}", 1)
    async with Database(url) as database:
        assert await database.fetch_val("SELECT 1") == 1


async def test_server_that_does_not_answer_is_refused_in_time(
    postgresql_url: str, mysql_url: str, silent_server: str
) -> None:
    for url in (postgresql_url, mysql_url, mysql_url.replace("mysql", "mysql+aiomysql", 1)):
        head, _, tail = url.rpartition("@")
        url = f"{head}@{silent_server}/{tail.rpartition('/')[2]}?connect_timeout=1"
        started = time.monotonic()
        with pytest.raises(ConnectionLost, match="cannot connect"):
            await Database(url).connect()
        assert time.monotonic() - started < 20


async def test_role_that_no_server_has_is_refused(postgresql_url: str, mysql_url: str) -> None:
    for url in (postgresql_url, mysql_url):
        async with Database(f"{url}?target_session_attrs=primary") as database:
            assert await database.fetch_val("SELECT 1") == 1
        async with Database(f"{url}?target_session_attrs=prefer-standby") as database:
            assert await database.fetch_val("SELECT 1") == 1
        with pytest.raises(Error, match="target"):
            await Database(f"{url}?target_session_attrs=read-only").connect()


async def test_wrong_password_does_not_try_the_next_server(mysql_url: str) -> None:
    server = mysql_url.rpartition("@")[2].split("/")[0]
    url = with_servers(f"mysql://nobody-of-that-name:x@{mysql_url.rpartition('@')[2]}", server)
    with pytest.raises(Error, match="denied"):
        await Database(url).connect()


@pytest.mark.parametrize("scheme", ["mysql", "mysql+asyncmy", "mysql+aiomysql"])
@pytest.mark.parametrize("user, password", [("jürgen", "pässwörd"), ("o'neil", "a b/c#d?e@f:g%h")])
async def test_user_names_and_passwords_of_any_characters_log_in(
    mysql_url: str, user: str, password: str, scheme: str
) -> None:
    async with Database(mysql_url) as admin:
        name = user.replace("'", "''")
        # A new MariaDB has an anonymous user of localhost, which is found before a user of every host.
        accounts = f"'{name}'@'%'", f"'{name}'@'localhost'"
        for account in accounts:
            await admin.execute(f"CREATE USER {account} IDENTIFIED BY '{password}'")
            await admin.execute(f"GRANT ALL ON *.* TO {account}")
        try:
            rest = mysql_url.rpartition("@")[2]
            async with Database(f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}") as database:
                assert (await database.fetch_val("SELECT CURRENT_USER()")).startswith(user)
        finally:
            await admin.execute(f"DROP USER {', '.join(accounts)}")


def test_part_after_a_hash_is_refused() -> None:
    with pytest.raises(InterfaceError, match="%23"):
        Database("sqlite:///notes#1.db")
