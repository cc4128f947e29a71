"""`Composed`, the base class of relations that have no column of their own."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import sqlalchemy
from typing_extensions import Self

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.models import Model


class Composed:
    """A relation that is kept in other fields of the model, `field_names`, and has no column of its own."""

    name = ""
    model: type[Model]
    field_names: tuple[str, ...]

    def bind(self, model: type[Model], name: str) -> None:
        """Make this the relation `name` of `model`."""
        self.model = model
        self.name = name

    def copy(self) -> Self:
        """An unbound copy, for a model that inherits the relation."""
        duplicate = copy.copy(self)
        duplicate.__dict__.pop("reverse", None)
        return duplicate

    @property
    def label(self) -> str:
        """The relation's name in messages: ``Line.order``."""
        return f"{self.model.__name__}.{self.name}"

    @property
    def fields(self) -> tuple[Field[Any], ...]:
        """The fields that the relation is kept in."""
        fields = self.model._meta.fields
        return tuple(fields[name] for name in self.field_names)

    def field_values(self, value: Any) -> dict[str, Any]:
        """The value of each field, by name, for a value of the relation. Raises `FieldError` or `QueryError`."""
        raise NotImplementedError

    def expression(self, model: type[Model], via: tuple[str, ...] = ()) -> Any:
        """The relation as an expression on `model`, reached over the relations `via`."""
        raise NotImplementedError

    def copy_saved_key(self, instance: Model) -> None:
        """Copy the key of a related instance that has been saved since it was assigned.

        Raises `QueryError` if it has not been saved.
        """

    def constraint(self) -> sqlalchemy.Constraint:
        """The constraint that the relation adds to the model's table."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise `FieldError` if the relation does not fit its model."""
