"""The kinds of an operation of Alembic: the rules that it falls under, and the table that it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from alembic.operations import ops
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import ClauseElement

from orm.migrations.backfills import Backfill
from orm.migrations.grades.statements import mark_of, rule_of
from orm.migrations.recording import BoundStatement

#: A default that is the same for all rows: a literal, or the time of the statement.
SAME_FOR_ALL = re.compile(
    r"\(*\s*(?:[-+]?[\d.]+|N?'(?:[^']|'')*'(?:::[\w \"\[\]()]+)?|NULL|TRUE|FALSE|now\(\)|CURRENT_\w+(?:\(\d?\))?|"
    r"LOCALTIMESTAMP(?:\(\d?\))?|'\{\}'|\{\}|\w*)\s*\)*",
    re.IGNORECASE,
)
INTEGERS = (sqlalchemy.SmallInteger, sqlalchemy.BigInteger, sqlalchemy.Integer)
BYTES_OF_A_CHARACTER, SHORT_TEXT_BYTES = 4, 255


@dataclass(frozen=True)
class Kind:
    """A rule that an operation falls under.

    Attributes:
        rule: its name in `RULES`.
        table: the table; None if there is none, or it is not known.
        schema: the table's schema.
        mark: the grade that a statement says of itself.
    """

    rule: str
    table: str | None = None
    schema: str | None = None
    mark: str | None = None


def kinds_of(operation: Any, dialect: sqlalchemy.Dialect) -> list[Kind]:
    """The rules that an operation falls under: several if it changes several things of a column."""
    if isinstance(operation, Backfill):
        return [Kind("backfill in batches", operation.table_name, operation.schema)]
    if isinstance(operation, ops.ExecuteSQLOp):
        return [_statement(operation, dialect)]
    table = getattr(operation, "table_name", None) or getattr(operation, "source_table", None)
    schema = getattr(operation, "schema", None) or getattr(operation, "source_schema", None)
    rules = list(_rules(operation, dialect)) or ["not understood"]
    return [Kind(rule, None if table is None else str(table), schema) for rule in rules]


def _statement(operation: ops.ExecuteSQLOp, dialect: sqlalchemy.Dialect) -> Kind:
    statement = operation.sqltext
    text = str(statement.compile(dialect=dialect)) if isinstance(statement, ClauseElement) else str(statement)
    if isinstance(statement, UpdateBase):
        # A mark is a prefix: update(…).prefix_with("/* grade: B */")
        text = re.sub(r"^(\w+) (/\*.*?\*/) ", r"\2 \1 ", text, flags=re.DOTALL)
    mark = mark_of(text)
    rule, schema, table = rule_of(text)
    if (
        isinstance(operation, BoundStatement)
        and mark is None
        and re.match(r"\s*\(*(SELECT|WITH)\b", text, re.IGNORECASE)
    ):
        rule = "read by the revision"
    return Kind(rule, table, schema, mark)


def _rules(operation: Any, dialect: sqlalchemy.Dialect) -> Iterator[str]:
    if isinstance(operation, ops.CreateTableOp):
        keys = any(isinstance(item, sqlalchemy.ForeignKeyConstraint) for item in operation.columns) or any(
            isinstance(item, sqlalchemy.Column) and item.foreign_keys for item in operation.columns
        )
        yield "create table with foreign key" if keys else "create table"
    elif isinstance(operation, ops.DropTableOp):
        yield "drop table"
    elif isinstance(operation, ops.RenameTableOp):
        yield "rename table"
    elif isinstance(operation, ops.AddColumnOp):
        yield from _added(operation.column, dialect)
    elif isinstance(operation, ops.DropColumnOp):
        yield "drop column"
    elif isinstance(operation, ops.AlterColumnOp):
        yield from _altered(operation)
    elif isinstance(operation, ops.CreateIndexOp):
        yield _index(operation, dialect)
    elif isinstance(operation, ops.DropIndexOp):
        is_online = operation.kw.get(f"{dialect.name}_concurrently")
        yield "drop index concurrently" if is_online else "drop index"
    elif isinstance(operation, ops.DropConstraintOp):
        yield {"check": "drop check", "foreignkey": "drop foreign key", "primary": "change primary key"}.get(
            operation.constraint_type or "", "drop constraint"
        )
    elif isinstance(operation, ops.AddConstraintOp):
        yield _constraint(operation, dialect)
    elif isinstance(operation, (ops.CreateTableCommentOp, ops.DropTableCommentOp)):
        yield "comment"
    elif isinstance(operation, ops.BulkInsertOp):
        yield "insert rows"


def _added(column: sqlalchemy.Column[Any], dialect: sqlalchemy.Dialect) -> Iterator[str]:
    default = column.server_default
    if column.computed is not None:
        yield "add column with a value for each row" if column.computed.persisted else "add virtual column"
    elif column.identity is not None or column.primary_key:
        yield "add column with a value for each row"
    elif isinstance(default, sqlalchemy.DefaultClause):
        compiler: Any = dialect.ddl_compiler(dialect, None)  # type: ignore[arg-type]  # no statement is compiled
        if not SAME_FOR_ALL.fullmatch(_text(default.arg)):
            yield "add column with a value for each row"
        elif " DEFAULT (" in compiler.get_column_specification(column):
            yield "add column with an expression as default"
        else:
            yield "add column"
    elif not column.nullable:
        yield "add required column without default"
    else:
        yield "add column"
    if column.foreign_keys:
        yield "add column with foreign key"
    if column.unique:
        yield "add unique column"
    if any(isinstance(item, sqlalchemy.CheckConstraint) for item in column.constraints):
        yield "add column with check"


def _altered(operation: ops.AlterColumnOp) -> Iterator[str]:
    if operation.modify_name is not None and operation.modify_name != operation.column_name:
        yield "rename column"
    if operation.modify_type is not None:
        yield type_rule(operation.existing_type, operation.modify_type)
    if operation.modify_nullable is not None:
        yield "drop not null" if operation.modify_nullable else "set not null"
    if operation.modify_server_default is not False:
        yield "set default"
    if operation.modify_comment is not False:
        yield "comment"


def _index(operation: ops.CreateIndexOp, dialect: sqlalchemy.Dialect) -> str:
    if operation.kw.get(f"{dialect.name}_concurrently"):
        return "create index concurrently"
    is_plain = all(isinstance(column, str) for column in operation.columns)
    return (
        "create index" if is_plain and not operation.kw.get(f"{dialect.name}_prefix") else "create index of expressions"
    )


def _constraint(operation: ops.AddConstraintOp, dialect: sqlalchemy.Dialect) -> str:
    options = getattr(operation, "kw", {})
    late = " not valid" if options.get(f"{dialect.name}_not_valid") else ""
    if isinstance(operation, ops.CreateForeignKeyOp):
        return f"add foreign key{late}"
    if isinstance(operation, ops.CreateCheckConstraintOp):
        return f"add check{late}"
    if isinstance(operation, ops.CreateUniqueConstraintOp):
        return "add unique constraint"
    return "change primary key" if isinstance(operation, ops.CreatePrimaryKeyOp) else "add exclusion constraint"


def type_rule(old: Any, new: Any) -> str:
    """The rule of a change of a column's type.

    >>> type_rule(sqlalchemy.String(20), sqlalchemy.String(40))
    'text wider'
    """
    old, new = (sqlalchemy.types.to_instance(type_) for type_ in (old, new))
    if isinstance(old, sqlalchemy.Enum) or isinstance(new, sqlalchemy.Enum):
        return _enum(old, new)
    if isinstance(new, sqlalchemy.String) and not isinstance(old, (sqlalchemy.types.NullType, sqlalchemy.LargeBinary)):
        return _to_text(old, new)
    if isinstance(old, INTEGERS) and isinstance(new, INTEGERS):
        return "type that rewrites the table" if _size(new) >= _size(old) else "type that may lose values"
    if isinstance(old, sqlalchemy.Float) != isinstance(new, sqlalchemy.Float):
        is_wider = isinstance(old, INTEGERS) and isinstance(new, sqlalchemy.Double)
        return "type that rewrites the table" if is_wider else "type that may lose values"
    if isinstance(old, sqlalchemy.Numeric) and isinstance(new, sqlalchemy.Numeric):
        return _decimal(old, new)
    if isinstance(old, sqlalchemy.DateTime) and isinstance(new, sqlalchemy.DateTime):
        return "time zone" if old.timezone != new.timezone else "type that rewrites the table"
    if isinstance(old, sqlalchemy.String):
        return "type that rewrites the table"  # text that does not convert is refused
    is_wider = isinstance(old, (*INTEGERS, sqlalchemy.Boolean, sqlalchemy.Date)) and isinstance(
        new, (sqlalchemy.Numeric, *INTEGERS, sqlalchemy.DateTime)
    )
    is_same = old._type_affinity is new._type_affinity and not isinstance(old, sqlalchemy.types.NullType)
    return "type that rewrites the table" if is_wider or is_same else "type that may lose values"


def _to_text(old: Any, new: sqlalchemy.String) -> str:
    if not isinstance(old, sqlalchemy.String):
        return "type that rewrites the table"
    if new.length is None:
        return "text without limit"
    if old.length is None or new.length < old.length:
        return "text narrower"
    old_bytes, new_bytes = (length * BYTES_OF_A_CHARACTER for length in (old.length, new.length))
    return "text wider over 255 bytes" if old_bytes <= SHORT_TEXT_BYTES < new_bytes else "text wider"


def _enum(old: Any, new: Any) -> str:
    if not isinstance(old, sqlalchemy.Enum) or not isinstance(new, sqlalchemy.Enum):
        return "type that rewrites the table"
    if new.enums[: len(old.enums)] == old.enums:
        return "enum value"
    return "type that rewrites the table" if set(old.enums) <= set(new.enums) else "type that may lose values"


def _decimal(old: sqlalchemy.Numeric[Any], new: sqlalchemy.Numeric[Any]) -> str:
    if new.precision is None or (old.scale == new.scale and (old.precision or 1000) <= new.precision):
        return "decimal wider"
    if old.precision is None or (new.scale or 0) < (old.scale or 0):
        return "type that may lose values"
    before = old.precision - (old.scale or 0)
    return "type that rewrites the table" if new.precision - (new.scale or 0) >= before else "type that may lose values"


def _size(type_: Any) -> int:
    if isinstance(type_, sqlalchemy.SmallInteger):
        return 2
    return 8 if isinstance(type_, sqlalchemy.BigInteger) else 4


def _text(default: Any) -> str:
    if isinstance(default, str):
        return "'" + default.replace("'", "''") + "'"
    return str(default)
