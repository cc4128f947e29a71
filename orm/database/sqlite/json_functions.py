"""JSON in SQLite: SQL that asks SQLite's own functions, and Python (see python_functions.py) for what they cannot do.

Python is called for:

- keys that JSON may write with an escape, because SQLite compares keys as they are written (see `encode_path`);
- documents that contain ``\\u``, for the same reason, and because SQLite's strings end at ``\\u0000``;
- numbers beyond 64 bits, which SQLite rounds;
- arrays and objects, so that their text has one form.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable

# What is written several times must cost nothing: a column.
COLUMN = re.compile(r'(\w+|"[^"]+")(\.(\w+|"[^"]+"))*')
MAY_BE_ESCAPED = re.compile(r'["\\/\x00-\x1f]')


@functools.lru_cache(maxsize=256)
def encode_path(keys: tuple[str, ...]) -> str:
    """The keys as a path of SQLite's; as a JSON array, which Python takes, if JSON may write one with an escape."""
    if any(map(MAY_BE_ESCAPED.search, keys)):
        return json.dumps(keys)
    return "$" + "".join(f'."{key}"' for key in keys)


@functools.lru_cache(maxsize=256)
def decode_path(path: str) -> list[str]:
    """The keys of `encode_path`."""
    keys: list[str] = path[3:-1].split('"."') if path.startswith("$") else json.loads(path)
    return keys


class JSONPathSQL(str):
    """SQL of the value at a path in a document: a number, or the JSON text of anything else.

    The functions below read the attributes, to ask for no more than they need.

    Attributes:
        document: The column.
        paths: The path in SQLite's syntax. A number is an index or a key, so there may be two; at most one exists.
        arguments: The parts of the path that `encode_path` made.
        python: SQL of the value that calls Python.
    """

    document: str
    paths: tuple[str, ...]
    arguments: tuple[str, ...]
    python: str

    def __new__(cls, document: str, paths: tuple[str, ...], arguments: tuple[str, ...], python: str) -> JSONPathSQL:
        """Write the SQL."""
        parts = str.__new__(cls)
        parts.document, parts.paths, parts.arguments, parts.python = document, paths, arguments, python
        path = str.__new__(cls, parts.scalar_or(python))
        path.__dict__.update(parts.__dict__)
        return path

    @property
    def type(self) -> str:
        """SQL of the value's type; NULL if there is no value."""
        return self._at_path("JSON_TYPE")

    @property
    def value(self) -> str:
        """SQL of the value: a text without quotes, a number; useless for other types."""
        return self._at_path("JSON_EXTRACT")

    @property
    def for_python(self) -> str:
        """SQL of whether the value has to be read in Python."""
        tests = [f"{argument} >= '['" for argument in self.arguments]
        return " OR ".join([*tests, f"INSTR({self.document}, '\\u')"])

    def _at_path(self, function: str) -> str:
        calls = [f"{function}({self.document}, {path})" for path in self.paths]
        return calls[0] if len(calls) == 1 else f"COALESCE({', '.join(calls)})"

    def scalar_or(self, other: str) -> str:
        """SQL of a scalar as a number or JSON text; `other` if it is none, or has to be read in Python."""
        number = f"IIF({self.value} BETWEEN -9e18 AND 9e18, {self.value}, {other})"
        return (
            f"CASE IIF({self.for_python}, NULL, COALESCE({self.type}, 'missing')) WHEN 'missing' THEN NULL "
            f"WHEN 'text' THEN JSON_QUOTE({self.value}) WHEN 'integer' THEN {number} WHEN 'real' THEN {number} "
            f"WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' WHEN 'null' THEN 'null' ELSE {other} END"
        )


def python_call(function: str, *arguments: str) -> str:
    """A call of a function that needs Python anyway."""
    values = [argument.python if isinstance(argument, JSONPathSQL) else argument for argument in arguments]
    return f"{function}({', '.join(values)})"


def _start(value: str) -> JSONPathSQL | None:
    """A value as the start of a path; None if it is neither at a path nor a column."""
    if isinstance(value, JSONPathSQL):
        return value
    return JSONPathSQL(value, ("'$'",), (), value) if COLUMN.fullmatch(value) else None


def json_at(value: str, keys: str) -> str:
    """The value under the keys that are bound as `keys`."""
    start, python = _start(value), python_call("orm_json_at", value, keys)
    if start is None:
        return python
    paths = tuple(f"{path} || SUBSTR({keys}, 2)" for path in start.paths)
    return JSONPathSQL(start.document, paths, (*start.arguments, keys), python)


def json_item(value: str, number: str) -> str:
    """The value at a number: an item of an array, or what an object has under that key."""
    start, python = _start(value), python_call("orm_json_at", value, f"JSON_ARRAY({number})")
    if start is None or len(start.paths) > 1:
        return python
    (path,), index = start.paths, f"CAST({number} AS INTEGER)"
    item = f"{path} || '[' || IIF({index} < 0, '#', '') || {index} || ']'"
    member = f"""{path} || '."' || {number} || '"'"""
    return JSONPathSQL(start.document, (item, member), start.arguments, python)


def by_type(native: str, python: str) -> Callable[[str], str]:
    """A function of a JSON value, as SQL of its ``{type}`` and ``{value}``, and as SQL for what is left to Python.

    `native` may contain the latter as ``{python}``; in `python`, ``{0}`` is the value.
    """

    def function(value: str) -> str:
        if not isinstance(value, JSONPathSQL):
            return python.format(value)
        call = python.format(value.python)
        return f"IIF({value.for_python}, {call}, {native.format(type=value.type, value=value.value, python=call)})"

    return function


def json_key(value: str) -> str:
    """A value in a form that is the same for equal values: a number, or the JSON text of anything else."""
    return value.scalar_or(f"orm_json({value.python})") if isinstance(value, JSONPathSQL) else f"orm_json({value})"


def json_in(value: str, values: str) -> str:
    """Whether a value equals one of a list, each item of which is a list of one value."""
    return f"{json_key(value)} IN (SELECT orm_json_first(value) FROM JSON_EACH({values}))"
