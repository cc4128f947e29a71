"""Retired fields: their columns stay in the table until a migration drops them, and nothing reads or writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import sqlalchemy

from orm.exceptions import FieldError, RetiredField
from orm.fields import Field


def split_retired(model: str, fields: Mapping[str, Field[Any]]) -> tuple[dict[str, Field[Any]], dict[str, Field[Any]]]:
    """The fields that are in use, and those that are retired. Raises `FieldError` for one that cannot be."""
    retired = {name: field for name, field in fields.items() if field.retired}
    for name, field in retired.items():
        if field.primary_key:
            raise FieldError(f"{model}.{name}: rows are found by their primary key, which cannot be retired.")
        if field.unique and field.server_default is not None:
            raise FieldError(
                f"{model}.{name} is retired: all new rows get its server_default, and it is unique. Leave out one of "
                "these options, so that new rows have NULL."
            )
    return {name: field for name, field in fields.items() if name not in retired}, retired


def retired_column(field: Field[Any]) -> sqlalchemy.Column[Any]:
    """The column of a retired field, which allows NULL if no default gives new rows a value."""
    column = field.make_column()
    if field.server_default is None:
        column.nullable = True
    return column


def retired_error(field: Field[Any], what: str) -> RetiredField:
    """The error for a retired field that is used as `what`."""
    return RetiredField(
        f"{field.model.__name__}.{field.name} is retired, and was given as {what}: its column {field.column_name!r} is "
        "neither read nor written, and a later migration drops it. Leave it out, or declare the field without "
        "retired=True."
    )


class RetiredAttribute:
    """The attribute of a retired field, which has no value: reading and assigning raise `RetiredField`."""

    def __init__(self, field: Field[Any]) -> None:
        self.field = field

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise retired_error(self.field, "an attribute")

    def __set__(self, instance: object, value: object) -> NoReturn:
        raise retired_error(self.field, "an attribute")
