"""Expressions in the definition of columns: `Generated`, and `server_default=`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.sql import visitors

from orm.database.sql.datetimes import converted_to
from orm.database.sql.ddl import StoredDefault
from orm.database.sql.sequences import sequences_of
from orm.exceptions import FieldError
from orm.expressions.base import Expression, Logical, render_clause
from orm.functions.base import Value
from orm.functions.dates import Now
from orm.functions.sequences import NextVal, Sequence

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.mapping.model_info import ModelInfo


def own_row_clause(info: ModelInfo, node: Any, what: str) -> ColumnElement[Any]:
    """The SQL of an expression or condition. Raises `FieldError`, which names `what`, if it reads other rows."""
    clause = render_clause(node, info)
    table = info.require_table()
    for element in visitors.iterate(clause):
        if isinstance(element, sqlalchemy.Select) or (
            isinstance(element, sqlalchemy.Column) and element.table is not table
        ):
            raise FieldError(f"{what} reads other rows than its own, which no database allows.")
    return clause


def complete_columns(info: ModelInfo, table: sqlalchemy.Table) -> None:
    """Set the expressions of a table's columns. They can be rendered once the table has all of its columns."""
    for field in (*info.local_fields.values(), *info.retired.values()):
        column = table.c[field.column_name]
        if field.generated_by is not None:
            what = f"{info.name}.{field.name} = Generated({field.generated_by!r})"
            assert column.computed is not None
            column.computed.sqltext = converted_to(field.column_type(), own_row_clause(info, field.generated_by, what))
        elif isinstance(field.server_default, (Expression, Logical)):
            assert isinstance(column.server_default, sqlalchemy.DefaultClause)
            assert isinstance(column.server_default.arg, StoredDefault)
            column.server_default.arg.default = _default_clause(info, field)
            for sequence in _sequences(field.server_default):
                sequence.model = sequence.model or info.model
                sequences_of(table.metadata)


def _sequences(expression: Any) -> Iterator[Sequence]:
    """The sequences whose next values an expression has."""
    if isinstance(expression, NextVal):
        yield expression.sequence
    for argument in getattr(expression, "arguments", ()):
        yield from _sequences(argument)


def _default_clause(info: ModelInfo, field: Field[Any]) -> ColumnElement[Any]:
    expression: Any = field.server_default
    if type(expression) is Value:
        return sqlalchemy.literal(field.to_python(expression.value), field.column_type())
    if type(expression) is Now:
        return sqlalchemy.func.now()  # which `Dialect.column_default` writes as the column stores it
    what = f"server_default= of {info.name}.{field.name}"
    clause = own_row_clause(info, expression, what)
    if any(isinstance(element, sqlalchemy.Column) for element in visitors.iterate(clause)):
        raise FieldError(f"{what} reads a column, and a new row has none yet: see orm.Generated.")
    return converted_to(field.column_type(), clause)
