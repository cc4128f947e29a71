"""SQLite's dialect."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import sqlalchemy
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.dialects.sqlite.base import SQLiteDDLCompiler
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.types import TypeEngine

from orm.database.dialect import LIKE_ESCAPE, Dialect, DriverClasses, like_pattern, one_more
from orm.database.sql.ddl import PartlyGeneratedKey
from orm.database.sql_functions import CollectionCall
from orm.database.sqlite import json_functions
from orm.database.sqlite.errors import classify, violation
from orm.database.sqlite.reflection import SQLiteReflection
from orm.database.sqlite.schema_changes import SQLiteSchemaChanges
from orm.database.sqlite.sql_functions import CASTS, SQL_FUNCTIONS
from orm.database.sqlite.storage import SQLiteTypes
from orm.database.types import column_types
from orm.exceptions import Error, QueryError, Violation

# Far below the highest key of a row. After that one, SQLite uses any free key.
HIGH_KEY = 1 << 62
CURRENT_TIME = re.compile(r"(current_timestamp|current_time|current_date)(\(\))?", re.IGNORECASE)
#: SQL for the stored text of an expression that returns a date, a time or a UUID.
DEFAULTS: dict[type[TypeEngine[Any]], str] = {
    column_types.Date: "(date({}))",
    column_types.Time: "(strftime('%H:%M:%f000', {}))",
    column_types.DateTime: "(strftime('%Y-%m-%d %H:%M:%f000', {}))",
    column_types.UUID: "(lower(replace({}, '-', '')))",
}
GLOB_SPECIAL = str.maketrans({"*": "[*]", "?": "[?]", "[": "[[]"})


class SQLiteTables(SQLiteDDLCompiler):
    """SQLAlchemy's compiler, with composite keys of which one part is numbered: see `partly_generated_key`."""

    def get_column_specification(self, column: sqlalchemy.Column[Any], **kwargs: Any) -> str:
        """A column of CREATE TABLE."""
        if isinstance(column.table.primary_key, PartlyGeneratedKey) and column.autoincrement is True:
            return f"{self.preparer.format_column(column)} INTEGER NOT NULL"  # only an INTEGER is numbered
        specification: str = super().get_column_specification(column, **kwargs)  # type: ignore[no-untyped-call]
        return specification


class SQLiteDialect(Dialect):
    """SQLite, through aiosqlite."""

    name = "sqlite"
    storage = SQLiteTypes()
    sql_functions = SQL_FUNCTIONS
    drivers = (
        DriverClasses(
            "aiosqlite",
            backend="orm.database.sqlite.backend:SQLiteBackend",
            driver="orm.database.sqlite.driver:AiosqliteDriver",
            databases_backend="databases.backends.sqlite",
        ),
    )
    orm_url_options = (*Dialect.orm_url_options, "busy_timeout", "synchronous")
    engine_url_options: ClassVar[Mapping[str, str]] = {name: name for name in ("timeout", "cached_statements", "uri")}
    insert_returning = True
    update_returning = True
    delete_returning = True
    row_locks = False  # a writer locks the whole file
    explain_prefix = "EXPLAIN QUERY PLAN "
    explains_by_running = False
    tables_query = "SELECT NULL, name FROM sqlite_master WHERE type IN ('table', 'view')"

    lacks: Mapping[str, str] = {
        "schema": "SQLite has no schemas: give each tenant a database of its own, and choose it with using(database)."
    }

    adds_constraints = False
    reflection = SQLiteReflection()
    schema_changes = SQLiteSchemaChanges()
    refused_table_options: ClassVar = {
        "include": "SQLite has no include=: add these fields to the fields of the index.",
        "opclasses": "SQLite has no operator classes.",
        "nulls_distinct": "for SQLite, NULLs always differ: make the fields NOT NULL, or index Coalesce(…).",
        "deferrable": "SQLite checks unique constraints at once: it has no deferrable=.",
        "exclusion": "SQLite has no exclusion constraints: check the rows in a transaction.",
    }

    max_cascade_depth = 1000

    reserved_words = frozenset({"nothing", "returning"})
    foreign_keys_enforced_query = "PRAGMA foreign_keys"
    # Inside a transaction the first has no effect; there the second defers the checks to its end.
    databases_need_no_server = True
    disable_foreign_keys = ("PRAGMA foreign_keys = OFF", "PRAGMA defer_foreign_keys = ON")
    enable_foreign_keys = ("PRAGMA defer_foreign_keys = OFF", "PRAGMA foreign_keys = ON")

    def make_sqlalchemy_dialect(self) -> SQLAlchemyDialect:
        """The dialect of the standard library's driver, with ``?`` parameters."""
        dialect = pysqlite.dialect(paramstyle="qmark")
        dialect.ddl_compiler = SQLiteTables
        return dialect

    def partly_generated_key(self, columns: tuple[str, ...], generated: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The generated column alone is the key, since SQLite numbers no other; all columns together are unique."""
        return (generated,), columns

    def consecutive_keys_query(self, key: sqlalchemy.Column[Any]) -> sqlalchemy.Select[Any] | None:
        """A new key is the highest plus one, unless that is the last possible key or a trigger inserts rows as well.

        RETURNING would take as long as the INSERT itself.
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

    def generated_keys(self, lastrowid: int, count: int, step: int) -> range:
        """The keys of the rows; the driver reports the last one."""
        return range(lastrowid - count + 1, lastrowid + 1)

    def in_insert_order(self, returned: list[tuple[Any, ...]], key: int) -> list[tuple[Any, ...]]:
        """The rows ordered by key if the keys are consecutive, otherwise as they were returned."""
        rows = super().in_insert_order(returned, key)
        if not rows or rows[-1][key] - rows[0][key] == len(rows) - 1:
            return rows
        # Once the last possible key is in use, SQLite takes any free one. It returns rows as it inserts them.
        return returned

    def insert(self, table: sqlalchemy.Table) -> sqlite.Insert:
        """An INSERT that takes ON CONFLICT."""
        return sqlite.insert(table)

    def ignore_conflicts(self, insert: sqlalchemy.Insert) -> sqlalchemy.Insert:
        """ON CONFLICT DO NOTHING."""
        assert isinstance(insert, sqlite.Insert)
        return insert.on_conflict_do_nothing()

    def update_conflicts(
        self, insert: sqlalchemy.Insert, update: Sequence[str], unique: Sequence[str], count: Sequence[str]
    ) -> sqlalchemy.Insert:
        """ON CONFLICT DO UPDATE."""
        assert isinstance(insert, sqlite.Insert)
        if not unique:
            raise QueryError("unique_fields must say which unique constraint makes a row the same.")
        new = insert.excluded
        values = {**{name: new[name] for name in update}, **one_more(insert, count)}
        assert isinstance(insert.table, sqlalchemy.Table)
        key = insert.table.primary_key
        if isinstance(key, PartlyGeneratedKey) and set(unique) == {column.name for column in key.columns}:
            # The table's key, which is the generated column alone, finds the conflict before the UNIQUE of all columns.
            (target,), _ = key.keys_on(self.sqlalchemy)
            same = [insert.table.c[name] == new[name] for name in unique if name != target]
            return insert.on_conflict_do_update(index_elements=[target], set_=values, where=sqlalchemy.and_(*same))
        return insert.on_conflict_do_update(index_elements=list(unique), set_=values)

    def refused_table_option(self, option: str) -> str | None:
        """The reason from `refused_table_options`, or for an index that is not a B-tree."""
        kind = option.removeprefix("using ")
        if kind not in (option, "btree"):
            return f"SQLite has no index of the kind {kind!r}: all of its indexes are B-trees."
        return super().refused_table_option(option)

    def classify_error(self, error: BaseException) -> type[Error]:
        """By SQLite's result codes, or its messages."""
        return classify(error)

    def violation(self, error: BaseException) -> Violation:
        """What the driver's attributes and message tell."""
        return violation(error)

    def column_default(self, sql: str, type_: TypeEngine[Any], *, is_literal: bool) -> str:
        """The DEFAULT as `SQLiteTypes` stores dates, times and UUIDs: CURRENT_TIMESTAMP alone has no fraction."""
        form = next((form for kind, form in DEFAULTS.items() if isinstance(type_, kind)), None)
        if is_literal or form is None:
            return sql
        return form.format("'now'" if CURRENT_TIME.fullmatch(sql) else sql)

    def cast(self, value: str, source: str, target: str, type_: TypeEngine[Any]) -> str:
        """A CAST; for dates and times a function, because they are stored as text."""
        if target in CASTS:
            return CASTS[target].format(value)
        if isinstance(type_, column_types.Decimal):
            number = f"CAST({value} AS NUMERIC)"
            return number if type_.decimal_places is None else f"orm_round({number}, {type_.decimal_places})"
        length = getattr(type_, "length", None)
        return f"SUBSTR(CAST({value} AS TEXT), 1, {length})" if length else f"CAST({value} AS TEXT)"

    def collection_aggregate(self, call: CollectionCall) -> str:
        """A function in Python, which takes the directions of the order as a string."""
        if call.name == "array_agg":
            return super().collection_aggregate(call)
        directions = "".join("d" if descending else "a" for _, descending in call.order)
        arguments = [str(int(call.distinct)), f"'{directions}'", *call.values, *(key for key, _ in call.order)]
        sql = f"orm_{call.name}({', '.join(arguments)})"
        return f"{sql} FILTER (WHERE {call.condition})" if call.condition else sql

    def text_match(self, text: str, pattern: str, operator: str, *, ignore_case: bool, beyond_ascii: bool) -> str:
        """GLOB, which is case-sensitive, or LIKE, which is not."""
        if not ignore_case:
            return f"{text} GLOB {pattern}"
        if beyond_ascii:
            text = f"orm_casefold({text})"
        return f"{text} LIKE {pattern} ESCAPE '{LIKE_ESCAPE}'"

    def encode_pattern(self, operator: str, ignore_case: bool, text: str) -> str:
        """A pattern for GLOB, or for LIKE."""
        if ignore_case:
            # LIKE folds ASCII only. Other text is folded in Python, on both sides.
            return like_pattern(operator, text if text.isascii() else text.casefold())
        glob = text.translate(GLOB_SPECIAL)
        if operator == "contains":
            return f"*{glob}*"
        return f"{glob}*" if operator == "startswith" else f"*{glob}"

    def regex(self, text: str, pattern: str, *, ignore_case: bool) -> str:
        """REGEXP, which is a function in Python."""
        return f"{text} REGEXP ('(?i)' || {pattern})" if ignore_case else f"{text} REGEXP {pattern}"

    def decimal_dividend(self, value: str) -> str:
        """The number as a float: a whole decimal is stored as an integer, whose quotient would be one."""
        return f"CAST({value} AS REAL)"

    def in_list(self, value: str, values: str, item_type: TypeEngine[Any]) -> str:
        """IN (SELECT …) of a JSON array."""
        if isinstance(item_type, (column_types.Binary, sqlalchemy.LargeBinary)):
            value = f"quote({value})"
        elif isinstance(item_type, (column_types.DateTime, column_types.Time)):
            # Each text, and the same text with one trailing zero after the other removed from its fraction.
            shorter = "SELECT rtrim(substr(value, 1, length(value) - 1), '.') FROM texts WHERE value LIKE '%.%0'"
            texts = f"texts (value) AS (SELECT value FROM json_each({values}) UNION {shorter})"
            return f"{value} IN (WITH RECURSIVE {texts} SELECT value FROM texts)"
        return f"{value} IN (SELECT value FROM json_each({values}))"

    # Other programs and CURRENT_TIMESTAMP omit a fraction of zero, or write three digits. Of the texts of a moment, the
    # one with the fewest digits sorts first, and the ORM's, with six, last.

    def same_moment(self, column: str, value: Callable[[], str]) -> str:
        """Between the first and the last text of the moment: an index can be used."""
        return f"{column} BETWEEN {self.first_text(value())} AND {value()}"

    def first_text(self, value: str) -> str:
        """The text without the zeros at the end of its fraction."""
        return f"rtrim(rtrim({value}, '0'), '.')"

    def encode_list(self, values: list[Any]) -> str:
        """A JSON array."""
        return encode_json(values)

    def json_equal(self, left: str, right: str) -> str:
        """Equal as text, once both are in canonical form."""
        return f"{json_functions.json_key(left)} = {json_functions.json_key(right)}"

    def encode_path(self, keys: tuple[str, ...]) -> str:
        """A path of SQLite's, or a JSON array of the keys for Python."""
        return json_functions.encode_path(keys)


def _hex(value: bytes) -> str:
    """Bytes in JSON, as SQLite's quote() writes them. Its hex() does not tell NULL from an empty value."""
    return f"X'{value.hex().upper()}'"


encode_json = json.JSONEncoder(default=_hex).encode
