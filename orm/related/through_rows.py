"""`ThroughRows`: the rows of a through model that pair an instance with others."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import databases

from orm.exceptions import QueryError
from orm.expressions.base import Q
from orm.mapping.constraints import UniqueConstraint
from orm.query.on_conflict import Conflict
from orm.query.projection import Instances
from orm.query.query import Query
from orm.queryset.queryset import QuerySet
from orm.relations import ManyToManySide, key_values
from orm.writing import bulk

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.mapping.model_info import ModelInfo

Key = tuple[Any, ...]


class ThroughRows:
    """The rows of a through model that pair one instance, whose key is `local`, with rows of the related model."""

    def __init__(self, side: ManyToManySide, local: Key, database: databases.Database | None) -> None:
        through = side.through._meta
        self.side = side
        self.label = f"{side.model.__name__}.{side.accessor}"
        self.local = local
        self.local_fields = through.fields_of_columns(side.local_key.local_columns)
        self.remote_fields = through.fields_of_columns(side.remote_key.local_columns)
        self.attnames = [field.attname for field in (*self.local_fields, *self.remote_fields)]
        self.rows: QuerySet[Any, Any] = QuerySet(Query(through, Instances(through)), database)

    def keys(self, objs: Iterable[Any]) -> list[Key]:
        """The values by which the through model references these instances or keys, without duplicates."""
        target = self.side.target
        fields = target._meta.fields_of_columns(self.side.remote_key.remote_columns)
        keys: dict[Key, None] = {}
        for obj in objs:
            if obj is None:
                raise QueryError(f"{self.label} takes {target.__name__} instances and keys, got None.")
            keys[key_values(self.label, target, fields, obj)] = None
        return list(keys)

    async def add(self, objs: Iterable[Any], through_defaults: Mapping[str, Any] | None) -> None:
        """Insert the pairs that do not exist yet; in one statement if only the pair itself is unique."""
        keys = self.keys(objs)
        if not keys:
            return
        defaults = {name: value() if callable(value) else value for name, value in (through_defaults or {}).items()}
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
        instances = [
            model(**{**defaults, **dict(zip(self.attnames, (*local, *remote), strict=True))}) for local, remote in pairs
        ]
        if instances:
            await bulk.create(model._meta, instances, self.rows.database, None, conflict)

    async def _existing(self, keys: Sequence[Key]) -> set[tuple[Key, Key]]:
        """The pairs with these keys that exist."""
        rows = await self.rows.filter(self._condition(keys)).values_list(*self.attnames)
        width = len(self.local_fields)
        return {(row[:width], row[width:]) for row in rows}

    async def remove(self, objs: Iterable[Any]) -> None:
        """Delete the pairs with these instances or keys."""
        keys = self.keys(objs)
        if keys:
            await self.rows.filter(self._condition(keys)).delete()

    async def keep(self, objs: Iterable[Any]) -> None:
        """Delete the pairs with all but these instances or keys."""
        await self.rows.filter(self._condition(self.keys(objs), others=True)).delete()

    async def clear(self) -> None:
        """Delete all pairs of the instance."""
        await self.rows.filter(self._condition([], others=True)).delete()

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
    """Whether the model's only unique constraint is on these fields, so that a conflict means that their row exists."""
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
