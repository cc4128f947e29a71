"""Rows of all tables as lines of JSON, and back."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy

from orm.database.dialect_registry import find
from orm.exceptions import Error, FieldError
from orm.fields.base import Field
from orm.registry import ModelRegistry

BATCH = 100
BYTES = "base64:"
TEXT = "text:"
"""What a text begins with that would be taken for bytes, or for such a text."""


class FixtureError(Error):
    """A line that cannot be loaded."""


class Tables:
    """The tables of models, parents before those that refer to them."""

    def __init__(self, registries: Sequence[ModelRegistry]) -> None:
        self.fields: dict[str, dict[str, Field[Any]]] = {}
        self.by_model: dict[str, str] = {}
        self.tables: dict[str, sqlalchemy.Table] = {}
        for registry in registries:
            metadata = registry.metadata
            for model in registry.models.values():
                info = model._meta
                if info.table is None or not info.options.managed:
                    continue
                self.by_model[model.__name__] = info.table.key
                fields = self.fields.setdefault(info.table.key, {})
                fields.update({str(field.column_name): field for field in info.fields.values()})
            for table in metadata.sorted_tables:
                if table.key in self.fields:
                    self.tables[table.key] = table

    def named(self, names: Iterable[str]) -> list[sqlalchemy.Table]:
        """The tables of models, or all of them. Raises `FixtureError` for an unknown name."""
        wanted = set()
        for name in names:
            key = self.by_model.get(name, name)
            if key not in self.tables:
                raise FixtureError(f"there is no model or table {name!r}; there are {', '.join(self.by_model)}")
            wanted.add(key)
        return [table for key, table in self.tables.items() if not wanted or key in wanted]

    def columns(self, table: sqlalchemy.Table) -> list[sqlalchemy.Column[Any]]:
        """The columns whose values are written: those that the database does not calculate."""
        fields = self.fields[table.key]
        return [column for column in table.columns if column.computed is None and column.name in fields]


async def dump(registries: Sequence[ModelRegistry], names: Iterable[str]) -> AsyncIterator[str]:
    """The rows of the models, a line of JSON for each, parents before those that refer to them."""
    tables, database = Tables(registries), registries[0].database
    for table in tables.named(names):
        columns = tables.columns(table)
        fields = tables.fields[table.key]
        query = sqlalchemy.select(*columns).order_by(*table.primary_key.columns)
        async for row in database.iterate(query):
            values = {column.name: _to_json(fields[column.name], row[column.name]) for column in columns}
            yield json.dumps({"table": table.key, "values": values}, ensure_ascii=False)


def _to_json(field: Field[Any], value: Any) -> Any:
    if value is None:
        return None
    try:
        plain = field.to_json(value)
        json.dumps(plain)
    except TypeError:
        plain = value
    if isinstance(plain, (bytes, bytearray, memoryview)):
        return BYTES + base64.b64encode(bytes(plain)).decode()
    if isinstance(plain, str) and plain.startswith((BYTES, TEXT)):
        return TEXT + plain
    return plain if isinstance(plain, (str, int, float, bool, list, dict)) else str(plain)


def _from_json(field: Field[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, str) and value.startswith(BYTES):
        return base64.b64decode(value.removeprefix(BYTES))
    if isinstance(value, str):
        value = value.removeprefix(TEXT)
    return field.from_json(value)


async def load(
    registries: Sequence[ModelRegistry], lines: Iterable[str], advance: Callable[[], None] = lambda: None
) -> int:
    """Insert the rows of lines of JSON, in one transaction. Returns how many there were.

    Raises:
        FixtureError: a line is no row of a table of these models.
        UniqueViolation: a row exists.
    """
    tables, database = Tables(registries), registries[0].database
    rows: dict[str, list[dict[str, Any]]] = {key: [] for key in tables.tables}
    for number, line in enumerate(lines, 1):
        if line.strip():
            key, values = _read(tables, line, number)
            rows[key].append(values)
    count = 0
    async with database.transaction():
        for key, table in tables.tables.items():
            for batch in _batches(_parents_first(table, rows[key])):
                await database.execute(_insert(table, batch))
                count += len(batch)
                advance()
            if rows[key]:
                dialect = find(database.url.dialect)
                if dialect is not None:
                    for statement in dialect.schema_changes.after_keys(table, dialect.sqlalchemy):
                        await database.execute(statement)
    return count


def _insert(table: sqlalchemy.Table, rows: list[dict[str, Any]]) -> sqlalchemy.Insert:
    # Parameters are named after the keys of columns; `databases` fails with a name that has a space.
    keys = {column.name: f"c{number}" for number, column in enumerate(table.columns)}
    columns = [sqlalchemy.Column(column.name, column.type, key=keys[column.name]) for column in table.columns]
    copy = sqlalchemy.Table(table.name, sqlalchemy.MetaData(), *columns, schema=table.schema)
    values: list[Any] = [
        {keys[name]: sqlalchemy.null() if value is None else value for name, value in row.items()} for row in rows
    ]
    return copy.insert().values(values)


def _read(tables: Tables, line: str, number: int) -> tuple[str, dict[str, Any]]:
    try:
        parsed = json.loads(line)
        key, values = parsed["table"], parsed["values"]
        fields = tables.fields[key]
        unknown = [name for name in values if name not in fields]
        if unknown:
            raise FixtureError(f"line {number}: the table {key} has no column {unknown[0]!r}")
        return key, {name: _from_json(fields[name], value) for name, value in values.items()}
    except KeyError as error:
        raise FixtureError(f"line {number}: no table of the models is called {error}") from error
    except (ValueError, TypeError, FieldError) as error:
        if isinstance(error, FixtureError):
            raise
        raise FixtureError(f"line {number} cannot be read: {error}") from error


def _batches(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or end - start == BATCH or rows[end].keys() != rows[start].keys():
            yield rows[start:end]
            start = end


def _parents_first(table: sqlalchemy.Table, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that other rows of the same table refer to come before these."""
    keys = [key for key in table.foreign_key_constraints if key.referred_table is table and len(key.columns) == 1]
    for key in keys:
        local, remote = key.column_keys[0], key.elements[0].column.name
        by_key = {row.get(remote): row for row in rows}
        ordered: dict[int, dict[str, Any]] = {}
        for row in rows:
            chain = []
            current: dict[str, Any] | None = row
            while current is not None and id(current) not in ordered and current not in chain:
                chain.append(current)
                current = by_key.get(current.get(local))
            ordered.update({id(each): each for each in reversed(chain)})
        rows = [*ordered.values()]
    return rows
