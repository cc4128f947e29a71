"""Options in the query part of a MySQL URL: each reaches the driver or the server, or is refused by its name."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from orm.database.connections.database import Database
from orm.database.mysql.url_options import tls_context
from orm.exceptions import Error, InterfaceError, OperationalError
from tests.database.notes_table import fetch

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncmy", "aiomysql"])
def driver_url(request: pytest.FixtureRequest, mysql_url: str) -> str:
    return mysql_url.replace("mysql://", f"mysql+{request.param}://")


def with_options(url: str, options: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{options}"


async def test_pool_and_session_options_are_used(driver_url: str) -> None:
    options = "max_size=3&connect_timeout=5&init_command=SET%20wait_timeout%3D77"
    async with Database(with_options(driver_url, options)) as database:
        assert database._backend.pool.max_size == 3
        assert await fetch(database, "SELECT @@wait_timeout, @@time_zone") == [(77, "+00:00")]


@pytest.mark.parametrize("options", ["nonsense=1", "ssl_mode=sometimes", "connect_timeout=soon", "sslmode=verify-full"])
async def test_unknown_options_and_values_are_refused_by_name(driver_url: str, options: str) -> None:
    with pytest.raises(InterfaceError, match=options.partition("=")[0]):
        async with Database(with_options(driver_url, options)) as database:
            await fetch(database, "SELECT 1")


@pytest.mark.parametrize("options", ["ssl=true", "ssl_mode=required", "ssl_mode=verify_ca", "ssl_mode=verify-identity"])
async def test_required_encryption_is_never_given_up(driver_url: str, options: str) -> None:
    async with Database(driver_url) as database:
        ((_, value),) = await fetch(database, "SHOW VARIABLES LIKE 'have_ssl'") or [("", "YES")]
        if value == "YES":
            pytest.skip("this server has TLS")
    with pytest.raises(OperationalError, match=r"TLS|SSL"):
        async with Database(with_options(driver_url, options)) as database:
            await fetch(database, "SELECT 1")


@pytest.mark.parametrize(
    "options, verify_mode, checks_name",
    [
        ({"ssl_mode": "REQUIRED"}, ssl.CERT_NONE, False),
        ({"ssl": "true"}, ssl.CERT_NONE, False),
        ({"ssl_mode": "verify_ca"}, ssl.CERT_REQUIRED, False),
        ({"ssl_mode": "verify-identity"}, ssl.CERT_REQUIRED, True),
    ],
)
def test_ssl_modes_mean_what_they_mean_to_mysql(
    options: dict[str, str], verify_mode: ssl.VerifyMode, checks_name: bool
) -> None:
    context = tls_context(options)
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (verify_mode, checks_name)


def test_no_ssl_options_or_disabled_ask_for_no_encryption() -> None:
    assert tls_context({}) is None
    assert tls_context({"ssl": "false"}) is None
    assert tls_context({"ssl_mode": "disabled"}) is None


async def test_a_missing_certificate_file_is_an_error(driver_url: str, tmp_path: Path) -> None:
    with pytest.raises((Error, OSError)):
        async with Database(with_options(driver_url, f"ssl_ca={tmp_path / 'none.pem'}")) as database:
            await fetch(database, "SELECT 1")
