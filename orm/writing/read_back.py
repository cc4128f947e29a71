"""Reads the values that the database has set in rows: after an INSERT that does not return them, and an UPDATE."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import databases

from orm import execution
from orm.database.connections.checkout import Checkout
from orm.database.connections.server_dialect import dialect_of
from orm.database.dialect import Dialect
from orm.execution import bind_arguments
from orm.lookups.base import lookup_for
from orm.query.columns import Columns
from orm.query.conditions.base import EVERYTHING, LookupPredicate, Predicate, and_
from orm.query.paths import MAX_CACHED, resolve_path
from orm.query.plans.select import rows_plan
from orm.query.plans.write import Assignments
from orm.query.query import Query
from orm.query.terms.base import PathTerm

if TYPE_CHECKING:
    from orm.fields import Field
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

ROWS_AT_ONCE = 1000

Key = tuple[Hashable, ...]


async def read_back(
    info: ModelInfo, fields: Sequence[Field[Any]], keys: Sequence[Key], checkout: Checkout, dialect: Dialect
) -> dict[Key, tuple[Any, ...]]:
    """The values of these fields of the rows with these primary keys, by the key."""
    columns = _columns(info, (*info.pk_fields, *fields))
    width = len(info.pk_fields)
    by_key: dict[Key, tuple[Any, ...]] = {}
    for start in range(0, len(keys), ROWS_AT_ONCE):
        where: Predicate = EVERYTHING
        for position, field in enumerate(info.pk_fields):
            values = list({key[position] for key in keys[start : start + ROWS_AT_ONCE]})
            where = and_(where, LookupPredicate.of(_term(info, field), lookup_for(field, "in"), values))
        query = Query(info, columns).replace(where=where)
        plan = rows_plan(dialect, query)
        assert plan.reader is not None
        for row in await checkout.fetch_objects(*bind_arguments(plan, query, query.values), plan.reader):
            by_key[row[:width]] = row[width:]
    return by_key


async def read_missing(info: ModelInfo, attributes: dict[str, Any], database: databases.Database) -> None:
    """Set the values that the database has put into a row that has just been inserted."""
    fields = [field for field in info.fields.values() if field.attname not in attributes]
    key = key_of(info, attributes)
    if not fields or key is None:
        return
    async with Checkout(database) as checkout:
        rows = await read_back(info, fields, [key], checkout, await dialect_of(database))
    if key in rows:
        attributes.update(zip((field.attname for field in fields), rows[key], strict=True))


async def update_and_read_back(
    instance: Model, query: Query, assignments: Assignments, database: databases.Database
) -> int:
    """Update the row of an instance, and set the fields that the database calculates; returns the number of rows."""
    info, attributes = instance._meta, instance.__dict__
    dialect = await dialect_of(database)
    if dialect.update_returning and not info.ancestors:
        rows = await execution.update_returning(query, assignments, _columns(info, info.calculated), database)
        matched = len(rows)
    else:
        matched = await execution.update(query, assignments, database)
        key = key_of(info, attributes)
        async with Checkout(database) as checkout:
            by_key = await read_back(info, info.calculated, [key], checkout, dialect) if key and matched else {}
        rows = list(by_key.values())
    if matched:
        set_calculated(info, attributes, rows[0] if rows else None)
    return matched


def set_calculated(info: ModelInfo, attributes: dict[str, Any], values: tuple[Any, ...] | None) -> None:
    """Set the fields that the database calculates; without `values` they are unknown."""
    for field in info.calculated:
        attributes.pop(field.attname, None)
    if values is not None:
        attributes.update(zip((field.attname for field in info.calculated), values, strict=True))


def key_of(info: ModelInfo, attributes: Mapping[str, Any]) -> Key | None:
    """The primary key in these attributes; None if they lack a part of it."""
    key = tuple(attributes.get(field.attname) for field in info.pk_fields)
    return None if None in key else key


@lru_cache(MAX_CACHED)
def _columns(info: ModelInfo, fields: tuple[Field[Any], ...]) -> Columns:
    return Columns("tuples", tuple(field.attname for field in fields), tuple(_term(info, field) for field in fields))


def _term(info: ModelInfo, field: Field[Any]) -> PathTerm:
    return PathTerm.of(resolve_path(info, field.attname, "a field"))
