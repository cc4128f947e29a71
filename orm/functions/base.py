"""`Value` and `Func`, the base classes of the functions, and the fields that several of them return."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, ClassVar, TypeVar

from sqlalchemy import ColumnElement

from orm.database.sql.functions import CastTo, NamedCall, SQLFunction
from orm.database.types import column_types
from orm.exceptions import FieldError, QueryError
from orm.expressions.base import Expression, F, Operand
from orm.fields import JSON, BigInteger, Decimal, Field, Float, Integer, Text

T = TypeVar("T")

TEXT = Text()
INTEGER = Integer()
BIG_INTEGER = BigInteger()
FLOAT = Float()
DECIMAL = Decimal(max_digits=38, decimal_places=19)
JSON_VALUE = JSON()


def check_output_field(output_field: Any) -> None:
    """Raise `FieldError` for what is not a field, such as a field's class."""
    if isinstance(output_field, type) and issubclass(output_field, Field):
        name = f"orm.{output_field.__name__}"
        raise FieldError(f"output_field={name} is a class, and the type of a result is a field: output_field={name}().")
    if not isinstance(output_field, Field):
        raise FieldError(f"output_field= takes a field, such as orm.Integer(), not {type(output_field).__name__}.")


class Value(Expression[T]):
    """A Python value as an expression. `output_field` is its type, if the value does not show it, and converts it."""

    __slots__ = ("output_field", "value")

    def __init__(self, value: T, *, output_field: Field[Any] | None = None) -> None:
        if output_field is not None:
            check_output_field(output_field)
        self.value = value
        self.output_field = output_field

    def __repr__(self) -> str:
        return f"Value({self.value!r})"


# The name of a function is written into the SQL, so it must be an identifier and no keyword.
FUNCTION = re.compile(
    r"(?!(?:all|and|any|as|by|case|create|delete|desc|drop|else|end|except|false|from|group|having|in|insert|intersect"
    r"|into|is|join|limit|like|none|null|on|or|order|select|set|some|table|then|to|true|union|update|using|when|where"
    r"|with)\Z)[a-z_][a-z0-9_]{0,62}",
    re.IGNORECASE | re.ASCII,
)


class Func(Expression[T]):
    """A call of a database function: by its name, or as a subclass.

        await Note.objects.annotate(size=orm.Func("text", function="OCTET_LENGTH", output_field=orm.Integer()))

        class Soundex(orm.Func[str]):
            function = "SOUNDEX"

        await Note.objects.annotate(sound=Soundex("text")).filter(sound="N300")

    String arguments name fields; use `Value` for literal text. `output_field` is the type of the result, by default
    that of the first argument. Raises `QueryError` if `function` is not an identifier.
    """

    function: str = ""
    mixes_arguments: ClassVar[bool] = False
    """Whether its arguments are values of one field, so that plain values are converted by a field beside them."""

    def __init__(
        self, *arguments: Operand, function: str | None = None, output_field: Field[Any] | None = None
    ) -> None:
        self.arguments: tuple[Any, ...] = tuple(F(a) if isinstance(a, str) else a for a in arguments)
        if output_field is not None:
            check_output_field(output_field)
        self.output_field = output_field
        if function is not None:
            if not isinstance(function, str) or not FUNCTION.fullmatch(function):
                raise QueryError(
                    f"{function!r} is not a valid function name: use at most 63 ASCII letters, digits and underscores, "
                    "and no SQL keyword."
                )
            if type(self).build is not Func.build:
                raise QueryError(f"{type(self).__name__}() defines its own function: it takes no function=.")
            self.function = function
        if type(self) is Func and not self.function:
            raise QueryError("Func() needs the name of a function of the database: Func('views', function='ABS').")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.arguments))})"

    @property
    def options(self) -> Hashable:
        """What changes the SQL besides the arguments. It is part of the plan's cache key, so never a user's value."""
        return ()

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        return NamedCall(self.function, *arguments)

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments, if it depends on their fields (None for NULL)."""
        return self.build(*arguments)

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """The field that describes the result. `fields` are those of the arguments."""
        if self.output_field is not None:
            return self.output_field
        if not fields:
            raise QueryError(f"{self!r} needs output_field=, because it has no argument to take the type from.")
        return fields[0]


class ExpressionWrapper(Func[T]):
    """An expression or condition with a type: ``ExpressionWrapper(Q(views__gt=3), orm.Boolean())``."""

    def __init__(self, expression: Operand, output_field: Field[Any]) -> None:
        super().__init__(expression, output_field=output_field)

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The expression itself."""
        (argument,) = arguments
        return argument


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
    if field is None or field.is_text:
        return column
    return CastTo(column, field.sql_family, "text", column_types.Text())
