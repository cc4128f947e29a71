"""`FieldType`: a field of a model as a type of Pydantic's, with the field's own validation and messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema
from pydantic_core import ValidationError as PydanticValidationError
from typesystem import Message, ValidationError

from orm.contrib.pydantic.json_schemas import from_json, integer_range, json_schema, stored_field, to_json
from orm.fields import Field
from orm.fields.json import TypedJSON


class FieldType:
    """The type of a field's values: ``Annotated[str, FieldType(Note._meta.fields["text"])]``.

    Values are validated as `save()` does, with the same messages, and JSON Schema has the field's limits, choices and
    description. With `trusted`, values of the field's Python type are not validated again: they come from the database.
    """

    def __init__(self, field: Field[Any], *, trusted: bool = False) -> None:
        self.field = field
        self.trusted = trusted

    def __repr__(self) -> str:
        return f"FieldType({self.field!r})"

    def validate(self, value: Any) -> Any:
        """The value as the field's Python type. Raises Pydantic's `ValidationError` with the field's messages."""
        try:
            return validated(self.field, value)
        except ValidationError as error:
            raise pydantic_error(self.field.name, error.messages(), value) from None

    def convert(self, value: Any) -> Any:
        """The value as the field's Python type; only its type is checked."""
        field = self.field.underlying_field
        return None if value is None and self.field.allow_null else field.convert(from_json(field, value))

    def serialize(self, value: Any) -> Any:
        """The value as JSON can hold it."""
        return to_json(self.field, value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        check = self.convert if self.trusted else self.validate
        field = self.field.underlying_field
        if isinstance(field, TypedJSON) and field.is_of_pydantic:
            inner = handler.generate_schema(field.python_type)
            return core_schema.no_info_before_validator_function(
                check, core_schema.nullable_schema(inner) if self.field.allow_null else inner
            )
        return core_schema.no_info_plain_validator_function(
            check,
            serialization=core_schema.plain_serializer_function_ser_schema(
                self.serialize, when_used="json-unless-none"
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = json_schema(self.field, handler.mode)
        if schema["type"] == "function-before":
            return {**handler(schema["schema"]), **{key: described[key] for key in described if key != "anyOf"}}
        return described


def validated(field: Field[Any], value: Any) -> Any:
    """A value of a request as the field's Python type. Raises `orm.ValidationError`."""
    converted = field.validator.validate(from_json(field, value))
    if type(converted) is int:
        check_range(field, converted)
    elif type(converted) is str and not converted.isascii():
        check_text(converted)
    return converted


def check_range(field: Field[Any], number: int) -> None:
    """Raise `orm.ValidationError` for an integer that the column cannot hold."""
    smallest, largest = integer_range(stored_field(field)) or (number, number)
    if number > largest:
        raise ValidationError(text=f"Must be less than or equal to {largest}.", code="maximum")
    if number < smallest:
        raise ValidationError(text=f"Must be greater than or equal to {smallest}.", code="minimum")


def check_text(text: str) -> None:
    r"""Raise `orm.ValidationError` for a half of a surrogate pair, which JSON can write (``"\ud800"``)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValidationError(text="Must be valid Unicode.", code="unicode") from None


def pydantic_error(title: str, messages: Sequence[Message], value: Any) -> PydanticValidationError:
    """Our messages as an error of Pydantic's, whose paths begin where `value` is.

    The error has no value that JSON cannot hold, because FastAPI answers the value as well.
    """
    shown = value if is_json(value) else None
    details = [
        InitErrorDetails(
            type=PydanticCustomError(message.code, message.text),
            loc=_location(message),
            input=shown,
        )
        for message in messages
    ]
    return PydanticValidationError.from_exception_data(title, details)


def _location(message: Any) -> tuple[int | str, ...]:
    return tuple(message.index)


def is_json(value: Any) -> bool:
    """Whether a value can be written as JSON: without half of a surrogate pair, NaN, or an object of another type."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True
