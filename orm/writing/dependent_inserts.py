"""Inserts new rows of any models that point at each other, in one transaction, and fills in the keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import databases
import typesystem

from orm.database.connections.server_dialect import dialect_of
from orm.database.connections.session import Session
from orm.database.dialect import Dialect
from orm.exceptions import QueryError
from orm.query.projection import Instances
from orm.query.query import Query
from orm.relations import ForeignKey, ForwardRelation
from orm.relations.attaching import attach_one, local_fields, remote_fields
from orm.writing import bulk
from orm.writing.insert_order import Dependency, arrange
from orm.writing.instances import finish_insert, stamped, values_of

if TYPE_CHECKING:
    from orm.models import Model

Place = tuple[str | int, ...]
"""Where a row is in what was given: ``("albums", 0, "tracks", 2)``."""


@dataclass(eq=False)
class PendingRow:
    """A new row in the making. Its instance stays as it is until the row is there.

    `parents` are the new rows that its relations point at.
    """

    instance: Model
    place: Place = ()
    parents: dict[ForwardRelation, PendingRow] = field(default_factory=dict)
    row: dict[str, Any] = field(default_factory=dict)

    def validate(self) -> list[typesystem.Message]:
        """Make its row, and return the messages if the values are not valid. The keys of new parents come later."""
        info = self.instance._meta
        values = values_of(self.instance)
        coming: set[str] = set()
        for relation, parent in self.parents.items():
            if isinstance(relation, ForeignKey):
                values[relation.name] = parent.instance  # Which is valid, and None as long as it has no key.
            else:
                coming.update(local.name for local in local_fields(relation))
        try:
            self.row = info.validator.create(values)
        except typesystem.ValidationError as error:
            found = [message for message in error.messages() if place_of(message)[0] not in coming]
            if found or not coming:
                return [
                    typesystem.Message(text=message.text, code=message.code, index=[*self.place, *place_of(message)])
                    for message in found
                ]
            # Nothing else is missing.
            row = info.validator.update({name: value for name, value in values.items() if name not in coming})
            self.row = {name: row.get(name) for name in info.fields if name in row or name in coming}
        self.row.update(stamped(info.fields.values(), creating=True))
        return []

    def take_keys(self) -> None:
        """Point at the parents, as far as their rows have what it takes."""
        for relation, parent in self.parents.items():
            for local, remote in zip(local_fields(relation), remote_fields(relation), strict=True):
                self.row[local.name] = parent.row.get(remote.name)

    def finish(self, database: databases.Database | None) -> None:
        """Tell the instance that its row is there. `database` is one that is not its registry's."""
        finish_insert(self.instance, self.row)
        for relation, parent in self.parents.items():
            attach_one(relation, None, [self.instance], [parent.instance])
        if database is not None:
            self.instance.__dict__["_database"] = database


@dataclass(frozen=True)
class Repoint:
    """A row that is there already is to point at a new one."""

    instance: Model
    relation: ForwardRelation
    parent: PendingRow
    place: Place


def place_of(message: Any) -> Place:
    """Where the value is that a message is about."""
    return tuple(message.index)


def unsaved_parents(instance: Model) -> Iterator[tuple[ForwardRelation, Model]]:
    """The unsaved instances that its relations point at."""
    own = instance.__dict__
    for relation in instance._meta.forward:
        related = own.get(relation.name)
        if related is not None and not related._persisted and leads_to(relation, instance, related):
            yield relation, related


def leads_to(relation: ForwardRelation, instance: Model, related: Model) -> bool:
    """Whether the key that the instance holds, as far as it does, is that of the related one.

    A key that was set later says that another row is meant, or none.
    """
    own = instance.__dict__
    for local, remote in zip(local_fields(relation), remote_fields(relation), strict=True):
        if local.attname in own:
            key = own[local.attname]
            if key is None or key != related.__dict__.get(remote.attname):
                return False
    return True


def is_new(instance: Model) -> bool:
    """Whether an unsaved instance is surely a row to insert: its key is missing or made by a default.

    One with a key that was given may stand for a row that is there.
    """
    return instance.pk is None or all(field.has_default() for field in instance._meta.pk_fields)


def has_new_parents(instances: Sequence[Model]) -> bool:
    """Whether one of these instances of one model points at an unsaved one."""
    names = [relation.name for relation in instances[0]._meta.forward] if instances else []
    if not names:
        return False
    for instance in instances:
        own = instance.__dict__
        for name in names:
            related = own.get(name)
            unsaved = related is not None and not related._persisted
            if unsaved and any(is_new(parent) for _, parent in unsaved_parents(instance)):
                return True
    return False


async def create_with_parents(
    instances: Sequence[Model], database: databases.Database, using: databases.Database | None, batch_size: int | None
) -> None:
    """Insert the instances, and before them the unsaved ones that they point at, and those that these do.

    Raises `orm.ValidationError` before anything is sent, with the path to the parent where it is about one.
    """
    entries: dict[int, PendingRow] = {}
    for instance in instances:
        if id(instance) not in entries:
            entries[id(instance)] = PendingRow(instance)
    for entry in (found := list(entries.values())):  # It grows meanwhile.
        for relation, parent in unsaved_parents(entry.instance):
            known = entries.get(id(parent))
            if known is None and is_new(parent):
                known = entries[id(parent)] = PendingRow(parent, (*entry.place, relation.name))
                found.append(known)
            if known is not None:
                entry.parents[relation] = known
    for entry in found:
        if messages := entry.validate():
            raise typesystem.ValidationError(messages=messages)
    await insert_entries(found, [], database, batch_size)
    for entry in found:
        entry.finish(using)


async def insert_entries(
    entries: Sequence[PendingRow], moves: Sequence[Repoint], database: databases.Database, batch_size: int | None = None
) -> None:
    """Insert the rows of validated entries, parents first, then make the moves; all of it, or nothing.

    The instances are as before afterwards: `PendingRow.finish` tells them. Raises `DoesNotExist` for a moved row
    that is not there.
    """
    batches, late = arrange([entry.instance._meta for entry in entries], list(_dependencies(entries)))
    if not batches:
        return
    moves = [*moves, *(Repoint(entries[one.child].instance, one.relation, entries[one.parent], ()) for one in late)]
    dialect = await dialect_of(database)
    postponed: dict[int, list[ForwardRelation]] = {}
    for one in late:
        postponed.setdefault(one.child, []).append(one.relation)
    first = _insertion(dialect, entries, batches[0], postponed, batch_size)
    async with Session(database) as session:
        if len(batches) == 1 and first.insertion.is_one_statement and not moves:
            await first.run(session)
            return
        async with session.transaction():
            await first.run(session)
            for batch in batches[1:]:
                await _insertion(dialect, entries, batch, postponed, batch_size).run(session)
            # The connection is the task's own: these are inside the transaction.
            for one in late:
                entries[one.child].take_keys()
            await _move(moves, {id(entry.instance): entry for entry in entries}, database, batch_size)


def _dependencies(entries: Sequence[PendingRow]) -> Iterator[Dependency]:
    positions = {id(entry): position for position, entry in enumerate(entries)}
    for position, entry in enumerate(entries):
        for relation, parent in entry.parents.items():
            known = (
                parent.instance._meta is entry.instance._meta
                and all(parent.row.get(remote.name) is not None for remote in remote_fields(relation))
                # Rows of other columns go into another statement.
                and list(parent.row) == list(entry.row)
            )
            yield Dependency(position, relation, positions[id(parent)], known)


def _insertion(
    dialect: Dialect,
    entries: Sequence[PendingRow],
    batch: Sequence[int],
    postponed: dict[int, list[ForwardRelation]],
    batch_size: int | None,
) -> _Inserted:
    """The statements of one batch, whose parents are there."""
    for position in batch:
        entry = entries[position]
        entry.take_keys()
        waiting = postponed.get(position, ())
        for relation in waiting:
            entry.row.update((local.name, None) for local in local_fields(relation) if local.allow_null)
        for relation, parent in entry.parents.items():
            missing = [local for local in local_fields(relation) if entry.row[local.name] is None]
            if missing and relation not in waiting and entry is not parent:
                raise QueryError(
                    f"{relation.label}: {dialect.name} does not tell the key that it gave to the new "
                    f"{parent.instance._meta.name}. Give it one, or save it first."
                )
    return _Inserted(dialect, [entries[position] for position in batch], batch_size)


class _Inserted:
    """Rows of one model on their way."""

    def __init__(self, dialect: Dialect, entries: Sequence[PendingRow], batch_size: int | None) -> None:
        info = entries[0].instance._meta
        self._entries = entries
        self._names = {field.attname: name for name, field in info.fields.items()}
        self._held = [{info.fields[name].attname: value for name, value in entry.row.items()} for entry in entries]
        self.insertion = bulk.Insertion(bulk.batches_of(dialect, info, self._held), batch_size)

    async def run(self, session: Session) -> None:
        """Insert them, and give each entry's row what was filled in."""
        await self.insertion.run(session)
        self.insertion.finish()
        for entry, held in zip(self._entries, self._held, strict=True):
            entry.row.update((self._names[name], value) for name, value in held.items())


async def _move(
    moves: Iterable[Repoint], new: dict[int, PendingRow], database: databases.Database, batch_size: int | None
) -> None:
    """Have rows that are there point at new ones: a statement for each foreign key."""
    by_relation: dict[ForwardRelation, list[Repoint]] = {}
    for move in moves:
        by_relation.setdefault(move.relation, []).append(move)
    for relation, given in by_relation.items():
        info = relation.model._meta
        changed = []
        for move in given:
            entry = new.get(id(move.instance))
            if entry is None:
                key = dict(zip(info.pk_fields, info.split_pk(move.instance.pk), strict=True))
            else:
                key = {part: entry.row[part.name] for part in info.pk_fields}
            # A copy with nothing but what is to be written, so that a failure leaves the instance as it was.
            copy = info.model.__new__(info.model)
            copy.__dict__.update((part.attname, value) for part, value in key.items())
            for local, remote in zip(local_fields(relation), remote_fields(relation), strict=True):
                copy.__dict__[local.attname] = move.parent.row[remote.name]
            changed.append(copy)
        names = [local.name for local in local_fields(relation)]
        matched = await bulk.update(Query(info, Instances(info)), changed, names, batch_size, database)
        if matched != len(changed):
            raise info.model.DoesNotExist(
                f"{len(changed) - matched} of the {len(changed)} rows of {info.name} that were to get another "
                f"{relation.name} are not there."
            )
