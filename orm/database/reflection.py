"""What a database has, in the words of the ORM: which field a column's type is, and what no inspector tells of a table.

`orm inspectdb` asks a `Dialect` for it. The methods run on a synchronous SQLAlchemy connection.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from sqlalchemy import types
from sqlalchemy.types import TypeEngine


@dataclass
class ReflectedType:
    """The field that stores what a column does.

    Attributes:
        kind: the name of its class; empty if there is none.
        options: its options, which are numbers and booleans.
        lacks: what of the column's type it does not say.
        members: of an enum, the values.
        name: of an enum, the name of its type, if it has one.
        item: of an array, the type of its items.
    """

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    lacks: list[str] = field(default_factory=list)
    members: tuple[str, ...] = ()
    name: str | None = None
    item: ReflectedType | None = None


@dataclass
class TableFacts:
    """What the catalogs tell of a table besides what SQLAlchemy's inspector does.

    Attributes:
        lacks: what no model says.
        notes: what belongs to the table, and stays as it is when a migration changes the table.
        column_checks: the conditions of CHECK constraints without a name, by column.
    """

    lacks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    column_checks: dict[str, str] = field(default_factory=dict)


class Reflection:
    """The types of standard SQL, as SQLAlchemy reflects them."""

    def partitions(self, connection: sqlalchemy.Connection, schema: str | None) -> Collection[str]:
        """The tables that are parts of others, which hold their rows."""
        return ()

    def facts(self, connection: sqlalchemy.Connection, table: str, schema: str | None) -> TableFacts:
        """What the catalogs tell of a table."""
        return TableFacts()

    def field_of(self, column_type: TypeEngine[Any]) -> ReflectedType:
        """The field for a column of this type."""
        kind: Any = column_type
        if isinstance(kind, types.Enum) and kind.enums:
            lacks = ["the enum type of the server"]
            return ReflectedType("Enum", {}, lacks, tuple(kind.enums), getattr(kind, "name", None))
        if isinstance(kind, types.ARRAY):
            return self._array(kind)
        if isinstance(kind, (types.LargeBinary, types._Binary)):
            length = getattr(kind, "length", None)
            return ReflectedType("Binary", lacks=[f"{type(kind).__name__}({length})"] if length else [])
        if isinstance(kind, types.String):
            return self._text(kind)
        if isinstance(kind, (types.Float, types.Numeric)):
            return self._number(kind)
        if isinstance(kind, types.DateTime):
            return ReflectedType("DateTime", {"timezone": True} if kind.timezone else {})
        if isinstance(kind, types.Time):
            return ReflectedType("Time", lacks=["a time zone"] if kind.timezone else [])
        for class_, name in FIELDS:
            if isinstance(kind, class_):
                return ReflectedType(name)
        return ReflectedType("", lacks=["a type that is not known" if isinstance(kind, types.NullType) else str(kind)])

    def _array(self, kind: types.ARRAY[Any]) -> ReflectedType:
        item = self.field_of(kind.item_type)
        if not item.kind:
            return ReflectedType("", lacks=[f"an array of {item.lacks[0]}"])
        lacks = [*item.lacks, *(["an array of arrays"] if (kind.dimensions or 1) > 1 else [])]
        return ReflectedType("Array", lacks=lacks, item=item)

    def _text(self, kind: types.String) -> ReflectedType:
        if isinstance(kind, types.Text):
            return ReflectedType("Text")
        if kind.length is None:
            return ReflectedType("Text", lacks=["VARCHAR without a length"])
        lacks = [f"CHAR({kind.length})"] if isinstance(kind, (types.CHAR, types.NCHAR)) else []
        return ReflectedType("String", {"max_length": kind.length}, lacks)

    def _number(self, kind: Any) -> ReflectedType:
        if isinstance(kind, types.Float):
            return ReflectedType("Float", lacks=["a float of 32 bits"] if self.is_single(kind) else [])
        if kind.precision is None:
            return ReflectedType("Decimal", {"max_digits": 38, "decimal_places": 10}, ["NUMERIC without a precision"])
        return ReflectedType("Decimal", {"max_digits": kind.precision, "decimal_places": kind.scale or 0})

    def is_single(self, kind: types.Float[Any]) -> bool:
        """Whether a float has 32 bits."""
        return isinstance(kind, types.REAL) or (kind.precision is not None and kind.precision <= 24)


FIELDS: tuple[tuple[Any, str], ...] = (
    (types.Boolean, "Boolean"),
    (types.SmallInteger, "SmallInteger"),
    (types.BigInteger, "BigInteger"),
    (types.Integer, "Integer"),
    (types.Uuid, "UUID"),
    (types.Interval, "Duration"),
    (types.JSON, "JSON"),
    (types.Date, "Date"),
)
"""The fields of types that have no options; a subclass comes before its base class."""
