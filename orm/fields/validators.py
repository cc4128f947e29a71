"""Validators of types that typesystem does not have, or validates too narrowly."""

# ruff: noqa: RUF012 - typesystem keeps the messages of a class in its attribute `errors`.

from __future__ import annotations

import datetime
import enum
import ipaddress
import math
import re
import uuid
from decimal import Decimal
from typing import Any, Protocol

import typesystem
from typesystem import Message, ValidationError

from orm.database.storage import fits, to_decimal

WEEK, DAY, HOUR, MINUTE, SECOND = 604_800, 86_400, 3_600, 60, 1
NUMBER = r"(\d+(?:[.,]\d+)?)"
ISO_DURATION = re.compile(
    rf"([-+]?)P(?:{NUMBER}W)?(?:{NUMBER}D)?(?:T(?:{NUMBER}H)?(?:{NUMBER}M)?(?:{NUMBER}S)?)?", re.ASCII
)
CLOCK_DURATION = re.compile(
    rf"(?:(?P<days>[-+]?\d+)(?: days?,)?\s+)?(?P<sign>[-+]?)"
    rf"(?:(?:(?P<hours>\d+):)?(?P<minutes>\d+):)?(?P<seconds>{NUMBER})",
    re.ASCII,
)

#: Types whose values JSON holds unchanged. (A float may be infinite.)
JSON_SCALARS = frozenset({str, int, bool, type(None)})
#: The path of a value in a JSON document: the path of its container (None for the document), and its key or index.
JSONPathSegment = tuple["JSONPathSegment | None", "int | str"]


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


class ConvertingValidator(typesystem.Field):
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
    """Text without NUL characters, which typesystem drops and PostgreSQL cannot store."""

    errors = {**typesystem.String.errors, "null_character": "Must not have NUL characters."}

    def validate(self, value: Any) -> Any:
        """Return the text. Raises `ValidationError`."""
        if isinstance(value, str) and "\0" in value:
            raise self.validation_error("null_character")
        return super().validate(value)


class TextValidator(StringValidator, typesystem.Text):
    """Text of any length."""


class EmailValidator(StringValidator, typesystem.Email):
    """An e-mail address."""


class URLValidator(StringValidator, typesystem.URL):
    """A URL."""


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


class TimeValidator(typesystem.Time):
    """A time of day without a timezone."""

    errors = {**typesystem.Time.errors, "aware": "Must not have a timezone."}

    def validate(self, value: Any) -> Any:
        """Return the time. Raises `ValidationError`."""
        time = super().validate(value)
        if isinstance(time, datetime.time) and time.tzinfo is not None:
            raise self.validation_error("aware")
        return time


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

    def validate(self, value: Any) -> Any:
        """Return the datetime. Raises `ValidationError`."""
        moment = super().validate(value)
        if isinstance(moment, datetime.datetime):
            if self.timezone and moment.utcoffset() is None:
                raise self.validation_error("naive")
            if not self.timezone and moment.tzinfo is not None:
                raise self.validation_error("aware")
        return moment


class DurationValidator(typesystem.Field):
    """A timedelta, or its text."""

    errors = {
        "null": "May not be null.",
        "type": "Must be a duration.",
        "format": "Must be a valid duration format.",
    }

    def validate(self, value: Any) -> Any:
        """Return the timedelta. Raises `ValidationError`."""
        if isinstance(value, datetime.timedelta):
            return value
        if self.allow_null and (value is None or value == ""):
            return None
        if value is None:
            raise self.validation_error("null")
        if not isinstance(value, str):
            raise self.validation_error("type")
        try:
            return parse_duration(value.strip())
        except (ValueError, OverflowError):
            raise self.validation_error("format") from None

    def serialize(self, obj: Any) -> Any:
        """Return ISO 8601 text: `P1DT2H30M`."""
        return None if obj is None else format_duration(obj)


def parse_duration(text: str) -> datetime.timedelta:
    """Parse ISO 8601 (`P1DT2H30M`) or `[days ][[hours:]minutes:]seconds[.fraction]`.

    It reads `str(timedelta)`, too. Raises ValueError, or OverflowError for more than a timedelta holds.
    """
    if iso := ISO_DURATION.fullmatch(text):
        sign, *amounts = iso.groups()
        if text[-1] in "PT":
            raise ValueError("a duration without an amount")
        units = (WEEK, DAY, HOUR, MINUTE, SECOND)
        total = sum((_number(n) * unit for n, unit in zip(amounts, units, strict=True)), Decimal(0))
        return _seconds(-total if sign == "-" else total)
    if clock := CLOCK_DURATION.fullmatch(text):
        days, sign, hours, minutes, seconds = clock.group("days", "sign", "hours", "minutes", "seconds")
        total = _number(hours) * HOUR + _number(minutes) * MINUTE + _number(seconds)
        return _seconds(int(days or 0) * DAY + (-total if sign == "-" else total))
    raise ValueError("not a duration")


def _number(text: str | None) -> Decimal:
    return Decimal((text or "0").replace(",", "."))


def _seconds(total: Decimal) -> datetime.timedelta:
    return datetime.timedelta(microseconds=int(total * 1_000_000))


def format_duration(duration: datetime.timedelta) -> str:
    """The ISO 8601 text of a timedelta, which `parse_duration` reads back."""
    sign = "-" if duration < datetime.timedelta(0) else ""
    duration = abs(duration)
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{duration.microseconds:06}".rstrip("0") if duration.microseconds else ""
    return f"{sign}P{duration.days}DT{hours:02}H{minutes:02}M{seconds:02}{fraction}S"


class BinaryValidator(typesystem.Field):
    """Bytes."""

    errors = {
        "null": "May not be null.",
        "type": "Must be bytes.",
        "max_length": "Must have no more than {max_length} bytes.",
    }

    def __init__(self, *, max_length: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.max_length = max_length

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


class JSONValidator(typesystem.Field):
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


class ArrayValidator(typesystem.Array):
    """A list. A tuple is converted to a list."""

    def validate(self, value: Any) -> Any:
        """Return the list. Raises `ValidationError`."""
        return super().validate(list(value) if isinstance(value, tuple) else value)
