"""Functions of ranges (PostgreSQL): what ``period__startswith`` and ``period__isempty`` are."""

from __future__ import annotations

from typing import Any

from orm.fields import Boolean, Field
from orm.fields.ranges import RangeField
from orm.functions.base import NamedFunc

BOOLEAN = Boolean()


class RangeBound(NamedFunc[Any]):
    """Base class of the bounds."""

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """The field of the bounds."""
        field = fields[0].underlying_field
        assert isinstance(field, RangeField)
        base: Field[Any] = field.base_field
        return base


class RangeStart(RangeBound):
    """The lower bound; NULL if there is none."""

    sql_name = "range_lower"


class RangeEnd(RangeBound):
    """The upper bound; NULL if there is none."""

    sql_name = "range_upper"


class RangeTest(NamedFunc[bool]):
    """Base class of what is true or false of a range."""

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A boolean field."""
        return BOOLEAN


class RangeIsEmpty(RangeTest):
    """Whether it has no values."""

    sql_name = "range_isempty"


class RangeLowerInclusive(RangeTest):
    """Whether the lower bound belongs to it."""

    sql_name = "range_lower_inc"


class RangeUpperInclusive(RangeTest):
    """Whether the upper bound belongs to it."""

    sql_name = "range_upper_inc"


class RangeLowerInfinite(RangeTest):
    """Whether it has no lower bound."""

    sql_name = "range_lower_inf"


class RangeUpperInfinite(RangeTest):
    """Whether it has no upper bound."""

    sql_name = "range_upper_inf"
