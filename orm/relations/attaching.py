"""Linking: which rows belong to which instance, and putting them there.

Where what was loaded lies: see `orm/relations/instance_state.py`. What has a `to_attr` is a plain attribute.
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
    """The fields of the model that has the relation whose values say which rows are an instance's own."""
    owner: type[Model] = relation.relation.target if isinstance(relation, ReverseRelation) else relation.model  # type: ignore[attr-defined]
    return owner._meta.fields_of_columns(relation.hops[0].local_columns)


@lru_cache(MAX_CACHED)
def remote_fields(relation: Relation) -> tuple[Field[Any], ...]:
    """The fields that hold the same values on the other side: of the target, or of a through model."""
    hop = relation.hops[0]
    return hop.target._meta.fields_of_columns(hop.remote_columns)


def reverse_attribute(relation: Relation) -> str | None:
    """The attribute under which a related row has the one instance that it belongs to, if it belongs to only one."""
    if isinstance(relation, ReverseRelation):
        return relation.relation.accessor
    if isinstance(relation, FORWARD) and not relation.reverse.many:
        accessor = relation.reverse.accessor
        return None if accessor.endswith("+") else accessor
    return None


def keys_of(instances: Iterable[Model], fields: Sequence[Field[Any]]) -> list[Any]:
    """Each instance's value of the field, or tuple of several; None where there is none.

    Raises `AttributeError` for an instance that was loaded without them.
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
    """Give each instance the rows of its key at the far end of a relation to many."""
    accessor = relation.accessor
    for instance, key in zip(instances, keys, strict=True):
        rows = lists.get(key)
        if to_attr is not None:
            setattr(instance, to_attr, [*rows] if rows else [])
        else:
            set_loaded(instance, accessor, rows or [])


def attach_many(relation: Relation, instance: Model, rows: list[Model]) -> None:
    """Give an instance its rows at the far end of a relation to many, and each row its way back."""
    set_loaded(instance, relation.accessor, rows)
    back = reverse_attribute(relation)
    if back is not None:
        for row in rows:
            row.__dict__[back] = instance


def reverse_attribute_of_new(relation: Relation, joined: Collection[Sequence[Relation]]) -> str | None:
    """`reverse_attribute` for new rows, to which these chains of relations are joined.

    `OWNER` will do where the key that leads back is a single column's, and nothing is joined over it that it had to
    replace.
    """
    forward = relation.relation if isinstance(relation, ReverseRelation) else None
    if isinstance(forward, ForeignKey) and all(first is not forward for first, *_ in joined):
        return OWNER
    return reverse_attribute(relation)


def attach_owner(relation: ReverseRelation, owner: Model, rows: Iterable[Model]) -> None:
    """Give the rows that point at an instance that instance for their forward side, unless they have one."""
    back = relation.relation.accessor
    own = owner.__dict__
    links = [
        (remote.attname, own.get(local.attname))
        for local, remote in zip(local_fields(relation), remote_fields(relation), strict=True)
    ]
    for row in rows:
        values = row.__dict__
        if back not in values and all(values.get(name) == value for name, value in links):
            values[back] = owner


def attach_one(
    relation: Relation, to_attr: str | None, instances: Iterable[Model], rows: Iterable[Model | None]
) -> None:
    """Give each instance its one row at the far end of a relation, None where there is none; and the row its way back.

    An instance whose foreign key is NULL need not be among them, but for a `to_attr`: the key says it all.
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
    """Note that there is no row at the far end of a relation to one.

    A foreign key that is changed afterwards may lead to one, so the key that did not is noted with it.
    """
    own = instance.__dict__
    own.pop(relation.accessor, None)
    key = keys_of([instance], local_fields(relation)) if isinstance(relation, FORWARD) else []
    set_loaded(instance, relation.accessor, key)


def not_loaded(relation: Relation, to_attr: str | None, instances: Sequence[Model]) -> list[Model]:
    """The instances that neither have what is at the far end of the relation nor are known to have nothing there."""
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
    found = [instance for instance in instances if get_loaded(instance, accessor) is None]
    return found if relation.many else [instance for instance in found if accessor not in instance.__dict__]


def _held_related(relation: Relation, instance: Model) -> Model | None:
    """The instance that a relation to one leads to, as far as this one knows it; it may be of another key by now."""
    own = instance.__dict__
    held: Model | None = own.get(relation.accessor)
    if held is not None or not isinstance(relation, ForeignKey):
        return held
    owner: WeakParent | None = own.get(OWNER)
    if owner is None:
        return None
    held = owner.get()
    if not isinstance(held, relation.target):
        return None
    local, remote = keys_of([instance], local_fields(relation)), keys_of([held], remote_fields(relation))
    return held if local == remote else None


def _is_loaded(relation: Relation, related: Model | None, key: Any) -> bool:
    """Whether the related instance of a foreign key is the one that the key is of, and holds more than that."""
    return (
        related is not None
        and KEY_ONLY not in related.__dict__
        and keys_of([related], remote_fields(relation)) == [key]
    )


def attached_rows(relation: Relation, to_attr: str | None, instances: Iterable[Model]) -> list[Model]:
    """What was loaded over the relation for all these instances, no instance twice."""
    found: list[Model]
    if relation.many:
        lists = (get_loaded(i, relation.accessor) if to_attr is None else i.__dict__[to_attr] for i in instances)
        found = [row for rows in lists for row in rows or ()]
    else:
        held = (_held_related(relation, i) if to_attr is None else i.__dict__.get(to_attr) for i in instances)
        found = [row for row in held if row is not None]
    return list(dict(zip(map(id, found), found, strict=True)).values())
