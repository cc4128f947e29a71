"""Where an instance keeps what it knows of its relations, besides the attributes of the related instances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from orm.models import Model
    from orm.relations.hops import Relation

PREFETCHED = "_prefetched_"
"""Before an accessor, the attribute of what was loaded: see `loaded_as`."""
SPARSE = "_sparse"
"""On an instance that holds only its key: which relation it was read from."""
OWNER = "_owner"
"""The instance that a row was loaded for, which is at the other end of one of its foreign keys. Kept beside them, for
an attribute that is no descriptor's takes a third of the time."""
RAISING = "_raising"
"""The relations, by accessor, that raise when they are touched."""

_first: WeakKeyDictionary[type, dict[str, Any]] = WeakKeyDictionary()


def settle(model: type, names: Iterable[str]) -> None:
    """Let the first instance have attributes that others may have.

    CPython keeps the names once for all instances of a class, but only those that the first few had, and no more than
    30: another name makes an instance's attributes a dict of its own, which takes three times the memory.
    """
    if model not in _first:
        _first[model] = object.__new__(model).__dict__
    _first[model].update(dict.fromkeys(names))


def loaded_as(accessor: str) -> str:
    """The attribute that has the rows which were loaded for a relation to many.

    A list there for a relation to one says that no row is: for a foreign key with the key that led to none, or empty if
    none was to be looked for.
    """
    return PREFETCHED + accessor


def get_loaded(instance: Model, accessor: str) -> list[Any] | None:
    """What was loaded for a relation: see `loaded_as`. None if nothing was."""
    found: list[Any] | None = getattr(instance, PREFETCHED + accessor, None)
    return found


def set_loaded(instance: Model, accessor: str, rows: list[Any]) -> None:
    """Note what was loaded for a relation."""
    setattr(instance, PREFETCHED + accessor, rows)


def forget(instance: Model, accessor: str) -> None:
    """Forget what was loaded for a relation."""
    instance.__dict__.pop(PREFETCHED + accessor, None)


def forget_all(instance: Model) -> None:
    """Forget what was loaded for all relations."""
    own = instance.__dict__
    for name in [name for name in own if name.startswith(PREFETCHED)]:
        del own[name]


def check_touchable(instance: Model, relation: Relation) -> None:
    """Raise `AttributeError` if ``raiseload()`` has forbidden to touch this relation."""
    if relation.accessor in instance.__dict__.get(RAISING, ()):
        name = f"{instance._meta.name}.{relation.accessor}"
        raise AttributeError(f"{name} is not loaded, and its query said raiseload({relation.accessor!r}).")
