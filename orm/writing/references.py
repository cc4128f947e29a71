"""Finds the foreign key of a row that refers to no row, where the database does not tell which it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import databases
import sqlalchemy

from orm.database.connections import statements
from orm.database.connections.server_dialect import dialect_of
from orm.exceptions import ForeignKeyViolation
from orm.mapping.violations import identify_reference
from orm.query.plans.plan import make_plan
from orm.query.rendering import BindNumbering

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo


async def find_missing_reference(
    error: ForeignKeyViolation, info: ModelInfo, values: Mapping[str, Any], database: databases.Database
) -> None:
    """Complete an error without a constraint, such as SQLite's: look for the rows to which `values` refer.

    `values` are those of the refused row, by field name. Does nothing if no referenced row is missing, for example
    because another task has inserted it in the meantime.
    """
    if error.constraint is not None or info.table is None:
        return
    dialect = await dialect_of(database)
    by_column = {info.fields[name].column_name: value for name, value in values.items()}
    for key in info.table.foreign_key_constraints:
        referenced = [by_column.get(column.name) for column in key.columns]
        if any(value is None for value in referenced):
            continue
        binds = BindNumbering()
        columns = [element.column for element in key.elements]
        row_exists = sqlalchemy.exists().where(*(column == binds.bind(column.type) for column in columns))
        [(is_there,)] = await statements.fetch(
            database, *make_plan(dialect, sqlalchemy.select(row_exists)).statement(tuple(referenced))
        )
        if not is_there:
            identify_reference(error, info, key)
            return
