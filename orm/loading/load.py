"""`load()`: loads relations and fields onto existing instances, and onto their peers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import databases

from orm import execution
from orm.database.connections.server_dialect import dialect_of
from orm.exceptions import QueryError
from orm.fields import Field
from orm.loading.prefetch import load_branches
from orm.loading.prefetch_paths import Prefetch, add_branches
from orm.mapping.changes import SNAPSHOT, mark_loaded
from orm.query.projection import Instances
from orm.query.query import Query, of_own_model
from orm.relations import FORWARD
from orm.relations.attaching import remote_fields
from orm.relations.fetch_modes import FETCHING, FetchMode, PeersOfOwner, peers_of, with_peers
from orm.relations.instance_state import KEY_ONLY, forget, stored_in

if TYPE_CHECKING:
    from orm.models import Model


async def load(instances: Model | Iterable[Model], *lookups: str | Prefetch) -> None:
    """Load relations onto existing instances, one statement for each relation that is not loaded yet.

        await orm.load(album, "tracks__artist")
        await orm.load(albums, "label", orm.Prefetch("tracks", Track.objects.order_by("position")))

    Args:
        instances: an instance, or several of one model. Related instances of which only the key is known are replaced.
        lookups: paths of relations, or `Prefetch` objects. The queryset of a `Prefetch` applies only where the relation
            (or its `to_attr`) is not loaded yet.

    Instances that were read with ``fetch_mode(orm.PEERS)`` are loaded together with the others of their result.

    Raises:
        FieldError: a path is not a relation.
        QueryError: an instance is not saved.
    """
    targets: list[Any] = [instances] if hasattr(instances, "_meta") else list(instances)
    await load_lookups(with_peers(_checked(targets)), lookups)


def _checked(targets: list[Any]) -> list[Model]:
    """The instances, if they are instances of one model. Raises `QueryError` otherwise."""
    for instance in targets:
        if not hasattr(instance, "_meta") or isinstance(instance, type):
            raise QueryError(f"orm.load() takes instances of a model, got {type(instance).__name__}.")
        if instance._meta.concrete is not targets[0]._meta.concrete:
            raise QueryError(
                f"orm.load() takes instances of one model, got {targets[0]._meta.name} and {instance._meta.name}."
            )
    return targets


async def load_lookups(targets: Sequence[Model], lookups: Iterable[str | Prefetch]) -> None:
    """Load relations onto instances of one model: see `load()`."""
    if not targets:
        return
    info = targets[0]._meta
    if (info.bases or info.children) and any(instance._meta is not info for instance in targets):
        info = info.concrete
    branches = add_branches(info, (), lookups, "orm.load()")
    for branch in branches:
        if not isinstance(branch.relation, FORWARD) and not all(instance._persisted for instance in targets):
            raise QueryError(
                f"{branch.relation.accessor!r} is loaded for instances that are saved, and one of these "
                f"{info.name} instances is not: save it first."
            )
    for using, part in _by_database(targets):
        mode = FetchMode.PEERS if any(peers_of(instance) for instance in part) else None
        await load_branches(branches, part, using, mode)


def _by_database(instances: Iterable[Model]) -> list[tuple[databases.Database | None, list[Model]]]:
    """The instances, grouped by the database that they remember, or None."""
    parts: dict[int, tuple[databases.Database | None, list[Model]]] = {}
    for instance in instances:
        using = stored_in(instance)
        parts.setdefault(id(using), (using, []))[1].append(instance)
    return list(parts.values())


async def load_peers(instance: Model, accessor: str) -> None:
    """Load a relation of an instance, and of its peers."""
    await load_lookups(with_peers([instance]), [accessor])


async def load_with_peers_of_owner(instance: Model) -> Model | None:
    """The loaded instance for one of which only the key is known, if its owner was read with peers.

    The related instances of all peers are loaded. Returns None if the owner has no peers, or if there is no row.
    """
    fetching = instance.__dict__.get(FETCHING)
    if not isinstance(fetching, PeersOfOwner):
        return None
    relation, owners = fetching.relation, fetching.peers.members()
    await load_lookups(owners, [relation.accessor])
    names = [field.attname for field in remote_fields(relation)]
    key = [instance.__dict__[name] for name in names]
    for owner in owners:
        related: Model | None = owner.__dict__.get(relation.accessor)
        if related is not None and [related.__dict__.get(name) for name in names] == key:
            return None if KEY_ONLY in related.__dict__ else related
    return None


async def load_fields(instance: Model, names: Iterable[str]) -> None:
    """Load some fields again. With `orm.PEERS`, also onto the peers that lack any of them.

    The name of a relation to many discards its loaded rows. Raises `FieldError` for an unknown name, and `DoesNotExist`
    if the row is gone.
    """
    info = instance._meta
    fields: list[Field[Any]] = []
    for name in names:
        relation = info.accessors.get(name)
        named = info.fields_for(name)
        if named and not (name in info.composed and relation is not None):
            fields.extend(named)
        elif relation is not None:
            forget(instance, relation.accessor)
            instance.__dict__.pop(relation.accessor, None)
        else:
            raise info.unknown(name, "a field of load()")
    if not fields:
        return
    if instance.pk is None:
        raise QueryError(f"load() reads the row again, and this {info.name} has no primary key: save it first.")
    others = [peer for peer in with_peers([instance]) if any(f.attname not in peer.__dict__ for f in fields)]
    targets = list({id(each): each for each in [instance, *others] if each.pk is not None}.values())
    query = of_own_model(Query(info, Instances(info).with_only(field.name for field in fields)))
    missing = False
    for using, part in _by_database(targets):
        database = using or info.registry.database
        size = (await dialect_of(database)).max_keys_per_query or len(part)
        for start in range(0, len(part), size):
            batch = part[start : start + size]
            rows = await execution.fetch(
                query.filter((), {"pk__in": [each.pk for each in batch]}), database, outside_units=True
            )
            by_key = {row.pk: row for row in rows}
            for each in batch:
                row = by_key.get(each.pk)
                missing = missing or (row is None and each is instance)
                if row is not None:
                    # What a peer has stays: it may have been changed, and not saved.
                    copied = fields if each is instance else [f for f in fields if f.attname not in each.__dict__]
                    _copy_fields(row, each, copied)
    if missing:
        raise info.model.DoesNotExist(f"The row of this {info.name} is gone: nothing was loaded.")


def _copy_fields(row: Model, instance: Model, fields: Sequence[Field[Any]]) -> None:
    for field in fields:
        if field.attname != field.name:
            instance.__dict__.pop(field.name, None)  # the related instance, which may be another one now
        instance.__dict__[field.attname] = row.__dict__[field.attname]
    for relation in instance._meta.composed.values():
        if not set(relation.fields).isdisjoint(fields):
            instance.__dict__.pop(relation.name, None)  # the embedded value, or the related instance
    if SNAPSHOT in instance.__dict__:
        mark_loaded(instance, [field.attname for field in fields])
