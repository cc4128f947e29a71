"""Terms over several rows: aggregates over those of a group, windows over those around each."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.functions.aggregates import OrderableAggregate
from orm.functions.result_types import common_field
from orm.functions.windows import WindowFunction
from orm.query.terms.base import NULL, Condition, RowTerm, Term, ValueTerm, lookup_key
from orm.query.terms.computed import FuncTerm

if TYPE_CHECKING:
    from orm.functions.aggregates import Aggregate
    from orm.functions.windows import Frame
    from orm.query.rendering import Rendering


class AggregateTerm(Term):
    """A function over the rows of a group, of those that meet a condition."""

    aggregate = True

    def __init__(
        self,
        function: Aggregate[Any],
        argument: Term,
        condition: Condition,
        default: Term | None,
        rest: tuple[Term, ...] = (),
    ) -> None:
        self.function = function
        self.argument = argument
        self.rest = rest
        """What the function takes besides: a delimiter, what to order by."""
        self.condition = condition
        self.default = default
        self.field = function.result(argument.field)
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
        others = tuple(value for term in rest for value in term.values)
        self.values = (*condition.values, *argument.values, *others, *(default.values if default else ()))

    @property
    def empty_result(self) -> Term | None:
        """What it is of no rows, where that is known without asking the database."""
        if self.default is not None:
            return self.default if isinstance(self.default, ValueTerm) else None
        value = self.function.empty_result
        return NULL if value is None else ValueTerm(value, self.field)

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        found = self.call(rendering)
        if self.default is not None:
            found = sqlalchemy.func.coalesce(found, self.default.render(rendering))
        return sqlalchemy.type_coerce(found, self.field.result_type())

    def call(self, rendering: Rendering) -> ColumnElement[Any]:
        """The function call itself."""
        condition = self.condition.render(rendering, required=False, negated=False)
        argument = self.argument.render(rendering)
        rest = [term.render(rendering) for term in self.rest]
        if isinstance(self.function, OrderableAggregate):
            taking_part = None if self.condition.truth else condition
            return self.function.build_collection(self.argument.field, taking_part, argument, *rest)
        if not self.condition.truth:
            # Rows that do not take part count as NULL, which aggregates pass over, on every database.
            counted = sqlalchemy.literal_column("1") if isinstance(self.argument, RowTerm) else argument
            argument = sqlalchemy.case((condition, counted))
        return self.function.build(argument)

    def leaves(self) -> tuple[Term, ...]:
        others = (leaf for term in self.rest for leaf in term.leaves())
        return (*self.condition.leaves(), *self.argument.leaves(), *others)


class Ordered(Protocol):
    """What a window needs to know of its ordering: see `orm.query.ordering.OrderTerm`."""

    key: Hashable
    values: tuple[Any, ...]
    term: Term

    def render(self, rendering: Rendering) -> list[ColumnElement[Any]]:
        """Its SQL."""


class WindowTerm(Term):
    """A function over the rows around each row."""

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
        # Over groups, it is computed from aggregates, and is none itself.
        self.aggregate = False

    def render(self, rendering: Rendering, *, required: bool = False) -> ColumnElement[Any]:
        call: Any = self.inner.call(rendering)
        window: dict[str, Any] = {
            "partition_by": [term.render(rendering) for term in self.partition] or None,
            "order_by": [element for term in self.order for element in term.render(rendering)] or None,
        }
        if self.frame is not None:
            window["range_" if self.frame.by_value else "rows"] = (self.frame.start, self.frame.end)
        function = self.inner.function
        found = function.over(call, **window) if isinstance(function, WindowFunction) else call.over(**window)
        if self.frame is not None and self.frame.exclusion is not None:
            found = SQLFunction("excluding", found, words=(self.frame.exclusion.value,))
        return sqlalchemy.type_coerce(found, self.field.result_type())

    def leaves(self) -> tuple[Term, ...]:
        parts = (self.inner, *self.partition, *(term.term for term in self.order))
        return tuple(leaf for part in parts for leaf in part.leaves())
