"""Lookups that compare values: `exact`, `gt`, `gte`, `lt`, `lte`, `range`, `in` and `isnull`."""

from __future__ import annotations

import decimal
import enum
import math
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.database.sql import operators
from orm.database.sql.functions import SQLFunction
from orm.exceptions import QueryError
from orm.lookups.base import Bind, KnownResult, Lookup, Prepared, label, refuse_null, register

if TYPE_CHECKING:
    from orm.fields import Field

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
DOCUMENTS = frozenset({"json", "array"})
"""The families whose values some databases keep as JSON."""
WHOLE = frozenset({"integer", "integer enum"})
"""The families whose values are stored as integers."""


@register
class Exact(Lookup):
    """Equal to the value."""

    name = "exact"

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        converted = field.to_python(value)
        # A JSON document may be an integer of any size.
        if type(converted) is int and not MIN_INTEGER <= converted <= MAX_INTEGER and field.family != "json":
            return KnownResult.NEVER
        return Prepared((converted,))

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        if field.family in DOCUMENTS:
            return operators.JSONEqual(column, operand)
        return operators.SameMoment(column, operand) if operators.is_moment_value(operand) else column == operand


class Compared(Lookup):
    """Base class of `gt`, `gte`, `lt` and `lte`."""

    requires = "is_ordered"
    above: ClassVar[bool]
    rounds_up: ClassVar[bool]

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        refuse_null(self, field, value)
        if field.family in WHOLE and isinstance(value, (float, decimal.Decimal)) and _is_finite(value):
            # Round to an integer: n < 2.5 is n < 3, n > 2.5 is n > 2.
            value = math.ceil(value) if self.rounds_up else math.floor(value)
        converted = _ordered(field, value)
        if type(converted) is int and not MIN_INTEGER <= converted <= MAX_INTEGER:
            return KnownResult.WHEN_NOT_NULL if (converted < 0) == self.above else KnownResult.NEVER
        return Prepared((converted,))

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        if field.family == "array":
            column = SQLFunction("array_in_order", column)
        is_from_first = self.rounds_up and operators.is_moment_value(operand)
        return self.compare(column, operators.FirstText(operand) if is_from_first else operand)

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        """Compare two expressions."""
        raise NotImplementedError


def _ordered(field: Field[Any], value: Any) -> Any:
    """A value for an ordering comparison: a member of an integer enum may be compared with any integer."""
    is_number = field.family == "integer enum" and isinstance(value, int) and not isinstance(value, enum.Enum)
    return int(value) if is_number else field.to_python(value)


def _is_finite(value: float | decimal.Decimal) -> bool:
    # math.isfinite() raises for a signaling NaN.
    return value.is_finite() if isinstance(value, decimal.Decimal) else math.isfinite(value)


@register
class GreaterThan(Compared):
    """Greater than the value."""

    name = "gt"
    above = True
    rounds_up = False

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        return left > right


@register
class GreaterThanOrEqual(Compared):
    """Greater than the value or equal to it."""

    name = "gte"
    above = True
    rounds_up = True

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        return left >= right


@register
class LessThan(Compared):
    """Less than the value."""

    name = "lt"
    above = False
    rounds_up = True

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        return left < right


@register
class LessThanOrEqual(Compared):
    """Less than the value or equal to it."""

    name = "lte"
    above = False
    rounds_up = False

    @staticmethod
    def compare(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[bool]:
        return left <= right


@register
class Range(Lookup):
    """Between two values, or equal to one of them."""

    name = "range"
    requires = "is_ordered"
    takes_expression = False

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise QueryError(f"{label(field)}__range takes two values, (lowest, highest), got {type(value).__name__}.")
        for bound in value:
            refuse_null(self, field, bound)
        lower, upper = (_ordered(field, bound) for bound in value)
        if type(lower) is int and type(upper) is int:
            if lower > MAX_INTEGER or upper < MIN_INTEGER:
                return KnownResult.NEVER
            lower, upper = max(lower, MIN_INTEGER), min(upper, MAX_INTEGER)
        return Prepared((lower, upper))

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        lower, upper = bind(field.comparison_type()), bind(field.comparison_type())
        if field.family == "array":
            column = SQLFunction("array_in_order", column)
        return column.between(operators.FirstText(lower) if operators.is_moment_value(lower) else lower, upper)


@register
class In(Lookup):
    """Equal to one of several values."""

    name = "in"
    takes_expression = False

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise QueryError(f"{label(field)}__in takes a list of values or a queryset, got {type(value).__name__}.")
        items = tuple(value)
        exact_type = field.exact_type
        if exact_type is None or set(map(type, items)) != {exact_type}:
            items = tuple([field.to_python(item) for item in items if item is not None])
        elif exact_type is not int or (min(items) >= MIN_INTEGER and max(items) <= MAX_INTEGER):
            return Prepared((items,))
        if field.family != "json":
            items = tuple([item for item in items if type(item) is not int or MIN_INTEGER <= item <= MAX_INTEGER])
        return Prepared((items,)) if items else KnownResult.NEVER

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        return operators.InList(column, bind(operators.ListOf(field.comparison_type())))


@register
class InArrays(In):
    """Equal to one of several arrays, each of which is bound by itself: `ANY` would compare with their items."""

    families = frozenset({"array"})

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        prepared = super().prepare(field, value)
        if isinstance(prepared, KnownResult):
            return prepared
        (arrays,) = prepared.values
        return Prepared(arrays, variant=len(arrays))

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        assert isinstance(variant, int)
        return sqlalchemy.or_(*(operators.JSONEqual(column, bind(field.comparison_type())) for _ in range(variant)))


@register
class IsNull(Lookup):
    """NULL (True), or not NULL (False)."""

    name = "isnull"
    takes_expression = False
    matches_null = True

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        if not isinstance(value, bool):
            raise QueryError(f"{label(field)}__isnull takes True or False, got {type(value).__name__}.")
        return Prepared((), variant=value)

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        return column.is_(None) if variant else column.is_not(None)
