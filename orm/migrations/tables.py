"""Whole tables in migrations: renamed and moved ones, cycles of foreign keys, views."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from alembic.operations import ops

from orm.database.sql.ddl import is_managed, views_of
from orm.migrations.difference import CREATED, KEYS_CREATED, KEYS_DROPPED, LAST, RENAMES, Difference, Key, Step
from orm.migrations.operations import RenameTable
from orm.migrations.ownership import version_table
from orm.migrations.sql_texts import as_text


def keep_own(difference: Difference) -> None:
    """Remove the operations on tables that are not the application's, on unmanaged tables and on views."""
    versions = version_table(difference.context)
    for step in list(difference.steps):
        table = difference.table(step.table)
        if table is not None:
            if not is_managed(table):
                difference.remove(step)
        elif isinstance(step.operation, ops.DropTableOp):
            name = step.table[1]
            if not difference.ownership.is_made(name) or step.table == versions:
                difference.remove(step)
                for other in difference.on_table(step.table):
                    difference.remove(other)


def move_tables(difference: Difference) -> None:
    """Move the tables whose `Meta.schema` changed, instead of dropping them and making them again."""
    prepare = difference.dialect.identifier_preparer
    default = difference.inspector.default_schema_name
    for dropped in [step for step in difference.steps if isinstance(step.operation, ops.DropTableOp)]:
        for created in [step for step in difference.steps if isinstance(step.operation, ops.CreateTableOp)]:
            if dropped.table[1] != created.table[1] or dropped.table[0] == created.table[0]:
                continue
            old, new, name = dropped.table[0] or default, created.table[0] or default, prepare.quote(created.table[1])
            for step in (*difference.on_table(dropped.table), *difference.on_table(created.table)):
                difference.remove(step)
            assert old is not None and new is not None
            old, new = prepare.quote(old), prepare.quote(new)
            if created.table[0] is not None:
                difference.statement(f"CREATE SCHEMA IF NOT EXISTS {new}", "", created.table, RENAMES)
            difference.statement(
                f"ALTER TABLE {old}.{name} SET SCHEMA {new}",
                f"ALTER TABLE {new}.{name} SET SCHEMA {old}",
                created.table,
                RENAMES,
            )
            _forget_keys_to(difference, dropped.table[1])


def _forget_keys_to(difference: Difference, name: str) -> None:
    """Foreign keys follow the table that they refer to."""
    for step in list(difference.steps):
        operation = step.operation
        if isinstance(operation, ops.CreateForeignKeyOp) and operation.referent_table == name:
            difference.remove(step)
        if isinstance(operation, ops.DropConstraintOp) and operation.constraint_type == "foreignkey":
            back: Any = operation._reverse
            if back is not None and back.referent_table == name:
                difference.remove(step)


def make_schemas(difference: Difference) -> None:
    """Make the schemas of new tables, if they are not there."""
    existing = set(difference.inspector.get_schema_names())
    prepare = difference.dialect.identifier_preparer
    for schema in sorted({key[0] for key in difference.created if key[0] is not None and key[0] not in existing}):
        difference.statement(f"CREATE SCHEMA IF NOT EXISTS {prepare.quote(schema)}", "", (schema, ""), RENAMES)


def defer_keys(difference: Difference) -> None:
    """Make and drop the foreign keys of a cycle of tables apart from the tables."""
    if difference.server.keys_to_missing_tables:
        return
    created = [step for step in difference.steps if isinstance(step.operation, ops.CreateTableOp)]
    order = [step.table for step in created]
    for position, step in enumerate(created):
        later = set(order[position + 1 :])
        for key in _keys_to(step.operation, later):
            step.operation.columns = [item for item in step.operation.columns if item is not key]
            operation = ops.CreateForeignKeyOp.from_constraint(key)
            difference.steps.append(Step(operation, KEYS_CREATED, table=step.table))
    dropped = [step for step in difference.steps if isinstance(step.operation, ops.DropTableOp)]
    order = [step.table for step in dropped]
    for position, step in enumerate(dropped):
        back = step.operation._reverse
        if back is None:
            continue
        # A table that is dropped before one that refers to it.
        for key in _keys_to(back, set(order[:position])):
            back.columns = [item for item in back.columns if item is not key]
            difference.steps.append(Step(ops.DropConstraintOp.from_constraint(key), KEYS_DROPPED, table=step.table))


def _keys_to(operation: Any, tables: set[Any]) -> list[sqlalchemy.ForeignKeyConstraint]:
    return [
        item
        for item in operation.columns
        if isinstance(item, sqlalchemy.ForeignKeyConstraint) and _target(item) in tables
    ]


def _target(key: sqlalchemy.ForeignKeyConstraint) -> tuple[str | None, str]:
    parts = key.elements[0].target_fullname.split(".")
    return (parts[0] if len(parts) == 3 else None), parts[-2]


def compare_views(difference: Difference) -> None:
    """Make the views that are missing or whose query changed, and drop those that no model has any more."""
    dialect, inspector = difference.dialect, difference.inspector
    wanted = set()
    for metadata in difference.metadatas:
        for table, view in views_of(metadata):
            wanted.add((table.schema, table.name))
            names_of = inspector.get_materialized_view_names if view.materialized else inspector.get_view_names
            create, drop = view.create_sql(table, dialect), view.drop_sql(table, dialect)
            key = (table.schema, table.name)
            if table.name not in names_of(table.schema):
                for position, sql in enumerate(create):
                    difference.statement(as_text(sql, dialect), "" if position else drop, key, LAST)
                continue
            old = difference.server.view_text(difference.connection, table.name, table.schema)
            new = difference.server.model_view_text(difference.connection, table, create[0])
            if old is not None and new is not None and not difference.server.same_view(old, new):
                back = difference.server.create_view(table, view.kind, old, dialect)
                difference.statement(as_text(drop), as_text(back), key, CREATED)
                for position, sql in enumerate(create):
                    difference.statement(as_text(sql, dialect), "" if position else as_text(drop), key, LAST)
    for schema in difference.ownership.schemas:
        for name in inspector.get_view_names(schema):
            key = (schema, name)
            if key not in wanted and difference.ownership.is_made(name) and difference.table(key) is None:
                query = difference.server.view_text(difference.connection, name, schema)
                if query is None:
                    continue
                table = sqlalchemy.Table(name, sqlalchemy.MetaData(), schema=schema)
                back = difference.server.create_view(table, "VIEW", query, dialect)
                full = dialect.identifier_preparer.format_table(table)
                difference.statement(f"DROP VIEW {full}", as_text(back), key, CREATED)


def rename_tables(difference: Difference) -> None:
    """Turn a table that is dropped and one that is made into a table that is renamed, where the answers say so."""
    for dropped in [step for step in difference.steps if isinstance(step.operation, ops.DropTableOp)]:
        for created in [step for step in difference.steps if isinstance(step.operation, ops.CreateTableOp)]:
            table = difference.table(created.table)
            if table is None or dropped.table[0] != created.table[0]:
                continue
            if difference.answers.renamed_table(dropped.table[1], table):
                for step in (*difference.on_table(dropped.table), *difference.on_table(created.table)):
                    difference.remove(step)
                operation = RenameTable(dropped.table[1], created.table[1], schema=created.table[0])
                difference.steps.append(Step(operation, RENAMES, table=created.table))
                difference.renamed[created.table] = dropped.table
                _forget_keys_to(difference, created.table[1])
                _forget_keys_to(difference, dropped.table[1])
                _rename_keys(difference, table, dropped.table)
                break


def _rename_keys(difference: Difference, table: sqlalchemy.Table, old: Key) -> None:
    """Give the foreign keys of a renamed table the names that they have in the model."""
    had = {tuple(each["constrained_columns"]): each for each in difference.inspector.get_foreign_keys(old[1], old[0])}
    for key in table.foreign_key_constraints:
        existing = had.get(tuple(column.name for column in key.columns))
        if existing is None or existing["name"] == key.name:
            continue
        back = ops.CreateForeignKeyOp.from_constraint(key)
        back.constraint_name = existing["name"]
        drop = ops.DropConstraintOp(
            existing["name"], table.name, type_="foreignkey", schema=table.schema, _reverse=back
        )
        difference.add_to_table(drop, (table.schema, table.name))
        difference.add_to_table(ops.CreateForeignKeyOp.from_constraint(key), (table.schema, table.name))
