"""The identity map of a session: one instance for each row, with the values that the row had."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from weakref import ref

from orm.mapping.changes import SNAPSHOT, frozen, is_same_value, mark_loaded
from orm.query.resolving.expressions import is_expression
from orm.relations.instance_state import KEY_ONLY, LOADED, OWNER, weak_parent_of
from orm.sessions.columns import Columns, columns_of

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

MISSING = object()
# From this number of instances on, those that only refer to each other are collected.
MAX_UNREFERENCED = 25_000

Key = tuple[Any, Any]
"""What identifies a row: the model and the primary key."""


def model_of_key(info: ModelInfo) -> type[Model]:
    """The model in the key of a row: where models share a table, the one that declares it."""
    return info.model if info.discriminator is None or info.options.proxy else info.concrete.model


def shares_rows(info: ModelInfo, other: ModelInfo) -> bool:
    """Whether rows of a model may be rows of another one, too: of the same table, or of one that it inherits from."""
    return info.concrete is other.concrete or other.concrete in info.ancestors


class InstanceState(ref["Model"]):
    """What a session keeps about an instance, which it refers to weakly.

    The attributes are referred to strongly: an instance that has been changed, and that the program has let go of, is
    made again of them, so that its change is not lost.
    """

    __slots__ = ("attributes", "columns", "expired", "identity", "info", "key", "snapshot")

    attributes: dict[str, Any] | None
    """The instance's ``__dict__``; None while unreferenced instances are being collected."""
    snapshot: dict[str, Any]
    """The values of the row, as far as they are loaded, by attribute."""
    key: Key
    info: ModelInfo
    columns: Columns
    identity: int
    expired: bool

    def take_snapshot(self) -> None:
        """Take the instance's attributes as the values of its row."""
        assert self.attributes is not None
        self.snapshot = self.columns.snapshot_of(self.attributes)

    def changed(self) -> list[str]:
        """The attributes whose values differ from those of the row."""
        composed = self.info.composed
        if not composed:
            return self.columns.changed_names(self)
        attributes = self.attributes
        assert attributes is not None
        for relation in composed.values():
            relation.write_changes(attributes)
        changed = self.columns.changed_names(self)
        for relation in composed.values():
            related = attributes.get(relation.name)
            if related is not None and not getattr(related, "_persisted", True):
                changed += [f.attname for f in relation.fields if f.attname not in changed]
        return changed

    def is_changed(self, name: str) -> bool:
        """Whether the value of one attribute differs from that of the row."""
        attributes, snapshot = self.attributes, self.snapshot
        assert attributes is not None
        if name in self.columns.read_only:
            return False
        value, before = attributes.get(name, MISSING), snapshot.get(name, MISSING)
        if value is before:
            return False
        if value is MISSING:
            # A related instance without a key takes the place of the key.
            relation = self.columns.keys_of_relations.get(name)
            return relation is not None and attributes.get(relation.name) is not None
        if before is MISSING or is_expression(value):
            return True
        return not is_same_value(before, value)


class IdentityMap:
    """The instances of a session by the keys of their rows.

    An instance leaves it when nothing else refers to it, unless it has been changed. Instances that refer to each other
    are collected when there are `MAX_UNREFERENCED` of them.
    """

    def __init__(self) -> None:
        self._by_key: dict[Key, InstanceState] = {}
        self._by_id: dict[int, InstanceState] = {}
        self._modified: dict[int, Model] = {}
        """Changed instances that only the session refers to."""
        self._sweep_at = MAX_UNREFERENCED
        self._is_sweeping = False
        owner = weakref.ref(self)

        def on_collected(state: InstanceState) -> None:
            identity_map = owner()
            if identity_map is not None:
                identity_map._on_collected(state)

        self._callback = on_collected

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[tuple[InstanceState, Model]]:
        """The states with their instances."""
        for state in self.states():
            instance = state()
            if instance is not None:
                yield state, instance

    def states(self) -> list[InstanceState]:
        """The states of all instances, as a list, which does not change with the map."""
        return list(self._by_key.values())

    def find(self, key: Key) -> Model | None:
        """The instance of a row."""
        state = self._by_key.get(key)
        return None if state is None else state()

    def state_with_key(self, key: Key) -> InstanceState | None:
        """The state of the instance of a row."""
        return self._by_key.get(key)

    def state_of(self, instance: Model) -> InstanceState | None:
        """The state of an instance, if it is in the map."""
        state = self._by_id.get(id(instance))
        return state if state is not None and state() is instance else None

    def register(self, instance: Model, snapshot: dict[str, Any] | None = None) -> InstanceState:
        """Add an instance, whose row has these values, or those of its attributes."""
        info = instance._meta
        state = InstanceState(instance, self._callback)
        state.info = info
        state.identity = id(instance)
        state.columns = columns = columns_of(info)
        state.key = (model_of_key(info), info.get_pk(instance))
        state.attributes = attributes = instance.__dict__
        state.snapshot = columns.snapshot_of(attributes) if snapshot is None else snapshot
        state.expired = False
        self._by_key[state.key] = self._by_id[state.identity] = state
        return state

    def register_all(self, info: ModelInfo, instances: Iterable[Model], pks: Iterable[Any]) -> None:
        """`register()` each of these instances of a model, with these primary keys and the values of their rows."""
        by_key, by_id, callback = self._by_key, self._by_id, self._callback
        columns, model = columns_of(info), model_of_key(info)
        snapshot_of = columns.snapshot_of
        for instance, pk in zip(instances, pks, strict=True):
            state = InstanceState(instance, callback)
            state.info, state.columns, state.expired = info, columns, False
            state.attributes = attributes = instance.__dict__
            state.snapshot = snapshot_of(attributes)
            state.identity = identity = id(instance)
            state.key = key = (model, pk)
            by_key[key] = by_id[identity] = state

    def rename(self, state: InstanceState, key: Any) -> None:
        """Note that the row of an instance has another primary key."""
        del self._by_key[state.key]
        state.key = (model_of_key(state.info), key)
        self._by_key[state.key] = state

    def forget(self, state: InstanceState) -> None:
        """Remove an instance."""
        if self._by_key.get(state.key) is state:
            del self._by_key[state.key]
        if self._by_id.get(state.identity) is state:
            del self._by_id[state.identity]
        self._modified.pop(state.identity, None)

    def clear(self) -> None:
        """Remove all instances."""
        self._by_key.clear()
        self._by_id.clear()
        self._modified.clear()

    def let_go(self) -> None:
        """Refer to no instance any more for its changes, which are written or undone."""
        self._modified.clear()

    def _on_collected(self, state: InstanceState) -> None:
        if self._by_id.get(state.identity) is not state:
            return
        if self._is_sweeping or state.attributes is None or not state.changed():
            self.forget(state)
            return
        attributes, snapshot, expired = state.attributes, state.snapshot, state.expired
        key = state.key
        self.forget(state)
        instance = state.info.model.__new__(state.info.model)
        object.__setattr__(instance, "__dict__", attributes)
        again = self.register(instance, snapshot)
        again.expired = expired
        if again.key != key:  # the primary key is what has been changed
            self.rename(again, key[1])
        self._modified[again.identity] = instance

    def collect_unreferenced(self) -> None:
        """Of many instances, let the garbage collector find the unchanged ones that only refer to each other."""
        if len(self._by_key) < self._sweep_at:
            return
        unchanged = [state for state, _ in self if not state.changed()]
        for state in unchanged:
            state.attributes = None
        self._is_sweeping = True
        try:
            gc.collect()
        finally:
            self._is_sweeping = False
        for state in unchanged:
            instance = state()
            if instance is None:
                self.forget(state)
            else:
                state.attributes = instance.__dict__
        self._sweep_at = max(MAX_UNREFERENCED, 2 * len(self._by_key))

    # Rows that have been read

    def mapped_instance(self, instance: Any, *, fresh: bool, memo: dict[int, Any] | None) -> Any:
        """The map's instance of the row that `instance` was read from; with a `memo`, of those attached to it as well.

        An instance that the map has takes what it has not loaded; if `fresh`, all values but those that were changed.
        """
        attributes = instance.__dict__
        info = instance._meta
        key = info.get_pk(instance)
        if key is None or KEY_ONLY in attributes:
            return instance
        state = self._by_key.get((model_of_key(info), key))
        known = None if state is None else state()
        if memo is not None:
            done = memo.get(id(instance))
            if done is not None:
                return done[0]
        mapped = instance if known is None else known
        if memo is not None:
            memo[id(instance)] = mapped, instance
            self._map_attached(instance, mapped, fresh=fresh, memo=memo)
        if known is None:
            if state is not None:
                self.forget(state)
            self.register(instance)
        elif known is not instance:
            assert state is not None
            fill(state, known, attributes, fresh=fresh)
        return mapped

    def _map_attached(self, instance: Any, mapped: Any, *, fresh: bool, memo: dict[int, Any]) -> None:
        attributes = instance.__dict__
        owner = None
        for name, value in list(attributes.items()):
            if name == LOADED and value:
                attributes[LOADED] = {
                    accessor: [self._attached(row, fresh=fresh, memo=memo) for row in rows]
                    for accessor, rows in value.items()
                }
                for rows in attributes[LOADED].values():
                    for row in rows:
                        if OWNER in getattr(row, "__dict__", ()) and row.__dict__[OWNER]() is instance is not mapped:
                            owner = owner or weak_parent_of(mapped)
                            row.__dict__[OWNER] = owner
            elif hasattr(type(value), "_meta"):
                attributes[name] = self._attached(value, fresh=fresh, memo=memo)
            elif type(value) is list and value and hasattr(type(value[0]), "_meta"):
                attributes[name] = [self._attached(row, fresh=fresh, memo=memo) for row in value]

    def _attached(self, value: Any, *, fresh: bool, memo: dict[int, Any]) -> Any:
        return self.mapped_instance(value, fresh=fresh, memo=memo) if hasattr(type(value), "_meta") else value


def fill(state: InstanceState, instance: Model, read: Mapping[str, Any], *, fresh: bool) -> None:
    """Give an instance what has been read of its row and its relations, and was not loaded before; `fresh`: all."""
    info = state.info
    attributes = instance.__dict__
    changed = state.changed() if fresh else ()
    by_attname, accessors = info.by_attname, info.accessors
    columns = columns_of(info)
    state.snapshot = state.snapshot.copy()  # a level of the transaction may have it
    filled = []
    for name, value in read.items():
        if name == LOADED:
            before = attributes.get(LOADED) or {}
            attributes[LOADED] = {**before, **(value or {})} if fresh else {**(value or {}), **before}
        elif name in by_attname:
            if name not in attributes or (fresh and name not in changed):
                attributes[name] = value
                filled.append(name)
                state.snapshot[name] = frozen(value) if name in columns.mutable else value
        elif name in accessors or name.startswith("_"):
            if (
                name not in attributes
                or (fresh and name != SNAPSHOT)
                or KEY_ONLY in getattr(attributes[name], "__dict__", ())
            ):
                attributes[name] = value
        else:
            attributes[name] = value  # an annotation, or the `to_attr` of a prefetch
    if SNAPSHOT in attributes:
        mark_loaded(instance, filled)
    if state.expired and all(name in attributes for name in by_attname):
        state.expired = False
