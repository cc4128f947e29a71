"""MySQL and MariaDB: what the backends of both drivers have in common."""

import asyncio
import contextlib
import getpass
import math
import socket
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from databases.core import DatabaseURL
from sqlalchemy.sql import ClauseElement

from orm.database.connections.advisory_locks import FOR_EVER_SECONDS, LockStatements, digest
from orm.database.connections.backend import ManagedBackend
from orm.database.connections.connection import ManagedConnection
from orm.database.connections.database_url import SafeURL, display_name, servers_of
from orm.database.connections.driver import CursorStream
from orm.database.connections.pool import Pool
from orm.database.connections.transaction_options import Options
from orm.database.dialect_registry import registered_name
from orm.database.mysql.driver import INIT_COMMAND, MySQLDriver, connection_settings, escapable
from orm.database.mysql.url_options import server_roles, tls_context, url_options
from orm.exceptions import ConnectionLost, Deadlock, OperationalError, SerializationFailure

ResultT = TypeVar("ResultT")

PORT = 3306
MAX_SIZE = 10
# Why both drivers have closed a connection that a task was cancelled on.
CANCELLED = "Cancelled during execution"
RECYCLE_SECONDS = 3600.0
CONNECT_SECONDS = 10.0
# After these errors the next server of the URL is tried: no socket, no connection, an unknown host, too many
# connections, a Galera node that the cluster has lost, a shutdown, a lost connection.
UNREACHABLE = (2002, 2003, 2005, 1040, 1047, 1053, 2006, 2013)
PACKET_TOO_LARGE = 1153
UNKNOWN_THREAD = 1094
POOL_ARGUMENTS = ("minsize", "maxsize", "pool_recycle")
# The arguments of a connection that SQLAlchemy does not set by itself.
SQLALCHEMY_ARGUMENTS = ("user", "password", "db", "charset", "ssl", "unix_socket", "connect_timeout", "init_command")
# The pool's options by the names of `databases`.
DATABASES_NAMES = {"min_size": "minsize", "max_size": "maxsize"}


class MySQLBackend(ManagedBackend):
    """The connection pool of one database. A mixin before a backend of `databases`, whose options it takes."""

    driver: MySQLDriver
    _database_url: DatabaseURL
    _options: dict[str, Any]

    @abstractmethod
    async def _open(self, **options: Any) -> Any:
        """A new connection of the driver's."""

    def __init__(self, database_url: DatabaseURL | str, **options: Any) -> None:
        super().__init__(database_url, **options)  # type: ignore[call-arg]  # of the backend after this mixin
        url = self._database_url = SafeURL(self._database_url)
        name = registered_name(url.dialect)
        self.display_name = display_name(url, name, PORT)
        self._opened_at: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    async def connect(self) -> None:
        """Open the first connections."""
        options = self._read_options()
        min_size = options.pop("minsize", 1)
        max_size = options.pop("maxsize", max(MAX_SIZE, min_size))
        recycle = options.pop("pool_recycle", RECYCLE_SECONDS)
        max_idle = recycle if recycle > 0 else None
        pool: Pool[Any] = Pool(self, max_size=max_size, max_idle=max_idle, options=self.pool_options)
        await self.start_pool(pool, min_size)

    def _read_options(self) -> dict[str, Any]:
        """Set the servers and the arguments of their connections. Returns the options of the pool."""
        url = self._database_url
        keywords: dict[str, Any] = {DATABASES_NAMES.get(name, name): value for name, value in self._options.items()}
        options = {**url_options(url), **keywords}
        if options.get("ssl") is True:
            options["ssl"] = tls_context({"ssl_mode": "required"})
        of_pool = {name: options.pop(name) for name in POOL_ARGUMENTS if name in options}
        self._roles = server_roles(options.pop("target_session_attrs", "any"))
        self._servers = servers_of(url, PORT) or [(url.hostname or "localhost", PORT)]
        self._arguments = {
            "user": url.username or getpass.getuser(),
            # The drivers encode the password as Latin-1: decoded as Latin-1 first, it is sent in UTF-8.
            "password": (url.password or "").encode().decode("latin-1"),
            "db": url.database,
            "autocommit": True,
            **connection_settings(options),
        }
        self._connect_timeout = float(options.get("connect_timeout") or CONNECT_SECONDS)
        return of_pool

    async def engine_arguments(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The driver's arguments, for the server that a connection of the pool leads to now."""
        self._read_options()
        connection = await self.open_raw()  # it also looks whether the server offers the TLS that is asked for
        server = {"host": connection._host, "port": connection._port}
        await connection.ensure_closed()
        arguments = {name: value for name, value in self._arguments.items() if name in SQLALCHEMY_ARGUMENTS}
        if arguments["init_command"] == INIT_COMMAND:
            del arguments["init_command"]
        return {}, {**server, **arguments}

    async def open_raw(self) -> Any:
        """A connection to the first server that answers and has the role that the options ask for."""
        failure: BaseException | None = None
        for only_reads in self._roles:
            for host, port in self._servers:
                opening = self._open_in_role({"host": host, "port": port, **self._arguments}, only_reads)
                try:
                    connection = await asyncio.wait_for(opening, self._connect_timeout)
                except asyncio.TimeoutError:
                    # The drivers limit the time of the TCP connection only, not that of the login.
                    failure = ConnectionLost(
                        f"cannot connect to {self.display_name}: {host}:{port} did not answer within "
                        f"{self._connect_timeout:g} seconds (connect_timeout)"
                    )
                except (OSError, self.driver.error) as error:
                    if isinstance(error, self.driver.error) and error.args[0] not in UNREACHABLE:
                        raise
                    failure = error
                else:
                    if connection is not None:
                        self._opened_at[connection] = time.monotonic()
                        return connection
        raise failure or OperationalError("no server has the role that target_session_attrs asks for")

    async def _open_in_role(self, arguments: dict[str, Any], only_reads: bool | None) -> Any:
        """A new connection; None if the server does not have the role."""
        connection = await self._open_with_settings(arguments)
        if only_reads is None or await self._only_reads(connection) == only_reads:
            return connection
        connection.close()
        return None

    async def _only_reads(self, connection: Any) -> bool:
        try:
            ((only_reads,),) = await self.driver.fetch(connection, "SELECT @@global.read_only", ())
        except BaseException:
            connection.close()
            raise
        return bool(only_reads)

    async def _open_with_settings(self, arguments: dict[str, Any]) -> Any:
        """A new connection. The ORM's settings of the session come after the user's `init_command`, if there is one."""
        connection = await self._open(**arguments)
        try:
            if arguments.get("ssl"):
                # The drivers go on without TLS if the server does not offer it.
                ((_, cipher),) = await self.driver.fetch(connection, "SHOW SESSION STATUS LIKE 'Ssl_cipher'", ())
                if not cipher:
                    raise OperationalError(f"{self.display_name} does not offer TLS, which the options ask for")
            if arguments["init_command"] != INIT_COMMAND:
                await self.driver.execute(connection, INIT_COMMAND, ())
        except BaseException:
            connection.close()
            raise
        return connection

    async def set_statement_timeout(self, raw: Any, seconds: float) -> None:
        """End each statement of a connection after this many seconds; on MySQL only those that read."""
        setting = f"max_execution_time = {round(seconds * 1000)}"
        if await self.driver.server(raw) == "mariadb":
            setting = f"max_statement_time = {seconds:f}"
        await self.driver.execute(raw, f"SET SESSION {setting}", ())

    async def check(self, raw: Any) -> None:
        """Have the server answer. Raises if the connection is lost."""
        await raw.ping(reconnect=False)

    def is_open(self, raw: Any) -> bool:
        """Whether an idle connection may be lent."""
        return self.driver.is_open(raw)

    def is_clean(self, raw: Any) -> bool:
        """Whether a connection is open, outside of transactions, and waits for a statement."""
        return self.driver.is_usable(raw)

    async def clean(self, raw: Any, *, dirty: bool) -> bool:
        """End a cancelled statement, whose connection the driver has closed. One that keeps state is closed."""
        if raw._close_reason == CANCELLED:
            await self.end_on_server(raw)
        return not dirty and self.is_clean(raw)

    def ends_connection(self, error: BaseException) -> bool:
        """The server also closes a connection that has sent more than `max_allowed_packet`."""
        return super().ends_connection(error) or error.args[:1] == (PACKET_TOO_LARGE,)

    async def end_on_server(self, raw: Any) -> None:
        """End a connection on its server, which would otherwise notice only after the statement that it is closed.

        It does nothing if the server was restarted meanwhile: another connection may have the number there.
        """
        server = {"host": raw._host, "port": raw._port, "init_command": None}
        connection = await self._open(**{**self._arguments, **server})
        try:
            uptime = await self.driver.fetch(connection, "SHOW GLOBAL STATUS LIKE 'Uptime'", ())
            age = time.monotonic() - self._opened_at[raw]
            if not uptime or int(uptime[0][1]) + 1 > age:  # a proxy or a compatible server may not have the variable
                await self.driver.execute(connection, f"KILL {raw.thread_id():d}", ())
        except self.driver.error as error:
            if error.args[:1] != (UNKNOWN_THREAD,):  # it has ended meanwhile
                raise
        finally:
            connection.close()

    async def close_connection(self, raw: Any) -> None:
        """Tell the server, and close the connection."""
        await self.driver.close(raw)

    def terminate(self, raw: Any) -> None:
        """Close a connection at once."""
        CursorStream.forget(raw)
        transport = self.driver.transport(raw)
        try:
            raw.close()
        except RuntimeError:  # of an event loop that is closed: the transport closes its socket only when it is freed
            with contextlib.suppress(OSError):
                transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def lock_statements(self, name: str, timeout: float | None, shared: bool) -> LockStatements:
        """`GET_LOCK()` with a hash: its names are short, ignore case, and are shared by all databases of the server."""
        key = digest(self._database_url.database, name).hex()[:60]
        seconds = FOR_EVER_SECONDS if timeout is None else math.ceil(timeout)
        return LockStatements(("SELECT GET_LOCK(%s, %s)", (key, seconds)), ("SELECT RELEASE_LOCK(%s)", (key,)))


class MySQLConnection(ManagedConnection):
    """A connection while it is checked out. A mixin before a connection of `databases`."""

    manager: MySQLBackend

    def __init__(self, manager: MySQLBackend, dialect: Any) -> None:
        self._connection = None
        self._dialect = dialect
        self.manager = manager

    async def begin(self, options: Options) -> None:
        """Begin the outermost transaction."""
        if options.isolation:
            await self.run(f"SET TRANSACTION ISOLATION LEVEL {options.isolation}")
        await self.run("START TRANSACTION READ ONLY" if options.readonly else "START TRANSACTION")

    def has_ended_transaction(self, error: BaseException) -> bool:
        """After a deadlock, InnoDB rolls the whole transaction back, not only to the last savepoint.

        So does MariaDB if the transaction's snapshot is outdated. A cancelled statement's connection is closed.
        """
        return (
            isinstance(error, (Deadlock, SerializationFailure))
            or self._connection._close_reason == CANCELLED
            or super().has_ended_transaction(error)
        )

    async def run_in_order(self, sql: str, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run `call`, the driver's call that sends `sql`, once the rows of a running query are read."""
        await CursorStream.drain(self._connection)
        return await super().run_in_order(sql, call)

    def _compile(self, query: ClauseElement) -> Any:
        sql, args, *others = super()._compile(query)
        escapable(self._connection, args.values() if isinstance(args, dict) else args or ())
        return sql, args, *others

    async def iterate(self, query: ClauseElement) -> AsyncGenerator[Any, None]:
        """The rows, one by one, once the rows of a running query are read."""
        await CursorStream.drain(self._connection)
        async with aclosing(super().iterate(query)) as records:
            async for record in records:
                yield record
