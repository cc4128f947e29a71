"""The fields of models: each is a column type, a validator and an attribute."""

from orm.fields.base import NO_DEFAULT, Field
from orm.fields.hstore import HStore
from orm.fields.json import JSON
from orm.fields.numbers import (
    BigInteger,
    Boolean,
    Decimal,
    Float,
    Integer,
    PositiveBigInteger,
    PositiveInteger,
    PositiveSmallInteger,
    SmallInteger,
)
from orm.fields.ranges import BigIntegerRange, DateRange, DateTimeRange, DecimalRange, IntegerRange
from orm.fields.structured import UUID, Array, Binary, Enum, IPAddress
from orm.fields.temporal import Date, DateTime, Duration, Interval, Time
from orm.fields.text import URL, CIText, Email, Slug, String, Text
from orm.fields.version import Version

__all__ = [
    "JSON",
    "NO_DEFAULT",
    "URL",
    "UUID",
    "Array",
    "BigInteger",
    "BigIntegerRange",
    "Binary",
    "Boolean",
    "CIText",
    "Date",
    "DateRange",
    "DateTime",
    "DateTimeRange",
    "Decimal",
    "DecimalRange",
    "Duration",
    "Email",
    "Enum",
    "Field",
    "Float",
    "HStore",
    "IPAddress",
    "Integer",
    "IntegerRange",
    "Interval",
    "PositiveBigInteger",
    "PositiveInteger",
    "PositiveSmallInteger",
    "Slug",
    "SmallInteger",
    "String",
    "Text",
    "Time",
    "Version",
]
