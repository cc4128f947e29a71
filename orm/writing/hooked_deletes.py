"""Deletions with `pre_delete` and `post_delete`: the rows, and those to which they cascade, are loaded first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import databases

from orm import execution
from orm.database.connections.server_dialect import dialect_of
from orm.database.dialect import Dialect
from orm.expressions.base import Q
from orm.mapping.signals import Signal, hooked_models, post_delete, pre_delete
from orm.query.projection import Instances, Projection
from orm.query.query import Query
from orm.query.resolving.resolver import Resolver
from orm.relations import CASCADE, ForwardRelation
from orm.relations.attaching import local_fields, remote_fields
from orm.writing.delete_preview import conditions_of, reachable_models
from orm.writing.instances import database_of, delete_row, mark_unsaved, row_query
from orm.writing.returning import delete_returning

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

Key = tuple[Any, ...]


def models_to_load(info: ModelInfo, *, keep_parents: bool = False) -> tuple[ModelInfo, ...]:
    """The models whose rows are loaded when rows of `info` are deleted, referencing models first.

    These are the models whose deletion has receivers, and the models through which a cascade leads to them. There are
    none if there are no receivers. With `keep_parents`, the rows that those of `info` continue are not deleted.
    """
    if not hooked_models.any_delete:
        return ()
    if info.ancestors and keep_parents:
        return _find_models_to_load(info)
    if info.ancestors:
        return models_to_load(next(each for each in info.ancestors if not each.ancestors))
    generation, models = info.loaded_on_delete
    if generation != hooked_models.generation:
        models = _find_models_to_load(info)
        info.loaded_on_delete = (hooked_models.generation, models)
    return models


def _find_models_to_load(start: ModelInfo) -> tuple[ModelInfo, ...]:
    cascades = {
        info: [relation.model._meta for relation in relations if relation.on_delete == CASCADE]
        for info, relations in reachable_models(start).items()
    }
    loaded = {info for info in cascades if _has_receivers(info, pre_delete, post_delete)}
    has_grown = True
    while has_grown:
        has_grown = False
        for info, referencing in cascades.items():
            if info not in loaded and not loaded.isdisjoint(referencing):
                loaded.add(info)
                has_grown = True
    order: dict[ModelInfo, None] = {}
    seen: set[ModelInfo] = set()

    def visit(info: ModelInfo) -> None:
        if info in loaded and info not in seen:
            seen.add(info)
            for each in cascades[info]:
                visit(each)
            order[info] = None

    visit(start)
    return tuple(order)


def _has_receivers(info: ModelInfo, *signals: Signal) -> bool:
    """Whether the deletion of a row of the model has receivers. Its instances may be of models that inherit from it."""
    models = (info, *(info.kinds.values() if info.discriminator is not None else ()))
    return any(each.hooks is not None and each.hooks.any(*signals) for each in models)


async def delete_instance_with_hooks(instance: Model, *, keep_parents: bool = False) -> int:
    """Delete the row of an instance, with its signals; returns the number of rows."""
    database = database_of(instance)
    if instance._meta.ancestors and not keep_parents:
        query = row_query(instance)
        matched = await _delete_tables_with_hooks(query, database, instance)
        mark_unsaved(instance)
        return matched
    info = instance._meta
    models = models_to_load(info, keep_parents=keep_parents)
    deletion = HookedDeletion(info, await dialect_of(database), database, instance, models)
    async with deletion.transaction():
        await deletion.collect([instance])
        await deletion.send(pre_delete)
        await deletion.delete_referencing()
        matched = await delete_row(instance, keep_parents=keep_parents)
        await deletion.send_after()
    if info.ancestors:
        mark_unsaved(instance)
    return matched


async def delete_rows_with_hooks(
    query: Query, database: databases.Database, returning: Projection | None, origin: Any
) -> tuple[int, list[Any]]:
    """Delete the rows of a query, with their signals; returns their number, and what `returning` selects of each."""
    info = query.info
    if info.ancestors:
        async with database.transaction():
            wanted = [] if returning is None else await execution.fetch(query.replace(projection=returning), database)
            return await _delete_tables_with_hooks(query, database, origin), wanted
    dialect = await dialect_of(database)
    deletion = HookedDeletion(info, dialect, database, origin, models_to_load(info))
    matched, returned = 0, []
    async with deletion.transaction():
        await deletion.collect(await _matching_instances(query, dialect, database))
        await deletion.send(pre_delete)
        await deletion.delete_referencing()
        for rows in _queries(info, info.pk_fields, deletion.keys_of_roots, dialect):
            if returning is None:
                matched += await execution.delete(rows, database)
            else:
                returned += await delete_returning(rows, returning, database)
        await deletion.send_after()
    return matched, returned


async def _delete_tables_with_hooks(query: Query, database: databases.Database, origin: Any) -> int:
    """Delete rows of multi-table inheritance: those of the first table, to which the others refer."""
    roots = [info for info in query.info.ancestors if not info.ancestors]
    dialect = await dialect_of(database)
    async with database.transaction():
        keys = await execution.locked_keys(query, database, roots)
        for position, root in enumerate(roots, start=1):
            for rows in _queries(root, root.pk_fields, [(key[position],) for key in keys], dialect):
                await delete_rows_with_hooks(rows, database, None, origin)
    return len(keys)


async def _matching_instances(query: Query, dialect: Dialect, database: databases.Database) -> list[Model]:
    """The instances of the rows of a query, with all fields; the rows are locked."""
    keys = await execution.locked_keys(query, database)
    return await _fetch(query.info, query.info.pk_fields, keys, dialect, database)


async def _fetch(
    info: ModelInfo, fields: Sequence[Field[Any]], keys: Iterable[Key], dialect: Dialect, database: databases.Database
) -> list[Model]:
    """The instances of the rows whose `fields` have one of these values."""
    return [
        instance
        for query in _queries(info, fields, keys, dialect)
        for instance in await execution.fetch(query, database)
    ]


def _queries(info: ModelInfo, fields: Sequence[Field[Any]], keys: Iterable[Key], dialect: Dialect) -> list[Query]:
    return [_rows(info, condition) for condition in conditions_of(fields, keys, dialect)]


def _rows(info: ModelInfo, condition: Q) -> Query:
    return Query(info, Instances(info), where=Resolver(info).filter((condition,)), ordering=())


def _in_key_order(instances: Mapping[Key, Model]) -> list[Model]:
    try:
        keys = sorted(instances)
    except TypeError:  # members of an enum, or addresses of both versions, which cannot be compared
        keys = sorted(instances, key=lambda key: tuple(map(str, key)))
    return [instances[key] for key in keys]


class HookedDeletion:
    """The rows that a deletion loads, by model, and the signals about them.

    The database deletes the rows of all other models.
    """

    def __init__(
        self,
        root: ModelInfo,
        dialect: Dialect,
        database: databases.Database,
        origin: Any,
        models: tuple[ModelInfo, ...],
    ) -> None:
        self.root = root
        self.dialect = dialect
        self.database = database
        self.origin = origin
        self.models = models
        self.instances: dict[ModelInfo, dict[Key, Model]] = {info: {} for info in self.models}
        self.keys_of_roots: list[Key] = []
        referencing = reachable_models(root)
        self._cascades: Mapping[ModelInfo, list[ForwardRelation]] = {
            info: [
                each for each in referencing[info] if each.on_delete == CASCADE and each.model._meta in self.instances
            ]
            for info in self.models
        }

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """A transaction around the deletion. If it is committed, the instances are unsaved.

        That is so even if a receiver that waits for the commit fails.
        """
        transaction: Any = self.database.transaction()
        is_ended = False
        try:
            async with transaction:
                yield
            is_ended = True
        finally:
            if getattr(transaction, "was_committed", is_ended):
                self._finish()

    async def collect(self, roots: Sequence[Model]) -> None:
        """Load the rows to which the deletion of these cascades, level by level."""
        level = {self.root: self._add(self.root, roots)}
        self.keys_of_roots = list(self.instances[self.root])
        while level:
            next_level: dict[ModelInfo, list[Model]] = {}
            for info, instances in level.items():
                for relation in self._cascades[info]:
                    child = relation.model._meta
                    keys = await self._keys(instances, remote_fields(relation))
                    rows = await _fetch(child, local_fields(relation), keys, self.dialect, self.database)
                    if new := self._add(child, rows):
                        next_level.setdefault(child, []).extend(new)
            level = next_level

    def _add(self, info: ModelInfo, instances: Iterable[Model]) -> list[Model]:
        """Add instances; returns those that were not among them before."""
        known, new = self.instances[info], []
        for instance in instances:
            key = tuple(instance.__dict__.get(field.attname) for field in info.pk_fields)
            if key not in known:
                known[key] = instance
                new.append(instance)
        return new

    async def _keys(self, instances: Iterable[Model], fields: Sequence[Field[Any]]) -> list[Key]:
        """The values by which other rows reference these, except for NULL."""
        keys: list[Key] = []
        for instance in instances:
            attributes = instance.__dict__
            if any(field.attname not in attributes for field in fields):  # its instance was not loaded in full
                rows = await execution.fetch(row_query(instance), self.database)
                attributes = rows[0].__dict__ if rows else {}
            keys.append(tuple(attributes.get(field.attname) for field in fields))
        return [key for key in keys if None not in key]

    async def send(self, signal: Signal) -> None:
        """Send a signal about every row: referencing models first, and each model's rows in the order of their keys."""
        for info in self.models:
            await self._send_of(info, signal)

    async def _send_of(self, info: ModelInfo, signal: Signal) -> None:
        if not _has_receivers(info, signal):
            return
        instances = _in_key_order(self.instances[info])
        for instance in instances if signal is pre_delete else reversed(instances):
            hooks = info.hooks if info.discriminator is None else instance._meta.hooks
            if hooks is not None:
                sender = info.model if info.discriminator is None else type(instance)
                await hooks.send(signal, sender, self.database, instance=instance, origin=self.origin)

    async def delete_referencing(self) -> None:
        """Delete all rows but the roots, referencing rows first, and send `post_delete` about each model's rows."""
        for info in self.models:
            roots = set(self.keys_of_roots) if info is self.root else set()
            keys = [key for key in self.instances[info] if key not in roots]
            for query in _queries(info, info.pk_fields, keys, self.dialect):
                await execution.delete_from_table(query, self.database)
            if info is not self.root:
                await self._send_of(info, post_delete)

    async def send_after(self) -> None:
        """Send `post_delete` about the rows of the model itself."""
        await self._send_of(self.root, post_delete)

    def _finish(self) -> None:
        """As in Django, the instances are unsaved now, and have no keys."""
        for info, instances in self.instances.items():
            for instance in instances.values():
                for field in info.pk_fields:
                    instance.__dict__[field.attname] = None
                instance.__dict__["_persisted"] = False
