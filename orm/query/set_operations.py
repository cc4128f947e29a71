"""Set operations: UNION, INTERSECT and EXCEPT of several queries."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy

from orm.exceptions import NotSupportedError, QueryError
from orm.query.columns import Columns
from orm.query.conditions.base import is_never
from orm.query.projection import Instances, Projection
from orm.query.query import Query
from orm.query.rendering import Rendering, SubqueryRendering
from orm.query.select_statement import with_order_and_limit
from orm.query.terms.base import AnnotationTerm, PathTerm, Term
from orm.utils.memoized import memoized_property

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.mapping.model_info import ModelInfo
    from orm.query.terms.subqueries import Correlation, OuterRefTerm

Operation = Literal["union", "union_all", "intersection", "difference"]

OPERATIONS: dict[str, Any] = {
    "union": sqlalchemy.union,
    "union_all": sqlalchemy.union_all,
    "intersection": sqlalchemy.intersect,
    "difference": sqlalchemy.except_,
}


@dataclass(frozen=True)
class Combination(Query):
    """Several queries combined by a set operation. It can only be ordered by the selected columns, and sliced."""

    operation: Operation = "union"
    parts: tuple[Query, ...] = field(default=())
    selects_more: bool = False
    """Whether the parts may select what only the ordering needs: ``values()`` has chosen columns afterwards."""

    @classmethod
    def of(cls, operation: Operation, parts: tuple[Query, ...]) -> Combination:
        """Combine queries. Raises `QueryError` if they select different numbers of columns.

        Queries of instances may have different annotations if ``values()`` chooses columns before the query is sent.
        """
        first = parts[0]
        combined = cls(
            first.info,
            first.projection,
            annotations=first.annotations,
            branches=first.branches,
            suppressed=first.suppressed,
            ordering=(),
            operation=operation,
            # As in Django, the ordering of a part only matters if the part is limited, or distinct in some fields.
            parts=tuple(part.replace(ordering=part.needed_ordering) for part in parts),
        )
        if not all(isinstance(part.projection, Instances) for part in parts):
            combined._check_widths()
        return combined

    def _check_widths(self) -> None:
        widths = [part.projection.width for part in self.parts]
        if len(set(widths)) > 1:
            raise QueryError(
                f"{self.operation}() needs queries that select the same columns; these select "
                f"{', '.join(map(str, widths))}: choose with values()."
            )

    def choosing(self, projections: tuple[Projection, ...]) -> Combination:
        """The same operation with another projection for each part."""
        parts = tuple(part.replace(projection=p) for part, p in zip(self.parts, projections, strict=True))
        selects_more = self.selects_more or isinstance(self.projection, Instances)
        return self.replace(projection=projections[0], parts=parts, selects_more=selects_more)

    def check_rows_open(self, what: str) -> None:
        """Raise `NotSupportedError`: the rows are those of the parts."""
        raise NotSupportedError(f"{what} cannot follow {self.operation}(): apply it to the parts before.")

    def as_single_column(self, compared: Field[Any] | None) -> Query:
        """Each part as in `Query.as_single_column`."""
        return self._of(tuple(part.as_single_column(compared) for part in self.parts))

    def selecting_key(self, label: str, info: ModelInfo, fields: Sequence[Field[Any]]) -> Query:
        """Each part as in `Query.selecting_key`."""
        return self._of(tuple(part.selecting_key(label, info, fields) for part in self.parts))

    def as_exists(self) -> Query:
        """The query itself, because its rows depend on what its parts select."""
        return self.replace(ordering=self.ordering if self.is_limited else ())

    @property
    def outer_references(self) -> Mapping[Hashable, OuterRefTerm]:
        """Those of all parts: see `Joins.outer_references`."""
        return {key: term for part in self.parts for key, term in part.outer_references.items()}

    def subselect(self, outer: Rendering, correlation: Correlation, *, nested: bool = True) -> sqlalchemy.SelectBase:
        """As `Query.subselect`, if possible without a derived table, in which MySQL cannot refer to the outer query."""
        if self.order:
            return super().subselect(outer, correlation, nested=nested)
        rendering = outer.subquery(self.info, correlation.render(outer))
        combined: Any = OPERATIONS[self.operation](*(self._part(p, rendering) for p in self.parts))
        limited: sqlalchemy.SelectBase = with_order_and_limit(self, combined, rendering, [])
        return limited

    def _of(self, parts: tuple[Query, ...]) -> Query:
        ordering = self.ordering if self.is_limited else ()
        return self.replace(projection=parts[0].projection, parts=parts, ordering=ordering)

    @property
    def is_nested(self) -> bool:
        """Always true: its rows are those of no table."""
        return True

    @property
    def is_empty(self) -> bool:
        """Whether it has no rows, which is known without sending it."""
        empty = [part.is_empty for part in self.parts]
        is_empty = empty[0] if self.operation == "difference" else all(empty)
        if self.operation == "intersection":
            is_empty = any(empty)
        return is_empty or is_never(self.where) or (self.stop is not None and self.stop <= self.offset)

    @memoized_property
    def key(self) -> Hashable:
        """The key of its plan: see `Query.key`."""
        return (
            *(self.operation, tuple(part.key for part in self.parts), tuple(term.key for term in self.order)),
            *(self.offset > 0, self.stop is not None),
        )

    @memoized_property
    def values(self) -> tuple[Any, ...]:
        """The arguments: those of each part, of the ordering, and of the slice."""
        values = [value for part in self.parts for value in part.values]
        for term in self.order:
            values.extend(term.values)
        if self.stop is not None:
            values.append(self.stop - self.offset)
        if self.offset:
            values.append(self.offset)
        return tuple(values)

    def select(self, rendering: Rendering) -> sqlalchemy.Select[Any]:
        """The SELECT statement, with the combined parts as its derived table."""
        self._check_widths()
        selected = self.projection.selected(self.parts[0].resolver())
        known = {_identity(term): position for position, term in enumerate(selected)}
        leaves = [leaf for term in self.order for leaf in term.term.leaves()]
        missing = [leaf for leaf in leaves if _identity(leaf) not in known]
        unselected = [leaf for leaf in missing if isinstance(leaf, (PathTerm, AnnotationTerm))]
        if missing and not (self.selects_more and len(unselected) == len(missing)):
            raise QueryError(
                f"A {self.operation} can only be ordered by what it selects: {', '.join(self.projection.names)}."
            )
        for leaf in missing:
            known.setdefault(_identity(leaf), len(known))
        parts = (self._part(_selecting(part, unselected), rendering) for part in self.parts)
        combined = OPERATIONS[self.operation](*parts).subquery()
        columns: list[Any] = list(combined.columns)
        rendering.selected_count = len(selected)
        ordered_by = {leaf.key: columns[known[_identity(leaf)]] for leaf in leaves}
        by_key = {term.key: column for term, column in zip(selected, columns, strict=False)}
        outer = SubqueryRendering(self.info, rendering.binds, {**by_key, **ordered_by})
        order = [element for term in self.order for element in term.render(outer)]
        return with_order_and_limit(self, sqlalchemy.select(*columns[: len(selected)]), rendering, order)

    def _part(self, part: Query, rendering: Rendering) -> sqlalchemy.Select[Any]:
        inner = Rendering(part.info, rendering.binds, rendering.outer, rendering.outer_columns)
        statement = part.select(inner)
        if rendering.outer is not None:
            statement = statement.correlate_except(*inner.tables)
        columns = [*statement.selected_columns][: inner.selected_count]
        labelled = [column.label(f"c{i}") for i, column in enumerate(columns)]
        if part.is_limited or part.distinct:
            # SQLite does not accept ORDER BY or LIMIT in a part.
            sub = statement.subquery()
            labelled = [column.label(f"c{i}") for i, column in enumerate(sub.columns)][: inner.selected_count]
            return sqlalchemy.select(*labelled)
        return statement.with_only_columns(*labelled, maintain_column_froms=True)


def _identity(term: Term) -> Hashable:
    """A key that is equal for terms of the same column under different names, such as ``pk`` and ``id``."""
    return (term.path.relations, term.path.stored, term.join_number) if isinstance(term, PathTerm) else term.key


def _selecting(part: Query, ordered_by: Sequence[PathTerm | AnnotationTerm]) -> Query:
    """A part that also selects these columns of the first part's model, and these annotations."""
    projection = part.projection
    if not ordered_by or not isinstance(projection, Columns):
        return part
    named = (term.path.name if isinstance(term, PathTerm) else term.name for term in ordered_by)
    names = dict.fromkeys(named)
    terms = [part.resolver().name(name, "an ordering") for name in names]
    for number, term in enumerate(terms):
        projection = projection.annotated(f"ordered by {number}", term)
    return part.replace(projection=projection)
