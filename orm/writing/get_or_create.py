"""`get_or_create()` and `update_or_create()`, safe against concurrent inserts."""

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

# The number of times that update_or_create() starts again because the row was deleted before it could be updated.
RACE_ATTEMPTS = 3


async def find_or_create(queryset: QuerySet[M, Any], lookups: Values, defaults: Values | None) -> tuple[M, bool]:
    """The row that matches the lookups, or a new one; and whether it is new."""
    instance = await _find(queryset, lookups)
    if instance is not None:
        return instance, False
    try:
        return await _create(queryset, lookups, defaults), True
    except IntegrityError:
        instance = await _find(queryset, lookups, locking=True)
        if instance is None:
            raise  # The error has another cause than a concurrent insert of the same row.
        return instance, False


async def update_or_create(
    queryset: QuerySet[M, Any], lookups: Values, defaults: Values | None, create_defaults: Values | None
) -> tuple[M, bool]:
    """The row that matches the lookups, updated by `defaults`, or a new one; and whether it is new."""
    if create_defaults is None:
        create_defaults = defaults
    for _ in range(RACE_ATTEMPTS):
        instance, created = await find_or_create(queryset, lookups, create_defaults)
        if created or not defaults:
            return instance, created
        try:
            await instance.update(**_resolve_callables(defaults))
        except queryset.model.DoesNotExist:
            continue  # It has been deleted in the meantime.
        return instance, False
    raise queryset.model.DoesNotExist(f"The {queryset.model.__name__} was deleted each time it was found.")


async def _find(queryset: QuerySet[M, Any], lookups: Values, *, locking: bool = False) -> M | None:
    """The row that matches, None if there is none.

    With `locking`, it is found even if another transaction committed it after the present one began.
    """
    query = queryset.filter(**lookups)._query
    try:
        instance: M = await queryset._clone(query.replace(lock=LATEST if locking else None)).get()
    except queryset.model.DoesNotExist:
        return None
    return instance


async def _create(queryset: QuerySet[M, Any], lookups: Values, defaults: Values | None) -> M:
    values = {name.removesuffix("__exact"): value for name, value in lookups.items()}
    values = {name: value for name, value in values.items() if "__" not in name}
    values.update(_resolve_callables(defaults or {}))
    # A failed statement would abort an outer transaction; a savepoint protects it.
    async with queryset.database.transaction():
        return await queryset.create(**values)


def _resolve_callables(values: Values) -> dict[str, Any]:
    return {name: value() if callable(value) else value for name, value in values.items()}
