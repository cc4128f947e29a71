"""PostgreSQL's dialect."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import sqlalchemy
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.types import TypeEngine

from orm.database.dialect import Dialect, DriverClasses, like_pattern, one_more
from orm.database.postgresql.errors import classify, violation
from orm.database.postgresql.reflection import PostgreSQLReflection
from orm.database.postgresql.schema_changes import PostgreSQLSchemaChanges
from orm.database.postgresql.sql_functions import AGGREGATES, SQL_FUNCTIONS, as_instant, at_zone
from orm.database.postgresql.storage import NUL_REFUSED, PostgreSQLTypes
from orm.database.sql import operators
from orm.database.sql_functions import CollectionCall, order_by_clause
from orm.database.storage import UnstorableValue
from orm.database.types.column_types import ORMType
from orm.database.types.time_zones import UTC_NAME
from orm.exceptions import Error, QueryError, Violation


class PostgreSQLDialect(Dialect):
    """PostgreSQL, through asyncpg."""

    name = "postgresql"
    storage = PostgreSQLTypes()
    sql_functions = SQL_FUNCTIONS
    error_breaks_transaction = True
    engine_url_options: ClassVar[Mapping[str, str]] = {
        "sslmode": "ssl",
        "target_session_attrs": "target_session_attrs",
        "command_timeout": "command_timeout",
    }
    drivers = (
        DriverClasses(
            "asyncpg",
            backend="orm.database.postgresql.backend:PostgreSQLBackend",
            driver="orm.database.postgresql.driver:AsyncpgDriver",
            databases_backend="databases.backends.postgres",
        ),
    )
    reserved_words = frozenset({"collation", "concurrently", "lateral", "system_user", "tablesample"})
    numbered_parameters = True
    explain_formats = ("TEXT", "JSON", "XML", "YAML")
    explain_options = ("buffers", "costs", "memory", "settings", "summary", "timing", "verbose", "wal")
    insert_returning = True
    update_returning = True
    updates_a_row_twice = False
    virtual_columns = False  # from PostgreSQL 18 on
    delete_returning = True
    nulls_high = True
    max_rows_per_statement = 1_000  # the driver encodes them without a pause
    one_statement_per_trip = True
    position_query: str | None = "SELECT pg_current_wal_insert_lsn()::text"
    position_pattern = re.compile("[0-9A-F]{1,8}/[0-9A-F]{1,8}")
    # A replica that has replayed all it received is not late, however old the last transaction is.
    lag_query: str | None = (
        "SELECT CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0.0 "
        "ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END"
    )
    materialized_views = True
    reflection = PostgreSQLReflection()
    schema_changes = PostgreSQLSchemaChanges()
    tables_query = (
        "SELECT CASE table_schema WHEN current_schema() THEN NULL ELSE table_schema END, table_name "
        "FROM information_schema.tables UNION ALL "
        "SELECT CASE schemaname WHEN current_schema() THEN NULL ELSE schemaname END, matviewname FROM pg_matviews"
    )

    current_schema_query = "SELECT current_schema()"
    drops_schema_by_cascade = True
    sequences = True
    identity_columns = True
    locks_groups = False

    def empty_tables(self, tables: Sequence[str]) -> list[str]:
        """One statement, whatever the foreign keys are."""
        return [f"TRUNCATE {', '.join(tables)} CASCADE"]

    def explain_statement(self, analyze: bool, format: str | None, options: Mapping[str, bool]) -> str:
        """EXPLAIN with its options in parentheses."""
        switches = {**({"analyze": True} if analyze else {}), **options}
        parts = [f"{name.upper()} {'ON' if value else 'OFF'}" for name, value in switches.items()]
        if format is not None:
            parts.append(f"FORMAT {format}")
        return f"EXPLAIN ({', '.join(parts)}) " if parts else self.explain_prefix

    def position_reached(self, token: str, seconds: float) -> tuple[str, tuple[Any, ...]]:
        """Compares the replayed position. A server that is no longer a replica has reached every position."""
        return "SELECT coalesce(pg_last_wal_replay_lsn(), pg_current_wal_lsn()) >= $1::text::pg_lsn", (token,)

    def make_sqlalchemy_dialect(self) -> SQLAlchemyDialect:
        """The dialect of asyncpg, with ``$1`` parameters."""
        return asyncpg.dialect()  # type: ignore[no-untyped-call]

    def bulk_insert(
        self,
        table: sqlalchemy.Table,
        columns: Sequence[sqlalchemy.Column[Any]],
        returning: Sequence[sqlalchemy.Column[Any]],
    ) -> sqlalchemy.Insert | None:
        """INSERT … SELECT FROM unnest(…): each argument is an array, so one statement takes any number of rows."""
        rows = self.rows_from_lists([column.type for column in columns])
        if rows is None:
            return None
        select = sqlalchemy.select(*(rows.c[f"c{i}"] for i in range(len(columns)))).order_by(rows.c.n)
        insert = self.insert(table).from_select([c.name for c in columns], select, False)
        return insert.returning(*returning) if returning else insert

    def rows_from_lists(self, types: Sequence[TypeEngine[Any]]) -> sqlalchemy.FromClause | None:
        """unnest(…) of one array per column, with the position of the row as the column n."""
        # Not the type of the column: a cast to VARCHAR(5) would truncate what the column rejects.
        elements = [_element_type(type_, self) for type_ in types]
        if not types or any(isinstance(element, (sqlalchemy.ARRAY, operators.ListOf)) for element in elements):
            return None  # unnest() flattens arrays of arrays.
        arrays = [
            sqlalchemy.cast(
                sqlalchemy.bindparam(f"p{i}", type_=operators.ListOf(type_), required=True), sqlalchemy.ARRAY(element)
            )
            for i, (type_, element) in enumerate(zip(types, elements, strict=True))
        ]
        columns = [sqlalchemy.column(f"c{i}", type_) for i, type_ in enumerate(types)]
        return sqlalchemy.func.unnest(*arrays).table_valued(*columns, with_ordinality="n").render_derived()

    def insert(self, table: sqlalchemy.Table) -> postgresql.Insert:
        """An INSERT that takes ON CONFLICT."""
        return postgresql.insert(table)

    def ignore_conflicts(self, insert: sqlalchemy.Insert) -> sqlalchemy.Insert:
        """ON CONFLICT DO NOTHING."""
        assert isinstance(insert, postgresql.Insert)
        return insert.on_conflict_do_nothing()

    def update_conflicts(
        self, insert: sqlalchemy.Insert, update: Sequence[str], unique: Sequence[str], count: Sequence[str]
    ) -> sqlalchemy.Insert:
        """ON CONFLICT DO UPDATE."""
        assert isinstance(insert, postgresql.Insert)
        if not unique:
            raise QueryError("unique_fields must say which unique constraint makes a row the same.")
        new = insert.excluded
        values = {**{name: new[name] for name in update}, **one_more(insert, count)}
        return insert.on_conflict_do_update(index_elements=list(unique), set_=values)

    def next_value(self, sequence: str) -> str:
        """nextval(), written as PostgreSQL itself shows it in the default of a column."""
        return f"nextval('{sequence.replace(chr(39), chr(39) * 2)}'::regclass)"

    def is_concurrent(self, index: sqlalchemy.Index) -> bool:
        """Whether it is made with CONCURRENTLY."""
        return bool(index.dialect_options["postgresql"].get("concurrently"))

    def exclusion_constraint(
        self,
        elements: Sequence[tuple[sqlalchemy.ColumnElement[Any], str]],
        *,
        name: str,
        where: sqlalchemy.ColumnElement[Any] | None,
        using: str,
        deferrable: str | None,
    ) -> sqlalchemy.Constraint:
        """EXCLUDE."""
        return postgresql.ExcludeConstraint(
            *elements,
            name=name,
            where=where,
            using=using,
            deferrable=bool(deferrable) or None,
            initially=deferrable and deferrable.upper(),
        )

    def classify_error(self, error: BaseException) -> type[Error]:
        """By SQLSTATE."""
        return classify(error)

    def violation(self, error: BaseException) -> Violation:
        """What the driver's attributes and message tell."""
        return violation(error)

    def cast(self, value: str, source: str, target: str, type_: TypeEngine[Any]) -> str:
        """A CAST; of instants in UTC, whatever the session's time zone."""
        if source == "aware" and target in ("date", "time", "naive", "text"):
            value = at_zone(value, UTC_NAME)
        elif source in ("date", "naive") and target == "aware":
            return as_instant(value, source)
        elif source == "ip" and target == "text":
            return f"host({value}::inet)"  # a CAST would add the network mask
        return super().cast(value, source, target, type_)

    def collection_aggregate(self, call: CollectionCall) -> str:
        """STRING_AGG, ARRAY_AGG or JSONB_AGG."""
        arguments = f"{'DISTINCT ' if call.distinct else ''}{', '.join(call.values)}{order_by_clause(call.order)}"
        sql = f"{AGGREGATES[call.name]}({arguments})"
        return f"{sql} FILTER (WHERE {call.condition})" if call.condition else sql

    def regex(self, text: str, pattern: str, *, ignore_case: bool) -> str:
        """A POSIX regular expression."""
        return f"{text} ~* {pattern}" if ignore_case else f"{text} ~ {pattern}"

    def encode_pattern(self, operator: str, ignore_case: bool, text: str) -> str:
        """The pattern, refused if PostgreSQL cannot have it as text."""
        if "\0" in text:
            raise UnstorableValue(NUL_REFUSED)
        return text if operator == "exact" else like_pattern(operator, text)

    def in_list(self, value: str, values: str, item_type: TypeEngine[Any]) -> str:
        """= ANY of an array. Texts have the type that they are compared with: see `UncastString`."""
        if isinstance(item_type, ORMType) and isinstance(
            item_type.storage(self.sqlalchemy).sql_type, sqlalchemy.String
        ):
            return f"{value} = ANY({values})"
        return f"{value} = ANY(CAST({values} AS {self.type_sql(item_type)}[]))"

    def distinct_on(self, columns: Sequence[str]) -> str:
        """DISTINCT ON."""
        return f"DISTINCT ON ({', '.join(columns)})"


def _element_type(type_: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    if isinstance(type_, ORMType):
        unlimited = type_.comparison_type
        type_ = unlimited.storage(dialect.sqlalchemy).sql_type if isinstance(unlimited, ORMType) else type_
    return sqlalchemy.Text() if isinstance(type_, sqlalchemy.String) else type_
