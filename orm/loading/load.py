"""`load`: loads relations onto instances already in hand."""

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
    """Load relations onto instances that you have, one statement for each relation, but for what is there already.

        await orm.load(album, "tracks__artist")
        await orm.load(albums, "label", orm.Prefetch("tracks", Track.objects.order_by("position")))

    `instances` is an instance, or several of one model. A sparse related instance is replaced by one that is loaded.
    What is filtered, ordered or sliced by a `Prefetch` is loaded only where the relation (or its `to_attr`) is not
    loaded yet. Raises `FieldError` for a path that is no relation, `QueryError` for an instance that is not saved.
    """
    given: list[Any] = [instances] if hasattr(instances, "_meta") else list(instances)
    for instance in given:
        if not hasattr(instance, "_meta") or isinstance(instance, type):
            raise QueryError(f"orm.load() takes instances of a model, got {type(instance).__name__}.")
        if instance._meta is not given[0]._meta:
            raise QueryError(
                f"orm.load() takes instances of one model, got {given[0]._meta.name} and {instance._meta.name}."
            )
    if not given:
        return
    branches = add_branches(given[0]._meta, (), lookups, "orm.load()")
    for branch in branches:
        if not isinstance(branch.relation, FORWARD) and not all(instance._persisted for instance in given):
            raise QueryError(
                f"{branch.relation.accessor!r} is loaded for instances that are saved, and one of these "
                f"{given[0]._meta.name} instances is not: save it first."
            )
    by_database = {id(using): using for using in (instance.__dict__.get("_database") for instance in given)}
    for using in by_database.values():
        part = [instance for instance in given if instance.__dict__.get("_database") is using]
        await load_branches(branches, part, using)
