"""Plans of INSERT, UPDATE and DELETE."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.database.dialect import Dialect
from orm.database.sql.datetimes import converted_to
from orm.database.types.column_types import UnstorableValue
from orm.exceptions import FieldError, NotSupportedError
from orm.fields import Field
from orm.functions.base import Value
from orm.query.conditions.base import EVERYTHING
from orm.query.on_conflict import Conflict
from orm.query.paths import MAX_CACHED
from orm.query.plans.cache import plans
from orm.query.plans.plan import Plan, Process, UnstorableArgument, make_plan, result_processors
from orm.query.projection import Instances, Projection
from orm.query.query import Query
from orm.query.rendering import BindNumbering, Rendering
from orm.query.resolving.expressions import as_assigned
from orm.query.resolving.resolver import Resolver
from orm.query.terms.base import PathTerm, Term
from orm.rows.readers import read_tuples
from orm.rows.unreadable_values import ColumnLabels
from orm.rows.writers import write_inserts
from orm.utils.memoized import memoized_property

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo

# The row of placeholders in a compiled INSERT.
VALUES_ROW = re.compile(r"(?<= VALUES )\((?:\?|%s)(?:, (?:\?|%s))*\)")
# If a plan cannot serve any number of rows, there is one for each number up to this.
MAX_PLANNED_ROWS = 100
# The driver encodes the arrays of a statement without a pause, in some microseconds a row.
MAX_ROWS_OF_ARRAYS = 2_000


class WriteTerm(Term):
    """A validated value, bound as its column stores it."""

    nullable = False

    def __init__(self, field: Field[Any], value: Any) -> None:
        self.field = field
        self.key = field
        self.values = (value,)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        return rendering.bind(self.field.column_type())


def insert_plan(
    dialect: Dialect,
    info: ModelInfo,
    fields: tuple[Field[Any], ...],
    returning: tuple[Field[Any], ...],
    conflict: Conflict | None = None,
) -> Plan:
    """The plan that inserts one row of these fields and reads `returning`."""

    def make() -> Plan:
        table = info.require_table()
        binds = BindNumbering()
        row = {field.column_name: binds.bind(field.column_type()) for field in fields}
        # Without values SQLAlchemy would name all columns; for one empty row it writes DEFAULT VALUES.
        insert = dialect.insert(table).values(row or [{}])
        return _returning_plan(dialect, table, insert.inline(), returning, conflict)

    return plans.get((dialect, "insert", info, fields, returning, conflict), make)


def _returning_plan(
    dialect: Dialect,
    table: sqlalchemy.Table,
    insert: sqlalchemy.Insert,
    returning: Sequence[Field[Any]],
    conflict: Conflict | None,
) -> Plan:
    if conflict is not None:
        insert = conflict.apply(dialect, insert)
    if not returning:
        return make_plan(dialect, insert)
    columns = [table.c[field.column_name] for field in returning]
    reader = read_tuples(result_processors(dialect, columns), labels=labels_of(returning))
    return make_plan(dialect, insert.returning(*columns), reader)


def labels_of(fields: Sequence[Field[Any]]) -> ColumnLabels:
    """The names of the columns of these fields in messages."""
    keys = [position for position, field in enumerate(fields) if field.primary_key]
    return ColumnLabels([f"{field.model.__name__}.{field.name}" for field in fields], keys)


def bulk_insert(
    dialect: Dialect,
    info: ModelInfo,
    fields: tuple[Field[Any], ...],
    returning: tuple[Field[Any], ...],
    conflict: Conflict | None,
) -> BulkInsert:
    """The plan that inserts any number of rows of these fields and reads `returning`."""
    key = (dialect, "bulk insert", info, fields, returning, conflict)
    return plans.get(key, lambda: BulkInsert(dialect, info, fields, returning, conflict))


class BulkInsert:
    """The INSERT of any number of rows of the same fields, in as few statements as the database accepts."""

    def __init__(
        self,
        dialect: Dialect,
        info: ModelInfo,
        fields: tuple[Field[Any], ...],
        returning: tuple[Field[Any], ...],
        conflict: Conflict | None,
    ) -> None:
        self.dialect = dialect
        self.info = info
        self.fields = fields
        self.returning = returning
        self.conflict = conflict
        sql = dialect.sqlalchemy
        self._processors: list[Process | None] = [
            field.column_type().dialect_impl(sql).bind_processor(sql) for field in fields
        ]
        self.write = write_inserts(info, fields, self._processors)
        """The function that makes rows of instances."""
        self._arrays = self._plan_arrays()

    @memoized_property
    def _single_row(self) -> Plan:
        """The plan of one row, whose row of placeholders is repeated for more."""
        return insert_plan(self.dialect, self.info, self.fields, self.returning, self.conflict)

    @memoized_property
    def consecutive_keys_plan(self) -> Plan | None:
        """The plan that tells whether a multi-row INSERT gets consecutive keys, so that RETURNING can be skipped."""
        generated = self.info.generated
        if self.conflict is not None or generated is None or self.returning != (generated,):
            return None
        statement = self.dialect.consecutive_keys_query(self.info.require_table().c[generated.column_name])
        return None if statement is None else make_plan(self.dialect, statement)

    @memoized_property
    def without_returning(self) -> BulkInsert:
        """The same INSERT without RETURNING."""
        return BulkInsert(self.dialect, self.info, self.fields, (), self.conflict)

    def _plan_arrays(self) -> Plan | None:
        if not self.fields:
            return None  # Without fields there is no array to take the number of rows from.
        table = self.info.require_table()
        statement = self.dialect.bulk_insert(
            table,
            [table.c[field.column_name] for field in self.fields],
            [table.c[field.column_name] for field in self.returning],
        )
        if statement is None:
            return None
        if self.conflict is not None:
            statement = self.conflict.apply(self.dialect, statement)
        columns = [table.c[field.column_name] for field in self.returning]
        processors = result_processors(self.dialect, columns)
        reader = read_tuples(processors, labels=labels_of(self.returning)) if columns else None
        return make_plan(self.dialect, statement, reader)

    def converted(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """A row of validated values, converted for the driver. Raises `UnstorableArgument`."""
        row = []
        for position, (process, value) in enumerate(zip(self._processors, values, strict=True)):
            try:
                row.append(value if process is None else process(value))
            except UnstorableValue as error:
                raise UnstorableArgument(position, str(error)) from None
        return tuple(row)

    def chunk_size(self, batch_size: int | None) -> int:
        """The maximum number of rows in a statement."""
        if not self.fields:
            return 1  # DEFAULT VALUES is one row.
        maximum = self.dialect.rows_per_insert(len(self.fields))
        if self._arrays is not None:
            maximum = MAX_ROWS_OF_ARRAYS
        elif self.dialect.numbered_parameters:
            maximum = min(maximum, MAX_PLANNED_ROWS)
        return min(batch_size, maximum) if batch_size else maximum

    def statement(self, rows: Sequence[tuple[Any, ...]]) -> tuple[str, Sequence[Any], Plan]:
        """SQL and arguments for converted rows, and the plan whose reader reads the returned rows."""
        if self._arrays is not None:
            return self._arrays.sql, self._arrays.in_order([*zip(*rows, strict=True)]), self._arrays
        single = self._single_row
        match = VALUES_ROW.search(single.sql)
        if match is None and len(rows) == 1:
            return single.sql, single.in_order(rows[0]), single
        if match is None:
            plan = self._plan_rows(len(rows))
            return plan.sql, plan.in_order([value for row in rows for value in row]), plan
        arguments = list(chain.from_iterable(map(single.in_order, rows)))
        sql = f"{single.sql[: match.end()]}{f', {match.group()}' * (len(rows) - 1)}{single.sql[match.end() :]}"
        return sql, arguments, single

    def _plan_rows(self, count: int) -> Plan:
        def make() -> Plan:
            table = self.info.require_table()
            binds = BindNumbering()
            rows = [{field.column_name: binds.bind(field.column_type()) for field in self.fields} for _ in range(count)]
            insert = self.dialect.insert(table).values(rows)
            return _returning_plan(self.dialect, table, insert.inline(), self.returning, self.conflict)

        key = (self.dialect, "insert rows", self.info, self.fields, self.returning, self.conflict, count)
        return plans.get(key, make)


Assignments = tuple[tuple[Field[Any], Term], ...]


def assign_values(info: ModelInfo, values: Mapping[str, Any]) -> Assignments:
    """The assignments of validated values, by field name."""
    fields = info.fields
    return tuple((field := fields[name], WriteTerm(field, value)) for name, value in values.items())


def resolve_assignments(query: Query, values: Mapping[str, Any], expressions: Mapping[str, Any]) -> Assignments:
    """The assignments of validated values and of expressions over the query's rows, by field name.

    Raises `FieldError` for an expression that reads a related row.
    """
    assignments = assign_values(query.info, values)
    if not expressions:
        return assignments
    info, own_resolver = query.info, query.update_resolver()
    for name, expression in expressions.items():
        chain = info.chain_to(info.fields[name])
        resolver = Resolver(chain[-1].target._meta) if chain else own_resolver
        if type(expression) is Value and expression.output_field is None and expression.value is not None:
            field = info.fields[name]
            assignments = (*assignments, (field, WriteTerm(field, field.to_python(expression.value))))
            continue
        term = resolver.expression(as_assigned(expression, info.fields[name]), f"the value of {name}")
        if term.window:
            raise FieldError(
                f"{info.name}.{name} is set to {expression!r}, a window, which an UPDATE cannot calculate: use a "
                "Subquery."
            )
        if term.aggregate or any(isinstance(leaf, PathTerm) and leaf.path.relations for leaf in term.leaves()):
            raise FieldError(
                f"{info.name}.{name} is set to {expression!r}, which reads a related row. An UPDATE can only "
                "calculate with the row's own fields."
            )
        assignments = (*assignments, (info.fields[name], term))
    return assignments


def resolve_insert(query: Query, values: Mapping[str, Any], expressions: Mapping[str, Any]) -> Assignments:
    """The assignments of a new row, as `resolve_assignments` returns them.

    Raises `FieldError` for an expression that reads a row.
    """
    info = query.info
    assignments = resolve_assignments(query, values, expressions)
    for field, term in assignments:
        if term.leaves() or term.window:
            raise FieldError(
                f"{info.name}.{field.name} of a new row is set to {expressions[field.name]!r}, which reads a row: an "
                "INSERT can calculate with values and subqueries only."
            )
    return assignments


def insert_assignments_plan(
    dialect: Dialect, info: ModelInfo, assignments: Assignments, returning: tuple[Field[Any], ...]
) -> Plan:
    """The plan that inserts one row of a `resolve_insert` and reads `returning`."""

    def make() -> Plan:
        sets = assigned_columns(assignments, Rendering(info))
        insert = dialect.insert(info.require_table()).values(sets)
        return _returning_plan(dialect, info.require_table(), insert.inline(), returning, None)

    shape: Hashable = tuple((field, term.key) for field, term in assignments)
    return plans.get((dialect, "insert assignments", info, shape, returning), make)


def assigned_columns(assignments: Assignments, rendering: Rendering) -> dict[str, ColumnElement[Any]]:
    """What each column is set to, by its name."""
    return {field.column_name: converted_to(field.column_type(), term.render(rendering)) for field, term in assignments}


def target_rows_query(query: Query) -> Query:
    """The query for the rows to write, reduced to their keys."""
    return query.replace(projection=_keys_only(query.info), ordering=(), distinct=False, grouping=None, lock=None)


@lru_cache(MAX_CACHED)
def _keys_only(info: ModelInfo) -> Instances:
    return Instances(info, only=frozenset())


def update_values(query: Query, assignments: Assignments) -> tuple[Any, ...]:
    """The arguments of an UPDATE, in the order of `update_plan`."""
    assigned = tuple(value for _, term in assignments for value in term.values)
    return (*assigned, *query.values)


def update_plan(dialect: Dialect, query: Query, assignments: Assignments, returning: Projection | None = None) -> Plan:
    """The plan that updates the rows of a `target_rows_query` and reads `returning`."""

    def make() -> Plan:
        rendering = Rendering(query.info)
        sets = assigned_columns(assignments, rendering)
        statement = sqlalchemy.update(query.info.require_table()).values(sets).inline()
        statement = with_where(statement, query, rendering)
        return _returning(dialect, statement, query.info, returning, can=dialect.update_returning)

    shape: Hashable = tuple((field, term.key) for field, term in assignments)
    return plans.get((dialect, "update", query.key, shape, returning and returning.key), make)


def delete_plan(dialect: Dialect, query: Query, returning: Projection | None = None) -> Plan:
    """The plan that deletes the rows of a `target_rows_query` and reads `returning`."""

    def make() -> Plan:
        rendering = Rendering(query.info)
        statement = with_where(sqlalchemy.delete(query.info.require_table()), query, rendering)
        return _returning(dialect, statement, query.info, returning, can=dialect.delete_returning)

    return plans.get((dialect, "delete", query.key, returning and returning.key), make)


def _returning(dialect: Dialect, statement: Any, info: ModelInfo, returning: Projection | None, *, can: bool) -> Plan:
    if returning is None:
        return make_plan(dialect, statement)
    if not can:
        verb = type(statement).__name__.upper()
        raise NotSupportedError(f"{dialect.name} cannot give back the rows of {verb}: select them first.")
    columns = returning.columns(Rendering(info))
    reader = returning.reader(result_processors(dialect, columns), 0)
    return make_plan(dialect, statement.returning(*columns), reader)


def with_where(statement: Any, query: Query, rendering: Rendering) -> Any:
    """The statement with the WHERE of the query; with a subquery for the keys if the query reads other tables."""
    position = rendering.binds.count
    if not query.annotations:
        if query.where is EVERYTHING:
            return statement
        condition = query.where.render(rendering, required=True, negated=False)
        if not rendering.has_joins and not rendering.has_subqueries:
            rendering.check_tables()
            return statement.where(condition)
    # Render the query again, as a subquery with the same binds.
    rendering.binds.count = position
    inner = query.select(Rendering(query.info, rendering.binds)).correlate(None)
    # MySQL cannot read the table that it writes, except in a derived table.
    derived = inner.subquery("matched")
    keys = [rendering.table.c[field.column_name] for field in query.info.pk_fields]
    key = keys[0] if len(keys) == 1 else sqlalchemy.tuple_(*keys)
    return statement.where(key.in_(sqlalchemy.select(*derived.columns)))


def batched(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """The rows in batches of at most `size`."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
