"""`GraphPlan`: the SQL of a graph's sections, for one trip to the database, and how their rows are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

import sqlalchemy
from sqlalchemy import ColumnElement, Select
from sqlalchemy.types import TypeEngine

from orm.database.dialect import Dialect
from orm.database.types.column_types import ComputedResult
from orm.query.graph_sections import KeyTables, Section
from orm.query.plans.cache import plans
from orm.query.plans.plan import Plan, make_plan, result_processors
from orm.query.query import Query
from orm.query.related_rows import LimitedPerOwner
from orm.query.rendering import Rendering
from orm.rows.graph_dicts import dict_reader
from orm.rows.graph_instances import instance_reader
from orm.rows.graph_readers import ColumnLayout, Described, GraphReader

# What SQL computes has a type of its own on each database; a NULL in its place needs one that goes together with it.
BESIDE: dict[str, TypeEngine[Any]] = {
    "integer": sqlalchemy.BigInteger(),
    "float": sqlalchemy.Double(),
    "decimal": sqlalchemy.Numeric(),
    "boolean": sqlalchemy.Boolean(),
}
Kind = Literal["rows", "pairs"]


@dataclass(frozen=True)
class Output:
    """What a graph's statement brings for a section: its rows or its pairs."""

    section: int
    kind: Kind
    statement: Select[Any]
    columns: tuple[ColumnElement[Any], ...]
    """Those that are read; there may be more."""
    computed: int
    """How many of these, at the end, are no columns of a table."""


class GraphPlan:
    """A graph compiled once, ready to be loaded with any values of its shape.

    Attributes:
        plans: the statements, which go in one trip.
        outputs: what they bring: each one's section and kind, in their order.
    """

    def __init__(self, dialect: Dialect, sections: Sequence[Section], most: int | None) -> None:
        found = _outputs(sections, most)
        self.outputs = tuple((output.section, output.kind) for output in found)
        processors = [result_processors(dialect, output.columns) for output in found]
        if dialect.one_statement and len(found) > 1:
            union, places, width = _united(dialect, found)
            self.plans: tuple[Plan, ...] = (make_plan(dialect, union),)
        else:
            self.plans = tuple(make_plan(dialect, output.statement) for output in found)
            places = [tuple(range(len(output.columns))) for output in found]
            width = 0
        widths = [width or len(output.statement.selected_columns) for output in found]
        layouts = {
            where: ColumnLayout(number, place, size, tuple(process))
            for number, (where, place, size, process) in enumerate(
                zip(self.outputs, places, widths, processors, strict=True)
            )
        }
        self._described = [
            Described(
                section.parent,
                None if section.branch is None else section.branch.relation,
                None if section.branch is None else section.branch.to_attr,
                section.instances,
                tuple(field.attname for field in section.links),
                tuple(field.attname for field in section.local),
                layouts[number, "rows"],
                layouts.get((number, "pairs")),
                section.unique,
                bool(section.given.suppressed),
                {name: section.given.annotations[name].term.field for name in section.instances.annotations},
            )
            for number, section in enumerate(sections)
        ]

    @cached_property
    def instances(self) -> GraphReader:
        """The reader of instances."""
        return instance_reader(self._described, marking=False)

    @cached_property
    def marked(self) -> GraphReader:
        """The reader of instances that remember a database."""
        return instance_reader(self._described, marking=True)

    @cached_property
    def dicts(self) -> GraphReader:
        """The reader of plain data."""
        return dict_reader(self._described)

    def divided(self, results: list[Sequence[Any]]) -> list[Sequence[Any]]:
        """The rows of each output."""
        if len(results) == len(self.outputs):
            return results
        found: list[list[Any]] = [[] for _ in self.outputs]
        for number, rows in groupby(results[0], itemgetter(0)):
            found[number].extend(rows)
        return found  # type: ignore[return-value]


def graph_plan(dialect: Dialect, sections: Sequence[Section], most: int | None) -> GraphPlan:
    """The plan that brings these sections, each of at most one row more than `most`."""
    key = (dialect.name, "graph", most, tuple(section.key for section in sections))
    return plans.get(key, lambda: GraphPlan(dialect, sections, most))


def _outputs(sections: Sequence[Section], most: int | None) -> list[Output]:
    """The SELECTs, which share their tables of keys."""
    binds = KeyTables()
    found: list[Output] = []
    for number, section in enumerate(sections):
        if section.pairing is not None:
            pairing, _ = _rendered(section.pairing, binds, most)
            table = binds.tables["pairs", number] = pairing.cte(f"orm_pairs_{number}")
            if section.pairs is None:
                found.append(_output(number, "pairs", sqlalchemy.select(table), len(table.c)))
            else:
                found.append(_output(number, "pairs", *_rendered(section.pairs, binds, most)))
        if section.keys is not None:
            keys, _ = _rendered(section.keys, binds, most)
            binds.tables["keys", number] = keys.cte(f"orm_keys_{number}")
        computed = len(section.instances.annotations)
        found.append(_output(number, "rows", *_rendered(section.query, binds, most), computed))
    return found


def _rendered(query: Query, binds: KeyTables, most: int | None) -> tuple[Select[Any], int]:
    """A query's SELECT with columns c0, c1, …, and how many of them it is for."""
    rendering = Rendering(query.info, binds)
    statement = query.select(rendering)
    if most is not None and (isinstance(query, LimitedPerOwner) or not query.is_limited):
        # As a number, which PostgreSQL plans with: of a parameter it assumes that most rows are cut off.
        statement = statement.limit(sqlalchemy.literal_column(str(most + 1)))
    labelled = [column.label(f"c{i}") for i, column in enumerate(statement.selected_columns)]
    return statement.with_only_columns(*labelled, maintain_column_froms=True), rendering.selected


def _output(section: int, kind: Kind, statement: Select[Any], width: int, computed: int = 0) -> Output:
    return Output(section, kind, statement, tuple(statement.selected_columns)[:width], computed)


def _united(dialect: Dialect, outputs: Sequence[Output]) -> tuple[Any, list[tuple[int, ...]], int]:
    """All outputs as one: the number of the output, then columns that several share where they are of one type.

    Also where the columns of each output are, and how many there are in all. The order inside of each output is that
    of its own statement, which is limited, so that its order counts.
    """
    types: list[tuple[str, TypeEngine[Any]]] = [("", sqlalchemy.Integer())]
    places: list[tuple[int, ...]] = []
    for output in outputs:
        taken: set[int] = set()
        place: list[int] = []
        for position, column in enumerate(output.columns):
            name, type_ = _type_of(dialect, column)
            if position >= len(output.columns) - output.computed:
                name = f"computed {len(types)}"  # It may be of another type than it is taken for.
            free = (i for i, (known, _) in enumerate(types) if known == name and i not in taken)
            slot = next(free, len(types))
            if slot == len(types):
                types.append((name, type_))
            taken.add(slot)
            place.append(slot)
        places.append(tuple(place))
    parts = []
    for number, (output, slots) in enumerate(zip(outputs, places, strict=True)):
        columns = dict(zip(slots, output.statement.subquery(f"orm_section_{number}").columns, strict=False))
        cells = [
            columns[slot] if slot in columns else sqlalchemy.cast(sqlalchemy.null(), type_)
            for slot, (_, type_) in enumerate(types)
            if slot
        ]
        named = [cell.label(f"c{slot}") for slot, cell in enumerate(cells, start=1)]
        parts.append(sqlalchemy.select(sqlalchemy.literal_column(str(number)).label("c0"), *named))
    return sqlalchemy.union_all(*parts), places, len(types)


def _type_of(dialect: Dialect, column: ColumnElement[Any]) -> tuple[str, TypeEngine[Any]]:
    type_ = column.type
    if isinstance(type_, ComputedResult):
        type_ = BESIDE[type_.family]
    return type_.compile(dialect=dialect.sqlalchemy), type_
