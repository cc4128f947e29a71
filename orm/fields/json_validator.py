"""The validator of JSON, and the classes whose text is JSON, which forms show."""

# ruff: noqa: RUF012 - typesystem keeps the messages of a class in its attribute `errors`.

from __future__ import annotations

import json
import math
from typing import Any

import typesystem
from typesystem import Message, ValidationError

#: Types whose values JSON holds unchanged. (A float may be infinite.)
JSON_SCALARS = frozenset({str, int, bool, type(None)})
#: The path of a value in a JSON document: the path of its container (None for the document), and its key or index.
JSONPathSegment = tuple["JSONPathSegment | None", "int | str"]


class JSONText:
    """A part of a JSON document whose `str()` is JSON, so that a form shows a text that it can read back."""

    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False)


class JSONDict(JSONText, dict[str, Any]):
    """An object."""


class JSONList(JSONText, list[Any]):
    """A list."""


class JSONString(JSONText, str):
    """A text."""

    def __str__(self) -> str:
        return json.dumps(str.__str__(self), ensure_ascii=False)


PRINTED: dict[type, type] = {dict: JSONDict, list: JSONList, str: JSONString}
#: JSON's constants as `str()` of Python shows them: bool and None cannot have subclasses that show JSON.
PYTHON_CONSTANTS = {"True": True, "False": False}


class JSONValidator(typesystem.Any):
    """A value that JSON round-trips: nested dicts with text keys, lists, text, numbers, booleans and None."""

    errors = {
        "null": "May not be null.",
        "type": "Must be a JSON value.",
        "finite": "Must be finite.",
        "invalid_key": "All object keys must be strings.",
        "depth": "Must not be nested so deep.",
    }

    def validate(self, value: Any) -> Any:
        """Return a copy with lists in place of tuples. Raises `ValidationError`."""
        if value is None and self.allow_null:
            return None
        if value is None:
            raise self.validation_error("null")
        messages: list[Message] = []
        try:
            copied = self._copy(value, None, messages)
        except RecursionError:
            raise self.validation_error("depth") from None
        if messages:
            raise ValidationError(messages=messages)
        return copied

    def serialize(self, obj: Any) -> Any:
        """Return the value in a class whose `str()` is JSON."""
        printed = PRINTED.get(type(obj))
        return obj if printed is None else printed(obj)

    def from_form(self, text: str) -> Any:
        """The value of a JSON text; an object that fails validation if the text is not JSON."""
        if text in PYTHON_CONSTANTS:
            return PYTHON_CONSTANTS[text]
        if not text.strip():
            return None
        try:
            return json.loads(text)
        except ValueError:
            return object()

    def _copy(self, value: Any, path: JSONPathSegment | None, messages: list[Message]) -> Any:
        code = "type"
        if isinstance(value, dict):
            if all(isinstance(key, str) for key in value):
                return {
                    key: item if type(item) in JSON_SCALARS else self._copy(item, (path, key), messages)
                    for key, item in value.items()
                }
            code = "invalid_key"
        elif isinstance(value, (list, tuple)):
            return [
                item if type(item) in JSON_SCALARS else self._copy(item, (path, i), messages)
                for i, item in enumerate(value)
            ]
        elif isinstance(value, float):
            if math.isfinite(value):
                return value
            code = "finite"
        elif isinstance(value, (str, int)):
            return value
        messages.append(Message(text=self.get_error_text(code), code=code, index=index_of(path)))
        return None


def index_of(path: JSONPathSegment | None) -> list[int | str]:
    """The keys and indexes of a path, from the document down."""
    index: list[int | str] = []
    while path is not None:
        path, key = path
        index.append(key)
    return index[::-1]
