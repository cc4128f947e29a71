"""What a SQLite database has, in the words of the ORM."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

import sqlalchemy

from orm.database.reflection import Reflection, TableFacts

HAS_TABLE_LIST = sqlite3.sqlite_version_info >= (3, 37)
SHADOWS = "SELECT name FROM pragma_table_list WHERE type = 'shadow'"
OPTIONS = "SELECT type, wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = :name"
TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name ORDER BY 1"


class SQLiteReflection(Reflection):
    """The types of SQLite, and its catalogs."""

    def partitions(self, connection: sqlalchemy.Connection, schema: str | None) -> Collection[str]:
        """The tables in which a virtual table, such as an index for full-text search, keeps its rows."""
        return set(connection.execute(sqlalchemy.text(SHADOWS)).scalars()) if HAS_TABLE_LIST else ()

    def facts(self, connection: sqlalchemy.Connection, table: str, schema: str | None) -> TableFacts:
        """Options of the table, and triggers."""
        facts = TableFacts()
        options = connection.execute(sqlalchemy.text(OPTIONS), {"name": table}).first() if HAS_TABLE_LIST else None
        if options is not None and options.type == "virtual":
            facts.lacks.append("VIRTUAL TABLE")
        elif options is not None:
            facts.notes += ["The table has the option WITHOUT ROWID."] if options.wr else []
            facts.notes += ["The table has the option STRICT."] if options.strict else []
        if triggers := list(connection.execute(sqlalchemy.text(TRIGGERS), {"name": table}).scalars()):
            facts.notes.append(f"The table has triggers: {', '.join(triggers)}.")
        return facts
