"""Loading graphs: one trip to the database, and the tree that its rows make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import databases

from orm.database.connections.server_dialect import dialect_of, known_dialect
from orm.database.connections.session import Session
from orm.exceptions import GraphTooLarge, QueryError
from orm.execution import Statement, ready
from orm.loading.prefetch import suppress_relations
from orm.query.conditions.base import EVERYTHING
from orm.query.graph_sections import Section, sections_of, values_of
from orm.query.plans.graph import graph_plan
from orm.query.query import Query
from orm.relations.attaching import reverse_attribute
from orm.utils.gc_control import collect_if_grown, gc_paused

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo


async def fetch_graph(
    query: Query,
    database: databases.Database,
    using: databases.Database | None,
    most_rows: int | None,
    most_per_parent: int | None,
    *,
    as_dicts: bool,
) -> list[Any]:
    """The rows of a query with its branches. `using` is the database that the query was told to use.

    Raises `GraphTooLarge` for more rows than the budget allows.
    """
    if query.is_empty:
        return []
    collect_if_grown()
    sections = sections_of(query, query.branches, most_rows)
    if not as_dicts:
        check_agreement(sections)
    plan = graph_plan(await dialect_of(database), sections, most_rows)
    values = values_of(sections)
    statements = [ready(part, query, values) for part in plan.plans]
    async with Session(database) as session:
        results = await session.fetch_together(statements)
    with gc_paused(sum(len(rows) for rows in results)):
        results = plan.divided(results)
        if most_rows is not None:
            _check_rows(sections, plan.outputs, results, most_rows)

        def check(number: int, groups: Iterable[Sequence[Any]]) -> None:
            _check_groups(sections[number], groups, most_per_parent)

        reader = plan.dicts if as_dicts else plan.instances if using is None else plan.marked
        most = float("inf") if most_per_parent is None else most_per_parent
        found, asked = reader(results, most, check, using)
        for number, rows in asked.items():
            suppress_relations(rows, sections[number].given.suppressed)
    return found


def show_graph(query: Query, database: databases.Database, most_rows: int | None) -> Statement:
    """The SQL of a graph, without running it."""
    sections = sections_of(query, query.branches, most_rows)
    plan = graph_plan(known_dialect(database), sections, most_rows)
    statements = [ready(part, query, values_of(sections)) for part in plan.plans]
    return Statement(";\n".join(sql for sql, _ in statements), tuple(v for _, values in statements for v in values))


def _check_rows(
    sections: Sequence[Section], outputs: Sequence[tuple[int, str]], results: Sequence[Sequence[Any]], most: int
) -> None:
    count = 0
    for (number, _), rows in zip(outputs, results, strict=True):
        count += len(rows)
        if count > most:
            path = sections[number].path
            what = f"With {path!r} it" if path else f"Its {sections[0].given.info.name}s alone: it"
            raise GraphTooLarge(
                f"This graph() is too large. {what} has more than {most:,} rows, which is its budget: narrow or limit "
                "it, or allow more with budget=orm.GraphBudget(rows=...).",
                path,
                most,
            )


def _check_groups(section: Section, groups: Iterable[Sequence[Any]], most: int | None) -> None:
    largest = max((len(rows) for rows in groups), default=0)
    if most is not None and largest > most:
        raise GraphTooLarge(
            f"{section.path!r} in a graph() has {largest:,} rows that belong to one row, and the budget is {most:,}: "
            "give it a limit, or allow more with budget=orm.GraphBudget(rows_per_parent=...).",
            section.path,
            most,
        )


def check_agreement(sections: Sequence[Section]) -> None:
    """Raise `QueryError` where one instance would have two contents under one name.

    A row is one instance, so a relation that several parts of the graph narrow must be narrowed alike.
    """
    known: dict[tuple[ModelInfo, str], tuple[str, object]] = {}
    for section in sections:
        for info, name, content in _contents(section, sections):
            path, other = known.setdefault((info, name), (section.path, content))
            if other != content:
                raise QueryError(
                    f"{section.path or 'The root'!r} and {path or 'the root'!r} in a graph() give the {name!r} of a "
                    f"{info.name} different contents, and each row is one instance: narrow both alike, name one with "
                    "to_attr, or take as_dicts()."
                )


def _contents(section: Section, sections: Sequence[Section]) -> Iterator[tuple[ModelInfo, str, object]]:
    """What a section puts where: the model, the attribute, and what decides on its content."""
    query = section.given
    for name in section.instances.annotations:
        term = query.annotations[name].term
        yield query.info, name, (term.key, term.values)
    branch = section.branch
    if branch is None:
        return
    relation, own = branch.relation, branch.query
    owner = sections[section.parent].given.info
    if relation.many:
        yield owner, branch.name, (relation, own.key, own.values)
    else:
        narrowed = own.where is not EVERYTHING
        yield owner, branch.name, (relation, own.where.key, own.where.values) if narrowed else None
    back = reverse_attribute(relation)
    if back is not None:
        yield query.info, back, None
