"""`Generated`: a field whose values the database calculates from the other columns of the row."""

from __future__ import annotations

from typing import Any, TypeVar

import sqlalchemy

from orm.exceptions import FieldError
from orm.expressions.base import Expression, Logical
from orm.fields.base import NO_DEFAULT, Field

T = TypeVar("T")


def Generated(expression: Expression[Any] | Logical, field: Field[T], *, stored: bool = True) -> Field[T]:
    """A field that the database calculates: ``total = orm.Generated(orm.F("price") * orm.F("count"), orm.Integer())``.

    Queries can read it, filter and order by it as by any other field, but not write it. Its value is read back after
    each write of the instance.

    Args:
        expression: An expression of fields of the same row, or a condition, for a boolean.
        field: The field of its values. It has no default, and is not a primary key.
        stored: False: the value is calculated when it is read (not on PostgreSQL).

    Raises:
        FieldError: `expression` or `field` is of another type, or the field has an option that contradicts it.
    """
    if not isinstance(expression, (Expression, Logical)):
        raise FieldError(f"Generated takes an expression such as F('price') * 2, got {type(expression).__name__}.")
    if not isinstance(field, Field):
        raise FieldError(f"Generated takes the field of its values, such as orm.Integer(), got {type(field).__name__}.")
    if field.primary_key or field.default is not NO_DEFAULT or field.server_default is not None:
        raise FieldError("The field of Generated cannot be a primary key or have a default: its value is calculated.")
    field.generated_by = expression
    field.server_default = sqlalchemy.Computed("", persisted=stored)
    field.is_generated = field.read_only = field.validator.read_only = True
    return field
