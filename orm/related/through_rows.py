"""`ThroughRows`: the rows of a through model that pair an instance with others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

import databases

from orm.exceptions import QueryError
from orm.expressions.base import Q
from orm.mapping.constraints import ExclusionConstraint, UniqueConstraint
from orm.mapping.indexes import Index
from orm.mapping.signals import m2m_changed
from orm.query.on_conflict import Conflict
from orm.query.query import rows_of_model
from orm.queryset.queryset import QuerySet
from orm.relations import ManyToManySide, key_values
from orm.utils.slices import in_slices, slices
from orm.writing.bulk_create import bulk_create

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.mapping.constraints import TableConstraint
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

Key = tuple[Any, ...]


class ThroughRows:
    """The rows of a through model that pair one instance, whose key is `local`, with rows of the related model.

    If `m2m_changed` of the through model has receivers, the methods send it as Django does. For a symmetrical relation,
    the signal does not mention the pairs in the other direction.
    """

    def __init__(self, side: ManyToManySide, instance: Model, local: Key, database: databases.Database | None) -> None:
        through = side.through._meta
        self.side = side
        self.label = f"{side.model.__name__}.{side.accessor}"
        self.instance = instance
        self.local = local
        self.local_fields = through.fields_of_columns(side.local_key.local_columns)
        self.remote_fields = through.fields_of_columns(side.remote_key.local_columns)
        self.attnames = [field.attname for field in (*self.local_fields, *self.remote_fields)]
        self.rows: QuerySet[Any, Any] = QuerySet(rows_of_model(through), database)

    async def keys(self, objs: Iterable[Any]) -> list[Key]:
        """The values by which the through model references these instances or keys, without duplicates."""
        target = self.side.target
        fields = target._meta.fields_of_columns(self.side.remote_key.remote_columns)
        keys: dict[Key, None] = {}
        async for part in slices(list(objs)):
            for obj in part:
                if obj is None:
                    raise QueryError(f"{self.label} takes {target.__name__} instances and keys, got None.")
                keys[key_values(self.label, target, fields, obj)] = None
        return list(keys)

    async def add(
        self, objs: Iterable[Any], through_defaults: Mapping[str, Any] | None, *, sends_always: bool = True
    ) -> None:
        """Insert the pairs that do not exist yet; in one statement if only the pair itself is unique.

        If all pairs exist, `m2m_changed` is sent unless `sends_always` is False: as in Django, ``add()`` sends it then,
        and ``set()`` does not.
        """
        keys = await self.keys(objs)
        if not keys:
            return
        defaults = {name: value() if callable(value) else value for name, value in (through_defaults or {}).items()}
        if self._has_receivers:
            existing = await self._existing(keys)
            new = [key for key in keys if (self.local, key) not in existing]
            if not new and not sends_always:
                return
            async with self._changing("add", new):
                await self._insert_new(keys, defaults)
            return
        await self._insert_new(keys, defaults)

    async def _insert_new(self, keys: Sequence[Key], defaults: Mapping[str, Any]) -> None:
        pairs = [(self.local, key) for key in keys]
        if self.side.symmetrical:
            pairs = list(dict.fromkeys([*pairs, *((key, self.local) for key in keys)]))
        if is_only_unique_constraint(self.rows.model._meta, {*self.local_fields, *self.remote_fields}):
            await self._insert(pairs, defaults, Conflict())
            return
        async with self.rows.database.transaction():
            existing = await self._existing(keys)
            await self._insert([pair for pair in pairs if pair not in existing], defaults, None)

    async def _insert(
        self, pairs: Sequence[tuple[Key, Key]], defaults: Mapping[str, Any], conflict: Conflict | None
    ) -> None:
        model = self.rows.model

        def make(part: Sequence[tuple[Key, Key]]) -> Iterable[Any]:
            for local, remote in part:
                yield model(**{**defaults, **dict(zip(self.attnames, (*local, *remote), strict=True))})

        instances = await in_slices(make, pairs)
        if instances:
            await bulk_create(model._meta, instances, self.rows.database, None, conflict)

    async def _existing(self, keys: Sequence[Key]) -> set[tuple[Key, Key]]:
        """The pairs with these keys that exist."""
        rows = await self.rows.filter(self._condition(keys)).values_list(*self.attnames)
        width = len(self.local_fields)
        return {(row[:width], row[width:]) for row in rows}

    async def remove(self, objs: Iterable[Any]) -> None:
        """Delete the pairs with these instances or keys."""
        keys = await self.keys(objs)
        if keys:
            async with self._changing("remove", keys):
                await self.rows.filter(self._condition(keys)).delete()

    async def keep(self, objs: Iterable[Any]) -> None:
        """Delete the pairs with all but these instances or keys."""
        keys = await self.keys(objs)
        if not self._has_receivers:
            await self.rows.filter(self._condition(keys, others=True)).delete()
            return
        kept = set(keys)
        removed = [key for key in await self._paired() if key not in kept]
        if removed:
            async with self._changing("remove", removed):
                await self.rows.filter(self._condition(removed)).delete()

    async def clear(self) -> None:
        """Delete all pairs of the instance."""
        async with self._changing("clear", None):
            await self.rows.filter(self._condition([], others=True)).delete()

    async def _paired(self) -> list[Key]:
        """The keys of all rows that are paired with the instance."""
        rows = await self.rows.filter(self._condition([], others=True)).values_list(*self.attnames)
        width = len(self.local_fields)
        return list(dict.fromkeys(row[width:] if row[:width] == self.local else row[:width] for row in rows))

    @property
    def _has_receivers(self) -> bool:
        hooks = self.rows.model._meta.hooks
        return hooks is not None and hooks.any(m2m_changed)

    @asynccontextmanager
    async def _changing(
        self, what: Literal["add", "remove", "clear"], keys: Iterable[Key] | None
    ) -> AsyncIterator[None]:
        """If `m2m_changed` has receivers, send it before and after the block, all in one transaction."""
        through = self.rows.model
        hooks = through._meta.hooks
        if hooks is None or not hooks.any(m2m_changed):
            yield
            return
        details = {
            "instance": self.instance,
            "reverse": self.side is self.side.relation.backward,
            "model": self.side.target,
            "pk_set": None if keys is None else {key[0] if len(key) == 1 else key for key in keys},
        }
        database = self.rows.database
        async with database.transaction():
            await hooks.send(m2m_changed, through, database, action=f"pre_{what}", **details)
            yield
            await hooks.send(m2m_changed, through, database, action=f"post_{what}", **details)

    def _condition(self, keys: Sequence[Key], *, others: bool = False) -> Q:
        """The condition for the pairs with these keys, or with all others, in each direction that counts."""
        condition = _pairs_of(self.local_fields, self.local, self.remote_fields, keys, others)
        if self.side.symmetrical:
            condition = condition | _pairs_of(self.remote_fields, self.local, self.local_fields, keys, others)
        return condition


def _pairs_of(
    local_fields: Sequence[Field[Any]],
    local: Key,
    remote_fields: Sequence[Field[Any]],
    keys: Sequence[Key],
    others: bool,
) -> Q:
    """The condition for the pairs of `local` with one of the keys, or with none of them."""
    of_instance = Q(**_by_attname(local_fields, local))
    if not keys:
        return of_instance if others else of_instance & Q(pk__in=[])
    if len(remote_fields) == 1:
        with_keys = Q(**{f"{remote_fields[0].attname}__in": [key for (key,) in keys]})
    else:
        with_keys = reduce(Q.__or__, (Q(**_by_attname(remote_fields, key)) for key in keys))
    return of_instance & ~with_keys if others else of_instance & with_keys


def _by_attname(fields: Sequence[Field[Any]], values: Key) -> dict[str, Any]:
    return {field.attname: value for field, value in zip(fields, values, strict=True)}


def is_only_unique_constraint(info: ModelInfo, fields: set[Field[Any]]) -> bool:
    """Whether the model's only unique constraint is on these fields, so that a conflict means that their row exists.

    A constraint that does not hold for all rows, at once and on every database lets a pair be inserted again.
    """
    declared = [*info.options.constraints, *(index for index in info.options.indexes if index.unique)]
    if any(isinstance(each, ExclusionConstraint) or not _always_holds(each) for each in declared):
        return False
    constraints: list[Hashable] = [
        frozenset(info.column_names(constraint.fields, "Meta.constraints"))
        for constraint in info.options.constraints
        if isinstance(constraint, UniqueConstraint)
    ]
    constraints += [frozenset([field.column_name]) for field in info.fields.values() if field.unique]
    unique = [index.fields for index in info.options.indexes if index.unique]
    constraints += [frozenset(info.column_names([name.removeprefix("-") for name in names], "")) for names in unique]
    if info.generated is None:
        constraints.append(frozenset(field.column_name for field in info.pk_fields))
    return set(constraints) == {frozenset(field.column_name for field in fields)}


def _always_holds(declared: TableConstraint) -> bool:
    """Whether a constraint or unique index holds for all rows, at once and on every database, if it is unique."""
    if not isinstance(declared, (Index, UniqueConstraint)):
        return True
    deferrable = isinstance(declared, UniqueConstraint) and declared.deferrable is not None
    return declared.is_plain and not declared.databases and not deferrable
