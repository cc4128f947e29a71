"""Functions that compare and convert: `Cast`, `Coalesce`, `Greatest`, `Least`, `NullIf`, `Collate`."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import ColumnElement

from orm.database.sql.datetimes import comparable, converted_to, datetime_family
from orm.database.sql.functions import CastTo, SQLFunction
from orm.database.types import column_types
from orm.exceptions import QueryError
from orm.expressions.base import Operand
from orm.fields import Field
from orm.functions.base import NamedFunc
from orm.functions.result_types import common_field

T = TypeVar("T")
COLLATION = re.compile(r"[\w-]+", re.ASCII)


class Cast(NamedFunc[T]):
    """The value converted to another field's type: ``Cast("year", orm.String(max_length=4))``."""

    def __init__(self, expression: Operand, output_field: Field[T]) -> None:
        if not isinstance(output_field, Field):
            raise QueryError(f"Cast() takes a field as the target type, such as orm.Integer(); got {output_field!r}.")
        super().__init__(expression, output_field=output_field)
        self.target = output_field

    @property
    def options(self) -> Hashable:
        """The target type."""
        return repr(self.target.column_type())

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        (argument,) = arguments
        source = "" if fields[0] is None else fields[0].sql_family
        column_type = column_types.unconverted(self.target.column_type())
        assert isinstance(column_type, column_types.ORMType)
        return CastTo(argument, source, self.target.sql_family, column_type)


def mixed_call(function: str, output_field: Field[Any] | None, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
    """A call whose result is one of the arguments, of which dates and datetimes are compared alike."""
    mixed = comparable(*arguments)
    call = SQLFunction(function, *mixed)
    types = [column.type for column in mixed if datetime_family(column.type)]
    if output_field is None or not types:
        return call
    return converted_to(output_field.column_type(), sqlalchemy.type_coerce(call, types[0]))


class VariadicFunc(NamedFunc[Any]):
    """A function of at least two expressions."""

    mixes_arguments = True

    def __init__(self, *expressions: Operand, output_field: Field[Any] | None = None) -> None:
        if len(expressions) < 2:
            raise QueryError(f"{type(self).__name__}() takes at least two expressions.")
        super().__init__(*expressions, output_field=output_field)

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        return mixed_call(self.sql_name, self.output_field, *arguments)

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """The common field of the expressions. Raises `FieldError` if their types do not mix."""
        if self.output_field is None and fields:
            return common_field(self, fields)
        return super().result(*fields)


class Coalesce(VariadicFunc):
    """The first value that is not NULL."""

    sql_name = "coalesce"


class Greatest(VariadicFunc):
    """The greatest value. If any is NULL, the result is NULL; on PostgreSQL, NULLs are ignored."""

    sql_name = "greatest"


class Least(VariadicFunc):
    """The least value. If any is NULL, the result is NULL; on PostgreSQL, NULLs are ignored."""

    sql_name = "least"


class NullIf(NamedFunc[Any]):
    """The first value, or NULL if it equals the second."""

    sql_name = "nullif"
    mixes_arguments = True

    def __init__(self, first: Operand, second: Operand, *, output_field: Field[Any] | None = None) -> None:
        super().__init__(first, second, output_field=output_field)

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        return mixed_call(self.sql_name, self.output_field, *arguments)

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """The field of the first expression. Raises `FieldError` if the types of the two do not mix."""
        if self.output_field is None and fields:
            common_field(self, fields)
        return super().result(*fields)


class Collate(NamedFunc[str]):
    """Text with a collation of the database, for comparing and ordering: ``Collate("name", "NOCASE")``."""

    def __init__(self, expression: Operand, collation: str) -> None:
        if not isinstance(collation, str) or not COLLATION.fullmatch(collation):
            raise QueryError(f"{collation!r} is not a valid collation name: use letters, digits, _ and - only.")
        self.collation = collation
        super().__init__(expression)

    @property
    def options(self) -> Hashable:
        """The collation."""
        return self.collation

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        return SQLFunction("collate", *arguments, literals=(self.collation,))
