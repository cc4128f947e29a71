"""PostgreSQL's dialect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.types import TypeEngine

from orm.database.dialect import Dialect, DriverClasses, like_pattern, order_by_clause
from orm.database.postgresql.errors import classify
from orm.database.postgresql.sql_functions import AGGREGATES, SQL_FUNCTIONS, as_instant, at_zone
from orm.database.postgresql.storage import NUL_REFUSED, PostgreSQLTypes
from orm.database.sql import operators
from orm.database.storage import UnstorableValue
from orm.database.types.column_types import ORMType
from orm.database.types.time_zones import UTC_NAME
from orm.exceptions import Error, QueryError


class PostgreSQLDialect(Dialect):
    """PostgreSQL 12 and newer, through asyncpg."""

    name = "postgresql"
    storage = PostgreSQLTypes()
    sql_functions = SQL_FUNCTIONS
    drivers = (
        DriverClasses(
            "asyncpg",
            backend="orm.database.postgresql.backend:PostgreSQLBackend",
            driver="orm.database.postgresql.driver:AsyncpgDriver",
            databases_backend="databases.backends.postgres",
        ),
    )
    extra = "postgresql"
    numbered_parameters = True
    insert_returning = True
    update_returning = True
    delete_returning = True
    nulls_high = True
    max_rows_per_statement = 10_000
    one_statement_per_trip = True
    tables_query = (
        "SELECT CASE table_schema WHEN current_schema() THEN NULL ELSE table_schema END, table_name "
        "FROM information_schema.tables"
    )

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
        self, insert: sqlalchemy.Insert, update: Sequence[str], unique: Sequence[str]
    ) -> sqlalchemy.Insert:
        """ON CONFLICT DO UPDATE."""
        assert isinstance(insert, postgresql.Insert)
        if not unique:
            raise QueryError("unique_fields must say which unique constraint makes a row the same.")
        new = insert.excluded
        return insert.on_conflict_do_update(index_elements=list(unique), set_={name: new[name] for name in update})

    def classify_error(self, error: BaseException) -> type[Error]:
        """By SQLSTATE."""
        return classify(error)

    def cast(self, value: str, source: str, target: str, type_: TypeEngine[Any]) -> str:
        """A CAST; of instants in UTC, whatever the session's time zone."""
        if source == "aware" and target in ("date", "time", "naive", "text"):
            value = at_zone(value, UTC_NAME)
        elif source in ("date", "naive") and target == "aware":
            return as_instant(value, source)
        return super().cast(value, source, target, type_)

    def collection_aggregate(
        self,
        name: str,
        values: Sequence[str],
        *,
        distinct: bool,
        order: Sequence[tuple[str, bool]],
        condition: str | None,
    ) -> str:
        """STRING_AGG, ARRAY_AGG or JSONB_AGG."""
        arguments = f"{'DISTINCT ' if distinct else ''}{', '.join(values)}{order_by_clause(order)}"
        call = f"{AGGREGATES[name]}({arguments})"
        return f"{call} FILTER (WHERE {condition})" if condition else call

    def regex(self, text: str, pattern: str, *, ignore_case: bool) -> str:
        """A POSIX regular expression."""
        return f"{text} ~* {pattern}" if ignore_case else f"{text} ~ {pattern}"

    def encode_pattern(self, operator: str, ignore_case: bool, text: str) -> str:
        """The pattern, refused if PostgreSQL cannot have it as text."""
        if "\0" in text:
            raise UnstorableValue(NUL_REFUSED)
        return text if operator == "exact" else like_pattern(operator, text)

    def in_list(self, value: str, values: str, item_type: TypeEngine[Any]) -> str:
        """= ANY of an array."""
        return f"{value} = ANY(CAST({values} AS {self.type_sql(item_type)}[]))"

    def distinct_on(self, columns: Sequence[str]) -> str:
        """DISTINCT ON."""
        return f"DISTINCT ON ({', '.join(columns)})"


def _element_type(type_: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    if isinstance(type_, ORMType):
        unlimited = type_.comparison_type
        type_ = unlimited.storage(dialect.sqlalchemy).sql_type if isinstance(unlimited, ORMType) else type_
    return sqlalchemy.Text() if isinstance(type_, sqlalchemy.String) else type_
