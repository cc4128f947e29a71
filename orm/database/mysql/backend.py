"""MySQL and MariaDB: what the backends of both drivers have in common."""

import getpass
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from databases.core import DatabaseURL

from orm.database.connections.connection import ManagedBackend, ManagedConnection
from orm.database.connections.driver import CursorStream
from orm.database.connections.pool import Pool
from orm.database.connections.transactions import Options
from orm.database.dialect_registry import registered_name
from orm.database.mysql.driver import INIT_COMMAND, MySQLDriver, connection_settings
from orm.database.mysql.url_options import tls_context, url_options
from orm.exceptions import Deadlock, NotSupportedError, OperationalError

ResultT = TypeVar("ResultT")

MAX_SIZE = 10
RECYCLE_SECONDS = 3600.0
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
        url = self._database_url
        name = registered_name(url.dialect)
        self.display_name = f"{name} at {url.hostname or 'localhost'}:{url.port or 3306}, database {url.database!r}"

    async def connect(self) -> None:
        """Open the first connections."""
        url = self._database_url
        keywords: dict[str, Any] = {DATABASES_NAMES.get(name, name): value for name, value in self._options.items()}
        options = {**url_options(url), **keywords}
        if options.get("ssl") is True:
            options["ssl"] = tls_context({"ssl_mode": "required"})
        min_size = options.pop("minsize", 1)
        max_size = options.pop("maxsize", max(MAX_SIZE, min_size))
        recycle = options.pop("pool_recycle", RECYCLE_SECONDS)
        arguments = {
            "host": url.hostname,
            "port": url.port or 3306,
            "user": url.username or getpass.getuser(),
            "password": url.password or "",
            "db": url.database,
            "autocommit": True,
            **connection_settings(options),
        }
        self._pool = Pool(
            lambda: self._open_with_settings(arguments),
            _close,
            self.driver.is_usable,
            max_size=max_size,
            recycle=recycle if recycle > 0 else None,
        )
        await self._pool.fill(min_size)

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

    async def disconnect(self) -> None:
        """Close the connections; those in use when they come back."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def check_in(self, raw: Any, *, dirty: bool) -> None:
        """Return a connection to the pool. One that may carry state, or is in a transaction, is closed instead."""
        pool = self._pool
        if pool is None:
            await _close(raw)
        elif dirty:
            await pool.discard(raw)
        else:
            await pool.release(raw)

    def forget(self) -> None:
        """Forget the connections of an event loop that is closed."""
        pool, self._pool = self.pool, None
        pool.forget()


async def _close(connection: Any) -> None:
    try:
        await connection.ensure_closed()
    except (OSError, RuntimeError):
        connection.close()  # the server has closed it already


class MySQLConnection(ManagedConnection):
    """A connection while it is checked out. A mixin before a connection of `databases`."""

    manager: MySQLBackend

    def __init__(self, manager: MySQLBackend, dialect: Any) -> None:
        self._connection = None
        self._dialect = dialect
        self.manager = manager

    async def begin(self, options: Options) -> None:
        """Begin the outermost transaction."""
        if options.deferrable:
            raise NotSupportedError("MySQL has no deferrable transactions")
        if options.isolation:
            await self.run(f"SET TRANSACTION ISOLATION LEVEL {options.isolation}")
        await self.run("START TRANSACTION READ ONLY" if options.readonly else "START TRANSACTION")

    def has_ended_transaction(self, error: BaseException) -> bool:
        """InnoDB rolls the whole transaction of a deadlock's victim back, not only to the last savepoint."""
        return isinstance(error, Deadlock) or super().has_ended_transaction(error)

    async def run_in_order(self, sql: str, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run `call`, the driver's call that sends `sql`, once the rows of a running query are read."""
        await CursorStream.drain(self._connection)
        return await super().run_in_order(sql, call)
