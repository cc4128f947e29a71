"""The keyword arguments of fields, as type checkers see them."""

from __future__ import annotations

import difflib
import enum
import inspect
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from re import Pattern
from typing import Any, TypedDict

from sqlalchemy import FetchedValue
from sqlalchemy.sql.elements import ColumnElement, TextClause

from orm.expressions.base import Expression, Logical
from orm.fields.validator_functions import ValidatorFunction

Choices = type[enum.Enum] | Iterable[Any] | Callable[[], Iterable[Any]]
ServerDefault = str | Expression[Any] | Logical | TextClause | ColumnElement[Any] | FetchedValue
Number = int | float | Decimal

#: Our name of each option that Django has under another name, for error messages.
DJANGO_NAMES = {
    "null": "allow_null",
    "db_column": "column",
    "db_index": "index",
    "db_default": "server_default",
    "db_comment": "comment",
    "verbose_name": "title",
    "help_text": "description",
}
UNEXPECTED_ARGUMENT = re.compile(r"unexpected keyword argument '(\w+)'")


def unknown_option(error: TypeError, field_class: type) -> str | None:
    """The message about an option that a field does not have, if this is the error of its constructor."""
    match = UNEXPECTED_ARGUMENT.search(str(error))
    if match is None:
        return None
    known = {name for base in field_class.__mro__ for name in inspect.signature(base).parameters}
    known |= FieldOptions.__annotations__.keys()
    close = difflib.get_close_matches(match[1], known - {"self", "args", "kwargs", "options"}, n=1)
    hint = f": did you mean {close[0]!r}?" if close else "."
    return f"orm.{field_class.__name__} has no option {match[1]!r}{hint}"


class FieldOptions(TypedDict, total=False):
    """Options of every field, besides `allow_null`."""

    primary_key: bool
    default: Any
    server_default: ServerDefault | None
    index: bool
    unique: bool
    choices: Choices | None
    column: str | None
    comment: str | None
    title: str
    description: str
    read_only: bool
    validators: Iterable[ValidatorFunction]
    retired: bool


class CoercedOptions(FieldOptions, total=False):
    """Options of a field whose validator converts other types unless `coerce_types=False`."""

    coerce_types: bool


class NumberOptions(CoercedOptions, total=False):
    """Options of a number."""

    minimum: Number | None
    maximum: Number | None
    exclusive_minimum: Number | None
    exclusive_maximum: Number | None
    multiple_of: Number | None
    precision: str | None


class IntegerOptions(NumberOptions, total=False):
    """Options of an integer."""

    autoincrement: bool


class TextOptions(CoercedOptions, total=False):
    """Options of text."""

    allow_blank: bool
    trim_whitespace: bool
    min_length: int | None
    pattern: str | Pattern[str] | None
    format: str | None


class FormattedOptions(CoercedOptions, total=False):
    """Options of a field that forms send as text."""

    allow_blank: bool


class AutoOptions(FormattedOptions, total=False):
    """Options of a date or datetime."""

    auto_now: bool
    auto_now_add: bool
