"""`GraphPlan`: the SQL of a graph's sections, for one trip to the database, and how their rows are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

import sqlalchemy
from sqlalchemy import ColumnElement, Select
from sqlalchemy.types import TypeEngine

from orm.database.dialect import Dialect
from orm.database.types.column_types import ComputedResult, unconverted
from orm.query.graph_sections import KeyTables, Section
from orm.query.plans.cache import plans
from orm.query.plans.plan import Plan, make_plan, result_processors
from orm.query.query import Query
from orm.query.related_rows import LimitedPerOwner
from orm.query.rendering import Rendering
from orm.rows.graph_dicts import dict_reader
from orm.rows.graph_instances import instance_reader
from orm.rows.graph_readers import ColumnLayout, GraphReader, OutputKind

# The SQL type of a computed value is not known here; the NULL in its place in other outputs needs a compatible one.
NULL_TYPES: dict[str, TypeEngine[Any]] = {
    "integer": sqlalchemy.BigInteger(),
    "float": sqlalchemy.Double(),
    "decimal": sqlalchemy.Numeric(),
    "boolean": sqlalchemy.Boolean(),
}
ReaderKind = Literal["instances", "instances of a database", "dicts"]


@dataclass(frozen=True)
class Output:
    """What a graph's statement returns for a section: its rows or its pairs."""

    section: int
    kind: OutputKind
    statement: Select[Any]
    columns: tuple[ColumnElement[Any], ...]
    """The columns that are read; the statement may have more."""
    computed: int = 0
    """How many of them, the last ones, are not columns of a table."""


class GraphPlan:
    """A graph compiled once, ready to be loaded with any values of its shape.

    Attributes:
        plans: the statements, which are sent together.
        outputs: what they return, in order: the number of a section, and whether it is its rows or its pairs.
    """

    def __init__(self, dialect: Dialect, sections: Sequence[Section], max_rows: int | None) -> None:
        outputs = _outputs(sections, max_rows)
        self.outputs = tuple((output.section, output.kind) for output in outputs)
        processors = [result_processors(dialect, output.columns) for output in outputs]
        if dialect.one_statement_per_trip and len(outputs) > 1:
            union, positions, union_width = _union_all(dialect, outputs)
            self.plans: tuple[Plan, ...] = (make_plan(dialect, union),)
            widths = [union_width] * len(outputs)
        else:
            self.plans = tuple(make_plan(dialect, output.statement) for output in outputs)
            positions = [tuple(range(len(output.columns))) for output in outputs]
            widths = [len(output.statement.selected_columns) for output in outputs]
        self._layouts = {
            output: ColumnLayout(number, positions[number], widths[number], tuple(processors[number]))
            for number, output in enumerate(self.outputs)
        }
        self._readers: dict[ReaderKind, GraphReader] = {}

    def reader(self, kind: ReaderKind, sections: Sequence[Section]) -> GraphReader:
        """The reader of this kind, generated at its first use.

        The plan does not keep `sections`, whose queries have values and may be large.
        """
        reader = self._readers.get(kind)
        if reader is None:
            if kind == "dicts":
                reader = dict_reader(sections, self._layouts)
            else:
                remember_database = kind == "instances of a database"
                reader = instance_reader(sections, self._layouts, remember_database=remember_database)
            self._readers[kind] = reader
        return reader

    def rows_by_output(self, results: list[Sequence[Any]]) -> list[Sequence[Any]]:
        """The rows of each output, from the rows of each statement."""
        if len(results) == len(self.outputs):
            return results
        rows_by_output: list[list[Any]] = [[] for _ in self.outputs]
        for number, rows in groupby(results[0], itemgetter(0)):
            rows_by_output[number].extend(rows)
        return rows_by_output  # type: ignore[return-value]


def graph_plan(dialect: Dialect, sections: Sequence[Section], max_rows: int | None) -> GraphPlan:
    """The plan that brings these sections, each with at most one row more than `max_rows`."""
    key = (dialect, "graph", max_rows, tuple(section.key for section in sections))
    return plans.get(key, lambda: GraphPlan(dialect, sections, max_rows))


def _outputs(sections: Sequence[Section], max_rows: int | None) -> list[Output]:
    """The SELECTs of all sections, which share their key tables."""
    binds = KeyTables()
    outputs: list[Output] = []
    for number, section in enumerate(sections):
        if section.pairs is not None:
            pairs, _ = _rendered(section.pairs, binds, max_rows)
            table = binds.tables["pairs", number] = pairs.cte(f"orm_pairs_{number}")
            if section.ordered_pairs is None:
                outputs.append(_output(number, "pairs", sqlalchemy.select(table), len(table.c)))
            else:
                outputs.append(_output(number, "pairs", *_rendered(section.ordered_pairs, binds, max_rows)))
        if section.child_keys is not None:
            keys, _ = _rendered(section.child_keys, binds, max_rows)
            binds.tables["keys", number] = keys.cte(f"orm_keys_{number}")
        computed = len(section.instances.annotations)
        outputs.append(_output(number, "rows", *_rendered(section.rows, binds, max_rows), computed))
    return outputs


def _rendered(query: Query, binds: KeyTables, max_rows: int | None) -> tuple[Select[Any], int]:
    """A query's SELECT with columns c0, c1, …, and how many of them its projection selects."""
    rendering = Rendering(query.info, binds)
    statement = query.select(rendering)
    if max_rows is not None and (isinstance(query, LimitedPerOwner) or not query.is_limited):
        # A literal, because PostgreSQL plans with its value: of a parameter it assumes that most rows are cut off.
        statement = statement.limit(sqlalchemy.literal_column(str(max_rows + 1)))
    labelled = [column.label(f"c{i}") for i, column in enumerate(statement.selected_columns)]
    return statement.with_only_columns(*labelled, maintain_column_froms=True), rendering.selected_count


def _output(section: int, kind: OutputKind, statement: Select[Any], width: int, computed: int = 0) -> Output:
    return Output(section, kind, statement, tuple(statement.selected_columns)[:width], computed)


def _union_all(dialect: Dialect, outputs: Sequence[Output]) -> tuple[Any, list[tuple[int, ...]], int]:
    """All outputs in one UNION ALL; the positions of each output's columns in its rows; and how many columns it has.

    The first column is the number of the output. Outputs share a column where their types agree. Each output keeps the
    order of its rows, because its SELECT is limited.
    """
    types: list[tuple[str, TypeEngine[Any]]] = [("", sqlalchemy.Integer())]
    positions: list[tuple[int, ...]] = []
    for output in outputs:
        taken: list[int] = []
        for column_number, column in enumerate(output.columns):
            name, type_ = _type_of(dialect, column)
            if column_number >= len(output.columns) - output.computed:
                name = f"computed {len(types)}"  # Its type may be another than expected, so it is not shared.
            free = (i for i, (known, _) in enumerate(types) if known == name and i not in taken)
            position = next(free, len(types))
            if position == len(types):
                types.append((name, type_))
            taken.append(position)
        positions.append(tuple(taken))
    parts = []
    for number, (output, taken_positions) in enumerate(zip(outputs, positions, strict=True)):
        subquery = output.statement.subquery(f"orm_section_{number}")
        columns = dict(zip(taken_positions, subquery.columns, strict=False))
        cells = [
            columns[position] if position in columns else sqlalchemy.cast(sqlalchemy.null(), type_)
            for position, (_, type_) in enumerate(types)
            if position
        ]
        named = [cell.label(f"c{position}") for position, cell in enumerate(cells, start=1)]
        parts.append(sqlalchemy.select(sqlalchemy.literal_column(str(number)).label("c0"), *named))
    return sqlalchemy.union_all(*parts), positions, len(types)


def _type_of(dialect: Dialect, column: ColumnElement[Any]) -> tuple[str, TypeEngine[Any]]:
    """A column's SQL type by name, and as SQLAlchemy has it."""
    type_ = unconverted(column.type)
    if isinstance(type_, ComputedResult):
        type_ = NULL_TYPES[type_.family]
    return type_.compile(dialect=dialect.sqlalchemy), type_
