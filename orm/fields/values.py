"""The field that binds a plain Python value in an expression."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

from orm.exceptions import QueryError
from orm.fields.base import FIELD_CLASSES, Field
from orm.fields.numbers import BigInteger, Boolean, Decimal, Float
from orm.fields.structured import Binary
from orm.fields.temporal import Date, DateTime, Duration, Time
from orm.fields.text import Text

BOOLEAN = Boolean()
BIG_INTEGER = BigInteger()
DECIMAL = Decimal(max_digits=38, decimal_places=19)
AWARE_DATETIME = DateTime(timezone=True)

_fields: dict[type, Field[Any]] = {
    bool: BOOLEAN,
    int: BIG_INTEGER,
    float: Float(),
    str: Text(),
    decimal.Decimal: DECIMAL,
    datetime.datetime: DateTime(),
    datetime.date: Date(),
    datetime.time: Time(),
    datetime.timedelta: Duration(),
    bytes: Binary(),
}
_stored_as_fields: dict[type[Field[Any]], Field[Any]] = {}


def value_field(value: Any) -> Field[Any]:
    """A field that binds values of this type: a built-in one, or the `stored_as` field with this `exact_type`.

    Raises `QueryError` if there is none, or several.
    """
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return AWARE_DATETIME
    for python_type in type(value).__mro__:
        field = _fields.get(python_type)
        if field is not None:
            return field
        if python_type in FIELD_CLASSES:
            return _stored_as_field(python_type)
    raise QueryError(f"A value of type {type(value).__name__} cannot stand in an expression by itself.")


def _stored_as_field(python_type: type) -> Field[Any]:
    field_class, *others = FIELD_CLASSES[python_type].values()
    reason = "name the field that it is a value of, Value(…, output_field=…)."
    if others:
        names = " and ".join(candidate.__name__ for candidate in (field_class, *others))
        raise QueryError(f"{python_type.__name__} is the exact_type of {names}: {reason}")
    if field_class not in _stored_as_fields:
        try:
            _stored_as_fields[field_class] = field_class()
        except TypeError as error:
            raise QueryError(
                f"A value of type {python_type.__name__} has no {field_class.__name__} without arguments: {reason}"
            ) from error
    return _stored_as_fields[field_class]
