"""`ToOneRelation`, the base class of relations that keep another row's key; and the `on_delete` actions."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from orm.exceptions import FieldError
from orm.relations.base import Hop, check_related_name, check_to, find_target
from orm.relations.reverse import ReverseRelation

if TYPE_CHECKING:
    from orm.models import Model

CASCADE = "CASCADE"
RESTRICT = "RESTRICT"
SET_NULL = "SET NULL"
SET_DEFAULT = "SET DEFAULT"
NO_ACTION = "NO ACTION"
ON_DELETE = (CASCADE, RESTRICT, SET_NULL, SET_DEFAULT, NO_ACTION)


def check_on_delete(on_delete: str, allow_null: bool) -> None:
    """Raise `FieldError` unless it is one of the rules, which the relation can follow."""
    if on_delete not in ON_DELETE:
        raise FieldError(
            f"on_delete must be one of orm.CASCADE, RESTRICT, SET_NULL, SET_DEFAULT and NO_ACTION, got {on_delete!r}."
        )
    if on_delete == SET_NULL and not allow_null:
        raise FieldError("on_delete=SET_NULL needs allow_null=True on the same relation.")


class ToOneRelation:
    """A relation to one row of another model, `to`, and the ways back that are asked for."""

    name: str
    model: type[Any]
    many = False
    to: type[Model] | str
    on_delete: str
    related_name: str | None
    related_query_name: str | None

    def set_target(
        self, to: Any, on_delete: str, related_name: str | None, related_query_name: str | None, allow_null: bool
    ) -> None:
        """Take where it leads. Raises `FieldError` for what makes no sense."""
        check_to(to)
        check_on_delete(on_delete, allow_null)
        check_related_name(related_name, "related_name")
        check_related_name(related_query_name, "related_query_name")
        self.to = to
        self.on_delete = on_delete
        self.related_name = related_name
        self.related_query_name = related_query_name

    @property
    def label(self) -> str:
        """The relation's name in messages: ``Track.album``."""
        return f"{self.model.__name__}.{self.name}"

    @property
    def accessor(self) -> str:
        """The attribute that holds the related instance."""
        return self.name

    @property
    def hops(self) -> tuple[Hop, ...]:
        """The one join to the related model."""
        hop: Any = self
        return (hop,)

    @cached_property
    def reverse(self) -> ReverseRelation:
        """The way back."""
        relation: Any = self
        return ReverseRelation(relation)

    def reset_target(self, name: str) -> None:
        """Lead to the next model of this name: the one that it led to is gone."""
        self.to = name
        self.__dict__.pop("reverse", None)

    def is_resolved(self) -> bool:
        """Whether the related model is there yet."""
        return find_target(self.to, self.model) is not None

    @property
    def target(self) -> type[Model]:
        """The related model. Raises `FieldError` if it never appeared."""
        if isinstance(self.to, str):
            found = find_target(self.to, self.model)
            if found is None:
                raise self.model._meta.registry.unknown_model(self.label, self.to)
            self.to = found
        return self.to
