"""What a database has, in a form that can be compared: by its own catalogs, and not by what is tested."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection

VERSIONS = "alembic_version"
Description = dict[str, set[str]]

POSTGRESQL = """
SELECT c.relname, 'column ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
       || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') || ' ' || a.attgenerated::text
       || coalesce(' ' || col_description(c.oid, a.attnum), '')
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text = :schema
UNION ALL
SELECT c.relname, n.conname || ' ' || pg_get_constraintdef(n.oid)
FROM pg_class c JOIN pg_constraint n ON n.conrelid = c.oid AND n.contype IN ('c', 'f', 'p', 'u', 'x')
WHERE c.relnamespace::regnamespace::text = :schema
UNION ALL
SELECT c.relname, pg_get_indexdef(x.indexrelid)
FROM pg_class c JOIN pg_index x ON x.indrelid = c.oid WHERE c.relnamespace::regnamespace::text = :schema
UNION ALL
SELECT c.relname, 'trigger ' || t.tgname FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
WHERE c.relnamespace::regnamespace::text = :schema
UNION ALL
SELECT sequencename, data_type::text FROM pg_sequences WHERE schemaname = :schema
"""


def describe(connection: Connection, schemas: tuple[str | None, ...] = (None,)) -> Description:
    """Everything about each table."""
    kind = connection.dialect.name
    found: Description = {}
    if kind == "postgresql":
        for schema in schemas:
            rows = connection.execute(sqlalchemy.text(POSTGRESQL), {"schema": schema or "public"})
            for table, text in rows:
                found.setdefault(f"{schema}.{table}" if schema else table, set()).add(text)
    elif kind == "sqlite":
        for type_, name, table, sql in connection.exec_driver_sql(
            "SELECT type, name, tbl_name, sql FROM sqlite_master"
        ):
            if sql is None or name.startswith("sqlite_"):
                continue
            parts = list(_parts(sql)) if type_ == "table" else [sql]
            found.setdefault(table, set()).update(f"{type_} {_plain(part)}" for part in parts)
        for row in connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
            found.setdefault("orphans", set()).add(str(row))
    else:
        for table in sqlalchemy.inspect(connection).get_table_names():
            text = connection.exec_driver_sql(f"SHOW CREATE TABLE `{table}`").fetchone()[1]  # type: ignore[index]
            text = re.sub(r" AUTO_INCREMENT=\d+", "", text)
            # MySQL repeats the character set of a collation where the column's definition named it.
            text = text.replace(" CHARACTER SET utf8mb4 COLLATE", " COLLATE")
            found[table] = {line.strip().rstrip(",") for line in text.split("\n")}
        query = (
            "SELECT event_object_table, trigger_name FROM information_schema.triggers WHERE trigger_schema = database()"
        )
        for table, name in connection.exec_driver_sql(query):
            found[table].add(f"trigger {name}")
    found.pop(VERSIONS, None)
    return found


def _plain(sql: str) -> str:
    """SQL without differences of spaces and quotes."""
    sql = re.sub(r"\s+", " ", sql.replace('"', "")).strip()
    return re.sub(r"\s*([(),])\s*", r"\1", sql)


def _parts(sql: str) -> list[str]:
    """A CREATE TABLE, at its outer commas."""
    parts, depth, start = [], 0, 0
    opening = sql.index("(")
    for position, character in enumerate(sql):
        depth += (character == "(") - (character == ")")
        if position == opening:
            parts.append(sql[:position])
            start = position + 1
        elif (character == "," and depth == 1) or (character == ")" and depth == 0):
            parts.append(sql[start:position])
            start = position + 1
    return [*parts, sql[start:]]


def rows(connection: Connection, schemas: tuple[str | None, ...] = (None,)) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables."""
    found = {}
    prepare = connection.dialect.identifier_preparer
    inspector = sqlalchemy.inspect(connection)
    for schema in schemas:
        for name in inspector.get_table_names(schema):
            table = sqlalchemy.Table(name, sqlalchemy.MetaData(), schema=schema)
            selected = connection.exec_driver_sql(f"SELECT * FROM {prepare.format_table(table)}").mappings()
            found[name] = [dict(row) for row in selected]
    found.pop(VERSIONS, None)
    return found


def differences(one: Description, other: Description) -> list[str]:
    """What one has and the other lacks."""
    found = []
    for table in sorted({*one, *other}):
        had, has = one.get(table, set()), other.get(table, set())
        found += [f"{table}: - {text}" for text in sorted(had - has)]
        found += [f"{table}: + {text}" for text in sorted(has - had)]
    return found
