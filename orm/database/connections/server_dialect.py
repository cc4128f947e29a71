"""Which `Dialect` a database speaks: that of the server behind it."""

from __future__ import annotations

import databases

from orm.database.connections.database_state import DatabaseState, state_of
from orm.database.connections.session import Session
from orm.database.dialect import Dialect
from orm.database.dialect_registry import dialects, find
from orm.exceptions import NotSupportedError


async def dialect_of(database: databases.Database) -> Dialect:
    """The dialect of the server behind a database, which is asked once, connecting if need be."""
    known: DatabaseState | None = database.__dict__.get("_orm_state")
    if known is not None and known.dialect is not None:
        return known.dialect
    state = state_of(database)
    async with Session(database) as session:
        dialect = dialects[await state.driver.server(session.raw) or database.url.dialect]
        if dialect.server_query is not None:
            ((answer,),) = await state.driver.fetch(session.raw, dialect.server_query, ())
            dialect = dialect.for_server(answer)
    state.dialect = dialect
    return dialect


def cached_dialect(database: databases.Database) -> Dialect | None:
    """The dialect of the server; None while the server has not been asked."""
    state: DatabaseState | None = database.__dict__.get("_orm_state")
    return None if state is None else state.dialect


def known_dialect(database: databases.Database) -> Dialect:
    """The dialect of the server, or the one that the URL names as long as the server has not been asked.

    MySQL and MariaDB, which share their URLs, have the same SQL for queries.
    """
    dialect = cached_dialect(database)
    if dialect is None:
        name = database.url.dialect
        dialect = find(name)
        if dialect is None:
            raise NotSupportedError(
                f"orm runs on SQLite, PostgreSQL, MySQL and MariaDB; the URL names {database.url.dialect!r}."
            )
    return dialect
