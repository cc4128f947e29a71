"""Inserts new rows of several models that reference each other, in one transaction, and sets their foreign keys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import databases
import typesystem

from orm.database.connections.checkout import Checkout
from orm.database.connections.server_dialect import dialect_of
from orm.database.dialect import Dialect
from orm.exceptions import QueryError
from orm.mapping.changes import is_tracked, mark_saved
from orm.query.projection import Instances
from orm.query.query import Query
from orm.relations import ForeignKey, ForwardRelation
from orm.relations.attaching import attach_one, local_fields, remote_fields
from orm.utils.slices import in_slices, slices
from orm.writing.bulk_create import Insertion, batches_of
from orm.writing.bulk_rows import MANY_ROWS
from orm.writing.bulk_update import bulk_update
from orm.writing.hooked_writes import hooked_bulk_create
from orm.writing.insert_order import Dependency, arrange
from orm.writing.instances import column_values, database_of, finish_insert, values_set_on_save
from orm.writing.versions import locked_versions, version_of

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.models import Model

# Arranging more rows takes more than a few milliseconds, and is done in a thread.
MAX_ROWS_TO_ARRANGE = 1_000

InputPath = tuple[str | int, ...]
"""Where a row is in the input: ``("albums", 0, "tracks", 2)``."""


@dataclass(eq=False)
class PendingRow:
    """A row to insert. Its instance does not change before the row is inserted.

    `parents` are the new rows that its relations reference.
    """

    instance: Model
    path: InputPath = ()
    parents: dict[ForwardRelation, PendingRow] = field(default_factory=dict)
    row: dict[str, Any] = field(default_factory=dict)
    """The validated values, by field name."""

    def validate(self) -> list[typesystem.Message]:
        """Set `row`, except for the keys of new parents; returns the messages for values that are not valid."""
        info = self.instance._meta
        values = column_values(self.instance)
        deferred_names: set[str] = set()
        for relation, parent in self.parents.items():
            if isinstance(relation, ForeignKey):
                values[relation.name] = parent.instance  # This is valid, and None as long as it has no key.
            else:
                deferred_names.update(field.name for field in local_fields(relation))
        try:
            self.row = info.validator.create(values)
        except typesystem.ValidationError as error:
            messages = [message for message in error.messages() if path_of(message)[0] not in deferred_names]
            if messages or not deferred_names:
                return [
                    typesystem.Message(text=message.text, code=message.code, index=[*self.path, *path_of(message)])
                    for message in messages
                ]
            # Only the keys of new parents are missing.
            known = {name: value for name, value in values.items() if name not in deferred_names}
            row = info.validator.update(known)
            self.row = {name: row.get(name) for name in info.fields if name in row or name in deferred_names}
        self.row.update(values_set_on_save(info.fields.values(), creating=True))
        return []

    def copy_parent_keys(self) -> None:
        """Set the foreign keys to the parents, as far as the parents' keys are known."""
        for relation, parent in self.parents.items():
            for local, remote in zip(local_fields(relation), remote_fields(relation), strict=True):
                self.row[local.name] = parent.row.get(remote.name)

    def finish(self, database: databases.Database | None) -> None:
        """Update the instance after its row is inserted. `database` is set if it is not the registry's."""
        finish_insert(self.instance, self.row)
        for relation, parent in self.parents.items():
            attach_one(relation, None, [self.instance], [parent.instance])
        if database is not None:
            self.instance.__dict__["_database"] = database
        if is_tracked(self.instance):
            mark_saved(self.instance, database_of(self.instance))


@dataclass(frozen=True)
class Repoint:
    """An update that makes an existing row reference a new one."""

    instance: Model
    relation: ForwardRelation
    parent: PendingRow
    path: InputPath

    def finish(self) -> None:
        """Update the instance after its row is updated."""
        instance, version = self.instance, self.instance._meta.version
        setattr(instance, self.relation.name, self.parent.instance)
        if version is not None and version.attname in instance.__dict__:
            instance.__dict__[version.attname] += 1


def path_of(message: Any) -> InputPath:
    """The path to the value that a validation message is about."""
    return tuple(message.index)


def unsaved_parents(instance: Model) -> Iterator[tuple[ForwardRelation, Model]]:
    """The unsaved instances that the instance's relations reference."""
    attributes = instance.__dict__
    for relation in instance._meta.forward:
        related = attributes.get(relation.name)
        if related is not None and not related._persisted and is_key_of(relation, instance, related):
            yield relation, related


def is_key_of(relation: ForwardRelation, instance: Model, related: Model) -> bool:
    """Whether the foreign key of the instance, as far as it is set, is the key of the related instance.

    If it was set later than the related instance, it may be the key of another row, or None.
    """
    attributes = instance.__dict__
    for local, remote in zip(local_fields(relation), remote_fields(relation), strict=True):
        if local.attname in attributes:
            key = attributes[local.attname]
            if key is None or key != related.__dict__.get(remote.attname):
                return False
    return True


def is_new(instance: Model) -> bool:
    """Whether an unsaved instance certainly is a row to insert: it has no key, or one from a default.

    An instance with a key that was set may stand for an existing row.
    """
    return instance.pk is None or all(field.has_default() for field in instance._meta.pk_fields)


async def has_new_parents(instances: Sequence[Model]) -> bool:
    """Whether one of these instances, all of one model, references an unsaved instance that is to be inserted."""
    names = [relation.name for relation in instances[0]._meta.forward] if instances else []
    if not names:
        return False
    async for part in slices(instances, MANY_ROWS):
        for instance in part:
            attributes = instance.__dict__
            for name in names:
                related = attributes.get(name)
                unsaved = related is not None and not related._persisted
                if unsaved and any(is_new(parent) for _, parent in unsaved_parents(instance)):
                    return True
    return False


async def create_with_parents(
    instances: Sequence[Model], database: databases.Database, using: databases.Database | None, batch_size: int | None
) -> None:
    """Insert the instances, and before them the unsaved ones that they reference, directly or indirectly.

    Raises `orm.ValidationError` before anything is sent; a message about a parent has the path to it.
    """
    by_id: dict[int, PendingRow] = {}
    async for part in slices(instances):
        for instance in part:
            if id(instance) not in by_id:
                by_id[id(instance)] = PendingRow(instance)
    pending_rows = list(by_id.values())
    first = 0
    while first < len(pending_rows):  # The loop appends the parents to the list.
        added, first = pending_rows[first:], len(pending_rows)
        async for rows in slices(added):
            for pending in rows:
                for relation, instance in unsaved_parents(pending.instance):
                    parent = by_id.get(id(instance))
                    if parent is None and is_new(instance):
                        parent = by_id[id(instance)] = PendingRow(instance, (*pending.path, relation.name))
                        pending_rows.append(parent)
                    if parent is not None:
                        pending.parents[relation] = parent
    async with hooked_bulk_create([pending.instance for pending in pending_rows], database):
        async for rows in slices(pending_rows):
            for pending in rows:
                if messages := pending.validate():
                    raise typesystem.ValidationError(messages=messages)
        await insert_rows(pending_rows, [], database, batch_size)
        await finish_rows(pending_rows, using)


async def finish_rows(pending_rows: Sequence[PendingRow], database: databases.Database | None) -> None:
    """Update the instances after their rows are inserted."""
    rows = iter(pending_rows)
    try:
        async for part in slices(pending_rows):
            for pending in islice(rows, len(part)):
                pending.finish(database)
    finally:
        for pending in rows:  # if the task is cancelled: the rows are committed
            pending.finish(database)


async def insert_rows(
    rows: Sequence[PendingRow], repoints: Sequence[Repoint], database: databases.Database, batch_size: int | None = None
) -> None:
    """Insert validated rows, parents first, then repoint existing rows; all in one transaction.

    The instances do not change: `PendingRow.finish` updates them. Raises `DoesNotExist` for a row to repoint that does
    not exist.
    """
    infos = [pending.instance._meta for pending in rows]
    dependencies = await _dependencies(rows)
    if len(rows) > MAX_ROWS_TO_ARRANGE:
        batches, deferred = await asyncio.to_thread(arrange, infos, dependencies)
    else:
        batches, deferred = arrange(infos, dependencies)
    if not batches:
        return
    repoints = [
        *repoints,
        *(Repoint(rows[each.child].instance, each.relation, rows[each.parent], ()) for each in deferred),
    ]
    dialect = await dialect_of(database)
    deferred_relations: dict[int, list[ForwardRelation]] = {}
    for dependency in deferred:
        deferred_relations.setdefault(dependency.child, []).append(dependency.relation)
    first = await _batch_insertion(dialect, rows, batches[0], deferred_relations, batch_size)
    async with Checkout(database) as checkout:
        if len(batches) == 1 and first.insertion.is_one_statement and not repoints:
            await first.run(checkout)
            return
        async with checkout.transaction():
            await first.run(checkout)
            for batch in batches[1:]:
                await (await _batch_insertion(dialect, rows, batch, deferred_relations, batch_size)).run(checkout)
            for dependency in deferred:
                rows[dependency.child].copy_parent_keys()
            # The checkout has the task's own connection, so these updates are inside the transaction.
            await _repoint(repoints, {id(pending.instance): pending for pending in rows}, database, batch_size)


async def _dependencies(rows: Sequence[PendingRow]) -> list[Dependency]:
    positions = {id(pending): position for position, pending in enumerate(rows)}

    def make(part: Sequence[int]) -> Iterator[Dependency]:
        for position in part:
            pending = rows[position]
            for relation, parent in pending.parents.items():
                key_known = (
                    parent.instance._meta is pending.instance._meta
                    and all(parent.row.get(field.name) is not None for field in remote_fields(relation))
                    # Rows with other columns are in another statement.
                    and list(parent.row) == list(pending.row)
                )
                yield Dependency(position, relation, positions[id(parent)], key_known)

    return await in_slices(make, range(len(rows)))


async def _batch_insertion(
    dialect: Dialect,
    rows: Sequence[PendingRow],
    batch: Sequence[int],
    deferred_relations: dict[int, list[ForwardRelation]],
    batch_size: int | None,
) -> _BatchInsertion:
    """The statements of one batch. The parents of its rows are inserted, except over deferred relations."""
    async for part in slices(batch):
        for position in part:
            pending = rows[position]
            pending.copy_parent_keys()
            deferred = deferred_relations.get(position, ())
            for relation in deferred:
                pending.row.update((field.name, None) for field in local_fields(relation) if field.allow_null)
            for relation, parent in pending.parents.items():
                missing = [field for field in local_fields(relation) if pending.row[field.name] is None]
                if missing and relation not in deferred and pending is not parent:
                    raise QueryError(
                        f"{relation.label}: {dialect.name} does not return the key that it generated for the new "
                        f"{parent.instance._meta.name}. Set a key, or save it first."
                    )
    pending_rows = [rows[position] for position in batch]
    info = pending_rows[0].instance._meta
    fields = info.fields

    def attributes_of(part: Sequence[PendingRow]) -> Iterator[dict[str, Any]]:
        for pending in part:
            yield {fields[name].attname: value for name, value in pending.row.items()}

    attributes = await in_slices(attributes_of, pending_rows)
    insertion = Insertion(await batches_of(dialect, info, attributes), batch_size)
    return _BatchInsertion(pending_rows, attributes, insertion)


@dataclass(frozen=True)
class _BatchInsertion:
    """The INSERTs of rows of one model, and the values of each row, by attribute."""

    rows: Sequence[PendingRow]
    attributes: Sequence[dict[str, Any]]
    insertion: Insertion

    async def run(self, checkout: Checkout) -> None:
        """Insert the rows, and add the values that the database generated."""
        await self.insertion.run(checkout)
        await self.insertion.finish()
        names = {field.attname: name for name, field in self.rows[0].instance._meta.fields.items()}
        async for part in slices(range(len(self.rows))):
            for i in part:
                self.rows[i].row.update((names[name], value) for name, value in self.attributes[i].items())


async def _repoint(
    repoints: Iterable[Repoint], new_rows: dict[int, PendingRow], database: databases.Database, batch_size: int | None
) -> None:
    """Make existing rows reference new ones, with one statement per foreign key."""
    by_relation: dict[ForwardRelation, list[Repoint]] = {}
    for repoint in repoints:
        by_relation.setdefault(repoint.relation, []).append(repoint)
    versions: dict[int, int] = {}  # of the instances whose rows have been updated
    for relation, group in by_relation.items():
        info = relation.model._meta
        copies = [_repointed_copy(repoint, new_rows.get(id(repoint.instance))) for repoint in group]
        query = Query(info, Instances(info))
        if info.version is not None:
            for repoint, copy in zip(group, copies, strict=True):
                if id(repoint.instance) in versions:
                    copy.__dict__[info.version.attname] = versions[id(repoint.instance)]
            await _read_versions(query, info.version, copies, database)
        names = [field.name for field in local_fields(relation)]
        matched = await bulk_update(query, copies, names, batch_size, database)
        if matched != len(copies):
            raise info.model.DoesNotExist(
                f"{len(copies) - matched} of the {len(copies)} rows of {info.name} that were to get another "
                f"{relation.name} do not exist."
            )
        if info.version is not None:
            for repoint, copy in zip(group, copies, strict=True):
                versions[id(repoint.instance)] = version_of(copy)
                if id(repoint.instance) in new_rows:
                    new_rows[id(repoint.instance)].row[info.version.name] = version_of(copy)


async def _read_versions(
    query: Query, version: Field[Any], copies: Sequence[Model], database: databases.Database
) -> None:
    """Set the version on the copies of instances of which only the key is known."""
    unknown = [copy for copy in copies if version.attname not in copy.__dict__]
    versions = await locked_versions(query, [copy.pk for copy in unknown], database)
    for copy in unknown:
        copy.__dict__[version.attname] = versions.get(copy.pk, 0)  # a row that does not exist is found by the update


def _repointed_copy(repoint: Repoint, pending: PendingRow | None) -> Model:
    """A copy with only the keys, and the version if it is known: the instance is unchanged if the update fails."""
    relation, original = repoint.relation, repoint.instance
    info = relation.model._meta
    copy: Model = info.model.__new__(info.model)
    for each in (*info.pk_fields, *(() if info.version is None else (info.version,))):
        if pending is not None:
            copy.__dict__[each.attname] = pending.row[each.name]
        elif each.attname in original.__dict__:
            copy.__dict__[each.attname] = original.__dict__[each.attname]
    for local, remote in zip(local_fields(relation), remote_fields(relation), strict=True):
        copy.__dict__[local.attname] = repoint.parent.row[remote.name]
    return copy
