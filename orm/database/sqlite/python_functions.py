"""Python functions for SQL functions that SQLite lacks.

They return NULL if an argument is NULL, and for invalid arguments, as SQLite's built-in functions do.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import math
import random
import sqlite3
import statistics
import sys
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, ClassVar

from orm.database.sqlite.decimal_functions import DecimalMean, DecimalSum, calculate
from orm.database.sqlite.json_functions import decode_path
from orm.database.types.time_zones import UTC_NAME, zone_of

MAX_INTEGER = (1 << 63) - 1


def register(connection: sqlite3.Connection) -> None:
    """Register these functions on a connection."""
    for name, (count, function) in FUNCTIONS.items():
        connection.create_function(name, count, function, deterministic=True)
    connection.create_function("orm_random", 0, random.random)
    for name, aggregate in AGGREGATES.items():
        connection.create_aggregate(name, aggregate.arguments, aggregate)
    if sys.version_info >= (3, 11):
        for name, aggregate in WINDOW_AGGREGATES.items():
            connection.create_window_function(name, aggregate.arguments, aggregate)
    if not _has_math_functions(connection):
        for name, (count, function) in MATH_FUNCTIONS.items():
            connection.create_function(name, count, function, deterministic=True)


def _has_math_functions(connection: sqlite3.Connection) -> bool:
    ((is_enabled,),) = connection.execute("SELECT sqlite_compileoption_used('ENABLE_MATH_FUNCTIONS')")
    return bool(is_enabled)


def _null_safe(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, returning None if an argument is None or invalid."""

    @functools.wraps(function)
    def wrapper(*values: Any) -> Any:
        if None in values:
            return None
        try:
            return function(*values)
        except (ArithmeticError, ValueError):
            return None

    return wrapper


# Dates and times


def parse_datetime(text: str) -> datetime.datetime:
    """The datetime of a stored date, datetime or time; a time is one of the first day."""
    if len(text) > 2 and text[2] == ":":
        return datetime.datetime.combine(datetime.date.min, datetime.time.fromisoformat(text))
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo is None else moment.astimezone(datetime.timezone.utc).replace(tzinfo=None)


def _local_datetime(text: str, zone: str) -> datetime.datetime:
    moment = parse_datetime(text)
    return moment if zone == UTC_NAME else moment.replace(tzinfo=datetime.timezone.utc).astimezone(zone_of(zone))


def _extract(text: str, unit: str, zone: str) -> int:
    moment = _local_datetime(text, zone)
    if unit == "week_day":
        return moment.isoweekday() % 7 + 1
    if unit == "iso_week_day":
        return moment.isoweekday()
    if unit == "week":
        return moment.isocalendar()[1]
    if unit == "iso_year":
        return moment.isocalendar()[0]
    if unit == "quarter":
        return (moment.month + 2) // 3
    part: int = getattr(moment, unit)
    return part


# The parts of a datetime that truncating it to a unit resets.
_TIME_PARTS = {"hour": 0, "minute": 0, "second": 0, "microsecond": 0}
_TRUNCATED_PARTS: dict[str, dict[str, int]] = {
    "year": {"month": 1, "day": 1, **_TIME_PARTS},
    "month": {"day": 1, **_TIME_PARTS},
    "day": _TIME_PARTS,
    "hour": {"minute": 0, "second": 0, "microsecond": 0},
    "minute": {"second": 0, "microsecond": 0},
    "second": {"microsecond": 0},
}
SMALL_UNITS = ("hour", "minute", "second", "moment")


def _truncate(moment: datetime.datetime, unit: str) -> datetime.datetime:
    """The start of the unit that a moment is in, in the moment's time zone."""
    if unit == "quarter":
        moment = moment.replace(month=(moment.month - 1) // 3 * 3 + 1, day=1)
        return moment.replace(**_TIME_PARTS)  # type: ignore[arg-type]
    if unit == "week":
        return _truncate(moment - datetime.timedelta(days=moment.weekday()), "day")
    parts = _TRUNCATED_PARTS.get(unit)
    return moment.replace(**parts) if parts else moment  # type: ignore[arg-type]


def _trunc(text: str, unit: str, to: str, zone: str) -> str:
    moment = _truncate(_local_datetime(text, zone), unit)
    if to == "date":
        return moment.date().isoformat()
    if to == "time":
        return moment.time().isoformat("microseconds")
    if to == "aware" and moment.tzinfo is not None:
        if unit not in SMALL_UNITS:
            moment = moment.replace(fold=0)
        moment = moment.astimezone(datetime.timezone.utc)
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")


def _add_microseconds(text: str, microseconds: int, kind: str) -> str:
    step = datetime.timedelta(microseconds=microseconds)
    if kind == "time":
        # A time of day wraps around at midnight, for which there has to be a day before.
        moment = parse_datetime(text).replace(year=2000) + step
        return moment.time().isoformat("microseconds")
    return (parse_datetime(text) + step).isoformat(" ", "microseconds")


def _microseconds_between(left: str, right: str) -> int:
    return (parse_datetime(left) - parse_datetime(right)) // datetime.timedelta(microseconds=1)


# Text


def _map_characters(change: Callable[[str], str], text: str) -> str:
    # Each character becomes one character, as on other databases.
    return "".join(changed if len(changed := change(character)) == 1 else character for character in text)


def _lower(text: Any) -> str:
    text = str(text)
    return text.lower() if text.isascii() else _map_characters(str.lower, text)


def _upper(text: Any) -> str:
    text = str(text)
    return text.upper() if text.isascii() else _map_characters(str.upper, text)


def _lpad(text: Any, length: int, fill: str) -> str:
    characters = str(text)
    missing = length - len(characters)
    return characters[: max(0, length)] if missing <= 0 or not fill else (fill * missing)[:missing] + characters


def _rpad(text: Any, length: int, fill: str) -> str:
    characters = str(text)
    missing = length - len(characters)
    return characters[: max(0, length)] if missing <= 0 or not fill else characters + (fill * missing)[:missing]


def _repeat(text: Any, number: int) -> str:
    return str(text) * number


def _reverse(text: Any) -> str:
    return str(text)[::-1]


def _hash(text: Any, algorithm: str) -> str:
    data = text if isinstance(text, bytes) else str(text).encode()
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()


# Numbers


def _round(number: int | float, digits: int) -> int | float:
    if isinstance(number, int) and digits >= 0:
        return number
    exact = Decimal(repr(number))
    # Halves are rounded away from zero, as on other databases.
    rounded = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return int(rounded) if isinstance(number, int) else float(rounded)


def _cot(number: float) -> float:
    return 1 / math.tan(number)


# JSON


@functools.lru_cache(maxsize=128)
def _parse_json(text: str) -> Any:
    return json.loads(text)


def _document_of(value: Any) -> Any:
    return _parse_json(value) if isinstance(value, str) else value


def _sql_value(value: Any) -> Any:
    """A JSON value in SQL: a number if it is one, so that it is ordered as a number; else its JSON text."""
    if isinstance(value, float) or (type(value) is int and abs(value) <= MAX_INTEGER):
        return value
    return json.dumps(value, ensure_ascii=False)


def _item_at(value: Any, key: str) -> Any:
    """The value of a document under a key, or at an index; LookupError if there is none."""
    if isinstance(value, dict):
        return value[key]
    if isinstance(value, list) and key.removeprefix("-").isascii() and key.removeprefix("-").isdigit():
        return value[int(key)]
    raise LookupError(key)


def _json_at(text: Any, path: str) -> Any:
    value = _document_of(text)
    try:
        for key in decode_path(path):
            value = _item_at(value, key)
    except LookupError:
        return None
    return _sql_value(value)


def _normalized(value: Any) -> Any:
    """A document with integral floats as integers, so that equal documents have equal JSON text with sorted keys."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _normalized(item) for key, item in value.items()}
    return [_normalized(item) for item in value] if isinstance(value, list) else value


def _json(text: Any) -> int | float | str:
    return _comparable(_document_of(text))


def _array_slice(array: Any, start: int, length: int) -> str:
    """The items from a position, counted from 1; all of them if the length is negative."""
    first = max(start - 1, 0)
    items = json.loads(array)[first : None if length < 0 else first + length]
    return json.dumps(items, ensure_ascii=False)


def _json_first(text: Any) -> int | float | str:
    return _comparable(_document_of(text)[0])


def _comparable(value: Any) -> int | float | str:
    """A value that is the same for equal documents: a number, or the JSON text of anything else."""
    value = _normalized(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER:
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _json_text(text: Any) -> str | None:
    value = _document_of(text)
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _json_number(text: Any) -> int | float | None:
    value = _document_of(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) > MAX_INTEGER else value


def _json_string(text: Any) -> str | None:
    value = _document_of(text)
    return value if isinstance(value, str) else None


def _contains(document: Any, part: Any) -> bool:
    """Whether a JSON document contains another, by the rules of PostgreSQL's ``@>``."""
    if isinstance(document, dict) and isinstance(part, dict):
        return all(key in document and _item_contains(document[key], value) for key, value in part.items())
    if isinstance(document, list) and isinstance(part, list):
        return all(any(_item_contains(item, value) for item in document) for value in part)
    if isinstance(document, list) and not isinstance(part, dict):
        return any(_equal(item, part) for item in document)
    return _equal(document, part)


def _item_contains(document: Any, part: Any) -> bool:
    # Only at the top level does an array contain a scalar.
    if isinstance(document, list) != isinstance(part, list):
        return False
    return _contains(document, part)


def _equal(left: Any, right: Any) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _json_contains(text: Any, part: Any) -> bool:
    return _contains(_document_of(text), _document_of(part))


def _json_has_keys(text: Any, keys: str, every: int) -> bool:
    value = _document_of(text)
    present = [isinstance(value, dict) and key in value for key in _parse_json(keys)]
    return all(present) if every else any(present)


def _json_element(value: Any, kind: str) -> str:
    """The JSON text of a column's value; NULL is null."""
    if value is not None and kind == "boolean":
        value = bool(value)
    elif kind == "json":
        value = _document_of(value)
    elif isinstance(value, bytes):
        value = value.hex()
    return json.dumps(value, ensure_ascii=False)


# Aggregates


class CollectionAggregate:
    """Collects values in the order of keys. Its SQL arguments: distinct, directions, value, …, keys ….

    `directions` has a letter for each key: ``a`` for ascending, ``d`` for descending.
    """

    arguments: ClassVar[int] = -1
    arguments_before_keys: ClassVar[int]
    """The number of arguments before the keys."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []

    def step(self, *values: Any) -> None:
        """Add a row."""
        if values[2] is not None:
            self.rows.append(values)

    def ordered(self) -> list[Any]:
        """The values in the order of the keys; without duplicates if they must be distinct."""
        distinct, directions = self.rows[0][:2]
        # Sorting is stable, so the rows are sorted by the last key first.
        for position, direction in reversed(list(enumerate(directions, start=self.arguments_before_keys))):
            self.rows.sort(key=lambda row: _sortable(row[position]), reverse=direction == "d")
        values = [row[2] for row in self.rows]
        return list(dict.fromkeys(values)) if distinct else values


def _sortable(value: Any) -> tuple[int, Any]:
    # SQLite's order: NULL, numbers, text, bytes.
    if value is None:
        return 0, 0
    return (1 if isinstance(value, (int, float)) else 2 if isinstance(value, str) else 3), value


class StringAgg(CollectionAggregate):
    """Texts joined by a delimiter."""

    arguments_before_keys = 4

    def finalize(self) -> str | None:
        """The text; None if there are no rows."""
        return str(self.rows[0][3]).join(map(str, self.ordered())) if self.rows else None


class JSONAgg(CollectionAggregate):
    """JSON values as an array."""

    arguments_before_keys = 3

    def finalize(self) -> str | None:
        """The array's JSON text; None if there are no rows."""
        return f"[{', '.join(self.ordered())}]" if self.rows else None


class Dispersion:
    """A measure of how far numbers are dispersed."""

    arguments: ClassVar[int] = 1
    min_count: ClassVar[int] = 1
    measure: Callable[[Sequence[float]], float]

    def __init__(self) -> None:
        self.numbers: list[float] = []

    def step(self, number: float | None) -> None:
        """Add a number."""
        if number is not None:
            self.numbers.append(number)

    def finalize(self) -> float | None:
        """The measure; None if there are too few numbers."""
        return float(type(self).measure(self.numbers)) if len(self.numbers) >= self.min_count else None


class StdDevPop(Dispersion):
    """The standard deviation of a population."""

    measure = staticmethod(statistics.pstdev)


class StdDevSamp(Dispersion):
    """The standard deviation of a sample."""

    min_count = 2
    measure = staticmethod(statistics.stdev)


class VarPop(Dispersion):
    """The variance of a population."""

    measure = staticmethod(statistics.pvariance)


class VarSamp(Dispersion):
    """The variance of a sample."""

    min_count = 2
    measure = staticmethod(statistics.variance)


AGGREGATES: dict[str, Any] = {
    "orm_string_agg": StringAgg,
    "orm_json_agg": JSONAgg,
    "stddev_pop": StdDevPop,
    "stddev_samp": StdDevSamp,
    "var_pop": VarPop,
    "var_samp": VarSamp,
}
WINDOW_AGGREGATES: dict[str, Any] = {"orm_decimal_sum": DecimalSum, "orm_decimal_mean": DecimalMean}
FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "orm_decimal": (3, calculate),
    "orm_extract": (3, _null_safe(_extract)),
    "orm_trunc": (4, _null_safe(_trunc)),
    "orm_shift": (3, _null_safe(_add_microseconds)),
    "orm_gap": (2, _null_safe(_microseconds_between)),
    "orm_lower": (1, _null_safe(_lower)),
    "orm_upper": (1, _null_safe(_upper)),
    "orm_lpad": (3, _null_safe(_lpad)),
    "orm_rpad": (3, _null_safe(_rpad)),
    "orm_repeat": (2, _null_safe(_repeat)),
    "orm_reverse": (1, _null_safe(_reverse)),
    "orm_hash": (2, _null_safe(_hash)),
    "orm_round": (2, _null_safe(_round)),
    "orm_cot": (1, _null_safe(_cot)),
    "orm_json": (1, _null_safe(_json)),
    "orm_json_at": (2, _null_safe(_json_at)),
    "orm_json_text": (1, _null_safe(_json_text)),
    "orm_json_number": (1, _null_safe(_json_number)),
    "orm_json_string": (1, _null_safe(_json_string)),
    "orm_array_slice": (3, _null_safe(_array_slice)),
    "orm_json_first": (1, _null_safe(_json_first)),
    "orm_json_contains": (2, _null_safe(_json_contains)),
    "orm_json_has_keys": (3, _null_safe(_json_has_keys)),
    "orm_json_element": (2, _json_element),
}
# For builds of SQLite without them.
MATH_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "acos": (1, _null_safe(math.acos)),
    "asin": (1, _null_safe(math.asin)),
    "atan": (1, _null_safe(math.atan)),
    "atan2": (2, _null_safe(math.atan2)),
    "ceiling": (1, _null_safe(math.ceil)),
    "cos": (1, _null_safe(math.cos)),
    "degrees": (1, _null_safe(math.degrees)),
    "exp": (1, _null_safe(math.exp)),
    "floor": (1, _null_safe(math.floor)),
    "ln": (1, _null_safe(math.log)),
    "log": (2, _null_safe(lambda base, number: math.log(number, base))),
    "mod": (2, _null_safe(math.fmod)),
    "pi": (0, lambda: math.pi),
    "power": (2, _null_safe(math.pow)),
    "radians": (1, _null_safe(math.radians)),
    "sign": (1, _null_safe(lambda number: (number > 0) - (number < 0))),
    "sin": (1, _null_safe(math.sin)),
    "sqrt": (1, _null_safe(math.sqrt)),
    "tan": (1, _null_safe(math.tan)),
}
