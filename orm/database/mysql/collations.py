"""The collations of text on MySQL and on MariaDB, which do not know each other's."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.compiler import DDLCompiler

from orm.database.types.column_types import server_kind

#: They compare text by its characters, trailing spaces too.
MYSQL_COLLATION = "utf8mb4_0900_bin"
MARIADB_COLLATION = "utf8mb4_nopad_bin"


@compiles(CreateTable, "mysql")
def _create_table(element: CreateTable, compiler: DDLCompiler, **kw: Any) -> str:
    sql: str = compiler.visit_create_table(element, **kw)  # type: ignore[no-untyped-call]
    # An engine of SQLAlchemy's for a mysql:// URL may have found MariaDB, and gives it MySQL's options.
    if server_kind(compiler.dialect) == "mariadb":
        return sql.replace(f"COLLATE {MYSQL_COLLATION}", f"COLLATE {MARIADB_COLLATION}")
    return sql
