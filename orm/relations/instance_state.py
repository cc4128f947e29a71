"""What an instance keeps about its relations, besides the related instances in its attributes."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import databases

from orm.database.connections import schemas
from orm.exceptions import NotLoaded, NotLoadedAttribute
from orm.relations.fetch_modes import FETCHING, FetchMode
from orm.utils.blocking import is_without_await

if TYPE_CHECKING:
    from orm.models import Model
    from orm.relations.base import Relation

LOADED = "_loaded"
"""What was loaded for an instance's relations, by accessor: see `get_loaded`. Unset until something is loaded.

Instances may share the dict and its lists, so neither is ever changed in place.
"""
KEY_ONLY = "_sparse"
"""On an instance of which only the key is known: the relation that it was read from."""
OWNER = "_owner"
"""On a row that was loaded for an instance at the other end of a foreign key: the `WeakParent` of that instance. It is
not in the relation's own attribute, because setting an attribute without a descriptor takes a third of the time."""
RAISING = "_raising"
"""The accessors of the relations that raise on access."""

_attribute_keys: WeakKeyDictionary[type, dict[str, Any]] = WeakKeyDictionary()


def reserve_attribute_keys(model: type, names: Iterable[str]) -> None:
    """Create the class's shared attribute keys (PEP 412) up front.

    CPython keeps the names of attributes once for all instances of a class, but only the names that the first few
    instances had, and at most 30. An instance with another name gets an unshared dict, which takes three times the
    memory.
    """
    if model not in _attribute_keys:
        _attribute_keys[model] = object.__new__(model).__dict__
    attributes = _attribute_keys[model]
    for name in names:
        attributes[name] = None  # not with update(), after which the dict would not share its keys


class WeakParent(ref["Model"]):
    """A weak reference from a row to its owner, the instance that it was prefetched for; avoids a reference cycle.

    The owner has the rows. If these had the owner, too, all of them would be garbage that only the cyclic collector
    frees. A row that outlives its owner gets another instance with the same attributes, except what was loaded for the
    owner's relations. See `weak_parent_of`.
    """

    __slots__ = ("attributes", "model", "rebuilt")

    attributes: dict[str, Any]
    model: type[Model]
    rebuilt: Model | None
    """The instance that replaces an owner that was collected."""

    def get(self) -> Model:
        """The owner."""
        return self() or self.rebuilt or self._rebuild()

    def _rebuild(self) -> Model:
        self.rebuilt = instance = self.model.__new__(self.model)
        object.__setattr__(instance, "__dict__", self.attributes)
        return instance

    def __reduce__(self) -> tuple[Any, ...]:
        return weak_parent_of, (self.get(),)

    def __deepcopy__(self, memo: dict[int, Any]) -> WeakParent:
        return weak_parent_of(copy.deepcopy(self.get(), memo))


def weak_parent_of(instance: Model) -> WeakParent:
    """The weak reference that the rows of an instance keep."""
    # A large result may need one for each row, and a constructor in Python would take twice the time.
    parent = WeakParent(instance, _on_parent_collected)
    parent.model = type(instance)
    parent.attributes = instance.__dict__
    parent.rebuilt = None
    return parent


def _on_parent_collected(parent: WeakParent) -> None:
    parent.attributes.pop(LOADED, None)


class WeakParents(dict[Any, WeakParent]):
    """The owners of rows, by the key that a row and its owner share; each is created for the first of its rows."""

    def __init__(self, instances: Mapping[Any, Model]) -> None:
        self.instances = instances

    def __missing__(self, key: Any) -> WeakParent:
        parent = self[key] = weak_parent_of(self.instances[key])
        return parent


class RowsByOwner(dict[Any, tuple[list[Any], "WeakParent | None"]]):
    """By the owner's key, a list for its rows and, `with_owners`, the owner as a `WeakParent`.

    An item is created for the first row of an owner. `instances` has the owners by key; any other key is a `KeyError`.
    """

    def __init__(self, instances: Mapping[Any, Model], *, with_owners: bool) -> None:
        self.instances = instances
        self._with_owners = with_owners

    def __missing__(self, key: Any) -> tuple[list[Any], WeakParent | None]:
        instance = self.instances[key]
        item = self[key] = [], weak_parent_of(instance) if self._with_owners else None
        return item

    def lists(self) -> dict[Any, list[Any]]:
        """The lists of the owners that have rows, by key."""
        return {key: rows for key, (rows, _) in self.items()}


def get_loaded(instance: Model, accessor: str) -> list[Any] | None:
    """The rows that were loaded for a relation to many; None if none were loaded.

    For a relation to one, a list means that there is no row: it has the foreign key's value that no row was found for,
    or is empty if no row was to be loaded.
    """
    loaded = instance._loaded
    return None if loaded is None else loaded.get(accessor)


def set_loaded(instance: Model, accessor: str, rows: list[Any]) -> None:
    """Keep the rows that were loaded for a relation."""
    instance._loaded = {**(instance._loaded or {}), accessor: rows}


def forget(instance: Model, accessor: str) -> None:
    """Discard what was loaded for a relation."""
    loaded = instance._loaded
    if loaded is not None and accessor in loaded:
        instance._loaded = {name: rows for name, rows in loaded.items() if name != accessor}


def forget_related(instance: Model) -> None:
    """Discard everything that is loaded of an instance's relations: rows, related instances and the owner."""
    attributes = instance.__dict__
    attributes.pop(OWNER, None)
    for accessor in instance._meta.accessors:
        attributes.pop(accessor, None)
    instance._loaded = {}


def stored_in(instance: Model) -> databases.Database | None:
    """The database that the instance remembers. None: that of its registry, or of a new instance's context."""
    database: databases.Database | None = instance.__dict__.get("_database")
    if database is None and schemas.in_use and instance._persisted:
        return instance._meta.registry.own_database  # whatever schema the context names now
    return database


def row_database(instance: Model) -> databases.Database | None:
    """The database of an instance's row; None for a new instance, whose database is not decided yet."""
    database: databases.Database | None = instance.__dict__.get("_database")
    return instance._meta.registry.own_database if database is None and instance._persisted else database


def awaited(call: str) -> str:
    """How the code that reads writes this call, for messages: with ``await``, or as `orm.sync()` blocks do."""
    if not is_without_await():
        return f"await {call}"
    return f"orm.run({call})" if call.startswith("orm.") else call


def not_loaded(instance: Model, message: str) -> NotLoaded:
    """The error for reading what is not loaded; also an `AttributeError` if the model is spelled as in `orm` 0.x."""
    return NotLoadedAttribute(message) if instance._meta.legacy else NotLoaded(message)


def check_accessible(instance: Model, relation: Relation) -> None:
    """Raise `NotLoaded` if ``raiseload()`` or the fetch mode forbids access to this relation, which is not loaded."""
    attributes = instance.__dict__
    mode = attributes.get(FETCHING)
    call = None
    if relation.accessor in attributes.get(RAISING, ()):
        call = f"raiseload({relation.accessor!r})"
    elif isinstance(mode, FetchMode) and mode.forbids(relation):
        call = 'raiseload("*")' if mode is FetchMode.RAISE_ALL else f"fetch_mode({mode!r})"
    if call is not None:
        raise not_loaded(
            instance, f"{instance._meta.name}.{relation.accessor} is not loaded, and its query said {call}."
        )
