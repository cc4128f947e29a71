"""PostgreSQL: how it is compiled for and how it spells what databases spell differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from orm.database import constructs
from orm.database.constructs import LIKE_ESCAPE, like_pattern
from orm.database.dialect import Dialect
from orm.database.types import Stored


class PostgreSQLDialect(Dialect):
    """PostgreSQL 12 and newer, through asyncpg."""

    name = "postgresql"
    placeholder = "${}"
    returning = True
    existing_tables = (
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
    ) -> sqlalchemy.ClauseElement | None:
        """INSERT ... SELECT FROM unnest(...): one array an argument, so one shape for any number of rows."""
        # Not the column's own type: a cast to VARCHAR(5) would cut what the column refuses.
        types = [_element_type(column, self) for column in columns]
        if not columns or any(isinstance(type_, sqlalchemy.ARRAY) for type_ in types):
            return None  # unnest() flattens arrays of arrays.
        arrays = [
            sqlalchemy.cast(
                sqlalchemy.bindparam(f"p{i}", type_=constructs.ListOf(column.type)),
                sqlalchemy.ARRAY(type_),
            )
            for i, (column, type_) in enumerate(zip(columns, types, strict=True))
        ]
        names = [f"c{i}" for i in range(len(columns))]
        rows = sqlalchemy.func.unnest(*arrays).table_valued(*names, with_ordinality="n").render_derived()
        select = sqlalchemy.select(*(rows.c[name] for name in names)).order_by(rows.c.n)
        insert = sqlalchemy.insert(table).from_select([c.name for c in columns], select, False)
        return insert.returning(*returning) if returning else insert


def _element_type(column: sqlalchemy.Column[Any], dialect: Dialect) -> TypeEngine[Any]:
    type_ = column.type
    if isinstance(type_, Stored):
        unlimited = type_.lookup_type
        type_ = unlimited.storage(dialect.sqlalchemy).sql_type if isinstance(unlimited, Stored) else type_
    return sqlalchemy.Text() if isinstance(type_, sqlalchemy.String) else type_


def _encode_pattern(kind: str, ignore_case: bool, text: str) -> str:
    return text if kind == "exact" else like_pattern(kind, text)


def _encode_list(values: list[Any]) -> list[Any]:
    return values


constructs.pattern_encoders["postgresql"] = _encode_pattern
constructs.list_encoders["postgresql"] = _encode_list


@compiles(constructs.TextMatch, "postgresql")
def _text_match(element: constructs.TextMatch, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.operands)
    if element.ignore_case:
        left, right = f"UPPER({left})", f"UPPER({right})"
    if element.kind == "exact":
        return f"{left} = {right}"
    return f"{left} LIKE {right} ESCAPE '{LIKE_ESCAPE}'"


@compiles(constructs.Regex, "postgresql")
def _regex(element: constructs.Regex, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{left} ~ {right}"


@compiles(constructs.IRegex, "postgresql")
def _iregex(element: constructs.IRegex, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{left} ~* {right}"


@compiles(constructs.InList, "postgresql")
def _in_list(element: constructs.InList, compiler: SQLCompiler, **kw: Any) -> str:
    expression, values = element.clauses
    left, right = (compiler.process(clause, **kw) for clause in (expression, values))
    assert isinstance(values.type, constructs.ListOf)
    item = values.type.item.dialect_impl(compiler.dialect)
    array = compiler.dialect.type_compiler_instance.process(item)
    return f"{left} = ANY(CAST({right} AS {array}[]))"


@compiles(constructs.JSONEqual, "postgresql")
def _json_equal(element: constructs.JSONEqual, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{left} = {right}"
