"""What a rollback restores: for a transaction or savepoint, the instances as they were before it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orm.relations.instance_state import LOADED
from orm.sessions.cascades import DELETED, accessors_to_one

if TYPE_CHECKING:
    from orm.database.connections.transactions import Transaction
    from orm.models import Model
    from orm.sessions.identity_map import IdentityMap, InstanceState, Key


@dataclass
class Level:
    """What has been written in a transaction or savepoint."""

    transaction: Transaction
    owned: bool = True
    """Whether the session began it; otherwise it is a `database.transaction()` in the session's block."""
    changed: dict[Key, dict[str, Any]] = field(default_factory=dict)
    """The values of rows before they were updated, by attribute."""
    renamed: list[tuple[Model, Key]] = field(default_factory=list)
    """The instances whose primary key has been updated, with the key before."""
    inserted: list[tuple[Model, dict[str, Any]]] = field(default_factory=list)
    """The instances whose rows were inserted, with their attributes before."""
    deleted: list[tuple[Model, dict[str, Any]]] = field(default_factory=list)
    """The instances whose rows were deleted, with the values of the rows."""

    @property
    def has_written(self) -> bool:
        """Whether anything was written."""
        return bool(self.changed or self.inserted or self.deleted or self.renamed)

    def note_change(self, state: InstanceState) -> None:
        """Note the values of a row that is being updated."""
        if state.key not in self.changed:
            self.changed[state.key] = state.snapshot

    def note_changes(self, states: Iterable[InstanceState]) -> None:
        """`note_change()` of each."""
        if not self.changed:  # one comprehension takes half the time
            self.changed = {state.key: state.snapshot for state in states}
            return
        for state in states:
            self.note_change(state)

    def merge_into(self, outer: Level) -> None:
        """Pass all of it to the transaction around, as this savepoint is released."""
        for key, snapshot in self.changed.items():
            outer.changed.setdefault(key, snapshot)
        outer.renamed += self.renamed
        outer.inserted += self.inserted
        outer.deleted += self.deleted

    def restore(self, identity_map: IdentityMap) -> None:
        """Undo on the instances what the rollback of the transaction has undone in the database."""
        inserted = {id(instance) for instance, _ in self.inserted}
        for instance, attributes in reversed(self.inserted):
            state = identity_map.state_of(instance)
            if state is not None:
                identity_map.forget(state)
            instance.__dict__.clear()
            instance.__dict__.update(attributes)
        for instance, key in reversed(self.renamed):
            state = identity_map.state_of(instance)
            if state is not None:
                identity_map.rename(state, key[1])
        for instance, snapshot in self.deleted:
            if id(instance) not in inserted:
                instance.__dict__.pop("_persisted", None)
                instance.__dict__.pop(DELETED, None)
                identity_map.register(instance, snapshot)
        for key, snapshot in self.changed.items():
            state = identity_map.state_with_key(key)
            if state is not None:
                state.snapshot = dict(snapshot)
        written = self.has_written
        for state, instance in identity_map:
            revert(state, instance)
            if written and instance.__dict__.get(LOADED):
                instance.__dict__[LOADED] = {}
        identity_map.let_go()


def revert(state: InstanceState, instance: Model) -> None:
    """Set the columns of an instance to the values of its row, as far as these are known."""
    attributes, snapshot = instance.__dict__, state.snapshot
    changed = state.changed()
    for name in changed:
        relation = state.info.by_attname[name]
        attributes.pop(relation.name, None)
        attributes.pop(name, None)
        if name in snapshot:
            attributes[name] = snapshot[name]
    for name in [name for name in state.info.by_attname if name in attributes and name not in snapshot]:
        del attributes[name]
    for name, value in snapshot.items():
        if name not in attributes:
            attributes[name] = value
    forward, reverse = accessors_to_one(state.info)
    for name in (*forward, *reverse):
        if not getattr(attributes.get(name), "_persisted", True):
            del attributes[name]  # a new instance, which is out of the session
    for composed in state.info.composed.values() if changed else ():
        attributes.pop(composed.name, None)
    state.snapshot = _copied(state)


def _copied(state: InstanceState) -> dict[str, Any]:
    """A snapshot that shares no mutable value with the attributes."""
    from_attributes = dict(state.snapshot)
    state.take_snapshot()
    return {**from_attributes, **state.snapshot}
