"""Filters: query parameters that are declared by the lookups of a model, and what their values are."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import AfterValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from typesystem import ValidationError

from orm.contrib.pydantic.field_types import FieldType, is_json
from orm.contrib.pydantic.json_schemas import from_json, json_schema, stored_field
from orm.exceptions import FieldError, NoMatch, QueryError
from orm.fields import DateTime
from orm.models import Model
from orm.query.paths import split_path
from orm.query.terms.base import PathTerm
from orm.query.terms.transforms import split_lookup, with_steps
from orm.queryset.queryset import QuerySet

R = TypeVar("R")

#: The lookups whose value is text, of fields of any type.
TEXT_LOOKUPS = frozenset(
    {
        *("contains", "icontains", "startswith", "istartswith", "endswith", "iendswith"),
        *("iexact", "regex", "iregex"),
    }
)
REGEX_LOOKUPS = frozenset({"regex", "iregex"})
NOT_AN_EXPRESSION = "Must be a regular expression of the database."
#: What JSON Schema says of the values of a field, and not of what they are compared with.
LIMITS = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"),
        *("pattern", "title"),
    }
)


class FilterType(FieldType):
    """The type of the values that a field is compared with: the type of the field, without its limits."""

    def validate(self, value: Any) -> Any:
        """The value as the field's Python type. Raises Pydantic's error for one of another type."""
        stored = stored_field(self.field)
        if isinstance(stored, DateTime) and stored.timezone:
            return comparable(super().validate(value))  # a moment without a timezone is refused, as in a body
        try:
            if not (stored.is_number and isinstance(value, str) and has_odd_digits(value)):
                return comparable(self.field.to_python(from_json(self.field, value)))
        except (FieldError, QueryError, ValidationError):
            pass
        text: Any = f"Must be a valid {stored.family or 'value'}."
        raise PydanticCustomError("type", text)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = json_schema(self.field, "serialization")
        described = next((each for each in described.get("anyOf", ()) if each != {"type": "null"}), described)
        return {key: value for key, value in described.items() if key not in LIMITS}


class KeyType(FilterType):
    """The type of a primary key in a path. Each row has one path: ``/album/1_0`` is not that of the row 10."""

    def validate(self, value: Any) -> Any:
        """The key. Raises `NoMatch` for a number that is not written in ASCII digits."""
        if stored_field(self.field).is_number and isinstance(value, str) and has_odd_digits(value):
            raise NoMatch
        return super().validate(value)


def has_odd_digits(text: str) -> bool:
    """Whether Python reads a number from the text that an API does not write so: ``1_0``, ``٣`` or one with spaces."""
    return "_" in text or not text.isascii() or text != text.strip()


def comparable(value: Any) -> Any:
    """The value, if a database can compare it.

    It has no infinite number, no NUL character, valid Unicode, and a moment that is between the years 1 and 9999.
    """
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        try:
            value.astimezone(datetime.timezone.utc)
        except OverflowError:
            raise PydanticCustomError("years", "Must be between the years 1 and 9999 in UTC.") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("finite", "Must be finite.")
    if isinstance(value, str) and ("\0" in value or not is_json(value)):
        raise PydanticCustomError("null_character", "Must not have NUL characters.")
    return value


FilterText = Annotated[str, AfterValidator(comparable)]


class Filters:
    """The filters that a request has: the value of the dependency `filters_of()`."""

    def __init__(self, lookups: dict[str, Any]) -> None:
        self.lookups = lookups

    def of(self, rows: QuerySet[Any, R]) -> QuerySet[Any, R]:
        """The rows that the filters let through."""
        return rows.filter(**self.lookups) if self.lookups else rows


class FilterParameter(NamedTuple):
    """A query parameter that is a lookup of a model."""

    name: str
    #: Its type, for Pydantic.
    annotation: Any
    #: Whether it is repeated in a URL: ``?id__in=1&id__in=2``.
    repeats: bool
    description: str | None


def filter_parameter(model: type[Model], name: str) -> FilterParameter:
    """The query parameter of a lookup. Raises `FieldError` if the model does not have it."""
    path, rest = split_path(model._meta, name, "a filter")
    steps, lookup = split_lookup(path.field, rest)
    item: Any = Annotated[Any, FilterType(with_steps(PathTerm(path), steps).field)]
    description = path.field.validator.description or None
    if lookup.name == "isnull":
        return FilterParameter(name, bool, False, description)
    if lookup.name in TEXT_LOOKUPS:
        return FilterParameter(name, FilterText, False, description)
    if lookup.name == "range":
        return FilterParameter(name, Annotated[list[item], Field(min_length=2, max_length=2)], True, description)
    if lookup.name == "in":
        return FilterParameter(name, list[item], True, description)
    return FilterParameter(name, item, False, description)


def expressions_of(lookups: Mapping[str, Any]) -> dict[str, str]:
    """Those of these lookups that are regular expressions. Only the database knows which texts are one."""
    return {name: value for name, value in lookups.items() if name.rpartition("__")[2] in REGEX_LOOKUPS}


def refused_expressions(texts: Mapping[str, str]) -> dict[str, str]:
    """What of a query that the database refused is no regular expression: what Python cannot read either, or all."""
    return {name: text for name, text in texts.items() if not _is_expression(text)} or dict(texts)


def _is_expression(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True
