"""How PostgreSQL stores values, through asyncpg.

Parameters are cast (`$1::BIGINT`), so that the server need not infer their types. Those of enums are not: the columns
are VARCHAR, or native enums in databases created by older releases, and an uncast parameter fits both.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from decimal import Decimal
from typing import Any

from sqlalchemy import types as sqltypes
from sqlalchemy.dialects import postgresql

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
    enum_length,
    enum_to_name,
    json_to_text,
    make_uuid,
    name_to_enum,
    round_to,
    to_utc,
)
from orm.utils.codegen import Inline, function_of

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


class UncastString(sqltypes.String):
    """VARCHAR whose parameters are not cast: the server infers their type."""

    def adapt(self, cls: Any, **kw: Any) -> Any:
        # Otherwise the dialect would replace it by its own string type, which is cast.
        return UncastString(self.length)


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
        return Storage(sqltypes.String(length), bind_text_without_nul)

    def text(self) -> Storage:
        return Storage(sqltypes.Text(), bind_text_without_nul)

    def datetime(self, timezone: bool) -> Storage:
        if timezone:
            return Storage(sqltypes.DateTime(timezone=True), aware_to_utc, infinity_to_aware)
        return Storage(sqltypes.DateTime(), bind_naive)

    def duration(self) -> Storage:
        return Storage(postgresql.INTERVAL())

    def json(self) -> Storage:
        return Storage(postgresql.JSONB(), json_to_jsonb, jsonb_to_json)

    def binary(self, length: int | None) -> Storage:
        return Storage(CastBYTEA())

    def uuid(self) -> Storage:
        return Storage(postgresql.UUID(as_uuid=True), None, plain_uuid)

    def ip(self) -> Storage:
        return Storage(CastINET(), None, plain_address)

    def enum(self, enum_class: type[enum.Enum]) -> Storage:
        if issubclass(enum_class, int):
            return super().enum(enum_class)
        length = enum_length(enum_class)
        return Storage(UncastString(length), enum_to_name, name_to_enum(enum_class))

    def array(self, item: Storage) -> Storage:
        length: int | None = getattr(item.sql_type, "length", None)
        bind = item.bind if length is None else limit(item.bind, length)
        return Storage(postgresql.ARRAY(item.sql_type), each(bind), each(item.result))


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


def limit(bind: Process | None, length: int) -> Process:
    """A conversion that refuses text which is too long; the cast of an array parameter would truncate it."""

    convert = function_of(bind)

    def bind_limited(value: Any) -> Any:
        stored = value if convert is None else convert(value)
        if stored is not None and len(stored) > length:
            raise UnstorableValue(f"Must have no more than {length} characters.")
        return stored

    return bind_limited


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
    """The address, without the network that an inet can have."""
    if isinstance(value, (ipaddress.IPv4Interface, ipaddress.IPv6Interface)):
        return value.ip
    return ipaddress.ip_address(value) if isinstance(value, str) else value
