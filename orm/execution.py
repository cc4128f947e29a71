"""Runs queries and writes on a database: compiles the plan or takes it from the cache, and sends its statement."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import databases
import typesystem

from orm.database.connections import statements
from orm.database.connections.server_dialect import cached_dialect, dialect_of, known_dialect
from orm.database.connections.session import Session
from orm.database.dialect import Dialect
from orm.exceptions import QueryError, TransactionError
from orm.fields import Field
from orm.query.plans.aggregate import Aggregation
from orm.query.plans.plan import Plan, UnstorableArgument
from orm.query.plans.select import count_plan, count_query, exists_query, rows_plan
from orm.query.plans.write import Assignments, delete_plan, insert_plan, target_rows_query, update_plan, update_values
from orm.query.projection import Projection
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


def check_lock(query: Query, dialect: Dialect, session: Session) -> None:
    """Raise `TransactionError` for a lock outside of a transaction, which would be released at once."""
    lock = query.lock
    if lock is not None and lock.lasting and dialect.row_locks and not session.in_transaction:
        raise TransactionError(
            f"The rows of a {query.info.name} can only be locked in a transaction: "
            "use `async with database.transaction():` around the query and what it is for."
        )


def bind_arguments(plan: Plan, query: Query, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """The SQL of a plan, and the values in the driver's form; QueryError for one that the database cannot take."""
    try:
        return plan.statement(values)
    except UnstorableArgument as error:
        raise QueryError(
            f"A value of type {type(values[error.position]).__name__} in a query of {query.info.name} "
            f"cannot be sent to the database: {error.reason}"
        ) from error


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
) -> list[Any]:
    """What a query selects: instances, dicts, tuples or values. `values` replace the query's arguments.

    `reader_arguments` are passed to the reader. `on_batch` is called with the objects of each batch.
    """
    if query.is_empty:
        return []
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
        return await statements.fetch_objects(database, sql, arguments, reader)
    async with Session(database) as session:
        check_lock(query, dialect, session)
        return await session.fetch_objects(sql, arguments, reader)


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
    async with Session(database) as session:
        check_lock(query, dialect, session)
        batches = session.stream(sql, arguments, STREAM_CHUNK)
        try:
            async for batch in batches:
                yield plan.reader(batch)
        finally:
            await batches.aclose()  # type: ignore[attr-defined]


async def count(query: Query, database: databases.Database) -> int:
    """The number of rows of a query."""
    if query.is_empty:
        return 0
    query = count_query(query)
    plan = count_plan(await dialect_of(database), query)
    sql, arguments = bind_arguments(plan, query, query.values)
    rows = await statements.fetch(database, sql, arguments)
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
    results: list[dict[str, Any]] = plan.reader(await statements.fetch(database, sql, arguments))
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
        return bool(await statements.fetch(database, sql, arguments))
    async with Session(database) as session:
        check_lock(query, dialect, session)
        return bool(await session.fetch(sql, arguments))


async def explain(query: Query, database: databases.Database) -> str:
    """The database's description of how it would run a query."""
    dialect = await dialect_of(database)
    plan = rows_plan(dialect, query)
    sql, arguments = bind_arguments(plan, query, query.values)
    rows = await statements.fetch(database, dialect.explain_prefix + sql, arguments)
    return "\n".join(" ".join(str(value) for value in row) for row in rows)


async def insert(info: ModelInfo, values: dict[str, Any], database: databases.Database) -> dict[str, Any]:
    """Insert one row of validated values. Returns the values that the database generated, by field name."""
    dialect = await dialect_of(database)
    fields = tuple(info.fields[name] for name in values)
    missing = database_generated_fields(info, fields)
    plan = insert_plan(dialect, info, fields, missing if dialect.insert_returning else ())
    try:
        sql, arguments = plan.statement(tuple(values.values()))
    except UnstorableArgument as error:
        raise unstorable_value_error([(fields[error.position], error.reason)]) from error
    if plan.reader is not None:
        rows = plan.reader(await statements.fetch(database, sql, arguments))
        return {field.name: value for field, value in zip(missing, rows[0], strict=True)}
    outcome = await statements.execute(database, sql, arguments)
    generated = info.generated
    if generated is not None and generated in missing:
        return {generated.name: outcome.lastrowid}
    return {}


def database_generated_fields(info: ModelInfo, inserted: tuple[Field[Any], ...]) -> tuple[Field[Any], ...]:
    """The fields whose values the database generates for an INSERT of the `inserted` ones."""
    return tuple(
        field
        for field in info.fields.values()
        if field not in inserted and (field is info.generated or field.server_default is not None)
    )


async def update(query: Query, assignments: Assignments, database: databases.Database) -> int:
    """Set fields of a query's rows. Returns the number of rows that matched."""
    if query.is_empty:
        return 0
    query = target_rows_query(query)
    plan = update_plan(await dialect_of(database), query, assignments)
    sql, arguments = bind_update(plan, query, assignments)
    return (await statements.execute(database, sql, arguments)).rowcount


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
    return plan.reader(await statements.fetch(database, sql, arguments))


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
    query = target_rows_query(query)
    plan = delete_plan(await dialect_of(database), query)
    sql, arguments = bind_arguments(plan, query, query.values)
    return (await statements.execute(database, sql, arguments)).rowcount


async def delete_returning(query: Query, returning: Projection, database: databases.Database) -> list[Any]:
    """Delete a query's rows. Returns what `returning` selects of each."""
    if query.is_empty:
        return []
    query = target_rows_query(query)
    plan = delete_plan(await dialect_of(database), query, returning)
    assert plan.reader is not None
    sql, arguments = bind_arguments(plan, query, query.values)
    return plan.reader(await statements.fetch(database, sql, arguments))


def unstorable_value_error(reasons: Sequence[tuple[Field[Any], str]]) -> typesystem.ValidationError:
    """The error for values that their columns cannot hold, with the reason for each field."""
    messages = [typesystem.Message(text=reason, code="unstorable", index=[field.name]) for field, reason in reasons]
    return typesystem.ValidationError(messages=messages)
