"""`Composed`: what relations that are kept in other fields of the model have in common."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import sqlalchemy
from typing_extensions import Self

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.models import Model


class Composed:
    """A relation without a column of its own: writing it writes `field_names`."""

    name = ""
    model: type[Model]
    field_names: tuple[str, ...]

    def bind(self, model: type[Model], name: str) -> None:
        """Take the model and the name that the class statement gives."""
        self.model = model
        self.name = name

    def copy(self) -> Self:
        """A copy for a model that inherits the relation."""
        made = copy.copy(self)
        made.__dict__.pop("reverse", None)
        return made

    @property
    def label(self) -> str:
        """The relation's name in messages: ``Line.order``."""
        return f"{self.model.__name__}.{self.name}"

    @property
    def fields(self) -> tuple[Field[Any], ...]:
        """The fields that it is kept in."""
        known = self.model._meta.fields
        return tuple(known[name] for name in self.field_names)

    def field_values(self, value: Any) -> dict[str, Any]:
        """What a value of the relation makes of each field, by name. Raises `FieldError` or `QueryError`."""
        raise NotImplementedError

    def expression(self, model: type[Model], via: tuple[str, ...] = ()) -> Any:
        """The relation on the class `model`, reached over `via`."""
        raise NotImplementedError

    def copy_saved_key(self, instance: Model) -> None:
        """Take the key of a related instance that was saved since it was set. Raises `QueryError` if it was not."""

    def constraint(self) -> sqlalchemy.Constraint:
        """The constraint of the model's table that it needs."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise `FieldError` if it does not fit its model."""
