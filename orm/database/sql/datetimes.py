"""Dates, local datetimes and instants in one comparison or assignment.

A date is the midnight that it begins with, and a local datetime is one in UTC, whatever the session's time zone. Where
they meet, the narrower type is converted to the wider; a column that is assigned to converts to its own type.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Select, SelectBase
from sqlalchemy.types import TypeEngine

from orm.database.sql.functions import CastTo, SQLFunction
from orm.database.types import column_types
from orm.database.types.column_types import unconverted

WIDTHS = {"date": 0, "naive": 1, "aware": 2}
"""The types that convert to each other, from the narrowest."""
ASSIGNABLE = {"date": WIDTHS.keys(), "naive": WIDTHS.keys(), "aware": WIDTHS.keys(), "time": {"naive", "aware"}}
"""What can be assigned to a column of each type."""


def datetime_family(type_: TypeEngine[Any]) -> str | None:
    """``date``, ``time``, ``naive`` or ``aware``; None for other types."""
    type_ = unconverted(type_)
    if isinstance(type_, column_types.DateTime):
        return "aware" if type_.timezone else "naive"
    if isinstance(type_, column_types.Date):
        return "date"
    return "time" if isinstance(type_, column_types.Time) else None


def comparable(*columns: ColumnElement[Any]) -> tuple[ColumnElement[Any], ...]:
    """The columns; dates and datetimes among them are converted to the widest of their types."""
    families = [datetime_family(column.type) for column in columns]
    known = {family for family in families if family in WIDTHS}
    if len(known) < 2:
        return columns
    widest = max(known, key=WIDTHS.__getitem__)
    return tuple(
        column if family not in WIDTHS or family == widest else as_datetime(column, str(family), widest)
        for column, family in zip(columns, families, strict=True)
    )


def comparable_with_query(column: ColumnElement[Any], query: SelectBase) -> tuple[ColumnElement[Any], SelectBase]:
    """The column and the query of one column that it is looked up in, converted like `comparable` columns."""
    (selected,) = query.selected_columns
    column, converted = comparable(column, selected)
    if converted is selected:
        return column, query
    if isinstance(query, Select):
        return column, query.with_only_columns(converted, maintain_column_froms=True)
    (selected,) = query.subquery().columns
    return column, sqlalchemy.select(comparable(column, selected)[1])


def as_datetime(column: ColumnElement[Any], family: str, target: str) -> ColumnElement[Any]:
    """A date or local datetime as a wider type; as it is where the database compares the two alike, for its indexes."""
    type_ = column_types.DateTime(timezone=target == "aware")
    return SQLFunction("as_datetime", column, literals=(family, target), type_=type_)


def converted_to(type_: TypeEngine[Any], column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column as a date or time of another type, if both are such."""
    family, target = datetime_family(column.type), datetime_family(type_)
    if family == target or family not in ASSIGNABLE.get(target or "", ()):
        return column
    stored = unconverted(type_)
    assert isinstance(stored, column_types.ORMType)
    assert family is not None
    assert target is not None
    return CastTo(column, family, target, stored)
