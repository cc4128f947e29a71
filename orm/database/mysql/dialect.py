"""MySQL and MariaDB: how they are compiled for and how they spell what databases spell differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.mysql import mariadb, pymysql
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from orm.database.dialect import DIALECTS, LIST_SLOT, DeleteRules, Dialect
from orm.database.mysql import sql_functions as sql_functions
from orm.database.mysql.storage import MariaDBTypes, MySQLTypes
from orm.database.sql import operators
from orm.database.sql.operators import LIKE_ESCAPE, like_pattern
from orm.database.types.storage import TYPES
from orm.exceptions import NotSupportedError

NAMES = ("mysql", "mariadb")


class MySQLDialect(Dialect):
    """MySQL 8 and newer, through asyncmy or aiomysql."""

    name = "mysql"
    returning = False
    number_step: ClassVar[str | None] = (
        "SELECT @@auto_increment_increment"  # each server of a group has its own numbers
    )
    max_list = 10_000
    existing_tables = (
        "SELECT CASE table_schema WHEN DATABASE() THEN NULL ELSE table_schema END, table_name "
        "FROM information_schema.tables"
    )

    # InnoDB's, which takes NO ACTION and SET DEFAULT for RESTRICT.
    deletes = DeleteRules(
        order=(
            "SELECT table_name, column_name FROM information_schema.key_column_usage "
            "WHERE referenced_table_schema = DATABASE() AND ordinal_position = 1 ORDER BY BINARY constraint_name"
        ),
        row_by_row=True,
        checks_at_end=False,
        self_reference_blocks=True,
        sets_default=False,
        max_cascade_depth=13,
        deepest_of_all=True,
    )

    def make_sqlalchemy_dialect(self) -> SQLAlchemyDialect:
        """The dialect of PyMySQL, whose ``%s`` parameters both drivers take."""
        dialect: SQLAlchemyDialect = pymysql.dialect(paramstyle="format")
        return dialect

    def own_rows_first(self, select: sqlalchemy.Select[Any]) -> sqlalchemy.Select[Any]:
        """Joined in the order of writing: else the smaller table may come first, and all rows are sorted for a few."""
        return select.prefix_with("STRAIGHT_JOIN")

    def insert(self, table: sqlalchemy.Table) -> mysql.Insert:
        """An INSERT that takes ON DUPLICATE KEY UPDATE."""
        return mysql.insert(table)

    def ignore_conflicts(self, insert: sqlalchemy.Insert) -> sqlalchemy.Insert:
        """ON DUPLICATE KEY UPDATE of nothing; INSERT IGNORE would let rows of a missing foreign key pass, too."""
        assert isinstance(insert, mysql.Insert)
        assert isinstance(insert.table, sqlalchemy.Table)
        return insert.on_duplicate_key_update({column.name: column for column in insert.table.primary_key})

    def update_conflicts(
        self, insert: sqlalchemy.Insert, update: Sequence[str], unique: Sequence[str]
    ) -> sqlalchemy.Insert:
        """ON DUPLICATE KEY UPDATE, whatever the key."""
        assert isinstance(insert, mysql.Insert)
        if unique:
            raise NotSupportedError(
                "MySQL and MariaDB update a row that any unique key makes the same; they take no unique_fields."
            )
        return insert.on_duplicate_key_update({name: insert.inserted[name] for name in update})

    def lock_rows(
        self,
        select: sqlalchemy.Select[Any],
        *,
        of: Sequence[sqlalchemy.FromClause],
        share: bool,
        no_key: bool,
        nowait: bool,
        skip_locked: bool,
    ) -> sqlalchemy.Select[Any]:
        """FOR UPDATE, or FOR SHARE."""
        if no_key:
            raise NotSupportedError("Locks without the key (no_key=True) are PostgreSQL's; MySQL has none.")
        return self._lock(select, of, share=share, nowait=nowait, skip_locked=skip_locked)

    def _lock(
        self,
        select: sqlalchemy.Select[Any],
        of: Sequence[sqlalchemy.FromClause],
        *,
        share: bool,
        nowait: bool,
        skip_locked: bool,
    ) -> sqlalchemy.Select[Any]:
        return select.with_for_update(of=list(of) or None, read=share, nowait=nowait, skip_locked=skip_locked)


class MariaDBDialect(MySQLDialect):
    """MariaDB 10.5 and newer, which can return what it inserts."""

    name = "mariadb"
    returning = True
    number_step = None
    delete_returning = True

    def make_sqlalchemy_dialect(self) -> SQLAlchemyDialect:
        """MariaDB's own dialect, with ``%s`` parameters."""
        dialect: SQLAlchemyDialect = mariadb.loader("pymysql")(paramstyle="format")
        # What SQLAlchemy learns from a server it connects to, and the server that we support has.
        dialect.insert_returning = True
        dialect.delete_returning = True
        return dialect

    def _lock(
        self,
        select: sqlalchemy.Select[Any],
        of: Sequence[sqlalchemy.FromClause],
        *,
        share: bool,
        nowait: bool,
        skip_locked: bool,
    ) -> sqlalchemy.Select[Any]:
        if of:
            raise NotSupportedError("MariaDB locks the rows of every table that is read; it takes no of=.")
        return super()._lock(select, of, share=share, nowait=nowait, skip_locked=skip_locked)


DIALECTS.update(mysql=MySQLDialect(), mariadb=MariaDBDialect())
TYPES.update(mysql=MySQLTypes(), mariadb=MariaDBTypes())


def _encode_pattern(kind: str, ignore_case: bool, text: str) -> str:
    return text if kind == "exact" else like_pattern(kind, text)


def _encode_list(values: list[Any]) -> list[Any]:
    return values


for _name in NAMES:
    operators.pattern_encoders[_name] = _encode_pattern
    operators.list_encoders[_name] = _encode_list


@compiles(operators.TextMatch, *NAMES)
def _text_match(element: operators.TextMatch, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.operands)
    if element.ignore_case:
        left, right = f"LOWER({left})", f"LOWER({right})"
    elif element.kind != "exact":
        # A table made elsewhere may have a collation that ignores case.
        right = f"BINARY {right}"
    if element.kind == "exact":
        return f"{left} = {right}"
    return f"{left} LIKE {right} ESCAPE '{LIKE_ESCAPE}'"


@compiles(operators.Regex, *NAMES)
def _regex(element: operators.Regex, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{left} REGEXP CONCAT('(?-i)', {right})"


@compiles(operators.IRegex, *NAMES)
def _iregex(element: operators.IRegex, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{left} REGEXP CONCAT('(?i)', {right})"


@compiles(operators.InList, *NAMES)
def _in_list(element: operators.InList, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    # The list is the one argument here whose placeholders are written at each execution.
    return f"{left} IN ({LIST_SLOT}{right})"


@compiles(operators.JSONEqual, "mariadb")
def _json_equal_mariadb(element: operators.JSONEqual, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    # By itself MariaDB 10.11 takes JSON_EQUALS(NULL, ...) for true in WHERE.
    return f"JSON_EQUALS({left}, {right}) = 1"


@compiles(operators.JSONEqual, "mysql")
def _json_equal(element: operators.JSONEqual, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{left} = CAST({right} AS JSON)"
