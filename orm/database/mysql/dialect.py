"""The dialects of MySQL and MariaDB."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import sqlalchemy
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.mysql import mariadb, pymysql
from sqlalchemy.dialects.mysql.mysqldb import MySQLCompiler_mysqldb
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.types import TypeEngine

from orm.database.dialect import LIKE_ESCAPE, LIST_SLOT, Dialect, DriverClasses, one_more
from orm.database.mysql.errors import classify, message, violation
from orm.database.mysql.reflection import MariaDBReflection, MySQLReflection
from orm.database.mysql.schema_changes import MySQLSchemaChanges
from orm.database.mysql.sql_functions import (
    CASTS,
    FUNCTIONS_WITHOUT_TIME_ZONES,
    MARIADB_COLLATION,
    MARIADB_FUNCTIONS,
    MYSQL_COLLATION,
    MYSQL_FUNCTIONS,
    exact_text,
    is_json_number,
)
from orm.database.mysql.storage import MariaDBTypes, MySQLTypes
from orm.database.mysql.time_zones import HAS_TIME_ZONES
from orm.database.sql_functions import CollectionCall, order_by_clause
from orm.database.storage import StorageTypes, UnstorableValue
from orm.database.types import column_types
from orm.exceptions import Error, NotSupportedError, Violation

CURRENT_TIME = re.compile(r"(current_timestamp|now)(\(\))?", re.IGNORECASE)

MAX_PADDED_LENGTH = 128
# MySQL 9.6 and newer can cascade outside InnoDB, and do so by default.
LACKS_NATIVE_FOREIGN_KEYS = (
    "2 * EXISTS(SELECT 1 FROM performance_schema.global_variables "
    "WHERE variable_name = 'innodb_native_foreign_keys' AND variable_value = 'OFF')"
)
IS_GALERA = (
    "4 * (SELECT COUNT(*) = 2 FROM information_schema.global_variables "
    "WHERE variable_name = 'wsrep_on' AND variable_value = 'ON' "
    "OR variable_name = 'wsrep_provider' AND variable_value NOT IN ('', 'none'))"
)
ORPHANS = (
    "This MySQL server runs with innodb_native_foreign_keys=OFF. A DELETE that cascades through two tables leaves rows "
    "without the row that they reference, and a foreign key is not checked in a row that has NULL in another column of "
    "an index that begins with the key. Start the server with innodb_native_foreign_keys=ON."
)


class MySQLCompiler(MySQLCompiler_mysqldb):
    """SQLAlchemy's, with FOR SHARE for shared locks: LOCK IN SHARE MODE takes neither OF nor NOWAIT on MySQL."""

    def for_update_clause(self, select: sqlalchemy.sql.selectable.GenerativeSelect, **kw: Any) -> str:
        """The clause that locks rows."""
        return super().for_update_clause(select, **kw).replace(" LOCK IN SHARE MODE", " FOR SHARE", 1)


class MySQLDialect(Dialect):
    """MySQL, through asyncmy or aiomysql."""

    name = "mysql"
    explain_formats: ClassVar[tuple[str, ...]] = ("TRADITIONAL", "JSON", "TREE", "TEXT")
    explain_running_prefix: ClassVar[str] = "EXPLAIN ANALYZE "
    collation = MYSQL_COLLATION
    storage: ClassVar[StorageTypes] = MySQLTypes()
    sql_functions = MYSQL_FUNCTIONS
    orm_url_options = (*Dialect.orm_url_options, "pool_recycle")
    engine_url_options: ClassVar[Mapping[str, str]] = {
        name: name for name in ("charset", "unix_socket", "connect_timeout", "init_command")
    }
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
    reserved_words = frozenset({"external", "library", "tablesample"})
    checks_on_set_null = False
    partial_indexes = False
    reflection = MySQLReflection()
    schema_changes = MySQLSchemaChanges()
    refused_table_options: ClassVar = {
        "condition": "MySQL and MariaDB have no partial indexes: leave out condition=, for an index of all rows.",
        "include": "MySQL and MariaDB have no include=: add these fields to the fields of the index.",
        "opclasses": "MySQL and MariaDB have no operator classes.",
        "nulls_distinct": "for MySQL and MariaDB, NULLs always differ: make the fields NOT NULL, or index Coalesce(…).",
        "deferrable": "MySQL and MariaDB check unique constraints at once: they have no deferrable=.",
        "exclusion": "MySQL and MariaDB have no exclusion constraints: check the rows in a transaction.",
    }
    insert_returning = False
    max_statement_bytes_query = "SELECT @@max_allowed_packet"
    one_key_per_upsert = True
    key_step_query: ClassVar[str | None] = (
        "SELECT @@auto_increment_increment"  # each server of a group has its own numbers
    )
    max_keys_per_query = 10_000
    max_parameters = 8_000  # the drivers format them without a pause, in some microseconds each
    of_same_scheme: ClassVar[tuple[str, ...]] = ("mariadb", "tidb")
    server_query: ClassVar[str | None] = f"SELECT {HAS_TIME_ZONES} + {LACKS_NATIVE_FOREIGN_KEYS}"
    tables_query = (
        "SELECT CASE table_schema WHEN DATABASE() THEN NULL ELSE table_schema END, table_name "
        "FROM information_schema.tables"
    )

    current_schema_query = "SELECT DATABASE()"
    position_query: str | None = "SELECT @@global.gtid_executed"
    position_pattern = re.compile(r"(?:(?:^|,\s?)[0-9a-f-]{36}(?::[0-9]{1,19}(?:-[0-9]{1,19})?)+)+")
    lag_query: str | None = "SHOW REPLICA STATUS"
    lag_column: ClassVar[str] = "Seconds_Behind_Source"
    supports_set_default = False
    max_cascade_depth = 15
    lacks: Mapping[str, str] = {
        "no_key": "Locks without the key (no_key=True) are PostgreSQL's; MySQL has none.",
        "deferrable": "MySQL and MariaDB have no deferrable transactions.",
        "shared_advisory_lock": "MySQL and MariaDB have no shared advisory locks.",
    }

    def __init__(self) -> None:
        super().__init__()
        self._variants[1] = self  # a server that lacks nothing

    def make_sqlalchemy_dialect(self) -> SQLAlchemyDialect:
        """The dialect of PyMySQL, whose ``%s`` parameters both drivers take."""
        dialect: SQLAlchemyDialect = pymysql.dialect(paramstyle="format")
        dialect.statement_compiler = MySQLCompiler
        # SQLAlchemy asks the server for it; every version that the ORM supports has it.
        dialect.supports_for_update_of = True  # type: ignore[attr-defined]
        return dialect

    def position_reached(self, token: str, seconds: float) -> tuple[str, tuple[Any, ...]]:
        """Waits for the transactions of a GTID set."""
        return "SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s) = 0", (token, seconds)

    def replica_lag(self, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> float | None:
        """That of the slowest source; None if one of them is not replicated, or if there is none."""
        seconds = [row[list(names).index(self.lag_column)] for row in rows]
        return None if None in seconds or not seconds else float(max(seconds))

    def adapt(self, answer: Any) -> None:
        """Adapt to the server's answer: 1 if it has time zone tables, plus 2 if innodb_native_foreign_keys is OFF."""
        if not answer & 1:
            self.sql_functions = {**self.sql_functions, **FUNCTIONS_WITHOUT_TIME_ZONES}
        if answer & 2:
            self.leaves_orphans = True
            self.known_fault = ORPHANS

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
        self, insert: sqlalchemy.Insert, update: Sequence[str], unique: Sequence[str], count: Sequence[str]
    ) -> sqlalchemy.Insert:
        """ON DUPLICATE KEY UPDATE, whatever the key."""
        assert isinstance(insert, mysql.Insert)
        if unique:
            raise NotSupportedError(
                "MySQL and MariaDB update a row that any unique key makes the same; they take no unique_fields."
            )
        values: dict[str, Any] = {name: insert.inserted[name] for name in update} | one_more(insert, count)
        assert isinstance(insert.table, sqlalchemy.Table)
        key = insert.table.autoincrement_column
        if key is not None and self.one_key_per_upsert:
            # The server then returns the key of an updated row as if it had generated it.
            values[key.name] = sqlalchemy.func.last_insert_id(key)
        return insert.on_duplicate_key_update(values)

    def refused_table_option(self, option: str) -> str | None:
        """The reason from `refused_table_options`, or for a kind of index that InnoDB does not have."""
        kind = option.removeprefix("using ")
        if kind not in (option, "btree", "fulltext", "spatial"):
            return f"MySQL and MariaDB have no index of the kind {kind!r}, only btree, fulltext and spatial."
        return super().refused_table_option(option)

    def classify_error(self, error: BaseException) -> type[Error]:
        """By the server's error numbers."""
        return classify(error)

    def violation(self, error: BaseException) -> Violation:
        """What the driver's attributes and message tell."""
        return violation(error)

    def error_message(self, error: BaseException) -> str | None:
        """How to get the functions that newer servers lack."""
        return message(error)

    def partly_generated_key(self, columns: tuple[str, ...], generated: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The generated column comes first, because it must be the first column of an index."""
        return (generated, *(column for column in columns if column != generated)), ()

    def column_default(self, sql: str, type_: TypeEngine[Any], *, is_literal: bool) -> str:
        """The current time with microseconds, as in the columns; expressions in the parentheses that MySQL needs."""
        if not is_literal and CURRENT_TIME.fullmatch(sql):
            return "CURRENT_TIMESTAMP(6)" if isinstance(type_, column_types.DateTime) else f"({sql})"
        is_large = isinstance(type_, (column_types.Text, column_types.JSON, column_types.Binary))
        return f"({sql})" if is_large and not sql.startswith("(") else sql

    def cast(self, value: str, source: str, target: str, type_: TypeEngine[Any]) -> str:
        """A CAST; the types that it takes are seldom those of columns."""
        if target in CASTS:
            return CASTS[target].format(value)
        if isinstance(type_, column_types.Decimal):
            return f"CAST({value} AS DECIMAL({type_.max_digits or 65}, {type_.decimal_places or 0}))"
        length = getattr(type_, "length", None)
        text = exact_text(value, self.collation)
        # CHAR(n) would warn of each text that it truncates.
        return f"LEFT({text}, {length})" if length else text

    def collection_aggregate(self, call: CollectionCall) -> str:
        """GROUP_CONCAT, also for JSON: JSON_ARRAYAGG() has no order, and cannot leave rows out."""
        if call.name == "array_agg":
            return super().collection_aggregate(call)
        value, *delimiter = call.values
        if call.condition:
            # NULL is left out.
            value = f"CASE WHEN {call.condition} THEN {value} END"
        joined = f"{'DISTINCT ' if call.distinct else ''}{value}{order_by_clause(call.order)}"
        if delimiter:
            return f"GROUP_CONCAT({joined} SEPARATOR {delimiter[0]})"
        return f"CONCAT('[', GROUP_CONCAT({joined} SEPARATOR ', '), ']')"

    def text_match(self, text: str, pattern: str, operator: str, *, ignore_case: bool, beyond_ascii: bool) -> str:
        """LIKE of lower case, or in a binary collation: tables created elsewhere may ignore case.

        With the collation of the ORM's columns, LIKE uses their indexes. Two explicit collations must be the same.
        """
        if ignore_case:
            text, pattern = f"LOWER({text})", f"LOWER({pattern})"
        else:
            pattern = exact_text(pattern, self.collation)
            if " COLLATE " in text:
                text = exact_text(text, self.collation)
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

    def json_compare(self, document: str, operator: str, number: str) -> str:
        """Compared as JSON values, which is exact: a conversion to a number would give a float."""
        return f"CASE WHEN {is_json_number(document)} THEN {document} {operator} {number} END"

    def encode_path(self, keys: tuple[str, ...]) -> str:
        """A JSON path of quoted keys."""
        return "$" + "".join(f".{json.dumps(key, ensure_ascii=False)}" for key in keys)

    def empty_tables(self, tables: Sequence[str]) -> list[str]:
        """Statements that delete all rows, whatever the foreign keys are."""
        deletes = [f"DELETE FROM {table}" for table in tables]
        return ["SET FOREIGN_KEY_CHECKS = 0", *deletes, "SET FOREIGN_KEY_CHECKS = 1"]

    def explain_statement(self, analyze: bool, format: str | None, options: Mapping[str, bool]) -> str:
        """EXPLAIN or EXPLAIN ANALYZE, which is ANALYZE on MariaDB. TEXT is the traditional format, as in Django."""
        format = "TRADITIONAL" if format == "TEXT" else format
        prefix = self.explain_running_prefix if analyze else self.explain_prefix
        return prefix if format is None else f"{prefix}FORMAT={format} "


class MariaDBDialect(MySQLDialect):
    """MariaDB, whose INSERT can return columns."""

    name = "mariadb"
    reflection = MariaDBReflection()
    of_same_scheme = ("mysql", "tidb")
    collation = MARIADB_COLLATION
    explain_formats = ("TRADITIONAL", "JSON", "TEXT")
    explain_running_prefix = "ANALYZE "
    storage = MariaDBTypes()
    sql_functions = MARIADB_FUNCTIONS
    reserved_words = frozenset(
        {
            *("delete_domain_id", "master_demote_to_replica", "master_demote_to_slave", "portion", "value", "vector"),
            *("sql_after_gtids", "sql_before_gtids"),
        }
    )
    compares_json_escapes = True
    lag_lead_default = False
    indexes_expressions = False
    position_query = "SELECT @@global.gtid_current_pos"
    position_pattern = re.compile(r"(?:(?:^|,)[0-9]{1,9}-[0-9]{1,9}-[0-9]{1,19})+")
    lag_query = "SHOW ALL SLAVES STATUS"
    lag_column = "Seconds_Behind_Master"
    is_galera = False
    insert_returning = True
    one_key_per_upsert = False
    key_step_query = None
    server_query = f"SELECT {HAS_TIME_ZONES} + {IS_GALERA}"
    lacks: Mapping[str, str] = {
        **MySQLDialect.lacks,
        "of": "MariaDB locks the rows of every table that is read; it takes no of=.",
    }
    delete_returning = True
    sequences = True

    def next_value(self, sequence: str) -> str:
        """nextval()."""
        return f"nextval({sequence})"

    def make_sqlalchemy_dialect(self) -> SQLAlchemyDialect:
        """SQLAlchemy's dialect for MariaDB, with ``%s`` parameters."""
        dialect: SQLAlchemyDialect = mariadb.loader("pymysql")(paramstyle="format")
        # SQLAlchemy asks the server for these; every version that the ORM supports has them.
        dialect.insert_returning = True
        dialect.delete_returning = True
        return dialect

    def position_reached(self, token: str, seconds: float) -> tuple[str, tuple[Any, ...]]:
        """Waits for a GTID position; on Galera, compares the number of the write-set that was committed last."""
        if self.is_galera:
            number = int(token.rpartition("-")[2])
            return "SELECT SUBSTRING_INDEX(WSREP_LAST_SEEN_GTID(), '-', -1) + 0 >= %s", (number,)
        return "SELECT MASTER_GTID_WAIT(%s, %s) = 0", (token, seconds)

    def adapt(self, answer: Any) -> None:
        """As MySQL's, plus 4 for a node of a Galera cluster, whose own GTIDs do not name the writes of other nodes."""
        super().adapt(answer)
        if answer & 4:
            self.is_galera = True
            self.position_query = "SELECT CONVERT(CONCAT('wsrep:', WSREP_LAST_SEEN_GTID()) USING utf8mb4)"
            self.position_pattern = re.compile("wsrep:[0-9]{1,10}-[0-9]{1,10}-[0-9]{1,19}")

    def json_equal(self, left: str, right: str) -> str:
        """JSON_EQUALS. Without the comparison, MariaDB 10.11 takes JSON_EQUALS(NULL, …) for true in WHERE."""
        return f"JSON_EQUALS({left}, {right}) = 1"

    def json_compare(self, document: str, operator: str, number: str) -> str:
        """Integers as decimals, which are exact; MariaDB's other JSON numbers are floats.

        MariaDB also calls 1e300 an integer, because it has no decimal point.
        """
        integer = f"JSON_TYPE({document}) = 'INTEGER' COLLATE utf8mb4_bin AND INSTR(LOWER({document}), 'e') = 0"
        return (
            f"CASE WHEN {integer} THEN CAST({document} AS DECIMAL(65, 0)) {operator} {number} "
            f"ELSE {self.function('json_number', (), (document,))} {operator} {number} END"
        )

    def encode_path(self, keys: tuple[str, ...]) -> str:
        """A JSON path, which cannot have a key that begins with a hyphen."""
        if any(key.startswith("-") for key in keys):
            raise UnstorableValue("A path of MariaDB's cannot name a key that begins with a hyphen.")
        return super().encode_path(keys)

    def create_table(self, sql: str) -> str:
        """With MariaDB's collation: a SQLAlchemy dialect for MySQL that has connected to MariaDB writes MySQL's."""
        return sql.replace(f"COLLATE {MYSQL_COLLATION}", f"COLLATE {MARIADB_COLLATION}")
