"""New rows in multi-table inheritance: in the table of the model, and in those of the models that it inherits from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import databases

from orm import execution
from orm.query.plans.write import assign_values
from orm.query.query import Query, rows_of_model

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model


async def insert_with_parents(instance: Model, values: dict[str, Any], database: databases.Database) -> dict[str, Any]:
    """Insert the rows of an instance, in one transaction; returns what the database generated, and the links, by name.

    As in Django, a row of another model that exists already is updated: that of the instance's key.
    """
    async with database.transaction():
        return await _insert(instance._meta.relation_owner, dict(values), database, set())


async def _insert(
    info: ModelInfo, values: dict[str, Any], database: databases.Database, written: set[ModelInfo]
) -> dict[str, Any]:
    """Insert the row of `info`, after those of the models that it inherits from, each of which is written once."""
    generated: dict[str, Any] = {}
    for link in info.parent_links:
        parent, (key,) = link.target._meta.relation_owner, link.target._meta.pk_fields
        if values.get(key.name) is None:
            values[key.name] = values.get(link.name)
        if values[key.name] is None:
            del values[key.name]
        if parent not in written:
            written.add(parent)
            is_new = values.get(key.name) is None or key.has_default()
            if is_new or not await _update(parent, values, database):
                generated.update(await _insert(parent, values, database, written))
                values.update(generated)
        generated[link.name] = values[link.name] = generated[key.name] = values[key.name]
        if parent.ancestors:
            for field in parent.pk_fields:
                values.setdefault(field.name, values[key.name])
    local = {name: values[name] for name, field in info.local_fields.items() if name in values}
    generated.update(await execution.insert(info, local, database))
    return generated


async def _update(info: ModelInfo, values: dict[str, Any], database: databases.Database) -> bool:
    """Update the row with the key in `values`; returns whether it exists."""
    (key,) = info.pk_fields
    query: Query = rows_of_model(info).filter((), {key.attname: values[key.name]})
    names = [name for name, field in info.fields.items() if not (field.primary_key or field.is_generated)]
    assignments = assign_values(info, {name: values[name] for name in names if name in values})
    if not assignments:
        return await execution.exists(query, database)
    return bool(await execution.update(query, assignments, database))
