"""Counts the calls that reach the real drivers, whatever makes them, to check the ORM's counts against."""

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

from orm.database.sqlite.connection_classes import ORMConnection


class RoundTrips:
    """Calls of a driver that go to the server; on SQLite to the connection's thread, or to the library on this one.

    Attributes:
        calls: The name of each method called, in order, with the SQL if there is any.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._opening: set[int] = set()

    @property
    def count(self) -> int:
        """The number of calls."""
        return len(self.calls)

    def counting(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """A wrapper of a driver's method that counts its calls, except on connections that are being opened."""

        def call(connection: Any, *args: Any, **options: Any) -> Any:
            if id(connection) not in self._opening:
                self.calls.append(f"{name} {args[0]}" if args and isinstance(args[0], str) else name)
            return original(connection, *args, **options)

        return call

    def opening(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A wrapper of a driver's method that opens a connection, whose statements are not counted meanwhile."""

        async def call(connection: Any, *args: Any, **options: Any) -> Any:
            self._opening.add(id(connection))
            try:
                return await original(connection, *args, **options)
            finally:
                self._opening.discard(id(connection))

        return call

    def hopping(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A wrapper of the method that hands calls to aiosqlite's thread, which counts all but closing."""

        def call(connection: Any, function: Any, *args: Any, **options: Any) -> Any:
            if function != connection._conn.close:
                self.calls.append(getattr(function, "__name__", repr(function)))
            return original(connection, function, *args, **options)

        return call

    def here(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A wrapper of SQLite's `execute` that counts its calls on this thread, except for PRAGMAs and query plans."""
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
    round_trips = RoundTrips()
    prepared = asyncpg.prepared_stmt.PreparedStatement
    counted = [
        *(
            (asyncpg.Connection, name)
            for name in ("execute", "executemany", "fetch", "fetchrow", "fetchval", "prepare")
        ),
        *((prepared, name) for name in ("fetch", "fetchrow", "fetchval", "executemany")),
        (aiomysql.Connection, "query"),
        (asyncmy.connection.Connection, "query"),
        # The first use on a connection prepares the statement, which is not counted, as asyncpg's is not.
        (asyncmy.connection.PreparedStatement, "_execute_cursor"),
    ]
    with ExitStack() as stack:

        def replace(owner: Any, name: str, replacement: Callable[..., Any]) -> None:
            stack.enter_context(mock.patch.object(owner, name, replacement))

        for owner, name in counted:
            replace(owner, name, round_trips.counting(name, getattr(owner, name)))
        replace(aiosqlite.Connection, "_execute", round_trips.hopping(aiosqlite.Connection._execute))
        replace(ORMConnection, "execute", round_trips.here(ORMConnection.execute))
        replace(aiomysql.Connection, "_connect", round_trips.opening(aiomysql.Connection._connect))
        replace(asyncmy.connection.Connection, "connect", round_trips.opening(asyncmy.connection.Connection.connect))
        yield round_trips
