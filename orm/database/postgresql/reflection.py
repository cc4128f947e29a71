"""What a PostgreSQL database has, in the words of the ORM."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from orm.database.reflection import ReflectedType, Reflection, TableFacts

FIELDS: tuple[tuple[Any, str], ...] = (
    (postgresql.INT4RANGE, "IntegerRange"),
    (postgresql.INT8RANGE, "BigIntegerRange"),
    (postgresql.NUMRANGE, "DecimalRange"),
    (postgresql.DATERANGE, "DateRange"),
    (postgresql.TSRANGE, "DateTimeRange"),
    (postgresql.CITEXT, "CIText"),
    (postgresql.HSTORE, "HStore"),
    (postgresql.INET, "IPAddress"),
    (postgresql.INTERVAL, "Interval"),
)
OF_SCHEMA = "coalesce(CAST(:schema AS text), current_schema())"
PARTITIONS = f"""
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relispartition AND c.relkind IN ('r', 'p') AND n.nspname = {OF_SCHEMA}
"""
TABLE = f"""
SELECT c.oid, c.relkind = 'p' AS is_partitioned, c.relpersistence = 'u' AS is_unlogged, c.relrowsecurity
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = :name AND n.nspname = {OF_SCHEMA}
"""
KIN = """
SELECT CAST(inhrelid AS regclass)::text, CAST(inhparent AS regclass)::text, inhparent = :oid AS is_child
FROM pg_inherits WHERE inhrelid = :oid OR inhparent = :oid ORDER BY 1
"""
EXCLUSIONS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = :oid AND contype = 'x' ORDER BY 1
"""
TRIGGERS = "SELECT tgname FROM pg_trigger WHERE tgrelid = :oid AND NOT tgisinternal ORDER BY 1"
RULES = "SELECT rulename FROM pg_rewrite WHERE ev_class = :oid AND rulename <> '_RETURN' ORDER BY 1"


class PostgreSQLReflection(Reflection):
    """The types of PostgreSQL, and its catalogs."""

    def partitions(self, connection: sqlalchemy.Connection, schema: str | None) -> Collection[str]:
        """The partitions of other tables."""
        return set(connection.execute(sqlalchemy.text(PARTITIONS), {"schema": schema}).scalars())

    def facts(self, connection: sqlalchemy.Connection, table: str, schema: str | None) -> TableFacts:
        """Partitions, inheritance, exclusion constraints, row security, triggers and rules."""
        facts = TableFacts()
        row = connection.execute(sqlalchemy.text(TABLE), {"name": table, "schema": schema}).first()
        if row is None:
            return facts

        def ask(query: str) -> Any:
            return connection.execute(sqlalchemy.text(query), {"oid": row.oid})

        children = []
        for child, parent, is_child in ask(KIN):
            if is_child:
                children.append(child)
            else:
                facts.lacks.append(f"INHERITS ({parent})")
        if row.is_partitioned:
            definition = ask("SELECT pg_get_partkeydef(:oid)").scalar()
            facts.lacks.append(f"PARTITION BY {definition}, with the partitions {', '.join(children) or '(none)'}")
        if row.is_unlogged:
            facts.lacks.append("UNLOGGED")
        facts.lacks += [f"the constraint {name}, {definition}" for name, definition in ask(EXCLUSIONS)]
        if row.relrowsecurity:
            facts.notes.append("Row level security decides which rows are seen.")
        for kind, query in (("triggers", TRIGGERS), ("rules", RULES)):
            if names := list(ask(query).scalars()):
                facts.notes.append(f"The table has {kind}: {', '.join(names)}.")
        return facts

    def field_of(self, column_type: TypeEngine[Any]) -> ReflectedType:
        """The field for a column of this type; of a domain, that of the type behind it."""
        kind: Any = column_type
        if isinstance(kind, postgresql.DOMAIN):
            reflected = self.field_of(kind.data_type)
            reflected.lacks.insert(0, f"the domain {kind.name}")
            return reflected
        for class_, name in FIELDS:
            if isinstance(kind, class_):
                return ReflectedType(name)
        if isinstance(kind, postgresql.JSON) and not isinstance(kind, postgresql.JSONB):
            return ReflectedType("JSON", lacks=["JSON instead of JSONB"])
        return super().field_of(column_type)
