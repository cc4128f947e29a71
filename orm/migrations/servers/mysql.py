"""MySQL and MariaDB in migrations: what SHOW CREATE TABLE says."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy
from sqlalchemy import types as sqltypes
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.types import TypeEngine

from orm.migrations.servers.base import Definitions, Item, SequenceOptions, Server, statements_of

NAME = r"`((?:[^`]|``)*)`"
COLUMN = re.compile(rf"^  {NAME} (.*?),?$")
CHECK = re.compile(rf"^  CONSTRAINT {NAME} CHECK \((.*)\)(?: /\*.*\*/)?,?$")
INDEX = re.compile(rf"^  (UNIQUE |FULLTEXT |SPATIAL )?KEY {NAME} (.*?),?$")
KEY = re.compile(r"^  PRIMARY KEY \((.*?)\)")
FOREIGN = re.compile(rf"^  CONSTRAINT {NAME} FOREIGN KEY \((.*?)\)")
GENERATED = re.compile(r"GENERATED ALWAYS AS \((.*)\) (?:VIRTUAL|STORED|PERSISTENT)")
SEQUENCES = (
    "SELECT table_name FROM information_schema.tables "
    "WHERE table_type = 'SEQUENCE' AND table_schema = coalesce(:schema, database())"
)
DEFAULT = (
    "SELECT column_default FROM information_schema.columns "
    "WHERE table_schema = coalesce(:schema, database()) AND table_name = :table AND column_name = :column"
)
DEFAULTS = (
    "SELECT CASE table_schema WHEN database() THEN NULL ELSE table_schema END, table_name, column_name, column_default "
    "FROM information_schema.columns "
    "WHERE table_schema = coalesce(:schema, database()) AND column_default LIKE '%nextval(%'"
)
#: MySQL writes the character set of each text in an expression.
INTRODUCER = re.compile(r"_utf8mb[34](?=\\?')")


class MySQL(Server):
    """MySQL and MariaDB."""

    keys_hold_types = True
    keys_have_indexes = True
    takes_autoincrement = True
    fills_in_batches = True

    def definitions(self, connection: Connection, table: sqlalchemy.Table) -> Definitions:
        """What the database has."""
        return self._described(connection, connection.dialect.identifier_preparer.format_table(table))

    def model_definitions(self, connection: Connection, table: sqlalchemy.Table) -> Definitions:
        """What a temporary table has that is made like the model's; while it is there, it hides the other."""
        create, indexes = statements_of(table, connection.dialect)
        name = connection.dialect.identifier_preparer.quote(table.name)
        connection.exec_driver_sql(_literal(create.replace("CREATE TABLE ", "CREATE TEMPORARY TABLE ", 1)))
        try:
            for index in indexes:
                connection.exec_driver_sql(_literal(index))
            return self._described(connection, name)
        finally:
            connection.exec_driver_sql(f"DROP TEMPORARY TABLE {name}")

    def _described(self, connection: Connection, name: str) -> Definitions:
        described = Definitions()
        text = str(connection.exec_driver_sql(f"SHOW CREATE TABLE {_literal(name)}").fetchone()[1])  # type: ignore[index]
        lines = text.split("\n")
        keys = {match[1] for line in lines if (match := FOREIGN.match(line))}
        columns_of_keys = {_names(match[2])[0] for line in lines if (match := FOREIGN.match(line))}
        for line in lines[1:]:
            if match := KEY.match(line):
                described.key = _names(match[1])
            elif match := CHECK.match(line):
                condition = INTRODUCER.sub("", match[2])
                described.checks[match[1]] = Item(condition, condition)
            elif match := INDEX.match(line):
                kind, index = (match[1] or "").strip(), match[2]
                if not kind and (index in keys or index in columns_of_keys):
                    continue  # the server's own, for a foreign key
                item = Item(f"{kind} {match[3]}", f"{kind} KEY `{index}` {match[3]}".strip(), _names(match[3]))
                (described.uniques if kind == "UNIQUE" else described.indexes)[index] = item
            elif match := COLUMN.match(line):
                described.types[match[1]] = _type(match[2])
                if generated := GENERATED.search(match[2]):
                    stored = "STORED" if generated[0].endswith(("STORED", "PERSISTENT")) else "VIRTUAL"
                    described.generated[match[1]] = f"{INTRODUCER.sub('', generated[1])} {stored}"
        return described

    def drop_index(self, dialect: Dialect, table: sqlalchemy.Table, name: str) -> str:
        """DROP INDEX … ON."""
        prepare = dialect.identifier_preparer
        return f"DROP INDEX {prepare.quote(name)} ON {prepare.format_table(table)}"

    def differs(self, old: str, new: str) -> bool:
        """JSON and text; Alembic compares the others."""
        return (old.endswith("json")) != (new.endswith("json"))

    def reflected_type(self, text: str, reflected: TypeEngine[Any]) -> TypeEngine[Any]:
        """JSON, which on MariaDB is reflected as LONGTEXT."""
        return sqltypes.JSON() if text.endswith("json") else reflected

    def unfit(
        self, dialect: Dialect, column: str, old: TypeEngine[Any], new: TypeEngine[Any], family: str
    ) -> str | None:
        """What the server would store all the same."""
        if family == "uuid":
            return f"{column} NOT REGEXP '^[0-9a-f]{{32}}$'"
        if isinstance(old, (sqltypes.Float, sqltypes.Numeric)) and isinstance(new, sqltypes.Integer):
            return f"{column} <> round({column})"
        if isinstance(old, sqltypes.DateTime) and isinstance(new, sqltypes.Date):
            return f"{column} <> CAST({column} AS DATE)"
        scales = getattr(old, "scale", None), getattr(new, "scale", None)
        if isinstance(new, sqltypes.Numeric) and scales[1] is not None and (scales[0] or 0) > scales[1]:
            return f"{column} <> round({column}, {scales[1]})"
        return None

    def before_type_change(
        self, dialect: Dialect, table: sqlalchemy.Table, column: str, old: TypeEngine[Any], new: TypeEngine[Any]
    ) -> list[str]:
        """A number that becomes a boolean is 0 or 1 before it."""
        if isinstance(new, sqltypes.Boolean) and isinstance(old, sqltypes.Integer):
            prepare = dialect.identifier_preparer
            quoted = prepare.quote(column)
            return [f"UPDATE {prepare.format_table(table)} SET {quoted} = {quoted} <> 0 WHERE {quoted} NOT IN (0, 1)"]
        return []

    def view_text(self, connection: Connection, name: str, schema: str | None) -> str | None:
        """The query as the server writes it."""
        query = sqlalchemy.text(
            "SELECT view_definition FROM information_schema.views "
            "WHERE table_schema = coalesce(:schema, database()) AND table_name = :name"
        )
        text = connection.execute(query, {"schema": schema, "name": name}).scalar()
        return None if text is None else str(text)


class MariaDB(MySQL):
    """MariaDB."""

    no_cycle = "NOCYCLE"

    def sequences(self, connection: Connection, schema: str | None) -> dict[str, SequenceOptions | None]:
        """All: those of columns are no sequences."""
        sequences: dict[str, SequenceOptions | None] = {}
        prepare = connection.dialect.identifier_preparer
        for name in connection.execute(sqlalchemy.text(SEQUENCES), {"schema": schema}).scalars():
            full = prepare.format_sequence(sqlalchemy.Sequence(name, schema=schema))
            row = connection.exec_driver_sql(f"SELECT start_value, increment, cycle_option FROM {full}").one()
            sequences[name] = SequenceOptions(row[0], row[1], bool(row[2]))
        return sequences

    def default_text(self, connection: Connection, column: sqlalchemy.Column[Any]) -> str | None:
        """What the catalog has."""
        parameters = {"schema": column.table.schema, "table": column.table.name, "column": column.name}
        text = connection.execute(sqlalchemy.text(DEFAULT), parameters).scalar()
        return None if text is None else str(text)

    def defaults_of(
        self, connection: Connection, schema: str | None, sequence: str
    ) -> list[tuple[str | None, str, str, str]]:
        """All: MariaDB drops a sequence that is in use."""
        quoted = connection.dialect.identifier_preparer.quote_identifier(sequence).replace("%%", "%")
        defaults = connection.execute(sqlalchemy.text(DEFAULTS), {"schema": schema})
        return [(*where, sql) for *where, sql in defaults if f"{quoted})" in sql]


def _literal(sql: str) -> str:
    """SQL for `exec_driver_sql`, whose drivers read percent signs as parameters."""
    return sql.replace("%", "%%")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.replace("``", "`") for name in re.findall(NAME, text))


def _type(definition: str) -> str:
    """The type of a column, and whether it must be JSON; MariaDB's JSON is a LONGTEXT with a CHECK."""
    type_ = re.match(r"\w+(?:\((?:'(?:[^']|'')*'|[^)'])*\))?(?: unsigned)?", definition)
    assert type_ is not None
    return type_[0] + (" json" if "CHECK (json_valid(" in definition else "")
