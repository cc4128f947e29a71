"""Values in rows that a change of the models makes invalid: members of enums, and references."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from alembic.operations import ops
from alembic.util import CommandError

from orm.fields.structured import Enum
from orm.migrations.answers import UNANSWERED
from orm.migrations.difference import Difference
from orm.migrations.sql_texts import as_text


def compare_members(difference: Difference, table: sqlalchemy.Table) -> None:
    """Ask for the values of enum columns that the enum no longer has, and write the UPDATE."""
    key, dialect = (table.schema, table.name), difference.dialect
    existing = {each["name"] for each in difference.inspector.get_columns(table.name, table.schema)}
    prepare = dialect.identifier_preparer
    for column in table.columns:
        field = difference.field_of(table, column.name)
        if not isinstance(field, Enum) or column.name not in existing:
            continue
        members = [_literal(column, member, dialect) for member in field.enum.__members__.values()]
        stored = [_stored(field, member) for member in field.enum.__members__.values()]
        name, full = prepare.quote(column.name), prepare.format_table(table)
        sql = f"SELECT {name}, count(*) FROM {full} WHERE {name} NOT IN ({', '.join(members)}) GROUP BY {name}"
        for value, count in difference.connection.execute(sqlalchemy.text(as_text(sql))).fetchall():
            answer = difference.answers.enum_value(table, column, value, stored)
            if answer is UNANSWERED:
                raise CommandError(
                    f"{count} {'row has' if count == 1 else 'rows have'} {value!r} in {table.name}.{column.name}, "
                    f"which {field.enum.__name__} does not have (its members are stored as "
                    f"{', '.join(map(repr, stored))}), so that they could not be read. Change them first, or "
                    "answer with the value that replaces it: Answers.enum_value()."
                )
            if answer is None:
                continue
            old, new = (
                str(sqlalchemy.literal(each).compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
                for each in (value, answer)
            )
            others = difference.connection.execute(
                sqlalchemy.text(as_text(f"SELECT count(*) FROM {full} WHERE {name} = {new}"))
            ).scalar()
            update = f"UPDATE {full} SET {name} = %s WHERE {name} = %s"
            back = "" if others else as_text(update % (old, new))
            difference.statement(as_text(update % (new, old)), back, key)


def _stored(field: Enum[Any], member: Any) -> Any:
    return member.value if field.family == "integer enum" or field.by_value else member.name


def _literal(column: sqlalchemy.Column[Any], value: Any, dialect: Any) -> str:
    return str(sqlalchemy.literal(value, column.type).compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def follow_references(difference: Difference, table: sqlalchemy.Table) -> None:
    """Rewrite the values of a foreign key that refers to another column of the same table from now on."""
    key = (table.schema, table.name)
    prepare = difference.dialect.identifier_preparer
    for dropped in difference.on_table(key, ops.DropConstraintOp):
        old: Any = dropped.operation._reverse
        if not isinstance(old, ops.CreateForeignKeyOp):
            continue
        for created in difference.on_table(key, ops.CreateForeignKeyOp):
            new = created.operation
            same = (list(old.local_cols), old.referent_table) == (list(new.local_cols), new.referent_table)
            if not same or list(old.remote_cols) == list(new.remote_cols) or len(new.local_cols) != 1:
                continue
            target = sqlalchemy.Table(new.referent_table, sqlalchemy.MetaData(), schema=new.kw.get("referent_schema"))
            names = prepare.format_table(table), prepare.quote(new.local_cols[0]), prepare.format_table(target)
            remote = prepare.quote(old.remote_cols[0]), prepare.quote(new.remote_cols[0])
            update = "UPDATE {0} SET {1} = (SELECT r.{4} FROM {2} r WHERE r.{3} = {0}.{1})"
            forth, back = update.format(*names, *remote), update.format(*names, *remote[::-1])
            difference.statement(as_text(forth), as_text(back), key)
