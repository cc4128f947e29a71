"""The keyword arguments of fields, as type checkers see them."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from decimal import Decimal
from re import Pattern
from typing import Any, TypedDict

from sqlalchemy.sql.elements import ColumnElement, TextClause

Choices = type[enum.Enum] | Iterable[Any]
ServerDefault = str | TextClause | ColumnElement[Any]
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
