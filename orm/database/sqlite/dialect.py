"""SQLite's dialect."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.types import TypeEngine

from orm.database.dialect import LIKE_ESCAPE, Dialect, DriverClasses, like_pattern
from orm.database.sqlite import json_functions
from orm.database.sqlite.errors import classify
from orm.database.sqlite.sql_functions import CASTS, SQL_FUNCTIONS
from orm.database.sqlite.storage import SQLiteTypes
from orm.database.types import column_types
from orm.exceptions import Error, QueryError

# Far below the highest key of a row. After that one, SQLite uses any free key.
HIGH_KEY = 1 << 62
GLOB_SPECIAL = str.maketrans({"*": "[*]", "?": "[?]", "[": "[[]"})


class SQLiteDialect(Dialect):
    """SQLite 3.35 and newer, through aiosqlite."""

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
    extra = "sqlite"
    insert_returning = True
    update_returning = True
    delete_returning = True
    row_locks = False  # a writer locks the whole file
    explain_prefix = "EXPLAIN QUERY PLAN "
    tables_query = "SELECT NULL, name FROM sqlite_master WHERE type IN ('table', 'view')"

    max_cascade_depth = 1000

    foreign_keys_enforced_query = "PRAGMA foreign_keys"
    # Inside a transaction the first has no effect; there the second defers the checks to its end.
    disable_foreign_keys = ("PRAGMA foreign_keys = OFF", "PRAGMA defer_foreign_keys = ON")
    enable_foreign_keys = ("PRAGMA defer_foreign_keys = OFF", "PRAGMA foreign_keys = ON")

    def make_sqlalchemy_dialect(self) -> SQLAlchemyDialect:
        """The dialect of the standard library's driver, with ``?`` parameters."""
        return pysqlite.dialect(paramstyle="qmark")

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
        self, insert: sqlalchemy.Insert, update: Sequence[str], unique: Sequence[str]
    ) -> sqlalchemy.Insert:
        """ON CONFLICT DO UPDATE."""
        assert isinstance(insert, sqlite.Insert)
        if not unique:
            raise QueryError("unique_fields must say which unique constraint makes a row the same.")
        new = insert.excluded
        return insert.on_conflict_do_update(index_elements=list(unique), set_={name: new[name] for name in update})

    def classify_error(self, error: BaseException) -> type[Error]:
        """By SQLite's result codes, or its messages."""
        return classify(error)

    def cast(self, value: str, source: str, target: str, type_: TypeEngine[Any]) -> str:
        """A CAST; for dates and times a function, because they are stored as text."""
        if target in CASTS:
            return CASTS[target].format(value)
        if isinstance(type_, column_types.Decimal):
            number = f"CAST({value} AS NUMERIC)"
            return number if type_.decimal_places is None else f"orm_round({number}, {type_.decimal_places})"
        length = getattr(type_, "length", None)
        return f"SUBSTR(CAST({value} AS TEXT), 1, {length})" if length else f"CAST({value} AS TEXT)"

    def collection_aggregate(
        self,
        name: str,
        values: Sequence[str],
        *,
        distinct: bool,
        order: Sequence[tuple[str, bool]],
        condition: str | None,
    ) -> str:
        """A function in Python, which takes the directions of the order as a string."""
        if name == "array_agg":
            return super().collection_aggregate(name, values, distinct=distinct, order=order, condition=condition)
        directions = "".join("d" if descending else "a" for _, descending in order)
        arguments = [str(int(distinct)), f"'{directions}'", *values, *(key for key, _ in order)]
        call = f"orm_{name}({', '.join(arguments)})"
        return f"{call} FILTER (WHERE {condition})" if condition else call

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
        return f"{value} IN (SELECT value FROM json_each({values}))"

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
