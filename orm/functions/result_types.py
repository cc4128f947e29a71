"""The field that describes a value taken from one of several expressions."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from orm.exceptions import FieldError
from orm.fields import Field
from orm.fields.values import BIG_INTEGER


def common_field(expression: object, fields: Sequence[Field[Any]]) -> Field[Any]:
    """The field of an expression whose value is that of any of `fields`: of numbers, the widest type.

    Raises `FieldError` for types that do not mix.
    """
    underlying = [field.underlying_field for field in fields]
    families = {_mixing_family(field) for field in underlying}
    if families == {"date", "datetime"}:
        return next(field for field in fields if field.underlying_field.family == "datetime")
    if len(families) > 1:
        types = ", ".join(dict.fromkeys(type(field).__name__ for field in fields))
        raise FieldError(f"{expression!r} mixes {types}: convert them to one type with Cast(), or give output_field=.")
    if families == {"number"}:
        # Members of one enum stay members; beside other numbers they are numbers.
        if len({getattr(field, "enum", None) for field in underlying}) > 1:
            underlying = [number_field(field) for field in underlying]
        return max(underlying, key=attrgetter("arithmetic_rank"))
    return fields[0]


def number_field(field: Field[Any]) -> Field[Any]:
    """The field of a number that is calculated from values of `field`.

    That is an integer for the booleans and for the members of an integer enum: the sum of two members is no member.
    """
    return BIG_INTEGER if field.family in COUNTED else field


COUNTED = frozenset(["boolean", "integer enum"])
"""The families whose values are numbers only when one calculates with them."""


def _mixing_family(field: Field[Any]) -> str:
    return "number" if field.is_number else "text" if field.is_text else field.family
