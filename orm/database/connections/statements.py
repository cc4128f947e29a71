"""Runs one statement on a database, on a free connection or in a session.

An `orm.Database` runs a statement outside of transactions on any free connection. Any other runs in a session (see
`orm.database.connections.session`), which can also run several statements on one connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import databases

from orm.database.connections.database import Database
from orm.database.connections.driver import Outcome
from orm.database.connections.session import Session
from orm.utils.row_batches import RowReader


async def fetch(database: databases.Database, sql: str, args: Sequence[Any] = ()) -> Sequence[Any]:
    """The rows of a statement: tuples, or asyncpg's records, in column order."""
    backend = database.autocommit_backend() if isinstance(database, Database) else None
    if backend is not None:
        return await backend.fetch(sql, args)
    async with Session(database) as session:
        return await session.fetch(sql, args)


async def fetch_objects(database: databases.Database, sql: str, args: Sequence[Any], reader: RowReader) -> list[Any]:
    """The objects that `reader` makes of a statement's rows; of a large result in batches, while it arrives."""
    backend = database.autocommit_backend() if isinstance(database, Database) else None
    if backend is not None:
        return await backend.fetch_objects(sql, args, reader)
    async with Session(database) as session:
        return await session.fetch_objects(sql, args, reader)


async def execute(database: databases.Database, sql: str, args: Sequence[Any] = ()) -> Outcome:
    """Execute a statement and discard any rows."""
    backend = database.autocommit_backend() if isinstance(database, Database) else None
    if backend is not None:
        return await backend.execute(sql, args)
    async with Session(database) as session:
        return await session.execute(sql, args)
