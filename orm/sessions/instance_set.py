"""A set of instances by identity: what `session.new`, `session.dirty` and `session.deleted` are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orm.models import Model


class InstanceSet(Collection["Model"]):
    """Instances in order, compared by identity: two new instances are two, whatever their values."""

    __slots__ = ("_by_id",)

    def __init__(self, instances: Iterable[Model] = ()) -> None:
        self._by_id = {id(instance): instance for instance in instances}

    def __contains__(self, instance: object) -> bool:
        return id(instance) in self._by_id

    def __iter__(self) -> Iterator[Model]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, InstanceSet):
            return self._by_id.keys() == other._by_id.keys()
        if isinstance(other, Collection) and not isinstance(other, (str, bytes)):
            others: Collection[Any] = other
            return self._by_id.keys() == {id(each) for each in others}
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"InstanceSet({list(self._by_id.values())!r})"

    def add(self, instance: Model) -> None:
        """Add an instance."""
        self._by_id[id(instance)] = instance

    def update(self, instances: Collection[Model]) -> None:
        """Add each of these instances."""
        self._by_id.update(zip(map(id, instances), instances, strict=True))

    def discard(self, instance: Model) -> None:
        """Remove an instance, if it is in the set."""
        self._by_id.pop(id(instance), None)

    def clear(self) -> None:
        """Remove all instances."""
        self._by_id.clear()
