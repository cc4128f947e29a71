"""Functions of arrays."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement

from orm.database.sql.functions import SQLFunction
from orm.expressions.base import F, Operand
from orm.fields import Array, Decimal, Field
from orm.functions.base import INTEGER, Func, NamedFunc

PART = re.compile(r"([0-9]{1,9})(?:_([0-9]{1,9}))?", re.ASCII)


class ArraySlice(NamedFunc[Any]):
    """The items of an array from position `pos` (counted from 1), at most `length` of them."""

    sql_name = "array_slice"

    def __init__(self, expression: Operand, pos: Operand, length: Operand = None) -> None:
        super().__init__(expression, pos, *(() if length is None else (length,)))

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for rendered arguments."""
        return SQLFunction("array_slice_of" if len(arguments) > 2 else "array_slice", *arguments)


class ArrayLength(NamedFunc[int]):
    """The number of items of an array: what ``tags__len`` is."""

    sql_name = "array_len"

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """An integer field."""
        return INTEGER


class ArrayItem(Func[Any]):
    """The item of an array at an index (counted from 0), or NULL: what ``tags__0`` is."""

    def __init__(self, expression: Operand, index: Operand) -> None:
        super().__init__(expression, index)

    def build_from(self, fields: tuple[Field[Any] | None, ...], *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL for a rendered array of this field, and an index."""
        assert fields[0] is not None
        return SQLFunction("array_item", *arguments, literals=item_literals(self.result(fields[0])))

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """The field of the items."""
        array = fields[0].underlying_field
        assert isinstance(array, Array)
        return array.field


def item_literals(item: Field[Any]) -> tuple[str, str]:
    """What a database that keeps arrays as JSON must know of the items: the family, and the digits of a decimal."""
    stored = item
    while stored.storage_field is not None:
        stored = stored.storage_field
    digits = f"{stored.max_digits}, {stored.decimal_places}" if isinstance(stored, Decimal) else ""
    return stored.sql_family, digits


def array_part(part: str) -> Func[Any] | None:
    """The function that ``tags__0`` or ``tags__0_2`` applies, as a slice in Python; None for another part of a name."""
    match = PART.fullmatch(part)
    if match is None:
        return None
    start, stop = match.groups()
    if stop is None:
        return ArrayItem(F("array"), int(start))
    return ArraySlice(F("array"), int(start) + 1, max(int(stop) - int(start), 0))
