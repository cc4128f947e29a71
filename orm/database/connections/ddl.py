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
    # A plain databases.Database is connected by its user. If this function connects it, it disconnects it as well.
    connect_here = not database.is_connected and not isinstance(database, Database)
    if connect_here:
        await database.connect()
    try:
        dialect = await dialect_of(database)
        async with Session(database) as session:
            rows = await session.fetch(dialect.tables_query)
            existing = {(schema, name) for schema, name in rows}
            tables = [
                table for table in metadata.tables.values() if ((table.schema, table.name) in existing) is not missing
            ]
            if (
                not missing
                and dialect.foreign_keys_enforced_query
                and (_circular(tables) or any(map(_restricted, tables)))
            ):
                await _drop_circular(session, dialect, metadata, tables)
                return
            for sql in statements(dialect, metadata, tables, create=missing):
                await session.execute(sql)
    finally:
        if connect_here:
            await database.disconnect()


def statements(
    dialect: Dialect, metadata: sqlalchemy.MetaData, tables: list[sqlalchemy.Table], *, create: bool
) -> list[str]:
    """The DDL that creates or drops these tables, their indexes and constraints included."""
    ddl: list[str] = []

    def collect(element: ExecutableDDLElement, *args: Any, **kwargs: Any) -> None:
        ddl.append(str(element.compile(dialect=dialect.sqlalchemy)))

    connection = MockConnection(dialect.sqlalchemy, collect)
    run: Callable[..., None] = metadata.create_all if create else metadata.drop_all
    # SQLAlchemy marks the foreign keys that it adds with ALTER, and would then leave them out on SQLite.
    rules = [(key, key._create_rule) for table in tables for key in table.foreign_key_constraints]
    run(connection, tables=tables, checkfirst=False)
    for key, rule in rules:
        key._create_rule = rule
    return ddl


def _circular(tables: list[sqlalchemy.Table]) -> bool:
    """Whether some of the tables reference each other, so that none can be dropped first."""
    try:
        sort_tables_and_constraints(tables, filter_fn=lambda key: False)  # type: ignore[no-untyped-call]
    except CircularDependencyError:
        return True
    return False


def _restricted(table: sqlalchemy.Table) -> list[sqlalchemy.ForeignKeyConstraint]:
    """The foreign keys by which rows of the table restrict the deletion of others."""
    return [key for key in table.foreign_key_constraints if key.ondelete == RESTRICT and key.referred_table is table]


async def _drop_circular(
    session: Session, dialect: Dialect, metadata: sqlalchemy.MetaData, tables: list[sqlalchemy.Table]
) -> None:
    """Drop tables that reference each other, or themselves, on a database that cannot drop a foreign key alone."""
    assert dialect.foreign_keys_enforced_query is not None
    [(enforced,)] = await session.fetch(dialect.foreign_keys_enforced_query)
    circular = _circular(tables)
    if circular:
        drops = [str(DropTable(table).compile(dialect=dialect.sqlalchemy)) for table in tables]
    else:
        drops = statements(dialect, metadata, tables, create=False)
    try:
        for sql in dialect.disable_foreign_keys if enforced else ():
            await session.execute(sql)
        # Inside a transaction they stay enforced.
        [(still_enforced,)] = await session.fetch(dialect.foreign_keys_enforced_query)
        for sql in _clear_references(dialect, tables, circular) if still_enforced else ():
            await session.execute(sql)
        for sql in drops:
            await session.execute(sql)
    finally:
        for sql in dialect.enable_foreign_keys if enforced else ():
            await session.execute(sql)


def _clear_references(dialect: Dialect, tables: list[sqlalchemy.Table], circular: bool) -> Iterator[str]:
    """UPDATEs that let rows reference themselves, or nothing, so that RESTRICT no longer blocks the drop."""
    for table in tables:
        for key in table.foreign_key_constraints:
            to_itself = key.referred_table is table and not any(column.unique for column in key.columns)
            to_nothing = (circular or key.referred_table is table) and all(column.nullable for column in key.columns)
            if key.ondelete != RESTRICT or not (to_itself or to_nothing):
                continue
            update = sqlalchemy.update(table).where(*(column.is_not(None) for column in key.columns))
            values = {element.parent: element.column if to_itself else sqlalchemy.null() for element in key.elements}
            yield str(update.values(values).compile(dialect=dialect.sqlalchemy))
