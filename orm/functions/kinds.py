"""Kinds of fields, with datetimes told apart by whether they are instants."""

from __future__ import annotations

from typing import Any

from orm.fields import DateTime, Field


def kind_of(field: Field[Any]) -> str:
    """The field's kind; of a datetime "aware" or "naive"."""
    if isinstance(field, DateTime):
        return "aware" if field.timezone else "naive"
    return field.kind
