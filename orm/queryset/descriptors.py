"""What `Model.objects` is on the class: a descriptor that gives the model's queryset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from orm.exceptions import FieldError
from orm.query.projection import Instances
from orm.query.query import Query

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model
    from orm.queryset.queryset import QuerySet

M = TypeVar("M", bound="Model")
Rows = TypeVar("Rows", bound="QuerySet[Any, Any]")


class Objects:
    """`Model.objects`: a queryset of the model."""

    def __init__(self, queryset: type[QuerySet[Any, Any]]) -> None:
        self.queryset = queryset

    def __get__(self, instance: Model | None, owner: type[M]) -> QuerySet[M, M]:
        info = managed(instance, owner)
        found: QuerySet[M, M] | None = info.objects.get(self)
        if found is None:
            found = info.objects[self] = self.queryset(Query(info, Instances(info)))
        return found


class QuerySetObjects(Objects, Generic[Rows]):
    """What `QuerySet.as_manager()` gives: on a model, a queryset of that class."""

    if TYPE_CHECKING:

        def __get__(self, instance: Model | None, owner: type[Any]) -> Rows: ...


def managed(instance: Model | None, owner: type[Model]) -> ModelInfo:
    """The model that a manager is reached on. Raises if it is an instance, or abstract."""
    if instance is not None:
        raise AttributeError(f"Managers are accessible on the class {owner.__name__}, not on its instances.")
    if owner._meta.abstract:
        raise FieldError(f"{owner.__name__} is abstract and has no rows to query.")
    return owner._meta
