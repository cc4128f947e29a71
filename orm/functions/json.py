"""Functions of JSON: `JSONArray`, `JSONObject` and `KT`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.exceptions import QueryError
from orm.expressions.base import F, Operand
from orm.fields import Field
from orm.functions.base import FLOAT, JSON_VALUE, TEXT, NamedFunc, Value
from orm.utils.articles import with_article


class JSONArray(NamedFunc[Any]):
    """A JSON array of the values."""

    def __init__(self, *expressions: Operand, output_field: Field[Any] | None = None) -> None:
        super().__init__(*expressions, output_field=output_field)

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        return SQLFunction("json_array", *arguments, literals=tuple(map(_family, fields)))

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A JSON field."""
        return self.output_field or JSON_VALUE


class JSONObject(NamedFunc[Any]):
    """A JSON object of the keys and values: ``JSONObject(name=Lower("name"), age="age")``."""

    def __init__(self, /, **fields: Operand) -> None:
        arguments: list[Any] = []
        for key, value in fields.items():
            arguments += [Value(key), value]
        super().__init__(*arguments)

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments of these fields."""
        return SQLFunction("json_object", *arguments, literals=tuple(map(_family, fields[1::2])))

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A JSON field."""
        return JSON_VALUE


def _family(field: Field[Any] | None) -> str:
    return "" if field is None else field.family


class KeyText(NamedFunc[str]):
    """A JSON value as text: a string's own text, any other value as JSON; NULL for null."""

    sql_name = "json_text"

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A text field. Raises `QueryError` if the argument is not JSON."""
        for field in fields:
            if field.family != "json":
                field_type = with_article(type(field).__name__)
                raise QueryError(f"KT() takes a path into JSON, and {self.arguments[0]!r} is {field_type}.")
        return self.output_field or TEXT


class KeyNumber(NamedFunc[float]):
    """A JSON number; NULL for any other JSON value."""

    sql_name = "json_number"

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A float field."""
        return FLOAT


class KeyString(NamedFunc[str]):
    """A JSON string; NULL for any other JSON value."""

    sql_name = "json_string"

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A text field."""
        return TEXT


def KT(path: str) -> KeyText:
    """The JSON value at a path, as text: ``KT("data__owner__name")``."""
    if not isinstance(path, str) or "__" not in path:
        raise QueryError("KT() takes a path into a JSON field, such as KT('data__owner').")
    return KeyText(F(path))
