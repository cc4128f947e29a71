"""The managers of related rows: ``album.tracks``, ``article.tags``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from orm.exceptions import QueryError
from orm.queryset import QuerySet
from orm.relations import ManyToManyEnd, Relation

if TYPE_CHECKING:
    from orm.models import Model

T = TypeVar("T", bound="Model")


class RelatedManager(QuerySet[T, T], Generic[T]):
    """The rows that point at an instance: ``album.tracks``."""


class ManyToManyManager(RelatedManager[T]):
    """The rows paired with an instance: ``article.tags``."""


def manager_of(relation: Relation, instance: Model) -> Any:
    """The manager of an instance's related rows. Raises `QueryError` for one that is not saved."""
    kind = ManyToManyManager if isinstance(relation, ManyToManyEnd) else RelatedManager
    raise QueryError(f"{kind} of {instance!r} is not there yet.")
