"""`KeyField`, the base class of fields whose values are keys of another model's rows."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy.types import TypeEngine

from orm.fields import Field

T = TypeVar("T")


class KeyField(Field[T]):
    """A field whose values are keys of another model's rows, and are stored and converted as `target_field` does it."""

    family = "relation"
    is_ordered = supports_arithmetic = True

    @property
    def target_field(self) -> Field[Any]:
        """The field of the related model that holds the key."""
        raise NotImplementedError

    def column_type(self) -> TypeEngine[Any]:
        """The column type of the related field."""
        column_type: TypeEngine[Any] = self.target_field.column_type()
        return column_type

    def to_json(self, value: Any) -> Any:
        """The key as JSON can hold it."""
        return self.target_field.to_json(value)

    def from_json(self, value: Any) -> Any:
        """The key that `to_json` converted."""
        return self.target_field.from_json(value)

    @property
    def is_json(self) -> bool:
        """Whether JSON can hold the keys as they are."""
        return bool(self.target_field.is_json)

    @property
    def underlying_field(self) -> Field[Any]:
        """The field that the key refers to."""
        field: Field[Any] = self.target_field.underlying_field
        return field
