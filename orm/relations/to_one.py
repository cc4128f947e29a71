"""`ToOneRelation`, the base class of relations that keep another row's key; and the `on_delete` actions."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from orm.exceptions import FieldError
from orm.fields.options import FieldOptions
from orm.relations.base import Hop, check_related_name, check_target, find_target
from orm.relations.reverse import ReverseRelation

if TYPE_CHECKING:
    from orm.models import Model

CASCADE: Final = "CASCADE"
RESTRICT: Final = "RESTRICT"
SET_NULL: Final = "SET NULL"
SET_DEFAULT: Final = "SET DEFAULT"
NO_ACTION: Final = "NO ACTION"
ON_DELETE = (CASCADE, RESTRICT, SET_NULL, SET_DEFAULT, NO_ACTION)
OnDelete = Literal["CASCADE", "RESTRICT", "SET NULL", "SET DEFAULT", "NO ACTION"]


class RelationOptions(FieldOptions, total=False):
    """The options of `ForeignKey` and `OneToOne`, besides `allow_null`, as type checkers see them."""

    on_delete: OnDelete
    related_name: str | None
    related_query_name: str | None
    to_field: str | None


def check_on_delete(on_delete: str, allow_null: bool) -> None:
    """Raise `FieldError` for an unknown action, or for SET NULL on a relation that may not be null."""
    if on_delete not in ON_DELETE:
        raise FieldError(
            f"on_delete must be one of orm.CASCADE, RESTRICT, SET_NULL, SET_DEFAULT and NO_ACTION, got {on_delete!r}."
        )
    if on_delete == SET_NULL and not allow_null:
        raise FieldError("on_delete=SET_NULL needs allow_null=True on the same relation.")


class ToOneRelation:
    """A relation to one row of another model, `to`, kept as that row's key."""

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
        """Set the related model and the options that concern it. Raises `FieldError` if they are not valid."""
        check_target(to)
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
        join: Any = self  # The subclasses are hops; this mixin alone is not.
        return (join,)

    @cached_property
    def reverse(self) -> ReverseRelation:
        """The reverse relation."""
        relation: Any = self
        return ReverseRelation(relation)

    def reset_target(self, name: str) -> None:
        """Wait for the next model of this name: the present one is removed from the registry."""
        self.to = name
        self.__dict__.pop("reverse", None)

    def is_resolved(self) -> bool:
        """Whether the related model is declared yet."""
        return find_target(self.to, self.model) is not None

    @property
    def target(self) -> type[Model]:
        """The related model. Raises `FieldError` if it is not declared."""
        if isinstance(self.to, str):
            target = find_target(self.to, self.model)
            if target is None:
                raise self.model._meta.registry.unknown_model(self.label, self.to)
            self.to = target
        return self.to
