"""SQLite in migrations: what `sqlite_master` says."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import types as sqltypes
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.schema import CreateTable as SQLAlchemyCreateTable
from sqlalchemy.types import TypeEngine

from orm.database.dialect_registry import dialect_for
from orm.migrations.servers.base import Definitions, Item, Server, statements_of
from orm.migrations.servers.sqlite_table import CreateTable, inside, normalized, tokens


class SQLite(Server):
    """SQLite."""

    keys_to_missing_tables = True

    def definitions(self, connection: Connection, table: sqlalchemy.Table) -> Definitions:
        """What the database has."""
        master = f'"{table.schema}".sqlite_master' if table.schema else "sqlite_master"
        query = sqlalchemy.text(
            f"SELECT type, name, sql FROM {master} "
            "WHERE tbl_name = :name COLLATE NOCASE AND type IN ('table', 'index') AND sql IS NOT NULL"
        )
        rows = connection.execute(query, {"name": table.name}).fetchall()
        [create] = [sql for kind, _, sql in rows if kind == "table"]
        return _described(create, {name: sql for kind, name, sql in rows if kind == "index"})

    def model_definitions(self, connection: Connection, table: sqlalchemy.Table) -> Definitions:
        """What the model's own CREATE statements say."""
        dialect = dialect_for(connection.dialect).sqlalchemy  # which compiles composite keys with a numbered part
        _, indexes = statements_of(table, dialect)
        create = str(SQLAlchemyCreateTable(table).compile(dialect=dialect)).strip()
        return _described(create, {_index_name(sql): sql for sql in indexes})

    def drop_constraint(self, dialect: Dialect, table: sqlalchemy.Table, name: str) -> str:
        """Not a statement of SQLite."""
        raise NotImplementedError

    def unfit(
        self, dialect: Dialect, column: str, old: TypeEngine[Any], new: TypeEngine[Any], family: str
    ) -> str | None:
        """What the copy of the table would not refuse."""
        if family == "uuid":
            return f"length({column}) <> 32 OR {column} GLOB '*[^0-9a-f]*'"
        if isinstance(old, sqltypes.DateTime) and isinstance(new, sqltypes.Date):
            return f"substr({column}, 12) > '00:00:00.000000'"
        if isinstance(old, sqltypes.String) and isinstance(new, sqltypes.Date):
            return f"date({column}) IS NOT {column}"
        if isinstance(old, sqltypes.String) and family == "json":
            return f"{column} IS NOT NULL AND NOT json_valid({column})"
        scale = getattr(new, "scale", None)
        if isinstance(new, sqltypes.Numeric) and scale is not None:
            return f"typeof({column}) <> 'text' AND {column} <> round({column}, {scale})"
        return None

    def view_text(self, connection: Connection, name: str, schema: str | None) -> str | None:
        """The text of the view, as it was made."""
        master = f'"{schema}".sqlite_master' if schema else "sqlite_master"
        query = sqlalchemy.text(f"SELECT sql FROM {master} WHERE type = 'view' AND name = :name COLLATE NOCASE")
        text = connection.execute(query, {"name": name}).scalar()
        return None if text is None else str(text)

    def model_view_text(self, connection: Connection, table: sqlalchemy.Table, create: str) -> str | None:
        """The text of the model's CREATE VIEW."""
        return create

    def create_view(self, table: sqlalchemy.Table, kind: str, text: str, dialect: Dialect) -> str:
        """The text is the statement."""
        return text

    def same_view(self, one: str, other: str) -> bool:
        """Whether they differ in spaces and quotes only."""
        return normalized(one) == normalized(other)


def _index_name(sql: str) -> str:
    described = tokens(sql)
    position = next(index for index, token in enumerate(described) if token.word == "ON")
    return described[position - 1].name


def _described(create: str, indexes: dict[str, str]) -> Definitions:
    table = CreateTable.parse(create)
    described = Definitions(key=table.key())
    for column in table.columns:
        described.types[column.name] = normalized(column.type)
        generated = column.clause("generated")
        if generated is not None:
            described.generated[column.name] = normalized(generated.text).removeprefix("generated always ")
    for name, text in table.named("check"):
        condition = inside(text)
        described.checks[name or f"({normalized(condition)})"] = Item(normalized(condition), condition)
    for constraint in table.constraints:
        if constraint.kind == "unique":
            name = constraint.name or f"({', '.join(constraint.columns)})"
            columns = ", ".join(column.lower() for column in constraint.columns)
            described.uniques[name] = Item(columns, constraint.text, constraint.columns)
    for column in table.columns:
        unique = column.clause("unique")
        if unique is not None:
            described.uniques[unique.name or f"({column.name})"] = Item(
                column.name.lower(), unique.text, (column.name,)
            )
    for name, sql in indexes.items():
        described.indexes[name] = Item(_index_text(sql), sql)
    return described


def _index_text(sql: str) -> str:
    """The definition without its name: UNIQUE, and what follows ON."""
    words = normalized(sql).split(" on ", 1)
    return f"{'unique ' if ' unique ' in f' {words[0]} ' else ''}{words[1]}"
