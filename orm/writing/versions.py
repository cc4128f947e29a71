"""Optimistic locking: an instance writes its row only if the row still has the instance's version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import databases

from orm import execution
from orm.exceptions import QueryError, StaleObject
from orm.lookups.base import Lookup, lookup_for
from orm.query.conditions.base import LookupPredicate, and_
from orm.query.locking import Lock
from orm.query.paths import MAX_CACHED, resolve_path
from orm.query.query import Query
from orm.query.terms.base import PathTerm, Term
from orm.utils.articles import with_article

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

CHECKED_AT_ONCE = 1000


@lru_cache(MAX_CACHED)
def _comparison(info: ModelInfo, field: Field[Any], lookup: str) -> tuple[Term, Lookup]:
    return PathTerm.of(resolve_path(info, field.attname, "a key")), lookup_for(field, lookup)


def version_of(instance: Model) -> int:
    """The version that the instance was loaded with. Raises `NotLoaded` if it was loaded without."""
    field = instance._meta.version
    assert field is not None
    if field.attname not in instance.__dict__:
        raise instance._missing_attribute(field)
    version = instance.__dict__[field.attname]
    if type(version) is not int:
        type_name = with_article(type(version).__name__)
        raise QueryError(f"{instance._meta.name}.{field.name} is a whole number, not {type_name}.")
    return version


def next_version(instance: Model) -> Mapping[str, int]:
    """The next version of the row, by field name; empty if the model has no version field."""
    field = instance._meta.version
    return {} if field is None else {field.name: version_of(instance) + 1}


def of_same_version(query: Query, instance: Model) -> Query:
    """The query of the instance's row, with the condition that it still has the instance's version."""
    info = instance._meta
    if info.version is None:
        return query
    predicate = LookupPredicate.of(*_comparison(info, info.version, "exact"), version_of(instance))
    return query.replace(where=and_(query.where, predicate))


async def stale_error(query: Query, instance: Model, database: databases.Database) -> StaleObject:
    """The error for an instance whose row, of `query`, has another version or was deleted."""
    rows = await execution.fetch(query, database, outside_units=True)
    return _error(instance, version_of(rows[0]) if rows else None)


def _error(instance: Model, current: int | None) -> StaleObject:
    info, expected = instance._meta, version_of(instance)
    state = "has been deleted" if current is None else f"has version {current} now"
    return StaleObject(
        f"{info.name} {instance.pk!r} was loaded with version {expected}, and {state}: load it again, and repeat what "
        "you have changed",
        instance.pk,
        expected,
        current,
    )


async def check_versions(query: Query, instances: Sequence[Model], database: databases.Database) -> None:
    """Lock the rows of the instances in the current transaction. Raises `StaleObject` for another version."""
    by_key = {instance.pk: instance for instance in reversed(instances)}
    for row in await _locked(query, list(by_key), database):
        instance = by_key.get(row.pk)
        if instance is not None and version_of(row) != version_of(instance):
            raise _error(instance, version_of(row))


async def locked_versions(query: Query, keys: Sequence[Any], database: databases.Database) -> dict[Any, int]:
    """The versions of the rows with these keys, by key, which are locked in the current transaction."""
    return {row.pk: version_of(row) for row in await _locked(query, keys, database)} if keys else {}


async def _locked(query: Query, keys: Sequence[Any], database: databases.Database) -> list[Model]:
    info = query.info
    rows: list[Model] = []
    for start in range(0, len(keys), CHECKED_AT_ONCE):
        where = query.where
        for position, field in enumerate(info.pk_fields):
            values = {info.split_pk(key)[position] for key in keys[start : start + CHECKED_AT_ONCE]}
            where = and_(where, LookupPredicate.of(*_comparison(info, field, "in"), list(values)))
        rows += await execution.fetch(query.replace(where=where, lock=Lock()), database, outside_units=True)
    return rows
