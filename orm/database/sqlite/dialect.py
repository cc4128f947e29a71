"""SQLite: how it is compiled for and how it spells what databases spell differently."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from orm.database.dialect import DIALECTS, DeleteRules, Dialect
from orm.database.sql import operators
from orm.database.sql.operators import LIKE_ESCAPE, like_pattern
from orm.database.sqlite import sql_functions as sql_functions
from orm.database.sqlite.storage import SQLiteTypes
from orm.database.types import column_types
from orm.database.types.storage import TYPES
from orm.exceptions import QueryError

# Far below the highest number that a row can have, after which SQLite takes any that is free.
HIGH_KEY = 1 << 62
GLOB_SPECIAL = str.maketrans({"*": "[*]", "?": "[?]", "[": "[[]"})


class SQLiteDialect(Dialect):
    """SQLite 3.35 and newer, through aiosqlite."""

    name = "sqlite"
    returning = True
    update_returning = True
    delete_returning = True
    row_locks = False
    explain_prefix = "EXPLAIN QUERY PLAN "
    existing_tables = "SELECT NULL, name FROM sqlite_master WHERE type IN ('table', 'view')"

    # The last foreign key declared comes first.
    deletes = DeleteRules(
        order=(
            'SELECT tables.name, keys."from" FROM sqlite_master tables, pragma_foreign_key_list(tables.name) keys '
            "WHERE tables.type = 'table' AND keys.seq = 0 ORDER BY tables.rowid DESC, keys.id"
        ),
        row_by_row=True,
        checks_at_end=True,
        self_reference_blocks=False,
        sets_default=True,
        max_cascade_depth=998,
    )

    foreign_keys_enforced = "PRAGMA foreign_keys"
    # The first does nothing inside a transaction, where the second does what it can.
    lift_foreign_keys = ("PRAGMA foreign_keys = OFF", "PRAGMA defer_foreign_keys = ON")
    enforce_foreign_keys = ("PRAGMA defer_foreign_keys = OFF", "PRAGMA foreign_keys = ON")

    def make_sqlalchemy_dialect(self) -> SQLAlchemyDialect:
        """The dialect of the standard library's driver, with ``?`` parameters."""
        return pysqlite.dialect(paramstyle="qmark")

    def numbering(self, key: sqlalchemy.Column[Any]) -> sqlalchemy.Select[Any] | None:
        """A new row's number is one more than the highest, unless that is the last, or a trigger adds rows, too.

        RETURNING takes as long as the INSERT itself.
        """
        table = key.table
        if not isinstance(table, sqlalchemy.Table) or table.schema is not None:
            return None
        triggers = [
            sqlalchemy.select(sqlalchemy.literal_column("1"))
            .select_from(sqlalchemy.table(schema))
            .where(
                sqlalchemy.column("type") == "trigger",
                sqlalchemy.func.lower(sqlalchemy.column("tbl_name")) == sqlalchemy.func.lower(table.name),
            )
            .exists()
            for schema in ("sqlite_master", "sqlite_temp_master")
        ]
        highest = sqlalchemy.select(sqlalchemy.func.coalesce(sqlalchemy.func.max(key), 0)).scalar_subquery()
        return sqlalchemy.select(sqlalchemy.and_(highest < HIGH_KEY, *(~trigger for trigger in triggers)))

    def numbered(self, lastrowid: int, count: int, step: int) -> range:
        """The keys of the rows, of which the driver tells the last."""
        return range(lastrowid - count + 1, lastrowid + 1)

    def as_inserted(self, returned: list[tuple[Any, ...]], key: int) -> list[tuple[Any, ...]]:
        """The rows by their keys if these follow each other; else as they came."""
        found = super().as_inserted(returned, key)
        if not found or found[-1][key] - found[0][key] == len(found) - 1:
            return found
        # After the highest key that there can be it takes any that is free; it returns the rows as it inserts them.
        return returned

    def insert(self, table: sqlalchemy.Table) -> sqlite.Insert:
        """An INSERT that takes ON CONFLICT."""
        return sqlite.insert(table)

    def ignore_conflicts(self, insert: sqlalchemy.Insert) -> sqlalchemy.Insert:
        """ON CONFLICT DO NOTHING."""
        assert isinstance(insert, sqlite.Insert)
        return insert.on_conflict_do_nothing()

    def update_conflicts(
        self, insert: sqlalchemy.Insert, update: Sequence[str], unique: Sequence[str]
    ) -> sqlalchemy.Insert:
        """ON CONFLICT DO UPDATE."""
        assert isinstance(insert, sqlite.Insert)
        if not unique:
            raise QueryError("unique_fields must say which unique constraint makes a row the same.")
        new = insert.excluded
        return insert.on_conflict_do_update(index_elements=list(unique), set_={name: new[name] for name in update})

    def lock_rows(self, select: sqlalchemy.Select[Any], **options: Any) -> sqlalchemy.Select[Any]:
        """SQLite locks the whole file for a writer; there are no row locks."""
        return select


DIALECTS["sqlite"] = SQLiteDialect()
TYPES["sqlite"] = SQLiteTypes()


def _encode_pattern(kind: str, ignore_case: bool, text: str) -> str:
    if ignore_case:
        # LIKE folds ASCII only; a text beyond it is compared in Python, folded on both sides.
        return like_pattern(kind, text if text.isascii() else text.casefold())
    glob = text.translate(GLOB_SPECIAL)
    if kind == "contains":
        return f"*{glob}*"
    return f"{glob}*" if kind == "startswith" else f"*{glob}"


def _encode_list(values: list[Any]) -> str:
    return encode_json(values)


def _hex(value: bytes) -> str:
    """What stands for bytes in JSON: what SQLite's quote() makes of them; its hex() takes NULL for empty."""
    return f"X'{value.hex().upper()}'"


encode_json = json.JSONEncoder(default=_hex).encode


operators.pattern_encoders["sqlite"] = _encode_pattern
operators.list_encoders["sqlite"] = _encode_list


@compiles(operators.TextMatch, "sqlite")
def _text_match(element: operators.TextMatch, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.operands)
    if not element.ignore_case:
        return f"{left} GLOB {right}"
    if element.beyond_ascii:
        left = f"orm_casefold({left})"
    return f"{left} LIKE {right} ESCAPE '{LIKE_ESCAPE}'"


@compiles(operators.Regex, "sqlite")
def _regex(element: operators.Regex, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{left} REGEXP {right}"


@compiles(operators.IRegex, "sqlite")
def _iregex(element: operators.IRegex, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{left} REGEXP ('(?i)' || {right})"


@compiles(operators.InList, "sqlite")
def _in_list(element: operators.InList, compiler: SQLCompiler, **kw: Any) -> str:
    expression, values = element.clauses
    left, right = (compiler.process(clause, **kw) for clause in (expression, values))
    assert isinstance(values.type, operators.ListOf)
    if isinstance(values.type.item, (column_types.Binary, sqlalchemy.LargeBinary)):
        left = f"quote({left})"
    return f"{left} IN (SELECT value FROM json_each({right}))"


@compiles(operators.JSONEqual, "sqlite")
def _json_equal(element: operators.JSONEqual, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"orm_json({left}) = orm_json({right})"
