"""The column types of `orm`: SQLAlchemy types that are declared alike for every database.

Each type asks the `storage` of the `Dialect` (see `orm/database/storage.py`) how it is stored there, so a table of
these types can be used with plain SQLAlchemy Core and `databases`, and by Alembic, on any dialect.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import inspect
from collections.abc import Hashable
from typing import Any, ClassVar

from sqlalchemy import types as sqltypes
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from orm.database.dialect_registry import dialect_for
from orm.database.storage import Process, Storage, StorageTypes, UnstorableValue
from orm.database.types.time_zones import zone_of
from orm.utils.codegen import Inline, function_of

__all__ = [
    "JSON",
    "UUID",
    "Array",
    "BigInteger",
    "Binary",
    "Boolean",
    "CIText",
    "Date",
    "DateTime",
    "Decimal",
    "Duration",
    "Enum",
    "Float",
    "HStore",
    "IPAddress",
    "Integer",
    "Interval",
    "LocalDateTime",
    "ORMType",
    "Range",
    "SmallInteger",
    "String",
    "Text",
    "Time",
    "UnstorableValue",
]


class ORMType(TypeDecorator[Any]):
    """A column type whose storage depends on the database."""

    impl: Any = sqltypes.NullType
    _parameters: ClassVar[list[tuple[str, Any]]] = []

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # SQLAlchemy requires it in each class. Types are equal if their parameters are.
        cls.cache_ok = True
        parameters = inspect.signature(cls).parameters.values()
        # Types without parameters inherit *args and **kwargs.
        cls._parameters = [(p.name, p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]

    def storage(self, dialect: Dialect) -> Storage:
        """The column's SQL type on the dialect's database, and the conversion of values to and from its driver's."""
        return self.stored_by(dialect_for(dialect).storage)

    def stored_by(self, types: StorageTypes) -> Storage:
        """The answer of `types` for this type."""
        raise NotImplementedError

    @property
    def comparison_type(self) -> ORMType:
        """The type of values that the column is compared or computed with; it has no limit of length or size."""
        return self

    @property
    def unconverted(self) -> TypeEngine[Any]:
        """The type that values are stored as: this one, unless a field is stored as another."""
        return self

    # Overriding process_bind_param(), as SQLAlchemy recommends, would add two calls per value and the conversions of
    # its own types.

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return self.storage(dialect).sql_type

    def bind_processor(self, dialect: Dialect) -> Process | None:
        return self.storage(dialect).bind

    def result_processor(self, dialect: Dialect, coltype: object) -> Process | None:
        return self.storage(dialect).result

    def literal_processor(self, dialect: Dialect) -> Process | None:
        types = dialect_for(dialect).storage
        storage = self.stored_by(types)
        bind = storage.bind
        render = storage.sql_type.dialect_impl(dialect).literal_processor(dialect)
        render_text = sqltypes.String().dialect_impl(dialect).literal_processor(dialect)

        def literal(value: Any) -> str:
            stored = value if bind is None else bind(value)
            if isinstance(stored, bytes):
                return types.binary_literal(stored)
            process = render_text if isinstance(stored, str) else render
            if process is None:
                raise NotImplementedError(f"{self!r} has no literal form on {dialect.name}.")
            return process(stored)

        return literal

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        return self.comparison_type

    @property
    def cache_key(self) -> Hashable:
        """Equal only for types that store and convert values alike."""
        parameters = (getattr(self, name) for name, _ in self._parameters)
        return (type(self), *(value.cache_key if isinstance(value, ORMType) else value for value in parameters))

    def __repr__(self) -> str:
        arguments = [
            f"{name}={_source(getattr(self, name))}"
            for name, default in self._parameters
            if getattr(self, name) != default
        ]
        return f"{type(self).__name__}({', '.join(arguments)})"


def _source(value: object) -> str:
    return value.__qualname__ if isinstance(value, type) else repr(value)


class Integer(ORMType):
    """A 32-bit integer. With `primary_key`, every database generates its values."""

    impl = sqltypes.Integer
    bits = 32

    def __init__(self, primary_key: bool = False) -> None:
        super().__init__()
        self.primary_key = primary_key

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.integer(self.bits, self.primary_key)

    @property
    def comparison_type(self) -> ORMType:
        return BigInteger()

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        if isinstance(value, float):
            return Float()
        return Decimal() if isinstance(value, decimal.Decimal) else self.comparison_type


class SmallInteger(Integer):
    """A 16-bit integer."""

    impl = sqltypes.SmallInteger
    bits = 16


class BigInteger(Integer):
    """A 64-bit integer."""

    impl = sqltypes.BigInteger
    bits = 64


class Float(ORMType):
    """A double precision float."""

    impl = sqltypes.Double

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.float()


class Decimal(ORMType):
    """A decimal of at most `max_digits` digits, `decimal_places` of them after the point. Without them, any decimal."""

    impl = sqltypes.Numeric

    def __init__(self, max_digits: int | None = None, decimal_places: int | None = None) -> None:
        super().__init__(max_digits, decimal_places)
        self.max_digits = max_digits
        self.decimal_places = decimal_places

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.decimal(self.max_digits, self.decimal_places)

    @property
    def comparison_type(self) -> ORMType:
        return Decimal()


class Boolean(ORMType):
    """True or False."""

    impl = sqltypes.Boolean
    # `column.is_(True)` is written IS true, without a parameter.
    coerce_to_is_types = (bool, type(None))

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.boolean()


class String(ORMType):
    """Text of at most `length` characters."""

    impl = sqltypes.String

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.string(self.length)

    @property
    def comparison_type(self) -> ORMType:
        return Text()


class Text(ORMType):
    """Text of any length."""

    impl = sqltypes.Text

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.text()


class RegularExpression(Text):
    """A regular expression of the database, in a lookup."""

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.regular_expression()


class CIText(ORMType):
    """Text that is compared without regard to case (PostgreSQL)."""

    impl = sqltypes.Text

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.citext()


class Moment(ORMType):
    """A date or time, from which durations can be subtracted."""

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        return Duration() if isinstance(value, datetime.timedelta) else self


class Date(Moment):
    """A day."""

    impl = sqltypes.Date

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.date()


class Time(Moment):
    """A time of day in microseconds, without a timezone."""

    impl = sqltypes.Time

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.time()

    @property
    def comparison_type(self) -> ORMType:
        return ComparedTime()


class ComparedTime(Time):
    """A time of day that a column or an expression is compared with."""

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.compared_time()


class DateTime(Moment):
    """A datetime in microseconds: with `timezone` an instant, which is returned in UTC; otherwise a local time."""

    impl = sqltypes.DateTime

    def __init__(self, timezone: bool = False) -> None:
        super().__init__(timezone)
        self.timezone = timezone

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.datetime(self.timezone)


class LocalDateTime(DateTime):
    """An instant that is returned in a time zone (see `orm.database.types.time_zones.zone_name`) instead of UTC."""

    def __init__(self, zone: str) -> None:
        super().__init__(timezone=True)
        self.zone = zone

    def result_processor(self, dialect: Dialect, coltype: object) -> Process:
        read = function_of(super().result_processor(dialect, coltype))
        zone = zone_of(self.zone)

        def result(value: Any) -> datetime.datetime | None:
            if value is None:
                return None
            moment: datetime.datetime = value if read is None else read(value)
            return moment.astimezone(zone)

        return result


class Duration(ORMType):
    """A timedelta in microseconds."""

    impl = sqltypes.Interval

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.duration()


class JSON(ORMType):
    """A JSON value; None is NULL."""

    impl = sqltypes.JSON

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.json()


class Binary(ORMType):
    """Bytes, at most `length` of them."""

    impl = sqltypes.LargeBinary

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.binary(self.length)


class UUID(ORMType):
    """A uuid.UUID."""

    impl = sqltypes.Uuid

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.uuid()


class IPAddress(ORMType):
    """An ipaddress.IPv4Address or IPv6Address."""

    impl = sqltypes.String

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.ip()


class Enum(ORMType):
    """A member of an enum: stored by name, or by the value, which is text; members of an integer enum by value."""

    impl: Any = sqltypes.String

    def __init__(self, enum_class: type[enum.Enum], by_value: bool = False) -> None:
        super().__init__()
        self.enum_class = enum_class
        self.by_value = by_value
        if issubclass(enum_class, int):
            self.impl = sqltypes.Integer()

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.enum(self.enum_class, self.by_value)


class Array(ORMType):
    """A list of values of one type: an array on PostgreSQL, elsewhere JSON."""

    impl = sqltypes.ARRAY

    def __init__(self, item: ORMType) -> None:
        super().__init__(item)
        self.item = item

    def stored_by(self, types: StorageTypes) -> Storage:
        # The comparison type is the same: PostgreSQL compares integer[] with integer[] only.
        item = unconverted(self.item)
        what = "JSON" if isinstance(item, JSON) else "bytes" if isinstance(item, Binary) else ""
        return types.array(self.item.stored_by(types), what)


class Range(ORMType):
    """An `orm.Range` of values of one type (PostgreSQL). `kind` is PostgreSQL's name of the type."""

    def __init__(self, kind: str, item: ORMType) -> None:
        super().__init__()
        self.kind = kind
        self.item = item

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.range(self.kind, self.item.stored_by(types))

    def literal_processor(self, dialect: Dialect) -> Process | None:
        types = dialect_for(dialect).storage
        self.stored_by(types)  # other databases have none
        bind = function_of(self.item.stored_by(types).bind)
        quote = sqltypes.String().dialect_impl(dialect).literal_processor(dialect)
        assert quote is not None

        def bound(value: Any) -> str:
            return "" if value is None else f'"{value if bind is None else bind(value)}"'

        def literal(value: Any) -> str:
            if value.isempty:
                return f"'empty'::{self.kind}"
            left, right = "[" if value.lower_inc else "(", "]" if value.upper_inc else ")"
            return f"{quote(f'{left}{bound(value.lower)},{bound(value.upper)}{right}')}::{self.kind}"

        return literal


class Interval(ORMType):
    """An `orm.Period`: months, days and a time (PostgreSQL)."""

    impl = sqltypes.Interval

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.interval()


class HStore(ORMType):
    """A dict of texts (PostgreSQL's extension hstore)."""

    def stored_by(self, types: StorageTypes) -> Storage:
        return types.hstore()


def unconverted(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type that values are stored as: of a `Converted` the base, else the type itself."""
    return type_.unconverted if isinstance(type_, ORMType) else type_


class ComputedResult(TypeDecorator[Any]):
    """A computed number or boolean, as Python's type: drivers differ in the types of sums and averages."""

    impl = sqltypes.NullType
    cache_ok = True
    PYTHON: ClassVar[dict[str, Process]] = {
        "integer": Inline("{v} if type({v}) is int or {v} is None else int({v})"),
        "float": Inline("{v} if type({v}) is float or {v} is None else float({v})"),
        "boolean": Inline("None if {v} is None else not not {v}"),
        "decimal": Inline(
            "{v} if type({v}) is {Decimal} or {v} is None else {Decimal}(str({v}))", Decimal=decimal.Decimal
        ),
    }

    def __init__(self, family: str) -> None:
        super().__init__()
        self.family = family

    def __repr__(self) -> str:
        return f"ComputedResult({self.family!r})"

    def result_processor(self, dialect: Dialect, coltype: object) -> Process:
        return self.PYTHON[self.family]

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        return sqltypes.NullType()
