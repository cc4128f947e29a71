"""PostgreSQL: persistent connections, which are reset only if state may have been left on them.

asyncpg's pool adds a task, a lock and a proxy to each checkout, which take longer than a query.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import asyncpg
from asyncpg import connect_utils
from databases.backends import postgres
from databases.core import DatabaseURL
from sqlalchemy.sql import ClauseElement

from orm.database.connections.advisory_locks import LockStatements, digest
from orm.database.connections.backend import ManagedBackend
from orm.database.connections.connection import ManagedConnection
from orm.database.connections.database_url import SafeURL, display_name, servers_of
from orm.database.connections.errors import translating
from orm.database.connections.pool import Pool
from orm.database.connections.transaction_options import Options
from orm.database.dialect_registry import registered_name
from orm.database.postgresql.driver import AsyncpgDriver
from orm.database.postgresql.pooler import is_pooled, read_pooler, refuse_session_state
from orm.database.postgresql.storage import decode_interval, encode_interval
from orm.database.query_log.events import count_round_trip
from orm.exceptions import InterfaceError, NotSupportedError, TransactionError

records: Any = postgres
"""The module from which the classes of its records come."""

PORT = 5432
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
# The arguments that are not asyncpg.connect()'s.
POOL_ARGUMENTS = ("min_size", "max_size", "max_inactive_connection_lifetime", "pooler", "init")
HAS_CURSOR = re.compile(r"[\s(]*(?:SELECT|VALUES|TABLE|WITH)\b", re.IGNORECASE)


def url_options(url: DatabaseURL) -> dict[str, Any]:
    """The arguments for `asyncpg.connect` that a URL's query part gives.

    Those that are not asyncpg's own go to it as a connection string, in which they mean what libpq means by them:
    ``sslmode``, ``sslrootcert``, ``target_session_attrs``, and else settings of the session, which the server knows or
    rejects by name.
    """
    options = {name: value for name, value in url.options.items() if name not in ("min_size", "max_size", "ssl")}
    arguments: dict[str, Any] = {name: options.pop(name) for name in ("pooler",) if name in options}
    for name in ("min_size", "max_size"):
        if not url.options.get(name, "0").isdecimal():
            raise InterfaceError(f"{name} in the URL of a PostgreSQL database is a number")
    for name in NUMBERS.keys() & options.keys():
        argument, number = NUMBERS[name]
        try:
            arguments[argument] = number(options.pop(name))
        except ValueError:
            raise InterfaceError(f"{name} in the URL of a PostgreSQL database is a number") from None
    return {**arguments, "dsn": f"postgresql:///?{urlencode(options)}"} if options else arguments


async def _cancel_statement(raw: Any, protocol: Any) -> None:
    """Send the server PostgreSQL's request to cancel. A closed connection has lost its `protocol`."""
    if protocol is not None:
        await connect_utils._cancel(  # type: ignore[attr-defined]
            loop=asyncio.get_running_loop(),  # its own may be closed
            addr=raw._addr,
            params=raw._params,
            backend_pid=protocol.backend_pid,
            backend_secret=protocol.backend_secret,
        )


class PostgreSQLBackend(ManagedBackend, postgres.PostgresBackend):
    """The connection pool of one PostgreSQL database.

    Options of asyncpg's pool that it takes: `min_size`, `max_size`, `max_inactive_connection_lifetime` (in seconds, 0:
    for ever) and `init`, which is awaited with each new connection. `pooler` is ``transaction`` if a pooler lends the
    server's connections for one transaction each, ``session`` if none does; by default the first connection finds out.
    Other options go to `asyncpg.connect`.
    """

    driver: AsyncpgDriver
    _pool: Any

    def __init__(self, database_url: DatabaseURL | str, **options: Any) -> None:
        super().__init__(database_url, **options)
        url = self._database_url = SafeURL(self._database_url)
        name = registered_name(url.dialect)
        self.display_name = display_name(url, name, PORT)
        self.driver = AsyncpgDriver(managed=True)

    async def connect(self) -> None:
        """Open the first connections."""
        self._arguments = self._connect_arguments()
        min_size = self._arguments.pop("min_size", 1)
        max_size = self._arguments.pop("max_size", max(MAX_SIZE, min_size))
        recycle = self._arguments.pop("max_inactive_connection_lifetime", RECYCLE_SECONDS)
        self._pooler = read_pooler(self._arguments.pop("pooler", None))
        self._init = self._arguments.pop("init", None)
        timeout = self.pool_options.statement_timeout
        if timeout is not None:
            # Set at login, it survives a reset of the session.
            settings = {"statement_timeout": str(round(timeout * 1000)), **self._arguments.get("server_settings", {})}
            self._arguments["server_settings"] = settings
        pool: Pool[Any] = Pool(self, max_size=max_size, max_idle=recycle or None, options=self.pool_options)
        await self.start_pool(pool, min_size)

    def _connect_arguments(self) -> dict[str, Any]:
        """The arguments of `asyncpg.connect`, and the pool's."""
        url = self._database_url
        servers = servers_of(url, PORT)
        return {
            "host": [host for host, _ in servers] or None,
            "port": [port for _, port in servers] or None,
            "user": url.username,
            "password": url.password,
            "database": url.database,
            **url_options(url),
            **self._get_connection_kwargs(),
        }

    async def engine_arguments(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arguments of `asyncpg.connect`."""
        arguments = self._connect_arguments()
        return {}, {name: value for name, value in arguments.items() if name not in POOL_ARGUMENTS}

    async def open_raw(self) -> Any:
        """A new connection."""
        if self._pooler == "transaction":
            self._arguments["statement_cache_size"] = 0
            self.is_pooled = True
        self.driver.holds_cursors = self.dialect.held_cursors and not self.is_pooled
        connection = await asyncpg.connect(**self._arguments)
        try:
            # For values with months: see `decode_interval`. asyncpg knows the type, and does not ask the server.
            await connection.set_type_codec(
                "interval", schema="pg_catalog", encoder=encode_interval, decoder=decode_interval, format="tuple"
            )
            if self._pooler is None and self.dialect.pooler_can_be_found:
                self._pooler = "transaction" if await is_pooled(connection) else "session"
                if self._pooler == "transaction":
                    self.terminate(connection)
                    return await self.open_raw()
            if self._init is not None:
                await self._init(connection)
        except BaseException:
            self.terminate(connection)
            raise
        return connection

    async def set_statement_timeout(self, raw: Any, seconds: float) -> None:
        """Nothing to do: the limit is set at login."""

    async def check(self, raw: Any) -> None:
        """Have the server answer. Raises if the connection is lost."""
        await raw.execute("SELECT 1")

    def is_open(self, raw: Any) -> bool:
        """Whether an idle connection may be lent."""
        return not raw.is_closed()

    def is_clean(self, raw: Any) -> bool:
        """Whether a connection is open, outside of transactions, and waits for a statement."""
        return not (raw.is_closed() or raw.is_in_transaction() or raw._protocol._is_cancelling())

    async def clean(self, raw: Any, *, dirty: bool) -> bool:
        """Wait until a cancelled statement has ended, roll back, and reset the session."""
        if not raw.is_closed() and raw._protocol._is_cancelling():
            await raw._protocol._wait_for_cancellation(None)
        if raw.is_closed():
            return False
        if raw.is_in_transaction():
            count_round_trip()
            await raw.execute("ROLLBACK")
        elif not dirty or self.is_pooled:
            # asyncpg parses a statement before it encodes the values. If that fails, or the task is cancelled in
            # between, the server keeps the statement's transaction, and its locks, until the next message.
            count_round_trip()
            await raw.execute("SELECT 1")
        if dirty and not self.dialect.resets_sessions:
            return False
        if dirty and not self.is_pooled:
            count_round_trip()
            await raw.reset()
        return True

    def leaves_unfinished(self, error: BaseException) -> bool:
        """Whether the server may still wait for the rest of a statement: unless it has sent the error itself."""
        return not isinstance(error, asyncpg.PostgresError) or getattr(error, "severity", None) is None

    async def close_connection(self, raw: Any) -> None:
        """Tell the server, and close the connection."""
        await raw.close()

    def ending(self, raw: Any) -> Callable[[], Coroutine[Any, Any, None]]:
        """Cancel the statement, also when the connection has lost its `protocol`."""
        return partial(_cancel_statement, raw, raw._protocol)

    def end_on_server(self, raw: Any) -> Coroutine[Any, Any, None]:
        """Cancel the statement of a connection that is about to be closed, which the server would run to its end."""
        return self.ending(raw)()

    def terminate(self, raw: Any) -> None:
        """Close a connection at once."""
        transport = raw._transport
        try:
            raw.terminate()
        except RuntimeError:  # of an event loop that is closed: the transport closes its socket only when it is freed
            with contextlib.suppress(OSError):
                transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def lock_statements(self, name: str, timeout: float | None, shared: bool) -> LockStatements:
        """`pg_advisory_lock()` with a key of 64 bits, which the name determines."""
        if self.is_pooled:
            raise NotSupportedError(
                "advisory locks belong to a session, and a pooler lends one for a transaction only: connect to the "
                "server itself, or call pg_advisory_xact_lock() in a transaction"
            )
        key = (int.from_bytes(digest(name)[:8], "big", signed=True),)
        suffix = "_shared" if shared else ""
        release = f"SELECT pg_advisory_unlock{suffix}($1)", key
        if timeout is not None and timeout < 0.001:  # a lock_timeout of 0 would mean no limit
            return LockStatements((f"SELECT pg_try_advisory_lock{suffix}($1)", key), release)
        acquire = f"SELECT TRUE FROM pg_advisory_lock{suffix}($1)", key
        if timeout is None:
            return LockStatements(acquire, release)
        limit = "SELECT set_config('lock_timeout', $1, FALSE)"
        return LockStatements(
            acquire, release, [(limit, (f"{round(timeout * 1000)}ms",))], [("RESET lock_timeout", ())]
        )

    def connection(self) -> "PostgreSQLConnection":
        """A connection, not yet checked out."""
        return PostgreSQLConnection(self, self._dialect)


class _StreamingIterate(postgres.PostgresConnection):
    """`iterate` of `databases` with the ORM's cursors, which do not need a transaction that asyncpg knows of."""

    manager: PostgreSQLBackend

    async def iterate(self, query: ClauseElement) -> AsyncGenerator[Any, None]:
        raw: Any = self._connection
        driver = AsyncpgDriver(managed=True)
        sql, args, result_columns = self._compile(query)
        column_maps = records.create_column_maps(result_columns)
        in_transaction = raw.is_in_transaction()
        if HAS_CURSOR.match(sql) is None or (not self.manager.driver.holds_cursors and not in_transaction):
            # INSERT … RETURNING and the like; or no cursor can be kept without a transaction.
            for row in await driver.fetch(raw, sql, args):
                yield records.Record(row, result_columns, self._dialect, column_maps)
            return
        rows = await driver.stream(raw, sql, args, in_transaction=in_transaction)
        try:
            while batch := await rows.read(ITERATE_ROWS):
                for row in batch:
                    yield records.Record(row, result_columns, self._dialect, column_maps)
        finally:
            await rows.close()


class PostgreSQLConnection(ManagedConnection, _StreamingIterate):
    """A connection of the pool while it is checked out."""

    manager: PostgreSQLBackend
    iterates_with_driver = True

    def __init__(self, manager: PostgreSQLBackend, dialect: Any) -> None:
        postgres.PostgresConnection.__init__(self, manager, dialect)
        self.manager = manager

    def _prepare(self, query: ClauseElement) -> tuple[str, Sequence[Any]]:
        sql, args = super()._prepare(query)
        if self.manager.is_pooled:
            refuse_session_state(sql)
        return sql, args

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

    async def send_commit(self) -> None:
        """Send COMMIT, and wait for its answer; TransactionError when a failed statement has broken the transaction."""
        with self.manager.log.timer("COMMIT", ()), translating:
            count_round_trip()
            # PostgreSQL rolls back a broken transaction at COMMIT, without an error.
            if await self._connection.execute("COMMIT") == "ROLLBACK":
                raise TransactionError(
                    "the transaction was rolled back: a statement in it had failed. To go on after a failure, run the"
                    " statement that may fail in an inner `async with database.transaction():`"
                )
