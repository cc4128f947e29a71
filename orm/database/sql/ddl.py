"""DDL that databases write in different ways."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.compiler import DDLCompiler

from orm.database.dialect_registry import dialect_for

# In the `info` of a CHECK whose columns foreign keys set to NULL.
ON_SET_NULL = "orm_on_set_null"


@compiles(CreateTable)
def _create_table(element: CreateTable, compiler: DDLCompiler, **kw: Any) -> str:
    sql: str = compiler.visit_create_table(element, **kw)  # type: ignore[no-untyped-call]
    return dialect_for(compiler.dialect).create_table(sql)


def check_beside_set_null(constraint: sqlalchemy.CheckConstraint) -> sqlalchemy.CheckConstraint:
    """A CHECK on columns that foreign keys set to NULL; databases that refuse it (MySQL, MariaDB) go without."""
    constraint.info[ON_SET_NULL] = True
    return constraint.ddl_if(callable_=_has_checks_on_set_null)


def _has_checks_on_set_null(*arguments: Any, dialect: Dialect, **kw: Any) -> bool:
    return dialect_for(dialect).checks_on_set_null


def is_left_out(constraint: sqlalchemy.CheckConstraint, dialect: Dialect) -> bool:
    """Whether a database goes without the constraint."""
    return ON_SET_NULL in constraint.info and not dialect_for(dialect).checks_on_set_null
