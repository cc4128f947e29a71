"""The constraints and indexes of a model's `class Meta`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy

from orm.exceptions import FieldError

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo


class UniqueConstraint:
    """A unique constraint on several fields, for `Meta.constraints`.

    constraints = [orm.UniqueConstraint("album", "position", name="one_track_per_position")]
    """

    def __init__(self, *fields: str, name: str | None = None) -> None:
        if not fields:
            raise FieldError("UniqueConstraint takes the names of the fields that are unique together.")
        self.fields = fields
        self.name = name

    def build(self, info: ModelInfo) -> sqlalchemy.UniqueConstraint:
        """The SQLAlchemy constraint of the model's table."""
        columns = info.column_names(self.fields, "Meta.constraints")
        return sqlalchemy.UniqueConstraint(*columns, name=self.name)


class CheckConstraint:
    """A condition in SQL that each row must meet, for `Meta.constraints`.

        constraints = [orm.CheckConstraint("position > 0", name="position_is_positive")]

    The SQL is used as it is, and refers to columns, not fields.
    """

    def __init__(self, sql: str, *, name: str) -> None:
        self.sql = sql
        self.name = name

    def build(self, info: ModelInfo) -> sqlalchemy.CheckConstraint:
        """The SQLAlchemy constraint of the model's table."""
        return sqlalchemy.CheckConstraint(sqlalchemy.text(self.sql), name=self.name)


class Index:
    """An index on these fields, for `Meta.indexes`. ``-name`` is descending.

    indexes = [orm.Index("album", "-position"), orm.Index("code", unique=True, name="by_code")]
    """

    def __init__(self, *fields: str, name: str | None = None, unique: bool = False) -> None:
        if not fields:
            raise FieldError("Index takes the names of the fields to index.")
        self.fields = fields
        self.name = name
        self.unique = unique

    def attach(self, info: ModelInfo, table: sqlalchemy.Table) -> None:
        """Add the index to the model's table."""
        columns = info.column_names([name.removeprefix("-") for name in self.fields], "Meta.indexes")
        terms: list[Any] = [
            table.c[column].desc() if name.startswith("-") else table.c[column]
            for name, column in zip(self.fields, columns, strict=True)
        ]
        sqlalchemy.Index(self.name, *terms, unique=self.unique)
