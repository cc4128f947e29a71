"""A table for tests, and SQL that is written once for all drivers."""

from __future__ import annotations

import itertools
from typing import Any

import databases

from orm.database.connections.checkout import Checkout
from orm.database.connections.driver import Outcome


def native(database: databases.Database, sql: str) -> str:
    """SQL with `?` placeholders, with the placeholders of the database's driver."""
    dialect = database.url.dialect
    if dialect == "sqlite":
        return sql
    if dialect == "mysql":
        return sql.replace("?", "%s")
    numbers = itertools.count(1)
    return "".join(f"${next(numbers)}" if character == "?" else character for character in sql)


async def fetch(database: databases.Database, sql: str, *args: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement, as tuples."""
    async with Checkout(database) as checkout:
        return [tuple(row) for row in await checkout.fetch(native(database, sql), args)]


async def execute(database: databases.Database, sql: str, *args: Any) -> Outcome:
    """Execute a statement without rows."""
    async with Checkout(database) as checkout:
        return await checkout.execute(native(database, sql), args)


async def create_notes(database: databases.Database, count: int = 0) -> None:
    """Create the table `notes`, with `count` rows whose views are their ids."""
    key = {
        "sqlite": "INTEGER PRIMARY KEY",
        "postgresql": "SERIAL PRIMARY KEY",
        "mysql": "INTEGER PRIMARY KEY AUTO_INCREMENT",
    }[database.url.dialect]
    await execute(
        database,
        f"CREATE TABLE notes (id {key}, text VARCHAR(50) NOT NULL UNIQUE, views INTEGER DEFAULT 0 CHECK (views >= 0))",
    )
    if count:
        rows = ", ".join(f"('note {number}', {number})" for number in range(1, count + 1))
        await execute(database, f"INSERT INTO notes (text, views) VALUES {rows}")


async def add_note(database: databases.Database, text: str) -> Outcome:
    """Insert one row."""
    return await execute(database, "INSERT INTO notes (text) VALUES (?)", text)


async def texts(database: databases.Database) -> list[str]:
    """The texts of all rows, in the order of their ids."""
    return [row[0] for row in await fetch(database, "SELECT text FROM notes ORDER BY id")]
