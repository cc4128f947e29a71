"""Runs one statement on a database, on a free connection or in a checkout.

Outside of transactions, an `orm.Database` runs a statement on any free connection: of a replica, if it has replicas and
the statement reads. Other statements run in a checkout (see `orm.database.connections.checkout`), which can also run
several statements on one connection.

`consistency` is the model's (``Meta.consistency``), or None for the database's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import databases

from orm.database.connections.checkout import Checkout
from orm.database.connections.database import Database
from orm.database.connections.driver import Outcome
from orm.utils.row_batches import RowReader


async def fetch(
    database: databases.Database,
    sql: str,
    args: Sequence[Any] = (),
    consistency: str | None = None,
    *,
    is_routed: bool = False,
) -> Sequence[Any]:
    """The rows of a statement: tuples, or asyncpg's records, in column order."""
    if isinstance(database, Database):
        if database.replicas is not None and not is_routed:
            return await database.replicas.route(
                sql, lambda target: fetch(target, sql, args, is_routed=True), consistency
            )
        backend = database.autocommit_backend()
        if backend is not None:
            return await backend.fetch(sql, args)
    async with Checkout(database) as checkout:
        return await checkout.fetch(sql, args)


async def fetch_objects(
    database: databases.Database,
    sql: str,
    args: Sequence[Any],
    reader: RowReader,
    consistency: str | None = None,
    *,
    is_routed: bool = False,
) -> list[Any]:
    """The objects that `reader` makes of a statement's rows; of a large result in batches, while it arrives."""
    if isinstance(database, Database):
        if database.replicas is not None and not is_routed:
            return await database.replicas.route(
                sql, lambda target: fetch_objects(target, sql, args, reader, is_routed=True), consistency
            )
        backend = database.autocommit_backend()
        if backend is not None:
            return await backend.fetch_objects(sql, args, reader)
    async with Checkout(database) as checkout:
        return await checkout.fetch_objects(sql, args, reader)


async def execute(
    database: databases.Database, sql: str, args: Sequence[Any] = (), *, is_routed: bool = False
) -> Outcome:
    """Execute a statement and discard any rows."""
    if isinstance(database, Database):
        if database.replicas is not None and not is_routed:
            return await database.replicas.route(sql, lambda target: execute(target, sql, args, is_routed=True))
        backend = database.autocommit_backend()
        if backend is not None:
            return await backend.execute(sql, args)
    async with Checkout(database) as checkout:
        return await checkout.execute(sql, args)


async def fetch_together(
    database: databases.Database,
    statements: Sequence[tuple[str, Sequence[Any]]],
    consistency: str | None = None,
) -> list[Sequence[Any]]:
    """The rows of each of several queries, from one state of the database, in one round trip."""

    async def run(target: databases.Database) -> list[Sequence[Any]]:
        async with Checkout(target) as checkout:
            return await checkout.fetch_together(statements)

    if isinstance(database, Database) and database.replicas is not None:
        return await database.replicas.route(";\n".join(sql for sql, _ in statements), run, consistency)
    return await run(database)


async def fetch_named(
    database: databases.Database, sql: str, args: Sequence[Any] = (), consistency: str | None = None
) -> tuple[Sequence[str], Sequence[Any]]:
    """The names of the columns, and the rows, of a statement that the ORM did not write."""

    async def run(target: databases.Database) -> tuple[Sequence[str], Sequence[Any]]:
        async with Checkout(target) as checkout:
            return await checkout.fetch_named(sql, args)

    if isinstance(database, Database) and database.replicas is not None:
        return await database.replicas.route(sql, run, consistency)
    return await run(database)


def stream(
    database: databases.Database,
    sql: str,
    args: Sequence[Any],
    chunk: int,
    check: Callable[[Checkout], None],
    consistency: str | None = None,
) -> AsyncGenerator[Sequence[Any], None]:
    """The rows of a query in batches of `chunk`. `check` is called with the checkout, and may raise an error."""

    async def run(target: databases.Database) -> AsyncGenerator[Sequence[Any], None]:
        connection = await target.stream_connection() if isinstance(target, Database) else None
        async with Checkout(target, connection) as checkout:
            check(checkout)
            async with aclosing(checkout.stream(sql, args, chunk)) as batches:
                async for batch in batches:
                    yield batch

    if isinstance(database, Database) and database.replicas is not None:
        return database.replicas.route_stream(sql, run, consistency)
    return run(database)
