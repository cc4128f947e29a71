"""The rows for bulk writes: their instances, and the messages about rows that are not valid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typesystem

from orm.exceptions import QueryError
from orm.utils.memoized import memoized_property
from orm.utils.slices import in_slices

if TYPE_CHECKING:
    from orm.models import Model

M = TypeVar("M", bound="Model")
T = TypeVar("T")
# A loop over this many rows takes a few microseconds for each, and is not divided.
MANY_ROWS = 500


def check_batch_size(batch_size: int | None) -> None:
    """Raise `QueryError` if a batch cannot have this size."""
    if batch_size is not None and batch_size < 1:
        raise QueryError(f"batch_size must be at least 1, got {batch_size}.")


async def instances_of(model: type[M], rows: Iterable[M | Mapping[str, Any]], what: str) -> list[M]:
    """Instances for rows that are instances or dicts. `what` is the name of the method, for the error."""

    accepted = model._meta.instance_class

    def make(part: Sequence[M | Mapping[str, Any]]) -> list[M]:
        instances: list[M] = []
        for row in part:
            if isinstance(row, accepted):
                pass
            elif isinstance(row, Mapping):
                row = model(**row)
            else:
                raise QueryError(f"{what} takes {model.__name__} instances or dicts, got {type(row).__name__}.")
            instances.append(row)
        return instances

    return await in_slices(make, list(rows), MANY_ROWS)


class RowErrors:
    """Collects the messages about invalid rows, each with the row's position: ``index=[137, "name"]``."""

    def __init__(self, instances: Sequence[Model]) -> None:
        self._instances = instances
        self._messages: list[typesystem.Message] = []

    @memoized_property
    def _positions(self) -> dict[int, int]:
        return {id(instance): position for position, instance in enumerate(self._instances)}

    def collect(self, instance: Model, prepare: Callable[[Model], T]) -> T | None:
        """The row as `prepare` returns it; None if it is not valid, with its messages collected."""
        try:
            return prepare(instance)
        except typesystem.ValidationError as error:
            self._messages += error.messages(add_prefix=self._positions[id(instance)])
            return None

    def raise_any(self) -> None:
        """Raise `orm.ValidationError` if there are messages."""
        if self._messages:
            raise typesystem.ValidationError(messages=sorted(self._messages, key=_position))


def _position(message: Any) -> int:
    """The position of the row that a message is about."""
    position: int = message.index[0]
    return position
