"""Finds a row or creates it, safely in a race: `get_or_create()` and `update_or_create()`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from orm.exceptions import IntegrityError
from orm.query.locking import LATEST

if TYPE_CHECKING:
    from orm.models import Model
    from orm.queryset.queryset import QuerySet

M = TypeVar("M", bound="Model")
Values = Mapping[str, Any]

# How often update_or_create() starts anew because the row that it found was deleted before it was updated.
RACE_ATTEMPTS = 3


async def find_or_create(queryset: QuerySet[M, Any], lookups: Values, defaults: Values | None) -> tuple[M, bool]:
    """The row that matches, or a new one; and whether it is new."""
    found = await _find(queryset, lookups)
    if found is not None:
        return found, False
    try:
        return await _create(queryset, lookups, defaults), True
    except IntegrityError:
        found = await _find(queryset, lookups, locking=True)
        if found is None:
            raise  # Nobody was faster: the row is refused for another reason.
        return found, False


async def update_or_create(
    queryset: QuerySet[M, Any], lookups: Values, defaults: Values | None, create_defaults: Values | None
) -> tuple[M, bool]:
    """The row that matches, updated, or a new one; and whether it is new."""
    creating = defaults if create_defaults is None else create_defaults
    for _ in range(RACE_ATTEMPTS):
        found, created = await find_or_create(queryset, lookups, creating)
        if created or not defaults:
            return found, created
        try:
            await found.update(**_called(defaults))
        except queryset.model.DoesNotExist:
            continue  # Deleted since it was found.
        return found, False
    raise queryset.model.DoesNotExist(f"The {queryset.model.__name__} was deleted each time it was found.")


async def _find(queryset: QuerySet[M, Any], lookups: Values, *, locking: bool = False) -> M | None:
    """The row, None if there is none. `locking` sees what others committed since a transaction began."""
    query = queryset.filter(**lookups)._query
    try:
        found: M = await queryset._clone(query.replace(lock=LATEST if locking else None)).get()
    except queryset.model.DoesNotExist:
        return None
    return found


async def _create(queryset: QuerySet[M, Any], lookups: Values, defaults: Values | None) -> M:
    values = {name.removesuffix("__exact"): value for name, value in lookups.items()}
    values = {name: value for name, value in values.items() if "__" not in name}
    values.update(_called(defaults or {}))
    # A failed statement would break an outer transaction; a savepoint keeps it.
    async with queryset.database.transaction():
        return await queryset.create(**values)


def _called(values: Values) -> dict[str, Any]:
    return {name: value() if callable(value) else value for name, value in values.items()}
