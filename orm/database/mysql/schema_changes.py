"""Schema changes of MySQL and MariaDB: each statement commits by itself, and is done as a whole or not at all."""

from __future__ import annotations

import math
import re
from typing import ClassVar

import sqlalchemy
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect

from orm.database.schema_changes import Mirror, SchemaChanges, digest_of

COUNTER = re.compile(r" AUTO_INCREMENT=\d+")
NAMES = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
TRIGGERS = """
    SELECT event_object_table, trigger_name, action_statement FROM information_schema.triggers
    WHERE trigger_schema = DATABASE() ORDER BY 1, 2
"""
ESTIMATED_ROWS = """
    SELECT /*+ SET_VAR(information_schema_stats_expiry = 0) */ table_rows FROM information_schema.tables
    WHERE table_schema = coalesce(%s, DATABASE()) AND table_name = %s
"""

#: ALTER TABLE without a LOCK that takes one: the others are not about a copy, or a person has chosen.
TAKES_LOCK = re.compile(
    r"\s*(ALTER TABLE|CREATE (?:UNIQUE |FULLTEXT |SPATIAL )?INDEX)\b"
    r"(?!.*\b(?:LOCK|ALGORITHM)\s*=)(?!.*\bPARTITION)(?!.* (?:DISCARD|IMPORT) TABLESPACE)"
    r"(?!.*? RENAME (?!COLUMN|INDEX|KEY))[^;]*$",
    re.IGNORECASE | re.DOTALL,
)
LOCK_REFUSED = (1845, 1846)


class MySQLSchemaChanges(SchemaChanges):
    """A statement that was interrupted is found again in the definitions of the tables that it names."""

    transactional: ClassVar[bool] = False
    skipped: ClassVar[str] = "DO 0"

    def timeout_statements(self, seconds: float) -> tuple[str, ...]:
        """`lock_wait_timeout`: others queue behind a statement that waits for the lock of a table's metadata."""
        return (f"SET SESSION lock_wait_timeout = {max(1, math.ceil(seconds))}",)

    def fingerprint(self, connection: sqlalchemy.Connection, sql: str) -> str:
        """A digest of the definitions of the tables and views, with their triggers, whose names the statement has."""
        quote = connection.dialect.identifier_preparer.quote_identifier
        words = {word.lower() for word in re.findall(r"[^\s`.,;()'\"=]+", sql)}
        parts: list[object] = []
        for (name,) in connection.exec_driver_sql(NAMES).fetchall():
            if name.lower() in words or f"`{name.lower()}`" in sql.lower():
                row = connection.exec_driver_sql(f"SHOW CREATE TABLE {quote(name).replace('%', '%%')}").fetchone()
                parts += [name, "" if row is None else COUNTER.sub("", str(row[1]))]
        triggers = [tuple(row) for row in connection.exec_driver_sql(TRIGGERS)]
        return digest_of([*sorted(map(str, parts)), *triggers])

    def estimated_rows(self, connection: sqlalchemy.Connection, table: str, schema: str | None) -> int | None:
        """InnoDB's estimate, as ANALYZE TABLE or the server itself made it last."""
        rows = connection.exec_driver_sql(ESTIMATED_ROWS, (schema, table)).scalar()
        return None if rows is None else int(rows)

    def create_mirror(self, mirror: Mirror, dialect: SQLAlchemyDialect) -> list[str]:
        """A trigger before each INSERT, and one before each UPDATE. Assignments see those before them."""
        table, prefix, old, new = mirror.quoted(dialect)
        quote = dialect.identifier_preparer.quote_identifier
        sets = {
            "insert": f"NEW.{new} = coalesce(NEW.{new}, NEW.{old}), NEW.{old} = NEW.{new}",
            "update": f"NEW.{new} = IF(NEW.{old} <=> OLD.{old}, NEW.{new}, NEW.{old}),"
            f" NEW.{old} = IF(NEW.{new} <=> OLD.{new}, NEW.{old}, NEW.{new})",
        }
        return [
            f"CREATE TRIGGER {prefix}{quote(mirror.name(event))} BEFORE {event.upper()} ON {table}"
            f" FOR EACH ROW SET {values}"
            for event, values in sets.items()
        ]

    def drop_mirror(self, mirror: Mirror, dialect: SQLAlchemyDialect) -> list[str]:
        """Both triggers."""
        _, prefix, _, _ = mirror.quoted(dialect)
        quote = dialect.identifier_preparer.quote_identifier
        return [f"DROP TRIGGER {prefix}{quote(mirror.name(event))}" for event in ("insert", "update")]

    def online(self, sql: str) -> str:
        """`LOCK=NONE`: the server takes the cheapest algorithm, and refuses one during which writers wait."""
        match = TAKES_LOCK.match(sql)
        if match is None:
            return sql
        return f"{sql.rstrip()}{',' if match[1].upper() == 'ALTER TABLE' else ''} LOCK=NONE"

    def is_copy_refused(self, error: BaseException) -> bool:
        """Errors 1845 and 1846: LOCK=NONE is not supported."""
        return bool(error.args) and error.args[0] in LOCK_REFUSED
