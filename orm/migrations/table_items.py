"""Indexes and constraints, compared by the definitions that the database itself writes of them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy
from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy.engine import Dialect

from orm.database.dialect_registry import dialect_for
from orm.database.sql.ddl import (
    DATABASES,
    REQUIRED,
    TableItem,
    check_supported,
    hidden_columns,
    is_left_out,
    is_made_on,
    key_parts,
)
from orm.migrations.difference import COMPLETED, LAST, PREPARED, REMOVED, TABLE, Difference, Key
from orm.migrations.servers.base import Definitions, Item
from orm.migrations.sql_texts import as_text, create_sql

logger = logging.getLogger("orm.migrations")
ITEMS = (ops.CreateIndexOp, ops.DropIndexOp, ops.CreateUniqueConstraintOp, ops.CreateCheckConstraintOp)


def complete_new_tables(difference: Difference) -> None:
    """Add to the tables that are made what Alembic does not make: indexes of expressions, and views' options."""
    dialect = difference.dialect
    for step in [step for step in difference.steps if isinstance(step.operation, ops.CreateTableOp)]:
        step.operation.columns = [item for item in step.operation.columns if not _is_elsewhere(item, dialect)]
        table = difference.table(step.table)
        if table is None:
            continue
        for each in difference.on_table(step.table, ops.CreateIndexOp):
            item = _item(table, each.operation.index_name)
            if item is not None and (not is_made_on(item, dialect) or _is_written(item, dialect)):
                difference.remove(each)
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            if not is_made_on(index, dialect):
                continue
            if not _is_written(index, dialect):
                steps = difference.on_table(step.table, ops.CreateIndexOp)
                if all(each.operation.index_name != index.name for each in steps):
                    difference.add_to_table(ops.CreateIndexOp.from_index(index), step.table)
            else:
                create = create_sql(index, dialect, is_new=True)
                drop = _drop_index_sql(difference, table, index)
                difference.statement(create, drop, step.table, inner_rank=COMPLETED)


def check_models(difference: Difference) -> None:
    """Raise `NotSupportedError` for an index or constraint that the database does not have."""
    for metadata in difference.metadatas:
        for table in metadata.tables.values():
            check_supported(table, difference.dialect)


def compare_items(difference: Difference, table: sqlalchemy.Table, was: Definitions, is_: Definitions) -> None:
    """Compare the indexes and constraints of a table: what it has, and what its model has."""
    key: Key = (table.schema, table.name)
    alembics = _take_alembics(difference, key)
    _refuse_other_key(difference, table, was, is_)
    for kind, had, wanted in (
        ("check", was.checks, is_.checks),
        ("exclude", was.exclusions, is_.exclusions),
        ("unique", was.uniques, is_.uniques),
        ("index", was.indexes, is_.indexes),
    ):
        for name, item in had.items():
            other = _named(wanted, name)
            if other is not None and other.text == item.text:
                continue
            if other is None and not difference.ownership.is_made(name):
                logger.info("%s of table %s is in no model and no revision: it is left alone", name, table.name)
                continue
            _drop(difference, table, kind, name, item, alembics)
        for name, item in wanted.items():
            existing = _named(had, name)
            if existing is None and _has_without_name(had, item):
                continue
            if existing is None or existing.text != item.text:
                _create(difference, table, kind, name, item, changed=existing is not None)
    if difference.server.keys_have_indexes:
        _keep_keys_indexed(difference, table, was, is_)


def _take_alembics(difference: Difference, key: Key) -> dict[str, Any]:
    """Remove the operations that Alembic found on indexes and constraints, and return those that drop, by name."""
    drops: dict[str, Any] = {}
    for step in difference.on_table(key, (*ITEMS, ops.DropConstraintOp)):
        operation = step.operation
        if isinstance(operation, ops.DropConstraintOp):
            if operation.constraint_type not in ("unique", "check", None):
                continue
            drops[str(operation.constraint_name)] = operation
        elif isinstance(operation, ops.DropIndexOp):
            drops[str(operation.index_name)] = operation
        difference.remove(step)
    return drops


def _named(items: Mapping[str, Item], name: str) -> Item | None:
    return items.get(name)


def _has_without_name(items: Mapping[str, Item], item: Item) -> bool:
    """Whether there is the same constraint without a name, as in SQL that others have written for SQLite."""
    return any(name.startswith("(") and other.text == item.text for name, other in items.items())


def _item(table: sqlalchemy.Table, name: Any) -> TableItem | None:
    """The model's index or constraint of this name."""
    items: list[TableItem] = [*table.constraints, *table.indexes]
    return next((item for item in items if item.name is not None and str(item.name) == name), None)


def _is_elsewhere(item: Any, dialect: Dialect) -> bool:
    return DATABASES in getattr(item, "info", {}) and not is_made_on(item, dialect)


def _is_written(item: TableItem | None, dialect: Dialect) -> bool:
    """Whether it is written as SQL, because Alembic's operation would not make all of it."""
    if isinstance(item, sqlalchemy.Index):
        return bool(key_parts(item)) or dialect_for(dialect).is_concurrent(item)
    options = () if item is None else item.info.get(REQUIRED, ())
    return "exclusion" in options or "include" in options


def _drop(
    difference: Difference, table: sqlalchemy.Table, kind: str, name: str, item: Item, alembics: dict[str, Any]
) -> None:
    key, dialect = (table.schema, table.name), difference.dialect
    prepare = dialect.identifier_preparer
    full = prepare.format_table(table)
    if kind == "index" or (kind == "unique" and difference.server.keys_have_indexes):
        known = alembics.get(name)
        if isinstance(known, ops.DropConstraintOp) or (isinstance(known, ops.DropIndexOp) and _is_plain(known, item)):
            difference.add_to_table(known, key)
            return
        drop = _drop_index_sql(difference, table, _item(table, name), name)
        create = item.create if item.create.startswith("CREATE") else f"ALTER TABLE {full} ADD {item.create}"
        if key in difference.renamed:
            create = re.sub(r" ON \S+", lambda match: f" ON {full}", create, count=1)
        difference.statement(as_text(drop), as_text(create), key, inner_rank=REMOVED)
    elif kind == "check":
        back = ops.CreateCheckConstraintOp(name, table.name, sqlalchemy.text(as_text(item.create)), schema=table.schema)
        drop_op = ops.DropConstraintOp(name, table.name, type_="check", schema=table.schema, _reverse=back)
        difference.add_to_table(drop_op, key)
    elif kind == "unique" and (not dialect_for(dialect).adds_constraints or name in alembics):
        unique_back = ops.CreateUniqueConstraintOp(name, table.name, list(item.columns), schema=table.schema)
        difference.add_to_table(
            ops.DropConstraintOp(name, table.name, type_="unique", schema=table.schema, _reverse=unique_back), key
        )
    else:
        drop = difference.server.drop_constraint(dialect, table, name)
        create = f"ALTER TABLE {full} ADD CONSTRAINT {prepare.quote(name)} {item.create}"
        difference.statement(as_text(drop), as_text(create), key, inner_rank=REMOVED)


def _is_plain(operation: ops.DropIndexOp, item: Item) -> bool:
    """Whether Alembic knows all of the index that it drops; on MySQL and MariaDB, SQLAlchemy does not reflect DESC."""
    index = operation.to_index()
    is_plain = all(isinstance(each, sqlalchemy.Column) for each in index.expressions)
    return is_plain and not any(index.dialect_kwargs.values()) and " desc" not in item.text.lower()


def _create(
    difference: Difference, table: sqlalchemy.Table, kind: str, name: str, item: Item, *, changed: bool
) -> None:
    key, dialect = (table.schema, table.name), difference.dialect
    wanted = _item(table, name)
    if isinstance(wanted, sqlalchemy.CheckConstraint) and is_left_out(wanted, dialect):
        return
    if isinstance(wanted, sqlalchemy.Index):
        if _is_written(wanted, dialect):
            autocommit = dialect_for(dialect).is_concurrent(wanted)
            drop = _drop_index_sql(difference, table, wanted)
            rank = LAST if autocommit else TABLE
            difference.statement(
                create_sql(wanted, dialect), as_text(drop), key, rank, COMPLETED, autocommit=autocommit
            )
        else:
            difference.add_to_table(ops.CreateIndexOp.from_index(wanted), key)
    elif isinstance(wanted, sqlalchemy.CheckConstraint):
        text = sqlalchemy.text(check_sql(wanted, dialect))
        difference.add_to_table(ops.CreateCheckConstraintOp(name, table.name, text, schema=table.schema), key)
        create_op = difference.on_table(key, ops.CreateCheckConstraintOp)[-1].operation
        create_op._reverse = None
    elif isinstance(wanted, sqlalchemy.UniqueConstraint) and not _is_written(wanted, dialect):
        difference.add_to_table(ops.CreateUniqueConstraintOp.from_constraint(wanted), key)
    elif wanted is not None:
        compiler: Any = dialect.ddl_compiler(dialect, None)  # type: ignore[arg-type]  # no statement is compiled
        full = dialect.identifier_preparer.format_table(table)
        create = as_text(f"ALTER TABLE {full} ADD {compiler.process(wanted)}", dialect)
        drop = difference.server.drop_constraint(dialect, table, name)
        difference.statement(create, as_text(drop), key, inner_rank=COMPLETED)


def _refuse_other_key(difference: Difference, table: sqlalchemy.Table, was: Definitions, is_: Definitions) -> None:
    """Raise `CommandError` if the columns of the primary key are to be others."""
    old, new = ([name.lower() for name in key] for key in (was.key, is_.key))
    renames = {
        step.operation.column_name.lower(): step.operation.modify_name.lower()
        for step in difference.on_table((table.schema, table.name), ops.AlterColumnOp)
        if step.operation.modify_name
    }
    if [renames.get(name, name) for name in old] != new:
        raise CommandError(
            f"The primary key of the table {table.name} is ({', '.join(was.key)}) and is to be ({', '.join(is_.key)}). "
            "Foreign keys of other tables and rows that others have noted depend on it, so no migration is written for "
            "it: make a model with the new key, copy the rows in a data migration, and drop the old one."
        )


def _keep_keys_indexed(difference: Difference, table: sqlalchemy.Table, was: Definitions, is_: Definitions) -> None:
    """Make the index that a foreign key needs before the one is dropped that it has used so far.

    It has the name of the key, as the one has that the server would have made with the key.
    """
    left = [(name, item) for group in (is_.uniques, is_.indexes) for name, item in group.items()]
    gone = [
        (name, item)
        for group, wanted in ((was.uniques, is_.uniques), (was.indexes, is_.indexes))
        for name, item in group.items()
        if _named(wanted, name) is None and difference.ownership.is_made(name)
    ]
    prepare = difference.dialect.identifier_preparer
    key = (table.schema, table.name)
    schema, name_now = difference.renamed.get(key, key)
    for foreign in difference.inspector.get_foreign_keys(name_now, schema):
        columns = tuple(foreign["constrained_columns"])
        size = len(columns)
        used = any(item.columns[:size] == columns for _, item in gone)
        dropped = any(
            step.operation.constraint_name == foreign["name"] for step in difference.on_table(key, ops.DropConstraintOp)
        )
        if not used or dropped or is_.key[:size] == columns:
            continue
        covering = [name for name, item in left if item.columns[:size] == columns]
        if covering:
            # The model's own index of the key, perhaps a new one, must be there first.
            for step in difference.on_table(key, (ops.CreateIndexOp, ops.CreateUniqueConstraintOp)):
                name = getattr(step.operation, "index_name", None) or getattr(step.operation, "constraint_name", None)
                if name in covering:
                    step.inner_rank = PREPARED
            continue
        name = prepare.quote(str(foreign["name"]))
        listed = ", ".join(map(prepare.quote, columns))
        full = prepare.format_table(table)
        create, drop = f"CREATE INDEX {name} ON {full} ({listed})", f"DROP INDEX {name} ON {full}"
        difference.statement(create, drop, key, inner_rank=PREPARED, what="the foreign key needs an index")


def check_sql(check: sqlalchemy.CheckConstraint, dialect: Dialect) -> str:
    """The condition of a CHECK, as the text of a SQLAlchemy statement."""
    compiler = dialect.statement_compiler(dialect, None)
    return as_text(compiler.process(check.sqltext, include_table=False, literal_binds=True), dialect)


def _drop_index_sql(difference: Difference, table: sqlalchemy.Table, item: Any, name: str = "") -> str:
    dialect = difference.dialect
    prepare = dialect.identifier_preparer
    if isinstance(item, sqlalchemy.Index):
        name = str(item.name)
        hidden = [prepare.quote(part.name) for part in key_parts(item)]
        if hidden and not dialect_for(dialect).indexes_expressions:
            columns = ", ".join(f"DROP COLUMN {column}" for column in hidden)
            return f"ALTER TABLE {prepare.format_table(table)} DROP INDEX {prepare.quote(name)}, {columns}"
        if dialect_for(dialect).is_concurrent(item):
            return as_text(str(sqlalchemy.schema.DropIndex(item).compile(dialect=dialect)).strip(), dialect)
    return difference.server.drop_index(dialect, table, name)


def remove_hidden_columns(difference: Difference) -> None:
    """Remove what Alembic found on the generated columns behind indexes, which it takes for columns without a field."""
    for step in [step for step in difference.steps if isinstance(step.operation, ops.DropColumnOp)]:
        table = difference.table(step.table)
        if table is not None and step.operation.column_name in hidden_columns(table, difference.dialect):
            difference.remove(step)
