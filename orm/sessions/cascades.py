"""The save-update cascade: the new instances that the instances of a session refer to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from orm.relations import ReverseRelation

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model


DELETED = "_deleted_row"
"""On an instance whose row a session has deleted: it is not new, although other instances may still refer to it."""


@lru_cache(2_000)
def _accessors_to_one(info: ModelInfo, version: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    forward = tuple(relation.name for relation in info.forward)
    reverse = (r.accessor for r in info.accessors.values() if isinstance(r, ReverseRelation) and not r.many)
    return forward, tuple(reverse)


def accessors_to_one(info: ModelInfo) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The attributes of a model that hold a related instance: its foreign keys, and the one-to-one relations to it."""
    return _accessors_to_one(info, len(info.accessors))


def new_related(instance: Model, *, reverse_only: bool = False) -> Iterator[Model]:
    """The unsaved instances that an instance refers to directly."""
    attributes = instance.__dict__
    forward, reverse = accessors_to_one(instance._meta)
    for name in reverse if reverse_only else (*forward, *reverse):
        related = attributes.get(name)
        if related is not None and not getattr(related, "_persisted", True) and DELETED not in related.__dict__:
            yield related


def may_refer_to_new(info: ModelInfo) -> bool:
    """Whether a one-to-one relation to the model may hold a new instance while its own columns are unchanged."""
    return bool(accessors_to_one(info)[1])


def refers_to_one(info: ModelInfo) -> bool:
    """Whether instances of the model can refer to a related instance."""
    forward, reverse = accessors_to_one(info)
    return bool(forward or reverse)
