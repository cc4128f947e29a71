"""`load()`: loads relations onto existing instances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from orm.exceptions import QueryError
from orm.loading.prefetch import load_branches
from orm.loading.prefetch_paths import Prefetch, add_branches
from orm.relations import FORWARD

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

    Raises:
        FieldError: a path is no relation.
        QueryError: an instance is not saved.
    """
    targets: list[Any] = [instances] if hasattr(instances, "_meta") else list(instances)
    for instance in targets:
        if not hasattr(instance, "_meta") or isinstance(instance, type):
            raise QueryError(f"orm.load() takes instances of a model, got {type(instance).__name__}.")
        if instance._meta is not targets[0]._meta:
            raise QueryError(
                f"orm.load() takes instances of one model, got {targets[0]._meta.name} and {instance._meta.name}."
            )
    if not targets:
        return
    info = targets[0]._meta
    branches = add_branches(info, (), lookups, "orm.load()")
    for branch in branches:
        if not isinstance(branch.relation, FORWARD) and not all(instance._persisted for instance in targets):
            raise QueryError(
                f"{branch.relation.accessor!r} is loaded for instances that are saved, and one of these "
                f"{info.name} instances is not: save it first."
            )
    by_database = {id(using): using for using in (instance.__dict__.get("_database") for instance in targets)}
    for using in by_database.values():
        part = [instance for instance in targets if instance.__dict__.get("_database") is using]
        await load_branches(branches, part, using)
