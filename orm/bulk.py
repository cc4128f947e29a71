"""Writes many rows in one transaction: `bulk_create()`, `upsert()` and `bulk_update()`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar, cast

import databases

from orm import execution
from orm.database.dialect import Dialect
from orm.database.dialects import dialect_of
from orm.database.session import Session, known_kind
from orm.exceptions import QueryError
from orm.fields import Field
from orm.generating import undisturbed
from orm.loading.writers import inserted_fields
from orm.persistence import adopt_related_keys, prepare_insert, row_query, split_update
from orm.planning.batch_update import BatchUpdate
from orm.planning.conditions import both
from orm.planning.conflict import Conflict
from orm.planning.plan import UnstorableArgument
from orm.planning.query import Query
from orm.planning.write import Assignments, WriteTerm, bulk_insert, chunks, matching, resolve_assignments, update_plan

if TYPE_CHECKING:
    from orm.meta import ModelInfo
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
    if known_kind(database) is None:
        # Which database it is must be asked of it, and invalid values are refused before that.
        for instance in instances:
            prepare_insert(instance)
    batches = _batches(info, instances, await dialect_of(database), conflict)
    async with Session(database) as session:
        for batch in batches:
            await batch.prepare(session)
        chunks = [chunk for batch in batches for chunk in batch.chunks(batch_size)]
        if len(chunks) == 1:
            await chunks[0].insert(session)
        else:
            async with session.transaction():
                for chunk in chunks:
                    await chunk.insert(session)
    for chunk in chunks:
        chunk.finish()


def _batches(
    info: ModelInfo, instances: Sequence[Model], dialect: Dialect, conflict: Conflict | None
) -> Iterable[_Batch]:
    """The instances with their rows, divided by which fields these have."""
    first = _Batch(dialect, info, inserted_fields(info, instances[0]), conflict)
    batches = {first.fields: first}

    def other(instance: Model) -> tuple[Any, ...] | None:
        validated = prepare_insert(instance)
        fields = tuple(info.fields[name] for name in validated)
        batch = batches.get(fields)
        if batch is None:
            batch = batches[fields] = _Batch(dialect, info, fields, conflict)
        try:
            row = batch.bulk.converted([*validated.values()])
        except UnstorableArgument as error:
            raise execution.unstorable([(fields[error.position], error.reason)]) from error
        if batch is first:
            return row
        batch.instances.append(instance)
        batch.rows.append(row)
        return None

    rows = undisturbed(first.bulk.write, instances, other)
    if len(batches) == 1:
        first.instances, first.rows = [*instances], cast("list[tuple[Any, ...]]", rows)
    else:
        for instance, row in zip(instances, rows, strict=True):
            if row is not None:
                first.instances.append(instance)
                first.rows.append(row)
    return [batch for batch in batches.values() if batch.rows]


class _Batch:
    """Instances that are inserted with the same fields, and their rows of the driver's values."""

    def __init__(
        self, dialect: Dialect, info: ModelInfo, fields: tuple[Field[Any], ...], conflict: Conflict | None
    ) -> None:
        self.fields = fields
        self.instances: list[Model] = []
        self.rows: list[tuple[Any, ...]] = []
        self.missing = execution.filled_in(info, fields)
        returning: tuple[Field[Any], ...] = ()
        if conflict is None:
            returning = (*info.pk_fields, *self.missing) if self.missing else ()
        elif not conflict.ignores:
            returning = (*info.pk_fields, *self.missing, *conflict.unique)
        returning = tuple(dict.fromkeys(returning)) if dialect.returning else ()
        self.bulk = bulk_insert(dialect, info, fields, returning, conflict)

    async def prepare(self, session: Session) -> None:
        """Find out whether the keys of many rows can be told without RETURNING."""
        bulk = self.bulk
        if len(self.rows) < MANY or session.in_transaction:
            return
        plan = bulk.numbering
        if plan is not None and (await session.fetch(*plan.statement(())))[0][0]:
            self.bulk = bulk.unreturned

    def chunks(self, batch_size: int | None) -> Iterable[_Chunk]:
        """What goes into one statement each."""
        size = self.bulk.chunk_size(batch_size)
        for start in range(0, len(self.rows), size):
            part = slice(start, start + size)
            yield _Chunk(self, self.instances[part], self.rows[part])


class _Chunk:
    """The rows of one statement."""

    def __init__(self, batch: _Batch, instances: Sequence[Model], rows: Sequence[tuple[Any, ...]]) -> None:
        self.batch = batch
        self.instances = instances
        self.sql, self.arguments, self.plan = batch.bulk.statement(rows)
        self.filled_in: tuple[str, ...] = ()
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
            self.found = repeat((), len(self.instances))
            if conflict is None and generated is not None and generates and outcome.lastrowid:
                # One statement's generated keys follow each other.
                self.filled_in = (generated.attname,)
                self.found = zip(bulk.dialect.numbered(outcome.lastrowid, len(self.instances)))
            return
        returned = self.plan.reader(await session.fetch(self.sql, self.arguments))
        self.filled_in = tuple(field.attname for field in bulk.returning)
        if generated is not None and generates and conflict is None:
            # Keys are generated in the order of the rows; what is returned may be in any.
            at = bulk.returning.index(generated)
            self.found = sorted(returned, key=itemgetter(at))
        else:
            same = conflict.unique if conflict is not None else bulk.info.pk_fields
            self.found = _as_given(returned, self.filled_in, self.instances, [field.attname for field in same])

    def finish(self) -> None:
        """Give the instances what the database filled in."""
        if self.found is None:
            return
        names = self.filled_in
        if len(names) == 1:
            name = names[0]
            for instance, (value,) in zip(self.instances, self.found, strict=True):
                own = instance.__dict__
                own[name] = value
                own.pop("_persisted", None)
            return
        for instance, values in zip(self.instances, self.found, strict=True):
            own = instance.__dict__
            own.update(zip(names, values, strict=True))
            own.pop("_persisted", None)


def _as_given(
    returned: Sequence[tuple[Any, ...]], names: Sequence[str], instances: Sequence[Model], same: Sequence[str]
) -> Sequence[tuple[Any, ...]]:
    """Returned rows in the order of the instances, told apart by the attributes `same`.

    Where those do not tell (the database stored another spelling), in the order in which the rows were written.
    """
    if not same or any(name not in instance.__dict__ for instance in instances for name in same):
        return returned
    if any(isinstance(instance.__dict__[name], (list, dict)) for instance in instances for name in same):
        return returned
    at = [names.index(name) for name in same]
    by_key = {tuple(row[i] for i in at): row for row in returned}
    matched = [by_key.get(tuple(instance.__dict__[name] for name in same)) for instance in instances]
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
        field = info.fields.get(name) or info.by_attname[name]
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
        field = info.fields.get(name) or info.by_attname.get(name)
        if field is None:
            raise info.unknown(name, "a field of bulk_update()")
        if field.primary_key:
            raise QueryError(f"bulk_update() cannot write the primary key ({info.name}.{field.name}).")
        found.append(field)
    return tuple(dict.fromkeys(found))


def _prepare_update(query: Query, instance: Model, fields: Sequence[Field[Any]]) -> Assignments:
    info = query.info
    adopt_related_keys(instance)
    own = instance.__dict__
    for field in fields:
        if field.attname not in own:
            raise instance._missing_attribute(field)
    plain, expressions, _ = split_update(info, {field.name: own[field.attname] for field in fields})
    return resolve_assignments(query.inlined_names(), info.validator.update(plain), expressions)


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
    own = matching(query.changed(where=both(query.where, row_query(instance).where)))
    return execution.ready_update(update_plan(dialect, own, assignments), own, assignments)


def _unstorable(info: ModelInfo, assignments: Assignments, error: UnstorableArgument) -> Exception:
    columns = [*info.pk_fields, *(field for field, term in assignments for _ in term.values)]
    if error.position < len(columns):
        return execution.unstorable([(columns[error.position], error.reason)])
    return QueryError(f"A value in this query of {info.name} is not one that the database can hold: {error.reason}")


def _finish_update(instance: Model, assignments: Assignments) -> None:
    for field, term in assignments:
        if isinstance(term, WriteTerm):
            instance.__dict__[field.attname] = term.values[0]
        else:
            # Only the database knows the value now.
            instance.__dict__.pop(field.attname, None)
