"""The attributes that relations add to models, and the through models that are created for `ManyToMany`."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any

from orm.exceptions import FieldError
from orm.fields import Field
from orm.mapping.constraints import UniqueConstraint
from orm.mapping.signals import hooked_models
from orm.query.conditions.related_to import owner_key_paths
from orm.queryset.managers import Manager
from orm.queryset.queryset import QuerySet
from orm.related.loaded_rows import LoadedRows
from orm.related.managers import RelatedManager
from orm.related.many_to_many import ManyToManyManager
from orm.relations import (
    CASCADE,
    CompositeForeignKey,
    ForeignKey,
    ManyToMany,
    ManyToManySide,
    Relation,
    RelationExpression,
    ReverseRelation,
)
from orm.relations.attaching import local_fields
from orm.relations.base import find_target
from orm.relations.instance_state import awaited, check_accessible, forget, get_loaded, not_loaded, set_loaded

if TYPE_CHECKING:
    from orm.models import Model


class ManyAccessor:
    """The attribute of a relation to many, ``album.tracks``: a manager; on the class, an expression."""

    def __init__(self, relation: Relation) -> None:
        self.relation = relation

    @cached_property
    def manager_class(self) -> type[RelatedManager[Any]]:
        """The class of the managers."""
        return _manager_class(self.relation)

    @cached_property
    def loaded_class(self) -> type[RelatedManager[Any]]:
        """The class of managers whose rows are loaded; these managers are also lists."""
        return type(self.manager_class.__name__, (self.manager_class, LoadedRows), {"__module__": __name__})

    def __get__(self, instance: Model | None, owner: type[Model]) -> Any:
        if instance is None:
            return RelationExpression(owner, self.relation.name)
        rows = get_loaded(instance, self.relation.accessor)
        if rows is None:
            check_accessible(instance, self.relation)
            return _manager_of(self.manager_class, instance)
        manager = _manager_of(self.loaded_class, instance)
        manager._hold(rows)
        return manager

    def __set__(self, instance: Model, value: Any) -> None:
        raise instance._meta.not_assigned(self.relation)


def _manager_class(relation: Relation) -> type[RelatedManager[Any]]:
    """The class of a relation's managers, which has the methods of the target's `objects`."""
    base: type[RelatedManager[Any]] = ManyToManyManager if isinstance(relation, ManyToManySide) else RelatedManager
    objects = type(relation.target.objects)
    bases = (base,) if objects is QuerySet else (base, objects)
    members = {
        "__module__": base.__module__,
        "_relation": relation,
        "_paths": owner_key_paths(relation),
        "_local_fields": local_fields(relation),
    }
    return type(f"{relation.target.__name__}{base.__name__}", bases, members)


def _manager_of(manager_class: type[RelatedManager[Any]], instance: Model) -> RelatedManager[Any]:
    """The manager of an instance's related rows."""
    manager = manager_class(instance)
    objects = manager_class._relation.target.objects
    if isinstance(objects, Manager):
        # A custom manager's attributes.
        manager.__dict__.update({key: value for key, value in vars(objects).items() if key not in manager.__dict__})
    return manager


class OneAccessor:
    """The reverse attribute of a `OneToOne`: the related instance if it is loaded; on the class, an expression.

    The related instance is stored in the instance's ``__dict__``, under the same name.
    """

    def __init__(self, relation: ReverseRelation) -> None:
        self.relation = relation

    def __get__(self, instance: Model | None, owner: type[Model]) -> Any:
        name = self.relation.accessor
        if instance is None:
            return RelationExpression(owner, self.relation.name)
        attributes = instance.__dict__
        if name in attributes:
            return attributes[name]
        check_accessible(instance, self.relation)
        label = f"{owner.__name__}.{name}"
        if not instance._persisted or get_loaded(instance, name) is not None:
            raise self.relation.missing(f"{label}: no {self.relation.target.__name__} points at this {owner.__name__}.")
        raise not_loaded(
            instance,
            f"{label} was not loaded, and relations are not loaded implicitly. Use select_related({name!r}) or "
            f"prefetch_related({name!r}) so that the query brings it, or `{awaited(f'orm.load(instance, {name!r})')}`.",
        )

    def __set__(self, instance: Model, value: Any) -> None:
        name, target = self.relation.accessor, self.relation.target
        if value is None:
            previous = instance.__dict__.pop(name, None)
            if previous is not None:
                setattr(previous, self.relation.relation.name, None)
            set_loaded(instance, name, [])
            return
        if not isinstance(value, target._meta.instance_class):
            label = f"{type(instance).__name__}.{name}"
            raise FieldError(f"{label} takes {target.__name__} instances, got {type(value).__name__}.")
        setattr(value, self.relation.relation.name, instance)
        forget(instance, name)
        instance.__dict__[name] = value

    def __delete__(self, instance: Model) -> None:
        instance.__dict__.pop(self.relation.accessor, None)


def set_reverse_accessors(model: type[Model]) -> None:
    """Set the attributes of the reverse relations, on the models that this one references."""
    for relation in model._meta.local_forward:
        _set_accessor(relation.target, relation.reverse)


def _set_accessor(model: type[Model], relation: Relation) -> None:
    if relation.accessor.endswith("+"):
        return
    model = model._meta.relation_owner.model
    if isinstance(relation, ReverseRelation) and not relation.many:
        setattr(model, relation.accessor, OneAccessor(relation))
    else:
        setattr(model, relation.accessor, ManyAccessor(relation))


def install_many_to_many(relation: ManyToMany[Any]) -> None:
    """Add the relation to both models, and create its through model unless it has one.

    Raises `FieldError` for a through model that does not fit, and for names that are taken.
    """
    relation.is_installed = True
    try:
        if relation.through is None:
            relation.through = relation.auto_through = _create_through_model(relation)
        for model, side in ((relation.model, relation.forward), (relation.target, relation.backward)):
            model._meta.add_relation(side)
            _set_accessor(model, side)
    except FieldError:
        uninstall_many_to_many(relation)
        raise


def uninstall_many_to_many(relation: ManyToMany[Any]) -> None:
    """Undo `install_many_to_many`, except for the through model."""
    relation.is_installed = False
    relation.model._meta.drop_relation(relation)
    target = find_target(relation.to, relation.model)
    if target is not None:
        target._meta.drop_relation(relation)
    setattr(relation.model, relation.name, relation)


def _create_through_model(relation: ManyToMany[Any]) -> type[Model]:
    """Declare the model of the pairs: two foreign keys that cascade and are unique together."""
    model, target = relation.model, relation.target
    names = (model.__name__.lower(), target.__name__.lower())
    if names[0] == names[1]:
        names = (f"from_{names[0]}", f"to_{names[1]}")
    metaclass: Any = type(model)
    root = next(base for base in reversed(model.__mro__) if isinstance(base, metaclass))
    hidden = f"{model.__name__}_{relation.name}+"

    fields = {**_key_to(model, names[0], hidden), **_key_to(target, names[1], hidden)}
    keys = [field for field in fields.values() if isinstance(field, (ForeignKey, CompositeForeignKey))]
    for key in keys:
        key.index = relation.index
    if relation.columns is not None:
        for key, column in zip(keys, relation.columns, strict=True):
            if not isinstance(key, ForeignKey):
                raise FieldError(f"{relation.label}: columns= names one column for each model, and a key has several.")
            key.column = column

    info = model._meta
    table = info.tablename if info.concrete is info else info.name.lower()

    class Meta:
        tablename = relation.tablename or f"{table}_{relation.name}"
        constraints = (UniqueConstraint(*(name for name, field in fields.items() if isinstance(field, Field))),)
        schema = model._meta.options.schema

    through: type[Model] = metaclass(
        f"{model.__name__}_{relation.name}",
        (root,),
        {"__module__": model.__module__, "registry": model._meta.registry, "Meta": Meta, **fields},
    )
    through._meta.auto_created = True
    hooked_models.add(through._meta)
    return through


def _key_to(target: type[Model], name: str, related_name: str) -> dict[str, Any]:
    """A foreign key to a model, by name; for a composite primary key, preceded by the fields of its parts."""
    pk_fields = target._meta.pk_fields
    if len(pk_fields) == 1:
        return {name: ForeignKey(target, on_delete=CASCADE, related_name=related_name)}
    parts: dict[str, Any] = {}
    for field in pk_fields:
        part = parts[f"{name}_{field.name}"] = copy.copy(field)
        part.primary_key = False
        part.column = None
        if isinstance(part, ForeignKey):
            part.related_name = related_name
    key = CompositeForeignKey(target, from_fields=list(parts), on_delete=CASCADE, related_name=related_name)
    return {**parts, name: key}
