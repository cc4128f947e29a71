"""PostgreSQL's sequences that do not make readers and writers wait: CONCURRENTLY, and NOT VALID with VALIDATE.

Each statement is committed by itself, so that no lock is held while a later one scans the table.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from alembic.operations import ops
from sqlalchemy.engine import Dialect

from orm.migrations.operations import Statement
from orm.migrations.sql_texts import as_text, create_sql

MAX_NAME = 63


def online(dialect: Dialect, operation: Any) -> list[Statement] | None:
    """The statements in the place of an operation; None if it is online as it is, or has no such sequence."""
    if isinstance(operation, ops.CreateIndexOp) and not operation.kw.get("postgresql_concurrently"):
        return [_alone(_create_index(operation.to_index(), dialect), str(operation.table_name))]
    if isinstance(operation, ops.CreateUniqueConstraintOp) and operation.constraint_name:
        return _unique(dialect, operation)
    if isinstance(operation, ops.CreateCheckConstraintOp) and operation.constraint_name:
        condition = operation.condition
        text = condition.text if isinstance(condition, sqlalchemy.TextClause) else None
        if text is None:
            return None
        table = full_name(dialect, operation.schema, str(operation.table_name))
        return _validated(dialect, table, str(operation.constraint_name), f"CHECK ({text})")
    if isinstance(operation, ops.CreateForeignKeyOp) and operation.constraint_name:
        constraint = operation.to_constraint()
        compiler: Any = dialect.ddl_compiler(dialect, None)  # type: ignore[arg-type]  # no statement is compiled
        name = compiler.preparer.format_constraint(constraint)
        definition = compiler.process(constraint).strip().removeprefix(f"CONSTRAINT {name} ")
        table = full_name(dialect, operation.kw.get("source_schema"), str(operation.source_table))
        return _validated(dialect, table, str(operation.constraint_name), as_text(definition, dialect))
    return None


def refuse_nulls(dialect: Dialect, schema: str | None, table: str, column: str) -> list[Statement]:
    """The statement after which no row can get NULL."""
    name, quoted = (dialect.identifier_preparer.quote(each) for each in (check_name(table, column), column))
    full = full_name(dialect, schema, table)
    return [_alone(f"ALTER TABLE {full} ADD CONSTRAINT {name} CHECK ({quoted} IS NOT NULL) NOT VALID", table)]


def validate_required(
    dialect: Dialect, schema: str | None, table: str, column: str
) -> tuple[list[Statement], list[Statement]]:
    """The statements before SET NOT NULL, which then scans nothing, and after it."""
    name = dialect.identifier_preparer.quote(check_name(table, column))
    full = full_name(dialect, schema, table)
    validate = _alone(f"ALTER TABLE {full} VALIDATE CONSTRAINT {name}", table)
    return [validate], [Statement(f"ALTER TABLE {full} DROP CONSTRAINT {name}", "", table=table)]


def check_name(table: str, column: str) -> str:
    """The name of the CHECK that refuses NULL while rows are filled."""
    return f"{table}_{column}"[: MAX_NAME - len("_not_null")] + "_not_null"


def full_name(dialect: Dialect, schema: str | None, table: str) -> str:
    """A table's name in SQL."""
    return dialect.identifier_preparer.format_table(sqlalchemy.table(table, schema=schema))


def _unique(dialect: Dialect, operation: ops.CreateUniqueConstraintOp) -> list[Statement] | None:
    constraint: Any = operation.to_constraint()
    options = {key: value for key, value in operation.kw.items() if key.startswith("postgresql_")}
    index = sqlalchemy.Index(constraint.name, *constraint.columns, unique=True, **options)
    table, name = full_name(dialect, operation.schema, str(operation.table_name)), index.name
    quoted = dialect.identifier_preparer.quote(str(name))
    deferrable = " DEFERRABLE" if constraint.deferrable else ""
    deferrable += " INITIALLY DEFERRED" if str(constraint.initially).upper() == "DEFERRED" else ""
    add = f"ALTER TABLE {table} ADD CONSTRAINT {quoted} UNIQUE USING INDEX {quoted}{deferrable}"
    about = str(operation.table_name)
    return [_alone(_create_index(index, dialect), about), _alone(add, about)]


def _validated(dialect: Dialect, table: str, name: str, definition: str) -> list[Statement]:
    quoted = dialect.identifier_preparer.quote(name)
    return [
        _alone(f"ALTER TABLE {table} ADD CONSTRAINT {quoted} {definition} NOT VALID", table),
        _alone(f"ALTER TABLE {table} VALIDATE CONSTRAINT {quoted}", table),
    ]


def _create_index(index: sqlalchemy.Index, dialect: Dialect) -> str:
    index.dialect_options["postgresql"]["concurrently"] = True
    return create_sql(index, dialect)


def _alone(sql: str, table: str) -> Statement:
    return Statement(sql, "", table=table, autocommit=True)
