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
from orm.query.plans.bulk_update import BatchUpdate
from orm.query.plans.plan import UnstorableArgument
from orm.query.plans.write import (
    Assignments,
    WriteTerm,
    bulk_insert,
    chunks,
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
# So many rows are worth a question about how to insert them.
MANY = 500


def check_batch_size(batch_size: int | None) -> None:
    """Raise `QueryError` unless a batch can have this size."""
    if batch_size is not None and batch_size < 1:
        raise QueryError(f"batch_size must be at least 1, got {batch_size}.")


def instances_of(model: type[M], rows: Iterable[M | Mapping[str, Any]], what: str) -> list[M]:
    """Rows given as instances or dicts, as instances."""
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
    """Insert the instances in one transaction, and give them what the database filled in."""
    if cached_dialect(database) is None:
        # Which database it is must be asked of it, and invalid values are refused before that.
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
    """The instances with their rows, divided by which fields these have."""
    first = Batch(dialect, info, inserted_fields(info, instances[0]), conflict)
    batches = {first.fields: first}

    def other(instance: Model) -> tuple[Any, ...] | None:
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
        batch.held.append(instance.__dict__)
        batch.rows.append(row)
        return None

    collect_if_grown()
    rows = call_with_gc_paused(first.bulk.write, instances, other)
    if len(batches) == 1:
        first.held = [instance.__dict__ for instance in instances]
        first.rows = cast("list[tuple[Any, ...]]", rows)
    else:
        for instance, row in zip(instances, rows, strict=True):
            if row is not None:
                first.held.append(instance.__dict__)
                first.rows.append(row)
    return [batch for batch in batches.values() if batch.rows]


def batches_of(dialect: Dialect, info: ModelInfo, rows: Sequence[dict[str, Any]]) -> list[Batch]:
    """Rows of validated values, by attribute, divided by which fields they have. They take what is filled in."""
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
        batch.held.append(row)
    return [*batches.values()]


class Insertion:
    """The INSERTs of batches of rows, in as few statements as there can be."""

    def __init__(self, batches: Iterable[Batch], batch_size: int | None = None) -> None:
        self._batches = batches
        self._batch_size = batch_size

    async def prepare(self, session: Session) -> None:
        """Find out how many rows are best inserted."""
        for batch in self._batches:
            await batch.prepare(session)

    @memoized_property
    def _chunks(self) -> list[_Chunk]:
        return [chunk for batch in self._batches for chunk in batch.chunks(self._batch_size)]

    @property
    def is_one_statement(self) -> bool:
        """Whether it needs no transaction."""
        return len(self._chunks) == 1

    async def run(self, session: Session) -> None:
        """Send the statements."""
        for batch in self._batches:
            await batch.find_step(session)
        for chunk in self._chunks:
            await chunk.insert(session)

    def finish(self) -> None:
        """Give the rows what the database filled in."""
        for chunk in self._chunks:
            chunk.finish()


class Batch:
    """Rows that are inserted with the same fields. `held` are the dicts that take what the database fills in."""

    def __init__(
        self, dialect: Dialect, info: ModelInfo, fields: tuple[Field[Any], ...], conflict: Conflict | None
    ) -> None:
        self.fields = fields
        self.held: list[dict[str, Any]] = []
        self.rows: list[tuple[Any, ...]] = []
        self.missing = execution.database_generated_fields(info, fields)
        returning: tuple[Field[Any], ...] = ()
        if conflict is None:
            returning = (*info.pk_fields, *self.missing) if self.missing else ()
        elif not conflict.ignores:
            returning = (*info.pk_fields, *self.missing, *conflict.unique)
        returning = tuple(dict.fromkeys(returning)) if dialect.returning else ()
        self.bulk = bulk_insert(dialect, info, fields, returning, conflict)
        self.step = 1
        """How far apart the keys are that the database generates for one statement."""

    async def prepare(self, session: Session) -> None:
        """Find out whether the keys of many rows can be told without RETURNING."""
        bulk = self.bulk
        if len(self.rows) < MANY or session.in_transaction:
            return
        plan = bulk.numbering
        if plan is not None and (await session.fetch(*plan.statement(())))[0][0]:
            self.bulk = bulk.unreturned

    async def find_step(self, session: Session) -> None:
        """Find out how far apart the keys will be, where that is the server's to say."""
        asked = self.bulk.dialect.number_step
        if asked is not None and len(self.rows) > 1 and self.bulk.info.generated in self.missing:
            self.step = (await session.fetch(asked))[0][0]

    def chunks(self, batch_size: int | None) -> Iterable[_Chunk]:
        """What goes into one statement each."""
        size = self.bulk.chunk_size(batch_size)
        for start in range(0, len(self.rows), size):
            part = slice(start, start + size)
            yield _Chunk(self, self.held[part], self.rows[part])


class _Chunk:
    """The rows of one statement."""

    def __init__(self, batch: Batch, held: Sequence[dict[str, Any]], rows: Sequence[tuple[Any, ...]]) -> None:
        self.batch = batch
        self.held = held
        self.sql, self.arguments, self.plan = batch.bulk.statement(rows)
        self.database_generated_fields: tuple[str, ...] = ()
        """The attributes that the database filled in."""
        self.found: Iterable[tuple[Any, ...]] | None = None
        """Their values for each row, once inserted. None: it does not tell which rows are there, or their keys."""

    async def insert(self, session: Session) -> None:
        """Send the rows, and take note of what the database filled in."""
        bulk = self.batch.bulk
        generated, conflict = bulk.info.generated, bulk.conflict
        generates = generated is not None and generated in self.batch.missing
        if self.plan.reader is None:
            outcome = await session.execute(self.sql, self.arguments)
            if conflict is not None and (conflict.ignores or generates):
                return
            self.found = repeat((), len(self.held))
            if conflict is None and generated is not None and generates and outcome.lastrowid:
                # One statement's generated keys follow each other, all as far apart.
                self.database_generated_fields = (generated.attname,)
                self.found = zip(bulk.dialect.numbered(outcome.lastrowid, len(self.held), self.batch.step))
            return
        returned = self.plan.reader(await session.fetch(self.sql, self.arguments))
        self.database_generated_fields = tuple(field.attname for field in bulk.returning)
        if generated is not None and generates and conflict is None:
            self.found = bulk.dialect.as_inserted(returned, bulk.returning.index(generated))
        else:
            same = conflict.unique if conflict is not None else bulk.info.pk_fields
            self.found = _as_given(
                returned, self.database_generated_fields, self.held, [field.attname for field in same]
            )

    def finish(self) -> None:
        """Give the instances what the database filled in."""
        if self.found is None:
            return
        names = self.database_generated_fields
        if len(names) == 1:
            name = names[0]
            for own, (value,) in zip(self.held, self.found, strict=True):
                own[name] = value
                own.pop("_persisted", None)
            return
        for own, values in zip(self.held, self.found, strict=True):
            own.update(zip(names, values, strict=True))
            own.pop("_persisted", None)


def _as_given(
    returned: Sequence[tuple[Any, ...]], names: Sequence[str], held: Sequence[dict[str, Any]], same: Sequence[str]
) -> Sequence[tuple[Any, ...]]:
    """Returned rows in the order of the given ones, told apart by the attributes `same`.

    Where those do not tell (the database stored another spelling), in the order in which the rows were written.
    """
    if not same or any(name not in own for own in held for name in same):
        return returned
    if any(isinstance(own[name], (list, dict)) for own in held for name in same):
        return returned
    at = [names.index(name) for name in same]
    by_key = {tuple(row[i] for i in at): row for row in returned}
    matched = [by_key.get(tuple(own[name] for name in same)) for own in held]
    return returned if None in matched else [row for row in matched if row is not None]


def named_fields(info: ModelInfo, rows: Iterable[Model | Mapping[str, Any]], unique_fields: Iterable[str]) -> list[str]:
    """What an upsert updates if it is not told: the fields that the rows name, but for the key and the unique ones."""
    given: dict[str, None] = {}
    for row in rows:
        if not isinstance(row, (info.model, Mapping)):
            raise QueryError(f"upsert() takes {info.name} instances or dicts, got {type(row).__name__}.")
        names = row if isinstance(row, Mapping) else row.__dict__
        given.update((name, None) for name in names if name in info.settable)
    unique = set(unique_fields)
    found: dict[str, None] = {}
    for name in given:
        for field in info.fields_for(name):
            if not field.primary_key and not {field.name, field.attname} & unique:
                found[field.name] = None
    return list(found)


# Updating.


async def update(
    query: Query,
    instances: Sequence[Model],
    names: Sequence[str],
    batch_size: int | None,
    database: databases.Database,
) -> int:
    """Write these fields of the instances over their rows; returns how many rows matched."""
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
    for batch in chunks(range(len(instances)), batch_size or len(instances)):
        for positions in _by_shape(instances, prepared, batch):
            update = BatchUpdate(dialect, query, prepared[positions[0]])
            if not update.possible:
                statements += [_single(dialect, query, instances[i], prepared[i]) for i in positions]
                continue
            for chunk in chunks(positions, dialect.max_rows):
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
    found = []
    for name in names:
        kept = info.fields_for(name)
        if not kept:
            raise info.unknown(name, "a field of bulk_update()")
        for field in kept:
            if field.primary_key:
                raise QueryError(f"bulk_update() cannot write the primary key ({info.name}.{field.name}).")
            found.append(field)
    return tuple(dict.fromkeys(found))


def _prepare_update(query: Query, instance: Model, fields: Sequence[Field[Any]]) -> Assignments:
    info = query.info
    copy_related_keys(instance)
    own = instance.__dict__
    for field in fields:
        if field.attname not in own:
            raise instance._missing_attribute(field)
    plain, expressions, _ = split_update(info, {field.name: own[field.attname] for field in fields})
    return resolve_assignments(query, info.validator.update(plain), expressions)


def _by_shape(
    instances: Sequence[Model], prepared: Sequence[Assignments], positions: Iterable[int]
) -> Iterable[list[int]]:
    """The positions in groups that one statement can update. Of instances of the same row the first counts."""
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
    """The UPDATE of one row, for what does not fit into a table of values."""
    own = target_rows_query(query.replace(where=and_(query.where, row_query(instance).where)))
    return execution.bind_update(update_plan(dialect, own, assignments), own, assignments)


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
            # Only the database knows the value now.
            instance.__dict__.pop(field.attname, None)
