"""`Manager`: a queryset on a model, to which a subclass adds methods and filters."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import databases
from typing_extensions import Self

from orm.query.query import Query, rows_of_model
from orm.queryset.descriptors import Objects, model_info_of
from orm.queryset.queryset import QuerySet

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

M = TypeVar("M", bound="Model")


class Manager(Objects, QuerySet[M, M]):
    """A starting point for queries. Subclass it to add methods, or to restrict the rows.

        class Published(orm.Manager["Note"]):
            def get_queryset(self) -> orm.QuerySet["Note", "Note"]:
                return super().get_queryset().filter(published=True)

        class Note(orm.Model):
            objects = orm.Manager()
            published = Published()

    Its methods return a plain `QuerySet`, or one of the class that the manager also inherits from:
    ``class NoteManager(orm.Manager["Note"], NoteQuerySet)``, or `from_queryset()`. A manager only affects queries
    that are made through it: saving, relations and cascades ignore it.
    """

    _info: ModelInfo

    def __init__(self) -> None:
        # Without a model: __get__ makes a manager that is bound to one.
        self._database: databases.Database | None = None

    def __get__(self, instance: Model | None, owner: type[Any]) -> Self:  # type: ignore[override]
        info = model_info_of(instance, owner)
        bound = type(self).__new__(type(self))
        bound.__dict__.update(self.__dict__)
        bound._info = info
        return bound

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._info.name}>" if "_info" in self.__dict__ else object.__repr__(self)

    @classmethod
    def from_queryset(cls, queryset: type[QuerySet[Any, Any]], class_name: str | None = None) -> type[Any]:
        """A manager class with the methods of a queryset class, which its querysets have as well.

        objects = orm.Manager.from_queryset(NoteQuerySet)()
        """
        return type(class_name or f"{cls.__name__}From{queryset.__name__}", (cls, queryset), {})

    def get_queryset(self) -> QuerySet[M, M]:
        """The queryset that every query of this manager starts from. Override it to filter the rows."""
        bases = (base for base in type(self).__mro__ if not issubclass(base, Manager))
        queryset_class = next(base for base in bases if issubclass(base, QuerySet))
        return queryset_class(rows_of_model(self._info), self._database)

    def all(self, /, **lookups: Any) -> Self:
        """The queryset; with lookups, filtered by them (as in `orm` 0.x)."""
        return self._base.all(**lookups)  # type: ignore[return-value]

    @cached_property
    def _base(self) -> QuerySet[M, M]:
        queryset = self.get_queryset()
        if not self._info.registry.require_all:
            return queryset
        query = queryset._query
        return queryset._clone(query.replace(manager_where=query.where, all_rows_confirmed=False))

    # The methods of QuerySet work on these.

    @property
    def _query(self) -> Query:  # type: ignore[override]
        return self._base._query

    @property
    def _given(self) -> databases.Database | None:  # type: ignore[override]
        return self._base._given

    def _clone_on(self, query: Query, database: databases.Database | None) -> Any:
        return self._base._clone_on(query, database)
