"""PostgreSQL: persistent connections, which are reset only if state may have been left on them.

asyncpg's pool adds a task, a lock and a proxy to each checkout, which take longer than a query.
"""

import contextlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import asyncpg
from databases.backends import postgres
from databases.backends.common.records import Record, create_column_maps
from databases.core import DatabaseURL
from sqlalchemy.sql import ClauseElement

from orm.database.connections.connection import ManagedBackend, ManagedConnection
from orm.database.connections.errors import translating
from orm.database.connections.pool import Pool
from orm.database.connections.transactions import Options
from orm.database.dialect_registry import registered_name
from orm.database.postgresql.driver import AsyncpgDriver
from orm.database.query_log.events import count_round_trip
from orm.exceptions import InterfaceError, TransactionError

MAX_SIZE = 10
RECYCLE_SECONDS = 300.0
ITERATE_ROWS = 50
# Options of a URL that are numbers: the argument that each is, and its type.
NUMBERS: dict[str, tuple[str, type[int] | type[float]]] = {
    "command_timeout": ("command_timeout", float),
    "connect_timeout": ("timeout", float),
    "timeout": ("timeout", float),
    "statement_cache_size": ("statement_cache_size", int),
    "max_cached_statement_lifetime": ("max_cached_statement_lifetime", int),
    "max_cacheable_statement_size": ("max_cacheable_statement_size", int),
    "max_inactive_connection_lifetime": ("max_inactive_connection_lifetime", float),
}
HAS_CURSOR = re.compile(r"[\s(]*(?:SELECT|VALUES|TABLE|WITH)\b", re.IGNORECASE)


async def _close(connection: Any) -> None:
    if not connection.is_closed():
        await connection.close()


async def _open(init: Callable[[Any], Awaitable[object]] | None = None, **options: Any) -> Any:
    connection = await asyncpg.connect(**options)
    if init is not None:
        try:
            await init(connection)
        except BaseException:
            connection.terminate()
            raise
    return connection


def _is_usable(connection: Any) -> bool:
    return not connection.is_closed()


def url_options(url: DatabaseURL) -> dict[str, Any]:
    """The arguments for `asyncpg.connect` that a URL's query part gives.

    Those that are not asyncpg's own go to it as a connection string, in which they mean what libpq means by them:
    ``sslmode``, ``sslrootcert``, ``target_session_attrs``, and else settings of the session, which the server knows or
    rejects by name.
    """
    options = {name: value for name, value in url.options.items() if name not in ("min_size", "max_size", "ssl")}
    arguments: dict[str, Any] = {}
    for name in NUMBERS.keys() & options.keys():
        argument, number = NUMBERS[name]
        try:
            arguments[argument] = number(options.pop(name))
        except ValueError:
            raise InterfaceError(f"{name} in the URL of a PostgreSQL database is a number") from None
    return {**arguments, "dsn": f"postgresql:///?{urlencode(options)}"} if options else arguments


class PostgreSQLBackend(postgres.PostgresBackend, ManagedBackend):
    """The connection pool of one PostgreSQL database.

    Options of asyncpg's pool that it takes: `min_size`, `max_size`, `max_inactive_connection_lifetime` (in seconds, 0:
    for ever) and `init`, which is awaited with each new connection. The others go to `asyncpg.connect`.
    """

    driver: AsyncpgDriver
    _pool: Any

    def __init__(self, database_url: DatabaseURL | str, **options: Any) -> None:
        super().__init__(database_url, **options)
        url = self._database_url
        name = registered_name(url.dialect)
        self.display_name = f"{name} at {url.hostname or 'localhost'}:{url.port or 5432}, database {url.database!r}"
        self.driver = AsyncpgDriver(managed=True)

    async def connect(self) -> None:
        """Open the first connections."""
        url = self._database_url
        options = {**url_options(url), **self._get_connection_kwargs()}
        min_size = options.pop("min_size", 1)
        max_size = options.pop("max_size", max(MAX_SIZE, min_size))
        recycle = options.pop("max_inactive_connection_lifetime", RECYCLE_SECONDS)
        arguments = {
            "host": url.hostname,
            "port": url.port,
            "user": url.username,
            "password": url.password,
            "database": url.database,
            **options,
        }
        self._pool = Pool(lambda: _open(**arguments), _close, _is_usable, max_size=max_size, recycle=recycle or None)
        await self._pool.fill(min_size)

    async def disconnect(self) -> None:
        """Close the connections; those in use when they come back."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def check_in(self, raw: Any, *, dirty: bool) -> None:
        """Return a connection to the pool, clean; one in a transaction, or in the middle of a call, is terminated."""
        pool = self._pool
        if pool is None:  # the database was closed in the meantime
            raw.terminate()
            return
        try:
            protocol = raw._protocol
            if not raw.is_closed() and protocol._is_cancelling():
                await protocol._wait_for_cancellation(None)
            if raw.is_closed():
                pass
            elif raw.is_in_transaction():
                raw.terminate()
            elif dirty:
                count_round_trip()
                await raw.reset()
        except BaseException:
            raw.terminate()
            raise
        finally:
            await pool.release(raw)

    def forget(self) -> None:
        """Forget the connections of an event loop that is closed."""
        pool, self._pool = self.pool, None
        for connection in pool.forget():
            # `terminate()` closes the socket and schedules a callback on the closed loop, which fails.
            with contextlib.suppress(RuntimeError):
                connection.terminate()

    def connection(self) -> "PostgreSQLConnection":
        """A connection, not yet checked out."""
        return PostgreSQLConnection(self, self._dialect)


class _StreamingIterate(postgres.PostgresConnection):
    """`iterate` of `databases` with the ORM's cursors, which do not need a transaction that asyncpg knows of."""

    async def iterate(self, query: ClauseElement) -> AsyncGenerator[Any, None]:
        raw: Any = self._connection
        driver = AsyncpgDriver(managed=True)
        sql, args, result_columns = self._compile(query)
        column_maps = create_column_maps(result_columns)
        if HAS_CURSOR.match(sql) is None:  # INSERT … RETURNING and the like
            for row in await driver.fetch(raw, sql, args):
                yield Record(row, result_columns, self._dialect, column_maps)
            return
        rows = await driver.stream(raw, sql, args, in_transaction=raw.is_in_transaction())
        try:
            while batch := await rows.read(ITERATE_ROWS):
                for row in batch:
                    yield Record(row, result_columns, self._dialect, column_maps)
        finally:
            await rows.close()


class PostgreSQLConnection(ManagedConnection, _StreamingIterate):
    """A connection of the pool while it is checked out."""

    manager: PostgreSQLBackend
    iterates_with_driver = True

    def __init__(self, manager: PostgreSQLBackend, dialect: Any) -> None:
        postgres.PostgresConnection.__init__(self, manager, dialect)
        self.manager = manager

    async def begin(self, options: Options) -> None:
        """Begin the outermost transaction."""
        words = ["BEGIN"]
        if options.isolation:
            words.append(f"ISOLATION LEVEL {options.isolation}")
        if options.readonly:
            words.append("READ ONLY")
        if options.deferrable:
            words.append("DEFERRABLE")
        await self.run(" ".join(words))

    async def commit(self) -> None:
        """Commit the outermost transaction; TransactionError when a failed statement has broken it."""
        with self.manager.log.timer("COMMIT", ()), translating:
            count_round_trip()
            # PostgreSQL rolls back a broken transaction at COMMIT, without an error.
            if await self._connection.execute("COMMIT") == "ROLLBACK":
                raise TransactionError(
                    "the transaction was rolled back: a statement in it had failed. To go on after a failure, run the"
                    " statement that may fail in an inner `async with database.transaction():`"
                )
