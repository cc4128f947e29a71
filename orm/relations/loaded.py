"""Where an instance keeps what it knows of its relations, besides the attributes of the related instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orm.models import Model
    from orm.relations.hops import Relation

PREFETCHED = "_prefetched"
"""The rows that were loaded for its relations to many, by accessor. A list under the name of a relation to one says
that no row is there: for a foreign key with the key that led to none, or empty if none was to be looked for."""
SPARSE = "_sparse"
"""On an instance that holds only its key: which relation it was read from."""
OWNER = "_owner"
"""The instance that a row was loaded for, which is at the other end of one of its foreign keys. Kept beside them, for
an attribute that is no descriptor's takes a third of the time."""
RAISING = "_raising"
"""The relations, by accessor, that raise when they are touched."""


def check_touchable(instance: Model, relation: Relation) -> None:
    """Raise `AttributeError` if ``raiseload()`` has forbidden to touch this relation."""
    if relation.accessor in instance.__dict__.get(RAISING, ()):
        name = f"{instance._meta.name}.{relation.accessor}"
        raise AttributeError(f"{name} is not loaded, and its query said raiseload({relation.accessor!r}).")
