"""Plans of ``aggregate()``: aggregates over all rows of a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy

from orm.database.dialect import Dialect
from orm.query.columns import Columns
from orm.query.plans.cache import plans
from orm.query.plans.plan import Plan, make_plan, result_processors
from orm.query.plans.select import rows_plan
from orm.query.query import Query
from orm.query.rendering import Rendering, SubqueryRendering
from orm.query.terms.aggregates import AggregateTerm
from orm.query.terms.base import AnnotationTerm, Term
from orm.rows.readers import read_dicts


class Aggregation:
    """Aggregates over a query's rows: in the query itself, or around it if its rows are not the model's."""

    def __init__(self, query: Query, named: Mapping[str, Term]) -> None:
        self.names = tuple(named)
        self.terms = tuple(named.values())
        annotations = {annotation.key: annotation for annotation in query.annotations.values()}
        read = [leaf.key for term in self.terms for leaf in term.leaves() if isinstance(leaf, AnnotationTerm)]
        self.nested = query.is_nested or any(annotations[key].window for key in read)
        if not self.nested:
            self.query = query.selecting(Columns("dicts", self.names, self.terms), ordering=())
            return
        leaves = {leaf.key: annotations.get(leaf.key, leaf) for term in self.terms for leaf in term.leaves()}
        self.leaves = tuple(leaves)
        distinct_terms = query.projection.selected(query.resolver()) if query.distinct else ()
        selected = (*leaves.values(), *distinct_terms) or (
            query.resolver().name(query.info.pk_fields[0].attname, "aggregate()"),
        )
        labels = tuple(f"c{i}" for i in range(len(selected)))
        ordering = query.needed_ordering
        grouping = query.grouping
        if grouping is not None:
            # As in Django, the aggregated terms are grouped by as well.
            grouping = (*grouping, *(term for term in leaves.values() if not term.aggregate))
        self.query = query.selecting(Columns("tuples", labels, selected), ordering=ordering, grouping=grouping)

    @property
    def empty_result(self) -> dict[str, Any] | None:
        """The aggregates of no rows; None if only the database can tell."""
        known = [term.empty_result if isinstance(term, AggregateTerm) else None for term in self.terms]
        if None in known:
            return None
        return {name: next(iter(term.values), None) for name, term in zip(self.names, known, strict=True) if term}

    @property
    def values(self) -> tuple[Any, ...]:
        """The arguments."""
        if not self.nested:
            return self.query.values
        return (*self.query.values, *(value for term in self.terms for value in term.values))

    def plan(self, dialect: Dialect) -> Plan:
        """The plan."""
        if not self.nested:
            return rows_plan(dialect, self.query)
        key = (dialect, "aggregate", self.query.key, self.names, tuple(term.key for term in self.terms))
        return plans.get(key, lambda: self._make(dialect))

    def _make(self, dialect: Dialect) -> Plan:
        rendering = Rendering(self.query.info)
        statement = self.query.select(rendering)
        labelled = [column.label(f"c{i}") for i, column in enumerate(statement.selected_columns)]
        inner = statement.with_only_columns(*labelled, maintain_column_froms=True).subquery()
        columns = dict(zip(self.leaves, inner.columns, strict=False))  # Further columns only make rows distinct.
        outer = SubqueryRendering(self.query.info, rendering.binds, columns)
        aggregates = [term.render(outer) for term in self.terms]
        reader = read_dicts(self.names, result_processors(dialect, aggregates))
        return make_plan(dialect, sqlalchemy.select(*aggregates).select_from(inner), reader)
