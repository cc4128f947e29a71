"""`orm.Database`: a `databases.Database` with clean connections and a statement log."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import databases
from databases.core import DatabaseURL
from sqlalchemy.sql import ClauseElement

from orm.database.connections.connection import Connection, ManagedBackend
from orm.database.connections.errors import connecting
from orm.database.connections.on_commit import commit_callback
from orm.database.connections.transactions import Transaction
from orm.database.dialect_registry import find, url_schemes
from orm.database.query_log.events import Hook, QueryLog, configure_logging, open_trackers, print_event
from orm.database.query_log.repeated_queries import RepeatedQueryObserver
from orm.exceptions import InterfaceError, NotSupportedError


class Database(databases.Database):
    """A database, named by a URL: `sqlite:///notes.db`, `postgresql://user:secret@host/shop`, `mysql://…`.

    It connects on first use, or with `await database.connect()`. It is closed by `await database.disconnect()`, or at
    the end of `async with database:`. `sqlite://` is one database in memory, shared by all tasks until it is closed.

    `echo=True` prints each statement. `warn_repeated=10` warns when one query is awaited ten times in a row.
    `force_rollback=True` undoes everything at the end, for tests. Further options go to the driver: `min_size`,
    `max_size`, `ssl`, `timeout`, ….

    Raises `InterfaceError` when the driver is not installed, `NotSupportedError` for a URL of another database, and
    `OperationalError`, which names the server but never the password, when no connection can be made. Connecting raises
    `NotSupportedError` if the dialect has no drivers; its queries can only be compiled.

    >>> database = Database("postgresql://postgres@localhost/shop", max_size=20)
    >>> async with database.transaction(isolation="serializable"):
    ...     await Order.objects.create(total=3)
    """

    _backend: ManagedBackend
    _global_connection: Connection | None
    _global_transaction: Transaction | None

    def __init__(
        self,
        url: str | DatabaseURL,
        *,
        force_rollback: bool = False,
        echo: bool = False,
        warn_repeated: int | None = None,
        **options: Any,
    ) -> None:
        parsed = DatabaseURL(url)
        dialect = find(parsed.dialect)
        driver = None if dialect is None else dialect.find_driver(parsed.driver)
        if dialect is None or (driver is None and (dialect.drivers or parsed.driver)):
            raise NotSupportedError(
                f"{parsed.scheme}:// is not a database the ORM knows: use one of {', '.join(url_schemes())}"
            )
        try:
            super().__init__(parsed, force_rollback=force_rollback, **options)
        except ImportError as error:
            package = f"'orm[{dialect.extra}]'" if dialect.extra or driver is None else driver.package
            raise InterfaceError(
                f"{parsed.scheme}:// needs a driver that is not installed: pip install {package} ({error})"
            ) from error
        self.query_log = QueryLog()
        self._backend.log = self.query_log
        self._ready = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connect_lock = asyncio.Lock()
        self._scope_inside = False
        self.warn_repeated = warn_repeated
        if echo:
            self.echo = True

    def _get_backend(self) -> str:
        dialect = find(self.url.dialect)
        assert dialect is not None
        driver = dialect.find_driver(self.url.driver)
        return driver.backend if driver else "orm.database.connections.no_driver:NoDriverBackend"

    @property
    def echo(self) -> bool:
        """Whether each statement is printed, with its values, duration and rows, by the `orm.sql` logger at INFO."""
        return print_event in self.query_log.hooks

    @echo.setter
    def echo(self, on: bool) -> None:
        if on and not self.echo:
            configure_logging()
            self.query_log.add(print_event)
        elif not on and self.echo:
            self.query_log.remove(print_event)

    @property
    def warn_repeated(self) -> int | None:
        """How often in a row one line of the program may await one query before a warning; None: no warning.

        For development: a loop that sends a query for each row gets an `orm.RepeatedQueryWarning` with the line, the
        query, and the call that needs fewer queries. Raises `QueryError` for anything but None and numbers from 2 on.
        """
        observer = self.query_log.observer
        return observer.times if isinstance(observer, RepeatedQueryObserver) else None

    @warn_repeated.setter
    def warn_repeated(self, times: int | None) -> None:
        self.query_log.observer = None if times is None else RepeatedQueryObserver(times)

    def add_hook(self, hook: Hook) -> None:
        """Call `hook` with a `QueryEvent` after each statement, including failed ones and those of transactions."""
        self.query_log.add(hook)

    def remove_hook(self, hook: Hook) -> None:
        """Stop calling `hook`. Raises ValueError if it was not added."""
        self.query_log.remove(hook)

    async def connect(self) -> None:
        """Open the pool; with `force_rollback`, begin the transaction that `disconnect()` will roll back."""
        self._leave_closed_loop()
        async with self._connect_lock:
            scope_wanted = self._force_rollback and self._global_transaction is None
            if self._ready and not scope_wanted:
                return
            was_connected = self.is_connected
            if not was_connected:
                with connecting(self._backend.display_name):
                    await self._backend.connect()
                self._loop = asyncio.get_running_loop()
                self.is_connected = True
            if scope_wanted:
                await self._begin_scope(inside=was_connected)
            self._ready = True

    async def disconnect(self) -> None:
        """Close all connections.

        A `force_rollback` scope that was entered on a connected database is rolled back, and the database stays
        connected.
        """
        if self._leave_closed_loop():
            await self._backend.disconnect()
        async with self._connect_lock:
            if not self.is_connected:
                return
            transaction, self._global_transaction = self._global_transaction, None
            try:
                if transaction is not None:
                    await transaction.rollback()
            finally:
                self._global_connection = None
                inside, self._scope_inside = self._scope_inside, False
                if not inside:
                    self._connection = None
                    self._ready = self.is_connected = False
                    await self._backend.disconnect()

    async def __aenter__(self) -> "Database":
        await self.connect()
        return self

    async def ensure_connected(self, connection: Connection) -> None:
        """Connect the database if it is not connected, before `connection` checks out a driver's connection."""
        if self._ready and self._loop is asyncio.get_running_loop():
            return
        if connection is self._global_connection and self._connect_lock.locked() and self.is_connected:
            return  # connect() is beginning the scope's transaction
        await self.connect()

    def autocommit_backend(self) -> ManagedBackend | None:
        """The backend, if a statement of the current task may run on any of its connections.

        None if a connection is bound to the task (by a transaction, say), if statements are logged or tracked, or while
        the database is not connected.
        """
        if not self._ready or self.query_log.active or open_trackers or self._global_connection is not None:
            return None
        if self._loop is not asyncio.get_running_loop():
            return None
        bound = self._connection_map
        # Looking a key up in a weak map takes longer than finding it empty.
        return None if len(bound) and asyncio.current_task() in bound else self._backend

    def connection(self) -> Connection:
        """The current task's connection."""
        if self._global_connection is not None:
            return self._global_connection
        if self._force_rollback and not self.is_connected:
            # The first use is part of the scope that rolls back, so it has to be on the scope's connection.
            self._global_connection = Connection(self, self._backend, is_global=True)
            return self._global_connection
        connection: Any = self._connection_map.get(self._current_task)
        if connection is None:
            connection = self._connection_map[self._current_task] = Connection(self, self._backend)
        bound: Connection = connection
        return bound

    def transaction(self, *, force_rollback: bool = False, **kwargs: Any) -> Transaction:
        """A transaction on the current task's connection; inside another one, a savepoint.

        `isolation` is `"read_uncommitted"`, `"read_committed"`, `"repeatable_read"` or `"serializable"` (SQLite is
        always serializable), `readonly=True` forbids writing, `deferrable=True` (PostgreSQL) waits for a safe snapshot,
        `force_rollback=True` rolls back at the end. Raises `QueryError` for an unknown option, and `TransactionError`
        for options of an inner transaction.
        """
        return Transaction(self.connection, force_rollback, **kwargs)

    async def on_commit(self, func: Callable[[], object], *, robust: bool = False) -> None:
        """Call `func` after the commit of the current task's transaction; at once if there is none.

        `func` takes no arguments (use `functools.partial` to pass some), and its result is awaited if it is awaitable.
        Functions run after the outermost commit, one after the other, in the order of their registration; no
        transaction is open then. The functions of a block that is rolled back never run, nor do those of a
        `force_rollback` scope.

        A function that fails does not undo the commit: its error is raised from the outermost block, and the functions
        after it do not run. With `robust=True` the error is logged by the `orm.transactions` logger, and they do.

        Raises `QueryError` if `func` cannot be called.

        >>> async with database.transaction():
        ...     order = await Order.objects.create(total=3)
        ...     await database.on_commit(functools.partial(send_receipt, order))
        """
        if self._force_rollback and not self._ready:
            await self.connect()  # as a query would, this begins the scope that rolls back
        connection = self._global_connection or self._connection_map.get(self._current_task)
        if connection is None or not connection._transaction_stack:
            await commit_callback(func, robust).run()
        else:
            innermost = connection._transaction_stack[-1]
            assert isinstance(innermost, Transaction)
            await innermost.on_commit(func, robust=robust)

    async def iterate(
        self, query: ClauseElement | str, values: dict[str, Any] | None = None
    ) -> AsyncGenerator[Any, None]:
        """The rows of a query, one by one."""
        records = self.connection().iterate(query, values)
        try:
            async for record in records:
                yield record
        finally:
            await records.aclose()

    async def _begin_scope(self, *, inside: bool) -> None:
        if self._global_connection is None:
            self._global_connection = Connection(self, self._backend, is_global=True)
        transaction = self._global_connection.transaction(force_rollback=True)
        try:
            await transaction.start()
        finally:
            if transaction.is_open:
                self._global_transaction = transaction
                self._scope_inside = inside
            else:
                self._global_connection = None

    def _leave_closed_loop(self) -> bool:
        """Let go of connections that were opened on a closed event loop. Returns whether there were any."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return False
        was_connected = self.is_connected
        if self._loop is not None and self.is_connected:
            if not self._loop.is_closed():
                raise InterfaceError("this Database is connected on another event loop, which is still running")
            self._backend.forget()
            self._ready = self.is_connected = self._scope_inside = False
            self._global_connection = self._global_transaction = None
        self._loop = loop
        self._connect_lock = asyncio.Lock()
        return was_connected
