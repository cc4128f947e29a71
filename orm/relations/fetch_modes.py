"""Fetch modes: what happens when a field or relation is read that the query of the instance did not load."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from orm.models import Model
    from orm.relations.base import Relation

FETCHING = "_fetching"
"""On an instance: its `Peers`, or the mode that forbids reading what is not loaded. Unset for `FetchMode.ONE`."""


class FetchMode(Enum):
    """What ``fetch_mode()`` takes: `orm.ONE`, `orm.PEERS` or `orm.RAISE`, with Django's meanings."""

    ONE = "ONE"
    """Load for the one instance."""
    PEERS = "PEERS"
    """Load for all instances of the same result at once."""
    RAISE = "RAISE"
    """Raise `NotLoaded`."""
    RAISE_ALL = "RAISE_ALL"
    """Raise `NotLoaded`, for relations to many too: ``raiseload("*")``."""

    def forbids(self, relation: Relation) -> bool:
        """Whether the mode forbids access to the relation while it is not loaded."""
        return self is FetchMode.RAISE_ALL or (self is FetchMode.RAISE and not relation.many)

    def __repr__(self) -> str:
        return f"orm.{self.name}"


ONE, PEERS, RAISE = FetchMode.ONE, FetchMode.PEERS, FetchMode.RAISE


class Peers:
    """The instances of one result, for all of which something is loaded at once. It does not keep them alive."""

    def __init__(self, instances: Iterable[Model] = ()) -> None:
        self._references = [ref(instance) for instance in instances]

    def __reduce__(self) -> tuple[Any, ...]:
        return Peers, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Peers:
        return self

    def members(self) -> list[Model]:
        """The instances that are still in use, except those that were deleted."""
        instances = (reference() for reference in self._references)
        return [instance for instance in instances if instance is not None and instance._persisted]


class PeersOfOwner:
    """On an instance of which only the key is known: the peers of the instance that refers to it."""

    def __init__(self, peers: Peers, relation: Relation) -> None:
        self.peers = peers
        self.relation = relation

    def __reduce__(self) -> tuple[Any, ...]:
        return Peers, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> PeersOfOwner:
        return self


def peers_of(instance: Model) -> Peers | None:
    """The peers of an instance that was read in the mode `orm.PEERS`."""
    fetching = instance.__dict__.get(FETCHING)
    return fetching if isinstance(fetching, Peers) else None


def with_peers(instances: Iterable[Model]) -> list[Model]:
    """The instances and their peers, each once."""
    everyone: dict[int, Model] = {}
    groups: set[int] = set()
    for instance in instances:
        everyone[id(instance)] = instance
        peers = peers_of(instance)
        if peers is not None and id(peers) not in groups:
            groups.add(id(peers))
            everyone.update((id(peer), peer) for peer in peers.members())
    return list(everyone.values())


def join_peers_of_owner(related: Model, owner: Model, relation: Relation) -> None:
    """Let an instance of which only the key is known be loaded with those of its owner's peers."""
    peers = peers_of(owner)
    if peers is not None:
        related.__dict__[FETCHING] = PeersOfOwner(peers, relation)
