"""Changes of columns' types in migrations, with all that has to change around them."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy import types as sqltypes

from orm.migrations.columns import label, reflected
from orm.migrations.difference import ALTERED, KEYS_CREATED, KEYS_DROPPED, Difference, Key, Step
from orm.migrations.operations import AlterColumn
from orm.migrations.servers.base import Definitions
from orm.migrations.sql_texts import as_text
from orm.migrations.types import plain_type


def change_types(difference: Difference, table: sqlalchemy.Table, was: Definitions, is_: Definitions) -> None:
    """Write the changes of types with what they need: the conversion, the sequence, the foreign keys around them."""
    key, dialect, server = (table.schema, table.name), difference.dialect, difference.server
    _see_types(difference, table, was, is_)
    for step in difference.on_table(key, ops.AlterColumnOp):
        operation = step.operation
        column = table.c.get(operation.column_name)
        if operation.modify_type is None or column is None:
            continue
        old, new = operation.existing_type, plain_type(operation.modify_type, dialect)
        _refuse_meaningless(difference, table, column, old)
        changed = step.operation = AlterColumn.of(operation)
        changed.using = server.conversion(dialect, column.name, old, new)
        changed.using_reversed = server.conversion(dialect, column.name, new, old)
        for sql in server.before_type_change(dialect, table, column.name, old, new):
            difference.statement(as_text(sql), "", key)
        if changed.using is not None and operation.existing_server_default:
            _change_default_apart(difference, step, column)
        if column.primary_key and isinstance(new, sqltypes.Integer):
            names = was.types.get(column.name, ""), is_.types.get(column.name, "")
            sequence = server.widened_sequence(difference.connection, table, column.name, *names)
            if sequence is not None:
                forth, back = sequence
                difference.statement(as_text(forth), as_text(back), key, inner_rank=ALTERED)
        if server.keys_hold_types:
            _free_of_keys(difference, table, column.name)


def _see_types(difference: Difference, table: sqlalchemy.Table, was: Definitions, is_: Definitions) -> None:
    """Add the changes of types that Alembic does not see, as between JSON and text."""
    key = (table.schema, table.name)
    altered = {
        step.operation.column_name
        for step in difference.on_table(key, ops.AlterColumnOp)
        if step.operation.modify_type is not None
    }
    for name, type_ in was.types.items():
        wanted = is_.types.get(name)
        column = table.c.get(name)
        if wanted is None or column is None or type_ == wanted or name in altered:
            continue
        if not difference.server.differs(type_, wanted):
            continue
        had = reflected(difference, key, name)
        default = had["default"] and sqlalchemy.DefaultClause(sqlalchemy.text(had["default"]))
        for step in difference.on_table(key, ops.AlterColumnOp):
            if step.operation.column_name == name:
                step.operation.modify_type = column.type
                step.operation.existing_type = difference.server.reflected_type(type_, had["type"])
                break
        else:
            operation = ops.AlterColumnOp(
                table.name,
                name,
                schema=table.schema,
                existing_type=difference.server.reflected_type(type_, had["type"]),
                existing_nullable=had["nullable"],
                existing_server_default=default or False,
                modify_type=column.type,
            )
            difference.add_to_table(operation, key)


def _change_default_apart(difference: Difference, step: Step, column: sqlalchemy.Column[Any]) -> None:
    """Drop the default before the type is changed, which may not convert it, and set the new one afterwards."""
    operation = step.operation
    old, new = operation.existing_server_default, operation.modify_server_default
    common = {"existing_nullable": operation.existing_nullable, "schema": operation.schema}
    dropped = AlterColumn(
        operation.table_name,
        operation.column_name,
        existing_type=operation.existing_type,
        existing_server_default=old,
        modify_server_default=None,
        **common,
    )
    operation.existing_server_default, operation.modify_server_default = None, False
    position = next(index for index, each in enumerate(difference.steps) if each is step)
    difference.steps.insert(position, Step(dropped, step.rank, step.inner_rank, step.table))
    default = old if new is False else new
    if default is not None:
        added = AlterColumn(
            operation.table_name,
            operation.column_name,
            existing_type=operation.modify_type,
            existing_server_default=None,
            modify_server_default=default,
            **common,
        )
        difference.steps.insert(position + 2, Step(added, step.rank, step.inner_rank, step.table))


def _refuse_meaningless(
    difference: Difference, table: sqlalchemy.Table, column: sqlalchemy.Column[Any], old: Any
) -> None:
    """Raise `CommandError` for a conversion that no value survives, or that rows of this database would not."""
    field = difference.field_of(table, column.name)
    if field is None:
        return
    if field.family == "uuid" and isinstance(old, (sqltypes.Integer, sqltypes.Numeric)):
        raise CommandError(
            f"{label(table, column, field)} is to be a UUID, and {table.name}.{column.name} has numbers, which are "
            "none. Add a field with the UUID beside it, and let the foreign keys refer to that."
        )
    prepare = difference.dialect.identifier_preparer
    name = prepare.quote(column.name)
    if (table.schema, table.name) in difference.renamed:
        return
    if column.name not in {each["name"] for each in difference.inspector.get_columns(table.name, table.schema)}:
        return  # it is renamed
    condition = difference.server.unfit(
        difference.dialect, name, old, plain_type(column.type, difference.dialect), field.family
    )
    if condition is None:
        return
    sql = f"SELECT count(*) FROM {prepare.format_table(table)} WHERE {condition}"
    count = difference.connection.execute(sqlalchemy.text(as_text(sql))).scalar()
    if count:
        compiled = difference.dialect.type_compiler_instance.process(plain_type(column.type, difference.dialect))
        raise CommandError(
            f"{label(table, column, field)} is to be {compiled}, and {count} "
            f"{'row has a value' if count == 1 else 'rows have values'} in {table.name}.{column.name} that would not "
            "be converted, or not in full. Change them first."
        )


def _free_of_keys(difference: Difference, table: sqlalchemy.Table, column: str) -> None:
    """Drop the foreign keys of a column and those that refer to it, and make them again after the change."""
    inspector = difference.inspector
    for schema in difference.ownership.schemas:
        for name in inspector.get_table_names(schema):
            key = (schema, name)
            if key in difference.dropped:
                continue
            for foreign in inspector.get_foreign_keys(name, schema):
                is_own = key == (table.schema, table.name) and column in foreign["constrained_columns"]
                refers = (foreign["referred_schema"], foreign["referred_table"]) == (table.schema, table.name)
                if is_own or (refers and column in foreign["referred_columns"]):
                    _drop_and_make(difference, key, foreign)


def _drop_and_make(difference: Difference, key: Key, foreign: Any) -> None:
    for step in difference.on_table(key, ops.DropConstraintOp):
        if step.operation.constraint_name == foreign["name"]:
            return  # it is dropped anyway
    make = ops.CreateForeignKeyOp(
        foreign["name"],
        key[1],
        foreign["referred_table"],
        list(foreign["constrained_columns"]),
        list(foreign["referred_columns"]),
        source_schema=key[0],
        referent_schema=foreign["referred_schema"],
        **{name: value for name, value in foreign["options"].items() if name in ("ondelete", "onupdate")},
    )
    drop = ops.DropConstraintOp(foreign["name"], key[1], type_="foreignkey", schema=key[0], _reverse=make)
    difference.steps.append(Step(drop, KEYS_DROPPED, table=key))
    difference.steps.append(Step(make, KEYS_CREATED, table=key))
