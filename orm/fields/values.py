"""The field that binds a plain Python value in an expression."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

from sqlalchemy.types import TypeEngine

from orm.database.types import column_types
from orm.exceptions import QueryError
from orm.fields.base import FIELD_CLASSES, Field
from orm.fields.numbers import BigInteger, Boolean, Decimal, Float
from orm.fields.structured import UUID, Binary
from orm.fields.temporal import Date, DateTime, Duration, Interval, Time
from orm.fields.text import Text
from orm.utils.period import Period

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
    Period: Interval(),
    bytes: Binary(),
    uuid.UUID: UUID(),
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


def clause_field(type_: TypeEngine[Any] | None) -> Field[Any] | None:
    """The field for the values of a SQLAlchemy clause of this type; None if the type is not known."""
    if isinstance(type_, column_types.ORMType):
        named = (field for field in _fields.values() if type(field).__name__ == type(type_).__name__)
        return _fields[str] if isinstance(type_, column_types.String) else next(named, None)
    try:
        return None if type_ is None else _fields.get(type_.python_type)
    except NotImplementedError:
        return None


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
