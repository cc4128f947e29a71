"""Writes many rows in one transaction: `bulk_create()`, `upsert()` and `bulk_update()`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import databases

from orm import execution
from orm.database.dialect import Dialect
from orm.database.dialects import dialect_of
from orm.database.session import Session
from orm.exceptions import QueryError
from orm.fields import Field
from orm.persistence import adopt_related_keys, finish_insert, prepare_insert, row_query, split_update
from orm.planning.batch_update import BatchUpdate
from orm.planning.conditions import both
from orm.planning.conflict import Conflict
from orm.planning.plan import Plan, UnstorableArgument
from orm.planning.query import Query
from orm.planning.write import Assignments, BulkInsert, WriteTerm, chunks, matching, resolve_assignments, update_plan

if TYPE_CHECKING:
    from orm.meta import ModelInfo
    from orm.models import Model

M = TypeVar("M", bound="Model")
Filled = dict[str, Any]
# A statement with its arguments, the positions of its rows, and what the database fills in.
_Chunk = tuple[tuple[str, Sequence[Any], Plan], Sequence[int], BulkInsert, tuple[Field[Any], ...]]


def check_batch_size(batch_size: int | None) -> None:
    """Raise `QueryError` unless a batch can have this size."""
    if batch_size is not None and batch_size < 1:
        raise QueryError(f"batch_size must be at least 1, got {batch_size}.")


def instances_of(model: type[M], rows: Iterable[M | Mapping[str, Any]], what: str) -> list[M]:
    """Rows given as instances or dicts, as instances."""
    instances: list[M] = []
    for row in rows:
        if isinstance(row, Mapping):
            row = model(**row)
        elif not isinstance(row, model):
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
    """Insert the instances, and give them what the database filled in."""
    values = [prepare_insert(instance) for instance in instances]
    insertion = Insertion(await dialect_of(database), info, values, batch_size, conflict)
    async with Session(database) as session:
        if insertion.statement_count == 1:
            await insertion.run(session)
        else:
            async with session.transaction():
                await insertion.run(session)
    for instance, found in zip(instances, insertion.filled_in, strict=True):
        if found is not None:
            finish_insert(instance, found)


class Insertion:
    """The INSERTs of rows of validated values, given as dicts by field name, in as few statements as there can be.

    `filled_in` is what the database filled in for each row: None where it does not tell whether the row is there, or
    under which key.
    """

    def __init__(
        self,
        dialect: Dialect,
        info: ModelInfo,
        rows: Sequence[dict[str, Any]],
        batch_size: int | None = None,
        conflict: Conflict | None = None,
    ) -> None:
        self.rows = rows
        self.filled_in: list[Filled | None] = [{} for _ in rows]
        self._prepared: list[_Chunk] = []
        groups: dict[tuple[str, ...], list[int]] = {}
        for position, row in enumerate(rows):
            groups.setdefault(tuple(row), []).append(position)
        for names, positions in groups.items():
            fields = tuple(info.fields[name] for name in names)
            missing = execution.filled_in(info, fields)
            returning: tuple[Field[Any], ...] = ()
            if conflict is None:
                returning = (*info.pk_fields, *missing) if missing else ()
            elif not conflict.ignores:
                returning = (*info.pk_fields, *missing, *conflict.unique)
            returning = tuple(dict.fromkeys(returning)) if dialect.returning else ()
            bulk = BulkInsert(dialect, info, fields, returning, conflict)
            for chunk in chunks(positions, bulk.chunk_size(batch_size)):
                try:
                    statement = bulk.statement([tuple(rows[i].values()) for i in chunk])
                except UnstorableArgument as error:
                    raise execution.unstorable([(fields[error.position % len(fields)], error.reason)]) from error
                self._prepared.append((statement, chunk, bulk, missing))

    @property
    def statement_count(self) -> int:
        """How many statements there are."""
        return len(self._prepared)

    async def run(self, session: Session) -> None:
        """Send the statements."""
        for statement, positions, bulk, missing in self._prepared:
            await self._run(session, statement, positions, bulk, missing)

    async def _run(
        self,
        session: Session,
        statement: tuple[str, Sequence[Any], Plan],
        positions: Sequence[int],
        bulk: BulkInsert,
        missing: tuple[Field[Any], ...],
    ) -> None:
        sql, arguments, plan = statement
        found = self.filled_in
        generated = bulk.info.generated
        generates = generated is not None and generated in missing
        if plan.reader is None:
            outcome = await session.execute(sql, arguments)
            if bulk.conflict is not None:
                if bulk.conflict.ignores or generates:
                    for position in positions:
                        found[position] = None
            elif generated is not None and generates and outcome.lastrowid:
                # One statement's generated keys follow each other; the driver tells the first.
                for offset, position in enumerate(positions):
                    found[position] = {generated.name: outcome.lastrowid + offset}
            return
        returned = plan.reader(await session.fetch(sql, arguments))
        names = [field.name for field in bulk.returning]
        in_order: Sequence[Any]
        if generated is not None and generates and bulk.conflict is None:
            # Keys are generated in the order of the rows; what is returned may be in any.
            at = names.index(generated.name)
            in_order = sorted(returned, key=lambda row: row[at])
        else:
            same = bulk.conflict.unique if bulk.conflict is not None else bulk.info.pk_fields
            in_order = _as_given(returned, names, [self.rows[i] for i in positions], [field.name for field in same])
        for position, row in zip(positions, in_order, strict=True):
            found[position] = dict(zip(names, row, strict=True))


def _as_given(
    returned: Sequence[tuple[Any, ...]], names: list[str], rows: Sequence[dict[str, Any]], same: list[str]
) -> Sequence[tuple[Any, ...]]:
    """Returned rows in the order of the given ones, told apart by the fields `same`.

    Where those do not tell (the database stored another spelling), in the order in which the rows were written.
    """
    if not same or any(name not in row for row in rows for name in same):
        return returned
    if any(isinstance(row[name], (list, dict)) for row in rows for name in same):
        return returned
    at = [names.index(name) for name in same]
    by_key = {tuple(row[i] for i in at): row for row in returned}
    matched = [by_key.get(tuple(row[name] for name in same)) for row in rows]
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
        for field in info.kept_in(name):
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
        kept = info.kept_in(name)
        if not kept:
            raise info.unknown(name, "a field of bulk_update()")
        for field in kept:
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
