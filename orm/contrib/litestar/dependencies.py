"""Dependencies: the database, and a transaction around a handler."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from litestar.di import Provide

from orm.database.connections.database import Database


def provide(database: Database) -> Provide:
    """A dependency on a database: ``Litestar(dependencies={"database": provide(database)})``."""

    async def provided() -> Database:
        return database

    return Provide(provided)


def in_transaction(database: Database, **options: Any) -> Provide:
    """A dependency on a transaction: the handler runs in it, and it is committed before the answer is sent.

        @post("/transfers", dependencies={"transaction": in_transaction(database)})
        async def transfer(data: Transfer, transaction: Any) -> None: ...

    The handler has to take it. An error that leaves the handler, an HTTPException among them, rolls it back. `options`
    are those of `Database.transaction()`.
    """

    async def transaction() -> AsyncGenerator[Any, None]:
        async with database.transaction(**options) as started:
            yield started

    return Provide(transaction)
