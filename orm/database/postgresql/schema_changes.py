"""PostgreSQL's schema changes: part of transactions, except for CONCURRENTLY."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect

from orm.database.schema_changes import Mirror, SchemaChanges

CATALOG = """
    SELECT md5(coalesce(string_agg(part, E'\\n' ORDER BY part), '')) FROM (
        SELECT concat_ws('|', 'c', c.oid, c.relname, c.relkind, i.indisvalid) AS part
        FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
        WHERE c.relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_|^information_schema$')
        UNION ALL SELECT concat_ws('|', 'k', oid, conname, convalidated) FROM pg_constraint
        UNION ALL SELECT concat_ws('|', 'e', enumtypid, enumlabel) FROM pg_enum
        UNION ALL SELECT concat_ws('|', 'a', attrelid, attname, atttypid, atttypmod, attnotnull, atthasdef)
        FROM pg_attribute WHERE attnum > 0 AND attrelid >= 16384
    ) AS parts
"""
INVALID_INDEXES = """
    SELECT n.nspname, c.relname
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT i.indisvalid AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = i.indexrelid)
      AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
"""
# A table that was never analyzed has reltuples = -1; a row takes 28 bytes at least.
ESTIMATED_ROWS = """
    SELECT CASE WHEN c.relkind = 'p' THEN NULL WHEN pg_relation_size(c.oid) = 0 THEN 0
           ELSE greatest(c.reltuples, pg_stat_get_live_tuples(c.oid),
                         CASE WHEN c.reltuples < 0 THEN pg_relation_size(c.oid) / 28 END) END
    FROM pg_class c WHERE c.oid = to_regclass(:name)
"""

NOT_NULL_CHECKS = """
    SELECT conname FROM pg_constraint
    WHERE conrelid = to_regclass(:name) AND contype = 'c' AND convalidated
      AND pg_get_expr(conbin, conrelid) = format('(%s IS NOT NULL)', quote_ident(:column))
"""

MIRROR = """
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.{new} := coalesce(NEW.{new}, NEW.{old});
        NEW.{old} := NEW.{new};
    ELSIF NEW.{old} IS DISTINCT FROM OLD.{old} THEN
        NEW.{new} := NEW.{old};
    ELSIF NEW.{new} IS DISTINCT FROM OLD.{new} THEN
        NEW.{old} := NEW.{new};
    END IF;
    RETURN NEW;
END
"""


class PostgreSQLSchemaChanges(SchemaChanges):
    """A statement outside of transactions is found again in the catalogs."""

    @asynccontextmanager
    async def lent(self, connection: sqlalchemy.Connection) -> AsyncIterator[None]:
        """JSON as text, which SQLAlchemy lets asyncpg decode."""
        raw: Any = connection.connection.driver_connection
        dialect: Any = connection.dialect
        for name in ("json", "jsonb"):
            await raw.reset_type_codec(name, schema="pg_catalog")
        yield  # after an error the migration fails, and nothing is read any more
        await dialect.setup_asyncpg_json_codec(connection.connection.dbapi_connection)
        await dialect.setup_asyncpg_jsonb_codec(connection.connection.dbapi_connection)

    def timeout_statements(self, seconds: float) -> tuple[str, ...]:
        """`lock_timeout`: others queue behind a statement that waits for a lock."""
        return (f"SET lock_timeout = {int(seconds * 1000)}",)

    def fingerprint(self, connection: sqlalchemy.Connection, sql: str) -> str:
        """A digest of the relations, columns, constraints and enum values that the catalogs have."""
        return str(connection.exec_driver_sql(CATALOG).scalar())

    def after_keys(self, table: sqlalchemy.Table, dialect: SQLAlchemyDialect) -> list[str]:
        """`setval()` of the sequence of the key."""
        column = table.autoincrement_column
        if column is None:
            return []
        preparer = dialect.identifier_preparer
        name, key = preparer.format_table(table), preparer.quote(column.name)
        texts = [text.replace("'", "''").replace(":", "\\:") for text in (name, column.name)]
        return [
            f"SELECT setval(pg_get_serial_sequence('{texts[0]}', '{texts[1]}'), coalesce(max({key}), 1), "
            f"max({key}) IS NOT NULL) FROM {name} HAVING pg_get_serial_sequence('{texts[0]}', '{texts[1]}') IS NOT NULL"
        ]

    def estimated_rows(self, connection: sqlalchemy.Connection, table: str, schema: str | None) -> int | None:
        """What the last ANALYZE found and was counted since; else what would fit into the table's size."""
        parameters = {"name": _full_name(connection, table, schema)}
        rows = connection.execute(sqlalchemy.text(ESTIMATED_ROWS), parameters).scalar()
        return None if rows is None else int(rows)

    def not_null_checks(
        self, connection: sqlalchemy.Connection, table: str, schema: str | None, column: str
    ) -> set[str]:
        """Those whose whole condition is that the column is not null."""
        parameters = {"name": _full_name(connection, table, schema), "column": column}
        return {name for (name,) in connection.execute(sqlalchemy.text(NOT_NULL_CHECKS), parameters)}

    def create_mirror(self, mirror: Mirror, dialect: SQLAlchemyDialect) -> list[str]:
        """A function, and a trigger that calls it before each write."""
        table, prefix, old, new = mirror.quoted(dialect)
        name = dialect.identifier_preparer.quote_identifier(mirror.name())
        body = MIRROR.format(old=old, new=new).replace("'", "''")
        return [
            f"CREATE FUNCTION {prefix}{name}() RETURNS trigger LANGUAGE plpgsql AS '{body}'",
            f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {prefix}{name}()",
        ]

    def drop_mirror(self, mirror: Mirror, dialect: SQLAlchemyDialect) -> list[str]:
        """The trigger, then its function."""
        table, prefix, _, _ = mirror.quoted(dialect)
        name = dialect.identifier_preparer.quote_identifier(mirror.name())
        return [f"DROP TRIGGER {name} ON {table}", f"DROP FUNCTION {prefix}{name}()"]

    def clear_leftovers(self, connection: sqlalchemy.Connection, sql: str | None = None) -> list[str]:
        """Drop the invalid indexes that an interrupted CREATE INDEX CONCURRENTLY has left."""
        quote = connection.dialect.identifier_preparer.quote
        done = []
        for schema, name in connection.exec_driver_sql(INVALID_INDEXES).fetchall():
            if sql is None or re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sql):
                concurrently = "CONCURRENTLY " if sql is not None else ""
                connection.exec_driver_sql(f"DROP INDEX {concurrently}{quote(schema)}.{quote(name)}")
                done.append(f"dropped the index {name}, which was invalid: its CREATE INDEX CONCURRENTLY had failed")
        return done


def _full_name(connection: sqlalchemy.Connection, table: str, schema: str | None) -> str:
    quote = connection.dialect.identifier_preparer.quote_identifier
    return ".".join(quote(part) for part in (schema, table) if part)
