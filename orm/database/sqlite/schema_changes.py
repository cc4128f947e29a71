"""SQLite's schema changes: part of transactions, once the driver does not begin and end them by itself."""

from __future__ import annotations

import weakref
from typing import Any

import sqlalchemy

from orm.database.schema_changes import WRITES, SchemaChanges
from orm.exceptions import ForeignKeyViolation

COUNTED = 1_000_000
"""The most rows of a table that are counted."""

_broken_before: weakref.WeakKeyDictionary[sqlalchemy.Connection, set[tuple[Any, ...]]] = weakref.WeakKeyDictionary()
"""The rows of each connection that pointed nowhere before the first change."""


class SQLiteSchemaChanges(SchemaChanges):
    """Changes are made in BEGIN IMMEDIATE … COMMIT, without enforced foreign keys, which are checked at the end."""

    def prepare(self, connection: sqlalchemy.Connection) -> None:
        """Leave transactions to SQLAlchemy, and do not enforce foreign keys: tables are copied and renamed."""
        driver: Any = connection.connection.dbapi_connection
        driver.isolation_level = None
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")  # it has no effect inside a transaction
        _broken_before[connection] = _broken(connection)
        connection.commit()
        if not sqlalchemy.event.contains(connection, "begin", _begin):
            sqlalchemy.event.listen(connection, "begin", _begin)

    def timeout_statements(self, seconds: float) -> tuple[str, ...]:
        """`busy_timeout`, for the lock of another process that writes."""
        return (f"PRAGMA busy_timeout={int(seconds * 1000)}",)

    def before_commit(self, connection: sqlalchemy.Connection) -> None:
        """Refuse rows that point nowhere, unless they did so before."""
        broken = _broken(connection) - _broken_before.get(connection, set())
        if broken:
            table, key, target, _ = min(broken, key=str)
            raise ForeignKeyViolation(
                f"the migration leaves {len(broken)} row{'s' * (len(broken) > 1)} that point nowhere, such as that of "
                f"{table} with the rowid {key}, which points to {target}"
            )

    def estimated_rows(self, connection: sqlalchemy.Connection, table: str, schema: str | None) -> int | None:
        """A count, up to a million: SQLite has statistics after ANALYZE only, and counts by the smallest index."""
        name = connection.dialect.identifier_preparer.quote_identifier(table)
        known = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).scalar()
        counted = f"SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT {COUNTED})"
        return None if known is None else int(connection.exec_driver_sql(counted).scalar() or 0)

    def clear_leftovers(self, connection: sqlalchemy.Connection, sql: str | None = None) -> list[str]:
        """Drop the tables of copies that Alembic did not complete."""
        if sql is not None:
            return []
        names = connection.exec_driver_sql(
            r"SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '\_alembic\_tmp\_%' ESCAPE '\'"
        )
        left = [str(name) for (name,) in names]
        quote = connection.dialect.identifier_preparer.quote
        for name in left:
            connection.exec_driver_sql(f"DROP TABLE {quote(name)}")
        return [f"dropped the table {name}, an incomplete copy" for name in left]


def _begin(connection: sqlalchemy.Connection) -> None:
    driver: Any = connection.connection.dbapi_connection
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return
    if driver.isolation_level is not None:
        driver.isolation_level = None  # SQLAlchemy sets the driver's own at the end of an autocommit_block()
    if not driver.driver_connection.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.info.get(WRITES) else "BEGIN")


def _broken(connection: sqlalchemy.Connection) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in connection.exec_driver_sql("PRAGMA foreign_key_check")}
