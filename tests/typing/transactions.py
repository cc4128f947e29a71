"""Functions that wait for the end of a transaction may return anything."""

from __future__ import annotations

import asyncio

import orm

database = orm.Database("sqlite://")


def count() -> int:
    return 3


async def send() -> str:
    return "sent"


def start() -> asyncio.Task[str]:
    return asyncio.create_task(send())


async def asynchronous() -> None:
    async with database.transaction() as transaction:
        await database.on_commit(count)
        await database.on_commit(send, robust=True)
        await database.on_commit(lambda: ["x"])
        await database.on_rollback(start)
        await transaction.on_commit(count)
        await transaction.on_rollback(send)


def synchronous() -> None:
    with database.transaction() as transaction:
        database.on_commit(count)
        database.on_rollback(send)
        transaction.on_commit(lambda: ["x"])
        transaction.on_rollback(start)
