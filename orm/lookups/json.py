"""Lookups of JSON documents (``data__has_key="a"``) and of the values under their keys (``data__a__gt=3``).

A key that is missing is NULL, and no lookup but ``isnull`` is true of it; ``data__a=None`` asks for a null in the
document. Numbers are compared with numbers and texts with texts, on every database; what is neither is in no order.
"""

from __future__ import annotations

import decimal
from collections.abc import Hashable, Iterable
from typing import Any, ClassVar, Literal

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.database.sql import operators
from orm.database.sql.functions import SQLFunction
from orm.database.types import column_types
from orm.exceptions import QueryError
from orm.fields import Field
from orm.fields.json import JSONKey
from orm.lookups import comparisons
from orm.lookups.base import Bind, KnownResult, Lookup, Prepared, label, refuse_null, register
from orm.lookups.function_lookups import KeyLookup, KeysLookup

JSON_FAMILY = frozenset({"json"})


@register
class KeyExact(comparisons.Exact):
    """The value under a key equals a JSON value."""

    def applies_to(self, field: Field[Any]) -> bool:
        """Whether the field is the value under a key."""
        return isinstance(field, JSONKey)

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare a JSON value."""
        return Prepared((field.to_python(value),))

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        """The condition."""
        return operators.JSONEqual(column, bind(column_types.JSON()))

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition, on an expression."""
        if isinstance(column_types.unconverted(operand.type), column_types.JSON):
            return operators.JSONEqual(column, operand)
        return as_operand(column, operand) == operand


class KeyIsNull(Lookup):
    """The value under a key is JSON's null: ``data__a=None``."""

    name = "exact"
    # As in Django, exclude() leaves rows without a document out.
    matches_null = True

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        """The condition."""
        return SQLFunction("json_is_null", column)


KEY_IS_NULL = KeyIsNull()
#: Floats between these are bound as decimals, with all of their digits on every database.
MIN_DECIMAL, MAX_DECIMAL = 1e-13, 1e65


def as_operand(column: ColumnElement[Any], operand: ColumnElement[Any]) -> ColumnElement[Any]:
    """The JSON value as text or as a number, whichever the operand is."""
    return SQLFunction("json_string" if _is_text(operand) else "json_number", column)


def _is_text(operand: ColumnElement[Any]) -> bool:
    return isinstance(column_types.unconverted(operand.type), (column_types.Text, column_types.String))


def _ordered(field: Field[Any], value: Any) -> Any:
    """A value for an ordering comparison, as the document contains it."""
    return field.ordered_value(value) if isinstance(field, JSONKey) else value


def _scalar(lookup: Lookup, field: Field[Any], value: Any) -> str:
    """The kind of a value: a "number", a "float" that does not fit into MySQL's decimals of 65 digits, or a "string".

    Raises `QueryError` for other values, which have no order.
    """
    refuse_null(lookup, field, value)
    if isinstance(value, str):
        return "string"
    if isinstance(value, float) and value and not MIN_DECIMAL < abs(value) < MAX_DECIMAL:
        return "float"
    if isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool):
        return "number"
    raise QueryError(f"{label(field)}__{lookup.name} takes a number or a text, got {type(value).__name__}.")


def _bound(variant: Hashable, bind: Bind) -> ColumnElement[Any]:
    types = {"string": column_types.Text, "float": column_types.Float, "number": column_types.Decimal}
    return bind(types[str(variant)]())


def _or_false(condition: ColumnElement[bool], column: ColumnElement[Any]) -> ColumnElement[bool]:
    """False, not NULL, of a value that cannot be compared, so that exclude() keeps it."""
    return sqlalchemy.func.coalesce(
        condition, sqlalchemy.case((SQLFunction("json_exists", column), sqlalchemy.false()))
    )


class JSONCompared(comparisons.Compared):
    """Base class of `gt`, `gte`, `lt` and `lte`."""

    families = JSON_FAMILY
    symbol: ClassVar[Literal["<", "<=", ">", ">="]]

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare a number or text."""
        value = _ordered(field, value)
        return Prepared((value,), variant=_scalar(self, field, value))

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        """The condition."""
        bound = _bound(variant, bind)
        if variant != "string":
            return _or_false(operators.JSONCompare(column, self.symbol, bound), column)
        return _or_false(self.compare(SQLFunction("json_string", column), bound), column)

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition, on an expression."""
        if isinstance(column_types.unconverted(operand.type), column_types.JSON):
            return operators.JSONCompare(column, self.symbol, SQLFunction("json_number", operand))
        if _is_text(operand):
            return self.compare(SQLFunction("json_string", column), operand)
        return operators.JSONCompare(column, self.symbol, operand)


@register
class JSONGreaterThan(JSONCompared, comparisons.GreaterThan):
    """Greater than the value."""

    symbol = ">"


@register
class JSONGreaterThanOrEqual(JSONCompared, comparisons.GreaterThanOrEqual):
    """Greater than the value or equal to it."""

    symbol = ">="


@register
class JSONLessThan(JSONCompared, comparisons.LessThan):
    """Less than the value."""

    symbol = "<"


@register
class JSONLessThanOrEqual(JSONCompared, comparisons.LessThanOrEqual):
    """Less than the value or equal to it."""

    symbol = "<="


@register
class JSONRange(comparisons.Range):
    """Between two numbers or two texts, or equal to one of them."""

    families = JSON_FAMILY

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare the two bounds."""
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise QueryError(f"{label(field)}__range takes two values, (lowest, highest), got {type(value).__name__}.")
        lower, upper = (_ordered(field, bound) for bound in value)
        variant = _scalar(self, field, lower), _scalar(self, field, upper)
        if (variant[0] == "string") != (variant[1] == "string"):
            raise QueryError(f"{label(field)}__range takes two numbers or two texts, not one of each.")
        return Prepared((lower, upper), variant=variant)

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        """The condition."""
        assert isinstance(variant, tuple)
        lower, upper = (_bound(kind, bind) for kind in variant)
        if "string" not in variant:
            above, below = (operators.JSONCompare(column, ">=", lower), operators.JSONCompare(column, "<=", upper))
            return _or_false(sqlalchemy.and_(above, below), column)
        return _or_false(SQLFunction("json_string", column).between(lower, upper), column)


@register
class JSONIn(comparisons.In):
    """Equal to one of several JSON values."""

    families = JSON_FAMILY

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare the values as one JSON document."""
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise QueryError(f"{label(field)}__in takes a list of values, got {type(value).__name__}.")
        # Each item is wrapped in a list, because some databases treat bare JSON scalars as SQL values.
        items = [[field.to_database(field.to_python(item))] for item in value if item is not None]
        return Prepared((items,)) if items else KnownResult.NEVER

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        """The condition."""
        return SQLFunction("json_in", column, bind(column_types.JSON()))


class JSONOperandLookup(Lookup):
    """Base class of lookups with a JSON document as operand."""

    families = JSON_FAMILY

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """Prepare the document."""
        refuse_null(self, field, value)
        return Prepared((field.to_database(field.to_python(value)),))

    def operand(self, field: Field[Any], variant: Hashable, bind: Bind) -> ColumnElement[Any]:
        """Bind the document."""
        return bind(column_types.JSON())


@register
class JSONContains(JSONOperandLookup):
    """The document contains another: all its keys with their values, all items of its arrays."""

    name = "contains"

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition."""
        return SQLFunction("json_contains", column, operand)


@register
class JSONContainedBy(JSONOperandLookup):
    """The document is contained in another."""

    name = "contained_by"

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition."""
        return SQLFunction("json_contains", operand, column)


@register
class HasKeys(KeysLookup):
    """The document is an object with all these keys."""

    name = "has_keys"
    families = JSON_FAMILY
    sql_name = "json_has_keys"

    def operand(self, field: Field[Any], variant: Hashable, bind: Bind) -> ColumnElement[Any]:
        """Bind the keys."""
        return bind(column_types.JSON())


@register
class HasAnyKeys(HasKeys):
    """The document is an object with at least one of these keys."""

    name = "has_any_keys"
    sql_name = "json_has_any_keys"


@register
class HasKey(KeyLookup, HasKeys):
    """The document is an object with this key."""

    name = "has_key"
