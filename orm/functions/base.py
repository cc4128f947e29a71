"""What the functions of this package have in common."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.expressions.base import Func
from orm.fields import Boolean, Decimal, Field, Float, Integer, Text

T = TypeVar("T")

TEXT = Text()
WHOLE = Integer()
REAL = Float()
EXACT = Decimal(max_digits=38, decimal_places=19)
TRUTH = Boolean()


class NamedFunc(Func[T]):
    """A function that databases may spell differently: see `orm.database.sql.functions`."""

    call: ClassVar[str]
    """The ORM's own name for it."""

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        return SQLFunction(self.call, *arguments)


class TextFunc(NamedFunc[str]):
    """A function of text: the first argument, if it is anything else, as text."""

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        first = as_text(fields[0], arguments[0])
        return self.build(first, *arguments[1:])

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """Text."""
        return self.output_field or TEXT


class CountOfText(TextFunc):
    """A function of text that gives a whole number."""

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A whole number."""
        return self.output_field or WHOLE


def as_text(field: Field[Any] | None, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column, as text if it is anything else."""
    return column if field is None or field.kind in ("text", "enum") else SQLFunction("as_text", column)
