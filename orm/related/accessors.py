"""What a relation is on a class and on its instances: accessors, and the through models that are made."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any

from orm.exceptions import FieldError, NoMatch
from orm.fields import Field
from orm.mapping.constraints import UniqueConstraint
from orm.related.managers import RelatedManager, manager_class, manager_of
from orm.relations import (
    CASCADE,
    CompositeForeignKey,
    ForeignKey,
    ManyToMany,
    Relation,
    RelationExpression,
    ReverseRelation,
)
from orm.relations.base import find_target
from orm.relations.instance_state import check_accessible, forget, get_loaded, set_loaded

if TYPE_CHECKING:
    from orm.models import Model


class ManyAccessor:
    """``album.tracks``: a manager of the related rows; on the class an expression."""

    def __init__(self, relation: Relation) -> None:
        self.relation = relation

    @cached_property
    def manager_class(self) -> type[RelatedManager[Any]]:
        """The class of the managers."""
        return manager_class(self.relation)

    def __get__(self, instance: Model | None, owner: type[Model]) -> Any:
        if instance is None:
            return RelationExpression(owner, self.relation.name)
        check_accessible(instance, self.relation)
        return manager_of(self.manager_class, instance)

    def __set__(self, instance: Model, value: Any) -> None:
        raise instance._meta.not_assigned(self.relation)


class OneAccessor:
    """The way back over a `OneToOne`: an instance once it is loaded; on the class an expression.

    The loaded instance lies in the instance's own attributes.
    """

    def __init__(self, relation: ReverseRelation) -> None:
        self.relation = relation

    def __get__(self, instance: Model | None, owner: type[Model]) -> Any:
        name = self.relation.accessor
        if instance is None:
            return RelationExpression(owner, self.relation.name)
        own = instance.__dict__
        if name in own:
            return own[name]
        check_accessible(instance, self.relation)
        label = f"{owner.__name__}.{name}"
        if get_loaded(instance, name) is not None:
            raise self.missing(f"{label}: no {self.relation.target.__name__} points at this {owner.__name__}.")
        raise AttributeError(
            f"{label} was not loaded, and relations are not loaded implicitly. Use select_related({name!r}) or "
            f"prefetch_related({name!r}) so that the query brings it, or `await orm.load(instance, {name!r})`."
        )

    def __set__(self, instance: Model, value: Any) -> None:
        name, target = self.relation.accessor, self.relation.target
        own = instance.__dict__
        if value is None:
            before = own.pop(name, None)
            if before is not None:
                setattr(before, self.relation.relation.name, None)
            set_loaded(instance, name, [])
            return
        if not isinstance(value, target):
            given = type(value).__name__
            raise FieldError(f"{type(instance).__name__}.{name} takes {target.__name__} instances, got {given}.")
        setattr(value, self.relation.relation.name, instance)
        forget(instance, name)
        own[name] = value

    def __delete__(self, instance: Model) -> None:
        instance.__dict__.pop(self.relation.accessor, None)

    @cached_property
    def missing(self) -> type[NoMatch]:
        """The error for a row that is known not to be there."""
        return type("RelatedObjectDoesNotExist", (self.relation.target.DoesNotExist, AttributeError), {})


def set_reverse_accessors(model: type[Model]) -> None:
    """Give the models that this one points at their way back."""
    for relation in model._meta.forward:
        _set_accessor(relation.target, relation.reverse)


def _set_accessor(model: type[Model], relation: Relation) -> None:
    if relation.accessor.endswith("+"):
        return
    one = isinstance(relation, ReverseRelation) and not relation.many
    setattr(model, relation.accessor, OneAccessor(relation) if one else ManyAccessor(relation))  # type: ignore[arg-type]


def install_many_to_many(relation: ManyToMany[Any]) -> None:
    """Make both ends of the relation known, and its through model if none was given.

    Raises `FieldError` for a through model that does not fit, and for names that are taken.
    """
    relation.is_installed = True
    try:
        if relation.through is None:
            relation.through = relation.auto_through = _make_through(relation)
        for model, end in ((relation.model, relation.forward), (relation.target, relation.backward)):
            model._meta.add_relation(end)
            _set_accessor(model, end)
    except FieldError:
        uninstall_many_to_many(relation)
        raise


def uninstall_many_to_many(relation: ManyToMany[Any]) -> None:
    """Undo `install_many_to_many`, but for the through model."""
    relation.is_installed = False
    relation.model._meta.drop_relation(relation)
    target = find_target(relation.to, relation.model)
    if target is not None:
        target._meta.drop_relation(relation)
    setattr(relation.model, relation.name, relation)


def _make_through(relation: ManyToMany[Any]) -> type[Model]:
    """The model of the pairs: two foreign keys that cascade, unique together."""
    model, target = relation.model, relation.target
    names = (model.__name__.lower(), target.__name__.lower())
    if names[0] == names[1]:
        names = (f"from_{names[0]}", f"to_{names[1]}")
    metaclass: Any = type(model)
    root = next(base for base in reversed(model.__mro__) if isinstance(base, metaclass))
    hidden = f"{model.__name__}_{relation.name}+"

    fields = {**_pointing(names[0], model, hidden), **_pointing(names[1], target, hidden)}

    class Meta:
        tablename = relation.tablename or f"{model._meta.tablename}_{relation.name}"
        constraints = (UniqueConstraint(*(name for name, field in fields.items() if isinstance(field, Field))),)
        schema = model._meta.options.schema

    through: type[Model] = metaclass(
        f"{model.__name__}_{relation.name}",
        (root,),
        {"__module__": model.__module__, "registry": model._meta.registry, "Meta": Meta, **fields},
    )
    return through


def _pointing(name: str, target: type[Model], hidden: str) -> dict[str, Any]:
    """What points at one side: a foreign key, of several fields where the side has a composite key."""
    keys = target._meta.pk_fields
    if len(keys) == 1:
        return {name: ForeignKey(target, on_delete=CASCADE, related_name=hidden)}
    made: dict[str, Any] = {}
    for key in keys:
        part = made[f"{name}_{key.name}"] = copy.copy(key)
        part.primary_key = False
        part.column = None
        if isinstance(part, ForeignKey):
            part.related_name = hidden
    return {**made, name: CompositeForeignKey(target, from_fields=list(made), on_delete=CASCADE, related_name=hidden)}
