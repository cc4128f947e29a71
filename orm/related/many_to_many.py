"""`ManyToManyManager`: the rows that a many-to-many relation pairs with an instance, ``article.tags``."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from typing_extensions import Self

from orm.database.connections.units_of_work import idle_unit, open_units
from orm.queryset.queryset import QuerySet
from orm.related.managers import RelatedManager
from orm.related.through_rows import ThroughRows
from orm.relations import ManyToManySide
from orm.writing.create_graph import create_graph

if TYPE_CHECKING:
    from orm.models import Model

T = TypeVar("T", bound="Model")


class ManyToManyManager(RelatedManager[T]):
    """The rows that a many-to-many relation pairs with an instance, as a queryset: ``article.tags``.

        await article.tags.add(tag, 5)
        tags = await article.tags.filter(name__startswith="a")

    Existing pairs are left as they are. `through_defaults` are values for further fields of new rows of the through
    model.
    """

    _defaults: Mapping[str, Any] | None = None

    @cached_property
    def _base(self) -> QuerySet[T, T]:
        base = super()._base
        # As in Django, the first filter() applies to the pairs of this instance.
        return base._clone(base._query.sharing_joins())

    @cached_property
    def _through_rows(self) -> ThroughRows:
        assert isinstance(self._relation, ManyToManySide)
        return ThroughRows(self._relation, self._instance, self._key, self._using)

    def _with_defaults(self, through_defaults: Mapping[str, Any] | None) -> Self:
        manager = copy.copy(self)
        manager._defaults = through_defaults
        return manager

    async def create(self, /, *, through_defaults: Mapping[str, Any] | None = None, **values: Any) -> T:
        """Insert a row, and its pair with this instance; returns the row's instance."""
        self._forget()
        through_rows = self._through_rows
        async with self.database.transaction():
            instance = await QuerySet.create(self, **values)
            await through_rows.add([instance], self._defaults if through_defaults is None else through_defaults)
        return instance

    async def bulk_create(
        self,
        rows: Iterable[T | Mapping[str, Any]] | QuerySet[T, T],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Iterable[str] | None = (),
        unique_fields: Iterable[str] | None = (),
        through_defaults: Mapping[str, Any] | None = None,
    ) -> list[T]:
        """Insert many rows, and their pairs with this instance: see `QuerySet.bulk_create()`.

        Raises `QueryError` for conflict options that leave the keys of the rows unknown.
        """
        self._forget()
        through_rows = self._through_rows
        async with self.database.transaction():
            instances = await QuerySet.bulk_create(
                self,
                rows,
                batch_size=batch_size,
                ignore_conflicts=ignore_conflicts,
                update_conflicts=update_conflicts,
                update_fields=update_fields,
                unique_fields=unique_fields,
            )
            await through_rows.add(instances, through_defaults)
        return instances

    async def create_graph(self, rows: Any, *, through_defaults: Mapping[str, Any] | None = None) -> Any:
        """Insert nested rows, and their pairs with this instance: see `QuerySet.create_graph()`."""
        self._forget()
        through_rows = self._through_rows
        async with self.database.transaction():
            created = await create_graph(self.model, rows, self.database, self._using, {})
            await through_rows.add(created if isinstance(created, list) else [created], through_defaults)
        return created

    async def get_or_create(
        self,
        /,
        defaults: Mapping[str, Any] | None = None,
        *,
        through_defaults: Mapping[str, Any] | None = None,
        **lookups: Any,
    ) -> tuple[T, bool]:
        """The paired row that matches, or a new row with its pair; and whether it is new."""
        self._forget()
        return await QuerySet.get_or_create(self._with_defaults(through_defaults), defaults, **lookups)

    async def update_or_create(
        self,
        /,
        defaults: Mapping[str, Any] | None = None,
        create_defaults: Mapping[str, Any] | None = None,
        *,
        through_defaults: Mapping[str, Any] | None = None,
        **lookups: Any,
    ) -> tuple[T, bool]:
        """The paired row that matches, updated by `defaults`, or a new row with its pair; and whether it is new."""
        self._forget()
        manager = self._with_defaults(through_defaults)
        return await QuerySet.update_or_create(manager, defaults, create_defaults, **lookups)

    async def add(self, *objs: T | Any, through_defaults: Mapping[str, Any] | None = None) -> None:  # type: ignore[override]
        """Pair these instances or keys with this instance, in one statement.

        Raises `QueryError` for an instance of another model, and for one that is not saved.
        """
        if open_units:
            await self._flush(objs)
        self._forget()
        await self._through_rows.add(objs, through_defaults)

    async def _flush(self, objs: Iterable[Any]) -> None:
        """In a session, insert the instances that are new, so that they can be paired."""
        unit = idle_unit(self._database_of_instance)
        if unit is not None:
            await unit.add_related(self._instance, objs)

    async def remove(self, *objs: T | Any) -> None:  # type: ignore[override]
        """Delete the pairs with these instances or keys, in one statement."""
        self._forget()
        await self._through_rows.remove(objs)

    async def clear(self) -> None:  # type: ignore[override]
        """Delete all pairs of this instance, in one statement."""
        self._forget()
        await self._through_rows.clear()

    async def set(  # type: ignore[override]
        self,
        objs: Iterable[T | Any] | QuerySet[Any, Any],
        *,
        clear: bool = False,
        through_defaults: Mapping[str, Any] | None = None,
    ) -> None:
        """Make these rows (instances, keys, a queryset) the paired ones, in one transaction.

        Existing pairs keep the values of their further fields, unless `clear=True` replaces them.
        """
        objs = tuple(await objs if isinstance(objs, QuerySet) else objs)
        if open_units:
            await self._flush(objs)
        self._forget()
        through_rows = self._through_rows
        async with self.database.transaction():
            if clear:
                await through_rows.clear()
            else:
                await through_rows.keep(objs)
            await through_rows.add(objs, through_defaults, sends_always=clear)
