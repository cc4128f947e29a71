"""Lookups of arrays (``tags__contains=["a", "b"]``), the same on databases that keep arrays as JSON.

As on PostgreSQL, a NULL among the items equals nothing.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.exceptions import FieldError, QueryError
from orm.fields import Array, Field
from orm.functions.arrays import ArrayLength, item_literals
from orm.lookups import transforms
from orm.lookups.base import Bind, KnownResult, Lookup, Prepared, label, refuse_null, register
from orm.lookups.function_lookups import FunctionLookup

transforms.register("len", "array")(ArrayLength)


class ArrayLookup(FunctionLookup):
    """Base class of lookups that compare an array with another."""

    families = frozenset({"array"})

    def items(self, field: Field[Any], value: Any) -> list[Any]:
        """The items of the value. Raises `QueryError` for None, and `FieldError` for what is no list."""
        refuse_null(self, field, value)
        items: list[Any] = field.to_python(value)
        return items


@register
class ArrayContains(ArrayLookup):
    """The array has all of these items."""

    name = "contains"
    sql_name = "array_contains"

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare the items."""
        items = self.items(field, value)
        if None in items:
            return KnownResult.NEVER
        return Prepared((items,)) if items else KnownResult.WHEN_NOT_NULL


@register
class ArrayContainedBy(ArrayLookup):
    """All items of the array are among these."""

    name = "contained_by"

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare the items."""
        return Prepared(([item for item in self.items(field, value) if item is not None],))

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition."""
        return SQLFunction("array_contains", operand, column)


@register
class ArrayOverlap(ArrayLookup):
    """The array has at least one of these items."""

    name = "overlap"
    sql_name = "array_overlap"

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare the items."""
        items = [item for item in self.items(field, value) if item is not None]
        return Prepared((items,)) if items else KnownResult.NEVER

    def for_rows(self, field: Field[Any], selected: Field[Any]) -> Lookup | None:
        """As in Django, a queryset is all of its rows: of arrays, or of items."""
        array = field.underlying_field
        assert isinstance(array, Array)
        if selected.family == "array":
            return self
        if selected.family == array.field.family:
            return ANY
        raise QueryError(
            f"{label(field)}__{self.name} is compared with a query that selects {type(selected).__name__}; "
            f"it takes one that selects arrays, or items of type {type(array.field).__name__}."
        )


@register
class ArrayAny(Lookup):
    """One of the items equals the value."""

    name = "any"
    families = frozenset({"array"})

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare the item, in an array of one item, for which an index of the column is used."""
        refuse_null(self, field, value)
        array = field.underlying_field
        assert isinstance(array, Array)
        return Prepared(([array.field.to_python(value)],))

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        """The condition."""
        return SQLFunction("array_contains", column, bind(field.comparison_type()))

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition, on an expression."""
        array = field.underlying_field
        if not isinstance(array, Array):
            raise FieldError(f"{label(field)} is no array.")
        return SQLFunction("array_any", column, operand, literals=item_literals(array.field)[:1])


ANY = ArrayAny()
