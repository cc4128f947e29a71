"""The rows of ``update(returning=)`` and ``delete(returning=)``, also where a statement cannot return them.

There (UPDATE on MySQL and MariaDB, DELETE on MySQL, and both where a row is in several tables) one transaction locks
the rows, writes them and reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import databases

from orm import execution
from orm.database.connections.server_dialect import dialect_of
from orm.exceptions import NotSupportedError
from orm.query.locking import Lock
from orm.query.plans.write import Assignments, batched
from orm.query.projection import Projection
from orm.query.query import Query

ROWS_AT_ONCE = 1000
COMPOSITE_KEYS_AT_ONCE = 100


async def update_returning(
    query: Query, assignments: Assignments, returning: Projection, database: databases.Database
) -> list[Any]:
    """Set fields of a query's rows. Returns what `returning` selects of each, after the update.

    Raises `NotSupportedError` if the primary key is set where the rows are read by it afterwards.
    """
    one_table = not query.info.ancestors
    if query.is_empty or (one_table and (await dialect_of(database)).update_returning):
        return await execution.update_returning(query, assignments, returning, database)
    for field, _ in assignments:
        if field.primary_key:
            raise NotSupportedError(
                f"update(returning=) of {query.info.name}.{field.name}, its primary key, is not possible on MySQL and "
                "MariaDB, where the rows are read by it after the update: leave out returning=."
            )
    rows: list[Any] = []
    async with database.transaction():
        for keys in await _locked(query, database):
            await execution.update(query.filter((), {"pk__in": keys}), assignments, database)
            rows += await _rows(query, keys, returning, database)
    return rows


async def delete_returning(query: Query, returning: Projection, database: databases.Database) -> list[Any]:
    """Delete a query's rows. Returns what `returning` selects of each."""
    one_table = not query.info.ancestors
    if query.is_empty or (one_table and (await dialect_of(database)).delete_returning):
        return await execution.delete_returning(query, returning, database)
    rows: list[Any] = []
    async with database.transaction():
        for keys in await _locked(query, database):
            rows += await _rows(query, keys, returning, database)
            await execution.delete(query.filter((), {"pk__in": keys}), database)
    return rows


async def _locked(query: Query, database: databases.Database) -> list[Sequence[Any]]:
    """The keys of the query's rows, which are locked until the end of the transaction, in batches."""
    keys = await execution.locked_keys(query, database)
    if len(query.info.pk_fields) == 1:
        return list(batched([key for (key,) in keys], ROWS_AT_ONCE))
    return list(batched(keys, COMPOSITE_KEYS_AT_ONCE))


async def _rows(query: Query, keys: Sequence[Any], returning: Projection, database: databases.Database) -> list[Any]:
    # With a lock, which the transaction has: a read without one may see an older state of a row that kept its values.
    by_key = Query(query.info, returning).filter((), {"pk__in": keys}).replace(ordering=(), lock=Lock())
    return await execution.fetch(by_key, database)
