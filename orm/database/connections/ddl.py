"""Creates and drops tables, on the connection of the current task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import databases
import sqlalchemy
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.exc import CircularDependencyError
from sqlalchemy.schema import DropTable, sort_tables_and_constraints
from sqlalchemy.sql.ddl import ExecutableDDLElement

from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from orm.database.connections.session import Session
from orm.database.dialect import Dialect

RESTRICT = "RESTRICT"


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
            if not missing and dialect.foreign_keys_enforced and (_circular(tables) or any(map(_restricted, tables))):
                await _drop_freed(session, dialect, metadata, tables)
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


def _restricted(table: sqlalchemy.Table) -> list[sqlalchemy.ForeignKeyConstraint]:
    """The foreign keys by which rows of the table keep each other from being deleted."""
    return [key for key in table.foreign_key_constraints if key.ondelete == RESTRICT and key.referred_table is table]


async def _drop_freed(
    session: Session, dialect: Dialect, metadata: sqlalchemy.MetaData, tables: list[sqlalchemy.Table]
) -> None:
    """Drop tables that point at each other, or at themselves, where a foreign key cannot be dropped by itself."""
    assert dialect.foreign_keys_enforced is not None
    [(enforced,)] = await session.fetch(dialect.foreign_keys_enforced)
    circular = _circular(tables)
    if circular:
        drops = [str(DropTable(table).compile(dialect=dialect.sqlalchemy)) for table in tables]
    else:
        drops = statements(dialect, metadata, tables, create=False)
    try:
        for sql in dialect.lift_foreign_keys if enforced else ():
            await session.execute(sql)
        [(still,)] = await session.fetch(dialect.foreign_keys_enforced)  # It cannot be lifted inside a transaction.
        for sql in _let_go(dialect, tables, circular) if still else ():
            await session.execute(sql)
        for sql in drops:
            await session.execute(sql)
    finally:
        for sql in dialect.enforce_foreign_keys if enforced else ():
            await session.execute(sql)


def _let_go(dialect: Dialect, tables: list[sqlalchemy.Table], circular: bool) -> Iterator[str]:
    """What lets rows point at themselves, or at nothing: then none keeps another."""
    for table in tables:
        for key in table.foreign_key_constraints:
            itself = key.referred_table is table and not any(column.unique for column in key.columns)
            nothing = (circular or key.referred_table is table) and all(column.nullable for column in key.columns)
            if key.ondelete != RESTRICT or not (itself or nothing):
                continue
            update = sqlalchemy.update(table).where(*(column.is_not(None) for column in key.columns))
            there = {element.parent: element.column if itself else sqlalchemy.null() for element in key.elements}
            yield str(update.values(there).compile(dialect=dialect.sqlalchemy))
