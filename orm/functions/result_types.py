"""Kinds of fields: which of them mix, and datetimes told apart by whether they are instants."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from orm.exceptions import FieldError
from orm.fields import DateTime, Field
from orm.relations import ForeignKey, RelatedKey

NUMBERS = ("integer", "decimal", "float")
"""From the narrowest to the widest."""
TEXTS = ("text", "enum")


def kind_of(field: Field[Any]) -> str:
    """The field's kind; of a datetime "aware" or "naive"."""
    if isinstance(field, DateTime):
        return "aware" if field.timezone else "naive"
    return field.kind


def common_field(what: object, fields: Sequence[Field[Any]]) -> Field[Any]:
    """What a value of one of several fields is: of numbers the widest. Raises `FieldError` if they do not mix."""
    stored = [_stored(field) for field in fields]
    families = {_family(field) for field in stored}
    if len(families) > 1:
        kinds = ", ".join(dict.fromkeys(type(field).__name__ for field in fields))
        raise FieldError(f"{what!r} mixes {kinds}: convert them to one type with Cast(), or give output_field=.")
    if families == {NUMBERS}:
        return max(stored, key=lambda field: NUMBERS.index(field.kind) if field.kind in NUMBERS else 0)
    return fields[0]


def _stored(field: Field[Any]) -> Field[Any]:
    """The field itself, or the one that a relation's key is of."""
    return _stored(field.target_field) if isinstance(field, (ForeignKey, RelatedKey)) else field


def _family(field: Field[Any]) -> Hashable:
    if field.kind in NUMBERS or field.kind == "integer enum":
        return NUMBERS
    return TEXTS if field.kind in TEXTS else field.kind.partition(" ")[0]
