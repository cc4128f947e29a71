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
from orm.related.through_rows import Pairs
from orm.relations import ManyToManySide, Relation, ReverseRelation, key_value
from orm.relations.instance_state import forget, get_loaded
from orm.writing.create_graph import create_graph

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.models import Model

T = TypeVar("T", bound="Model")


class RelatedManager(QuerySet[T, T], Generic[T]):
    """The rows that point at an instance, as a queryset: ``album.tracks``.

        tracks = await album.tracks.filter(position__lt=3)
        track = await album.tracks.create(title="The Bird", position=1)

    It has the methods of the target's own `objects`. What a query returns is a plain queryset again. Rows that were
    prefetched are given without a query where all of them are wanted. Writing drops them. A model's class body can
    tell type checkers of it: ``tracks: orm.RelatedManager["Track"]``.

    Raises `QueryError` at its first use if the instance is not saved.
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
        self._part: list[T] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._instance!r}>"

    # The query.

    @cached_property
    def _values(self) -> tuple[Any, ...]:
        """The instance's values that the rows are found by."""
        instance = self._instance
        own = instance.__dict__
        for field in self._local_fields:
            if field.attname not in own and instance._persisted:
                raise instance._missing_attribute(field)
        values = tuple(own.get(field.attname) for field in self._local_fields)
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
        """The queryset of the related rows, with which every query of this manager begins."""
        return self._base

    @property
    def _query(self) -> Query:  # type: ignore[override]
        return self._base._query

    @property
    def _using(self) -> databases.Database | None:  # type: ignore[override]
        return self._base._using

    def _clone_on(self, query: Query, database: databases.Database | None) -> Any:
        return self._base._clone_on(query, database)

    # What was prefetched.

    @property
    def _rows(self) -> list[T] | None:
        """The rows, if they are loaded already."""
        if self._part is not None:
            return self._part
        return get_loaded(self._instance, self._relation.accessor)

    def _forget(self) -> None:
        self._part = None
        forget(self._instance, self._relation.accessor)

    def _check_write(self, what: str) -> None:
        self._forget()
        super()._check_write(what)

    def all(self, /, **lookups: Any) -> Self:
        """All the related rows: those that were prefetched, if they were. With lookups, a query narrowed by them."""
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
        found = super().__getitem__(index)
        if rows is None or not isinstance(index, slice):
            return found
        part = copy.copy(self)
        part._part = rows[index]
        part.__dict__["_base"] = found
        return part

    async def count(self) -> int:
        """How many related rows there are."""
        rows = self._rows
        return await super().count() if rows is None else len(rows)

    async def exists(self) -> bool:
        """Whether there is a related row."""
        rows = self._rows
        return await super().exists() if rows is None else bool(rows)

    async def contains(self, obj: T) -> bool:
        """Whether this instance's row is among the related ones."""
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
        """The foreign key that points here."""
        assert isinstance(self._relation, ReverseRelation)
        return self._relation.relation

    def _everything(self) -> QuerySet[T, T]:
        """Every row of the target."""
        info = self._relation.target._meta
        return QuerySet(Query(info, Instances(info)), self._using)

    async def create(self, /, **values: Any) -> T:
        """Insert a row that points at this instance, and return its instance."""
        self._forget()
        return await super().create(**{**values, self._foreign_key.name: self._saved()})

    def _saved(self) -> Model:
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
        """Insert many rows that point at this instance: see `QuerySet.bulk_create()`."""
        self._forget()
        name, instance = self._foreign_key.name, self._saved()
        pointing: list[T | Mapping[str, Any]] = []
        for row in rows:
            if isinstance(row, Mapping):
                row = {**row, name: instance}
            elif isinstance(row, self.model):
                setattr(row, name, instance)
            pointing.append(row)
        return await super().bulk_create(
            pointing,
            batch_size=batch_size,
            ignore_conflicts=ignore_conflicts,
            update_conflicts=update_conflicts,
            update_fields=update_fields,
            unique_fields=unique_fields,
        )

    async def create_graph(self, rows: Any) -> Any:
        """Insert nested rows that point at this instance: see `QuerySet.create_graph()`."""
        self._forget()
        given = {self._foreign_key.name: self._saved()}
        return await create_graph(self.model, rows, self.database, self._using, given)

    async def add(self, *objs: T | Any, bulk: bool = True) -> None:
        """Have these rows, given as instances or keys, point at this instance, in one statement.

        `bulk=False` saves each instance instead, new ones too. Raises `QueryError` for an instance of another model,
        and for one that is not saved.
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
            await self._everything().filter(pk__in=keys).update(**values)
        for obj in objs:
            if isinstance(obj, self.model):
                setattr(obj, name, owner)

    async def remove(self, *objs: T | Any, bulk: bool = True) -> None:
        """Have these rows, given as instances or keys, point at nothing, in one statement.

        `bulk=False` saves each instance instead. Raises `QueryError` if the foreign key may not be null,
        `DoesNotExist` for an instance that does not point here.
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
        given = [obj for obj in objs if isinstance(obj, self.model)]
        for obj in given:
            setattr(obj, name, None)
        if not bulk:
            async with self.database.transaction():
                for obj in given:
                    await obj.save(update_fields=[name])

    async def clear(self) -> None:
        """Have all the related rows point at nothing. Raises `QueryError` if the foreign key may not be null."""
        self._forget()
        await self._base.update(**{self._nullable(): None})

    async def set(
        self, objs: Iterable[T | Any] | QuerySet[Any, Any], *, bulk: bool = True, clear: bool = False
    ) -> None:
        """Have exactly these rows (instances, keys, a queryset) point at this instance, in one transaction.

        The others point at nothing then, if the foreign key may be null; if not, they stay, as in Django.
        """
        given = tuple(await objs if isinstance(objs, QuerySet) else objs)
        nullable = all(f.allow_null for f in self.model._meta.fields_of_columns(self._foreign_key.local_columns))
        async with self.database.transaction():
            if nullable and clear:
                await self.clear()
            elif nullable:
                kept = [obj for obj in given if not hasattr(obj, "_meta") or obj.pk is not None]
                await self._base.exclude(pk__in=self._keys(kept)).update(**{self._foreign_key.name: None})
            await self.add(*given, bulk=bulk)

    @property
    def _label(self) -> str:
        return f"{self._instance._meta.name}.{self._relation.accessor}"

    def _nullable(self) -> str:
        """The name of the foreign key. Raises `QueryError` if it may not be null."""
        name: str = self._foreign_key.name
        if not all(field.allow_null for field in self.model._meta.fields_of_columns(self._foreign_key.local_columns)):
            raise QueryError(
                f"{self.model.__name__}.{name} may not be null, so a row cannot leave {self._label}: "
                "add() it to another one, or delete it."
            )
        return name

    def _keys(self, objs: Sequence[Any]) -> list[Any]:
        """The primary keys of rows given as instances or keys."""
        info = self.model._meta
        found: list[Any] = []
        for obj in objs:
            if obj is None:
                raise QueryError(f"{self._label} takes {info.name} instances and keys, got None.")
            if len(info.pk_fields) == 1:
                found.append(key_value(self._label, self.model, info.pk_fields[0], obj))
            elif isinstance(obj, self.model):
                found.append(tuple(key_value(self._label, self.model, field, obj) for field in info.pk_fields))
            else:
                found.append(info.split_pk(obj))
            if isinstance(obj, self.model) and not obj._persisted:
                raise QueryError(f"{self._label}: {obj!r} is not saved. Save it first.")
        return list(dict.fromkeys(found))


class ManyToManyManager(RelatedManager[T]):
    """The rows paired with an instance, as a queryset: ``article.tags``.

        await article.tags.add(tag, 5)
        tags = await article.tags.filter(name__startswith="a")

    Pairs that are there already stay as they are. `through_defaults` are the values of further fields of the through
    model's new rows.
    """

    _defaults: Mapping[str, Any] | None = None

    @cached_property
    def _base(self) -> QuerySet[T, T]:
        base = super()._base
        # As in Django: the first filter() is about the pairs of this instance.
        return base._clone(base._query.sharing_joins())

    @cached_property
    def _pairs(self) -> Pairs:
        assert isinstance(self._relation, ManyToManySide)
        return Pairs(self._relation, self._values, self._using)

    def _with_defaults(self, through_defaults: Mapping[str, Any] | None) -> Self:
        made = copy.copy(self)
        made._defaults = through_defaults
        return made

    async def create(self, /, *, through_defaults: Mapping[str, Any] | None = None, **values: Any) -> T:
        """Insert a row, and its pair with this instance; returns the row's instance."""
        self._forget()
        pairs = self._pairs
        async with self.database.transaction():
            made = await QuerySet.create(self, **values)
            await pairs.add([made], self._defaults if through_defaults is None else through_defaults)
        return made

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
        pairs = self._pairs
        async with self.database.transaction():
            made = await QuerySet.bulk_create(
                self,
                rows,
                batch_size=batch_size,
                ignore_conflicts=ignore_conflicts,
                update_conflicts=update_conflicts,
                update_fields=update_fields,
                unique_fields=unique_fields,
            )
            await pairs.add(made, through_defaults)
        return made

    async def create_graph(self, rows: Any, *, through_defaults: Mapping[str, Any] | None = None) -> Any:
        """Insert nested rows, and their pairs with this instance: see `QuerySet.create_graph()`."""
        self._forget()
        pairs = self._pairs
        async with self.database.transaction():
            made = await create_graph(self.model, rows, self.database, self._using, {})
            await pairs.add(made if isinstance(made, list) else [made], through_defaults)
        return made

    async def get_or_create(
        self,
        /,
        defaults: Mapping[str, Any] | None = None,
        *,
        through_defaults: Mapping[str, Any] | None = None,
        **lookups: Any,
    ) -> tuple[T, bool]:
        """The paired row that matches, or a new one, paired; and whether it is new."""
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
        """The paired row that matches, updated by `defaults`, or a new one, paired; and whether it is new."""
        self._forget()
        made = self._with_defaults(through_defaults)
        return await QuerySet.update_or_create(made, defaults, create_defaults, **lookups)

    async def add(self, *objs: T | Any, through_defaults: Mapping[str, Any] | None = None) -> None:  # type: ignore[override]
        """Pair these rows, given as instances or keys, with this instance, in one statement.

        Raises `QueryError` for an instance of another model, and for one that is not saved.
        """
        self._forget()
        await self._pairs.add(objs, through_defaults)

    async def remove(self, *objs: T | Any) -> None:  # type: ignore[override]
        """Delete the pairs with these rows, given as instances or keys, in one statement."""
        self._forget()
        await self._pairs.remove(objs)

    async def clear(self) -> None:
        """Delete every pair of this instance, in one statement."""
        self._forget()
        await self._pairs.clear()

    async def set(  # type: ignore[override]
        self,
        objs: Iterable[T | Any] | QuerySet[Any, Any],
        *,
        clear: bool = False,
        through_defaults: Mapping[str, Any] | None = None,
    ) -> None:
        """Pair exactly these rows (instances, keys, a queryset) with this instance, in one transaction.

        Pairs that are there already keep the values of their further fields; with `clear=True` they are made anew.
        """
        given = tuple(await objs if isinstance(objs, QuerySet) else objs)
        self._forget()
        pairs = self._pairs
        async with self.database.transaction():
            if clear:
                await pairs.clear()
            else:
                await pairs.keep(given)
            await pairs.add(given, through_defaults)


def manager_class(relation: Relation) -> type[RelatedManager[Any]]:
    """The class of a relation's managers: with the methods of the target's own `objects`."""
    kind: type[RelatedManager[Any]] = ManyToManyManager if isinstance(relation, ManyToManySide) else RelatedManager
    first = relation.hops[0]
    owner = relation.relation.target if isinstance(relation, ReverseRelation) else relation.model  # type: ignore[attr-defined]
    objects = type(relation.target.objects)
    bases = (kind,) if objects is QuerySet else (kind, objects)
    members = {
        "__module__": kind.__module__,
        "_relation": relation,
        "_paths": owner_key_paths(relation),
        "_local_fields": owner._meta.fields_of_columns(first.local_columns),
    }
    return type(f"{relation.target.__name__}{kind.__name__}", bases, members)


def manager_of(kind: type[RelatedManager[Any]], instance: Model) -> RelatedManager[Any]:
    """The manager of an instance's related rows."""
    made = kind(instance)
    objects = kind._relation.target.objects
    if isinstance(objects, Manager):
        # What a manager of one's own was made with.
        made.__dict__.update({key: value for key, value in vars(objects).items() if key not in made.__dict__})
    return made
