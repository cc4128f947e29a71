"""Attaching related rows to instances: which row belongs to which instance, and where it is kept.

What was loaded is kept as `orm/relations/instance_state.py` says; with a `to_attr` it is a plain attribute.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from orm.fields import Field
from orm.relations import FORWARD, ForeignKey, Relation, ReverseRelation
from orm.relations.instance_state import KEY_ONLY, OWNER, WeakParent, get_loaded, set_loaded

if TYPE_CHECKING:
    from orm.models import Model

MAX_CACHED = 2_000


@lru_cache(MAX_CACHED)
def local_fields(relation: Relation) -> tuple[Field[Any], ...]:
    """The fields of the model that has the relation, whose values tell which rows belong to an instance."""
    owner: type[Model] = relation.relation.target if isinstance(relation, ReverseRelation) else relation.model  # type: ignore[attr-defined]
    return owner._meta.fields_of_columns(relation.hops[0].local_columns)


@lru_cache(MAX_CACHED)
def remote_fields(relation: Relation) -> tuple[Field[Any], ...]:
    """The fields with the same values on the other side: of the target, or of a through model."""
    first = relation.hops[0]
    return first.target._meta.fields_of_columns(first.remote_columns)


def reverse_attribute(relation: Relation) -> str | None:
    """The attribute of a related row that has the one instance it belongs to; None if it can belong to several."""
    if isinstance(relation, ReverseRelation):
        return relation.relation.accessor
    if isinstance(relation, FORWARD) and not relation.reverse.many:
        accessor = relation.reverse.accessor
        return None if accessor.endswith("+") else accessor
    return None


def keys_of(instances: Iterable[Model], fields: Sequence[Field[Any]]) -> list[Any]:
    """Each instance's value of the field, or tuple of several; None if any of them is None.

    Raises `NotLoaded` for an instance that was loaded without them.
    """
    keys = list(map(attrgetter(*(field.attname for field in fields)), instances))
    return keys if len(fields) == 1 else [None if None in key else key for key in keys]


def attach_lists(
    relation: Relation,
    to_attr: str | None,
    instances: Iterable[Model],
    keys: Iterable[Any],
    lists: Mapping[Any, list[Model]],
) -> None:
    """Give each instance the list of its key, as the rows of a relation to many."""
    accessor = relation.accessor
    for instance, key in zip(instances, keys, strict=True):
        rows = lists.get(key)
        if to_attr is not None:
            setattr(instance, to_attr, [*rows] if rows else [])
        else:
            set_loaded(instance, accessor, rows or [])


def attach_many(relation: Relation, instance: Model, rows: list[Model]) -> None:
    """Give an instance its rows of a relation to many, and each row the instance."""
    set_loaded(instance, relation.accessor, rows)
    back = reverse_attribute(relation)
    if back is not None:
        for row in rows:
            row.__dict__[back] = instance


def reverse_attribute_of_new(relation: Relation, joined: Collection[Sequence[Relation]]) -> str | None:
    """`reverse_attribute` for new rows, to which these chains of relations are joined.

    It is `OWNER` for the foreign key of a single column, unless a row is joined over that key.
    """
    forward = relation.relation if isinstance(relation, ReverseRelation) else None
    if isinstance(forward, ForeignKey) and all(first is not forward for first, *_ in joined):
        return OWNER
    return reverse_attribute(relation)


def attach_owner(relation: ReverseRelation, owner: Model, rows: Iterable[Model]) -> None:
    """Give each row that refers to `owner` that instance as its related one, unless it has one."""
    back = relation.relation.accessor
    attributes = owner.__dict__
    key = [
        (remote.attname, attributes.get(local.attname))
        for local, remote in zip(local_fields(relation), remote_fields(relation), strict=True)
    ]
    for row in rows:
        values = row.__dict__
        if back not in values and all(values.get(name) == value for name, value in key):
            values[back] = owner


def attach_one(
    relation: Relation, to_attr: str | None, instances: Iterable[Model], rows: Iterable[Model | None]
) -> None:
    """Give each instance its row of a relation to one, or None, and the row the instance.

    An instance whose foreign key is NULL can be left out, unless there is a `to_attr`.
    """
    accessor, back = relation.accessor, reverse_attribute(relation)
    for instance, row in zip(instances, rows, strict=True):
        if to_attr is not None:
            instance.__dict__[to_attr] = row
        elif row is None:
            set_missing(relation, instance)
        else:
            instance.__dict__[accessor] = row
        if back is not None and row is not None:
            row.__dict__[back] = instance


def set_missing(relation: Relation, instance: Model) -> None:
    """Mark a relation to one as having no row.

    The value of a foreign key is kept with the mark, which does not hold for another value.
    """
    instance.__dict__.pop(relation.accessor, None)
    key = keys_of([instance], local_fields(relation)) if isinstance(relation, FORWARD) else []
    set_loaded(instance, relation.accessor, key)


def not_loaded(relation: Relation, to_attr: str | None, instances: Sequence[Model]) -> list[Model]:
    """The instances whose relation must be loaded: they neither have its rows nor are known to have none."""
    accessor = relation.accessor
    if to_attr is not None:
        return [instance for instance in instances if to_attr not in instance.__dict__]
    if isinstance(relation, FORWARD):
        keys = keys_of(instances, local_fields(relation))
        return [
            instance
            for instance, key in zip(instances, keys, strict=True)
            if key is not None
            and not _is_loaded(relation, _held_related(relation, instance), key)
            and get_loaded(instance, accessor) != [key]
        ]
    without_rows = [instance for instance in instances if get_loaded(instance, accessor) is None]
    if relation.many:
        return without_rows
    return [instance for instance in without_rows if accessor not in instance.__dict__]


def _held_related(relation: Relation, instance: Model) -> Model | None:
    """The related instance of a relation to one that an instance has; its key may be outdated."""
    attributes = instance.__dict__
    related: Model | None = attributes.get(relation.accessor)
    if related is not None or not isinstance(relation, ForeignKey):
        return related
    owner: WeakParent | None = attributes.get(OWNER)
    if owner is None:
        return None
    related = owner.get()
    if not isinstance(related, relation.target._meta.instance_class):
        return None
    local, remote = keys_of([instance], local_fields(relation)), keys_of([related], remote_fields(relation))
    return related if local == remote else None


def _is_loaded(relation: Relation, related: Model | None, key: Any) -> bool:
    """Whether `related` has this key, and more than its key is known."""
    if related is None or KEY_ONLY in related.__dict__:
        return False
    return keys_of([related], remote_fields(relation)) == [key]


def attached_rows(relation: Relation, to_attr: str | None, instances: Iterable[Model]) -> list[Model]:
    """The rows that these instances have for the relation, each instance once."""
    rows: list[Model]
    if relation.many:
        lists = (get_loaded(i, relation.accessor) if to_attr is None else i.__dict__[to_attr] for i in instances)
        rows = [row for loaded in lists for row in loaded or ()]
    else:
        related = (_held_related(relation, i) if to_attr is None else i.__dict__.get(to_attr) for i in instances)
        rows = [row for row in related if row is not None]
    return list(dict(zip(map(id, rows), rows, strict=True)).values())
