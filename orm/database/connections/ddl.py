"""Creates and drops tables, on the connection of the current task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import databases
import sqlalchemy
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.exc import CircularDependencyError, IdentifierError
from sqlalchemy.schema import CreateSchema, DropSchema, DropTable, sort_tables_and_constraints
from sqlalchemy.sql import quoted_name
from sqlalchemy.sql.ddl import ExecutableDDLElement

from orm.database.connections.checkout import Checkout
from orm.database.connections.database import Database
from orm.database.connections.database_state import base_of
from orm.database.connections.server_dialect import dialect_of
from orm.database.dialect import Dialect
from orm.database.sql.ddl import NEW_TABLE, check_supported, is_managed, views_of
from orm.database.sql.sequences import create_sequences, drop_sequences
from orm.exceptions import NotSupportedError

RESTRICT = "RESTRICT"


async def create_all(database: databases.Database, metadata: sqlalchemy.MetaData) -> None:
    """Create the tables of `metadata` that the database does not have."""
    await _run(database, metadata, missing=True)


async def create_schema(database: databases.Database, name: str) -> None:
    """Create a schema, on MySQL and MariaDB a database, if there is none of this name."""
    await _run_in_schema(database, name, CreateSchema(quoted_name(name, quote=True), if_not_exists=True))


async def drop_schema(database: databases.Database, name: str) -> None:
    """Drop a schema with all that is in it, if there is one of this name."""
    dialect = (await dialect_of(base_of(database))).in_schema(name)
    await _run_in_schema(
        database,
        name,
        DropSchema(quoted_name(name, quote=True), cascade=dialect.drops_schema_by_cascade, if_exists=True),
    )


async def _run_in_schema(database: databases.Database, name: str, element: ExecutableDDLElement) -> None:
    dialect = (await dialect_of(base_of(database))).in_schema(name)
    async with Checkout(database) as checkout:
        await checkout.execute(str(element.compile(dialect=dialect.sqlalchemy)))


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
        async with Checkout(database) as checkout:
            existing = {(schema, name) for schema, name in await checkout.fetch(dialect.tables_query)}
            if dialect.schema is not None:
                [(current,)] = await checkout.fetch(dialect.current_schema_query)
                in_full = {(current if schema is None else schema, name) for schema, name in existing}
                existing = {(None if schema == dialect.schema else schema, name) for schema, name in in_full}
            tables = [
                table
                for table in metadata.tables.values()
                if ((table.schema, table.name) in existing) is not missing and is_managed(table)
            ]
            views = [
                (table, view)
                for table, view in views_of(metadata)
                if ((table.schema, table.name) in existing) is not missing
            ]
            creating = [sql for table, view in views if missing for sql in view.create_sql(table, dialect.sqlalchemy)]
            for table, view in () if missing else reversed(views):
                await checkout.execute(view.drop_sql(table, dialect.sqlalchemy))
            if (
                not missing
                and dialect.foreign_keys_enforced_query
                and (_circular(tables) or any(map(_restricted, tables)))
            ):
                await _drop_circular(checkout, dialect, metadata, tables)
                return
            for sql in (*statements(dialect, metadata, tables, create=missing), *creating):
                await checkout.execute(sql)
    finally:
        if connect_here:
            await database.disconnect()


def statements(
    dialect: Dialect, metadata: sqlalchemy.MetaData, tables: list[sqlalchemy.Table], *, create: bool
) -> list[str]:
    """The DDL that creates or drops these tables, their indexes and constraints included.

    Raises `NotSupportedError` for a name that the database cannot have.
    """
    ddl: list[str] = []

    def collect(element: ExecutableDDLElement, *args: Any, **kwargs: Any) -> None:
        sql = str(element.compile(dialect=dialect.sqlalchemy, compile_kwargs=compile_kwargs))
        if "\0" in sql:
            raise NotSupportedError(f"a table, or something in it, has a name with a NUL character: {sql[:200]!r}")
        ddl.append(sql)

    compile_kwargs = {NEW_TABLE: True} if create else {}
    for table in tables if create else ():
        check_supported(table, dialect.sqlalchemy)
    for sequence in create_sequences(metadata, dialect.sqlalchemy) if create else ():
        collect(sequence)

    connection = MockConnection(dialect.sqlalchemy, collect)
    run: Callable[..., None] = metadata.create_all if create else metadata.drop_all
    # SQLAlchemy marks the foreign keys that it adds with ALTER, and would then leave them out on SQLite.
    rules = [(key, key._create_rule) for table in tables for key in table.foreign_key_constraints]
    try:
        run(connection, tables=tables, checkfirst=False)
    except IdentifierError as error:
        raise NotSupportedError(f"a name is too long for {dialect.name}: {error}") from error
    for key, rule in rules:
        key._create_rule = rule
    for dropped in () if create else drop_sequences(metadata, dialect.sqlalchemy):
        collect(dropped)
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
    checkout: Checkout, dialect: Dialect, metadata: sqlalchemy.MetaData, tables: list[sqlalchemy.Table]
) -> None:
    """Drop tables that reference each other, or themselves, on a database that cannot drop a foreign key alone."""
    assert dialect.foreign_keys_enforced_query is not None
    [(enforced,)] = await checkout.fetch(dialect.foreign_keys_enforced_query)
    circular = _circular(tables)
    if circular:
        drops = [str(DropTable(table).compile(dialect=dialect.sqlalchemy)) for table in tables]
    else:
        drops = statements(dialect, metadata, tables, create=False)
    try:
        for sql in dialect.disable_foreign_keys if enforced else ():
            await checkout.execute(sql)
        # Inside a transaction they stay enforced.
        [(still_enforced,)] = await checkout.fetch(dialect.foreign_keys_enforced_query)
        for sql in _clear_references(dialect, tables, circular) if still_enforced else ():
            await checkout.execute(sql)
        for sql in drops:
            await checkout.execute(sql)
    finally:
        for sql in dialect.enable_foreign_keys if enforced else ():
            await checkout.execute(sql)


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
