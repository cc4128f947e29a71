"""An SQLAlchemy connection for Alembic, to the database that `orm.Database` knows by a shorter URL."""

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

    Names the asyncio driver, unless the URL does. Options of the ORM's pool are left out. Raises
    `orm.NotSupportedError` for another kind of database.

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
    """An SQLAlchemy connection to the database that `orm.Database(url)` opens, for Alembic to work on.

    >>> async with connect(models.database.url) as connection:
    ...     await connection.run_sync(run_migrations)

    A `mysql://` URL may lead to MariaDB, whose tables are made as `create_all()` makes them there.
    """
    found = async_url(url)
    async with _engine_connection(found) as connection:
        kind = server_name(connection.dialect)
        if kind == connection.dialect.name:
            yield connection
            return
    # SQLAlchemy gives MariaDB's own options of a table only to a dialect that is called by its name.
    async with _engine_connection(found.set(drivername=f"{kind}+{found.get_driver_name()}")) as connection:
        yield connection


@asynccontextmanager
async def _engine_connection(url: URL) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()
