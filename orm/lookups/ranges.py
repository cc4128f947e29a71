"""Lookups of ranges (``period__contains=day``, ``period__overlap=(first, last)``), on PostgreSQL.

``day__contained_by=period`` is a lookup of a plain value, on every database.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.database.types import column_types
from orm.exceptions import FieldError, QueryError
from orm.fields import Field
from orm.fields.ranges import RangeField
from orm.functions import ranges as functions
from orm.lookups import transforms
from orm.lookups.base import Bind, KnownResult, Lookup, Prepared, label, lookup_for, refuse_null, register
from orm.lookups.function_lookups import FunctionLookup
from orm.utils.ranges import Range

for _name, _function in (
    ("startswith", functions.RangeStart),
    ("endswith", functions.RangeEnd),
    ("isempty", functions.RangeIsEmpty),
    ("lower_inc", functions.RangeLowerInclusive),
    ("upper_inc", functions.RangeUpperInclusive),
    ("lower_inf", functions.RangeLowerInfinite),
    ("upper_inf", functions.RangeUpperInfinite),
):
    transforms.register(_name, "range")(_function)


class RangeLookup(FunctionLookup):
    """Base class of lookups that compare a range with another."""

    families = frozenset({"range"})


@register
class RangeContains(RangeLookup):
    """The range contains a value, or all values of another range."""

    name = "contains"
    sql_name = "range_contains"

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare a range or a value."""
        if isinstance(value, (Range, tuple, list, dict)):
            return super().prepare(field, value)
        refuse_null(self, field, value)
        return Prepared((_bounds(field).to_python(value),), variant="value")

    def operand(self, field: Field[Any], variant: Hashable, bind: Bind) -> ColumnElement[Any]:
        """Bind the range or the value."""
        return bind(_bounds(field).column_type()) if variant else super().operand(field, variant, bind)

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition."""
        is_bound = isinstance(operand, sqlalchemy.BindParameter)
        if not is_bound and not isinstance(column_types.unconverted(operand.type), column_types.Range):
            operand = sqlalchemy.cast(operand, _bounds(field).column_type())
        return super().render(column, operand, field)


def _bounds(field: Field[Any]) -> Field[Any]:
    underlying = field.underlying_field
    if not isinstance(underlying, RangeField):
        raise FieldError(f"{label(field)} is no range of this library's fields.")
    base: Field[Any] = underlying.base_field
    return base


@register
class RangeContainedBy(RangeLookup):
    """All values of the range are in another."""

    name = "contained_by"
    sql_name = "range_contained_by"


@register
class RangeOverlap(RangeLookup):
    """The range has a value that another has, too."""

    name = "overlap"
    sql_name = "range_overlap"


@register
class RangeFullyLessThan(RangeLookup):
    """All values of the range are below those of another."""

    name = "fully_lt"
    sql_name = "range_fully_lt"


@register
class RangeFullyGreaterThan(RangeLookup):
    """All values of the range are above those of another."""

    name = "fully_gt"
    sql_name = "range_fully_gt"


@register
class RangeNotLessThan(RangeLookup):
    """No value of the range is below those of another."""

    name = "not_lt"
    sql_name = "range_not_lt"


@register
class RangeNotGreaterThan(RangeLookup):
    """No value of the range is above those of another."""

    name = "not_gt"
    sql_name = "range_not_gt"


@register
class RangeAdjacentTo(RangeLookup):
    """The range begins where another ends, or ends where it begins."""

    name = "adjacent_to"
    sql_name = "range_adjacent_to"


@register
class ValueContainedBy(Lookup):
    """A number, a date or a datetime is in a range: on every database, as comparisons with its bounds."""

    name = "contained_by"
    families = frozenset({"integer", "float", "decimal", "date", "datetime"})

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare the bounds."""
        refuse_null(self, field, value)
        if not isinstance(value, Range):
            raise QueryError(f"{label(field)}__contained_by takes an orm.Range, got {type(value).__name__}.")
        if value.isempty:
            return KnownResult.NEVER
        names: list[str] = []
        values: tuple[Any, ...] = ()
        for bound, name in (
            (value.lower, "gte" if value.lower_inc else "gt"),
            (value.upper, "lte" if value.upper_inc else "lt"),
        ):
            if bound is None:
                continue
            prepared = lookup_for(field, name).prepare(field, bound)
            if prepared is KnownResult.NEVER:
                return prepared
            if isinstance(prepared, Prepared):
                names.append(name)
                values += prepared.values
        return Prepared(values, variant=tuple(names)) if names else KnownResult.WHEN_NOT_NULL

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        """The condition."""
        assert isinstance(variant, tuple)
        return sqlalchemy.and_(*(lookup_for(field, name).build(column, field, None, bind) for name in variant))

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition, on a range of the row (PostgreSQL)."""
        stored = column_types.unconverted(operand.type)
        if not isinstance(stored, column_types.Range):
            raise QueryError(f"{label(field)}__contained_by takes a range, got an expression of another type.")
        return SQLFunction("range_contains", operand, sqlalchemy.cast(column, stored.item))
