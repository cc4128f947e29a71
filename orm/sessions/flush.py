"""What a flush writes: new rows in the order of their foreign keys, changed columns, and deletions.

New rows are inserted in bulk, changed ones with one UPDATE for all that have changed in the same columns, and deleted
ones with one DELETE for each model, as far as the foreign keys allow it. Rows of models with hooks, or with a `save()`
of their own, are written one by one, by `save()` and `delete()`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from operator import is_
from typing import TYPE_CHECKING, Any

from orm import execution
from orm.database.connections.server_dialect import dialect_of
from orm.exceptions import Error, QueryError, StaleObject
from orm.expressions.base import Q
from orm.models import Model
from orm.query.plans.write import resolve_assignments
from orm.query.projection import Instances
from orm.query.query import Query
from orm.query.resolving.expressions import is_expression
from orm.query.resolving.resolver import Resolver
from orm.relations import CASCADE, SET_NULL, ForwardRelation
from orm.relations.attaching import local_fields, remote_fields
from orm.sessions.cascades import DELETED
from orm.sessions.flush_order import delete_order, in_insert_order, insert_groups, relations_to
from orm.sessions.identity_map import model_of_key, shares_rows
from orm.sessions.shared_rows import has_other_models, share_written
from orm.utils.gc_control import gc_paused
from orm.writing.bulk_create import bulk_create
from orm.writing.bulk_update import bulk_update
from orm.writing.delete_preview import conditions_of
from orm.writing.dependent_inserts import create_with_parents, unsaved_parents
from orm.writing.hooked_deletes import delete_instance_with_hooks, models_to_load
from orm.writing.instances import (
    CHANGES_OF_FLUSH,
    copy_related_keys,
    save_as_new,
    set_values,
    values_set_on_save,
)
from orm.writing.versions import check_versions

if TYPE_CHECKING:
    from orm.database.connections.database import Database
    from orm.database.dialect import Dialect
    from orm.mapping.model_info import ModelInfo
    from orm.sessions.identity_map import IdentityMap, InstanceState
    from orm.sessions.undo import Level


Changed = tuple["InstanceState", "Model", list[str]]
"""A changed instance with its state, and the attributes that have changed."""


@dataclass
class Changes:
    """What a session has to write."""

    new: list[Model] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    deleted: list[tuple[InstanceState, Model]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.deleted)


class Flush:
    """One flush of a session's changes, into the session's transaction."""

    def __init__(self, identity_map: IdentityMap, level: Level, database: Database) -> None:
        self.identity_map = identity_map
        self.level = level
        self.database = database
        self.has_sent = False
        """Whether a statement may have been sent, so that only a rollback undoes what was done."""
        self.instances: Sequence[Model] = ()
        """Those that are being written, for the message of an error."""

    async def run(self, changes: Changes) -> None:
        """Write the changes, and take the instances as their rows are now."""
        if changes.new and changes.deleted:
            self._replace_deleted(changes)
        await self._insert(changes.new)
        await self._update(changes.changed)
        await self._delete(changes.deleted)

    def _replace_deleted(self, changes: Changes) -> None:
        """Let new instances with the keys of deleted ones take their rows, which are updated, as in SQLAlchemy."""
        deleted = {state.key: (state, instance) for state, instance in changes.deleted}
        new, changes.new = changes.new, []
        for instance in new:
            info = instance._meta
            key = (model_of_key(info), info.get_pk(instance))
            is_other = is_written_one_by_one(info) or is_deleted_one_by_one(info) or has_other_models(info)
            if is_other or key not in deleted:
                changes.new.append(instance)
                continue
            state, before = deleted.pop(key)
            self.has_sent = True  # from here on, a rollback restores them
            self.level.inserted.append((instance, instance.__dict__.copy()))
            self.level.deleted.append((before, state.snapshot))
            self.identity_map.forget(state)
            before.__dict__.update({"_persisted": False, DELETED: True})
            instance.__dict__.pop("_persisted", None)
            if info.version is not None:
                instance.__dict__[info.version.attname] = state.snapshot[info.version.attname]
            taken = self.identity_map.register(instance, state.snapshot)
            if attnames := taken.changed():
                changes.changed.append((taken, instance, attnames))
        changes.deleted = list(deleted.values())

    # New rows

    async def _insert(self, new: Sequence[Model]) -> None:
        by_model = group_by_model(new)
        for group in insert_groups(by_model):
            self.instances = instances = [instance for info in group for instance in by_model[info]]
            with gc_paused(len(instances)):
                before = [(instance, instance.__dict__.copy()) for instance in instances]
            try:
                pks = await self._insert_group(group, instances, by_model)
            except BaseException:
                # An instance whose INSERT has not been sent is as it was.
                for instance, attributes in before:
                    instance.__dict__.clear()
                    instance.__dict__.update(attributes)
                raise
            self.level.inserted += before
            with gc_paused(len(instances)):
                for info in group:
                    self.identity_map.register_all(info, by_model[info], pks[info])

    async def _insert_group(
        self, group: Sequence[ModelInfo], instances: Sequence[Model], by_model: dict[ModelInfo, list[Model]]
    ) -> dict[ModelInfo, list[Any]]:
        """Insert the rows, and return their primary keys by model."""
        if any(is_written_one_by_one(info) for info in group):
            self.has_sent = True
            for instance in in_insert_order(instances):
                copy_related_keys(instance)
                await save_as_new(instance) if instance._meta.overrides_save else await instance.save(force_insert=True)
        elif len(group) > 1 or (group[0].forward and any(map(has_unsaved_parents, instances))):
            await create_with_parents(instances, self.database, None, None)
        else:
            await bulk_create(group[0], instances, self.database, None, None)
        self.has_sent = True  # not before: both validate all values before they send anything
        pks = {info: list(map(info.get_pk, by_model[info])) for info in group}
        for info in group:
            if any(map(is_, pks[info], repeat(None))):
                raise QueryError(
                    f"The database has not returned the primary key of a new {info.name}, which a session needs: give "
                    "it a key, or save it outside of a session."
                )
            if info.registry.database is not self.database:
                for instance in by_model[info]:
                    instance.__dict__["_database"] = self.database
        return pks

    # Changed rows

    async def _update(self, changed: Sequence[Changed]) -> None:
        by_attnames: dict[tuple[ModelInfo, tuple[str, ...]], list[tuple[InstanceState, Model]]] = defaultdict(list)
        info_before, attnames_before = None, None
        for state, instance, attnames in changed:
            if state.info.forward:
                copy_related_keys(instance)
            if state.info is not info_before or attnames != attnames_before:
                info_before, attnames_before = state.info, attnames
                group = by_attnames[state.info, tuple(attnames)]
            group.append((state, instance))
        by_shape: dict[tuple[ModelInfo, tuple[str, ...]], list[tuple[InstanceState, Model]]] = defaultdict(list)
        for (info, attnames_of_group), group in by_attnames.items():
            names = {info.by_attname[attname].name for attname in attnames_of_group}
            stamped = [
                each
                for each in info.fields.values()
                if not each.primary_key and each.name not in names and each.sets_on_save(creating=False)
            ]
            names.update(each.name for each in stamped)
            if stamped and not is_written_one_by_one(info):
                for _, instance in group:
                    set_values(instance, values_set_on_save(stamped, creating=False))
            by_shape[info, tuple(name for name in info.fields if name in names)] += group
        for (info, shape), group in by_shape.items():
            await self._update_group(info, shape, group)

    async def _update_group(
        self, info: ModelInfo, shape: tuple[str, ...], group: Sequence[tuple[InstanceState, Model]]
    ) -> None:
        names = list(shape)
        keys = {each.name for each in info.pk_fields}
        if info.version is not None and info.version.name in names:
            raise QueryError(f"{info.name}.{info.version.name} counts the updates of the row by itself: leave it.")
        if keys.intersection(names):
            for state, instance in group:
                await self._rename(state, instance)
            names = [name for name in names if name not in keys]
        if not names:
            return
        self.level.note_changes(state for state, _ in group)
        self.instances = instances = [instance for _, instance in group]
        if is_written_one_by_one(info):
            self.has_sent = True
            for state, instance in group:
                await save_changes(state, instance, names, instance.save)
        else:
            query = Query(info, Instances(info))
            matched = await bulk_update(query, instances, names, None, self.database)
            self.has_sent = True
            if 0 <= matched < len(instances):
                await self._raise_missing(info, instances)
        if not has_other_models(info):
            with gc_paused(len(group)):
                for state, _ in group:
                    state.take_snapshot()
            return
        for state, instance in group:
            before = state.snapshot
            state.take_snapshot()
            changed = [name for name, value in state.snapshot.items() if before.get(name) is not value]
            share_written(self.identity_map, self.level, state, instance, changed)

    async def _rename(self, state: InstanceState, instance: Model) -> None:
        """Update the primary key of a row."""
        info = state.info
        values = {each.name: instance.__dict__[each.attname] for each in info.pk_fields}
        if any(value is None or is_expression(value) for value in values.values()):
            raise QueryError(f"{info.name}: the primary key of a row can be changed to a value, not to NULL.")
        before = info.split_pk(state.key[1])
        row = Query(info, Instances(info), where=_where(info, Q(**_by_attname(info, before))), ordering=())
        self.has_sent = True
        assignments = resolve_assignments(row, info.validator.update(values), {})
        if not await execution.update(row, assignments, self.database):
            raise stale(instance, state.key[1])
        self.level.note_change(state)
        self.level.renamed.append((instance, state.key))
        self.identity_map.rename(state, instance.pk)
        key = {each.attname: instance.__dict__[each.attname] for each in info.pk_fields}
        state.snapshot = {**state.snapshot, **key}

    async def _raise_missing(self, info: ModelInfo, instances: Sequence[Model]) -> None:
        """Raise `StaleObject` for the first of the instances whose row is gone."""
        existing: set[Any] = set()
        for rows in await self._rows_of(info, instances):
            existing.update(row.pk for row in await execution.fetch(rows, self.database, outside_units=True))
        for instance in instances:
            if instance.pk not in existing:
                raise stale(instance, instance.pk)

    # Deleted rows

    async def _delete(self, deleted: Sequence[tuple[InstanceState, Model]]) -> None:
        if not deleted:
            return
        states = {id(instance): state for state, instance in deleted}
        instances = [instance for _, instance in deleted]
        batches, deferred = delete_order(instances)
        for relation, children in deferred.items():
            info = relation.model._meta
            values = {each.name: None for each in local_fields(relation) if each.allow_null}
            for query in await self._rows_of(info, children):
                self.has_sent = True
                await execution.update(query, resolve_assignments(query, values, {}), self.database)
        for batch in batches:
            info = batch[0]._meta
            remaining = [each for each in batch if self.identity_map.state_of(each) is states[id(each)]]
            if not remaining:  # a cascade has deleted them
                continue
            self.instances = remaining
            self.has_sent = True
            if models_to_load(info) or is_deleted_one_by_one(info):
                for instance in remaining:
                    await self._delete_with_hooks(instance)
            else:
                if info.version is not None:
                    await check_versions(Query(info, Instances(info)), remaining, self.database)
                for query in await self._rows_of(info, remaining):
                    await execution.delete(query, self.database)
            self.forget_deleted(remaining)

    async def _delete_with_hooks(self, instance: Model) -> None:
        key = instance.pk
        if is_deleted_one_by_one(instance._meta):
            await instance.delete()
        else:
            await delete_instance_with_hooks(instance)
        instance.pk = key  # as in SQLAlchemy, a deleted instance keeps its key

    async def _rows_of(self, info: ModelInfo, instances: Iterable[Model]) -> list[Query]:
        keys = [info.split_pk(instance.pk) for instance in instances]
        return rows_with_keys(info, keys, await dialect_of(self.database))

    def forget_deleted(self, instances: Iterable[Model]) -> None:
        """Remove deleted instances from the identity map, and do to the others what the database's cascades did."""
        pending = list(instances)
        while pending:
            keys: dict[ForwardRelation, set[tuple[Any, ...]]] = {}
            for instance in pending:
                state = self.identity_map.state_of(instance)
                if state is None:
                    continue
                for relation in relations_to(state.info):
                    key = tuple(state.snapshot.get(each.attname) for each in remote_fields(relation))
                    if None not in key:
                        keys.setdefault(relation, set()).add(key)
                self.identity_map.forget(state)
                self.level.deleted.append((instance, state.snapshot))
                instance.__dict__["_persisted"] = False
                instance.__dict__[DELETED] = True
            pending = self._referencing(keys) if keys else []

    def _referencing(self, keys: dict[ForwardRelation, set[tuple[Any, ...]]]) -> list[Model]:
        """The instances that the database has deleted with these keys; foreign keys that it has set to NULL are."""
        by_model: dict[ModelInfo, list[ForwardRelation]] = defaultdict(list)
        for relation in keys:
            if relation.on_delete in (CASCADE, SET_NULL):
                by_model[relation.model._meta].append(relation)
        gone: list[Model] = []
        by_info: dict[ModelInfo, list[ForwardRelation]] = {}
        for state, instance in self.identity_map if by_model else ():
            if state.info not in by_info:
                owners = [info for info in by_model if shares_rows(state.info, info)]
                by_info[state.info] = [relation for info in owners for relation in by_model[info]]
            for relation in by_info[state.info]:
                attnames = [each.attname for each in local_fields(relation)]
                if tuple(map(state.snapshot.get, attnames)) not in keys[relation]:
                    continue
                if relation.on_delete == CASCADE:
                    gone.append(instance)
                    break
                self.level.note_change(state)
                state.snapshot = {**state.snapshot, **dict.fromkeys(attnames)}
                instance.__dict__.update(dict.fromkeys(attnames))
                instance.__dict__.pop(relation.name, None)
        return gone


def group_by_model(instances: Iterable[Model]) -> dict[ModelInfo, list[Model]]:
    """The instances of each model."""
    by_class: dict[type[Model], list[Model]] = defaultdict(list)
    for instance in instances:
        by_class[type(instance)].append(instance)
    return {model._meta: group for model, group in by_class.items()}


async def save_changes(
    state: InstanceState, instance: Model, names: Sequence[str], save: Callable[..., Awaitable[object]], **options: bool
) -> None:
    """Call the `save` of an instance for these fields, and for what has been changed besides, also by its hooks."""
    instance.__dict__[CHANGES_OF_FLUSH] = partial(changed_names, state)
    try:
        await save(update_fields=list(names), **options)
    finally:
        instance.__dict__.pop(CHANGES_OF_FLUSH, None)


def add_autoflush_note(error: Exception, instances: Sequence[Model]) -> None:
    """Say in an error that the statements of an autoflush, not the query after them, have raised it."""
    what = "what has changed in the session"
    if len(instances) == 1:
        what = repr(instances[0])
    elif instances:
        what = f"{len(instances)} instances, the first of which is {instances[0]!r}"
    note = (
        f"(An error of the autoflush before this query, which writes {what}. `with session.no_autoflush:` runs "
        "the query without it, and `session.expunge(instance)` leaves an instance out.)"
    )
    if isinstance(error, Error) and error.args and isinstance(error.args[-1], str):
        error.args = (*error.args[:-1], f"{error.args[-1]} {note}")
    else:
        error.__dict__.setdefault("__notes__", []).append(note)  # as add_note(), which Python 3.10 has not


def rows_with_keys(info: ModelInfo, keys: Iterable[tuple[Any, ...]], dialect: Dialect) -> list[Query]:
    """The queries of the rows with these primary keys."""
    return [
        Query(info, Instances(info), where=_where(info, condition), ordering=())
        for condition in conditions_of(info.pk_fields, keys, dialect)
    ]


def stale(instance: Model, key: object) -> StaleObject:
    """The error for a changed instance whose row is gone."""
    return StaleObject(
        f"{instance._meta.name} {key!r} has been changed in the session, and its row is gone: another transaction, or "
        "a statement of this one, has deleted it",
        key,
    )


def changed_names(state: InstanceState) -> list[str]:
    """The names of the fields, without the key and the version, whose values differ from those of the row."""
    info = state.info
    fields = [info.by_attname[attname] for attname in state.changed()]
    return [each.name for each in fields if not each.primary_key and each is not info.version]


def is_written_one_by_one(info: ModelInfo) -> bool:
    """Whether rows of a model are written by `save()`, which calls its hooks, or are in several tables."""
    return info.hooks is not None or info.overrides_save or bool(info.ancestors)


def is_deleted_one_by_one(info: ModelInfo) -> bool:
    """Whether a model has a `delete()` of its own, which may keep the row, or rows in several tables."""
    return info.model.delete is not Model.delete or bool(info.ancestors)


def has_unsaved_parents(instance: Model) -> bool:
    """Whether a relation of the instance references an instance that is not saved."""
    return next(unsaved_parents(instance), None) is not None


def _by_attname(info: ModelInfo, key: Sequence[Any]) -> dict[str, Any]:
    return {each.attname: value for each, value in zip(info.pk_fields, key, strict=True)}


def _where(info: ModelInfo, condition: Q) -> Any:
    return Resolver(info).filter((condition,))
