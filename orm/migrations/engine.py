"""A SQLAlchemy connection for Alembic, from the URL of an `orm.Database`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import databases
import sqlalchemy
from databases.core import DatabaseURL
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from orm.database.connections.database import Database
from orm.database.connections.database_url import SafeURL, servers_of
from orm.database.connections.errors import connect_failure, connecting
from orm.database.connections.pool_options import SECONDS
from orm.database.dialect import Dialect
from orm.database.dialect_registry import dialect_for, find, registrations, server_name
from orm.exceptions import NotSupportedError

CONNECT_INSTEAD = (
    "connect with orm.migrations.connect(url), which takes what orm.Database(url) takes, or give it to "
    "create_async_engine(connect_args=…)"
)


def async_url(url: str | DatabaseURL) -> URL:
    """The URL for `sqlalchemy.ext.asyncio.create_async_engine` of the database that `orm.Database(url)` opens.

    Adds the name of the asyncio driver if the URL has none, and removes the options of the ORM's pool.
    Raises `orm.NotSupportedError` if the ORM has no dialect for the database, and for what SQLAlchemy's URL cannot say:
    several servers, and options such as ``application_name``. `connect` takes them all.

    >>> str(async_url("postgresql://postgres@localhost/shop?max_size=5&sslmode=require"))
    'postgresql+asyncpg://postgres@localhost/shop?ssl=require'
    """
    text = str(url)
    if len(servers_of(SafeURL(text), 0)) > 1:
        raise NotSupportedError(f"SQLAlchemy's URL names one server: {CONNECT_INSTEAD}")
    parsed = sqlalchemy.make_url(text)
    dialect = _dialect_of(parsed)
    query: dict[str, Any] = {}
    for name, value in parsed.query.items():
        if name in dialect.engine_url_options:
            query[dialect.engine_url_options[name]] = value
        elif name not in (*dialect.orm_url_options, *SECONDS):
            raise NotSupportedError(f"SQLAlchemy's URL has no option {name}: {CONNECT_INSTEAD}")
    return parsed.set(drivername=_driver_name(parsed), query=query)


def dialect_url(url: str | DatabaseURL) -> URL:
    """A URL with the dialect and the driver alone, for SQL that is only written."""
    return URL.create(_driver_name(URL.create(str(url).partition("://")[0])))


def _dialect_of(url: URL) -> Dialect:
    dialect = find(url.get_backend_name())
    if dialect is None or dialect.find_driver() is None:
        raise NotSupportedError(f"{url.drivername}:// is not a database the ORM knows: use {', '.join(registrations)}")
    return dialect


def _driver_name(url: URL) -> str:
    """SQLAlchemy's name of the dialect and the driver."""
    dialect = _dialect_of(url)
    default = dialect.find_driver()
    driver = url.drivername.partition("+")[2] or (default.package if default is not None else "")
    return f"{dialect.sqlalchemy_name or dialect.name}+{driver}"


@asynccontextmanager
async def connect(database: str | DatabaseURL | databases.Database) -> AsyncIterator[AsyncConnection]:
    """A SQLAlchemy connection, for Alembic, to the database of this URL, or to that of an `orm.Database`.

    The options are those of `orm.Database`, in the URL and as arguments, but for those of its pool, which has no part
    in it.

    >>> async with connect(models.database) as connection:
    ...     await connection.run_sync(run_migrations)

    If a `mysql://` URL leads to MariaDB, migrations create tables as `create_all()` does there.
    """
    if isinstance(database, databases.Database):
        engine_url = dialect_url(database.url)
        managed = database if isinstance(database, Database) else Database(str(database.url), **database.options)
    else:
        engine_url, managed = dialect_url(database), Database(str(database))
    backend = managed._backend
    name = backend.display_name
    with connecting(name):
        parts, arguments = await backend.engine_arguments()
    engine_url = engine_url.set(**parts)
    async with _engine_connection(engine_url, arguments, name) as connection:
        server = server_name(connection.dialect)
        if server == connection.dialect.name:
            yield connection
            return
    # SQLAlchemy applies the mariadb_… options of a table only if the dialect has that name.
    engine_url = engine_url.set(drivername=f"{server}+{engine_url.get_driver_name()}")
    async with _engine_connection(engine_url, arguments, name) as connection:
        yield connection


@asynccontextmanager
async def _engine_connection(url: URL, arguments: dict[str, Any], name: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(url, poolclass=NullPool, connect_args=arguments)
    try:
        with connecting(name):
            try:
                connection = await engine.connect()
            except DBAPIError as error:
                original = error.orig if error.orig is None or error.orig.__cause__ is None else error.orig.__cause__
                failure = None if original is None else connect_failure(original, name)
                raise failure or error from original
        try:
            dialect_for(connection.dialect).quote_reserved_words(connection.dialect)
            yield connection
        finally:
            await connection.close()
    finally:
        await engine.dispose()
