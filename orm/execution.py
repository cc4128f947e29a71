"""Runs queries and writes on a database: compiles the plan or takes it from the cache, and sends its statement."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import databases
import typesystem

from orm.database.connections import statements
from orm.database.connections.checkout import Checkout
from orm.database.connections.server_dialect import cached_dialect, dialect_of, known_dialect
from orm.database.connections.units_of_work import current_unit, open_units
from orm.database.dialect import Dialect
from orm.exceptions import DatabaseError, IntegrityError, QueryError, TransactionError
from orm.fields import Field
from orm.mapping.violations import identify
from orm.query.columns import Columns
from orm.query.locking import OF_WRITTEN_ROWS
from orm.query.plans.aggregate import Aggregation
from orm.query.plans.plan import Plan, UnstorableArgument
from orm.query.plans.select import count_plan, count_query, exists_query, rows_plan
from orm.query.plans.write import (
    Assignments,
    WriteTerm,
    delete_plan,
    insert_assignments_plan,
    insert_plan,
    target_rows_query,
    update_plan,
    update_values,
)
from orm.query.projection import Instances, Projection
from orm.query.query import Query
from orm.query.terms.base import Term
from orm.utils.gc_control import collect_if_grown
from orm.utils.row_batches import RowReader

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo

# The rows and their instances together stay below the 700 new objects that start a garbage collection.
STREAM_CHUNK = 320


@dataclass(frozen=True)
class Statement:
    """The SQL of a query, to be read by people. `str()` gives the text; `values` are its arguments."""

    text: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        return self.text


def check_lock(query: Query, dialect: Dialect, checkout: Checkout) -> None:
    """Raise `TransactionError` for a lock outside of a transaction, which would be released at once."""
    lock = query.lock
    if lock is not None and lock.lasting and dialect.row_locks and not checkout.in_transaction:
        raise TransactionError(
            f"Rows of {query.info.name} can only be locked in a transaction: "
            "use `async with database.transaction():` around the query and what it is for."
        )


def bind_arguments(plan: Plan, query: Query, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """The SQL of a plan, and the values in the driver's form; QueryError for one that the database cannot take."""
    return bind_values(plan, query.info, values)


def bind_values(plan: Plan, info: ModelInfo, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """As `bind_arguments`, for a statement on this model."""
    try:
        return plan.statement(values)
    except UnstorableArgument as error:
        is_constant = error.position < 0  # a plain value that a lookup or function wrote into its SQL
        what = "A constant" if is_constant else f"A value of type {type(values[error.position]).__name__}"
        raise QueryError(f"{what} in a query of {info.name} cannot be sent to the database: {error.reason}") from error


def show_sql(query: Query, database: databases.Database) -> Statement:
    """The SQL of a query, without running it."""
    plan = rows_plan(known_dialect(database), query)
    sql, arguments = bind_arguments(plan, query, query.values)
    return Statement(sql, tuple(arguments))


async def fetch(
    query: Query,
    database: databases.Database,
    values: Sequence[Any] | None = None,
    reader_arguments: Mapping[str, Any] | None = None,
    on_batch: Callable[[list[Any]], None] | None = None,
    *,
    outside_units: bool = False,
) -> list[Any]:
    """What a query selects: instances, dicts, tuples or values. `values` replace the query's arguments.

    `reader_arguments` are passed to the reader. `on_batch` is called with the objects of each batch. `outside_units`:
    the instances are new ones even where a session has instances of the rows.
    """
    if query.is_empty:
        return []
    if open_units and not outside_units and (unit := current_unit(database)) is not None:
        rows = await fetch(query, database, values, reader_arguments, on_batch, outside_units=True)
        projection = query.projection.inner_projection
        if not isinstance(projection, Instances):
            return rows
        nested = bool(projection.related)
        return unit.mapped(rows, reader_arguments, nested=nested, fresh=query.lock is not None)
    collect_if_grown()
    # Avoid a coroutine when the answer is cached: creating one costs a large share of this function.
    dialect = cached_dialect(database) or await dialect_of(database)
    plan = rows_plan(dialect, query)
    assert plan.reader is not None
    sql, arguments = bind_arguments(plan, query, query.values if values is None else values)
    reader = partial(plan.reader, **reader_arguments) if reader_arguments else plan.reader
    if on_batch is not None:
        reader = _with_callback(reader, on_batch)
    if query.lock is None:
        return await statements.fetch_objects(database, sql, arguments, reader, query.info.options.consistency)
    async with Checkout(database) as checkout:
        check_lock(query, dialect, checkout)
        return await checkout.fetch_objects(sql, arguments, reader)


def _with_callback(reader: RowReader, on_batch: Callable[[list[Any]], None]) -> RowReader:
    def read_and_call(rows: Sequence[Any]) -> list[Any]:
        objects = reader(rows)
        on_batch(objects)
        return objects

    return read_and_call


async def stream(query: Query, database: databases.Database) -> AsyncGenerator[list[Any], None]:
    """What a query selects, in batches, read while the rows arrive."""
    if query.is_empty:
        return
    dialect = await dialect_of(database)
    plan = rows_plan(dialect, query)
    assert plan.reader is not None
    sql, arguments = bind_arguments(plan, query, query.values)
    check = partial(check_lock, query, dialect)
    rows = statements.stream(database, sql, arguments, STREAM_CHUNK, check, query.info.options.consistency)
    async with aclosing(rows) as batches:
        async for batch in batches:
            objects = plan.reader(batch)
            if open_units and isinstance(query.projection, Instances):
                unit = current_unit(database)
                if unit is not None:
                    objects = unit.mapped(objects, None, nested=bool(query.projection.related), fresh=False)
            yield objects


async def count(query: Query, database: databases.Database) -> int:
    """The number of rows of a query."""
    if query.is_empty:
        return 0
    query = count_query(query)
    plan = count_plan(await dialect_of(database), query)
    sql, arguments = bind_arguments(plan, query, query.values)
    rows = await statements.fetch(database, sql, arguments, query.info.options.consistency)
    return int(rows[0][0])


async def aggregate(query: Query, named: Mapping[str, Term], database: databases.Database) -> dict[str, Any]:
    """The aggregates of a query's rows, by name."""
    aggregation = Aggregation(query, named)
    if query.is_empty:
        empty_result = aggregation.empty_result
        if empty_result is not None:
            return empty_result
    plan = aggregation.plan(await dialect_of(database))
    assert plan.reader is not None
    sql, arguments = bind_arguments(plan, query, aggregation.values)
    rows = await statements.fetch(database, sql, arguments, query.info.options.consistency)
    results: list[dict[str, Any]] = plan.reader(rows)
    return results[0]


async def exists(query: Query, database: databases.Database) -> bool:
    """Whether a query has any rows."""
    if query.is_empty:
        return False
    query = exists_query(query)
    if query.is_empty:
        return False
    dialect = await dialect_of(database)
    plan = rows_plan(dialect, query)
    sql, arguments = bind_arguments(plan, query, query.values)
    if query.lock is None:
        return bool(await statements.fetch(database, sql, arguments, query.info.options.consistency))
    async with Checkout(database) as checkout:
        check_lock(query, dialect, checkout)
        return bool(await checkout.fetch(sql, arguments))


async def explain(
    query: Query, database: databases.Database, *, analyze: bool, format: str | None, options: Mapping[str, bool]
) -> str:
    """The database's description of how it would run a query, or with `analyze`, of how it ran the query."""
    dialect = await dialect_of(database)
    prefix = dialect.explain(analyze, format, options)
    plan = rows_plan(dialect, query)
    sql, arguments = bind_arguments(plan, query, query.values)
    rows = await statements.fetch(database, prefix + sql, arguments)
    return "\n".join(" ".join(str(value) for value in row) for row in rows)


async def insert(info: ModelInfo, values: dict[str, Any], database: databases.Database) -> dict[str, Any]:
    """Insert one row of validated values. Returns the values that the database generated, by field name."""
    dialect = cached_dialect(database) or await dialect_of(database)
    fields = tuple(info.fields[name] for name in values)
    missing = database_generated_fields(info, fields)
    plan = insert_plan(dialect, info, fields, missing if dialect.insert_returning else ())
    try:
        statement = plan.statement(tuple(values.values()))
    except UnstorableArgument as error:
        raise unstorable_value_error([(fields[error.position], error.reason)]) from error
    return await _insert_row(info, plan, statement, missing, database)


async def _insert_row(
    info: ModelInfo,
    plan: Plan,
    statement: tuple[str, Sequence[Any]],
    returned: tuple[Field[Any], ...],
    database: databases.Database,
) -> dict[str, Any]:
    """Run a plan that inserts one row. Without RETURNING, the key is the only one of the values that is known."""
    sql, arguments = statement
    try:
        if plan.reader is None:
            outcome = await statements.execute(database, sql, arguments)
            return {field.name: outcome.lastrowid for field in returned if field is info.generated}
        rows = plan.reader(await statements.fetch(database, sql, arguments))
    except IntegrityError as error:
        identify(error, info)
        raise
    if not rows:
        raise no_row_error(info, 1, 0)
    return {field.name: value for field, value in zip(returned, rows[0], strict=True)}


def no_row_error(info: ModelInfo, sent: int, inserted: int) -> DatabaseError:
    """The error for an INSERT of which the database omitted rows."""
    return DatabaseError(
        f"The database has inserted {inserted} of {sent} rows of {info.name}: a trigger or a rule left out the others."
        + (" Which ones they are is not known." if inserted else "")
    )


async def insert_assignments(info: ModelInfo, assignments: Assignments, database: databases.Database) -> dict[str, Any]:
    """Insert one row with expressions. Returns the values that the database generated or computed, by field name."""
    dialect = cached_dialect(database) or await dialect_of(database)
    fields = tuple(field for field, _ in assignments)
    computed = tuple(field for field, term in assignments if not isinstance(term, WriteTerm))
    returned = (*database_generated_fields(info, fields), *computed)
    plan = insert_assignments_plan(dialect, info, assignments, returned if dialect.insert_returning else ())
    statement = bind_values(plan, info, tuple(value for _, term in assignments for value in term.values))
    return await _insert_row(info, plan, statement, returned, database)


def database_generated_fields(info: ModelInfo, inserted: tuple[Field[Any], ...]) -> tuple[Field[Any], ...]:
    """The fields whose values the database generates for an INSERT of the `inserted` ones."""
    return tuple(
        field
        for field in (info.local_fields if info.ancestors else info.fields).values()
        if field not in inserted and (field is info.generated or field.server_default is not None)
    )


async def update(query: Query, assignments: Assignments, database: databases.Database) -> int:
    """Set fields of a query's rows. Returns the number of rows that matched."""
    if query.is_empty:
        return 0
    if query.info.ancestors and any(query.info.chain_to(field) for field, _ in assignments):
        return await _update_tables(query, assignments, database)
    query = target_rows_query(query)
    plan = update_plan(await dialect_of(database), query, assignments)
    sql, arguments = bind_update(plan, query, assignments)
    try:
        return (await statements.execute(database, sql, arguments)).rowcount
    except IntegrityError as error:
        identify(error, query.info)
        raise


async def update_returning(
    query: Query, assignments: Assignments, returning: Projection, database: databases.Database
) -> list[Any]:
    """Set fields of a query's rows. Returns what `returning` selects of each, after the update."""
    if query.is_empty:
        return []
    query = target_rows_query(query)
    plan = update_plan(await dialect_of(database), query, assignments, returning)
    assert plan.reader is not None
    sql, arguments = bind_update(plan, query, assignments)
    try:
        return plan.reader(await statements.fetch(database, sql, arguments))
    except IntegrityError as error:
        identify(error, query.info)
        raise


def bind_update(plan: Plan, query: Query, assignments: Assignments) -> tuple[str, Sequence[Any]]:
    """The SQL of an UPDATE, and its values in the driver's form. `query` comes from `target_rows_query`.

    Raises `orm.ValidationError` for a value that its column cannot hold.
    """
    values = update_values(query, assignments)
    try:
        return plan.statement(values)
    except UnstorableArgument as error:
        position = error.position
        for field, term in assignments:
            if position < len(term.values):
                raise unstorable_value_error([(field, error.reason)]) from error
            position -= len(term.values)
        bind_arguments(plan, query, values)  # raises the QueryError: the value is one of the conditions
        raise


async def delete(query: Query, database: databases.Database) -> int:
    """Delete a query's rows. Returns the number of rows that matched."""
    if query.is_empty:
        return 0
    if query.info.ancestors:
        return await _delete_tables(query, database)
    return await delete_from_table(query, database)


async def delete_from_table(query: Query, database: databases.Database) -> int:
    """Delete the rows in the model's own table, and not those that they continue in multi-table inheritance."""
    query = target_rows_query(query)
    plan = delete_plan(await dialect_of(database), query)
    sql, arguments = bind_arguments(plan, query, query.values)
    try:
        return (await statements.execute(database, sql, arguments)).rowcount
    except IntegrityError as error:
        identify(error, query.info, deleting=True)
        raise


async def delete_returning(query: Query, returning: Projection, database: databases.Database) -> list[Any]:
    """Delete a query's rows. Returns what `returning` selects of each."""
    if query.is_empty:
        return []
    query = target_rows_query(query)
    plan = delete_plan(await dialect_of(database), query, returning)
    assert plan.reader is not None
    sql, arguments = bind_arguments(plan, query, query.values)
    try:
        return plan.reader(await statements.fetch(database, sql, arguments))
    except IntegrityError as error:
        identify(error, query.info, deleting=True)
        raise


# Multi-table inheritance: the rows of a model are in several tables.


async def locked_keys(
    query: Query, database: databases.Database, others: Sequence[ModelInfo] = ()
) -> list[tuple[Any, ...]]:
    """The primary keys of a query's rows, each followed by those in the tables of `others`; the rows are locked.

    For a transaction that writes the rows by their keys: a row that another transaction changes meanwhile is waited
    for, and left out if it does not match any more.
    """
    rows = _keys_query(query, others)
    dialect = await dialect_of(database)
    if dialect.locks_groups or not rows.is_nested:
        return list(dict.fromkeys(await fetch(rows.replace(lock=OF_WRITTEN_ROWS), database)))
    # The lock of one table does not wait for a change in another: each of the model's tables is locked.
    tables = (query.info, *query.info.ancestors)  # a model in several tables has a key of one column
    before = await fetch(_keys_query(query, tables[1:]), database)
    size = len(query.info.pk_fields)
    for position, info in enumerate(tables):
        keys = [key[:size] if size > 1 else key[position] for key in before]
        async for locked in _rows_with_keys(info, keys, database):
            await fetch(_keys_query(locked).replace(lock=OF_WRITTEN_ROWS), database)
    known = {key[:size] for key in before}
    return [key for key in dict.fromkeys(await fetch(rows, database)) if key[:size] in known]


async def keys_in_tables(
    query: Query, infos: Sequence[ModelInfo], database: databases.Database
) -> list[tuple[Any, ...]]:
    """The primary keys of the query's rows, each followed by those in the tables of `infos`, as they are now."""
    return list(dict.fromkeys(await fetch(_keys_query(query, infos), database)))


def _keys_query(query: Query, others: Sequence[ModelInfo] = ()) -> Query:
    query = target_rows_query(query)
    resolver = query.resolver()
    names = [field.attname for info in (query.info, *others) for field in info.pk_fields]
    return query.with_joins(resolver.joins, projection=Columns.of(resolver, "tuples", names, {}))


async def _rows_with_keys(
    info: ModelInfo, keys: Sequence[Any], database: databases.Database
) -> AsyncGenerator[Query, None]:
    """Queries of the rows with these keys, as many as the database needs."""
    size = (await dialect_of(database)).max_keys_per_query or max(len(keys), 1)
    for start in range(0, len(keys), size):
        yield Query(info, Instances(info)).filter((), {"pk__in": keys[start : start + size]})


async def _update_tables(query: Query, assignments: Assignments, database: databases.Database) -> int:
    """Update rows that are in several tables. As in Django, their keys are read first."""
    by_table: dict[ModelInfo, Assignments] = {}
    for field, term in assignments:
        chain = query.info.chain_to(field)
        info = chain[-1].target._meta if chain else query.info
        by_table[info] = (*by_table.get(info, ()), (field, term))
    async with database.transaction():
        keys = await locked_keys(query, database, [*by_table])
        for position, (info, part) in enumerate(by_table.items(), start=1):
            async for rows in _rows_with_keys(info, [key[position] for key in keys], database):
                await update(rows, part, database)
    return len(keys)


async def _delete_tables(query: Query, database: databases.Database) -> int:
    """Delete rows that are in several tables: the database deletes what continues a row of the first table."""
    roots = [info for info in query.info.ancestors if not info.ancestors]
    async with database.transaction():
        keys = await locked_keys(query, database, roots)
        for position, info in enumerate((query.info, *roots)):
            async for rows in _rows_with_keys(info, [key[position] for key in keys], database):
                if info is query.info:
                    await delete_from_table(rows, database)
                else:
                    await delete(rows, database)
    return len(keys)


def unstorable_value_error(reasons: Sequence[tuple[Field[Any], str]]) -> typesystem.ValidationError:
    """The error for values that their columns cannot hold, with the reason for each field."""
    messages = [typesystem.Message(text=reason, code="unstorable", index=[field.name]) for field, reason in reasons]
    return typesystem.ValidationError(messages=messages)
