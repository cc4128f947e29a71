"""Set operations: the rows of several queries as those of one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy

from orm.exceptions import NotSupportedError, QueryError
from orm.query.conditions.base import is_never
from orm.query.ordering import OrderTerm
from orm.query.projection import Projection
from orm.query.query import Query
from orm.query.rendering import Rendering, SubqueryRendering
from orm.query.select_statement import with_order_and_limit
from orm.utils.memoized import memoized_property

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.mapping.model_info import ModelInfo

Operation = Literal["union", "union_all", "intersection", "difference"]

OPERATIONS: dict[str, Any] = {
    "union": sqlalchemy.union,
    "union_all": sqlalchemy.union_all,
    "intersection": sqlalchemy.intersect,
    "difference": sqlalchemy.except_,
}


@dataclass(frozen=True)
class Combination(Query):
    """Several queries and a set operation. It can be ordered by the columns that they select, and sliced."""

    operation: Operation = "union"
    parts: tuple[Query, ...] = field(default=())

    @classmethod
    def of(cls, operation: Operation, parts: tuple[Query, ...]) -> Combination:
        """The queries combined. Raises `QueryError` if they select different numbers of columns."""
        widths = {part.projection.width for part in parts}
        if len(widths) > 1:
            raise QueryError(
                f"{operation}() needs queries that select the same columns; these select "
                f"{', '.join(str(part.projection.width) for part in parts)}: choose with values()."
            )
        first = parts[0]
        return cls(
            first.info,
            first.projection,
            annotations=first.annotations,
            branches=first.branches,
            suppressed=first.suppressed,
            ordering=(),
            operation=operation,
            # As in Django, an ordering of a part counts only where it decides which rows the part has.
            parts=tuple(part if part.is_limited else part.replace(ordering=()) for part in parts),
        )

    def choosing(self, projections: tuple[Projection, ...]) -> Combination:
        """The same operation on other columns: each part's own."""
        parts = tuple(part.replace(projection=p) for part, p in zip(self.parts, projections, strict=True))
        return self.replace(projection=projections[0], parts=parts)

    def check_rows_open(self, what: str) -> None:
        """Raise `NotSupportedError`: the rows are those of the parts."""
        raise NotSupportedError(f"{what} cannot follow {self.operation}(): apply it to the parts before.")

    def as_single_column(self, compared: Field[Any] | None) -> Query:
        """The same of each part: see `Query.as_single_column`."""
        return self._of(tuple(part.as_single_column(compared) for part in self.parts))

    def selecting_key(self, label: str, info: ModelInfo, fields: Sequence[Field[Any]]) -> Query:
        """The same of each part: see `Query.selecting_key`."""
        return self._of(tuple(part.selecting_key(label, info, fields) for part in self.parts))

    def as_exists(self) -> Query:
        """Its rows are what its parts select."""
        return self.replace(ordering=self.ordering if self.is_limited else ())

    def subselect(self, outer: Rendering, *, nested: bool = True) -> sqlalchemy.SelectBase:
        """As `Query.subselect`; where it may, without a derived table, in which MySQL sees nothing of the outside."""
        if self.is_limited or self.order:
            return super().subselect(outer, nested=nested)
        rendering = Rendering(self.info, outer.binds, outer)
        found: sqlalchemy.SelectBase = OPERATIONS[self.operation](*(self._part(part, rendering) for part in self.parts))
        return found

    def _of(self, parts: tuple[Query, ...]) -> Query:
        ordering = self.ordering if self.is_limited else ()
        return self.replace(projection=parts[0].projection, parts=parts, ordering=ordering)

    @property
    def is_nested(self) -> bool:
        """Always: its rows are no table's."""
        return True

    @property
    def is_empty(self) -> bool:
        """Whether it is known, without asking, that no row can be found."""
        nothing = [part.is_empty for part in self.parts]
        found = nothing[0] if self.operation == "difference" else all(nothing)
        if self.operation == "intersection":
            found = any(nothing)
        return found or is_never(self.where) or (self.stop is not None and self.stop <= self.offset)

    @memoized_property
    def key(self) -> Hashable:
        """The shape."""
        return (
            *(self.operation, tuple(part.key for part in self.parts), tuple(term.key for term in self.order)),
            *(self.offset > 0, self.stop is not None),
        )

    @memoized_property
    def values(self) -> tuple[Any, ...]:
        """The arguments: of each part, of the ordering, of the slice."""
        found = [value for part in self.parts for value in part.values]
        for term in self.order:
            found.extend(term.values)
        if self.stop is not None:
            found.append(self.stop - self.offset)
        if self.offset:
            found.append(self.offset)
        return tuple(found)

    def select(self, rendering: Rendering) -> sqlalchemy.Select[Any]:
        """The SELECT statement over the combined parts."""
        combined = OPERATIONS[self.operation](*(self._part(part, rendering) for part in self.parts)).subquery()
        columns: list[Any] = list(combined.columns)
        rendering.selected = len(columns)
        outer = SubqueryRendering(self.info, rendering.binds, dict(zip(self._keys(), columns, strict=True)))
        order = [element for term in self.order for element in self._ordered(term, outer)]
        return with_order_and_limit(self, sqlalchemy.select(*columns), rendering, order)

    def _part(self, part: Query, rendering: Rendering) -> sqlalchemy.Select[Any]:
        inner = Rendering(part.info, rendering.binds, rendering.outer)
        statement = part.select(inner)
        if rendering.outer is not None:
            statement = statement.correlate_except(*inner.tables)
        labelled = [column.label(f"c{i}") for i, column in enumerate(statement.selected_columns)][: inner.selected]
        if part.is_limited or part.distinct:
            # SQLite takes no ORDER BY or LIMIT in a part.
            sub = statement.subquery()
            labelled = [column.label(f"c{i}") for i, column in enumerate(sub.columns)][: inner.selected]
            return sqlalchemy.select(*labelled)
        return statement.with_only_columns(*labelled, maintain_column_froms=True)

    def _keys(self) -> list[Hashable]:
        """What each column is, for an ordering to refer to."""
        return [term.key for term in self.projection.selected(self.parts[0].resolver())]

    def _ordered(self, term: OrderTerm, outer: SubqueryRendering) -> list[sqlalchemy.ColumnElement[Any]]:
        known = set(self._keys())
        for leaf in term.term.leaves():
            if leaf.key not in known:
                raise QueryError(
                    f"A {self.operation} can only be ordered by what it selects: {', '.join(self.projection.names)}."
                )
        return term.render(outer)
