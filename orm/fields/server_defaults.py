"""The `server_default` of a field, as the database stores the field's values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy
import typesystem

from orm.database.sql.ddl import StoredDefault
from orm.database.types import column_types
from orm.exceptions import FieldError
from orm.expressions.base import Expression, Logical

if TYPE_CHECKING:
    from orm.fields.base import Field

#: Column types that store values in another form than the text of a server default.
VALUE_TYPES = (
    *(column_types.Boolean, column_types.UUID, column_types.Date, column_types.DateTime, column_types.Time),
    column_types.Duration,
)
#: Columns whose server default is an expression on MySQL.
LARGE_TYPES = (column_types.Text, column_types.JSON, column_types.Binary)


def stored_default(field: Field[Any]) -> Any:
    """The SQLAlchemy default of the column of a field.

    Raises `FieldError` for a text that is not a value of the field.
    """
    default, type_ = field.server_default, field.column_type()
    stored_as = column_types.unconverted(type_)
    if isinstance(default, str):
        if isinstance(stored_as, VALUE_TYPES):
            return StoredDefault(sqlalchemy.literal(_default_value(field, default), type_), stored_as)
        if isinstance(stored_as, LARGE_TYPES):
            return StoredDefault(sqlalchemy.literal(default, sqlalchemy.Text()), stored_as)
        return default
    if isinstance(default, (Expression, Logical)):
        return StoredDefault(sqlalchemy.null(), stored_as)  # `complete_columns` sets it
    return StoredDefault(default, stored_as) if isinstance(default, sqlalchemy.ClauseElement) else default


def _default_value(field: Field[Any], text: str) -> Any:
    try:
        return field.validator.validate(text)
    except typesystem.ValidationError as error:
        raise FieldError(
            f"{field._label}: server_default={text!r} is the text of a value, and this is none ({error}). "
            f"For SQL, write sqlalchemy.text({text!r})."
        ) from None
