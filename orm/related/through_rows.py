"""`Pairs`: writes the rows that pair an instance with others, for a many-to-many relation."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
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


class Pairs:
    """The rows of a through model that belong to one instance, whose values `local` they hold."""

    def __init__(self, end: ManyToManySide, local: Key, database: databases.Database | None) -> None:
        through = end.through._meta
        self.end = end
        self.label = f"{end.model.__name__}.{end.accessor}"
        self.local = local
        self.local_fields = through.fields_of_columns(end.local_key.local_columns)
        self.remote_fields = through.fields_of_columns(end.remote_key.local_columns)
        self.rows: QuerySet[Any, Any] = QuerySet(Query(through, Instances(through)), database)

    def keys(self, objs: Iterable[Any]) -> list[Key]:
        """The values that the through model holds of these rows, given as instances or keys; each once."""
        target = self.end.target
        fields = target._meta.fields_of_columns(self.end.remote_key.remote_columns)
        found: dict[Key, None] = {}
        for obj in objs:
            if obj is None:
                raise QueryError(f"{self.label} takes {target.__name__} instances and keys, got None.")
            found[key_values(self.label, target, fields, obj)] = None
        return list(found)

    async def add(self, objs: Iterable[Any], through_defaults: Mapping[str, Any] | None) -> None:
        """Insert the pairs that are not there: one statement, if nothing but the pair itself is unique."""
        given = self.keys(objs)
        if not given:
            return
        defaults = {name: value() if callable(value) else value for name, value in (through_defaults or {}).items()}
        both = [(self.local, key) for key in given]
        if self.end.symmetrical:
            both = list(dict.fromkeys([*both, *((key, self.local) for key in given)]))
        if unique_pair(self.rows.model._meta, {*self.local_fields, *self.remote_fields}):
            await self._insert(both, defaults, Conflict())
            return
        async with self.rows.database.transaction():
            there = set(await self._there(given))
            await self._insert([pair for pair in both if pair not in there], defaults, None)

    async def _insert(
        self, pairs: Sequence[tuple[Key, Key]], defaults: Mapping[str, Any], conflict: Conflict | None
    ) -> None:
        model = self.rows.model
        names = [field.attname for field in (*self.local_fields, *self.remote_fields)]
        made = [model(**{**defaults, **dict(zip(names, (*local, *remote), strict=True))}) for local, remote in pairs]
        if made:
            await bulk.create(model._meta, made, self.rows.database, None, conflict)

    async def _there(self, keys: Sequence[Key]) -> list[tuple[Key, Key]]:
        names = [field.attname for field in (*self.local_fields, *self.remote_fields)]
        rows = await self.rows.filter(self._which(keys)).values_list(*names)
        count = len(self.local_fields)
        return [(row[:count], row[count:]) for row in rows]

    async def remove(self, objs: Iterable[Any]) -> None:
        """Delete the pairs with these rows."""
        keys = self.keys(objs)
        if keys:
            await self.rows.filter(self._which(keys)).delete()

    async def keep(self, objs: Iterable[Any]) -> None:
        """Delete the pairs with all other rows."""
        await self.rows.filter(self._which(self.keys(objs), others=True)).delete()

    async def clear(self) -> None:
        """Delete every pair."""
        await self.rows.filter(self._which([], others=True)).delete()

    def _which(self, keys: Sequence[Key], *, others: bool = False) -> Q:
        """The pairs with these rows, or with all others; of a symmetrical relation in both directions."""
        found = _paired(self.local_fields, self.local, self.remote_fields, keys, others)
        if self.end.symmetrical:
            found = found | _paired(self.remote_fields, self.local, self.local_fields, keys, others)
        return found


def _paired(
    local: Sequence[Field[Any]], own: Key, remote: Sequence[Field[Any]], keys: Sequence[Key], others: bool
) -> Q:
    here = Q(**_values(local, own))
    if not keys:
        return here if others else here & Q(pk__in=[])
    if len(remote) == 1:
        there = Q(**{f"{remote[0].attname}__in": [key for (key,) in keys]})
    else:
        there = Q()
        for key in keys:
            there = there | Q(**_values(remote, key))
    return here & ~there if others else here & there


def _values(fields: Sequence[Field[Any]], values: Key) -> dict[str, Any]:
    return {field.attname: value for field, value in zip(fields, values, strict=True)}


def unique_pair(info: ModelInfo, pair: set[Field[Any]]) -> bool:
    """Whether the pair is unique and nothing else is, so that what runs into a constraint is there already."""
    found: list[Hashable] = [
        frozenset(info.column_names(constraint.fields, "Meta.constraints"))
        for constraint in info.options.constraints
        if isinstance(constraint, UniqueConstraint)
    ]
    found += [frozenset([field.column_name]) for field in info.fields.values() if field.unique]
    unique = [index.fields for index in info.options.indexes if index.unique]
    found += [frozenset(info.column_names([name.removeprefix("-") for name in names], "")) for names in unique]
    if info.generated is None:
        found.append(frozenset(field.column_name for field in info.pk_fields))
    return set(found) == {frozenset(field.column_name for field in pair)}
