"""Writes many rows in one transaction: `bulk_create()`, `upsert()` and `bulk_update()`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeVar, cast

import databases

from orm import execution
from orm.database.connections.server_dialect import cached_dialect, dialect_of
from orm.database.connections.session import Session
from orm.database.dialect import Dialect
from orm.exceptions import QueryError
from orm.fields import Field
from orm.query.conditions.base import and_
from orm.query.on_conflict import Conflict
from orm.query.plans.bulk_update import BulkUpdate
from orm.query.plans.plan import UnstorableArgument
from orm.query.plans.write import (
    Assignments,
    WriteTerm,
    batched,
    bulk_insert,
    resolve_assignments,
    target_rows_query,
    update_plan,
)
from orm.query.query import Query
from orm.rows.writers import inserted_fields
from orm.utils.gc_control import call_with_gc_paused, collect_if_grown
from orm.utils.memoized import memoized_property
from orm.writing.instances import copy_related_keys, prepare_insert, row_query, split_update

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

M = TypeVar("M", bound="Model")
# From this number of rows on, it pays to ask the server whether their keys can be computed instead of returned.
MIN_ROWS_TO_ASK = 500


def check_batch_size(batch_size: int | None) -> None:
    """Raise `QueryError` if a batch cannot have this size."""
    if batch_size is not None and batch_size < 1:
        raise QueryError(f"batch_size must be at least 1, got {batch_size}.")


def instances_of(model: type[M], rows: Iterable[M | Mapping[str, Any]], what: str) -> list[M]:
    """Instances for rows that are instances or dicts. `what` is the name of the method, for the error."""
    instances: list[M] = []
    for row in rows:
        if isinstance(row, model):
            pass
        elif isinstance(row, Mapping):
            row = model(**row)
        else:
            raise QueryError(f"{what} takes {model.__name__} instances or dicts, got {type(row).__name__}.")
        instances.append(row)
    return instances


# Creating.


async def create(
    info: ModelInfo,
    instances: Sequence[Model],
    database: databases.Database,
    batch_size: int | None,
    conflict: Conflict | None,
) -> None:
    """Insert the instances in one transaction, and set the values that the database generates."""
    if cached_dialect(database) is None:
        # Validate before the first connection is opened to learn which server it is.
        for instance in instances:
            prepare_insert(instance)
    insertion = Insertion(_batches(info, instances, await dialect_of(database), conflict), batch_size)
    async with Session(database) as session:
        await insertion.prepare(session)
        if insertion.is_one_statement:
            await insertion.run(session)
        else:
            async with session.transaction():
                await insertion.run(session)
    insertion.finish()


def _batches(info: ModelInfo, instances: Sequence[Model], dialect: Dialect, conflict: Conflict | None) -> list[Batch]:
    """Validate the instances and convert them to rows, in one batch for each set of fields."""
    first = Batch(dialect, info, inserted_fields(info, instances[0]), conflict)
    batches = {first.fields: first}

    def write_other(instance: Model) -> tuple[Any, ...] | None:
        """The row of an instance that the generated writer cannot convert; None if it goes to another batch."""
        validated = prepare_insert(instance)
        fields = tuple(info.fields[name] for name in validated)
        batch = batches.get(fields)
        if batch is None:
            batch = batches[fields] = Batch(dialect, info, fields, conflict)
        try:
            row = batch.bulk.converted([*validated.values()])
        except UnstorableArgument as error:
            raise execution.unstorable_value_error([(fields[error.position], error.reason)]) from error
        if batch is first:
            return row
        batch.attributes.append(instance.__dict__)
        batch.rows.append(row)
        return None

    collect_if_grown()
    rows = call_with_gc_paused(first.bulk.write, instances, write_other)
    if len(batches) == 1:
        first.attributes = [instance.__dict__ for instance in instances]
        first.rows = cast("list[tuple[Any, ...]]", rows)
    else:
        for instance, row in zip(instances, rows, strict=True):
            if row is not None:
                first.attributes.append(instance.__dict__)
                first.rows.append(row)
    return [batch for batch in batches.values() if batch.rows]


def batches_of(dialect: Dialect, info: ModelInfo, rows: Sequence[dict[str, Any]]) -> list[Batch]:
    """One batch for each set of fields, of rows given as dicts of validated values by attribute.

    The values that the database generates are added to the dicts.
    """
    batches: dict[tuple[str, ...], Batch] = {}
    for row in rows:
        batch = batches.get(tuple(row))
        if batch is None:
            fields = tuple(info.by_attname[name] for name in row)
            batch = batches[tuple(row)] = Batch(dialect, info, fields, None)
        try:
            batch.rows.append(batch.bulk.converted([*row.values()]))
        except UnstorableArgument as error:
            raise execution.unstorable_value_error([(batch.fields[error.position], error.reason)]) from error
        batch.attributes.append(row)
    return [*batches.values()]


class Insertion:
    """The INSERT statements of batches of rows, as few as possible."""

    def __init__(self, batches: Iterable[Batch], batch_size: int | None = None) -> None:
        self._batches = batches
        self._batch_size = batch_size

    async def prepare(self, session: Session) -> None:
        """Decide how the rows are inserted; this may ask the server."""
        for batch in self._batches:
            await batch.prepare(session)

    @memoized_property
    def _chunks(self) -> list[_Chunk]:
        return [chunk for batch in self._batches for chunk in batch.chunks(self._batch_size)]

    @property
    def is_one_statement(self) -> bool:
        """Whether there is only one statement, so that no transaction is needed."""
        return len(self._chunks) == 1

    async def run(self, session: Session) -> None:
        """Send the statements."""
        for batch in self._batches:
            await batch.fetch_key_step(session)
        for chunk in self._chunks:
            await chunk.insert(session)

    def finish(self) -> None:
        """Set the values that the database generated, and mark the instances as saved."""
        for chunk in self._chunks:
            chunk.finish()


class Batch:
    """Rows that are inserted with the same fields.

    `attributes` are the dicts, those of the instances, that receive the values that the database generates.
    """

    def __init__(
        self, dialect: Dialect, info: ModelInfo, fields: tuple[Field[Any], ...], conflict: Conflict | None
    ) -> None:
        self.fields = fields
        self.attributes: list[dict[str, Any]] = []
        self.rows: list[tuple[Any, ...]] = []
        self.missing = execution.database_generated_fields(info, fields)
        returning: tuple[Field[Any], ...] = ()
        if conflict is None:
            returning = (*info.pk_fields, *self.missing) if self.missing else ()
        elif not conflict.ignores:
            returning = (*info.pk_fields, *self.missing, *conflict.unique)
        returning = tuple(dict.fromkeys(returning)) if dialect.insert_returning else ()
        self.bulk = bulk_insert(dialect, info, fields, returning, conflict)
        self.key_step = 1
        """The difference between consecutive keys that the database generates in one statement."""

    async def prepare(self, session: Session) -> None:
        """For many rows, ask whether their keys can be computed from the first one, without RETURNING."""
        bulk = self.bulk
        if len(self.rows) < MIN_ROWS_TO_ASK or session.in_transaction:
            return
        plan = bulk.consecutive_keys_plan
        if plan is not None and (await session.fetch(*plan.statement(())))[0][0]:
            self.bulk = bulk.without_returning

    async def fetch_key_step(self, session: Session) -> None:
        """Fetch the server's setting for `key_step`, if it has one and keys are generated."""
        sql = self.bulk.dialect.key_step_query
        if sql is not None and len(self.rows) > 1 and self.bulk.info.generated in self.missing:
            self.key_step = (await session.fetch(sql))[0][0]

    def chunks(self, batch_size: int | None) -> Iterable[_Chunk]:
        """The rows divided among statements."""
        size = self.bulk.chunk_size(batch_size)
        for start in range(0, len(self.rows), size):
            part = slice(start, start + size)
            yield _Chunk(self, self.attributes[part], self.rows[part])


class _Chunk:
    """The rows of one statement."""

    def __init__(self, batch: Batch, attributes: Sequence[dict[str, Any]], rows: Sequence[tuple[Any, ...]]) -> None:
        self.batch = batch
        self.attributes = attributes
        self.sql, self.arguments, self.plan = batch.bulk.statement(rows)
        self.generated_names: tuple[str, ...] = ()
        """The attributes whose values the database generated."""
        self.generated_values: Iterable[tuple[Any, ...]] | None = None
        """Their values for each row. None before the INSERT, and if the database returns neither keys nor rows."""

    async def insert(self, session: Session) -> None:
        """Execute the INSERT, and keep the values that the database generated."""
        bulk = self.batch.bulk
        generated, conflict = bulk.info.generated, bulk.conflict
        generates = generated is not None and generated in self.batch.missing
        if self.plan.reader is None:
            outcome = await session.execute(self.sql, self.arguments)
            if conflict is not None and (conflict.ignores or generates):
                return
            self.generated_values = repeat((), len(self.attributes))
            if conflict is None and generated is not None and generates and outcome.lastrowid:
                # The keys that one statement generates are consecutive.
                self.generated_names = (generated.attname,)
                keys = bulk.dialect.generated_keys(outcome.lastrowid, len(self.attributes), self.batch.key_step)
                self.generated_values = zip(keys)
            return
        returned = self.plan.reader(await session.fetch(self.sql, self.arguments))
        self.generated_names = tuple(field.attname for field in bulk.returning)
        if generated is not None and generates and conflict is None:
            self.generated_values = bulk.dialect.in_insert_order(returned, bulk.returning.index(generated))
        else:
            key = conflict.unique if conflict is not None else bulk.info.pk_fields
            key_names = [field.attname for field in key]
            self.generated_values = _in_input_order(returned, self.generated_names, self.attributes, key_names)

    def finish(self) -> None:
        """Set the values that the database generated, and mark the instances as saved."""
        if self.generated_values is None:
            return
        names = self.generated_names
        if len(names) == 1:
            name = names[0]
            for attributes, (value,) in zip(self.attributes, self.generated_values, strict=True):
                attributes[name] = value
                attributes.pop("_persisted", None)
            return
        for attributes, values in zip(self.attributes, self.generated_values, strict=True):
            attributes.update(zip(names, values, strict=True))
            attributes.pop("_persisted", None)


def _in_input_order(
    returned: Sequence[tuple[Any, ...]],
    names: Sequence[str],
    rows: Sequence[dict[str, Any]],
    key_names: Sequence[str],
) -> Sequence[tuple[Any, ...]]:
    """The returned rows, with the columns `names`, in the order of the inserted `rows`, matched by their key.

    If a row cannot be matched (the database stored another spelling of its key), they stay in the order in which they
    were returned.
    """
    if not key_names or any(name not in row for row in rows for name in key_names):
        return returned
    if any(isinstance(row[name], (list, dict)) for row in rows for name in key_names):
        return returned
    positions = [names.index(name) for name in key_names]
    by_key = {tuple(row[position] for position in positions): row for row in returned}
    matched = [by_key.get(tuple(row[name] for name in key_names)) for row in rows]
    return returned if None in matched else [row for row in matched if row is not None]


def updated_fields(info: ModelInfo, row: Model | Mapping[str, Any], unique_fields: Iterable[str]) -> tuple[str, ...]:
    """The fields that an upsert of this row updates by default: those that it has, except the key and `unique_fields`.

    Of a row that has nothing else, the unique fields: they keep their values, and the statement returns the key.
    """
    if not isinstance(row, (info.model, Mapping)):
        raise QueryError(f"upsert() takes {info.name} instances or dicts, got {type(row).__name__}.")
    names = row if isinstance(row, Mapping) else row.__dict__
    fields = dict.fromkeys(field for name in names if name in info.settable for field in info.fields_for(name))
    values = [field for field in fields if not field.primary_key]
    unique = set(unique_fields)
    rest = [field for field in values if not {field.name, field.attname} & unique]
    return tuple(sorted(field.name for field in rest or values))


# Updating.


async def update(
    query: Query,
    instances: Sequence[Model],
    names: Sequence[str],
    batch_size: int | None,
    database: databases.Database,
) -> int:
    """Update the rows of the instances with these fields; returns the number of rows that matched."""
    info = query.info
    fields = _updated_fields(info, names)
    for instance in instances:
        if instance.pk is None:
            raise QueryError(f"bulk_update() takes saved instances, and this {info.name} has no primary key.")
    prepared = [_prepare_update(query, instance, fields) for instance in instances]
    if not instances or query.is_empty:
        return 0
    dialect = await dialect_of(database)
    statements: list[tuple[str, Sequence[Any]]] = []
    for batch in batched(range(len(instances)), batch_size or len(instances)):
        for positions in _by_shape(instances, prepared, batch):
            update = BulkUpdate(dialect, query, prepared[positions[0]])
            if not update.possible:
                statements += [_single(dialect, query, instances[i], prepared[i]) for i in positions]
                continue
            for chunk in batched(positions, dialect.max_rows_per_statement):
                rows = [_row(info, instances[i], prepared[i]) for i in chunk]
                try:
                    statements.append(update.statement(rows))
                except UnstorableArgument as error:
                    raise _unstorable(info, prepared[positions[0]], error) from error
    matched = 0
    async with Session(database) as session:
        if len(statements) == 1:
            matched = (await session.execute(*statements[0])).rowcount
        else:
            async with session.transaction():
                for statement in statements:
                    matched += (await session.execute(*statement)).rowcount
    for instance, assignments in zip(instances, prepared, strict=True):
        _finish_update(instance, assignments)
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


def _prepare_update(query: Query, instance: Model, fields: Sequence[Field[Any]]) -> Assignments:
    info = query.info
    copy_related_keys(instance)
    attributes = instance.__dict__
    for field in fields:
        if field.attname not in attributes:
            raise instance._missing_attribute(field)
    plain, expressions, _ = split_update(info, {field.name: attributes[field.attname] for field in fields})
    return resolve_assignments(query, info.validator.update(plain), expressions)


def _by_shape(
    instances: Sequence[Model], prepared: Sequence[Assignments], positions: Iterable[int]
) -> Iterable[list[int]]:
    """The positions in groups that one statement can update. Of several instances of a row, the first counts."""
    groups: dict[Hashable, list[int]] = {}
    seen = set()
    for position in positions:
        key = instances[position].pk
        if key in seen:
            continue
        seen.add(key)
        shape = tuple((field, term.key) for field, term in prepared[position])
        groups.setdefault(shape, []).append(position)
    return groups.values()


def _row(info: ModelInfo, instance: Model, assignments: Assignments) -> tuple[Any, ...]:
    return (*info.split_pk(instance.pk), *(value for _, term in assignments for value in term.values))


def _single(dialect: Dialect, query: Query, instance: Model, assignments: Assignments) -> tuple[str, Sequence[Any]]:
    """The UPDATE of one row, for assignments that a table of values cannot express."""
    one_row = target_rows_query(query.replace(where=and_(query.where, row_query(instance).where)))
    return execution.bind_update(update_plan(dialect, one_row, assignments), one_row, assignments)


def _unstorable(info: ModelInfo, assignments: Assignments, error: UnstorableArgument) -> Exception:
    columns = [*info.pk_fields, *(field for field, term in assignments for _ in term.values)]
    if error.position < len(columns):
        return execution.unstorable_value_error([(columns[error.position], error.reason)])
    return QueryError(f"A value in this query of {info.name} cannot be sent to the database: {error.reason}")


def _finish_update(instance: Model, assignments: Assignments) -> None:
    for field, term in assignments:
        if isinstance(term, WriteTerm):
            instance.__dict__[field.attname] = term.values[0]
        else:
            # Only the database knows the new value.
            instance.__dict__.pop(field.attname, None)
