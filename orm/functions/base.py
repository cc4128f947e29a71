"""The base classes of the functions, and the fields that several of them return."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.expressions.base import Func
from orm.fields import JSON, BigInteger, Decimal, Field, Float, Integer, Text

T = TypeVar("T")

TEXT = Text()
INTEGER = Integer()
BIG_INTEGER = BigInteger()
FLOAT = Float()
DECIMAL = Decimal(max_digits=38, decimal_places=19)
JSON_VALUE = JSON()


class NamedFunc(Func[T]):
    """A function whose SQL differs by database: each dialect's `sql_functions.py` has it under `sql_name`."""

    sql_name: ClassVar[str]
    """The name under which the dialects look up its SQL."""

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        return SQLFunction(self.sql_name, *arguments)


class TextFunc(NamedFunc[str]):
    """A function of text. A first argument of another type is converted to text."""

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        first = as_text(fields[0], arguments[0])
        return self.build(first, *arguments[1:])

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A text field."""
        return self.output_field or TEXT


class IntegerOfTextFunc(TextFunc):
    """A function of text that returns an integer."""

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """An integer field."""
        return self.output_field or INTEGER


def as_text(field: Field[Any] | None, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column, converted to text unless it is text already."""
    return column if field is None or field.is_text else SQLFunction("as_text", column)
