"""The fields of models: each is a column type, a validator and an attribute."""

from orm.fields.base import NO_DEFAULT, Field
from orm.fields.numbers import BigInteger, Boolean, Decimal, Float, Integer, SmallInteger
from orm.fields.structured import JSON, UUID, Array, Binary, Enum, IPAddress
from orm.fields.temporal import Date, DateTime, Duration, Time
from orm.fields.text import URL, Email, String, Text

__all__ = [
    "JSON",
    "NO_DEFAULT",
    "URL",
    "UUID",
    "Array",
    "BigInteger",
    "Binary",
    "Boolean",
    "Date",
    "DateTime",
    "Decimal",
    "Duration",
    "Email",
    "Enum",
    "Field",
    "Float",
    "IPAddress",
    "Integer",
    "SmallInteger",
    "String",
    "Text",
    "Time",
]
