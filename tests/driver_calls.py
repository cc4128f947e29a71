"""Counts the calls that reach the real drivers, whoever makes them: the measure that the ORM's own is held against."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import aiomysql
import aiosqlite
import asyncmy.connection
import asyncpg
import asyncpg.prepared_stmt

from orm.database.sqlite.driver import ORMConnection


class RoundTrips:
    """Calls of a driver that go to the server; on SQLite to the connection's thread, or to the library from this one.

    Attributes:
        calls: what each was, in their order: a method's name and its SQL, where it has one.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._opening: set[int] = set()

    @property
    def count(self) -> int:
        """How many there were."""
        return len(self.calls)

    def counting(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """A driver's method `original` that is counted, unless its connection is just being opened."""

        def call(connection: Any, *args: Any, **options: Any) -> Any:
            if id(connection) not in self._opening:
                self.calls.append(f"{name} {args[0]}" if args and isinstance(args[0], str) else name)
            return original(connection, *args, **options)

        return call

    def opening(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A driver's method `original` that opens a connection, whose own statements are not counted."""

        async def call(connection: Any, *args: Any, **options: Any) -> Any:
            self._opening.add(id(connection))
            try:
                return await original(connection, *args, **options)
            finally:
                self._opening.discard(id(connection))

        return call

    def hopping(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """aiosqlite's way to its thread, counted unless it goes to close the connection."""

        def call(connection: Any, function: Any, *args: Any, **options: Any) -> Any:
            if function != connection._conn.close:
                self.calls.append(getattr(function, "__name__", repr(function)))
            return original(connection, function, *args, **options)

        return call

    def here(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """SQLite's `execute`, counted in this thread, unless it only asks or sets how the connection works."""
        this = threading.get_ident()

        def call(connection: Any, sql: str, *args: Any) -> Any:
            if threading.get_ident() == this and not sql.startswith(("PRAGMA", "EXPLAIN QUERY PLAN")):
                self.calls.append(f"here {sql}")
            return original(connection, sql, *args)

        return call


@contextmanager
def counted_round_trips() -> Iterator[RoundTrips]:
    """Count the calls of asyncpg, asyncmy, aiomysql and aiosqlite, in all tasks, while the block runs.

    Opening and closing connections is not counted.
    """
    found = RoundTrips()
    prepared = asyncpg.prepared_stmt.PreparedStatement
    counted = [
        *(
            (asyncpg.Connection, name)
            for name in ("execute", "executemany", "fetch", "fetchrow", "fetchval", "prepare")
        ),
        *((prepared, name) for name in ("fetch", "fetchrow", "fetchval", "executemany")),
        (aiomysql.Connection, "query"),
        (asyncmy.connection.Connection, "query"),
        # It is prepared on the first use of a connection, which no more counts than asyncpg's doing so.
        (asyncmy.connection.PreparedStatement, "_execute_cursor"),
    ]
    with ExitStack() as stack:

        def replace(owner: Any, name: str, replacement: Callable[..., Any]) -> None:
            stack.enter_context(mock.patch.object(owner, name, replacement))

        for owner, name in counted:
            replace(owner, name, found.counting(name, getattr(owner, name)))
        replace(aiosqlite.Connection, "_execute", found.hopping(aiosqlite.Connection._execute))
        replace(ORMConnection, "execute", found.here(ORMConnection.execute))
        replace(aiomysql.Connection, "_connect", found.opening(aiomysql.Connection._connect))
        replace(asyncmy.connection.Connection, "connect", found.opening(asyncmy.connection.Connection.connect))
        yield found
