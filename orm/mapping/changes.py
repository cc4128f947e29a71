"""Change tracking: the values of an instance's row, by which `changed_fields` tells what was changed since.

An instance has a `Snapshot` only if its model has `Meta.track_changes`, or after `track_changes()`. Other instances
pay nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import databases

from orm.database.connections.database import Database
from orm.database.connections.database_state import base_of
from orm.database.connections.turns import State, current_transaction
from orm.exceptions import QueryError
from orm.fields.base import IMMUTABLE

if TYPE_CHECKING:
    from orm.models import Model

SCALARS = frozenset({str, int, float, bool, type(None)})
SNAPSHOT = "_snapshot"
"""On an instance whose changes are tracked: its `Snapshot`."""


class Snapshot:
    """The values of a row, by attribute, as the instance has read or written them. It is never changed in place."""

    __slots__ = ("previous", "transactions", "values")

    def __init__(
        self,
        values: dict[str, Any],
        previous: Snapshot | None = None,
        transactions: tuple[Any, ...] = (),
    ) -> None:
        self.values = values
        self.previous = previous
        """The snapshot before the write, for the case that it is rolled back. None: the row did not exist."""
        self.transactions = transactions
        """The transactions in which the row was written, from the outermost to the innermost."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Snapshot, (self.values,)

    def __copy__(self) -> Snapshot:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Snapshot:
        return self

    @property
    def is_rolled_back(self) -> bool:
        """Whether the write of these values was rolled back."""
        return any(_is_rolled_back(transaction) for transaction in self.transactions)


def _is_rolled_back(transaction: Any) -> bool:
    return transaction.state in (State.OVER, State.LOST) and not transaction.was_committed


def track_changes(instances: Model | Iterable[Model]) -> None:
    """From now on, `changed_fields` of these instances tells what was changed since this call.

        note = await Note.objects.get(id=1)
        orm.track_changes(note)
        note.text = "call dad"
        assert note.changed_fields == ("text",)

    Instances of a model with ``track_changes = True`` in its class Meta are tracked from the time when they are read.
    Values that can be changed in place, such as documents, are copied. Raises `QueryError` for anything but instances.
    """
    targets: list[Any] = [instances] if hasattr(instances, "_meta") else list(instances)
    for instance in targets:
        if not hasattr(instance, "_meta") or isinstance(instance, type):
            raise QueryError(f"track_changes() takes instances of a model, got {type(instance).__name__}.")
        instance.__dict__[SNAPSHOT] = snapshot_of(instance) if instance._persisted else Snapshot({})


def snapshot_of(instance: Model) -> Snapshot:
    """A snapshot of the values that the instance has now."""
    attributes = instance.__dict__
    return Snapshot(
        {attname: frozen(attributes[attname]) for _, attname in instance._meta.attnames if attname in attributes}
    )


def is_tracked(instance: Model) -> bool:
    """Whether the changes of the instance are tracked."""
    return SNAPSHOT in instance.__dict__ or instance._meta.options.track_changes


def is_known_row(instance: Model) -> bool:
    """Whether the row exists as far as the instance knows: it is saved, and its INSERT was not rolled back."""
    return bool(instance._persisted) and (SNAPSHOT not in instance.__dict__ or _current(instance) is not None)


def changed_fields(instance: Model) -> tuple[str, ...]:
    """The names of the fields whose values differ from those of the row: see `Model.changed_fields`."""
    info, attributes = instance._meta, instance.__dict__
    known: dict[str, Any] = {}
    for relation in info.composed.values():
        relation.write_changes(attributes)
    if instance._persisted:
        if SNAPSHOT not in attributes:
            raise QueryError(
                f"The changes of this {info.name} are not tracked: write `track_changes = True` into the class Meta of "
                f"{info.name}, or call orm.track_changes(instance) before the instance is changed."
            )
        snapshot = _current(instance)
        known = {} if snapshot is None else snapshot.values
    changed = []
    for name, attname in info.attnames:
        if attname in attributes:
            is_changed = attname not in known or not is_same_value(known[attname], attributes[attname])
        else:
            # The related instance was not saved when it was assigned.
            is_changed = attname != name and attributes.get(name) is not None
        if is_changed:
            changed.append(name)
    return tuple(changed)


def mark_saved(instance: Model, database: databases.Database, names: Collection[str] | None = None) -> None:
    """The row has the instance's values now, of the fields with these names or of all; for a tracked instance.

    If the transaction is rolled back, the row has the previous values again.
    """
    attributes = instance.__dict__
    previous = _current(instance)
    values = snapshot_of(instance).values
    if names is not None:
        written = {attname for name, attname in instance._meta.attnames if name in names}
        before = {} if previous is None else previous.values
        values = {
            **{attname: value for attname, value in before.items() if attname not in written},
            **{attname: value for attname, value in values.items() if attname in written},
        }
    transactions = _transactions(database)
    if not transactions:
        previous = None
    elif previous is not None and previous.transactions == transactions:
        previous = previous.previous  # both writes are rolled back together
    elif previous is not None and all(transaction.was_committed for transaction in previous.transactions):
        previous = Snapshot(previous.values)
    attributes[SNAPSHOT] = Snapshot(values, previous, transactions)


def mark_loaded(instance: Model, attnames: Iterable[str]) -> None:
    """These attributes of a tracked instance have been read from the row."""
    attributes = instance.__dict__
    snapshot = _current(instance)
    read = {attname: frozen(attributes[attname]) for attname in attnames}
    if snapshot is None:
        attributes[SNAPSHOT] = Snapshot(read)
    else:
        attributes[SNAPSHOT] = Snapshot({**snapshot.values, **read}, snapshot.previous, snapshot.transactions)


def _current(instance: Model) -> Snapshot | None:
    """The instance's snapshot, without those of writes that were rolled back; None if its row does not exist."""
    snapshot: Snapshot | None = instance.__dict__.get(SNAPSHOT)
    while snapshot is not None and snapshot.is_rolled_back:
        snapshot = snapshot.previous
    return snapshot


def _transactions(database: databases.Database) -> tuple[Any, ...]:
    """The open transactions of the database that the current task is in, from the outermost to the innermost."""
    # A plain databases.Database does not tell which transaction the task is in.
    database = base_of(database)
    transaction: Any = current_transaction(database) if isinstance(database, Database) else None
    if transaction is None or transaction.connection is None:
        return ()
    stack = transaction.connection._transaction_stack
    return tuple(stack[: stack.index(transaction) + 1])


def frozen(value: Any) -> Any:
    """The value; a copy of one that can be changed in place."""
    kind = type(value)
    if kind in SCALARS:
        return value
    # Documents, for which copy.deepcopy() takes several times as long.
    if kind is dict:
        return {key: frozen(each) for key, each in value.items()}
    if kind is list:
        return [frozen(each) for each in value]
    return value if isinstance(value, IMMUTABLE) else copy.deepcopy(value)


def is_same_value(before: Any, after: Any) -> bool:
    """Whether two values are stored alike. Values of different types, such as 1 and True in a document, are not."""
    if before is after:
        return True
    if type(before) is not type(after):
        return False
    if isinstance(before, dict):
        return len(before) == len(after) and all(
            key in after and is_same_value(value, after[key]) for key, value in before.items()
        )
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(is_same_value, before, after))
    if isinstance(before, float):
        return repr(before) == repr(after)
    # The comparison of two expressions is an expression.
    return (before == after) is True
