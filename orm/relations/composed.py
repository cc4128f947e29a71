"""`Composed` and `ComposedExpression`: the base classes of relations that have no column."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import sqlalchemy
from typing_extensions import Self

from orm.expressions.base import Q

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.models import Model


class Composed:
    """A relation that is kept in other fields of the model, `field_names`, and has no column."""

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

    def write_changes(self, attributes: dict[str, Any]) -> None:
        """Write to the fields what was changed inside of a value that an instance with these attributes has."""

    def copy_value(self, attributes: dict[str, Any]) -> None:
        """Copy the value of a copied instance, which has these attributes, if it could be changed in place."""

    def constraint(self) -> sqlalchemy.Constraint | None:
        """The constraint that the relation adds to the model's table, if it adds one."""
        raise NotImplementedError

    def aliases(self) -> dict[str, str]:
        """Other names of its fields, each with the name of the field."""
        return {}

    def check(self) -> None:
        """Raise `FieldError` if the relation does not fit its model."""


class ComposedExpression:
    """A relation without a column, on the class: it is compared as a whole."""

    def __init__(self, model: type[Model], composed: Composed, path: tuple[str, ...] = ()) -> None:
        self._model = model
        self._name = composed.name
        self._path = path

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return ".".join([self._model.__name__, *self._path, self._name])

    def __eq__(self, other: object) -> Q:  # type: ignore[override]
        return self._lookup("exact", other)

    def __ne__(self, other: object) -> Q:  # type: ignore[override]
        return ~self._lookup("exact", other)

    def in_(self, values: Iterable[Any]) -> Q:
        """Whether it is one of these values, or in the result of a query."""
        return self._lookup("in", values)

    def is_null(self, value: bool = True) -> Q:
        """Whether it is None (or, with False, is not)."""
        return self._lookup("isnull", value)

    def _lookup(self, lookup: str, value: Any) -> Q:
        return Q(**{"__".join([*self._path, self._name, lookup]): value})
