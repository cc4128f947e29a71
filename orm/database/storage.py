"""How a database stores each type of column: `StorageTypes`, the portable answers, and the conversions they use.

Databases that can do better, or that need other values, have a subclass in `orm/database/<dialect>/storage.py`,
which is the `storage` of their `Dialect`.
"""

from __future__ import annotations

import datetime
import enum
import ipaddress
import json
import math
import operator
import uuid
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, NamedTuple

from sqlalchemy import types as sqltypes
from sqlalchemy.types import TypeEngine

from orm.exceptions import DataError, NotSupportedError
from orm.utils.codegen import Inline, function_of

Process = Callable[[Any], Any]
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

UTC = datetime.timezone.utc
MICROSECOND = datetime.timedelta(microseconds=1)
#: Rounds decimals of any length as PostgreSQL and MySQL do. (The default context has 28 digits.)
EXACT = Context(prec=2000, rounding=ROUND_HALF_UP)
#: Enum columns are at least this long, so that a new member seldom needs a migration.
MIN_ENUM_LENGTH = 32


class UnstorableValue(ValueError):
    """The database cannot store a value; the message says why, without the value."""


class Storage(NamedTuple):
    """How one database stores one type of column."""

    sql_type: TypeEngine[Any]
    #: From the Python value to the driver's; None if the driver takes the Python value.
    bind: Process | None = None
    #: From the driver's value to the Python value; None if the driver returns the Python value.
    result: Process | None = None


class StorageTypes:
    """Portable storage, which works with any SQL database and driver."""

    def integer(self, bits: int, primary_key: bool) -> Storage:
        return Storage(integer_type(bits), bind_integer(bits))

    def float(self) -> Storage:
        return Storage(sqltypes.Double(), bind_finite_float)

    def decimal(self, max_digits: int | None, decimal_places: int | None) -> Storage:
        return Storage(sqltypes.Numeric(max_digits, decimal_places), bind_decimal(max_digits, decimal_places))

    def boolean(self) -> Storage:
        return Storage(sqltypes.Boolean(), None, as_bool)

    def string(self, length: int | None) -> Storage:
        return Storage(sqltypes.String(length), bind_text)

    def text(self) -> Storage:
        return Storage(sqltypes.Text(), bind_text)

    def regular_expression(self) -> Storage:
        return self.text()

    def citext(self) -> Storage:
        raise NotSupportedError(
            "Only PostgreSQL has a type of text that ignores case: declare orm.String(), and compare with __iexact or "
            'by Lower("…").'
        )

    def date(self) -> Storage:
        return Storage(sqltypes.Date())

    def time(self) -> Storage:
        return Storage(sqltypes.Time())

    def compared_time(self) -> Storage:
        """Storage of a value that is compared with a time."""
        return self.time()

    def datetime(self, timezone: bool) -> Storage:
        if timezone:
            return Storage(sqltypes.DateTime(), aware_to_naive_utc, naive_utc_to_aware)
        return Storage(sqltypes.DateTime(), bind_naive)

    def duration(self) -> Storage:
        return Storage(sqltypes.BigInteger(), duration_to_microseconds, microseconds_to_duration)

    def json(self) -> Storage:
        return Storage(sqltypes.Text(), json_to_text, text_to_json)

    def binary(self, length: int | None) -> Storage:
        return Storage(sqltypes.LargeBinary(length))

    def binary_literal(self, value: bytes) -> str:
        """Bytes in SQL: SQLAlchemy would write a text, which is not equal to them, or has other bytes."""
        return f"X'{value.hex()}'"

    def uuid(self) -> Storage:
        return Storage(sqltypes.CHAR(32), uuid_to_hex, hex_to_uuid)

    def ip(self) -> Storage:
        return Storage(sqltypes.String(45), ip_to_text, text_to_ip)

    def enum(self, enum_class: type[enum.Enum], by_value: bool) -> Storage:
        if issubclass(enum_class, int):
            bits = enum_bits(enum_class)
            return Storage(integer_type(bits), bind_enum_value(bits), value_to_enum(enum_class))
        texts = enum_texts(enum_class, by_value)
        return Storage(
            self.enum_text(enum_length(texts)),
            enum_to_value if by_value else enum_to_name,
            text_to_enum(enum_class, texts, by_value),
        )

    def enum_text(self, length: int) -> TypeEngine[str]:
        """The SQL type of an enum's names or values."""
        return sqltypes.String(length)

    def range(self, kind: str, item: Storage) -> Storage:
        """Storage of ranges of items; `kind` is PostgreSQL's name of their type."""
        raise NotSupportedError("Only PostgreSQL has ranges: keep the two bounds in fields of their own.")

    def interval(self) -> Storage:
        """Storage of months, days and a time."""
        raise NotSupportedError("Only PostgreSQL has intervals with months: use orm.Duration(), or orm.JSON().")

    def hstore(self) -> Storage:
        """Storage of dicts of texts."""
        raise NotSupportedError("Only PostgreSQL has hstore: use orm.JSON() for the column.")

    def array(self, item: Storage, what: str) -> Storage:
        """Storage of lists of items. `what` names items that are "JSON" or "bytes"; it is "" for others."""
        return Storage(sqltypes.ARRAY(item.sql_type), each(item.bind), each(item.result))


# Integers


def integer_type(bits: int) -> TypeEngine[int]:
    """SQLAlchemy's integer type of 16, 32 or 64 bits."""
    if bits == 16:
        return sqltypes.SmallInteger()
    return sqltypes.Integer() if bits == 32 else sqltypes.BigInteger()


def bind_integer(bits: int) -> Process:
    """A conversion that refuses integers which do not fit in `bits` bits."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    def bind(value: Any) -> int | None:
        if value is None:
            return None
        # The drivers for MySQL do not take subclasses of int.
        number: int = value if type(value) is int else int(operator.index(value))
        if low <= number <= high:
            return number
        raise UnstorableValue(f"Must be between {low} and {high}: the column has {bits} bits.")

    return Inline(f"{{v}} if type({{v}}) is int and {low} <= {{v}} <= {high} else {{bind}}({{v}})", bind=bind)


# Decimals and floats


def fits(value: Decimal, max_digits: int | None, decimal_places: int | None) -> bool:
    """Whether NUMERIC(max_digits, decimal_places) holds the value without rounding it.

    NUMERIC without them holds every finite value.
    """
    if max_digits is None or decimal_places is None or not value:
        return value.is_finite()
    if not value.is_finite() or value.adjusted() >= max_digits - decimal_places:
        return False
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return exponent >= -decimal_places or value == round_to(value, decimal_places)


def round_to(value: Decimal, decimal_places: int) -> Decimal:
    """The value with exactly `decimal_places` digits after the point."""
    return value.quantize(Decimal(1).scaleb(-decimal_places), context=EXACT)


def to_decimal(value: Any) -> Decimal:
    """A number as a Decimal; a float as the digits that it prints."""
    if isinstance(value, Decimal):
        return value
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def bind_decimal(max_digits: int | None, decimal_places: int | None) -> Process:
    """A conversion that refuses decimals which NUMERIC(max_digits, decimal_places) would round, or could not hold."""

    def bind(value: Any) -> Decimal | None:
        if value is None:
            return None
        number = to_decimal(value)
        if fits(number, max_digits, decimal_places):
            return number
        if not number.is_finite():
            raise UnstorableValue("Must be finite.")
        raise UnstorableValue(f"Must have no more than {max_digits} digits, {decimal_places} of them after the point.")

    test, names = fits_source(max_digits, decimal_places)
    return Inline(f"{{v}} if type({{v}}) is {{Decimal}} and {test} else {{bind}}({{v}})", bind=bind, **names)


def fits_source(max_digits: int | None, decimal_places: int | None) -> tuple[str, dict[str, Any]]:
    """`fits` as the source of an `Inline`, and the names in it. It may reject values that fit."""
    names: dict[str, Any] = {"Decimal": Decimal}
    test = "{v}.is_finite()"
    if max_digits is not None and decimal_places is not None:
        high = Decimal(1).scaleb(max_digits - decimal_places)
        names |= {"low": -high, "high": high, "unit": Decimal(1).scaleb(-decimal_places), "quantize": EXACT.quantize}
        test += " and {low} < {v} < {high} and {quantize}({v}, {unit}) == {v}"
    return test, names


def _bind_finite_float(value: Any) -> float | None:
    if value is None:
        return None
    if math.isfinite(value):
        return float(value)
    raise UnstorableValue("Must be finite.")


#: Refuses NaN and infinities, which SQL has no standard way to store. Minus themselves they are NaN, and not 0.
bind_finite_float = Inline("{v} if type({v}) is float and {v} - {v} == 0.0 else {bind}({v})", bind=_bind_finite_float)
#: From a driver's 0 or 1 to a bool.
as_bool = Inline("None if {v} is None else not not {v}")


# Text


def _bind_text(value: Any) -> Any:
    if value is None or value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnstorableValue("Must not have lone surrogates: it is no valid Unicode text.") from None
    return value


#: Refuses text that is not valid Unicode (lone surrogates).
bind_text = Inline("{v} if {v} is None or {v}.isascii() else {bind}({v})", bind=_bind_text)


# Dates and times


def _bind_naive(value: Any) -> Any:
    if value is None or value.tzinfo is None:
        return value
    raise UnstorableValue("Must not have a timezone: the column is declared without `timezone=True`.")


#: Refuses datetimes with a timezone, which the column would drop.
bind_naive = Inline("{v} if {v} is None or {v}.tzinfo is None else {bind}({v})", bind=_bind_naive)


def require_aware(value: datetime.datetime) -> datetime.datetime:
    """Refuse datetimes without a timezone."""
    if value.utcoffset() is None:
        raise UnstorableValue("Must have a timezone: the column is declared with `timezone=True`.")
    return value


def to_utc(value: datetime.datetime) -> datetime.datetime:
    """The same instant in UTC. Refused if its year in UTC is not between 1 and 9999."""
    try:
        return require_aware(value).astimezone(UTC)
    except OverflowError:
        raise UnstorableValue("Must be between the years 1 and 9999 in UTC.") from None


aware_to_naive_utc = Inline("None if {v} is None else {to_utc}({v}).replace(tzinfo=None)", to_utc=to_utc)
naive_utc_to_aware = Inline("None if {v} is None else {v}.replace(tzinfo={UTC})", UTC=UTC)


def duration_to_microseconds(value: Any) -> int | None:
    """A timedelta as whole microseconds. Refused if they take more than 64 bits."""
    if value is None:
        return None
    microseconds: int = value // MICROSECOND
    if -(1 << 63) <= microseconds < 1 << 63:
        return microseconds
    raise UnstorableValue("Must be within 292471 years: durations are kept as 64-bit microseconds.")


microseconds_to_duration = Inline("None if {v} is None else {timedelta}(0, 0, int({v}))", timedelta=datetime.timedelta)


# JSON


# Non-ASCII characters stay readable (and searchable).
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(", ", ": ")).encode
_decoder = json.JSONDecoder()


def json_to_text(value: Any) -> str | None:
    """JSON text."""
    if value is None:
        return None
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnstorableValue(f"Must be valid JSON: {error}") from None
    return str(bind_text(text))


def decode_json(text: str) -> Any:
    """`json.loads` without skipping whitespace around the value, which databases do not add: it takes half the time."""
    try:
        value, end = _decoder.raw_decode(text)
    except ValueError:
        return _decoder.decode(text)
    return value if end == len(text) else _decoder.decode(text)


def _text_to_json(value: Any) -> Any:
    # A column of NUMERIC affinity (created by older releases) may hold numbers.
    return json.loads(value) if isinstance(value, (str, bytes)) else value


text_to_json = Inline("{decode}({v}) if type({v}) is str else {read}({v})", decode=decode_json, read=_text_to_json)


# UUIDs and addresses


def make_uuid(number: int) -> uuid.UUID:
    """The UUID of a number. The checks of `uuid.UUID`, which take most of its time, are left out."""
    instance = new_object(uuid.UUID)
    set_attribute(instance, "int", number)
    set_attribute(instance, "is_safe", uuid.SafeUUID.unknown)
    return instance


new_object = object.__new__
set_attribute = object.__setattr__  # uuid.UUID.__setattr__ raises

uuid_to_hex = Inline("None if {v} is None else '%032x' % {v}.int")
hex_to_uuid = Inline(
    "None if {v} is None else {make}(int({v}, 16)) if {v}.isalnum() and len({v}) == 32 else {UUID}({v})",
    make=make_uuid,
    UUID=uuid.UUID,
)


def _refuse_uuid(value: Any) -> uuid.UUID:
    raise DataError(
        "UUIDs are compared as texts here, so they are written as 32 digits: change them with an UPDATE, or declare a "
        "field of your own that is stored as text."
    )


#: Accepts 32 digits only: the server compares UUIDs as text, and would not find one with dashes.
digits_to_uuid = Inline(
    "None if {v} is None else {make}(int({v}, 16)) if len({v}) == 32 and {v}.isalnum() else {refuse}({v})",
    make=make_uuid,
    refuse=_refuse_uuid,
)


def ip_to_text(value: Any) -> str | None:
    return None if value is None else str(value)


def text_to_ip(value: Any) -> IPAddress | None:
    return None if value is None else ipaddress.ip_address(value)


# Enums


def enum_texts(enum_class: type[enum.Enum], by_value: bool) -> dict[str, enum.Enum]:
    """The members by what is stored of them: their names, those of aliases too, or their values."""
    return {member.value: member for member in enum_class} if by_value else dict(enum_class.__members__)


def enum_length(texts: Iterable[str]) -> int:
    """The length of a column for what is stored of an enum's members."""
    return max([MIN_ENUM_LENGTH, *map(len, texts)])


def enum_bits(enum_class: type[enum.Enum]) -> int:
    """32, or 64 if the values of an integer enum need it."""
    return 64 if any(abs(member.value) >= 1 << 31 for member in enum_class) else 32


enum_to_name = Inline("None if {v} is None else {v}._name_")


enum_to_value = Inline("None if {v} is None else {v}._value_")


def text_to_enum(enum_class: type[enum.Enum], members: dict[str, enum.Enum], by_value: bool) -> Process:
    """A function from a stored name or value to the member."""
    what = "value" if by_value else "name"

    def result(value: Any) -> enum.Enum | None:
        if value is None:
            return None
        try:
            return members[value]
        except KeyError:
            raise DataError(
                f"{_shown(value)} is not the {what} of a member of {enum_class.__qualname__}: if a member was renamed, "
                f"add {'a member with that value' if by_value else 'an alias with that name'} to the class, or change "
                "the rows with an UPDATE."
            ) from None

    return Inline("{members}.get({v}) or {result}({v})", members=members, result=result)


def _shown(value: Any) -> str:
    """A stored name or value of an enum's member, for messages."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def bind_enum_value(bits: int) -> Process:
    """A function from a member of an integer enum to the stored integer."""
    return Inline("None if {v} is None else {bind}(int({v}))", bind=function_of(bind_integer(bits)))


def value_to_enum(enum_class: type[enum.Enum]) -> Process:
    """A function from a stored integer to the member; flags may be combined."""

    members = {member.value: member for member in enum_class}

    def result(value: Any) -> enum.Enum | None:
        if value is None:
            return None
        try:
            return enum_class(value)
        except ValueError:
            raise DataError(
                f"{_shown(value)} is not the value of a member of {enum_class.__qualname__}: add a member with that "
                "value to the class, or change the rows with an UPDATE."
            ) from None

    return Inline("{members}[{v}] if {v} in {members} else {result}({v})", members=members, result=result)


# Arrays


def limit(bind: Process | None, length: int) -> Process:
    """A conversion that refuses text which is too long; the cast of PostgreSQL's array parameters would truncate it."""

    convert = function_of(bind)

    def bind_limited(value: Any) -> Any:
        stored = value if convert is None else convert(value)
        if stored is not None and len(stored) > length:
            raise UnstorableValue(f"Must have no more than {length} characters.")
        return stored

    return bind_limited


def each(process: Process | None) -> Process | None:
    """A conversion of lists from a conversion of their items."""
    if process is None:
        return None
    item = function_of(process)
    return lambda values: None if values is None else [item(value) for value in values]
