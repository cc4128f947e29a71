"""Columns in migrations: renamed, required, generated."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy import types as sqltypes

from orm.fields.base import Field
from orm.migrations.answers import UNANSWERED
from orm.migrations.backfills import Backfill
from orm.migrations.difference import ADDED, ALTERED, VALUES, Difference, Key, Step
from orm.migrations.operations import AlterColumn, OnlyBack
from orm.migrations.servers.base import Definitions
from orm.migrations.sql_texts import as_text
from orm.migrations.types import plain_type

#: Types of which MySQL takes no literal as a default.
WITHOUT_DEFAULT = (sqltypes.Text, sqltypes.JSON, sqltypes.LargeBinary)


def rename_columns(difference: Difference, table: sqlalchemy.Table) -> None:
    """Turn a column that is dropped and one that is added into one that is renamed, where the answers say so.

    A new name that differs in letter case only is a rename without a question.
    """
    key = (table.schema, table.name)
    for dropped in difference.on_table(key, ops.DropColumnOp):
        old = dropped.operation.column_name
        for added in difference.on_table(key, ops.AddColumnOp):
            new = table.c[added.operation.column.name]
            if old.lower() != new.name.lower() and not difference.answers.renamed_column(table, old, new):
                continue
            had = reflected(difference, key, old)
            difference.remove(dropped)
            difference.remove(added)
            common = {"existing_type": had["type"], "existing_nullable": had["nullable"], "schema": table.schema}
            default = None if had["default"] is None else sqlalchemy.DefaultClause(sqlalchemy.text(had["default"]))
            common["existing_server_default"] = default or False
            difference.add_to_table(AlterColumn(table.name, old, modify_name=new.name, **common), key, ADDED)
            # What else differs is changed under the new name.
            changes: dict[str, Any] = {}
            if bool(had["nullable"]) != bool(new.nullable):
                changes["modify_nullable"] = bool(new.nullable)
            if difference.context.impl.compare_type(
                sqlalchemy.Column(old, had["type"]),
                sqlalchemy.Column(new.name, plain_type(new.type, difference.dialect)),
            ):
                changes["modify_type"] = new.type
            if changes:
                difference.add_to_table(AlterColumn(table.name, new.name, **common, **changes), key, ALTERED)
            break


def reflected(difference: Difference, key: Key, name: str) -> dict[str, Any]:
    """What SQLAlchemy reflects of a column that the database has. Raises `KeyError` if it has none of this name."""
    schema, table = difference.renamed.get(key, key)
    for column in difference.inspector.get_columns(table, schema):
        if column["name"] == name:
            return dict(column)
    raise KeyError(name)


# Required columns.


def restore_required(difference: Difference, table: sqlalchemy.Table) -> None:
    """Let the downgrade make a dropped column again that was required, with the answer for the rows it then finds."""
    key = (table.schema, table.name)
    for step in difference.on_table(key, ops.DropColumnOp):
        back = step.operation._reverse
        if back is None or not _is_required(back.column) or back.column.computed is not None:
            continue
        value = difference.answers.one_off(table, back.column, None)
        if value is UNANSWERED or value is None:
            continue  # the downgrade works on an empty table
        literal, _ = _sql_of(value, back.column, None, difference)
        default = sqlalchemy.DefaultClause(sqlalchemy.text(as_text(literal)))
        column = back.column._copy()
        column.server_default = default
        step.operation._reverse = ops.AddColumnOp(table.name, column, schema=table.schema)
        dropped = AlterColumn(
            table.name,
            column.name,
            existing_type=column.type,
            existing_nullable=False,
            existing_server_default=default,
            modify_server_default=None,
            schema=table.schema,
        )
        difference.add_to_table(OnlyBack(dropped), key, ALTERED)


def require_columns(difference: Difference, table: sqlalchemy.Table) -> None:
    """Give existing rows a value in the columns that require one from now on."""
    key = (table.schema, table.name)
    for step in difference.on_table(key, ops.AddColumnOp):
        column = table.c.get(step.operation.column.name)
        if column is not None and _is_required(column):
            _add_required(difference, table, column, step)
    for step in difference.on_table(key, ops.AlterColumnOp):
        column = table.c.get(step.operation.column_name)
        if not difference.server.takes_autoincrement:
            step.operation.kw.pop("autoincrement", None)  # Alembic warns when it runs
        if column is not None and step.operation.modify_nullable is False:
            if column.primary_key:
                # Only SQLite tells a key without NOT NULL from one with it; no row of a model has such a key.
                step.operation.modify_nullable = None
                if not step.operation.has_changes():
                    difference.remove(step)
                continue
            _fill(difference, table, column)


def _is_required(column: sqlalchemy.Column[Any]) -> bool:
    return not column.nullable and column.server_default is None and column.identity is None


def _add_required(difference: Difference, table: sqlalchemy.Table, column: sqlalchemy.Column[Any], step: Step) -> None:
    field = difference.field_of(table, column.name)
    value = _value(difference, table, column, field)
    if value is None:
        raise CommandError(
            f"{label(table, column, field)} is required, and the table {table.name} may have rows, which need a value "
            "in it. Give the field a default= or a server_default=, or allow_null=True, or answer with a value for the "
            "existing rows only: Answers.one_off()."
        )
    literal, is_constant = value
    type_ = plain_type(column.type, difference.dialect)
    key = step.table
    if is_constant and not isinstance(type_, WITHOUT_DEFAULT):
        default = sqlalchemy.DefaultClause(sqlalchemy.text(as_text(literal)))
        with_default = column._copy()
        with_default.server_default = default
        step.operation.column = with_default
        options: dict[str, Any] = {"existing_type": column.type, "existing_nullable": False, "schema": table.schema}
        dropped = AlterColumn(
            table.name, column.name, existing_server_default=default, modify_server_default=None, **options
        )
        difference.add_to_table(dropped, key, ADDED)
        return
    nullable = column._copy()
    nullable.nullable = True
    step.operation.column = nullable
    prepare = difference.dialect.identifier_preparer
    update = f"UPDATE {prepare.format_table(table)} SET {prepare.quote(column.name)} = {literal}"
    where = as_text(f"{prepare.quote(column.name)} IS NULL")  # an application may write rows between batches
    batches = Backfill(table.name, {column.name: as_text(literal)}, where=where, schema=table.schema)
    difference.statement(as_text(update), "", key, inner_rank=ADDED, batches=batches)
    required = AlterColumn(
        table.name,
        column.name,
        existing_type=column.type,
        existing_nullable=True,
        modify_nullable=False,
        schema=table.schema,
    )
    difference.add_to_table(required, key, ALTERED)


def _fill(difference: Difference, table: sqlalchemy.Table, column: sqlalchemy.Column[Any]) -> None:
    """Replace the NULLs of a column that was nullable."""
    field = difference.field_of(table, column.name)
    prepare = difference.dialect.identifier_preparer
    name, full = prepare.quote(column.name), prepare.format_table(table)
    key = (table.schema, table.name)
    old = difference.renamed.get(key)
    if old is None and difference.inspector.has_table(table.name, table.schema):
        renames = {
            step.operation.modify_name: step.operation.column_name
            for step in difference.on_table(key, AlterColumn)
            if step.operation.modify_name
        }
        existing = prepare.quote(renames.get(column.name, column.name))
        nulls = difference.connection.exec_driver_sql(f"SELECT count(*) FROM {full} WHERE {existing} IS NULL").scalar()
    else:
        nulls = 0
    value = _value(difference, table, column, field, ask=bool(nulls))
    if value is not None:
        update = f"UPDATE {full} SET {name} = {value[0]} WHERE {name} IS NULL"
        batches = Backfill(
            table.name, {column.name: as_text(value[0])}, where=as_text(f"{name} IS NULL"), schema=table.schema
        )
        rank = VALUES if column.name not in renames else ADDED
        difference.statement(as_text(update), "", key, inner_rank=rank, batches=batches)
    elif nulls:
        raise CommandError(
            f"{label(table, column, field)} is to be required, and {nulls} {'row has' if nulls == 1 else 'rows have'} "
            f"no value in {table.name}.{column.name}. Give the field a default= or a server_default=, change these "
            "rows first, or answer with a value for them: Answers.one_off()."
        )


def _value(
    difference: Difference,
    table: sqlalchemy.Table,
    column: sqlalchemy.Column[Any],
    field: Field[Any] | None,
    *,
    ask: bool = True,
) -> tuple[str, bool] | None:
    """The SQL of the value that existing rows get, and whether it is a constant; None without an answer.

    It is the field's default, if that is the same for all rows.
    """
    dialect = difference.dialect
    default: Any = column.server_default
    if default is not None and hasattr(default, "arg"):
        compiler: Any = dialect.ddl_compiler(dialect, None)  # type: ignore[arg-type]
        return compiler.get_column_default_string(column), False
    value: Any = UNANSWERED
    if field is not None and field.has_default() and not callable(field.default):
        value = field.to_python(field.get_default())
    elif ask:
        value = difference.answers.one_off(table, column, field)
    if value is UNANSWERED or value is None:
        return None
    return _sql_of(value, column, field, difference)


def _sql_of(
    value: Any, column: sqlalchemy.Column[Any], field: Field[Any] | None, difference: Difference
) -> tuple[str, bool]:
    """The SQL of a value of a column, and whether it is a constant."""
    dialect = difference.dialect
    if isinstance(value, sqlalchemy.ClauseElement):
        return str(value.compile(dialect=dialect, compile_kwargs={"literal_binds": True})), False
    if field is not None:
        value = field.to_python(value)
    literal = sqlalchemy.literal(value, column.type).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return str(literal).replace("%%", "%"), True


def label(table: sqlalchemy.Table, column: sqlalchemy.Column[Any], field: Field[Any] | None) -> str:
    """What messages call a column: its field, if there is one."""
    return f"{table.name}.{column.name}" if field is None else f"{field.model.__name__}.{field.name}"


# Generated columns.


def change_generated(difference: Difference, table: sqlalchemy.Table, was: Definitions, is_: Definitions) -> None:
    """Make a generated column again whose expression changed; no database can change it everywhere."""
    key = (table.schema, table.name)
    for name, text in was.generated.items():
        wanted = is_.generated.get(name)
        column = table.c.get(name)
        if wanted is None or column is None or wanted == text:
            continue
        had = reflected(difference, key, name)
        computed = had["computed"]
        old = sqlalchemy.Column(
            name,
            had["type"],
            sqlalchemy.Computed(computed["sqltext"], persisted=computed.get("persisted")),
            nullable=had["nullable"],
        )
        for step in difference.on_table(key, ops.AlterColumnOp):
            if step.operation.column_name == name:
                difference.remove(step)
        difference.add_to_table(ops.DropColumnOp.from_column_and_tablename(table.schema, table.name, old), key, ADDED)
        difference.add_to_table(ops.AddColumnOp.from_column_and_tablename(table.schema, table.name, column), key, ADDED)
