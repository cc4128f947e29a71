"""What a database of MySQL or MariaDB has, in the words of the ORM."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import types
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from orm.database.reflection import ReflectedType, Reflection, TableFacts

TRIGGERS = """
SELECT trigger_name FROM information_schema.triggers
WHERE event_object_schema = coalesce(:schema, database()) AND event_object_table = :name ORDER BY 1
"""
PARTITIONS = """
SELECT partition_method, partition_expression, partition_name FROM information_schema.partitions
WHERE table_schema = coalesce(:schema, database()) AND table_name = :name AND partition_name IS NOT NULL
"""
COLUMN_CHECKS = """
SELECT constraint_name, check_clause FROM information_schema.check_constraints
WHERE constraint_schema = coalesce(:schema, database()) AND table_name = :name AND level = 'Column'
"""


class MySQLReflection(Reflection):
    """The types of MySQL and MariaDB, and the catalogs of MySQL."""

    def facts(self, connection: sqlalchemy.Connection, table: str, schema: str | None) -> TableFacts:
        """Partitions and triggers."""
        facts, of_table = TableFacts(), {"name": table, "schema": schema}
        if partitions := connection.execute(sqlalchemy.text(PARTITIONS), of_table).all():
            names = ", ".join(row[2] for row in partitions)
            facts.lacks.append(f"PARTITION BY {partitions[0][0]} ({partitions[0][1]}), with the partitions {names}")
        if triggers := list(connection.execute(sqlalchemy.text(TRIGGERS), of_table).scalars()):
            facts.notes.append(f"The table has triggers: {', '.join(triggers)}.")
        return facts

    def field_of(self, column_type: TypeEngine[Any]) -> ReflectedType:
        """The field for a column of this type."""
        kind: Any = column_type
        reflected = self._field_of(kind)
        if getattr(kind, "unsigned", False):
            reflected.lacks.append("UNSIGNED")
        return reflected

    def _field_of(self, kind: Any) -> ReflectedType:
        if isinstance(kind, mysql.TINYINT):
            if kind.display_width == 1:
                return ReflectedType("Boolean")
            return ReflectedType("SmallInteger", lacks=["TINYINT"])
        if isinstance(kind, mysql.MEDIUMINT):
            return ReflectedType("Integer", lacks=["MEDIUMINT"])
        if isinstance(kind, mysql.YEAR):
            return ReflectedType("SmallInteger", lacks=["YEAR"])
        if isinstance(kind, mysql.SET):
            return ReflectedType("Text", lacks=["SET"])
        if isinstance(kind, (mysql.TINYTEXT, mysql.TEXT, mysql.MEDIUMTEXT)):
            return ReflectedType("Text", lacks=[type(kind).__name__])
        if isinstance(kind, mysql.LONGTEXT):
            return ReflectedType("Text")
        return super().field_of(kind)

    def is_single(self, kind: types.Float[Any]) -> bool:
        """Whether a float has 32 bits."""
        return isinstance(kind, mysql.FLOAT) or super().is_single(kind)


class MariaDBReflection(MySQLReflection):
    """MariaDB, where a CHECK that is written in a column has no name, and that of a JSON column says that it is one."""

    def facts(self, connection: sqlalchemy.Connection, table: str, schema: str | None) -> TableFacts:
        """The CHECK constraints of columns as well."""
        facts = super().facts(connection, table, schema)
        of_table = {"name": table, "schema": schema}
        for column, condition in connection.execute(sqlalchemy.text(COLUMN_CHECKS), of_table):
            facts.column_checks[column] = condition
        return facts
