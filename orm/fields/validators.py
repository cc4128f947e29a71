"""Validators of types that typesystem does not have, or validates too narrowly."""

# ruff: noqa: RUF012 - typesystem keeps the messages of a class in its attribute `errors`.

from __future__ import annotations

import base64
import datetime
import enum
import ipaddress
import math
import re
import uuid
from typing import Any, Protocol

import typesystem
from typesystem import ValidationError
from typesystem.formats import TIME_REGEX

from orm.database.storage import fits, to_decimal


class Convertible(Protocol):
    """What `ConvertingValidator` asks of a field."""

    def convert(self, value: Any) -> Any:
        """`value` as the field's Python type."""

    def check_storable(self, value: Any) -> None:
        """Raise `ValidationError` for a value that the field cannot store."""

    def to_json(self, value: Any) -> Any:
        """A value as JSON can hold it."""


class SafeValidator(typesystem.Field):
    """Reports the error "type" where typesystem raises another exception: for infinity, lists, huge numbers."""

    def validate(self, value: Any) -> Any:
        """Return the value. Raises `ValidationError`."""
        try:
            return super().validate(value)
        except (TypeError, ValueError, ArithmeticError):
            raise self.validation_error("type") from None


class ConvertingValidator(typesystem.Any):
    """Whatever the `convert` method of a field accepts."""

    errors = {"null": "May not be null.", "invalid": "Must be a valid {name}."}

    def __init__(self, field: Convertible, **options: Any) -> None:
        super().__init__(**options)
        self.field = field
        self.name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(field).__name__.removesuffix("Field")).lower()

    def validate(self, value: Any) -> Any:
        """Return the converted value. Raises `ValidationError`."""
        if self.allow_null and (value is None or value == ""):
            return None
        if value is None:
            raise self.validation_error("null")
        try:
            converted = self.field.convert(value)
            self.field.check_storable(converted)
            return converted
        except ValidationError:
            raise
        except (TypeError, ValueError, ArithmeticError):
            raise self.validation_error("invalid") from None

    def serialize(self, obj: Any) -> Any:
        """Return the value as JSON can hold it."""
        return None if obj is None else self.field.to_json(obj)


class StringValidator(typesystem.String):
    """Text without NUL characters, which typesystem drops and PostgreSQL cannot store.

    As in Django, a format, a pattern and `min_length` do not refuse the empty text that `allow_blank` allows.
    """

    errors = {**typesystem.String.errors, "null_character": "Must not have NUL characters."}

    def validate(self, value: Any) -> Any:
        """Return the text. Raises `ValidationError`."""
        if isinstance(value, str):
            if "\0" in value:
                raise self.validation_error("null_character")
            if self.allow_blank and not (value.strip() if self.trim_whitespace else value):
                return ""
        return super().validate(value)


class TextValidator(StringValidator, typesystem.Text):
    """Text of any length."""


class EmailValidator(StringValidator, typesystem.Email):
    """An e-mail address."""


class URLValidator(StringValidator, typesystem.URL):
    """A URL."""


class SlugValidator(StringValidator):
    """Letters, digits, hyphens and underscores."""

    errors = {
        **StringValidator.errors,
        "pattern": "Must have only letters, digits, hyphens and underscores.",
    }

    def __init__(self, *, allow_unicode: bool, **options: Any) -> None:
        super().__init__(pattern=re.compile(r"^[-\w]+\Z", 0 if allow_unicode else re.ASCII), **options)


class BooleanValidator(SafeValidator, typesystem.Boolean):
    """True or False."""


class IntegerValidator(SafeValidator, typesystem.Integer):
    """An int."""


class FloatValidator(SafeValidator, typesystem.Float):
    """A float."""


class DecimalValidator(SafeValidator, typesystem.Decimal):
    """A decimal that a column of `max_digits` and `decimal_places` holds without rounding."""

    errors = {
        **typesystem.Decimal.errors,
        "decimal_places": "Must have no more than {decimal_places} decimal places.",
        "max_digits": "Must have no more than {max_digits} digits, {decimal_places} of them decimal places.",
    }

    def __init__(
        self, *, max_digits: int | None, decimal_places: int | None, coerce_types: bool = True, **options: Any
    ) -> None:
        # With coerce_types=False, typesystem would reject decimals, too.
        super().__init__(**options)
        self.converts_text = coerce_types
        self.max_digits = max_digits
        self.decimal_places = decimal_places

    def validate(self, value: Any) -> Any:
        """Return the Decimal; of a float, that of its printed digits. Raises `ValidationError`."""
        if isinstance(value, str) and not self.converts_text:
            raise self.validation_error("type")
        if isinstance(value, float) and math.isfinite(value):
            value = to_decimal(value)
        number = super().validate(value)
        if number is None or fits(number, self.max_digits, self.decimal_places):
            return number
        rounds = self.decimal_places is not None and number.as_tuple().exponent < -self.decimal_places
        raise self.validation_error("decimal_places" if rounds else "max_digits")


class DateValidator(typesystem.Date):
    """A date. A datetime is converted to its date."""

    def validate(self, value: Any) -> Any:
        """Return the date. Raises `ValidationError`."""
        if isinstance(value, datetime.datetime):
            return value.date()
        return super().validate(value)


OFFSET = re.compile(r"Z|[+-]\d{2}(:?\d{2})?", re.IGNORECASE)


def text_after_time(text: str) -> str:
    """What follows the time at the beginning of a text, which typesystem ignores; "" if there is no time."""
    match = TIME_REGEX.match(text)
    return text[match.end() :] if match else ""


class TimeValidator(typesystem.Time):
    """A time of day without a timezone."""

    errors = {
        **typesystem.Time.errors,
        "aware": "Must not have a timezone.",
        "format": "Must be a valid time format.",
    }

    def validate(self, value: Any) -> Any:
        """Return the time. Raises `ValidationError`."""
        time = super().validate(value)
        rest = text_after_time(value) if isinstance(value, str) else ""
        if rest:
            raise self.validation_error("aware" if OFFSET.fullmatch(rest.strip()) else "format")
        if isinstance(time, datetime.time) and time.tzinfo is not None:
            raise self.validation_error("aware")
        return time


#: The format of texts with an offset.
AWARE = "date-time"
typesystem.fields.FORMATS[AWARE] = typesystem.fields.FORMATS["datetime"]


class DateTimeValidator(typesystem.DateTime):
    """An aware datetime, or a naive one."""

    errors = {
        **typesystem.DateTime.errors,
        "naive": (
            "Must have a timezone, such as datetime.now(timezone.utc) has, or an offset such as Z: "
            "the field is declared with timezone=True."
        ),
        "aware": "Must not have a timezone: the field is declared without timezone=True.",
    }

    def __init__(self, *, timezone: bool, **options: Any) -> None:
        super().__init__(**options)
        self.timezone = timezone
        if timezone:
            # An HTML input of the type "datetime" has no offset, and shows nothing for a text that has one.
            self.format = AWARE

    def validate(self, value: Any) -> Any:
        """Return the datetime. Raises `ValidationError`."""
        moment = super().validate(value)
        if isinstance(moment, datetime.datetime):
            if self.timezone and moment.utcoffset() is None:
                raise self.validation_error("naive")
            if not self.timezone and moment.tzinfo is not None:
                raise self.validation_error("aware")
        return moment


class BinaryValidator(typesystem.Any):
    """Bytes."""

    errors = {
        "null": "May not be null.",
        "type": "Must be bytes.",
        "max_length": "Must have no more than {max_length} bytes.",
    }

    def __init__(self, *, max_length: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.max_length = max_length
        self.allow_blank = True  # typesystem's forms read it for inputs that may be empty

    def serialize(self, obj: Any) -> Any:
        """Return the bytes as base64."""
        return None if obj is None else base64.b64encode(obj).decode()

    def from_form(self, text: str) -> Any:
        """The bytes of a base64 text; None for an empty text if null is allowed; other text unchanged."""
        if not text and self.allow_null:
            return None
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:
            return text

    def validate(self, value: Any) -> Any:
        """Return the bytes. Raises `ValidationError`."""
        if value is None and self.allow_null:
            return None
        if value is None:
            raise self.validation_error("null")
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise self.validation_error("type")
        content = bytes(value)
        if self.max_length is not None and len(content) > self.max_length:
            raise self.validation_error("max_length")
        return content


class UUIDValidator(typesystem.UUID):
    """A UUID of any version, or its text."""

    def validate(self, value: Any) -> Any:
        """Return the uuid.UUID. Raises `ValidationError`."""
        if isinstance(value, str):
            try:
                return uuid.UUID(value.strip())
            except ValueError:
                # typesystem has the error message.
                return super().validate(value)
        return super().validate(value)


class IPAddressValidator(typesystem.IPAddress):
    """An IPv4 or IPv6 address, or its text."""

    errors = {**typesystem.IPAddress.errors, "scope": "Must not have a scope."}

    def validate(self, value: Any) -> Any:
        """Return the address. Raises `ValidationError`."""
        if isinstance(value, str):
            try:
                value = ipaddress.ip_address(value.strip())
            except ValueError:
                # typesystem has the error message.
                return super().validate(value)
        if isinstance(value, (ipaddress.IPv4Interface, ipaddress.IPv6Interface)):
            value = value.ip
        if getattr(value, "scope_id", None):
            raise self.validation_error("scope")
        return super().validate(value)


class EnumValidator(typesystem.Choice):
    """A member of an enum, its value or its name."""

    def __init__(self, *, enum_class: type[enum.Enum], **options: Any) -> None:
        labels = [(member.name, str(getattr(member, "label", member.name))) for member in enum_class]
        super().__init__(choices=labels, **options)
        self.enum_class = enum_class

    def validate(self, value: Any) -> Any:
        """Return the member. Raises `ValidationError`."""
        if isinstance(value, self.enum_class):
            return value
        if value is None and self.allow_null:
            return None
        if value is None:
            raise self.validation_error("null")
        member = find_member(self.enum_class, value)
        if member is not None:
            return member
        if value == "":
            if self.allow_null and self.coerce_types:
                return None
            raise self.validation_error("required")
        raise self.validation_error("choice")

    def serialize(self, obj: Any) -> Any:
        """Return the member's name."""
        return obj.name if isinstance(obj, enum.Enum) else obj


def find_member(enum_class: type[enum.Enum], value: Any) -> enum.Enum | None:
    """The member that is `value`, has this value or has this name; None if no member does."""
    if isinstance(value, enum.Enum):
        return value if isinstance(value, enum_class) else None
    candidates = [value]
    # Forms send the values of integer enums as text.
    if isinstance(value, str) and issubclass(enum_class, int) and re.fullmatch(r"-?\d+", value, re.ASCII):
        candidates.append(int(value))
    for candidate in candidates:
        try:
            return enum_class(candidate)
        except (TypeError, ValueError, ArithmeticError):
            continue
    return enum_class.__members__.get(value) if isinstance(value, str) else None


class ArrayValidator(typesystem.Array):
    """A list. A tuple is converted to a list."""

    def validate(self, value: Any) -> Any:
        """Return the list. Raises `ValidationError`."""
        return super().validate(list(value) if isinstance(value, tuple) else value)
