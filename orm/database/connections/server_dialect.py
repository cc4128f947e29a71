"""Which `Dialect` a database speaks."""

from __future__ import annotations

import databases

from orm.database.connections.session import database_kind, known_server
from orm.database.dialect import Dialect
from orm.database.dialect_registry import dialects, find
from orm.exceptions import NotSupportedError


async def dialect_of(database: databases.Database) -> Dialect:
    """The dialect of the server behind the database, which is asked once."""
    return dialects[known_server(database) or await database_kind(database)]


def cached_dialect(database: databases.Database) -> Dialect | None:
    """The dialect of the server, if it has been asked."""
    kind = known_server(database)
    return None if kind is None else dialects[kind]


def known_dialect(database: databases.Database) -> Dialect:
    """The dialect of the server, or what the URL tells of it before the first query; MySQL and MariaDB read alike."""
    name = known_server(database) or database.url.dialect
    found = find(name)
    if found is None:
        raise NotSupportedError(f"orm runs on SQLite, PostgreSQL, MySQL and MariaDB; the URL names {name!r}.")
    return found
