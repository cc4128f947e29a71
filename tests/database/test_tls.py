"""Encrypted connections: the server says that the session is encrypted, and a wrong certificate is refused.

The servers' certificate is for `localhost`; at `127.0.0.1` it is another server's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from orm.database.connections.database import Database
from orm.exceptions import Error
from orm.migrations import connect
from tests.tls_servers import TLSServer, mariadb_with_tls, postgresql_with_tls

pytestmark = pytest.mark.anyio
DRIVERS = ("mysql", "mysql+aiomysql")
FirstRow = Callable[[str, str], Awaitable[Any]]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[TLSServer]:
    with postgresql_with_tls() as server:
        yield server


@pytest.fixture(scope="module")
def mysql() -> Iterator[TLSServer]:
    with mariadb_with_tls() as server:
        yield server


async def of_database(url: str, sql: str) -> Any:
    """The first row of a query on `orm.Database`."""
    async with Database(url) as database:
        return await database.fetch_one(sql)


async def of_migrations(url: str, sql: str) -> Any:
    """The first row of a query on the connection of migrations."""
    async with connect(url) as connection:
        return (await connection.exec_driver_sql(sql)).first()


@pytest.fixture(params=[of_database, of_migrations])
def first_row(request: pytest.FixtureRequest) -> FirstRow:
    way: FirstRow = request.param
    return way


async def postgresql_is_encrypted(first_row: FirstRow, url: str) -> bool:
    return bool((await first_row(url, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))[0])


async def mysql_is_encrypted(first_row: FirstRow, url: str) -> bool:
    return bool((await first_row(url, "SHOW SESSION STATUS LIKE 'Ssl_cipher'"))[1])


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_postgresql_says_that_the_session_is_encrypted(
    first_row: FirstRow, postgresql: TLSServer, mode: str
) -> None:
    options = {"sslmode": mode} if mode == "require" else {"sslmode": mode, "sslrootcert": str(postgresql.authority)}
    assert await postgresql_is_encrypted(
        first_row, postgresql.url("postgresql", user="postgres", database="postgres", **options)
    )


async def test_postgresql_connects_without_tls_if_that_is_asked_for(first_row: FirstRow, postgresql: TLSServer) -> None:
    url = postgresql.url("postgresql", user="postgres", database="postgres", sslmode="disable")
    assert not await postgresql_is_encrypted(first_row, url)


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
async def test_postgresql_certificate_of_another_authority_is_refused(
    first_row: FirstRow, postgresql: TLSServer, mode: str
) -> None:
    url = postgresql.url(
        "postgresql", user="postgres", database="postgres", sslmode=mode, sslrootcert=str(postgresql.other_authority)
    )
    with pytest.raises(Error, match="certificate"):
        await postgresql_is_encrypted(first_row, url)


async def test_postgresql_certificate_of_another_host_is_refused_by_verify_full_only(
    first_row: FirstRow, postgresql: TLSServer
) -> None:
    def url(mode: str) -> str:
        names = {"user": "postgres", "database": "postgres", "sslrootcert": str(postgresql.authority)}
        return postgresql.url("postgresql", "127.0.0.1", sslmode=mode, **names)

    assert await postgresql_is_encrypted(first_row, url("verify-ca"))
    with pytest.raises(Error, match=r"certificate|127\.0\.0\.1"):
        await postgresql_is_encrypted(first_row, url("verify-full"))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("mode", ["required", "verify_ca", "verify_identity"])
async def test_mariadb_says_that_the_session_is_encrypted(
    first_row: FirstRow, mysql: TLSServer, driver: str, mode: str
) -> None:
    options = {"ssl_mode": mode} if mode == "required" else {"ssl_mode": mode, "ssl_ca": str(mysql.authority)}
    assert await mysql_is_encrypted(first_row, mysql.url(driver, user="root", database="mysql", **options))


@pytest.mark.parametrize("driver", DRIVERS)
async def test_mariadb_connects_without_tls_if_that_is_asked_for(
    first_row: FirstRow, mysql: TLSServer, driver: str
) -> None:
    assert not await mysql_is_encrypted(
        first_row, mysql.url(driver, user="root", database="mysql", ssl_mode="disabled")
    )


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("mode", ["verify_ca", "verify_identity"])
async def test_mariadb_certificate_of_another_authority_is_refused(
    first_row: FirstRow, mysql: TLSServer, driver: str, mode: str
) -> None:
    url = mysql.url(driver, user="root", database="mysql", ssl_mode=mode, ssl_ca=str(mysql.other_authority))
    with pytest.raises(Error, match=r"(?i)certificate"):
        await mysql_is_encrypted(first_row, url)


@pytest.mark.parametrize("driver", DRIVERS)
async def test_mariadb_certificate_of_another_host_is_refused_by_verify_identity_only(
    first_row: FirstRow, mysql: TLSServer, driver: str
) -> None:
    def url(mode: str) -> str:
        names = {"user": "root", "database": "mysql", "ssl_ca": str(mysql.authority)}
        return mysql.url(driver, "127.0.0.1", ssl_mode=mode, **names)

    assert await mysql_is_encrypted(first_row, url("verify_ca"))
    with pytest.raises(Error, match=r"(?i)certificate|127\.0\.0\.1"):
        await mysql_is_encrypted(first_row, url("verify_identity"))
