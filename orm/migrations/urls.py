"""The URL of an SQLAlchemy engine for a database that `orm.Database` knows by a shorter one."""

from __future__ import annotations

from importlib.util import find_spec

import sqlalchemy
from databases.core import DatabaseURL
from sqlalchemy.engine import URL

from orm.exceptions import NotSupportedError

MYSQL = "mysql+asyncmy" if find_spec("asyncmy") else "mysql+aiomysql"
DRIVERS = {
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "mysql": MYSQL,
    "mariadb": MYSQL,
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
