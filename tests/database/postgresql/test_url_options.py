"""Options in the query part of a PostgreSQL URL: each reaches the driver or the server, or is refused by its name."""

from __future__ import annotations

import asyncio

import pytest

from orm.database.connections.database import Database
from orm.exceptions import Error
from tests.database.notes_table import fetch

pytestmark = pytest.mark.anyio


def with_options(url: str, options: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{options}"


@pytest.mark.parametrize(
    "options, setting, value",
    [
        ("application_name=web%20app", "application_name", "web app"),
        ("options=-c%20statement_timeout%3D5000", "statement_timeout", "5s"),
        ("search_path=pg_catalog", "search_path", "pg_catalog"),
    ],
)
async def test_session_settings_reach_the_server(postgresql_url: str, options: str, setting: str, value: str) -> None:
    async with Database(with_options(postgresql_url, options)) as database:
        assert await fetch(database, "SELECT current_setting(?)", setting) == [(value,)]


async def test_driver_options_reach_the_driver(postgresql_url: str) -> None:
    url = with_options(postgresql_url, "command_timeout=1&statement_cache_size=0&max_size=3&connect_timeout=5")
    async with Database(url) as database:
        assert database._backend.pool.max_size == 3
        with pytest.raises(asyncio.TimeoutError):
            await fetch(database, "SELECT pg_sleep(5)")
        connection = database._backend.pool.acquire_nowait()
        assert connection._config.statement_cache_size == 0
        await database._backend.pool.check_in(connection)


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_required_encryption_is_never_given_up(postgresql_url: str, mode: str) -> None:
    async with Database(postgresql_url) as database:
        if await fetch(database, "SELECT current_setting('ssl')") == [("on",)]:
            pytest.skip("this server has TLS")
    with pytest.raises(Error, match=r"SSL|certificate"):
        async with Database(with_options(postgresql_url, f"sslmode={mode}")) as database:
            await fetch(database, "SELECT 1")


@pytest.mark.parametrize(
    "options",
    ["nonsense=1", "sslmode=sometimes", "command_timeout=soon", "target_session_attrs=x", "max_size=few", "min_size=x"],
)
async def test_unknown_options_and_values_are_refused_by_name(postgresql_url: str, options: str) -> None:
    name = options.partition("=")[0]
    with pytest.raises((Error, ValueError), match=f"{name}|sslmode"):
        async with Database(with_options(postgresql_url, options)) as database:
            await fetch(database, "SELECT 1")
