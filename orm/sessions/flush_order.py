"""The order in which a flush writes: rows that others reference are inserted first, and deleted last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from orm.exceptions import QueryError
from orm.relations import ForwardRelation
from orm.relations.attaching import local_fields, remote_fields
from orm.sessions.identity_map import shares_rows
from orm.writing.dependent_inserts import unsaved_parents
from orm.writing.insert_order import Dependency, arrange

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model


def relations_to(info: ModelInfo) -> list[ForwardRelation]:
    """The foreign keys that reference a model."""
    models: dict[int, type[Model]] = {id(model): model for model in info.registry.models.values()}
    return [
        relation
        for model in models.values()
        for relation in model._meta.forward
        if relation.is_resolved() and shares_rows(info, relation.target._meta)
    ]


def insert_groups(by_model: dict[ModelInfo, list[Model]]) -> list[list[ModelInfo]]:
    """The models in the order in which their new rows are inserted; those that reference each other as one group."""
    parents = {
        info: {
            other
            for other in by_model
            if other is not info and any(shares_rows(other, r.target._meta) for r in info.forward)
        }
        for info in by_model
    }
    groups: list[list[ModelInfo]] = []
    remaining = dict.fromkeys(by_model)
    while remaining:
        ready = [info for info in remaining if not any(parent in remaining for parent in parents[info])]
        if ready:
            groups += [[info] for info in ready]
        else:
            ready = _smallest_cycle(remaining, parents)
            groups.append(ready)
        for info in ready:
            del remaining[info]
    return groups


def _smallest_cycle(remaining: Iterable[ModelInfo], parents: dict[ModelInfo, set[ModelInfo]]) -> list[ModelInfo]:
    """Models that reference each other, and no other of the remaining ones."""
    wanted = set(remaining)

    def ancestors(start: ModelInfo) -> set[ModelInfo]:
        result: set[ModelInfo] = set()
        pending = [start]
        while pending:
            for parent in parents[pending.pop()] & wanted:
                if parent not in result:
                    result.add(parent)
                    pending.append(parent)
        return result

    cycle = min((ancestors(info) | {info} for info in remaining), key=len)
    return [info for info in remaining if info in cycle]


def in_insert_order(instances: Sequence[Model]) -> list[Model]:
    """New instances, those that others reference first. Raises `QueryError` for a cycle."""
    positions = {id(instance): position for position, instance in enumerate(instances)}
    dependencies = [
        Dependency(position, relation, positions[id(parent)], False)
        for position, instance in enumerate(instances)
        for relation, parent in unsaved_parents(instance)
        if id(parent) in positions
    ]
    batches, deferred = arrange([instance._meta for instance in instances], dependencies)
    if deferred:
        raise QueryError(
            f"New rows of {deferred[0].relation.model.__name__} reference each other in a cycle, and the model has "
            "hooks or a save() of its own, which are called for one row after the other: save them one by one."
        )
    return [instances[position] for batch in batches for position in batch]


def delete_order(
    instances: Sequence[Model],
) -> tuple[list[list[Model]], dict[ForwardRelation, list[Model]]]:
    """The batches in which rows are deleted, referencing rows first, and the foreign keys to set to NULL before."""
    infos = [instance._meta for instance in instances]
    present = set(infos)
    by_key: dict[tuple[ForwardRelation, tuple[Any, ...]], int] = {}
    relations = {
        relation
        for info in present
        for relation in info.forward
        if any(shares_rows(other, relation.target._meta) for other in present)
    }
    for relation in relations:
        fields = remote_fields(relation)
        for position, instance in enumerate(instances):
            if shares_rows(infos[position], relation.target._meta):
                by_key[relation, tuple(instance.__dict__.get(each.attname) for each in fields)] = position
    dependencies = []
    for position, instance in enumerate(instances):
        for relation in infos[position].forward:
            if relation in relations:
                key = tuple(instance.__dict__.get(each.attname) for each in local_fields(relation))
                parent = by_key.get((relation, key))
                if parent is not None and parent != position:
                    dependencies.append(Dependency(position, relation, parent, False))
    try:
        batches, deferred = arrange(infos, dependencies)
    except QueryError:
        # A cycle of foreign keys that may not be NULL: the database decides whether its cascades delete all of it.
        by_model: dict[ModelInfo, list[int]] = defaultdict(list)
        for position, info in enumerate(infos):
            by_model[info].append(position)
        batches, deferred = list(by_model.values()), []
    to_null: dict[ForwardRelation, list[Model]] = defaultdict(list)
    for dependency in deferred:
        to_null[dependency.relation].append(instances[dependency.child])
    return [[instances[position] for position in batch] for batch in reversed(batches)], to_null
