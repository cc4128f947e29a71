"""An SQLAlchemy connection for Alembic, to the database that `orm.Database` knows by a shorter URL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec

import sqlalchemy
from databases.core import DatabaseURL
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from orm.database.types.column_types import server_kind
from orm.exceptions import NotSupportedError

MYSQL_DRIVER = "asyncmy" if find_spec("asyncmy") else "aiomysql"
DRIVERS = {
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "mysql": f"mysql+{MYSQL_DRIVER}",
    "mariadb": f"mariadb+{MYSQL_DRIVER}",
    "sqlite": "sqlite+aiosqlite",
}


def async_url(url: str | DatabaseURL) -> URL:
    """The URL for `sqlalchemy.ext.asyncio.create_async_engine` of the database that `orm.Database(url)` opens.

    Names the asyncio driver, unless the URL does. Options of the ORM's pool are left out. Raises
    `orm.NotSupportedError` for another kind of database.

    >>> str(async_url("postgresql://postgres@localhost/shop?max_size=5"))
    'postgresql+asyncpg://postgres@localhost/shop'
    """
    parsed = sqlalchemy.make_url(str(url))
    kind, _, driver = parsed.drivername.partition("+")
    if kind not in DRIVERS:
        raise NotSupportedError(f"{parsed.drivername}:// is not a database the ORM knows: use {', '.join(DRIVERS)}")
    known, _, usual = DRIVERS[kind].partition("+")
    return parsed.set(drivername=f"{known}+{driver or usual}").difference_update_query(["min_size", "max_size"])


@asynccontextmanager
async def connect(url: str | DatabaseURL) -> AsyncIterator[AsyncConnection]:
    """An SQLAlchemy connection to the database that `orm.Database(url)` opens, for Alembic to work on.

    >>> async with connect(models.database.url) as connection:
    ...     await connection.run_sync(run_migrations)

    A `mysql://` URL may lead to MariaDB, whose tables are made as `create_all()` makes them there.
    """
    found = async_url(url)
    async with _engine_connection(found) as connection:
        kind = server_kind(connection.dialect)
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
