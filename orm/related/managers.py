"""The managers of related rows: ``album.tracks``, ``article.tags``."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

import databases
from typing_extensions import Self

from orm.exceptions import QueryError
from orm.query.conditions.related_to import RelatedTo, owner_key_paths
from orm.query.paths import Path
from orm.query.projection import Instances
from orm.query.query import Query
from orm.queryset.managers import Manager
from orm.queryset.queryset import QuerySet
from orm.related.through_rows import ThroughRows
from orm.relations import ManyToManySide, Relation, ReverseRelation, key_value
from orm.relations.attaching import local_fields
from orm.relations.instance_state import forget, get_loaded
from orm.writing.create_graph import create_graph

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.models import Model

T = TypeVar("T", bound="Model")


class RelatedManager(QuerySet[T, T], Generic[T]):
    """The rows that reference an instance, as a queryset: ``album.tracks``.

        tracks = await album.tracks.filter(position__lt=3)
        track = await album.tracks.create(title="The Bird", position=1)

    It has the methods of the target's `objects`, and its methods return plain querysets. Where all rows are asked for,
    prefetched ones are returned without a query; a write discards them. For type checkers, declare it in the model's
    body: ``tracks: orm.RelatedManager["Track"]``.

    Raises `QueryError` on first use if the instance is not saved.
    """

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> type[T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Self: ...
        def __get__(self, instance: Any, owner: type) -> Any: ...

    _relation: ClassVar[Relation]
    _paths: ClassVar[tuple[Path, ...]]
    _local_fields: ClassVar[tuple[Field[Any], ...]]

    def __init__(self, instance: Model) -> None:
        self._instance = instance
        self._slice: list[T] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._instance!r}>"

    # The query.

    @cached_property
    def _values(self) -> tuple[Any, ...]:
        """The instance's values of the fields that the rows reference."""
        instance = self._instance
        attributes = instance.__dict__
        for field in self._local_fields:
            if field.attname not in attributes and instance._persisted:
                raise instance._missing_attribute(field)
        values = tuple(attributes.get(field.attname) for field in self._local_fields)
        if None in values or not instance._persisted:
            name = f"{instance._meta.name}.{self._relation.accessor}"
            raise QueryError(f"{name} is of saved rows, and this {instance._meta.name} is not: save it first.")
        return values

    @cached_property
    def _base(self) -> QuerySet[T, T]:
        target: Any = self._relation.target
        start: QuerySet[T, T] = target.objects
        database = self._instance.__dict__.get("_database")
        query = start._query
        if isinstance(self._relation, ReverseRelation):
            query = query.replace(owner=(self._relation, self._instance))
        return start._clone_on(query, database or start._using).filter(RelatedTo(self._paths, self._values))

    def get_queryset(self) -> QuerySet[T, T]:
        """The queryset of the related rows, from which every query of this manager starts."""
        return self._base

    @property
    def _query(self) -> Query:  # type: ignore[override]
        return self._base._query

    @property
    def _using(self) -> databases.Database | None:  # type: ignore[override]
        return self._base._using

    def _clone_on(self, query: Query, database: databases.Database | None) -> Any:
        return self._base._clone_on(query, database)

    # Prefetched rows.

    @property
    def _rows(self) -> list[T] | None:
        """The related rows if they are loaded, else None."""
        if self._slice is not None:
            return self._slice
        return get_loaded(self._instance, self._relation.accessor)

    def _forget(self) -> None:
        self._slice = None
        forget(self._instance, self._relation.accessor)

    def _check_write(self, what: str) -> None:
        self._forget()
        super()._check_write(what)

    def all(self, /, **lookups: Any) -> Self:
        """All related rows, prefetched or queried. With lookups, a filtered query."""
        return self.filter(**lookups) if lookups else self

    async def _fetch(self) -> list[T]:
        rows = self._rows
        return await super()._fetch() if rows is None else list(rows)

    async def __aiter__(self) -> AsyncIterator[T]:
        rows = self._rows
        if rows is None:
            async for row in self._base:
                yield row
        else:
            for row in tuple(rows):
                yield row

    def __getitem__(self, index: slice | int) -> Any:
        rows = self._rows
        queryset = super().__getitem__(index)
        if rows is None or not isinstance(index, slice):
            return queryset
        sliced = copy.copy(self)
        sliced._slice = rows[index]
        sliced.__dict__["_base"] = queryset
        return sliced

    async def count(self) -> int:
        """The number of related rows."""
        rows = self._rows
        return await super().count() if rows is None else len(rows)

    async def exists(self) -> bool:
        """Whether there are related rows."""
        rows = self._rows
        return await super().exists() if rows is None else bool(rows)

    async def contains(self, obj: T) -> bool:
        """Whether `obj` is one of the related rows."""
        rows = self._rows
        if rows is None or not isinstance(obj, self.model) or obj.pk is None:
            return await super().contains(obj)
        return obj in rows

    async def first(self, /, *conditions: Any, **lookups: Any) -> T | None:
        """The first related row (by primary key, if the model has no order), None if there is none."""
        rows = self._rows
        if rows is None or conditions or lookups or not self._query.order:
            return await super().first(*conditions, **lookups)
        return rows[0] if rows else None

    # Writing.

    @property
    def _foreign_key(self) -> Any:
        """The foreign key of the related rows."""
        assert isinstance(self._relation, ReverseRelation)
        return self._relation.relation

    def _all_of_target(self) -> QuerySet[T, T]:
        """All rows of the target, related or not."""
        info = self._relation.target._meta
        return QuerySet(Query(info, Instances(info)), self._using)

    async def create(self, /, **values: Any) -> T:
        """Insert a row that references this instance; returns the row's instance."""
        self._forget()
        return await super().create(**{**values, self._foreign_key.name: self._saved()})

    def _saved(self) -> Model:
        """The instance. Raises `QueryError` if it is not saved."""
        assert self._values
        return self._instance

    async def bulk_create(
        self,
        rows: Iterable[T | Mapping[str, Any]],
        *,
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Iterable[str] = (),
        unique_fields: Iterable[str] = (),
    ) -> list[T]:
        """Insert many rows that reference this instance: see `QuerySet.bulk_create()`."""
        self._forget()
        name, instance = self._foreign_key.name, self._saved()
        referencing: list[T | Mapping[str, Any]] = []
        for row in rows:
            if isinstance(row, Mapping):
                row = {**row, name: instance}
            elif isinstance(row, self.model):
                setattr(row, name, instance)
            referencing.append(row)
        return await super().bulk_create(
            referencing,
            batch_size=batch_size,
            ignore_conflicts=ignore_conflicts,
            update_conflicts=update_conflicts,
            update_fields=update_fields,
            unique_fields=unique_fields,
        )

    async def create_graph(self, rows: Any) -> Any:
        """Insert nested rows that reference this instance: see `QuerySet.create_graph()`."""
        self._forget()
        parent = {self._foreign_key.name: self._saved()}
        return await create_graph(self.model, rows, self.database, self._using, parent)

    async def add(self, *objs: T | Any, bulk: bool = True) -> None:
        """Set the foreign key of these instances or keys to this instance, in one statement.

        `bulk=False` saves each instance instead, including new ones. Raises `QueryError` for an instance of another
        model, and for one that is not saved.
        """
        self._forget()
        owner, name = self._saved(), str(self._foreign_key.name)
        if not bulk:
            async with self.database.transaction():
                for obj in objs:
                    if not isinstance(obj, self.model):
                        raise QueryError(f"{self._label}.add(bulk=False) saves instances, got {type(obj).__name__}.")
                    setattr(obj, name, owner)
                    await obj.save()
            return
        keys = self._keys(objs)
        if keys:
            values: dict[str, Any] = {name: owner}
            await self._all_of_target().filter(pk__in=keys).update(**values)
        for obj in objs:
            if isinstance(obj, self.model):
                setattr(obj, name, owner)

    async def remove(self, *objs: T | Any, bulk: bool = True) -> None:
        """Set the foreign key of these instances or keys to NULL, in one statement.

        `bulk=False` saves each instance instead. Raises `QueryError` if the foreign key may not be null, and
        `DoesNotExist` for an instance that does not reference this one.
        """
        self._forget()
        values, name = self._values, self._nullable()
        fields = self.model._meta.fields_of_columns(self._foreign_key.local_columns)
        for obj in objs:
            if isinstance(obj, self.model) and tuple(getattr(obj, field.attname) for field in fields) != values:
                raise self._instance._meta.model.DoesNotExist(f"{obj!r} is not among {self._label} of this instance.")
        keys = self._keys(objs)
        if keys and bulk:
            await self._base.filter(pk__in=keys).update(**{name: None})
        instances = [obj for obj in objs if isinstance(obj, self.model)]
        for instance in instances:
            setattr(instance, name, None)
        if not bulk:
            async with self.database.transaction():
                for instance in instances:
                    await instance.save(update_fields=[name])

    async def clear(self) -> None:
        """Set the foreign key of all related rows to NULL. Raises `QueryError` if it may not be null."""
        self._forget()
        await self._base.update(**{self._nullable(): None})

    async def set(
        self, objs: Iterable[T | Any] | QuerySet[Any, Any], *, bulk: bool = True, clear: bool = False
    ) -> None:
        """Make these rows (instances, keys, a queryset) the related ones, in one transaction.

        The foreign key of all other related rows is set to NULL; if it may not be null they stay, as in Django.
        """
        objs = tuple(await objs if isinstance(objs, QuerySet) else objs)
        nullable = all(f.allow_null for f in self.model._meta.fields_of_columns(self._foreign_key.local_columns))
        async with self.database.transaction():
            if nullable and clear:
                await self.clear()
            elif nullable:
                kept = [obj for obj in objs if not hasattr(obj, "_meta") or obj.pk is not None]
                await self._base.exclude(pk__in=self._keys(kept)).update(**{self._foreign_key.name: None})
            await self.add(*objs, bulk=bulk)

    @property
    def _label(self) -> str:
        return f"{self._instance._meta.name}.{self._relation.accessor}"

    def _nullable(self) -> str:
        """The foreign key's name. Raises `QueryError` if it may not be null."""
        name: str = self._foreign_key.name
        if not all(field.allow_null for field in self.model._meta.fields_of_columns(self._foreign_key.local_columns)):
            raise QueryError(
                f"{self.model.__name__}.{name} may not be null, so a row cannot leave {self._label}: "
                "add() it to another one, or delete it."
            )
        return name

    def _keys(self, objs: Sequence[Any]) -> list[Any]:
        """The primary keys of these instances or keys, without duplicates."""
        info = self.model._meta
        keys: list[Any] = []
        for obj in objs:
            if obj is None:
                raise QueryError(f"{self._label} takes {info.name} instances and keys, got None.")
            if len(info.pk_fields) == 1:
                keys.append(key_value(self._label, self.model, info.pk_fields[0], obj))
            elif isinstance(obj, self.model):
                keys.append(tuple(key_value(self._label, self.model, field, obj) for field in info.pk_fields))
            else:
                keys.append(info.split_pk(obj))
            if isinstance(obj, self.model) and not obj._persisted:
                raise QueryError(f"{self._label}: {obj!r} is not saved. Save it first.")
        return list(dict.fromkeys(keys))


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
        return ThroughRows(self._relation, self._values, self._using)

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
        rows: Iterable[T | Mapping[str, Any]],
        *,
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Iterable[str] = (),
        unique_fields: Iterable[str] = (),
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
        self._forget()
        await self._through_rows.add(objs, through_defaults)

    async def remove(self, *objs: T | Any) -> None:  # type: ignore[override]
        """Delete the pairs with these instances or keys, in one statement."""
        self._forget()
        await self._through_rows.remove(objs)

    async def clear(self) -> None:
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
        self._forget()
        through_rows = self._through_rows
        async with self.database.transaction():
            if clear:
                await through_rows.clear()
            else:
                await through_rows.keep(objs)
            await through_rows.add(objs, through_defaults)


def manager_class(relation: Relation) -> type[RelatedManager[Any]]:
    """The class of a relation's managers, which has the methods of the target's `objects`."""
    base: type[RelatedManager[Any]] = ManyToManyManager if isinstance(relation, ManyToManySide) else RelatedManager
    objects = type(relation.target.objects)
    bases = (base,) if objects is QuerySet else (base, objects)
    members = {
        "__module__": base.__module__,
        "_relation": relation,
        "_paths": owner_key_paths(relation),
        "_local_fields": local_fields(relation),
    }
    return type(f"{relation.target.__name__}{base.__name__}", bases, members)


def manager_of(manager_class: type[RelatedManager[Any]], instance: Model) -> RelatedManager[Any]:
    """The manager of an instance's related rows."""
    manager = manager_class(instance)
    objects = manager_class._relation.target.objects
    if isinstance(objects, Manager):
        # A custom manager's attributes.
        manager.__dict__.update({key: value for key, value in vars(objects).items() if key not in manager.__dict__})
    return manager
