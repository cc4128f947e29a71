"""`get_or_create()` and `update_or_create()`, safe against concurrent inserts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import typesystem

from orm.exceptions import IntegrityError, StaleObject
from orm.query.locking import LATEST
from orm.relations import Embedded

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model
    from orm.queryset.writing import WriteMethods

M = TypeVar("M", bound="Model")
Values = Mapping[str, Any]

# The number of times that update_or_create() starts again because the row was deleted before it could be updated.
RACE_ATTEMPTS = 3


async def find_or_create(queryset: WriteMethods[M, Any], lookups: Values, defaults: Values | None) -> tuple[M, bool]:
    """The row that matches the lookups, or a new one; and whether it is new."""
    lookups = _as_written(queryset.model._meta, lookups)
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
    queryset: WriteMethods[M, Any], lookups: Values, defaults: Values | None, create_defaults: Values | None
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
        except (queryset.model.DoesNotExist, StaleObject):
            continue  # It has been deleted or changed in the meantime.
        return instance, False
    raise queryset.model.DoesNotExist(f"The {queryset.model.__name__} was deleted each time it was found.")


async def _find(queryset: WriteMethods[M, Any], lookups: Values, *, locking: bool = False) -> M | None:
    """The row that matches, None if there is none.

    With `locking`, it is found even if another transaction committed it after the present one began.
    """
    query = queryset.filter(**lookups)._query
    try:
        instance: M = await queryset._clone(query.replace(lock=LATEST if locking else None)).get()
    except queryset.model.DoesNotExist:
        return None
    return instance


async def _create(queryset: WriteMethods[M, Any], lookups: Values, defaults: Values | None) -> M:
    aliases = queryset.model._meta.aliases
    values = {name.removesuffix("__exact"): value for name, value in lookups.items()}
    values = {aliases.get(name, name): value for name, value in values.items() if "__" not in name or name in aliases}
    values.update(_resolve_callables(defaults or {}))
    # A failed statement would abort an outer transaction; a savepoint protects it.
    async with queryset.database.transaction():
        return await queryset.create(**values)


def _as_written(info: ModelInfo, lookups: Values) -> Values:
    """The lookups with the values that a new row would have: text without the blanks that its field removes.

    Otherwise the row that is written would not be found the next time. Values that are not valid stay as they are.
    """
    return {name: _value_as_written(info, name.removesuffix("__exact"), value) for name, value in lookups.items()}


def _value_as_written(info: ModelInfo, name: str, value: Any) -> Any:
    embedded = info.composed.get(name)
    if isinstance(embedded, Embedded) and value is not None:
        try:
            return embedded.value_of(embedded.validated(value).values())
        except typesystem.ValidationError:
            return value
    if not isinstance(value, (str, list, tuple)):
        return value
    field = info.pk_fields[0] if name == "pk" and len(info.pk_fields) == 1 else info.field(name)
    if field is None:
        return value
    validated, error = field.validator.validate_or_error(value)
    return value if error else validated


def _resolve_callables(values: Values) -> dict[str, Any]:
    return {name: value() if callable(value) else value for name, value in values.items()}
