"""Functions of arrays (PostgreSQL only)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.expressions.base import Operand
from orm.functions.base import NamedFunc


class ArraySlice(NamedFunc[Any]):
    """The items of an array from position `pos` (counted from 1), at most `length` of them."""

    sql_name = "array_slice"

    def __init__(self, expression: Operand, pos: Operand, length: Operand = None) -> None:
        super().__init__(expression, pos, *(() if length is None else (length,)))

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        return SQLFunction("array_slice_of" if len(arguments) > 2 else "array_slice", *arguments)
