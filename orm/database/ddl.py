"""Creates and drops tables, on the connection of the current task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import databases
import sqlalchemy
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.exc import CircularDependencyError
from sqlalchemy.schema import DropTable, sort_tables_and_constraints
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
            if not missing and dialect.foreign_keys_enforced and _circular(tables):
                await _drop_circle(session, dialect, tables)
                return
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
    # SQLAlchemy marks the foreign keys that it adds with ALTER, and would then leave them out on SQLite.
    rules = [(key, key._create_rule) for table in tables for key in table.foreign_key_constraints]
    run(connection, tables=tables, checkfirst=False)
    for key, rule in rules:
        key._create_rule = rule
    return found


def _circular(tables: list[sqlalchemy.Table]) -> bool:
    """Whether some of the tables point at each other, so that none can be dropped first."""
    try:
        sort_tables_and_constraints(tables, filter_fn=lambda key: False)  # type: ignore[no-untyped-call]
    except CircularDependencyError:
        return True
    return False


async def _drop_circle(session: Session, dialect: Dialect, tables: list[sqlalchemy.Table]) -> None:
    """Drop tables that point at each other where a foreign key cannot be dropped by itself."""
    assert dialect.foreign_keys_enforced is not None
    [(enforced,)] = await session.fetch(dialect.foreign_keys_enforced)
    try:
        for sql in dialect.lift_foreign_keys if enforced else ():
            await session.execute(sql)
        for table in tables:
            await session.execute(str(DropTable(table).compile(dialect=dialect.sqlalchemy)))
    finally:
        for sql in dialect.enforce_foreign_keys if enforced else ():
            await session.execute(sql)
