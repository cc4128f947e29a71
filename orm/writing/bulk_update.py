"""Updates many rows in one transaction: `bulk_update()`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import databases

from orm import execution
from orm.database.connections.checkout import Checkout
from orm.database.connections.server_dialect import dialect_of
from orm.database.dialect import Dialect
from orm.exceptions import IntegrityError, QueryError
from orm.fields import Field
from orm.mapping.changes import SNAPSHOT, mark_saved
from orm.mapping.violations import identify
from orm.query.conditions.base import and_
from orm.query.plans.bulk_update import BulkUpdate
from orm.query.plans.plan import UnstorableArgument
from orm.query.plans.write import Assignments, WriteTerm, batched, resolve_assignments, target_rows_query, update_plan
from orm.query.query import Query, rows_of_model
from orm.utils.slices import in_slices, slices
from orm.writing.bulk_rows import RowErrors
from orm.writing.instances import copy_related_keys, row_query, split_update
from orm.writing.read_back import Key, read_back, set_calculated
from orm.writing.versions import check_versions, next_version

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model


async def bulk_update(
    query: Query,
    instances: Sequence[Model],
    names: Sequence[str],
    batch_size: int | None,
    database: databases.Database,
) -> int:
    """Update the rows of the instances with these fields; returns the number of rows that matched.

    Raises `StaleObject`, and updates nothing, if the row of one has another version.
    """
    if query.info.ancestors:
        return await _update_tables(query, instances, names, batch_size, database)
    if query.info.version is None or query.is_empty:
        return await _update(query, instances, names, batch_size, database)
    async with database.transaction():
        await check_versions(query, instances, database)
        return await _update(query, instances, names, batch_size, database)


async def _update_tables(
    query: Query,
    instances: Sequence[Model],
    names: Sequence[str],
    batch_size: int | None,
    database: databases.Database,
) -> int:
    """`bulk_update` in multi-table inheritance: each table's fields by themselves."""
    info = query.info
    by_table: dict[ModelInfo, list[str]] = {}
    for field in _updated_fields(info, names):
        chain = info.chain_to(field)
        by_table.setdefault(chain[-1].target._meta if chain else info, []).append(field.name)
    async with database.transaction():
        keys = [instance.pk for instance in instances]
        # Which rows the query matches is read before the updates, which may change that.
        rows = await execution.locked_keys(query.filter((), {"pk__in": keys}), database) if instances else []
        matched = {key for (key,) in rows}
        to_key = info.pk_fields[0].to_python
        instances = [instance for instance in instances if to_key(instance.pk) in matched]
        for table, part in by_table.items():
            await _update(rows_of_model(table), instances, part, batch_size, database)
    return len(matched)


async def _update(
    query: Query,
    instances: Sequence[Model],
    names: Sequence[str],
    batch_size: int | None,
    database: databases.Database,
) -> int:
    info = query.info
    fields = _updated_fields(info, names)
    for instance in instances:
        if instance.pk is None:
            raise QueryError(f"bulk_update() takes saved instances, and this {info.name} has no primary key.")
    errors = RowErrors(instances)
    prepare = partial(_prepare_update, query, fields)
    every = await in_slices(lambda part: [errors.collect(instance, prepare) for instance in part], instances)
    errors.raise_any()
    prepared = [assignments for assignments in every if assignments is not None]
    if not instances or query.is_empty:
        return 0
    dialect = await dialect_of(database)
    statements: list[tuple[str, Sequence[Any]]] = []
    for batch in batched(range(len(instances)), batch_size or len(instances)):
        for positions in await _by_shape(instances, prepared, batch):
            update = BulkUpdate(dialect, query, prepared[positions[0]])
            if not update.possible:
                statements += [_single(dialect, query, instances[i], prepared[i]) for i in positions]
                continue
            async for chunk in slices(positions, dialect.max_rows_per_statement):
                rows = [_row(info, instances[i], prepared[i]) for i in chunk]
                try:
                    statements.append(update.statement(rows))
                except UnstorableArgument as error:
                    raise _unstorable(info, prepared[positions[0]], error) from error
    matched = 0
    calculated: dict[Key, tuple[Any, ...]] = {}
    try:
        async with Checkout(database) as checkout:
            if len(statements) == 1:
                matched = (await checkout.execute(*statements[0])).rowcount
            else:
                async with checkout.transaction():
                    for statement in statements:
                        matched += (await checkout.execute(*statement)).rowcount
            if info.calculated:
                keys = [info.split_pk(instance.pk) for instance in instances]
                calculated = await read_back(info, info.calculated, keys, checkout, dialect)
    except IntegrityError as error:
        identify(error, info)
        raise
    for instance in instances if info.calculated else ():
        set_calculated(info, instance.__dict__, calculated.get(info.split_pk(instance.pk)))
    updates = zip(instances, prepared, strict=True)
    try:
        async for part in slices(instances):
            for instance, assignments in islice(updates, len(part)):
                _finish_update(instance, assignments, database)
    finally:
        for instance, assignments in updates:  # if the task is cancelled: the rows are committed
            _finish_update(instance, assignments, database)
    return matched


def _updated_fields(info: ModelInfo, names: Sequence[str]) -> tuple[Field[Any], ...]:
    if isinstance(names, str) or not names:
        raise QueryError("bulk_update() takes the names of the fields to write, as a list.")
    fields = []
    for name in names:
        named_fields = info.fields_for(name)
        if not named_fields:
            raise info.unknown(name, "a field of bulk_update()")
        for field in named_fields:
            if field.primary_key:
                raise QueryError(f"bulk_update() cannot write the primary key ({info.name}.{field.name}).")
            fields.append(field)
    return tuple(dict.fromkeys(fields))


def _prepare_update(query: Query, fields: Sequence[Field[Any]], instance: Model) -> Assignments:
    info = query.info
    copy_related_keys(instance, fields)
    attributes = instance.__dict__
    for field in fields:
        if field.attname not in attributes:
            raise instance._missing_attribute(field)
    plain, expressions, _ = split_update(instance._meta, {field.name: attributes[field.attname] for field in fields})
    return resolve_assignments(query, {**info.validator.update(plain), **next_version(instance)}, expressions)


async def _by_shape(
    instances: Sequence[Model], prepared: Sequence[Assignments], positions: Sequence[int]
) -> Iterable[list[int]]:
    """The positions in groups that one statement can update. Of several instances of a row, the first counts."""
    groups: dict[Hashable, list[int]] = {}
    seen = set()
    async for part in slices(positions):
        for position in part:
            key = instances[position].pk
            if key in seen:
                continue
            seen.add(key)
            shape = tuple((field, term.key) for field, term in prepared[position])
            groups.setdefault(shape, []).append(position)
    return groups.values()


def _row(info: ModelInfo, instance: Model, assignments: Assignments) -> tuple[Any, ...]:
    return (*info.split_pk(info.get_pk(instance)), *(value for _, term in assignments for value in term.values))


def _single(dialect: Dialect, query: Query, instance: Model, assignments: Assignments) -> tuple[str, Sequence[Any]]:
    """The UPDATE of one row, for assignments that a table of values cannot express."""
    if query.info.concrete is instance._meta.concrete:
        one_row = target_rows_query(query.replace(where=and_(query.where, row_query(instance).where)))
    else:  # another table of multi-table inheritance
        one_row = target_rows_query(query.filter((), {"pk": query.info.get_pk(instance)}))
    return execution.bind_update(update_plan(dialect, one_row, assignments), one_row, assignments)


def _unstorable(info: ModelInfo, assignments: Assignments, error: UnstorableArgument) -> Exception:
    columns = [*info.pk_fields, *(field for field, term in assignments for _ in term.values)]
    if error.position < len(columns):
        return execution.unstorable_value_error([(columns[error.position], error.reason)])
    return QueryError(f"A value in this query of {info.name} cannot be sent to the database: {error.reason}")


def _finish_update(instance: Model, assignments: Assignments, database: databases.Database) -> None:
    for field, term in assignments:
        if isinstance(term, WriteTerm):
            instance.__dict__[field.attname] = term.values[0]
        else:
            # Only the database knows the new value.
            instance.__dict__.pop(field.attname, None)
    if SNAPSHOT in instance.__dict__:
        mark_saved(instance, database, [field.name for field, _ in assignments])
