"""What is loaded of an instance's relations, for answers: nothing is loaded here."""

from __future__ import annotations

from typing import Any

from orm.exceptions import NotLoaded
from orm.models import Model
from orm.relations import CompositeForeignKey, ForeignKey, Relation
from orm.relations.instance_state import KEY_ONLY, OWNER, WeakParent, awaited, get_loaded, not_loaded


class NotThere:
    """The type of `NOT_THERE`."""


#: A relation was not loaded.
NOT_THERE = NotThere()


def loaded_relation(instance: Model, relation: Relation) -> Any:
    """The rows of a relation to many, the instance of a relation to one, None if there is none; or `NOT_THERE`."""
    attributes = instance.__dict__
    rows = get_loaded(instance, relation.accessor)
    if relation.many:
        return NOT_THERE if rows is None else rows
    forward = isinstance(relation, (ForeignKey, CompositeForeignKey))
    if forward and _has_null_key(instance, relation):
        return None
    related: Any = attributes.get(relation.accessor)
    if related is None and OWNER in attributes:
        related = _owner(instance, relation)
    if isinstance(related, Model) and KEY_ONLY not in related.__dict__ and _fits(instance, relation, related):
        return related
    if rows is None or (forward and rows and not any(join.allow_null for join in relation.hops)):
        return NOT_THERE
    return None


def _has_null_key(instance: Model, relation: Any) -> bool:
    attributes = instance.__dict__
    names = [field.attname for field in local_fields_of(relation)]
    return all(name in attributes for name in names) and any(attributes[name] is None for name in names)


def local_fields_of(relation: ForeignKey[Any] | CompositeForeignKey[Any]) -> tuple[Any, ...]:
    """The fields that hold the key of a foreign key."""
    return (relation,) if isinstance(relation, ForeignKey) else tuple(relation.fields)


def _fits(instance: Model, relation: Relation, related: Model) -> bool:
    """Whether the related instance is the one that the key is of: the key may have been set since."""
    if not isinstance(relation, ForeignKey) or relation.attname not in instance.__dict__:
        return True
    return bool(related.__dict__.get(relation.target_field.attname) == instance.__dict__[relation.attname])


def _owner(instance: Model, relation: Relation) -> Model | None:
    """The instance that this row was loaded for, if it is at the other end of this relation."""
    owner: Any = instance.__dict__[OWNER]
    related = owner.get() if isinstance(owner, WeakParent) else None
    return related if isinstance(related, relation.target) and isinstance(relation, ForeignKey) else None


def required_relation(instance: Model, relation: Relation) -> Any:
    """What was loaded of a relation. Raises `NotLoaded`, which names the method of the query that loads it."""
    related = loaded_relation(instance, relation)
    if related is NOT_THERE:
        raise unloaded(instance, relation)
    return list(related) if relation.many else related


def unloaded(instance: Model, relation: Relation) -> NotLoaded:
    """The error for a relation that is to be answered and was not loaded."""
    name, accessor = instance._meta.name, relation.accessor
    if relation.many:
        query = f"{name}.objects.prefetch_related({accessor!r})"
    else:
        query = f"{name}.objects.select_related({accessor!r}) or prefetch_related({accessor!r})"
    return not_loaded(
        instance,
        f"{name}.{accessor} is to be answered and was not loaded. Have the query bring it: {query}; or load it with "
        f"`{awaited(f'orm.load({name.lower()}, {accessor!r})')}`; or leave it out of the answer, with "
        f"read_model({name}).",
    )
