"""Plain data: values of fields such as JSON can hold."""

from __future__ import annotations

import base64
import datetime
import enum
from collections.abc import Callable
from typing import Any

from orm.fields import Array, Field
from orm.relations import ForeignKey


def _moment(value: Any) -> str:
    text: str = value.isoformat()
    return text


def _seconds(value: datetime.timedelta) -> float:
    return value.total_seconds()


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _member(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


PLAIN: dict[str, Callable[[Any], Any]] = {
    "date": _moment,
    "datetime": _moment,
    "time": _moment,
    "duration": _seconds,
    "decimal": str,
    "uuid": str,
    "ip": str,
    "binary": _base64,
    "enum": _member,
    "integer enum": _member,
}


def plain_data(of: Field[Any]) -> Callable[[Any], Any] | None:
    """What makes a field's values such as JSON holds; None where they are.

    Dates and times become ISO 8601 text, decimals, UUIDs and addresses text, durations seconds, bytes base64, members
    of enums their values.
    """
    if isinstance(of, ForeignKey):
        return plain_data(of.target_field)
    if isinstance(of, Array):
        item = plain_data(of.field)
        return None if item is None else lambda values: [None if v is None else item(v) for v in values]
    return PLAIN.get(of.family)
