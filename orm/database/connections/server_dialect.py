"""Which `Dialect` a database speaks: that of the server behind it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import databases

from orm.database.connections.checkout import Checkout
from orm.database.connections.database_state import DatabaseState, state_of
from orm.database.connections.driver import ask_server
from orm.database.dialect import Dialect
from orm.database.dialect_registry import dialects, find
from orm.exceptions import NotSupportedError, OperationalError

if TYPE_CHECKING:
    from orm.database.connections.replicas import Replicas


async def dialect_of(database: databases.Database) -> Dialect:
    """The dialect of the server behind a database, which is asked once, connecting if need be."""
    known: DatabaseState | None = database.__dict__.get("_orm_state")
    if known is not None and known.dialect is not None:
        return known.dialect
    state = state_of(database)
    try:
        async with Checkout(database) as checkout, checkout.turns:
            dialect = checkout.server_dialect or await ask_server(
                state.driver, checkout.raw, dialects[database.url.dialect]
            )
    except (OperationalError, OSError):
        answer = await _dialect_of_replicas(database)
        if answer is None:
            raise
        dialect = answer
    state.dialect = dialect = dialect if state.schema is None else dialect.in_schema(state.schema)
    return dialect


async def _dialect_of_replicas(database: databases.Database) -> Dialect | None:
    """The dialect of the replicas that answer, while the primary does not; None if there are none."""
    replicas: Replicas | None = getattr(database, "replicas", None)
    for replica in () if replicas is None else replicas.members:
        with contextlib.suppress(OperationalError, OSError):
            return await dialect_of(replica.database)
    return None


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
        # Not `state_of`: a database that only compiles queries has no driver.
        state: DatabaseState | None = database.__dict__.get("_orm_state")
        dialect = dialect if state is None or state.schema is None else dialect.in_schema(state.schema)
    return dialect
