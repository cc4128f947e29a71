"""The database of a connection."""

from __future__ import annotations

from sqlalchemy.engine import Dialect

from orm.database.dialect_registry import dialect_for
from orm.migrations.servers.base import Server
from orm.migrations.servers.mysql import MariaDB, MySQL
from orm.migrations.servers.postgresql import PostgreSQL
from orm.migrations.servers.sqlite import SQLite

SERVERS: dict[str, Server] = {
    "sqlite": SQLite(),
    "postgresql": PostgreSQL(),
    "mysql": MySQL(),
    "mariadb": MariaDB(),
}


OTHER = Server()


def server_of(dialect: Dialect) -> Server:
    """What migrations know of a database. Of one that is not in `SERVERS` they compare names only."""
    return SERVERS.get(dialect_for(dialect).name, OTHER)
