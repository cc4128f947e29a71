"""What a relation is on a class and on its instances: accessors, and the through models that are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orm.constraints import UniqueConstraint
from orm.related_managers import ManyToManyManager, RelatedManager, manager_of
from orm.relations import CASCADE, ForeignKey, ManyToMany, Relation, RelationExpression

if TYPE_CHECKING:
    from orm.models import Model

__all__ = ["ManyToManyManager", "RelatedManager", "link_many_to_many", "set_reverse_accessors"]


class ManyAccessor:
    """``album.tracks``: a manager of the related rows; on the class an expression."""

    def __init__(self, relation: Relation) -> None:
        self.relation = relation

    def __get__(self, instance: Model | None, owner: type[Model]) -> Any:
        if instance is None:
            return RelationExpression(owner, self.relation.name)
        return manager_of(self.relation, instance)

    def __set__(self, instance: Model, value: Any) -> None:
        name = f"{instance._meta.name}.{self.relation.accessor}"
        raise AttributeError(f"{name} is not assigned: use `await instance.{self.relation.accessor}.set(...)`.")


class OneAccessor:
    """The way back over a `OneToOne`: an instance once it is loaded; on the class an expression.

    The loaded instance lies in the instance's own attributes, which Python finds first.
    """

    def __init__(self, relation: Relation) -> None:
        self.relation = relation

    def __get__(self, instance: Model | None, owner: type[Model]) -> Any:
        if instance is None:
            return RelationExpression(owner, self.relation.name)
        raise AttributeError(f"{owner.__name__}.{self.relation.accessor} was not loaded.")


def set_reverse_accessors(model: type[Model]) -> None:
    """Give the models that this one points at their way back."""
    for field in model._meta.fields.values():
        if isinstance(field, ForeignKey):
            _set_accessor(field.target, field.reverse)


def _set_accessor(model: type[Model], relation: Relation) -> None:
    if not relation.accessor.endswith("+"):
        setattr(model, relation.accessor, (ManyAccessor if relation.many else OneAccessor)(relation))


def link_many_to_many(relation: ManyToMany[Any]) -> None:
    """Make both ends of the relation known, and its through model if none was given."""
    relation.linked = True
    if relation.through is None:
        relation.through = _make_through(relation)
    for model, end in ((relation.model, relation.forward), (relation.target, relation.backward)):
        model._meta.add_relation(end)
        _set_accessor(model, end)


def _make_through(relation: ManyToMany[Any]) -> type[Model]:
    """The model of the pairs: two foreign keys that cascade, unique together."""
    model, target = relation.model, relation.target
    names = (model.__name__.lower(), target.__name__.lower())
    if names[0] == names[1]:
        names = (f"from_{names[0]}", f"to_{names[1]}")
    metaclass: Any = type(model)
    root = next(base for base in reversed(model.__mro__) if isinstance(base, metaclass))
    hidden = f"{model.__name__}_{relation.name}+"

    class Meta:
        tablename = relation.tablename or f"{model._meta.tablename}_{relation.name}"
        constraints = (UniqueConstraint(*names),)
        schema = model._meta.options.schema

    through: Any = metaclass(
        f"{model.__name__}_{relation.name}",
        (root,),
        {
            "__module__": model.__module__,
            "registry": model._meta.registry,
            "Meta": Meta,
            names[0]: ForeignKey(model, on_delete=CASCADE, related_name=hidden),
            names[1]: ForeignKey(target, on_delete=CASCADE, related_name=hidden),
        },
    )
    through._meta.auto_created = True
    return through  # type: ignore[no-any-return]
