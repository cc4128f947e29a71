"""A second event loop for a database's connections, so that code on several loops can use them in one test.

Drivers bind a connection to the loop that opened it. Starlette's `TestClient` runs the application on another loop than
the test's, and each test of pytest has another loop. Here each call of the driver runs on the home loop, in a
thread, and the task that made it waits for the result on its own loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from orm.database.connections.backend import ManagedBackend
from orm.database.connections.connection import ManagedConnection
from orm.database.query_log.events import context_trackers
from orm.database.query_log.normalized_sql import is_transaction

ResultT = TypeVar("ResultT")

BACKEND_CALLS = (
    *("connect", "disconnect", "open_raw", "set_statement_timeout", "check", "clean", "close_connection"),
    *("end_on_server", "engine_arguments"),
)
DRIVER_CALLS = ("server", "prepare", "fetch_together")
STATEMENT_CALLS = ("fetch", "fetch_objects", "fetch_named", "execute")
SAVEPOINT = "orm_testing"


class HomeLoop:
    """An event loop in a second thread, until `close()`."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="orm.testing", daemon=True)
        self._thread.start()

    def call(self, awaitable: Coroutine[Any, Any, ResultT]) -> ResultT:
        """The result of a coroutine, for code that may block."""
        return asyncio.run_coroutine_threadsafe(awaitable, self.loop).result()

    async def run(self, function: Callable[..., Awaitable[ResultT]], *args: Any, **options: Any) -> ResultT:
        """The result of `await function(*args, **options)` on the home loop, for a task of any loop."""
        if asyncio.get_running_loop() is self.loop:
            return await function(*args, **options)

        async def call() -> ResultT:
            return await function(*args, **options)

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), self.loop))

    def close(self) -> None:
        """Stop the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


def move_home(backend: ManagedBackend, home: HomeLoop, needs_savepoint: Callable[[], bool]) -> None:
    """Make every call of a backend's driver run on the home loop.

    While `needs_savepoint()`, each statement has a savepoint, so that the transaction goes on if it fails.
    """
    driver: Any = backend.driver
    execute, stream, connection = driver.execute, driver.stream, backend.connection

    async def guard(raw: Any, sql: str, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        if is_transaction(sql) or not needs_savepoint():
            return await call()
        await _uncounted(execute, raw, f"SAVEPOINT {SAVEPOINT}")
        try:
            result = await call()
        except BaseException:
            await _uncounted(execute, raw, f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
            raise
        await _uncounted(execute, raw, f"RELEASE SAVEPOINT {SAVEPOINT}")
        return result

    def guarded(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(raw: Any, sql: str, *more: Any) -> Any:
            return await guard(raw, sql, lambda: method(raw, sql, *more))

        return call

    for name in STATEMENT_CALLS:
        _replace(driver, name, _at_home(home, guarded(getattr(driver, name))))
    _forward(backend, home, BACKEND_CALLS)
    _forward(driver, home, DRIVER_CALLS)

    async def stream_at_home(*args: Any, **options: Any) -> _HomeStream:
        return _HomeStream(home, await home.run(stream, *args, **options))

    def connection_at_home() -> Any:
        return _connection_at_home(connection(), home, guard)

    _replace(driver, "stream", stream_at_home)
    _replace(backend, "connection", connection_at_home)


class _HomeStream:
    """The rows of a running query, whose connection is at home on another loop."""

    def __init__(self, home: HomeLoop, stream: Any) -> None:
        self._home = home
        self._stream = stream

    async def read(self, count: int) -> Any:
        return await self._home.run(self._stream.read, count)

    async def close(self) -> None:
        await self._home.run(self._stream.close)


async def _uncounted(execute: Callable[..., Awaitable[Any]], raw: Any, sql: str) -> None:
    """Execute a statement that no tracker knows of."""
    token = context_trackers.set(())
    try:
        await execute(raw, sql, ())
    finally:
        context_trackers.reset(token)


def _connection_at_home(connection: Any, home: HomeLoop, guard: Callable[..., Awaitable[Any]]) -> ManagedConnection:
    """The connection; its calls of the methods of `databases` run on the home loop."""
    run_in_order, iterate = connection.run_in_order, connection._iterate

    async def guarded(sql: str, call: Callable[[], Awaitable[Any]]) -> Any:
        return await guard(connection._connection, sql, lambda: run_in_order(sql, call))

    async def run_at_home(sql: str, call: Callable[[], Awaitable[Any]]) -> Any:
        return await home.run(guarded, sql, call)

    async def iterate_at_home(query: Any) -> AsyncGenerator[Any, None]:
        records = iterate(query)
        try:
            while True:
                try:
                    record = await home.run(records.__anext__)
                except StopAsyncIteration:
                    return
                yield record
        finally:
            await home.run(records.aclose)

    _replace(connection, "send_commit", _at_home(home, connection.send_commit))
    _replace(connection, "run_in_order", run_at_home)
    _replace(connection, "_iterate", iterate_at_home)
    managed: ManagedConnection = connection
    return managed


def _forward(target: Any, home: HomeLoop, names: tuple[str, ...]) -> None:
    for name in names:
        _replace(target, name, _at_home(home, getattr(target, name)))


def _at_home(home: HomeLoop, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def call(*args: Any, **options: Any) -> Any:
        return await home.run(method, *args, **options)

    return call


def _replace(target: Any, name: str, function: Any) -> None:
    """Give one object another method."""
    setattr(target, name, function)
