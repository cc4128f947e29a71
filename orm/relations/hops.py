"""`Hop` and `Relation`: how one model's rows lead to another's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import ColumnElement, FromClause, and_

from orm.exceptions import QueryError
from orm.fields import Field

if TYPE_CHECKING:
    from orm.models import Model


class Hop(Protocol):
    """One step of a path from a model's table to a related one: one join."""

    @property
    def name(self) -> str:
        """What stands for it in lookups."""

    @property
    def many(self) -> bool:
        """Whether there can be several rows at the other end."""

    @property
    def allow_null(self) -> bool:
        """Whether there can be none."""

    @property
    def target(self) -> type[Model]:
        """The model at the other end."""

    @property
    def local_columns(self) -> tuple[str, ...]:
        """The columns on this side that must equal `remote_columns`, one by one, on the other."""

    @property
    def remote_columns(self) -> tuple[str, ...]:
        """The columns on the other side."""


class Relation(Protocol):
    """One end of a relation, as a model's instances and lookups have it: forward, reverse or many-to-many.

    `key` is what a comparison with the relation compares, ``filter(tracks=track)``.
    """

    @property
    def name(self) -> str:
        """What stands for it in lookups."""

    @property
    def accessor(self) -> str:
        """The attribute of an instance."""

    @property
    def many(self) -> bool:
        """Whether an instance has several related ones, under a manager, or one."""

    @property
    def hops(self) -> tuple[Hop, ...]:
        """The joins to the target, one or two."""

    @property
    def target(self) -> type[Model]:
        """The model at the other end."""

    @property
    def key(self) -> Field[Any]:
        """What is compared: the key of the target."""


def joined_on(hop: Hop, left: FromClause, right: FromClause) -> ColumnElement[bool]:
    """The condition that joins the two tables of a hop."""
    return and_(*pairs([left.c[name] for name in hop.local_columns], hop, right))


def pairs(near: Sequence[ColumnElement[Any]], hop: Hop, right: FromClause) -> list[ColumnElement[bool]]:
    """The near columns of a hop, each equal to its column of the table at the far end."""
    return [there == here for here, there in zip(near, (right.c[name] for name in hop.remote_columns), strict=True)]


def find_target(to: type[Model] | str, model: type[Model]) -> type[Model] | None:
    """The model that a relation of `model` names, None while it is not there: ``"self"``, or one of its registry."""
    if not isinstance(to, str):
        return to
    if to in ("self", model.__name__):
        return model
    return model._meta.registry.find(to)


def related_key(label: str, target: type[Model], field: Field[Any], value: Any) -> Any:
    """The key that a relation is compared with: of an instance the value of `field`, else what `field` makes of it.

    Raises `QueryError` for an instance of another model and for one that is not saved.
    """
    if not hasattr(value, "_meta"):
        return field.to_python(value)
    if not isinstance(value, target):
        given = getattr(type(value), "__name__", value)
        raise QueryError(f"{label} is compared with {target.__name__} instances, got {given}.")
    key = value.__dict__.get(field.attname)
    if key is None:
        raise QueryError(f"{label} is compared with a {target.__name__} that has no {field.name}: save it first.")
    return key
