"""A SQLAlchemy connection for Alembic, from the URL of an `orm.Database`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy
from databases.core import DatabaseURL
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from orm.database.dialect_registry import find, registrations, server_name
from orm.exceptions import NotSupportedError


def async_url(url: str | DatabaseURL) -> URL:
    """The URL for `sqlalchemy.ext.asyncio.create_async_engine` of the database that `orm.Database(url)` opens.

    Adds the name of the asyncio driver if the URL has none, and removes the options of the ORM's pool. Raises
    `orm.NotSupportedError` if the ORM has no dialect for the database.

    >>> str(async_url("postgresql://postgres@localhost/shop?max_size=5"))
    'postgresql+asyncpg://postgres@localhost/shop'
    """
    parsed = sqlalchemy.make_url(str(url))
    name, _, driver = parsed.drivername.partition("+")
    dialect = find(name)
    default = None if dialect is None else dialect.find_driver()
    if dialect is None or default is None:
        raise NotSupportedError(
            f"{parsed.drivername}:// is not a database the ORM knows: use {', '.join(registrations)}"
        )
    return parsed.set(drivername=f"{dialect.name}+{driver or default.package}").difference_update_query(
        ["min_size", "max_size"]
    )


@asynccontextmanager
async def connect(url: str | DatabaseURL) -> AsyncIterator[AsyncConnection]:
    """A SQLAlchemy connection to the database that `orm.Database(url)` opens, for Alembic.

    >>> async with connect(models.database.url) as connection:
    ...     await connection.run_sync(run_migrations)

    If a `mysql://` URL leads to MariaDB, migrations create tables as `create_all()` does there.
    """
    url_with_driver = async_url(url)
    async with _engine_connection(url_with_driver) as connection:
        server = server_name(connection.dialect)
        if server == connection.dialect.name:
            yield connection
            return
    # SQLAlchemy applies the mariadb_… options of a table only if the dialect has that name.
    async with _engine_connection(
        url_with_driver.set(drivername=f"{server}+{url_with_driver.get_driver_name()}")
    ) as connection:
        yield connection


@asynccontextmanager
async def _engine_connection(url: URL) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()
