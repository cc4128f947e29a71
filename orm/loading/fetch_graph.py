"""Loading graphs: one round trip to the database, and the tree built from its rows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import databases

from orm.database.connections import statements
from orm.database.connections.replicas import routing_database
from orm.database.connections.server_dialect import dialect_of, known_dialect
from orm.database.connections.units_of_work import current_unit, open_units
from orm.exceptions import GraphTooLarge, QueryError
from orm.execution import Statement, bind_arguments
from orm.loading.prefetch import suppress_relations
from orm.query.conditions.base import EVERYTHING
from orm.query.graph_sections import Section, sections_of, values_of
from orm.query.plans.graph import GraphPlan, ReaderKind, graph_plan
from orm.query.query import Query
from orm.relations.attaching import reverse_attribute
from orm.utils.articles import with_article
from orm.utils.gc_control import collect_if_grown, gc_paused

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo

# Reading more rows takes more than a few milliseconds, and is done in a thread.
MAX_ROWS_TO_READ = 1_000


async def fetch_graph(
    query: Query,
    database: databases.Database,
    using: databases.Database | None,
    max_rows: int | None,
    max_rows_per_owner: int | None,
    *,
    as_dicts: bool,
) -> list[Any]:
    """The instances or dicts of a query, with those of its branches attached.

    `using` is the database that the query was told to use, which instances remember. Raises `GraphTooLarge` for more
    rows than the budget allows, and `QueryError` if an instance would have two contents under one name.
    """
    if query.is_empty:
        return []
    collect_if_grown()
    sections = sections_of(query, query.branches, max_rows)
    if not as_dicts:
        check_agreement(sections)
    plan = graph_plan(await dialect_of(database), sections, max_rows)
    values = values_of(sections)
    together = [bind_arguments(part, query, values) for part in plan.plans]
    results = await statements.fetch_together(database, together, query.info.options.consistency)
    count = sum(len(rows) for rows in results)

    def read() -> list[Any]:
        with gc_paused(count):
            return _read(sections, plan, results, max_rows, max_rows_per_owner, using, as_dicts=as_dicts)

    # The reader arranges the rows of all sections without a pause.
    roots = await asyncio.to_thread(read) if count > MAX_ROWS_TO_READ else read()
    unit = current_unit(database) if open_units and not as_dicts else None
    return roots if unit is None else unit.mapped(roots, None, nested=True, fresh=False)


def _read(
    sections: Sequence[Section],
    plan: GraphPlan,
    results: list[Sequence[Any]],
    max_rows: int | None,
    max_rows_per_owner: int | None,
    using: databases.Database | None,
    *,
    as_dicts: bool,
) -> list[Any]:
    """The instances or dicts of the root section, with all that is nested in them."""
    results = plan.rows_by_output(results)
    if max_rows is not None:
        _check_rows(sections, plan.outputs, results, max_rows)

    def check(number: int, lists: Iterable[Sequence[Any]]) -> None:
        _check_lists(sections[number], lists, max_rows_per_owner)

    if using is not None:
        using = routing_database(using)
    kind: ReaderKind = "dicts" if as_dicts else "instances" if using is None else "instances of a database"
    read = plan.reader(kind, sections)
    roots, suppressing = read(results, float("inf") if max_rows_per_owner is None else max_rows_per_owner, check, using)
    for number, instances in suppressing.items():
        suppress_relations(instances, sections[number].original.suppressed)
    return roots


def show_graph(query: Query, database: databases.Database, max_rows: int | None) -> Statement:
    """The SQL of a graph, without running it."""
    sections = sections_of(query, query.branches, max_rows)
    plan = graph_plan(known_dialect(database), sections, max_rows)
    together = [bind_arguments(part, query, values_of(sections)) for part in plan.plans]
    return Statement(";\n".join(sql for sql, _ in together), tuple(v for _, values in together for v in values))


def _check_rows(
    sections: Sequence[Section], outputs: Sequence[tuple[int, str]], results: Sequence[Sequence[Any]], max_rows: int
) -> None:
    """Raise `GraphTooLarge` for more rows than `max_rows` in all."""
    count = 0
    for (number, _), rows in zip(outputs, results, strict=True):
        count += len(rows)
        if count > max_rows:
            path = sections[number].path
            what = f"With {path!r} it" if path else f"Its {sections[0].original.info.name}s alone: it"
            raise GraphTooLarge(
                f"This graph() is too large. {what} has more than {max_rows:,} rows, which is its budget: narrow or "
                "limit it, or allow more with budget=orm.GraphBudget(rows=...).",
                path,
                max_rows,
            )


def _check_lists(section: Section, lists: Iterable[Sequence[Any]], max_rows_per_owner: int | None) -> None:
    """Raise `GraphTooLarge` if one owner has more than `max_rows_per_owner` rows."""
    largest = max((len(rows) for rows in lists), default=0)
    if max_rows_per_owner is not None and largest > max_rows_per_owner:
        raise GraphTooLarge(
            f"{section.path!r} in a graph() has {largest:,} rows that belong to one row, and the budget is "
            f"{max_rows_per_owner:,}: give it a limit, or allow more with budget=orm.GraphBudget(rows_per_parent=...).",
            section.path,
            max_rows_per_owner,
        )


def check_agreement(sections: Sequence[Section]) -> None:
    """Raise `QueryError` if an instance would have two contents under one name.

    A row is one instance, so all parts of the graph that filter the same relation must filter it alike.
    """
    contents: dict[tuple[ModelInfo, str], tuple[str, object]] = {}
    for section in sections:
        for info, name, content in _contents(section, sections):
            path, other = contents.setdefault((info, name), (section.path, content))
            if other != content:
                raise QueryError(
                    f"{section.path or 'The root'!r} and {path or 'the root'!r} in a graph() give the {name!r} of "
                    f"{with_article(info.name)} different contents, and each row is one instance: narrow both alike, "
                    "name one with to_attr, or take as_dicts()."
                )


def _contents(section: Section, sections: Sequence[Section]) -> Iterator[tuple[ModelInfo, str, object]]:
    """What a section assigns: the model, the attribute, and a value that is equal for equal contents."""
    query = section.original
    for name in section.instances.annotations:
        term = query.annotations[name].term
        yield query.info, name, (term.key, term.values)
    branch = section.branch
    if branch is None:
        return
    relation, rows = branch.relation, branch.query
    owner = sections[section.parent].original.info
    if relation.many:
        yield owner, branch.name, (relation, rows.key, rows.values)
    else:
        is_filtered = rows.where is not EVERYTHING
        yield owner, branch.name, (relation, rows.where.key, rows.where.values) if is_filtered else None
    back = reverse_attribute(relation)
    if back is not None:
        yield query.info, back, None
