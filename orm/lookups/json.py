"""Lookups of JSON: of a document (``data__has_key="a"``) and of what it has under a key (``data__a__gt=3``).

A key that is missing is NULL, and no lookup but ``isnull`` is true of it; ``data__a=None`` asks for a null in the
document. Numbers are compared with numbers and texts with texts, on every database; what is neither is in no order.
"""

from __future__ import annotations

import decimal
from collections.abc import Hashable, Iterable
from typing import Any, ClassVar

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.database.sql import operators
from orm.database.sql.functions import SQLFunction
from orm.database.types import column_types
from orm.exceptions import QueryError
from orm.fields import Field
from orm.fields.structured import JSONKey
from orm.lookups import base as lookups
from orm.lookups.base import Bind, KnownResult, Lookup, Prepared, label, refuse_null, register

JSON = frozenset({"json"})


@register
class KeyExact(lookups.Exact):
    """What a document has under a key is the same JSON."""

    def applies_to(self, field: Field[Any]) -> bool:
        """Whether the field is a key's value."""
        return isinstance(field, JSONKey)

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """The value as JSON."""
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
    """What a document has under a key is null: what ``data__a=None`` means."""

    name = "exact"
    # As in Django, exclude() leaves rows without a document out.
    matches_null = True

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        """The condition."""
        return SQLFunction("json_is_null", column)


KEY_IS_NULL = KeyIsNull()


def as_operand(column: ColumnElement[Any], operand: ColumnElement[Any]) -> ColumnElement[Any]:
    """JSON as what it is compared with: its text, or its number."""
    is_text = isinstance(column_types.unconverted(operand.type), (column_types.Text, column_types.String))
    return SQLFunction("json_string" if is_text else "json_number", column)


def _scalar(lookup: Lookup, field: Field[Any], value: Any) -> str:
    """Whether a value is a "number" or a "string": nothing else has an order."""
    refuse_null(lookup, field, value)
    if isinstance(value, str):
        return "string"
    if isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool):
        return "number"
    raise QueryError(f"{label(field)}__{lookup.name} takes a number or a text, got {type(value).__name__}.")


def _bound(variant: Hashable, bind: Bind) -> ColumnElement[Any]:
    return bind(column_types.Text() if variant == "string" else column_types.Decimal())


def _or_false(condition: ColumnElement[bool], column: ColumnElement[Any]) -> ColumnElement[bool]:
    """False, not NULL, of a value that cannot be compared, so that exclude() keeps it."""
    return sqlalchemy.func.coalesce(
        condition, sqlalchemy.case((SQLFunction("json_exists", column), sqlalchemy.false()))
    )


class JSONCompared(lookups.Compared):
    """gt, gte, lt, lte."""

    families = JSON

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """The number or text."""
        return Prepared((value,), variant=_scalar(self, field, value))

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        """The condition."""
        return _or_false(self.compare(SQLFunction(f"json_{variant}", column), _bound(variant, bind)), column)

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition, on an expression."""
        if isinstance(column_types.unconverted(operand.type), column_types.JSON):
            return self.compare(SQLFunction("json_number", column), SQLFunction("json_number", operand))
        return self.compare(as_operand(column, operand), operand)


@register
class JSONGreaterThan(JSONCompared, lookups.GreaterThan):
    """More."""


@register
class JSONGreaterThanOrEqual(JSONCompared, lookups.GreaterThanOrEqual):
    """More or equal."""


@register
class JSONLessThan(JSONCompared, lookups.LessThan):
    """Less."""


@register
class JSONLessThanOrEqual(JSONCompared, lookups.LessThanOrEqual):
    """Less or equal."""


@register
class JSONRange(lookups.Range):
    """Between two numbers or two texts, both included."""

    families = JSON

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """The two."""
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise QueryError(f"{label(field)}__range takes two values, (lowest, highest), got {type(value).__name__}.")
        low, high = value
        variant = _scalar(self, field, low)
        if _scalar(self, field, high) != variant:
            raise QueryError(f"{label(field)}__range takes two numbers or two texts, not one of each.")
        return Prepared((low, high), variant=variant)

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        """The condition."""
        low, high = _bound(variant, bind), _bound(variant, bind)
        return _or_false(SQLFunction(f"json_{variant}", column).between(low, high), column)


@register
class JSONIn(lookups.In):
    """One of several JSON values."""

    families = JSON

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """The values, as one JSON document."""
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise QueryError(f"{label(field)}__in takes a list of values, got {type(value).__name__}.")
        # Each in a list of its own, which is JSON that no database takes for anything else.
        listed = [[field.to_database(field.to_python(item))] for item in value if item is not None]
        return Prepared((listed,)) if listed else KnownResult.NEVER

    def build(
        self, column: ColumnElement[Any], field: Field[Any], variant: Hashable, bind: Bind
    ) -> ColumnElement[bool]:
        """The condition."""
        return SQLFunction("json_in", column, bind(column_types.JSON()))


class JSONHolds(Lookup):
    """A lookup of one JSON document in another."""

    families = JSON

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """The document."""
        refuse_null(self, field, value)
        return Prepared((field.to_database(field.to_python(value)),))

    def operand(self, field: Field[Any], variant: Hashable, bind: Bind) -> ColumnElement[Any]:
        """The document's place in the statement."""
        return bind(column_types.JSON())


@register
class JSONContains(JSONHolds):
    """The document holds another: all its keys with their values, all items of its arrays."""

    name = "contains"

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition."""
        return SQLFunction("json_contains", column, operand)


@register
class JSONContainedBy(JSONHolds):
    """The document is held by another."""

    name = "contained_by"

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition."""
        return SQLFunction("json_contains", operand, column)


@register
class HasKeys(JSONHolds):
    """The document is an object with all these keys."""

    name = "has_keys"
    takes_expression = False
    call: ClassVar[str] = "json_has_keys"

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """The keys."""
        if not isinstance(value, (list, tuple, set, frozenset)):
            raise QueryError(f"{label(field)}__{self.name} takes a list of keys, got {type(value).__name__}.")
        return Prepared(([str(key) for key in value],))

    def render(self, column: ColumnElement[Any], operand: ColumnElement[Any], field: Field[Any]) -> ColumnElement[bool]:
        """The condition."""
        return SQLFunction(self.call, column, operand)


@register
class HasAnyKeys(HasKeys):
    """The document is an object with one of these keys at least."""

    name = "has_any_keys"
    call = "json_has_any_keys"


@register
class HasKey(HasKeys):
    """The document is an object with this key."""

    name = "has_key"

    def prepare(self, field: Field[Any], value: Any) -> Prepared | KnownResult:
        """The key."""
        if not isinstance(value, (str, int)):
            raise QueryError(f"{label(field)}__has_key takes a key, got {type(value).__name__}.")
        return Prepared(([str(value)],))
