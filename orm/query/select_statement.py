"""The SELECT statement of a query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.database.sql import operators
from orm.query.columns import Columns
from orm.query.conditions.base import EVERYTHING, Predicate, is_always
from orm.query.paths import hops_over, with_chain
from orm.query.projection import Instances
from orm.query.rendering import BindNumbering, Rendering, SubqueryRendering
from orm.query.terms.base import Term, is_value
from orm.query.terms.filtered_relation import FilteredRelationTerm

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
        if isinstance(annotation, FilteredRelationTerm):
            rendering.define_filtered_relation(annotation.term)
            continue
        rendering.annotated[name] = rendering.annotated[annotation.key] = annotation.term.render(rendering)
    columns = query.projection.columns(rendering)
    rendering.selected_count = len(columns)
    for term in query.unselected_groups:
        rendering.render_once(term)
    rows, groups, windows = query.conditions
    where = None if rows is EVERYTHING else rows.render(rendering, required=True, negated=False)
    having: ColumnElement[bool] | None = groups.render(rendering, required=False, negated=False)
    if is_always(groups):
        having = None
    if windows is not EVERYTHING:
        return _filtered_by_windows(query, rendering, columns, where, having)
    order = _order(query, rendering)
    distinct_on = _distinct_on(query, rendering)
    if query.distinct and not distinct_on:
        # Databases can order distinct rows only by selected columns.
        ordered_by = map(_without_direction, order)
        columns.extend(element for element in ordered_by if not any(element is column for column in columns))
    if rendering.outer is not None or query.grouped or (query.distinct and not distinct_on):
        # ORDER BY does not find columns of an outer query on SQLite, nor expressions of GROUP BY on MySQL.
        order = [_ordered_by_position(element, columns) for element in order]
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
    labelled: Elements | None = None,
) -> sqlalchemy.Select[Any]:
    elements = _group_by(query, rendering) if query.grouped else []
    group_by = [_by_position(element, columns) for element in elements]
    statement = sqlalchemy.select(*(labelled or columns)).select_from(rendering.from_clause())
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
    # What both queries need, such as an EXISTS, has its values in the same positions in both queries, because the inner
    # query renders the clauses of the outer one as well.
    position = rendering.binds.count
    windows.render(rendering, required=False, negated=False)
    _order(query, rendering)
    _distinct_on(query, rendering)
    rendering.binds.count = position
    parts: list[Any] = [*_operands(windows), *query.ordered_terms, *query.distinct_terms]
    leaves = {id(leaf) if leaf.values else leaf.key: leaf for part in parts for leaf in part.leaves()}
    leaf_columns = [rendering.rendered(leaf) for leaf in leaves.values()]
    read = [*columns, *leaf_columns]
    labelled = [column.label(f"c{i}") for i, column in enumerate(read)]
    subquery = _select_rows(query, rendering, read, where, having, labelled).subquery()
    subquery_columns: list[ColumnElement[Any]] = list(subquery.columns)
    width = len(columns)
    leaf_columns_of_rows = dict(zip(leaves, subquery_columns[width:], strict=True))
    outer = SubqueryRendering(query.info, rendering.binds, leaf_columns_of_rows, rendering.outer_columns)
    condition = windows.render(outer, required=False, negated=False)
    order = _order(query, outer)
    distinct_on = _distinct_on(query, outer)
    selected = subquery_columns[:width]
    if query.distinct and not distinct_on:
        selected.extend(_without_direction(element) for element in order)
    statement = sqlalchemy.select(*selected).where(condition)
    return with_order_and_limit(query, statement, outer, order, distinct_on)


def _group_by(query: Query, rendering: Rendering) -> list[ColumnElement[Any]]:
    """The elements to group by: all that is selected or ordered by, except aggregates."""
    groups = query.conditions[1]
    elements: list[ColumnElement[Any]] = []
    projection = query.projection.inner_projection
    terms: list[Term] = [*(query.grouping or ())]
    if query.grouping is None:
        chains = projection.related if isinstance(projection, Instances) else ()
        for relations in ((), *chains):
            info = relations[-1].target._meta if relations else query.info
            # The other columns depend on the primary key, so it is enough.
            hops = hops_over(query.info, relations)
            elements.extend(rendering.join(hops).c[key.column_name] for key in info.pk_fields)
            for ancestor, chain in info.ancestors.items():
                table = rendering.join(with_chain(hops, chain))
                elements.extend(table.c[key.column_name] for key in ancestor.pk_fields)
    terms += projection.terms if isinstance(projection, Columns) else ()
    terms += (annotation for name, annotation in query.annotations.items() if name in query.projection.names)
    terms += (*query.ordered_terms, *query.projection.extra_columns, *query.conditions[2].leaves())
    selected: set[int] = set()
    if query.grouping is None and isinstance(query.projection, Instances):
        # In HAVING, MariaDB finds a column ambiguous if two of its name are grouped by.
        fields = [field for field in query.projection.own_fields() if not query.info.chain_to(field)]
        selected = {id(rendering.table.c[field.column_name]) for field in fields}
    parts: list[Predicate | Term] = [*terms, groups]
    further = [rendering.rendered(term) for part in parts for term in part.group_terms()]
    elements.extend(element for element in further if id(element) not in selected)
    # An element that is both selected and ordered by is in the list twice.
    return list({id(element): element for element in elements}.values())


def _operands(predicate: Predicate | Term) -> Iterator[Term]:
    """The terms that a condition compares."""
    if isinstance(predicate, Term):
        yield predicate
        return
    for operand in predicate.operands():
        yield from _operands(operand)


def _order(query: Query, rendering: Rendering) -> list[ColumnElement[Any]]:
    """The elements of ORDER BY, without values, which MySQL would take for column positions."""
    rendered = [(term.term, term.render(rendering)) for term in query.order]
    return [element for term, elements in rendered if not is_value(term) for element in elements]


def _distinct_on(query: Query, rendering: Rendering) -> list[ColumnElement[Any]]:
    """The elements of DISTINCT ON, after those of ORDER BY, whose values it shares."""
    ordered = query.ordered_terms
    return [
        rendering.rendered(term) if term in ordered else rendering.render_once(term) for term in query.distinct_terms
    ]


def _by_position(element: ColumnElement[Any], columns: Elements) -> ColumnElement[Any]:
    """The element, or its position if it is a selected expression: MySQL does not see that two subqueries are equal."""
    if isinstance(element, sqlalchemy.Column):
        return element
    positions = (position for position, column in enumerate(columns, start=1) if column is element)
    position = next(positions, None)
    return element if position is None else sqlalchemy.literal_column(str(position))


def _ordered_by_position(element: ColumnElement[Any], columns: Elements) -> ColumnElement[Any]:
    """The element of ORDER BY, as in `_by_position`."""
    if not isinstance(element, sqlalchemy.UnaryExpression):
        return element
    column = _by_position(element.element, columns)
    if column is element.element:
        return element
    return column.desc() if element.modifier is sqlalchemy.sql.operators.desc_op else column.asc()


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
