"""`Model.objects` on the class: a descriptor that returns a queryset of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from orm.exceptions import FieldError
from orm.query.query import rows_of_model

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
        info = model_info_of(instance, owner)
        queryset: QuerySet[M, M] | None = info.objects.get(self)
        if queryset is None:
            queryset = info.objects[self] = self.queryset(rows_of_model(info))
        return queryset


class QuerySetObjects(Objects, Generic[Rows]):
    """The result of `QuerySet.as_manager()`: on a model, a queryset of that class."""

    if TYPE_CHECKING:

        def __get__(self, instance: Model | None, owner: type[Any]) -> Rows: ...


def model_info_of(instance: Model | None, owner: type[Model]) -> ModelInfo:
    """The `ModelInfo` of the class that a manager is accessed on.

    Raises `AttributeError` on an instance, `FieldError` on an abstract model.
    """
    if instance is not None:
        raise AttributeError(f"Managers are accessible on the class {owner.__name__}, not on its instances.")
    if owner._meta.abstract:
        raise FieldError(f"{owner.__name__} is abstract and has no rows to query.")
    return owner._meta
