"""The SQLAlchemy table of a model: its columns, constraints and indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy

from orm.database.dialect_registry import table_options
from orm.database.sql.ddl import UNMANAGED, PartlyGeneratedKey
from orm.exceptions import FieldError
from orm.mapping.constraints import CheckConstraint, TableConstraint
from orm.mapping.indexes import Index, index_foreign_key
from orm.mapping.retired import retired_column

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo


def make_table(info: ModelInfo, metadata: sqlalchemy.MetaData) -> sqlalchemy.Table:
    """The table of a model, with its columns and keys."""
    columns = [field.make_column() for field in info.local_fields.values()]
    columns += map(retired_column, info.retired.values())
    key = [PartlyGeneratedKey(*(field.column_name for field in info.pk_fields))]
    return sqlalchemy.Table(
        info.tablename,
        metadata,
        *columns,
        *(key if len(info.pk_fields) > 1 and info.generated is not None else ()),
        *(item for relation in info.local_composed.values() if (item := relation.constraint()) is not None),
        schema=info.options.schema,
        comment=info.options.comment,
        info={} if info.options.managed else {UNMANAGED: True},
        **{**table_options(), **dict(info.options.table_options)},
    )


def add_constraints(info: ModelInfo, table: sqlalchemy.Table) -> None:
    """Add the constraints and indexes of a model's `class Meta`, and the indexes of its foreign keys."""
    info.constraints.clear()
    if info.view is not None and (info.options.constraints or (info.options.indexes and not info.options.materialized)):
        raise FieldError(
            f"{info.name} is a view, which has no constraints, and no indexes unless it is materialized: leave "
            "them out of its class Meta."
        )
    for option, kind, names in (
        ("constraints", TableConstraint, "orm.UniqueConstraint, orm.CheckConstraint and orm.ExclusionConstraint"),
        ("indexes", Index, "orm.Index"),
    ):
        for declared in getattr(info.options, option):
            if not isinstance(declared, kind) or isinstance(declared, Index) is not (kind is Index):
                raise FieldError(f"{info.name}.Meta.{option} takes {names}, got {type(declared).__name__}.")
            bound = declared.attach(info, table)
            name = bound.item.name
            if any(name and name == other.item.name for other in info.constraints):
                raise FieldError(f"{info.name}.Meta.{option}: two are called {name!r}. Give one another name=.")
            info.constraints.append(bound)
    conditions = ((field, field.row_condition()) for field in info.local_fields.values() if not field.is_generated)
    for field, condition in conditions:
        # MySQL and MariaDB have no CHECK on a key that they number.
        if condition is not None and info.view is None and field is not info.generated:
            check = CheckConstraint(condition, message=field.row_message)
            info.constraints.append(check.attach(info, table))
    for relation in (*info.local_forward, *info.retired_keys):
        if getattr(relation, "index", False) and info.view is None:
            index_foreign_key(table, relation.local_columns)
