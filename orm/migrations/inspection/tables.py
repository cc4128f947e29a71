"""The tables and views of a database, as SQLAlchemy's inspector and the catalogs describe them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import sqlalchemy
from sqlalchemy import Connection
from sqlalchemy.engine import Inspector

from orm.database.dialect_registry import dialect_for
from orm.database.reflection import ReflectedType, Reflection

# Tables of Alembic's and the ORM's own, and of extensions, which no application has models of.
NOT_MODELS = frozenset({"alembic_version", "orm_migrations", "spatial_ref_sys", "sqlite_sequence"})

AUTOMATIC = "sqlite_autoindex_"
"""The beginning of the names of the indexes that SQLite makes of keys and constraints."""


@dataclass
class Key:
    """A foreign key: its columns, and those that they reference."""

    columns: list[str]
    table: str
    schema: str | None
    referenced: list[str]
    name: str | None = None
    on_delete: str = "NO ACTION"
    other_options: dict[str, Any] = field(default_factory=dict)
    """Options that the ORM's relations do not have, such as ON UPDATE."""


@dataclass
class Table:
    """A table or a view."""

    name: str
    schema: str | None
    columns: list[dict[str, Any]]
    primary_key: list[str]
    keys: list[Key]
    uniques: list[dict[str, Any]]
    indexes: list[dict[str, Any]]
    checks: list[dict[str, Any]]
    comment: str | None
    is_view: bool = False
    lacks: list[str] = field(default_factory=list)
    """What no model says, and what SQLAlchemy has left out."""
    notes: list[str] = field(default_factory=list)
    """What belongs to the table, and is not in a model."""

    def is_unique(self, columns: Iterable[str]) -> bool:
        """Whether no two rows have the same values in these columns."""
        wanted = set(columns)
        return set(self.primary_key) == wanted or any(set(each["column_names"]) == wanted for each in self.uniques)


def read_tables(connection: Connection, schema: str | None, names: Iterable[str] = ()) -> Iterator[Table]:
    """The tables, in the order of their names, and then the views; of these names only, if there are any."""
    inspector = sqlalchemy.inspect(connection)
    reflection = dialect_for(connection.dialect).reflection
    left_out = reflection.partitions(connection, schema)
    wanted = set(names)
    for is_view, names_of_kind in (
        (False, inspector.get_table_names(schema)),
        (True, [*inspector.get_view_names(schema), *_materialized_views(inspector, schema)]),
    ):
        for name in sorted(names_of_kind):
            if name not in NOT_MODELS and (name in wanted if wanted else name not in left_out):
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    table = _table(inspector, name, schema, is_view, reflection)
                table.lacks += [" ".join(str(each.message).split()) for each in caught]
                if not is_view:
                    _add_facts(connection, table, reflection)
                yield table


def _materialized_views(inspector: Inspector, schema: str | None) -> list[str]:
    try:
        return inspector.get_materialized_view_names(schema)
    except NotImplementedError:
        return []


def _add_facts(connection: Connection, table: Table, reflection: Reflection) -> None:
    """Add what the catalogs tell of a table besides."""
    facts = reflection.facts(connection, table.name, table.schema)
    table.lacks += facts.lacks
    table.notes += facts.notes
    for column in table.columns:
        condition = facts.column_checks.get(column["name"])
        if condition is None:
            continue
        if condition.startswith("json_valid("):
            column["reflected"] = ReflectedType("JSON")
        else:
            table.lacks.append(f"{column['name']}: CHECK ({condition})")


def _table(inspector: Inspector, name: str, schema: str | None, is_view: bool, reflection: Reflection) -> Table:
    def ask(method: Callable[..., Any], otherwise: Any) -> Any:
        # Not every database has each kind, and views have few of them.
        try:
            return method(name, schema)
        except (NotImplementedError, sqlalchemy.exc.NoSuchTableError):
            return otherwise

    uniques = [] if is_view else ask(inspector.get_unique_constraints, [])
    primary_key = list((ask(inspector.get_pk_constraint, None) or {}).get("constrained_columns") or ())
    all_indexes = [] if is_view else ask(partial(inspector.get_indexes, include_auto_indexes=True), [])
    known = {tuple(unique["column_names"]) for unique in uniques} | {tuple(primary_key)}
    # SQLAlchemy misses a UNIQUE in the text of some tables of SQLite, but finds its index.
    uniques = uniques + [
        {"name": None, "column_names": index["column_names"]}
        for index in all_indexes
        if index["name"].startswith(AUTOMATIC) and tuple(index["column_names"]) not in known
    ]
    of_uniques = {unique["name"] for unique in uniques}
    indexes = [
        index
        for index in all_indexes
        if not index.get("duplicates_constraint")
        and not index["name"].startswith(AUTOMATIC)
        and not (index["unique"] and index["name"] in of_uniques)
    ]
    columns: list[dict[str, Any]] = [dict(column) for column in inspector.get_columns(name, schema)]
    for column in columns:
        column["reflected"] = reflection.field_of(column["type"])
    # A model's composite key is in the order of its fields.
    in_key = {column: position for position, column in enumerate(primary_key)}
    return Table(
        name=name,
        schema=schema,
        columns=sorted(columns, key=lambda column: in_key.get(column["name"], len(in_key))),
        primary_key=primary_key,
        keys=[] if is_view else [_key(each) for each in ask(inspector.get_foreign_keys, [])],
        uniques=sorted(uniques, key=lambda each: (each["column_names"], each["name"] or "")),
        indexes=sorted(indexes, key=lambda each: each["name"] or ""),
        checks=[] if is_view else sorted(ask(inspector.get_check_constraints, []), key=lambda each: each["sqltext"]),
        comment=ask(inspector.get_table_comment, {}).get("text"),
        is_view=is_view,
    )


def _key(reflected: Any) -> Key:
    options = dict(reflected.get("options") or {})
    on_delete = (options.pop("ondelete", None) or "NO ACTION").upper()
    return Key(
        columns=list(reflected["constrained_columns"]),
        table=reflected["referred_table"],
        schema=reflected.get("referred_schema"),
        referenced=list(reflected["referred_columns"]),
        name=reflected.get("name"),
        on_delete=on_delete,
        other_options={name: value for name, value in options.items() if value not in (None, "NO ACTION", False)},
    )
