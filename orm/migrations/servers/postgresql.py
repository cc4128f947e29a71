"""PostgreSQL in migrations: what its catalogs say."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy
from sqlalchemy import types as sqltypes
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.types import TypeEngine

from orm.migrations.servers import postgresql_online
from orm.migrations.servers.base import Definitions, Item, SequenceOptions, Server, statements_of

COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = to_regclass(:table) AND a.attnum > 0 AND NOT a.attisdropped
"""
CONSTRAINTS = """
SELECT c.conname, c.contype::text, pg_get_constraintdef(c.oid), pg_get_expr(c.conbin, c.conrelid),
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(n, p)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY k.p)
FROM pg_constraint c WHERE c.conrelid = to_regclass(:table) AND c.contype IN ('c', 'u', 'x', 'p')
"""
INDEXES = """
SELECT i.relname, pg_get_indexdef(x.indexrelid), x.indisunique
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE x.indrelid = to_regclass(:table)
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = x.indexrelid AND c.contype IN ('u', 'x', 'p'))
"""
SEQUENCE = "SELECT pg_get_serial_sequence(:table, :column)"
IS_IDENTITY = """
SELECT attidentity <> '' FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = :column
"""
SEQUENCES = """
SELECT c.relname, s.seqstart, s.seqincrement, s.seqcycle
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = coalesce(CAST(:schema AS text), current_schema())
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i', 'e'))
"""
#: Types between which PostgreSQL casts in an assignment, so that no USING is needed.
TEXTS = (sqltypes.String, sqltypes.Text)
NUMBERS = (sqltypes.Integer, sqltypes.Numeric, sqltypes.Float)


class PostgreSQL(Server):
    """PostgreSQL."""

    fills_in_batches = True

    def online(self, dialect: Dialect, operation: Any) -> list[Any] | None:
        """CONCURRENTLY, and NOT VALID with VALIDATE."""
        return postgresql_online.online(dialect, operation)

    def refuse_nulls(self, dialect: Dialect, table: tuple[str | None, str], column: str) -> list[Any]:
        """A CHECK that is NOT VALID."""
        return postgresql_online.refuse_nulls(dialect, *table, column)

    def validate_required(
        self, dialect: Dialect, table: tuple[str | None, str], column: str
    ) -> tuple[list[Any], list[Any]]:
        """VALIDATE CONSTRAINT before, DROP CONSTRAINT after it."""
        return postgresql_online.validate_required(dialect, *table, column)

    def definitions(self, connection: Connection, table: sqlalchemy.Table) -> Definitions:
        """What the database has."""
        return self._described(connection, connection.dialect.identifier_preparer.format_table(table))

    def model_definitions(self, connection: Connection, table: sqlalchemy.Table) -> Definitions:
        """What a temporary table has that is made like the model's."""
        create, indexes = statements_of(table, connection.dialect)
        savepoint = connection.begin_nested()
        try:
            connection.exec_driver_sql(create.replace("CREATE TABLE ", "CREATE TEMPORARY TABLE ", 1))
            for index in indexes:
                connection.exec_driver_sql(index)
            name = connection.dialect.identifier_preparer.quote(table.name)
            return self._described(connection, f"pg_temp.{name}")
        finally:
            savepoint.rollback()

    def _described(self, connection: Connection, name: str) -> Definitions:
        described = Definitions()
        parameters = {"table": name}
        for column, type_, generated, expression in connection.execute(sqlalchemy.text(COLUMNS), parameters):
            described.types[column] = type_
            if generated:
                described.generated[column] = expression
        for name_, kind, text, condition, columns in connection.execute(sqlalchemy.text(CONSTRAINTS), parameters):
            if kind == "p":
                described.key = tuple(columns)
            elif kind == "c":
                described.checks[name_] = Item(condition, condition, tuple(columns))
            else:
                group = described.uniques if kind == "u" else described.exclusions
                group[name_] = Item(text, text, tuple(columns))
        for name_, text, unique in connection.execute(sqlalchemy.text(INDEXES), parameters):
            described.indexes[name_] = Item(f"{unique} {text.partition(' USING ')[2]}", text)
        return described

    def drop_index(self, dialect: Dialect, table: sqlalchemy.Table, name: str) -> str:
        """DROP INDEX, in the table's schema."""
        prepare = dialect.identifier_preparer
        prefix = f"{prepare.quote(table.schema)}." if table.schema else ""
        return f"DROP INDEX {prefix}{prepare.quote(name)}"

    def conversion(self, dialect: Dialect, column: str, old: TypeEngine[Any], new: TypeEngine[Any]) -> str | None:
        """A cast; between moments with and without a zone, those without are in UTC."""
        quoted = dialect.identifier_preparer.quote(column)
        target = dialect.type_compiler_instance.process(new)
        if isinstance(old, sqltypes.DateTime) and isinstance(new, sqltypes.DateTime):
            return f"{quoted} AT TIME ZONE 'UTC'" if bool(old.timezone) != bool(new.timezone) else None
        if isinstance(new, sqltypes.Boolean) and isinstance(old, sqltypes.Integer):
            return f"{quoted} <> 0"
        if isinstance(old, sqltypes.Boolean) and isinstance(new, sqltypes.Integer):
            return f"{quoted}::integer" if target == "INTEGER" else f"{quoted}::integer::{target}"
        if isinstance(old, TEXTS) and isinstance(new, TEXTS):
            # An explicit cast would cut a text that is too long; the assignment refuses it.
            return None
        if isinstance(old, NUMBERS) and isinstance(new, NUMBERS):
            return None
        if isinstance(old, sqltypes.Uuid) and (getattr(new, "length", None) or 36) < 36:
            return f"replace({quoted}::text, '-', '')"
        if isinstance(new, TEXTS):
            return f"{quoted}::text"
        if isinstance(old, TEXTS):
            return f"{quoted}::{target}"
        if isinstance(old, sqltypes.JSON) and not isinstance(new, sqltypes.JSON):
            return f"({quoted} #>> '{{}}')::{target}"
        return f"{quoted}::{target}" if type(old)._type_affinity is not type(new)._type_affinity else None

    def unfit(
        self, dialect: Dialect, column: str, old: TypeEngine[Any], new: TypeEngine[Any], family: str
    ) -> str | None:
        """What PostgreSQL would round, or cut."""
        if isinstance(old, (sqltypes.Float, sqltypes.Numeric)) and isinstance(new, sqltypes.Integer):
            return f"{column} <> round({column})"
        if isinstance(old, sqltypes.DateTime) and isinstance(new, sqltypes.Date):
            return f"{column} <> date_trunc('day', {column})"
        scales = getattr(old, "scale", None), getattr(new, "scale", None)
        if isinstance(new, sqltypes.Numeric) and scales[1] is not None and (scales[0] or 0) > scales[1]:
            return f"{column} <> round({column}, {scales[1]})"
        return None

    def widened_sequence(
        self, connection: Connection, table: sqlalchemy.Table, column: str, old: str, new: str
    ) -> tuple[str, str] | None:
        """ALTER SEQUENCE … AS, for a SERIAL column; an identity column's follows by itself."""
        parameters = {"table": connection.dialect.identifier_preparer.format_table(table), "column": column}
        sequence = connection.execute(sqlalchemy.text(SEQUENCE), parameters).scalar()
        if sequence is None or connection.execute(sqlalchemy.text(IS_IDENTITY), parameters).scalar():
            return None
        return f"ALTER SEQUENCE {sequence} AS {new}", f"ALTER SEQUENCE {sequence} AS {old}"

    def sequences(self, connection: Connection, schema: str | None) -> dict[str, SequenceOptions | None]:
        """Those that no column and no extension owns."""
        rows = connection.execute(sqlalchemy.text(SEQUENCES), {"schema": schema})
        return {name: SequenceOptions(start, increment, cycle) for name, start, increment, cycle in rows}

    def after_rename(
        self, connection: Connection, old: sqlalchemy.Table, new: sqlalchemy.Table
    ) -> list[tuple[str, str]]:
        """The primary key's index and the sequences, which are named after the table."""
        prepare = connection.dialect.identifier_preparer
        full = prepare.format_table(new)
        pairs = []
        key = sqlalchemy.inspect(connection).get_pk_constraint(old.name, old.schema)["name"]
        if key == f"{old.name}_pkey":
            names = prepare.quote(key), prepare.quote(f"{new.name}_pkey")
            pairs.append(tuple(f"ALTER TABLE {full} RENAME CONSTRAINT {a} TO {b}" for a, b in (names, names[::-1])))
        for column in new.columns:
            name = f"{old.name}_{column.name}_seq"
            if connection.execute(sqlalchemy.text("SELECT to_regclass(:name)"), {"name": prepare.quote(name)}).scalar():
                names = prepare.quote(name), prepare.quote(f"{new.name}_{column.name}_seq")
                pairs.append(tuple(f"ALTER SEQUENCE {a} RENAME TO {b}" for a, b in (names, names[::-1])))
        return [(forth, back) for forth, back in pairs]

    def view_text(self, connection: Connection, name: str, schema: str | None) -> str | None:
        """The query as PostgreSQL writes it."""
        prepare = connection.dialect.identifier_preparer
        full = f"{prepare.quote(schema)}.{prepare.quote(name)}" if schema else prepare.quote(name)
        query = sqlalchemy.text("SELECT pg_get_viewdef(to_regclass(:name))")
        text = connection.execute(query, {"name": full}).scalar()
        return None if text is None else str(text)

    def model_view_text(self, connection: Connection, table: sqlalchemy.Table, create: str) -> str | None:
        """The query of a temporary view that is made like the model's."""
        prepare = connection.dialect.identifier_preparer
        name = prepare.quote("orm_compared_view")
        start = re.match(r"CREATE (MATERIALIZED )?VIEW \S+", create)
        if start is None:
            return None
        savepoint = connection.begin_nested()
        try:
            connection.exec_driver_sql(f"CREATE TEMPORARY VIEW {name}{create[start.end() :]}")
            return self.view_text(connection, "orm_compared_view", "pg_temp")
        except sqlalchemy.exc.DBAPIError:
            return None  # it selects from a table that the migration makes
        finally:
            savepoint.rollback()
