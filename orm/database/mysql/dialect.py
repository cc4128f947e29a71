"""The dialects of MySQL and MariaDB."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.mysql import mariadb, pymysql
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import memoized_property

from orm.database.dialect import LIKE_ESCAPE, LIST_SLOT, Dialect, DriverClasses, order_by_clause
from orm.database.dialect_registry import registrations
from orm.database.mysql.errors import classify
from orm.database.mysql.sql_functions import CASTS, FUNCTIONS_WITHOUT_TIME_ZONES, MARIADB_FUNCTIONS, MYSQL_FUNCTIONS
from orm.database.mysql.storage import MariaDBTypes, MySQLTypes
from orm.database.mysql.time_zones import HAS_TIME_ZONES
from orm.database.storage import StorageTypes, UnstorableValue
from orm.database.types import column_types
from orm.exceptions import Error, NotSupportedError

MAX_PADDED_LENGTH = 128


class MySQLDialect(Dialect):
    """MySQL 8 and newer, through asyncmy or aiomysql."""

    name = "mysql"
    storage: ClassVar[StorageTypes] = MySQLTypes()
    sql_functions = MYSQL_FUNCTIONS
    # asyncmy is the faster one.
    drivers = (
        DriverClasses(
            "asyncmy",
            backend="orm.database.mysql.backend_asyncmy:AsyncmyBackend",
            driver="orm.database.mysql.driver:AsyncmyDriver",
            databases_backend="databases.backends.asyncmy",
        ),
        DriverClasses(
            "aiomysql",
            backend="orm.database.mysql.backend_aiomysql:AiomysqlBackend",
            driver="orm.database.mysql.driver:AiomysqlDriver",
            databases_backend="databases.backends.mysql",
        ),
    )
    extra = "mysql"
    checks_on_set_null = False
    insert_returning = False
    key_step_query: ClassVar[str | None] = (
        "SELECT @@auto_increment_increment"  # each server of a group has its own numbers
    )
    max_keys_per_query = 10_000
    server_query = HAS_TIME_ZONES
    tables_query = (
        "SELECT CASE table_schema WHEN DATABASE() THEN NULL ELSE table_schema END, table_name "
        "FROM information_schema.tables"
    )

    supports_set_default = False
    max_cascade_depth = 15

    def make_sqlalchemy_dialect(self) -> SQLAlchemyDialect:
        """The dialect of PyMySQL, whose ``%s`` parameters both drivers take."""
        dialect: SQLAlchemyDialect = pymysql.dialect(paramstyle="format")
        return dialect

    @memoized_property
    def without_time_zones(self) -> MySQLDialect:
        """The dialect of a server without tables of time zones."""
        dialect = type(self)()
        dialect.sql_functions = {**self.sql_functions, **FUNCTIONS_WITHOUT_TIME_ZONES}
        return dialect

    def for_server(self, answer: Any) -> Dialect:
        """The dialect for a server that has tables of time zones, or has none."""
        return self if answer else self.without_time_zones

    def join_in_written_order(self, select: sqlalchemy.Select[Any]) -> sqlalchemy.Select[Any]:
        """STRAIGHT_JOIN. Otherwise the smaller table may be read first, and all rows are sorted to return a few."""
        return select.prefix_with("STRAIGHT_JOIN")

    def insert(self, table: sqlalchemy.Table) -> mysql.Insert:
        """An INSERT that takes ON DUPLICATE KEY UPDATE."""
        return mysql.insert(table)

    def ignore_conflicts(self, insert: sqlalchemy.Insert) -> sqlalchemy.Insert:
        """ON DUPLICATE KEY UPDATE that changes nothing. INSERT IGNORE would ignore missing foreign keys as well."""
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

    def classify_error(self, error: BaseException) -> type[Error]:
        """By the server's error numbers."""
        return classify(error)

    def cast(self, value: str, source: str, target: str, type_: TypeEngine[Any]) -> str:
        """A CAST; the types that it takes are seldom those of columns."""
        if target in CASTS:
            return CASTS[target].format(value)
        if isinstance(type_, column_types.Decimal):
            return f"CAST({value} AS DECIMAL({type_.max_digits or 65}, {type_.decimal_places or 0}))"
        length = getattr(type_, "length", None)
        # CHAR(n) would warn of each text that it truncates.
        return f"LEFT(CAST({value} AS CHAR), {length})" if length else f"CAST({value} AS CHAR)"

    def collection_aggregate(
        self,
        name: str,
        values: Sequence[str],
        *,
        distinct: bool,
        order: Sequence[tuple[str, bool]],
        condition: str | None,
    ) -> str:
        """GROUP_CONCAT, also for JSON: JSON_ARRAYAGG() has no order, and cannot leave rows out."""
        if name == "array_agg":
            return super().collection_aggregate(name, values, distinct=distinct, order=order, condition=condition)
        value, *delimiter = values
        if condition:
            # NULL is left out.
            value = f"CASE WHEN {condition} THEN {value} END"
        joined = f"{'DISTINCT ' if distinct else ''}{value}{order_by_clause(order)}"
        if delimiter:
            return f"GROUP_CONCAT({joined} SEPARATOR {delimiter[0]})"
        return f"CONCAT('[', GROUP_CONCAT({joined} SEPARATOR ', '), ']')"

    def text_match(self, text: str, pattern: str, operator: str, *, ignore_case: bool, beyond_ascii: bool) -> str:
        """LIKE of lower case, or of bytes: tables created elsewhere may have a case-insensitive collation."""
        if ignore_case:
            text, pattern = f"LOWER({text})", f"LOWER({pattern})"
        else:
            pattern = f"BINARY {pattern}"
        return f"{text} = {pattern}" if operator == "exact" else f"{text} LIKE {pattern} ESCAPE '{LIKE_ESCAPE}'"

    def regex(self, text: str, pattern: str, *, ignore_case: bool) -> str:
        """REGEXP, independent of the collation."""
        return f"{text} REGEXP CONCAT('({'?i' if ignore_case else '?-i'})', {pattern})"

    def in_list(self, value: str, values: str, item_type: TypeEngine[Any]) -> str:
        """IN (…); its placeholders are written at each execution."""
        return f"{value} IN ({LIST_SLOT}{values})"

    def encode_list(self, values: list[Any]) -> list[Any]:
        """The values, the last one repeated up to the next power of two.

        So lists of all lengths make few statements: asyncmy prepares each statement text, and keeps a hundred of them.
        Long lists are sent as text, which the server does not keep.
        """
        length = len(values)
        if length == 1 and isinstance(values[0], datetime.time):
            # MySQL compares a computed time with a single text as texts.
            return values * 2
        if length & (length - 1) == 0 or length > MAX_PADDED_LENGTH:
            return values
        return values + values[-1:] * ((1 << length.bit_length()) - length)

    def json_equal(self, left: str, right: str) -> str:
        """Equal as MySQL's own JSON values."""
        return f"{left} = CAST({right} AS JSON)"

    def encode_path(self, keys: tuple[str, ...]) -> str:
        """A JSON path of quoted keys."""
        return "$" + "".join(f".{json.dumps(key, ensure_ascii=False)}" for key in keys)


class MariaDBDialect(MySQLDialect):
    """MariaDB 10.5 and newer, which can return what it inserts."""

    name = "mariadb"
    storage = MariaDBTypes()
    sql_functions = MARIADB_FUNCTIONS
    lag_lead_default = False
    insert_returning = True
    key_step_query = None
    delete_returning = True

    def make_sqlalchemy_dialect(self) -> SQLAlchemyDialect:
        """SQLAlchemy's dialect for MariaDB, with ``%s`` parameters."""
        dialect: SQLAlchemyDialect = mariadb.loader("pymysql")(paramstyle="format")
        # SQLAlchemy asks the server for these; every version that the ORM supports has them.
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

    def json_equal(self, left: str, right: str) -> str:
        """JSON_EQUALS. Without the comparison, MariaDB 10.11 takes JSON_EQUALS(NULL, …) for true in WHERE."""
        return f"JSON_EQUALS({left}, {right}) = 1"

    def encode_path(self, keys: tuple[str, ...]) -> str:
        """A JSON path, which cannot have a key that begins with a hyphen."""
        if any(key.startswith("-") for key in keys):
            raise UnstorableValue("A path of MariaDB's cannot name a key that begins with a hyphen.")
        return super().encode_path(keys)

    def create_table(self, sql: str) -> str:
        """With MariaDB's collation: a SQLAlchemy dialect for MySQL that has connected to MariaDB writes MySQL's."""
        ours, theirs = (registrations[name].table_options["collate"] for name in ("mariadb", "mysql"))
        return sql.replace(f"COLLATE {theirs}", f"COLLATE {ours}")
