"""`RelatedManager`: the rows that reference an instance, ``album.tracks``."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

import databases
from typing_extensions import Self

from orm.database.connections.units_of_work import idle_unit, open_units
from orm.exceptions import QueryError
from orm.loading.load import load_peers
from orm.query.conditions.related_to import RelatedTo
from orm.query.paths import Path
from orm.query.query import Query, rows_of_model
from orm.queryset.chaining import check_index
from orm.queryset.queryset import QuerySet
from orm.queryset.reading import all_rows
from orm.relations import Relation, ReverseRelation, key_value
from orm.relations.fetch_modes import peers_of
from orm.relations.instance_state import forget, get_loaded, not_loaded, stored_in
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
    prefetched ones are returned without a query; a write discards them. They are also read without `await` (``for
    track in album.tracks``, ``len``, ``in``, ``album.tracks[0]``); without them this raises `NotLoaded`. For type
    checkers, declare it in the model's body: ``tracks: orm.RelatedManager["Track"]``.

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
        state = ", not loaded" if self._rows is None else ""
        return f"<{type(self).__name__} of {self._instance!r}{state}>"

    def __copy__(self) -> Self:
        """Another manager of the same instance. Without this method, the queryset would be pickled."""
        duplicate = type(self).__new__(type(self))
        duplicate.__dict__.update(self.__dict__)
        return duplicate

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
        if not instance._persisted or (None in values and instance.pk is None):
            raise QueryError(f"{self._label} is of saved rows, and this {instance._meta.name} is not: save it first.")
        return values

    @property
    def _key(self) -> tuple[Any, ...]:
        """The values for rows that reference the instance. Raises `QueryError` for NULL, which no row can reference."""
        for field, value in zip(self._local_fields, self._values, strict=True):
            if value is None:
                raise QueryError(f"{self._label} references {field.name}, which is NULL here: give it a value first.")
        return self._values

    @cached_property
    def _base(self) -> QuerySet[T, T]:
        target: Any = self._relation.target
        start: QuerySet[T, T] = target.objects
        database = stored_in(self._instance)
        query = start._query
        if isinstance(self._relation, ReverseRelation):
            query = query.replace(owner=(self._relation, self._instance))
        rows = start._clone_on(query, database or start._given)
        return rows.none() if None in self._values else rows.filter(RelatedTo(self._paths, self._values))

    def get_queryset(self) -> QuerySet[T, T]:
        """The queryset of the related rows, from which every query of this manager starts."""
        return self._base

    @property
    def _query(self) -> Query:  # type: ignore[override]
        return self._base._query

    @property
    def _given(self) -> databases.Database | None:  # type: ignore[override]
        return self._base._given

    def _clone_on(self, query: Query, database: databases.Database | None) -> Any:
        return self._base._clone_on(query, database)

    # Prefetched rows.

    @property
    def _rows(self) -> list[T] | None:
        """The related rows if they are loaded, else None."""
        if self._slice is not None:
            return self._slice
        return get_loaded(self._instance, self._relation.accessor)

    def _hold(self, rows: list[T]) -> None:
        """Put the loaded rows into the list that the manager is, if it is one: see `LoadedRows`."""
        manager: Any = self
        if isinstance(manager, list):
            list.clear(manager)
            list.extend(manager, rows)

    def _forget(self) -> None:
        self._slice = None
        self._hold([])
        forget(self._instance, self._relation.accessor)

    def _check_write(self, what: str) -> None:
        self._forget()
        super()._check_write(what)

    def all(self, /, **lookups: Any) -> Self:
        """All related rows, prefetched or queried. With lookups, a filtered query."""
        if lookups:
            return self.filter(**lookups)
        if self._rows is None:
            assert self._values  # read now: the instance's key may change before the rows are read
        return self

    async def _fetch(self) -> list[T]:
        rows = self._rows
        if rows is None and self._slice is None and peers_of(self._instance) is not None:
            await load_peers(self._instance, self._relation.accessor)
            rows = self._rows
        return await super()._fetch() if rows is None else list(rows)

    def _prefetched(self) -> list[T]:
        """The prefetched rows. Raises `NotLoaded` if there are none."""
        rows = self._rows
        if rows is None:
            name = self._relation.accessor
            raise not_loaded(
                self._instance,
                f"{self._label} was not loaded, and relations are not loaded implicitly. Await it, loop with "
                f"`async for`, or have the query bring it: prefetch_related({name!r}).",
            )
        return rows

    def __iter__(self) -> Iterator[T]:  # type: ignore[override]
        return iter(tuple(self._prefetched()))

    def __contains__(self, row: object) -> bool:
        return row in self._prefetched()

    def __len__(self) -> int:
        return len(self._prefetched())

    def __bool__(self) -> bool:  # type: ignore[override]
        return bool(self._prefetched())

    async def __aiter__(self) -> AsyncIterator[T]:
        rows = self._rows if peers_of(self._instance) is None else await self._fetch()
        if rows is None:
            async for row in self._base:
                yield row
        else:
            for row in tuple(rows):
                yield row

    def __getitem__(self, index: slice | int) -> Any:
        rows = self._rows
        if rows is None:
            return super().__getitem__(index)
        if not isinstance(index, slice):
            if check_index(index, "an index") >= len(rows):
                raise IndexError(f"{self._label} has no row {index}.")
            return rows[index]
        queryset = super().__getitem__(index)
        sliced = copy.copy(self)
        sliced._slice = rows[index]
        sliced.__dict__["_base"] = queryset
        sliced._hold(rows[index])
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
        return QuerySet(rows_of_model(info), self._using)

    async def create(self, /, **values: Any) -> T:
        """Insert a row that references this instance; returns the row's instance."""
        self._forget()
        return await super().create(**{**values, self._foreign_key.name: self._saved()})

    def _saved(self) -> Model:
        """The instance. Raises `QueryError` if it is not saved."""
        assert self._key
        return self._instance

    async def bulk_create(
        self,
        rows: Iterable[T | Mapping[str, Any]] | QuerySet[T, T],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Iterable[str] | None = (),
        unique_fields: Iterable[str] | None = (),
    ) -> list[T]:
        """Insert many rows that reference this instance: see `QuerySet.bulk_create()`."""
        self._forget()
        name, instance = self._foreign_key.name, self._saved()
        referencing: list[T | Mapping[str, Any]] = []
        for row in await all_rows(rows):
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
        if open_units and (unit := idle_unit(self._database_of_instance)) is not None:
            for obj in objs:
                if isinstance(obj, self.model):
                    setattr(obj, self._foreign_key.name, self._instance)
            await unit.add_related(self._instance, objs)
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
        values, name = self._key, self._nullable()
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

    async def clear(self, *, bulk: bool = True) -> None:
        """Set the foreign key of all related rows to NULL, in one statement.

        `bulk=False` saves each row instead. Raises `QueryError` if the foreign key may not be null.
        """
        self._forget()
        assert self._key
        name = self._nullable()
        if bulk:
            await self._base.update(**{name: None})
            return
        async with self.database.transaction():
            for row in await self._base:
                setattr(row, name, None)
                await row.save(update_fields=[name])

    async def set(
        self, objs: Iterable[T | Any] | QuerySet[Any, Any], *, bulk: bool = True, clear: bool = False
    ) -> None:
        """Make these rows (instances, keys, a queryset) the related ones, in one transaction.

        The foreign key of all other related rows is set to NULL; if it may not be null they stay, as in Django.
        """
        objs = tuple(await objs if isinstance(objs, QuerySet) else objs)
        assert self._key
        nullable = all(f.allow_null for f in self.model._meta.fields_of_columns(self._foreign_key.local_columns))
        async with self.database.transaction():
            if nullable and clear:
                await self.clear(bulk=bulk)
            elif nullable:
                kept = [obj for obj in objs if not hasattr(obj, "_meta") or obj.pk is not None]
                await self._base.exclude(pk__in=self._keys(kept)).update(**{self._foreign_key.name: None})
            await self.add(*objs, bulk=bulk)

    @property
    def _database_of_instance(self) -> databases.Database:
        """The database that the instance was loaded from, or its registry's."""
        database: databases.Database = (
            self._instance.__dict__.get("_database") or self._instance._meta.registry.database
        )
        return database

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
