"""`Manager`: a model's own starting points for queries, with methods and filters of their own."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import databases
from typing_extensions import Self

from orm.query.projection import Instances
from orm.query.query import Query
from orm.queryset.descriptors import Objects, managed
from orm.queryset.queryset import QuerySet

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

M = TypeVar("M", bound="Model")


class Manager(Objects, QuerySet[M, M]):
    """A queryset to begin with: subclass it for methods of its own, or for rows that are left out everywhere.

        class Published(orm.Manager["Note"]):
            def get_queryset(self) -> orm.QuerySet["Note", "Note"]:
                return super().get_queryset().filter(published=True)

        class Note(orm.Model):
            objects = orm.Manager()
            published = Published()

    What a query returns is a plain queryset again, or of the class that the manager also inherits from:
    ``class NoteManager(orm.Manager["Note"], NoteQuerySet)``, or `from_queryset()`. A model's own `objects` serve
    only queries that are written; saving, relations and cascades go to the table.
    """

    _info: ModelInfo

    def __init__(self) -> None:
        # Nothing to ask yet: on a model, __get__ makes one that knows it.
        self._database: databases.Database | None = None

    def __get__(self, instance: Model | None, owner: type[Any]) -> Self:  # type: ignore[override]
        info = managed(instance, owner)
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        made._info = info
        return made

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._info.name}>" if "_info" in self.__dict__ else object.__repr__(self)

    @classmethod
    def from_queryset(cls, queryset: type[QuerySet[Any, Any]], class_name: str | None = None) -> type[Any]:
        """A manager class that also has the methods of a queryset class, which its queries keep.

        objects = orm.Manager.from_queryset(NoteQuerySet)()
        """
        return type(class_name or f"{cls.__name__}From{queryset.__name__}", (cls, queryset), {})

    def get_queryset(self) -> QuerySet[M, M]:
        """The queryset that every query of this manager begins with. Override it to narrow that."""
        kinds = (kind for kind in type(self).__mro__ if not issubclass(kind, Manager))
        queryset = next(kind for kind in kinds if issubclass(kind, QuerySet))
        return queryset(Query(self._info, Instances(self._info)), self._database)

    def all(self, /, **lookups: Any) -> Self:
        """The queryset; with lookups, narrowed by them (as in `orm` 0.x)."""
        return self._base.all(**lookups)  # type: ignore[return-value]

    @cached_property
    def _base(self) -> QuerySet[M, M]:
        return self.get_queryset()

    # What the methods of a queryset begin with and end in.

    @property
    def _query(self) -> Query:  # type: ignore[override]
        return self._base._query

    @property
    def _using(self) -> databases.Database | None:  # type: ignore[override]
        return self._base._using

    def _clone_on(self, query: Query, database: databases.Database | None) -> Any:
        return self._base._clone_on(query, database)
