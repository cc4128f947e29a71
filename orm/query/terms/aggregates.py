"""Terms computed from several rows: aggregates and window functions."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.functions.aggregates import OrderableAggregate
from orm.functions.result_types import common_field
from orm.functions.windows import WindowFunction
from orm.query.terms.base import NULL, ResolvedCondition, RowTerm, Term, ValueTerm, lookup_key
from orm.query.terms.computed import FuncTerm, checked_sql, known_field

if TYPE_CHECKING:
    from orm.functions.aggregates import Aggregate
    from orm.functions.windows import Frame
    from orm.query.rendering import Rendering


class AggregateTerm(Term):
    """An aggregate of the rows of a group that meet a condition."""

    aggregate = True

    def __init__(
        self,
        function: Aggregate[Any],
        argument: Term,
        condition: ResolvedCondition,
        default: Term | None,
        rest: tuple[Term, ...] = (),
    ) -> None:
        self.function = function
        self.argument = argument
        self.rest = rest
        """Further arguments, such as the delimiter and the ORDER BY terms."""
        self.condition = condition
        self.default = default
        # The further arguments of an `OrderableAggregate` are its delimiter and its ordering.
        others = () if isinstance(function, OrderableAggregate) else rest
        self.field = function.result(argument.field, *(term.field for term in others if term.typed))
        if default is not None and default is not NULL and default.typed:
            self.field = common_field(function, (self.field, default.field))
        shape = (
            type(function),
            function.function,
            function.options,
            lookup_key(self.field),
            argument.key,
            condition.key,
        )
        self.key = (shape, default and default.key, *(term.key for term in rest))
        further_values = tuple(value for term in rest for value in term.values)
        self.values = (*condition.values, *argument.values, *further_values, *(default.values if default else ()))

    @property
    def empty_result(self) -> Term | None:
        """Its result if there are no rows; None if only the database can tell."""
        if self.default is not None:
            return self.default if isinstance(self.default, ValueTerm) else None
        value = self.function.empty_result
        return NULL if value is None else ValueTerm(value, self.field)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        result = self.call(rendering)
        if self.default is not None:
            result = sqlalchemy.func.coalesce(result, self.default.render(rendering))
        return sqlalchemy.type_coerce(result, self.field.result_type())

    def call(self, rendering: Rendering) -> ColumnElement[Any]:
        """The call, without its default and its type."""
        condition = self.condition.render(rendering, required=False, negated=False)
        argument = self.argument.render(rendering)
        rest = [term.render(rendering) for term in self.rest]
        if isinstance(self.function, OrderableAggregate):
            filter_clause = None if self.condition.truth else condition
            return self.function.build_collection(self.argument.field, filter_clause, argument, *rest)
        if not self.condition.truth:
            # Instead of FILTER, which not every database has: aggregates skip NULL.
            value = sqlalchemy.literal_column("1") if isinstance(self.argument, RowTerm) else argument
            argument = sqlalchemy.case((condition, value))
        fields = (self.argument.field, *(known_field(term) for term in self.rest))
        return checked_sql(self.function, self.function.build_from(fields, argument, *rest))

    def leaves(self) -> tuple[Term, ...]:
        others = (leaf for term in self.rest for leaf in term.leaves())
        return (*self.condition.leaves(), *self.argument.leaves(), *others)


class Ordered(Protocol):
    """A term of a window's ordering: an `orm.query.ordering.OrderTerm`, which is a layer above."""

    key: Hashable
    values: tuple[Any, ...]
    term: Term

    def render(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        """Its SQL."""


class WindowTerm(Term):
    """A window function."""

    window = True

    def __init__(
        self,
        call: FuncTerm | AggregateTerm,
        partition: tuple[Term, ...],
        order: tuple[Ordered, ...],
        frame: Frame | None,
    ) -> None:
        self.inner = call
        self.partition = partition
        self.order = order
        self.frame = frame
        self.field = call.field
        self.key = (
            *("window", call.key, tuple(term.key for term in partition), tuple(term.key for term in order)),
            None if frame is None else frame.key,
        )
        parts: tuple[Any, ...] = (call, *partition, *order)
        self.values = tuple(value for part in parts for value in part.values)
        # Its arguments may be aggregates, but it is none: it is computed after GROUP BY.
        self.aggregate = False

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        call: Any = self.inner.call(rendering)
        window: dict[str, Any] = {
            "partition_by": [rendering.render_once(term) for term in self.partition] or None,
            "order_by": [element for term in self.order for element in term.render(rendering)] or None,
        }
        if self.frame is not None:
            window["range_" if self.frame.by_value else "rows"] = (self.frame.start, self.frame.end)
        function = self.inner.function
        result = function.over(call, **window) if isinstance(function, WindowFunction) else call.over(**window)
        if self.frame is not None and self.frame.exclusion is not None:
            result = SQLFunction("excluding", result, literals=(self.frame.exclusion.value,))
        return sqlalchemy.type_coerce(result, self.field.result_type())

    def operands(self) -> tuple[Term, ...]:
        return (*self.partition, *(term.term for term in self.order))

    def leaves(self) -> tuple[Term, ...]:
        parts = (self.inner, *self.partition, *(term.term for term in self.order))
        return tuple(leaf for part in parts for leaf in part.leaves())
