"""How PostgreSQL stores values, through asyncpg.

Parameters are cast (`$1::BIGINT`), so that the server need not infer their types. Those of enums are not: the columns
are VARCHAR, or native enums in databases created by older releases, and an uncast parameter fits both.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from decimal import Decimal
from functools import cache
from importlib import import_module
from typing import Any

from sqlalchemy import types as sqltypes
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from orm.database.postgresql.hstore import hstore_text, hstore_value
from orm.database.storage import (
    UTC,
    IPAddress,
    Process,
    Storage,
    StorageTypes,
    UnstorableValue,
    bind_naive,
    bind_text,
    decode_json,
    each,
    json_to_text,
    limit,
    make_uuid,
    round_to,
    to_utc,
)
from orm.exceptions import DataError
from orm.utils.codegen import Inline, function_of
from orm.utils.period import MICROSECOND, Period
from orm.utils.ranges import Range

#: A JSON string, or a number that is written with a positive exponent.
STRING_OR_LARGE_FLOAT = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?e\+\d+')
NUL_REFUSED = "Must not have NUL characters on PostgreSQL."
ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class CastINET(postgresql.INET):
    """INET whose parameters are cast."""

    render_bind_cast = True


class CastBYTEA(postgresql.BYTEA):
    """BYTEA whose parameters are cast."""

    render_bind_cast = True


def _cast(range_type: type[TypeEngine[Any]]) -> type[TypeEngine[Any]]:
    """A type of ranges whose parameters are cast."""
    return type(f"Cast{range_type.__name__}", (range_type,), {"render_bind_cast": True})


RANGE_TYPES = {
    each.__name__.lower(): _cast(each)
    for each in (
        *(postgresql.INT4RANGE, postgresql.INT8RANGE, postgresql.NUMRANGE),
        *(postgresql.DATERANGE, postgresql.TSRANGE, postgresql.TSTZRANGE),
    )
}


class CastHSTORE(postgresql.HSTORE):
    """HSTORE whose parameters are cast."""

    render_bind_cast = True

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"  # without the type of its texts, as migrations write it


class CastCITEXT(postgresql.CITEXT):
    """CITEXT whose parameters are cast."""

    render_bind_cast = True


class UncastString(sqltypes.String):
    """VARCHAR whose parameters are not cast.

    The server infers their type from what they are compared with or written to: the column may be a CITEXT, or have an
    ENUM type of the server.
    """

    def adapt(self, cls: Any, **kw: Any) -> Any:
        # Otherwise the dialect would replace it by its own string type, which is cast.
        return UncastString(self.length)


class UncastText(sqltypes.Text):
    """TEXT whose parameters are not cast, like those of `UncastString`."""

    def adapt(self, cls: Any, **kw: Any) -> Any:
        return UncastText()


class PostgreSQLTypes(StorageTypes):
    """Storage on PostgreSQL."""

    def float(self) -> Storage:
        return Storage(postgresql.DOUBLE_PRECISION(), as_float)

    def decimal(self, max_digits: int | None, decimal_places: int | None) -> Storage:
        storage = super().decimal(max_digits, decimal_places)
        return storage if decimal_places else storage._replace(result=written_out)

    def boolean(self) -> Storage:
        return Storage(sqltypes.Boolean())

    def string(self, length: int | None) -> Storage:
        return Storage(UncastString(length), bind_text_without_nul)

    def text(self) -> Storage:
        return Storage(UncastText(), bind_text_without_nul)

    def citext(self) -> Storage:
        return Storage(CastCITEXT(), bind_text_without_nul)

    def datetime(self, timezone: bool) -> Storage:
        if timezone:
            return Storage(sqltypes.DateTime(timezone=True), aware_to_utc, infinity_to_aware)
        return Storage(sqltypes.DateTime(), bind_naive)

    def duration(self) -> Storage:
        return Storage(postgresql.INTERVAL(), None, without_months)

    def interval(self) -> Storage:
        return Storage(postgresql.INTERVAL(), None, interval_to_period)

    def json(self) -> Storage:
        return Storage(postgresql.JSONB(), json_to_jsonb, jsonb_to_json)

    def binary(self, length: int | None) -> Storage:
        return Storage(CastBYTEA())

    def binary_literal(self, value: bytes) -> str:
        return f"'\\x{value.hex()}'::bytea"

    def uuid(self) -> Storage:
        return Storage(postgresql.UUID(as_uuid=True), None, plain_uuid)

    def ip(self) -> Storage:
        return Storage(CastINET(), None, plain_address)

    def enum_text(self, length: int) -> TypeEngine[str]:
        return UncastString(length)

    def hstore(self) -> Storage:
        return Storage(CastHSTORE(), hstore_text, hstore_value)

    def range(self, kind: str, item: Storage) -> Storage:
        return Storage(RANGE_TYPES[kind](), range_to_driver(item.bind), driver_to_range(item.result))

    def array(self, item: Storage, what: str) -> Storage:
        length: int | None = getattr(item.sql_type, "length", None)
        bind = item.bind if length is None else limit(item.bind, length)
        return Storage(postgresql.ARRAY(item.sql_type), each(bind), each(item.result))


class DaysAndTime(datetime.timedelta):
    """A timedelta of an interval whose days and time have not the same sign, or whose time has 24 hours or more."""

    period: Period


def _plain_duration(value: Any) -> Any:
    if isinstance(value, DaysAndTime):
        return datetime.timedelta(value.days, value.seconds, value.microseconds)
    raise DataError("It is an interval with months, which have no fixed length: declare the field as orm.Interval().")


without_months = Inline(
    "{v} if {v} is None or type({v}) is {timedelta} else {read}({v})",
    timedelta=datetime.timedelta,
    read=_plain_duration,
)


def interval_to_period(value: Any) -> Period | None:
    """The period of what the driver returns: a timedelta if there are no months, see `decode_interval`."""
    if isinstance(value, DaysAndTime):
        return value.period
    return value if value is None or isinstance(value, Period) else Period.of(value)


def encode_interval(value: Any) -> tuple[int, int, int]:
    """A timedelta or a period as months, days and microseconds."""
    period = value if isinstance(value, Period) else Period.of(value)
    return period.months, period.days, period.time // MICROSECOND


def decode_interval(parts: tuple[int, int, int]) -> datetime.timedelta | Period:
    """A timedelta, or if there are months, a period: asyncpg itself takes a month for 30 days."""
    months, days, microseconds = parts
    time = datetime.timedelta(0, 0, microseconds)
    if months:
        return Period(months, days, time)
    if not time.days:
        return datetime.timedelta(days, 0, microseconds)
    duration = DaysAndTime(days, 0, microseconds)
    duration.period = Period(0, days, time)
    return duration


as_float = Inline("{v} if type({v}) is float or {v} is None else float({v})")


def _written_out(value: Decimal) -> Decimal:
    return value if value.as_tuple().exponent <= 0 else round_to(value, 0)  # type: ignore[operator]


#: asyncpg returns whole numbers that end in zeros as 1E+8.
written_out = Inline("None if {v} is None else {write}({v})", write=_written_out)


def _bind_text_without_nul(value: Any) -> Any:
    if value is not None and "\0" in value:
        raise UnstorableValue(NUL_REFUSED)
    return bind_text(value)


#: Refuses text that PostgreSQL cannot store.
bind_text_without_nul = Inline(
    "{v} if {v} is None or {v}.isascii() and '\\0' not in {v} else {bind}({v})", bind=_bind_text_without_nul
)


def range_to_driver(bind: Process | None) -> Process:
    """A conversion of ranges to the driver's, whose bounds are converted by `bind`."""
    convert = function_of(bind)

    def write(value: Any) -> Any:
        if value is None:
            return None
        if value.isempty:
            return driver_range()(empty=True)
        lower, upper = value.lower, value.upper
        if convert is not None:
            lower = None if lower is None else convert(lower)
            upper = None if upper is None else convert(upper)
        return driver_range()(lower, upper, lower_inc=value.lower_inc, upper_inc=value.upper_inc)

    return write


def driver_to_range(result: Process | None) -> Process:
    """A conversion of the driver's ranges, whose bounds are converted by `result`."""
    convert = function_of(result)

    def read(value: Any) -> Range[Any] | None:
        if value is None:
            return None
        lower, upper = value.lower, value.upper
        if convert is not None:
            lower = None if lower is None else convert(lower)
            upper = None if upper is None else convert(upper)
        bounds = ("[" if value.lower_inc else "(") + ("]" if value.upper_inc else ")")
        return Range(lower, upper, bounds, empty=value.isempty)  # type: ignore[arg-type]

    return read


@cache
def driver_range() -> Any:
    """asyncpg's class of ranges, which is imported with the first of them."""
    return import_module("asyncpg").Range


aware_to_utc = Inline("{v} if {v} is None or {v}.tzinfo is {UTC} else {to_utc}({v})", UTC=UTC, to_utc=to_utc)
#: asyncpg stores datetime.max and datetime.min as infinities, and returns them without a timezone.
infinity_to_aware = Inline("{v} if {v} is None or {v}.tzinfo is not None else {v}.replace(tzinfo={UTC})", UTC=UTC)


def json_to_jsonb(value: Any) -> str | None:
    """JSON text whose large floats have a decimal point: jsonb would return 1e22 as an integer."""
    text = json_to_text(value)
    if text is None:
        return None
    if ESCAPED_NUL.search(text):
        raise UnstorableValue(NUL_REFUSED)
    return STRING_OR_LARGE_FLOAT.sub(_with_point, text) if "e+" in text else text


def _with_point(match: re.Match[str]) -> str:
    token = match[0]
    return token if token[0] == '"' else f"{Decimal(token):f}.0"


jsonb_to_json = Inline("None if {v} is None else {decode}({v})", decode=decode_json)
#: asyncpg has its own UUID class, which serializers do not accept.
plain_uuid = Inline("None if {v} is None else {make}({v}.int)", make=make_uuid)


def plain_address(value: Any) -> IPAddress | None:
    """The address. Raises `DataError` if it has a network mask, as an inet and a cidr can."""
    if value is None or isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        if isinstance(value, (ipaddress.IPv4Interface, ipaddress.IPv6Interface)):
            raise DataError("It has a network mask, which an address does not have.")
        return value
    if isinstance(value, str):
        return ipaddress.ip_address(value)
    raise DataError("It is a network, not an address.")
