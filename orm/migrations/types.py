"""Column types in migrations, written and compared as the types that the database stores."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy
from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from orm.database.sql.ddl import is_left_out
from orm.database.types.column_types import ORMType

DIALECT = re.compile(r"sqlalchemy\.dialects\.(\w+)")


def render_item(type_: str, item: object, context: AutogenContext) -> Any:
    """The source of a column type: the plain SQLAlchemy type that the database stores it as.

    For `context.configure(render_item=…)`. An `orm.String` becomes `sa.String(length=100)`, an `orm.JSON` on
    PostgreSQL `postgresql.JSONB(…)`. So migrations do not import the ORM, and do not change with it. Returns False, so
    that Alembic writes the source, for anything that is not the ORM's, and None for a constraint that the database
    goes without.
    """
    if type_ == "check" and isinstance(item, sqlalchemy.CheckConstraint) and context.dialect is not None:
        return None if is_left_out(item, context.dialect) else False
    if type_ == "server_default" and isinstance(item, sqlalchemy.DefaultClause) and isinstance(item.arg, str):
        return repr(item.arg)  # Alembic would strip quotes at its ends
    if type_ != "type" or not isinstance(item, TypeEngine) or not _is_ours(item):
        return False
    assert context.dialect is not None
    plain = _plain(item, context.dialect)
    rendered = context.migration_context.impl.render_type(plain, context)
    base = next(cls for cls in type(plain).__mro__ if cls.__module__.startswith("sqlalchemy."))
    dialect = DIALECT.match(base.__module__)
    if dialect is not None:
        context.imports.add(f"from sqlalchemy.dialects import {dialect[1]}")
    if rendered:
        return rendered
    # The ORM's storage types differ from their SQLAlchemy base classes only in bind parameters, which DDL lacks.
    source = repr(plain).replace(type(plain).__name__, base.__name__, 1)
    prefix = context.opts["sqlalchemy_module_prefix"] or "" if dialect is None else f"{dialect[1]}."
    return f"{prefix}{source}"


def compare_type(
    context: MigrationContext,
    inspected_column: sqlalchemy.Column[Any],
    metadata_column: sqlalchemy.Column[Any],
    inspected_type: TypeEngine[Any],
    metadata_type: TypeEngine[Any],
) -> bool | None:
    """Whether the type of a column differs from that of the model's field on this database.

    For `context.configure(compare_type=…)`. Returns None, so that Alembic compares, for types that are not the ORM's.
    """
    if not _is_ours(metadata_type):
        return None
    plain = _plain(metadata_type, context.dialect)
    return context.impl.compare_type(inspected_column, sqlalchemy.Column(metadata_column.name, plain))


def _is_ours(column_type: TypeEngine[Any]) -> bool:
    return type(column_type).__module__.startswith("orm.")


def _plain(column_type: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    """The type that a column type is stored as. A storage type, such as an array's item, is returned as it is."""
    return column_type.storage(dialect).sql_type if isinstance(column_type, ORMType) else column_type
