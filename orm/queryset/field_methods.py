"""The methods that a model gets for its fields: ``get_level_display()``, ``get_next_by_created()`` and the like."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from orm.exceptions import QueryError
from orm.expressions.base import Q
from orm.fields import Date, DateTime, Field
from orm.relations.instance_state import stored_in

if TYPE_CHECKING:
    from orm.models import Model


def add_field_methods(model: type[Model], fields: Iterable[Field[Any]]) -> None:
    """Add Django's methods for its fields to a model, except those that its class body or a base class defines."""
    for field in fields:
        methods: dict[str, Callable[..., Any]] = {}
        if field.choices is not None:
            methods[f"get_{field.name}_display"] = _display(field)
        if isinstance(field, (Date, DateTime)) and not field.allow_null:
            methods[f"get_next_by_{field.name}"] = _adjacent(field, "gt")
            methods[f"get_previous_by_{field.name}"] = _adjacent(field, "lt")
        for name, method in methods.items():
            if not any(name in vars(base) for base in model.__mro__):
                method.__name__, method.__qualname__ = name, f"{model.__qualname__}.{name}"
                setattr(model, name, method)


def _display(field: Field[Any]) -> Callable[..., Any]:
    choices = field.choices or ()

    def display(self: Model) -> Any:
        """The label of the field's value among its choices; as in Django, the value itself if it is none of them."""
        value = getattr(self, field.name)
        value = value.value if isinstance(value, enum.Enum) else value
        return next((label for choice, label in choices if choice == value), value)  # not every value has a hash

    return display


def _adjacent(field: Field[Any], lookup: str) -> Callable[..., Any]:
    async def adjacent(self: Model, **lookups: Any) -> Model:
        """The row next to this one by the field, and by primary key where that is equal, among those that match.

        Raises `Model.DoesNotExist` if there is none, `QueryError` for an instance that is not saved.
        """
        if self.pk is None:
            raise QueryError(f"This {self._meta.name} is not saved, so no row is next to it: save it first.")
        value = getattr(self, field.name)
        beyond = Q(**{f"{field.name}__{lookup}": value}) | Q(**{field.name: value, f"pk__{lookup}": self.pk})
        rows = type(self).objects.filter(beyond, **lookups)
        database = stored_in(self)
        rows = rows if database is None else rows.using(database)
        nearest = await rows.order_by(
            *(f"{'-' if lookup == 'lt' else ''}{name}" for name in (field.name, "pk"))
        ).first()
        if nearest is None:
            raise self.DoesNotExist(f"No {self._meta.name} is beyond this one by {field.name}.")
        row: Model = nearest
        return row

    return adjacent
