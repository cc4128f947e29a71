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

from orm.database import constructs, types
from orm.database.constructs import LIKE_ESCAPE, like_pattern
from orm.database.dialect import DeleteRules, Dialect
from orm.database.sqlite import spellings as spellings
from orm.exceptions import QueryError

GLOB_SPECIAL = str.maketrans({"*": "[*]", "?": "[?]", "[": "[[]"})


class SQLiteDialect(Dialect):
    """SQLite 3.35 and newer, through aiosqlite."""

    name = "sqlite"
    placeholder = "?"
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
        waits=True,
        counts_itself=False,
        sets_default=True,
        deepest=998,
    )

    foreign_keys_enforced = "PRAGMA foreign_keys"
    # The first does nothing inside a transaction, where the second does what it can.
    lift_foreign_keys = ("PRAGMA foreign_keys = OFF", "PRAGMA defer_foreign_keys = ON")
    enforce_foreign_keys = ("PRAGMA defer_foreign_keys = OFF", "PRAGMA foreign_keys = ON")

    def make_sqlalchemy_dialect(self) -> SQLAlchemyDialect:
        """The dialect of the standard library's driver, with ``?`` parameters."""
        return pysqlite.dialect(paramstyle="qmark")

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


def _encode_pattern(kind: str, ignore_case: bool, text: str) -> str:
    if ignore_case:
        # LIKE folds ASCII only; a text beyond it is compared in Python, folded on both sides.
        return like_pattern(kind, text if text.isascii() else text.casefold())
    glob = text.translate(GLOB_SPECIAL)
    if kind == "contains":
        return f"*{glob}*"
    return f"{glob}*" if kind == "startswith" else f"*{glob}"


def _encode_list(values: list[Any]) -> str:
    return json.dumps(values, default=_hex)


def _hex(value: bytes) -> str:
    """What stands for bytes in JSON: what SQLite's quote() makes of them; its hex() takes NULL for empty."""
    return f"X'{value.hex().upper()}'"


constructs.pattern_encoders["sqlite"] = _encode_pattern
constructs.list_encoders["sqlite"] = _encode_list


@compiles(constructs.TextMatch, "sqlite")
def _text_match(element: constructs.TextMatch, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.operands)
    if not element.ignore_case:
        return f"{left} GLOB {right}"
    if element.beyond_ascii:
        left = f"orm_casefold({left})"
    return f"{left} LIKE {right} ESCAPE '{LIKE_ESCAPE}'"


@compiles(constructs.Regex, "sqlite")
def _regex(element: constructs.Regex, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{left} REGEXP {right}"


@compiles(constructs.IRegex, "sqlite")
def _iregex(element: constructs.IRegex, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{left} REGEXP ('(?i)' || {right})"


@compiles(constructs.InList, "sqlite")
def _in_list(element: constructs.InList, compiler: SQLCompiler, **kw: Any) -> str:
    expression, values = element.clauses
    left, right = (compiler.process(clause, **kw) for clause in (expression, values))
    assert isinstance(values.type, constructs.ListOf)
    if isinstance(values.type.item, (types.Binary, sqlalchemy.LargeBinary)):
        left = f"quote({left})"
    return f"{left} IN (SELECT value FROM json_each({right}))"


@compiles(constructs.JSONEqual, "sqlite")
def _json_equal(element: constructs.JSONEqual, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"orm_json({left}) = orm_json({right})"
