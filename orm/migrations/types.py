"""Column types in migrations, written and compared as the types that the database stores."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import renderers
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from orm.database.sql.ddl import PartlyGeneratedKey, is_left_out, is_made_on
from orm.database.types.column_types import ORMType
from orm.migrations.sql_texts import as_text
from orm.migrations.table_items import check_sql

DIALECT = re.compile(r"sqlalchemy\.dialects\.(\w+)")
CONDITION = "the condition"


def render_item(type_: str, item: object, context: AutogenContext) -> Any:
    """The source of a column type: the plain SQLAlchemy type that the database stores it as.

    For `context.configure(render_item=…)`. An `orm.String` becomes `sa.String(length=100)`, an `orm.JSON` on
    PostgreSQL `postgresql.JSONB(…)`. So migrations do not import the ORM, and do not change with it. Returns False, so
    that Alembic writes the source, for anything that is not the ORM's, and None for a constraint that the database
    goes without.
    """
    if isinstance(item, sqlalchemy.Constraint) and context.dialect is not None:
        if not is_made_on(item, context.dialect):
            return None
        if type_ == "check" and isinstance(item, sqlalchemy.CheckConstraint):
            return None if is_left_out(item, context.dialect) else _rendered_check(item, context.dialect)
    if type_ == "server_default" and isinstance(item, sqlalchemy.DefaultClause) and isinstance(item.arg, str):
        return repr(item.arg)  # Alembic would strip quotes at its ends
    if type_ == "server_default" and isinstance(item, (sqlalchemy.DefaultClause, sqlalchemy.Computed)):
        return _rendered_default(item, context)
    if isinstance(item, PartlyGeneratedKey):
        assert context.dialect is not None
        prefix = context.opts["sqlalchemy_module_prefix"] or ""
        key, unique = (", ".join(map(repr, names)) for names in item.keys_on(context.dialect))
        return f"{prefix}PrimaryKeyConstraint({key})" + (f", {prefix}UniqueConstraint({unique})" if unique else "")
    if type_ != "type" or not isinstance(item, TypeEngine) or not _is_ours(item):
        return False
    assert context.dialect is not None
    plain = plain_type(item, context.dialect)
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


def _rendered_default(item: sqlalchemy.DefaultClause | sqlalchemy.Computed, context: AutogenContext) -> str | bool:
    """The source of SQL in a default, of which Alembic does not escape colons and percent signs; False for others."""
    clause: Any = item.sqltext if isinstance(item, sqlalchemy.Computed) else item.arg
    if isinstance(clause, sqlalchemy.TextClause):
        if ":" not in clause.text and "%" not in clause.text:
            return False
        clause = sqlalchemy.text(as_text(clause.text))  # what is reflected has colons that are no parameters
    elif not isinstance(clause, sqlalchemy.ClauseElement):
        return False
    is_default = isinstance(item, sqlalchemy.DefaultClause)
    impl, prefix = context.migration_context.impl, context.opts["sqlalchemy_module_prefix"] or ""
    sql = as_text(impl.render_ddl_sql_expr(clause, is_server_default=is_default), context.dialect)
    if isinstance(item, sqlalchemy.DefaultClause):
        return f"{prefix}text({sql!r})"
    return f"{prefix}Computed({sql!r}, persisted={item.persisted})" if "\\:" in sql or "%" in sql else False


def _rendered_check(check: sqlalchemy.CheckConstraint, dialect: Dialect) -> str | bool:
    """The source of a CHECK with a colon or a percent sign, which Alembic does not escape; False for others."""
    sql = check_sql(check, dialect)
    return f"sa.CheckConstraint({sql!r}, name={str(check.name)!r})" if "\\:" in sql or "%" in sql else False


_render_with_alembic = renderers.dispatch(ops.CreateCheckConstraintOp)


def _render_added_check(context: AutogenContext, operation: ops.CreateCheckConstraintOp) -> str:
    """The source of `create_check_constraint()`; Alembic does not escape colons and percent signs of the condition."""
    sql = context.migration_context.impl.render_ddl_sql_expr(operation.to_constraint().sqltext)
    options = {"schema": operation.schema, **operation.kw}
    placeholder = ops.CreateCheckConstraintOp(operation.constraint_name, operation.table_name, CONDITION, **options)
    before, _, after = _render_with_alembic(context, placeholder).rpartition(repr(CONDITION))
    return f"{before}{as_text(sql, context.dialect)!r}{after}"


renderers.dispatch_for(ops.CreateCheckConstraintOp, replace=True)(_render_added_check)


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
    if inspected_column.computed is not None or inspected_column.identity is not None:
        # Alembic compares defaults next, and would fail on this one; `compare_server_default` decides instead.
        inspected_column.server_default = None
    if not _is_ours(metadata_type):
        return None
    plain = plain_type(metadata_type, context.dialect)
    return context.impl.compare_type(inspected_column, sqlalchemy.Column(metadata_column.name, plain))


def _is_ours(column_type: TypeEngine[Any]) -> bool:
    return type(column_type).__module__.startswith("orm.")


def plain_type(column_type: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    """The type that a column type is stored as. A storage type, such as an array's item, is returned as it is."""
    return column_type.storage(dialect).sql_type if isinstance(column_type, ORMType) else column_type
