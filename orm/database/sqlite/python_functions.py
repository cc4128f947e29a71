"""Functions of the ORM's SQL that SQLite does not have, in Python.

NULL in is NULL out; so is what makes no sense, as SQLite's own functions have it.
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
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, ClassVar

from orm.database.sqlite.json_functions import decode_path
from orm.database.types.time_zones import UTC, zone_of

MAX_INTEGER = (1 << 63) - 1


def register(connection: sqlite3.Connection) -> None:
    """Give a connection these functions."""
    for name, (count, function) in FUNCTIONS.items():
        connection.create_function(name, count, function, deterministic=True)
    connection.create_function("orm_random", 0, random.random)
    for name, aggregate in AGGREGATES.items():
        connection.create_aggregate(name, aggregate.arguments, aggregate)
    if not _has_mathematics(connection):
        for name, (count, function) in MATHEMATICS.items():
            connection.create_function(name, count, function, deterministic=True)


def _has_mathematics(connection: sqlite3.Connection) -> bool:
    ((found,),) = connection.execute("SELECT sqlite_compileoption_used('ENABLE_MATH_FUNCTIONS')")
    return bool(found)


def null_in_null_out(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, for values that are there and make sense."""

    @functools.wraps(function)
    def checked(*values: Any) -> Any:
        if None in values:
            return None
        try:
            return function(*values)
        except (ArithmeticError, ValueError):
            return None

    return checked


# Dates and times


def moment_of(text: str) -> datetime.datetime:
    """The datetime of a stored date, datetime or time (of some day)."""
    if len(text) > 2 and text[2] == ":":
        return datetime.datetime.combine(datetime.date.min, datetime.time.fromisoformat(text))
    found = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo is None else found.astimezone(datetime.timezone.utc).replace(tzinfo=None)


def _local(text: str, zone: str) -> datetime.datetime:
    moment = moment_of(text)
    return moment if zone == UTC else moment.replace(tzinfo=datetime.timezone.utc).astimezone(zone_of(zone))


def _extract(text: str, unit: str, zone: str) -> int:
    moment = _local(text, zone)
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
    found: int = getattr(moment, unit)
    return found


# By unit: what is left of a moment.
_START_OF_DAY = {"hour": 0, "minute": 0, "second": 0, "microsecond": 0}
_LEFT: dict[str, dict[str, int]] = {
    "year": {"month": 1, "day": 1, **_START_OF_DAY},
    "month": {"day": 1, **_START_OF_DAY},
    "day": _START_OF_DAY,
    "hour": {"minute": 0, "second": 0, "microsecond": 0},
    "minute": {"second": 0, "microsecond": 0},
    "second": {"microsecond": 0},
}
SMALL_UNITS = ("hour", "minute", "second", "moment")


def truncate(moment: datetime.datetime, unit: str) -> datetime.datetime:
    """The moment at which the unit began, in the moment's own time zone."""
    if unit == "quarter":
        moment = moment.replace(month=(moment.month - 1) // 3 * 3 + 1, day=1)
        return moment.replace(**_START_OF_DAY)  # type: ignore[arg-type]
    if unit == "week":
        return truncate(moment - datetime.timedelta(days=moment.weekday()), "day")
    left = _LEFT.get(unit)
    return moment.replace(**left) if left else moment  # type: ignore[arg-type]


def _trunc(text: str, unit: str, to: str, zone: str) -> str:
    moment = truncate(_local(text, zone), unit)
    if to == "date":
        return moment.date().isoformat()
    if to == "time":
        return moment.time().isoformat("microseconds")
    if to == "aware" and moment.tzinfo is not None:
        if unit not in SMALL_UNITS:
            moment = moment.replace(fold=0)
        moment = moment.astimezone(datetime.timezone.utc)
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")


def _shift(text: str, microseconds: int, kind: str) -> str:
    step = datetime.timedelta(microseconds=microseconds)
    if kind == "time":
        # A time of day goes round the clock; the first day would have none before it.
        moment = moment_of(text).replace(year=2000) + step
        return moment.time().isoformat("microseconds")
    return (moment_of(text) + step).isoformat(" ", "microseconds")


def _gap(left: str, right: str) -> int:
    return (moment_of(left) - moment_of(right)) // datetime.timedelta(microseconds=1)


# Text


def _each(change: Callable[[str], str], text: str) -> str:
    # One character for one, as other databases have it.
    return "".join(changed if len(changed := change(character)) == 1 else character for character in text)


def _lower(text: Any) -> str:
    text = str(text)
    return text.lower() if text.isascii() else _each(str.lower, text)


def _upper(text: Any) -> str:
    text = str(text)
    return text.upper() if text.isascii() else _each(str.upper, text)


def _lpad(text: Any, length: int, fill: str) -> str:
    own = str(text)
    missing = length - len(own)
    return own[: max(0, length)] if missing <= 0 or not fill else (fill * missing)[:missing] + own


def _rpad(text: Any, length: int, fill: str) -> str:
    own = str(text)
    missing = length - len(own)
    return own[: max(0, length)] if missing <= 0 or not fill else own + (fill * missing)[:missing]


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
    # Halves away from zero, as the other databases round.
    rounded = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return int(rounded) if isinstance(number, int) else float(rounded)


def _cot(number: float) -> float:
    return 1 / math.tan(number)


# JSON


@functools.lru_cache(maxsize=128)
def _loaded(text: str) -> Any:
    return json.loads(text)


def _document(value: Any) -> Any:
    return _loaded(value) if isinstance(value, str) else value


def _sql_value(value: Any) -> Any:
    """A JSON value as SQL has it: numbers as such, so that they are ordered as numbers; the rest as JSON text."""
    if isinstance(value, float) or (type(value) is int and abs(value) <= MAX_INTEGER):
        return value
    return json.dumps(value, ensure_ascii=False)


def step_into(value: Any, key: str) -> Any:
    """What a document has under a key, or at an index. Raises LookupError."""
    if isinstance(value, dict):
        return value[key]
    if isinstance(value, list) and key.removeprefix("-").isascii() and key.removeprefix("-").isdigit():
        return value[int(key)]
    raise LookupError(key)


def _json_at(text: Any, path: str) -> Any:
    value = _document(text)
    try:
        for key in decode_path(path):
            value = step_into(value, key)
    except LookupError:
        return None
    return _sql_value(value)


def same_form(value: Any) -> Any:
    """A document in the one form of all that are equal to it: 1.0 is 1, and the order of keys means nothing."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: same_form(item) for key, item in value.items()}
    return [same_form(item) for item in value] if isinstance(value, list) else value


def _json(text: Any) -> int | float | str:
    return _form(_document(text))


def _json_first(text: Any) -> int | float | str:
    return _form(_document(text)[0])


def _form(value: Any) -> int | float | str:
    """A value that is equal for equal documents: a number, or the JSON text of anything else."""
    value = same_form(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER:
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _json_text(text: Any) -> str | None:
    value = _document(text)
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _json_number(text: Any) -> int | float | None:
    value = _document(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) > MAX_INTEGER else value


def _json_string(text: Any) -> str | None:
    value = _document(text)
    return value if isinstance(value, str) else None


def contains(document: Any, part: Any) -> bool:
    """Whether a JSON document contains another, as PostgreSQL's ``@>`` has it."""
    if isinstance(document, dict) and isinstance(part, dict):
        return all(key in document and _holds(document[key], value) for key, value in part.items())
    if isinstance(document, list) and isinstance(part, list):
        return all(any(_holds(own, value) for own in document) for value in part)
    if isinstance(document, list) and not isinstance(part, dict):
        return any(_equal(own, part) for own in document)
    return _equal(document, part)


def _holds(document: Any, part: Any) -> bool:
    # Only at the top may an array stand for what it holds.
    if isinstance(document, list) != isinstance(part, list):
        return False
    return contains(document, part)


def _equal(left: Any, right: Any) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _json_contains(text: Any, part: Any) -> bool:
    return contains(_document(text), _document(part))


def _json_has_keys(text: Any, keys: str, every: int) -> bool:
    value = _document(text)
    found = [isinstance(value, dict) and key in value for key in _loaded(keys)]
    return all(found) if every else any(found)


def _json_element(value: Any, kind: str) -> str:
    """The JSON text of a column's value; NULL is null."""
    if value is not None and kind == "boolean":
        value = bool(value)
    elif kind == "json":
        value = _document(value)
    elif isinstance(value, bytes):
        value = value.hex()
    return json.dumps(value, ensure_ascii=False)


# Aggregates


class Gathered:
    """Values gathered in the order of keys: (distinct, directions, value, ..., keys ...)."""

    arguments: ClassVar[int] = -1
    own: ClassVar[int]
    """How many arguments there are before the keys."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []

    def step(self, *values: Any) -> None:
        """One more row."""
        if values[2] is not None:
            self.rows.append(values)

    def ordered(self) -> list[Any]:
        """The values in their order, each once if they must be distinct."""
        distinct, directions = self.rows[0][:2]
        # Sorting is stable, so the last key goes first.
        for position, direction in reversed(list(enumerate(directions, start=self.own))):
            self.rows.sort(key=lambda row: _sortable(row[position]), reverse=direction == "d")
        values = [row[2] for row in self.rows]
        return list(dict.fromkeys(values)) if distinct else values


def _sortable(value: Any) -> tuple[int, Any]:
    # SQLite's own order: NULL, numbers, text, bytes.
    if value is None:
        return 0, 0
    return (1 if isinstance(value, (int, float)) else 2 if isinstance(value, str) else 3), value


class StringAgg(Gathered):
    """Texts joined by a delimiter."""

    own = 4

    def finalize(self) -> str | None:
        """The text; None of no rows."""
        return str(self.rows[0][3]).join(map(str, self.ordered())) if self.rows else None


class JSONAgg(Gathered):
    """JSON values as an array."""

    own = 3

    def finalize(self) -> str | None:
        """The array's text; None of no rows."""
        return f"[{', '.join(self.ordered())}]" if self.rows else None


class Spread:
    """A measure of how far numbers are spread."""

    arguments: ClassVar[int] = 1
    least: ClassVar[int] = 1
    measure: Callable[[Sequence[float]], float]

    def __init__(self) -> None:
        self.numbers: list[float] = []

    def step(self, number: float | None) -> None:
        """One more number."""
        if number is not None:
            self.numbers.append(number)

    def finalize(self) -> float | None:
        """The measure; None of too few numbers."""
        return float(type(self).measure(self.numbers)) if len(self.numbers) >= self.least else None


class StdDevPop(Spread):
    """The standard deviation of a population."""

    measure = staticmethod(statistics.pstdev)


class StdDevSamp(Spread):
    """The standard deviation of a sample."""

    least = 2
    measure = staticmethod(statistics.stdev)


class VarPop(Spread):
    """The variance of a population."""

    measure = staticmethod(statistics.pvariance)


class VarSamp(Spread):
    """The variance of a sample."""

    least = 2
    measure = staticmethod(statistics.variance)


AGGREGATES: dict[str, Any] = {
    "orm_string_agg": StringAgg,
    "orm_json_agg": JSONAgg,
    "stddev_pop": StdDevPop,
    "stddev_samp": StdDevSamp,
    "var_pop": VarPop,
    "var_samp": VarSamp,
}
FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "orm_extract": (3, null_in_null_out(_extract)),
    "orm_trunc": (4, null_in_null_out(_trunc)),
    "orm_shift": (3, null_in_null_out(_shift)),
    "orm_gap": (2, null_in_null_out(_gap)),
    "orm_lower": (1, null_in_null_out(_lower)),
    "orm_upper": (1, null_in_null_out(_upper)),
    "orm_lpad": (3, null_in_null_out(_lpad)),
    "orm_rpad": (3, null_in_null_out(_rpad)),
    "orm_repeat": (2, null_in_null_out(_repeat)),
    "orm_reverse": (1, null_in_null_out(_reverse)),
    "orm_hash": (2, null_in_null_out(_hash)),
    "orm_round": (2, null_in_null_out(_round)),
    "orm_cot": (1, null_in_null_out(_cot)),
    "orm_json": (1, null_in_null_out(_json)),
    "orm_json_at": (2, null_in_null_out(_json_at)),
    "orm_json_text": (1, null_in_null_out(_json_text)),
    "orm_json_number": (1, null_in_null_out(_json_number)),
    "orm_json_string": (1, null_in_null_out(_json_string)),
    "orm_json_first": (1, null_in_null_out(_json_first)),
    "orm_json_contains": (2, null_in_null_out(_json_contains)),
    "orm_json_has_keys": (3, null_in_null_out(_json_has_keys)),
    "orm_json_element": (2, _json_element),
}
# For builds of SQLite that leave them out.
MATHEMATICS: dict[str, tuple[int, Callable[..., Any]]] = {
    "acos": (1, null_in_null_out(math.acos)),
    "asin": (1, null_in_null_out(math.asin)),
    "atan": (1, null_in_null_out(math.atan)),
    "atan2": (2, null_in_null_out(math.atan2)),
    "ceiling": (1, null_in_null_out(math.ceil)),
    "cos": (1, null_in_null_out(math.cos)),
    "degrees": (1, null_in_null_out(math.degrees)),
    "exp": (1, null_in_null_out(math.exp)),
    "floor": (1, null_in_null_out(math.floor)),
    "ln": (1, null_in_null_out(math.log)),
    "log": (2, null_in_null_out(lambda base, number: math.log(number, base))),
    "mod": (2, null_in_null_out(math.fmod)),
    "pi": (0, lambda: math.pi),
    "power": (2, null_in_null_out(math.pow)),
    "radians": (1, null_in_null_out(math.radians)),
    "sign": (1, null_in_null_out(lambda number: (number > 0) - (number < 0))),
    "sin": (1, null_in_null_out(math.sin)),
    "sqrt": (1, null_in_null_out(math.sqrt)),
    "tan": (1, null_in_null_out(math.tan)),
}
