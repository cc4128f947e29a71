"""Creates and drops tables, on the connection of the current task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import databases
import sqlalchemy
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.sql.ddl import ExecutableDDLElement

from orm.database.database import Database
from orm.database.dialect import Dialect
from orm.database.dialects import dialect_of
from orm.database.session import Session


async def create_all(database: databases.Database, metadata: sqlalchemy.MetaData) -> None:
    """Create the tables of `metadata` that the database does not have."""
    await _run(database, metadata, missing=True)


async def drop_all(database: databases.Database, metadata: sqlalchemy.MetaData) -> None:
    """Drop the tables of `metadata` that the database has."""
    await _run(database, metadata, missing=False)


async def _run(database: databases.Database, metadata: sqlalchemy.MetaData, *, missing: bool) -> None:
    # A plain databases.Database belongs to its user, who connects it: what is connected here is closed here.
    connect_here = not database.is_connected and not isinstance(database, Database)
    if connect_here:
        await database.connect()
    try:
        dialect = await dialect_of(database)
        async with Session(database) as session:
            rows = await session.fetch(dialect.existing_tables)
            existing = {(schema, name) for schema, name in rows}
            tables = [
                table for table in metadata.tables.values() if ((table.schema, table.name) in existing) is not missing
            ]
            for sql in statements(dialect, metadata, tables, create=missing):
                await session.execute(sql)
    finally:
        if connect_here:
            await database.disconnect()


def statements(
    dialect: Dialect, metadata: sqlalchemy.MetaData, tables: list[sqlalchemy.Table], *, create: bool
) -> list[str]:
    """The DDL that creates or drops these tables, with what belongs to them."""
    found: list[str] = []

    def collect(element: ExecutableDDLElement, *args: Any, **kwargs: Any) -> None:
        found.append(str(element.compile(dialect=dialect.sqlalchemy)))

    connection = MockConnection(dialect.sqlalchemy, collect)
    run: Callable[..., None] = metadata.create_all if create else metadata.drop_all
    run(connection, tables=tables, checkfirst=False)
    return found
