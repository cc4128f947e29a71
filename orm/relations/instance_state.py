"""Where an instance keeps what it knows of its relations, besides the attributes of the related instances."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

if TYPE_CHECKING:
    from orm.models import Model
    from orm.relations.base import Relation

LOADED = "_loaded"
"""What was loaded for an instance's relations, by accessor: see `get_loaded`. Unset until something is.

Instances may share the dict, and the lists in it, so neither is ever changed.
"""
KEY_ONLY = "_sparse"
"""On an instance that holds only its key: which relation it was read from."""
OWNER = "_owner"
"""The `WeakParent` of a row that was loaded for an instance, which is at the other end of one of its foreign keys. Kept
beside them, for an attribute that is no descriptor's takes a third of the time."""
RAISING = "_raising"
"""The relations, by accessor, that raise when they are touched."""

_first: WeakKeyDictionary[type, dict[str, Any]] = WeakKeyDictionary()


def reserve_attribute_keys(model: type, names: Iterable[str]) -> None:
    """Let the first instance have attributes that others may have.

    CPython keeps the names once for all instances of a class, but only those that the first few had, and no more than
    30: another name makes an instance's attributes a dict of its own, which takes three times the memory.
    """
    if model not in _first:
        _first[model] = object.__new__(model).__dict__
    attributes = _first[model]
    for name in names:
        attributes[name] = None  # not with update(), which would give the empty dict keys of its own


class WeakParent(ref["Model"]):
    """The instance that rows were loaded for, as the rows know it: see `weak_parent_of`.

    They do not hold it, for it holds them: they would all become garbage that only the cyclic collector finds. For a
    row that outlives it, there is another instance with the same attributes, but for what was loaded for its relations.
    """

    __slots__ = ("attributes", "made", "model")

    attributes: dict[str, Any]
    made: Model | None
    model: type[Model]

    def get(self) -> Model:
        """The instance."""
        return self() or self.made or self._rebuild()

    def _rebuild(self) -> Model:
        self.made = made = self.model.__new__(self.model)
        object.__setattr__(made, "__dict__", self.attributes)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return weak_parent_of, (self.get(),)

    def __deepcopy__(self, memo: dict[int, Any]) -> WeakParent:
        return weak_parent_of(copy.deepcopy(self.get(), memo))


def weak_parent_of(instance: Model) -> WeakParent:
    """The instance as the rows know it that are loaded for it."""
    # There may be one for each row of a large result: a constructor in Python would take twice the time.
    made = WeakParent(instance, _on_parent_collected)
    made.model = type(instance)
    made.attributes = instance.__dict__
    made.made = None
    return made


def _on_parent_collected(owner: WeakParent) -> None:
    owner.attributes.pop(LOADED, None)


class WeakParents(dict[Any, WeakParent]):
    """The owners of rows, by the key that rows and owner share; each is made for the first of its rows."""

    def __init__(self, instances: Mapping[Any, Model]) -> None:
        self.instances = instances

    def __missing__(self, key: Any) -> WeakParent:
        made = self[key] = weak_parent_of(self.instances[key])
        return made


class RowsByOwner(dict[Any, tuple[list[Any], "WeakParent | None"]]):
    """Where rows go: the list of each key, with the owner of all in it. They are made for the first of its rows.

    `instances` has the owners by key, and there is no place for other keys. Without `with_owners` no row asks for them.
    """

    def __init__(self, instances: Mapping[Any, Model], *, with_owners: bool) -> None:
        self.instances = instances
        self._lead_back = with_owners

    def __missing__(self, key: Any) -> tuple[list[Any], WeakParent | None]:
        instance = self.instances[key]
        made = self[key] = [], weak_parent_of(instance) if self._lead_back else None
        return made

    def lists(self) -> dict[Any, list[Any]]:
        """The lists that there are, by key."""
        return {key: rows for key, (rows, _) in self.items()}


def get_loaded(instance: Model, accessor: str) -> list[Any] | None:
    """The rows that were loaded for a relation to many; None if none were.

    A list for a relation to one says that no row is there: for a foreign key with the key that led to none, or empty
    if none was to be looked for.
    """
    loaded = instance._loaded
    return None if loaded is None else loaded.get(accessor)


def set_loaded(instance: Model, accessor: str, rows: list[Any]) -> None:
    """Note what was loaded for a relation."""
    instance._loaded = {**(instance._loaded or {}), accessor: rows}


def forget(instance: Model, accessor: str) -> None:
    """Forget what was loaded for a relation."""
    loaded = instance._loaded
    if loaded is not None and accessor in loaded:
        instance._loaded = {name: rows for name, rows in loaded.items() if name != accessor}


def forget_all(instance: Model) -> None:
    """Forget what was loaded for all relations."""
    instance._loaded = {}


def check_accessible(instance: Model, relation: Relation) -> None:
    """Raise `AttributeError` if ``raiseload()`` has forbidden to touch this relation."""
    if relation.accessor in instance.__dict__.get(RAISING, ()):
        name = f"{instance._meta.name}.{relation.accessor}"
        raise AttributeError(f"{name} is not loaded, and its query said raiseload({relation.accessor!r}).")
