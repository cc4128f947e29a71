"""Arrays on databases that have none: a JSON list of what a column of the items' type would store."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sqlalchemy import types as sqltypes
from sqlalchemy.types import TypeEngine

from orm.database.storage import Process, Storage, json_to_text, limit, round_to
from orm.exceptions import NotSupportedError
from orm.utils.codegen import function_of

NO_DOCUMENTS = "Arrays of {what} need PostgreSQL: here they are JSON lists. Use orm.JSON() for the column."


def json_array(sql_type: TypeEngine[Any], item: Storage, what: str, *, objects: bool) -> Storage:
    """Storage of arrays as JSON text in a column of this type.

    `what` names items that are JSON or bytes, else it is "". Raises `NotSupportedError` for such items, which could not
    be compared inside of the list. `objects`: the driver returns dates, times and decimals as such, not as text.
    """
    if what:
        raise NotSupportedError(NO_DOCUMENTS.format(what=what))
    length: int | None = getattr(item.sql_type, "length", None)
    bind = function_of(item.bind if length is None else limit(item.bind, length))
    encode, decode, result = _encoder(item.sql_type), _decoder(item.sql_type, objects), function_of(item.result)
    if objects and isinstance(item.sql_type, sqltypes.Time):
        result = None  # MySQL's drivers return times as timedeltas.

    def write(values: Any) -> str | None:
        if values is None:
            return None
        stored = values if bind is None else [bind(value) for value in values]
        return json_to_text([None if value is None else encode(value) for value in stored])

    def read(stored: Any) -> list[Any] | None:
        if stored is None:
            return None
        values = json.loads(stored) if isinstance(stored, (str, bytes)) else stored
        items = [None if value is None else decode(value) for value in values]
        return items if result is None else [None if item is None else result(item) for item in items]

    return Storage(sql_type, write, read)


def _encoder(sql_type: TypeEngine[Any]) -> Process:
    """A function from the driver's form of an item to JSON. Texts of decimals and times sort and compare by value."""
    scale: int | None = getattr(sql_type, "scale", None)

    def encode(value: Any) -> Any:
        if isinstance(value, datetime.datetime):
            return value.isoformat(" ", "microseconds")
        if isinstance(value, datetime.time):
            return value.isoformat("microseconds")
        if isinstance(value, datetime.date):
            return value.isoformat()
        if isinstance(value, Decimal):
            return f"{value if scale is None else round_to(value, scale):f}"
        return value

    return encode


def _decoder(sql_type: TypeEngine[Any], objects: bool) -> Process:
    """A function from JSON to the driver's form of an item."""
    for kind, decode in OBJECTS if objects else ():
        if isinstance(sql_type, kind):
            return decode
    # SQLite has no booleans: its driver returns numbers.
    return lambda value: int(value) if isinstance(value, bool) else value


#: The first that fits applies: SQLAlchemy's Float is a Numeric.
OBJECTS: tuple[tuple[type[TypeEngine[Any]], Callable[[Any], Any]], ...] = (
    (sqltypes.Float, float),
    (sqltypes.Numeric, Decimal),
    (sqltypes.DateTime, datetime.datetime.fromisoformat),
    (sqltypes.Date, datetime.date.fromisoformat),
    (sqltypes.Time, datetime.time.fromisoformat),
)
