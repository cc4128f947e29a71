"""The SELECT statement of a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.database.sql import operators
from orm.query.conditions.base import EVERYTHING, is_always
from orm.query.projection import Columns, Instances
from orm.query.rendering import BindNumbering, Rendering, SubqueryRendering
from orm.query.terms.base import Term

if TYPE_CHECKING:
    from orm.expressions.ctes import CTE
    from orm.query.query import Query

Elements = Sequence[ColumnElement[Any]]


def select_statement(query: Query, rendering: Rendering) -> sqlalchemy.Select[Any]:
    """The SELECT statement of a query. Its binds are numbered in the order of `Query.values`."""
    for cte in query.ctes:
        _define_cte(cte, rendering.binds)
    for cte, predicate in query.cte_joins:
        rendering.join_cte(cte, predicate.render(rendering, required=False, negated=False))
    for name, annotation in query.annotations.items():
        rendering.annotated[name] = annotation.term.render(rendering)
    columns = query.projection.columns(rendering)
    rendering.selected_count = len(columns)
    rows, groups, windows = query.conditions
    where = None if rows is EVERYTHING else rows.render(rendering, required=True, negated=False)
    having: ColumnElement[bool] | None = groups.render(rendering, required=False, negated=False)
    if is_always(groups):
        having = None
    if windows is not EVERYTHING:
        return _filtered_by_windows(query, rendering, columns, where, having)
    order = [element for term in query.order for element in term.render(rendering)]
    distinct_on = [rendering.render_once(term) for term in query.distinct_terms]
    if query.distinct and not distinct_on:
        # Databases can order distinct rows only by selected columns.
        columns.extend(_without_direction(element) for element in order)
    statement = _select_rows(query, rendering, columns, where, having)
    return with_order_and_limit(query, statement, rendering, order, distinct_on)


def with_order_and_limit(
    query: Query, statement: sqlalchemy.Select[Any], rendering: Rendering, order: Elements, distinct_on: Elements = ()
) -> sqlalchemy.Select[Any]:
    """The statement with the query's DISTINCT, ORDER BY, LIMIT and OFFSET."""
    if distinct_on:
        statement = statement.prefix_with(operators.DistinctOn(*distinct_on))
    elif query.distinct:
        statement = statement.distinct()
    if order:
        statement = statement.order_by(*order)
    if query.stop is not None:
        statement = statement.limit(rendering.bind(sqlalchemy.Integer()))
    if query.offset:
        statement = statement.offset(rendering.bind(sqlalchemy.Integer()))
    return statement


def queries_of(cte: CTE) -> list[Query]:
    """The query of a CTE, and for a recursive one the query that is repeated."""
    return [cte.query] if cte.step is None else [cte.query, cte.step._query]


def _select_rows(
    query: Query,
    rendering: Rendering,
    columns: Elements,
    where: ColumnElement[bool] | None,
    having: ColumnElement[bool] | None,
) -> sqlalchemy.Select[Any]:
    group_by = _group_by(query, rendering) if query.grouped else []
    statement = sqlalchemy.select(*columns).select_from(rendering.from_clause())
    if where is not None:
        statement = statement.where(where)
    if group_by:
        statement = statement.group_by(*group_by)
    if having is not None:
        statement = statement.having(having)
    return statement


def _filtered_by_windows(
    query: Query,
    rendering: Rendering,
    columns: Elements,
    where: ColumnElement[bool] | None,
    having: ColumnElement[bool] | None,
) -> sqlalchemy.Select[Any]:
    """The statement of a query with a condition on window functions: the condition is in a query around the rows."""
    windows = query.conditions[2]
    parts: list[Any] = [windows, *query.ordered_terms, *query.distinct_terms]
    leaves = {leaf.key: leaf for part in parts for leaf in part.leaves()}
    leaf_columns = [leaf.render(rendering) for leaf in leaves.values()]
    labelled = [column.label(f"c{i}") for i, column in enumerate([*columns, *leaf_columns])]
    subquery = _select_rows(query, rendering, labelled, where, having).subquery()
    subquery_columns: list[ColumnElement[Any]] = list(subquery.columns)
    width = len(columns)
    leaf_columns_of_rows = dict(zip(leaves, subquery_columns[width:], strict=True))
    outer = SubqueryRendering(query.info, rendering.binds, leaf_columns_of_rows, rendering.outer_columns)
    condition = windows.render(outer, required=False, negated=False)
    order = [element for term in query.order for element in term.render(outer)]
    distinct_on = [outer.render_once(term) for term in query.distinct_terms]
    selected = subquery_columns[:width]
    if query.distinct and not distinct_on:
        selected.extend(_without_direction(element) for element in order)
    statement = sqlalchemy.select(*selected).where(condition)
    return with_order_and_limit(query, statement, outer, order, distinct_on)


def _group_by(query: Query, rendering: Rendering) -> list[ColumnElement[Any]]:
    """The elements to group by: all that is selected or ordered by, except aggregates."""
    groups = query.conditions[1]
    elements: list[ColumnElement[Any]] = []
    if query.grouping is None:
        projection = query.projection.inner_projection
        chains = projection.related if isinstance(projection, Instances) else ()
        for chain in ((), *chains):
            info = chain[-1].target._meta if chain else query.info
            # The other columns depend on the primary key, so it is enough.
            elements.extend(rendering.join(chain).c[key.column_name] for key in info.pk_fields)
        if isinstance(projection, Columns):
            elements.extend(rendering.render_once(term) for term in projection.terms if _is_grouped(term))
    else:
        elements.extend(rendering.render_once(term) for term in query.grouping)
    elements.extend(
        rendering.annotated[name]
        for name, annotation in query.annotations.items()
        if not annotation.aggregate and not annotation.window and name in query.projection.names
    )
    terms = [*query.ordered_terms, *groups.leaves(), *query.projection.extra_columns]
    selected: set[int] = set()
    if query.grouping is None and isinstance(query.projection, Instances):
        # In HAVING, MariaDB finds a column ambiguous if two of its name are grouped by.
        selected = {id(rendering.table.c[field.column_name]) for field in query.projection.own_fields()}
    further = [rendering.render_once(term) for term in terms if _is_grouped(term)]
    elements.extend(element for element in further if id(element) not in selected)
    # An element that is both selected and ordered by is in the list twice.
    return list({id(element): element for element in elements}.values())


def _is_grouped(term: Term) -> bool:
    """Whether a term is grouped by: it reads columns, and is neither an aggregate nor a window function."""
    return not term.aggregate and not term.window and bool(term.leaves())


def _define_cte(cte: CTE, binds: BindNumbering) -> None:
    """Add a CTE to the statement."""
    first, *repeated = queries_of(cte)
    table = binds.ctes[cte] = _labelled(first, binds).cte(cte.name, recursive=bool(repeated))
    for query in repeated:
        binds.ctes[cte] = table.union_all(_labelled(query, binds))


def _labelled(query: Query, binds: BindNumbering) -> sqlalchemy.Select[Any]:
    statement = query.select(Rendering(query.info, binds))
    labelled = [column.label(f"c{i}") for i, column in enumerate(statement.selected_columns)]
    return statement.with_only_columns(*labelled, maintain_column_froms=True)


def _without_direction(element: ColumnElement[Any]) -> ColumnElement[Any]:
    return element.element if isinstance(element, sqlalchemy.UnaryExpression) else element
