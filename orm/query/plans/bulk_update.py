"""Plans of `bulk_update()`: one UPDATE with a different value for each row.

The new values are a derived table: on PostgreSQL one array for each column, elsewhere one SELECT for each row, repeated
in the SQL. So one plan serves any number of rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import ColumnElement, FromClause
from sqlalchemy.types import TypeEngine

from orm.database.dialect import Dialect
from orm.database.sql.operators import ListOf
from orm.query.plans.cache import plans
from orm.query.plans.plan import Plan, make_plan
from orm.query.plans.write import Assignments, assigned_columns, target_rows_query, with_where
from orm.query.query import Query
from orm.query.rendering import BindNumbering, Rendering

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo

# The row of placeholders of the derived table in the compiled statement.
ONE_ROW = re.compile(r"\(SELECT (?P<first>(?:\?|%s) AS c0(?:, (?:\?|%s) AS c\d+)*)(?=\) AS new_values)")


class RowBinds(BindNumbering):
    """Binds that are columns of the derived table of new values. They record the types of the columns."""

    def __init__(self, types: list[TypeEngine[Any]], rows: FromClause | None = None) -> None:
        super().__init__()
        self.types = types
        self._rows = rows

    def at(self, position: int, type_: TypeEngine[Any]) -> Any:
        """The column for the value at a position, or a parameter while only the types are recorded."""
        if self._rows is None:
            while len(self.types) <= position:
                self.types.append(type_)
            self.types[position] = type_
            return super().at(position, type_)
        return self._rows.c[f"c{position}"]


class BulkUpdate:
    """The UPDATE of rows of a query by primary key, with different values of the same fields for each row."""

    def __init__(self, dialect: Dialect, query: Query, assignments: Assignments) -> None:
        self.dialect = dialect
        self.query = target_rows_query(query)
        self.assignments = assignments
        shape = tuple((field, term.key) for field, term in assignments)
        key = (dialect, "update batch", self.query.key, shape)
        self._plan, self._one_row = plans.get(key, self._make)

    @property
    def possible(self) -> bool:
        """Whether the values can be a derived table. On some databases, lists and arrays cannot."""
        return self._plan is not None

    def statement(self, rows: Sequence[Sequence[Any]]) -> tuple[str, Sequence[Any]]:
        """SQL and arguments for rows, each of the primary key's values and the values of the assignments."""
        plan, one_row = self._plan, self._one_row
        assert plan is not None
        if one_row is None:
            sql, arguments = plan.statement((*zip(*rows, strict=True), *self.query.values))
            return sql, arguments
        sql, arguments = plan.statement((*rows[0], *self.query.values))
        match = ONE_ROW.search(sql)
        assert match is not None
        width = len(rows[0])
        new_values = [value for row in rows for value in one_row.arguments(row)]
        placeholders = re.sub(r" AS c\d+", "", match.group("first"))
        further_rows = f" UNION ALL SELECT {placeholders}" * (len(rows) - 1)
        return f"{sql[: match.end()]}{further_rows}{sql[match.end() :]}", [*new_values, *arguments[width:]]

    def _make(self) -> tuple[Plan | None, Plan | None]:
        info = self.query.info
        types: list[TypeEngine[Any]] = []
        self._assigned(info, RowBinds(types))
        rows = self.dialect.rows_from_lists(types)
        if rows is not None:
            return self._update(info, types, rows), None
        if self.dialect.numbered_parameters or any(isinstance(type_, ListOf) for type_ in types):
            return None, None
        binds = BindNumbering()
        values = [binds.bind(type_) for type_ in types]
        labelled = sqlalchemy.select(*(value.label(f"c{i}") for i, value in enumerate(values)))
        one_row = make_plan(self.dialect, labelled)
        return self._update(info, types, labelled.subquery("new_values")), one_row

    def _assigned(
        self, info: ModelInfo, binds: BindNumbering
    ) -> tuple[list[ColumnElement[Any]], dict[str, Any], Rendering]:
        """What the primary key is compared with, and what each column is set to."""
        rendering = Rendering(info, binds)
        keys: list[ColumnElement[Any]] = [binds.bind(field.column_type()) for field in info.pk_fields]
        return keys, assigned_columns(self.assignments, rendering), rendering

    def _update(self, info: ModelInfo, types: list[TypeEngine[Any]], rows: FromClause) -> Plan:
        keys, sets, rendering = self._assigned(info, RowBinds(types, rows))
        table = info.require_table()
        statement = sqlalchemy.update(table).values(sets)
        for field, key in zip(info.pk_fields, keys, strict=True):
            statement = statement.where(table.c[field.column_name] == key)
        rendering.binds = BindNumbering()
        rendering.bind = rendering.binds.bind
        rendering.binds.reserve(len(types))
        return make_plan(self.dialect, with_where(statement.inline(), self.query, rendering))
