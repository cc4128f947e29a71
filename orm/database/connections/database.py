"""`orm.Database`: a `databases.Database` with clean connections and a statement log."""

import asyncio
import contextlib
import os
import weakref
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from databases.core import DatabaseURL

from orm.database.connections.advisory_locks import advisory_lock
from orm.database.connections.backend import OF_PARENT_PROCESSES, ManagedBackend
from orm.database.connections.connection import Connection
from orm.database.connections.database_url import SafeURL, check_url
from orm.database.connections.errors import connecting
from orm.database.connections.pool import PoolStatus
from orm.database.connections.pool_options import read_pool_options
from orm.database.connections.reads import RoutedReads
from orm.database.connections.replicas import Replicas
from orm.database.connections.transaction_callbacks import TransactionCallbacks
from orm.database.connections.transactions import Transaction
from orm.database.connections.turns import Detached, current_transaction, innermost
from orm.database.connections.units_of_work import current_unit, open_units
from orm.database.dialect_registry import find, url_schemes
from orm.database.query_log.events import Hook, QueryLog, configure_logging, open_trackers, print_event
from orm.database.query_log.repeated_queries import RepeatedQueryObserver
from orm.exceptions import InterfaceError, NotSupportedError
from orm.utils.blocking import before_exit


class Database(TransactionCallbacks, RoutedReads):
    """A database, named by a URL: `sqlite:///notes.db`, `postgresql://user:secret@host/shop`, `mysql://…`.

    It connects on first use, or with `await database.connect()`. It is closed by `await database.disconnect()`, or at
    the end of `async with database:`. `sqlite://` is one database in memory, shared by all tasks until it is closed.

    With `replicas`, a list of URLs, single reads outside of transactions run on replicas (see the page "More than one
    server"): `consistency` is ``session`` (a read sees what was written before in its context), ``eventual`` or
    ``primary``, `max_lag` the maximum lag in seconds; `fallback=False` raises an error if no replica can answer.

    `echo=True` prints each statement. `warn_repeated=10` warns when one query is awaited ten times in a row.
    `force_rollback=True` undoes everything at the end, for tests.

    Options of the pool, in seconds: `acquire_timeout` (30), `statement_timeout`, `max_lifetime`, `max_idle`;
    `on_connect=` is awaited with each new connection of the driver's, `debug=True` records the lines that acquire
    connections. Further options go to the driver: `min_size`, `max_size`, `ssl`, `timeout`, ….

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
        replicas: Sequence[str | DatabaseURL] = (),
        consistency: str = "session",
        max_lag: float | None = None,
        fallback: bool = True,
        **options: Any,
    ) -> None:
        url = parsed = SafeURL(url)
        check_url(parsed)
        dialect = find(parsed.dialect)
        driver = None if dialect is None else dialect.find_driver(parsed.driver)
        if dialect is None or (driver is None and (dialect.drivers or parsed.driver)):
            raise NotSupportedError(
                f"{parsed.scheme}:// is not a database the ORM knows: use one of {', '.join(url_schemes())}"
            )
        pool_options, server_url, driver_options = read_pool_options(parsed, options)
        try:
            super().__init__(server_url, force_rollback=force_rollback, **driver_options)
        except ImportError as error:
            # Not `orm[…]`: on PyPI, `orm` is another package (see the README).
            package = driver.package if parsed.driver and driver is not None else dialect.drivers[0].package
            raise InterfaceError(
                f"{parsed.scheme}:// needs a driver that is not installed: pip install {package} ({error})"
            ) from error
        self.url = parsed
        self.query_log = QueryLog()
        self.query_log.server = self._backend.display_name
        self._backend.log = self.query_log
        self._backend.dialect = dialect
        self._backend.pool_options = pool_options
        self.routed_by: Database | None = None
        """The database whose replica this is."""
        self.replicas: Replicas | None = None
        if replicas:
            members = [self._replica(url, options) for url in replicas]
            self.replicas = Replicas(self, members, consistency=consistency, max_lag=max_lag, fallback=fallback)
        self._ready = False
        self.loop: asyncio.AbstractEventLoop | None = None
        """The event loop on which it is connected."""
        self._connect_lock = asyncio.Lock()
        self._scope_inside = False
        self._scope_end: AsyncGenerator[None, None] | None = None
        self.open_transactions = 0
        """How many transactions and savepoints have begun, in all tasks, and not ended."""
        self.begun_by_hand: set[Transaction] = set()
        self.advisory_locks_held: dict[str, list[tuple[asyncio.Task[Any] | None, bool]]] = {}
        """The tasks that hold or wait for each advisory lock, and whether it is shared."""
        self.warn_repeated = warn_repeated
        _databases.add(self)
        if echo:
            self.echo = True

    def _replica(self, url: str | DatabaseURL, options: dict[str, Any]) -> "Database":
        replica = Database(url, **options)
        replica.routed_by = self
        self.query_log.share_listeners(replica.query_log)
        return replica

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
                self.loop = asyncio.get_running_loop()
                self.is_connected = True
            if scope_wanted:
                await self._begin_scope(inside=was_connected)
            self._ready = True

    def pool_status(self) -> PoolStatus:
        """How many connections are idle and in use, which tasks have them, and how many tasks wait for one.

        Raises `InterfaceError` while the database is not connected.
        """
        return self._backend.pool.status()

    async def close(self, timeout: float = 10.0) -> None:
        """Close all connections: the idle ones now, those in use when they come back, or after `timeout` seconds.

        What still runs on a connection then raises `ConnectionLost`. `disconnect()` does not wait.
        """
        await self._disconnect(timeout)

    async def disconnect(self) -> None:
        """Close all connections; those in use when they come back. Tasks that wait for one get an `InterfaceError`.

        A `force_rollback` scope that was entered on a connected database is rolled back, and the database stays
        connected.
        """
        await self._disconnect(None)

    async def _disconnect(self, timeout: float | None) -> None:
        if self.replicas is not None:
            await self.replicas.disconnect()
        if self._leave_closed_loop():
            await self._backend.disconnect()
        async with self._connect_lock:
            if not self.is_connected:
                return
            for forgotten in [each for each in self.begun_by_hand if each.is_left_open or each.is_of_current_task]:
                await forgotten.end_forgotten()
            transaction, self._global_transaction = self._global_transaction, None
            scope_end, self._scope_end = self._scope_end, None
            try:
                if scope_end is not None:
                    await scope_end.aclose()
                if transaction is not None:
                    await transaction.rollback()
            finally:
                self._global_connection = None
                inside, self._scope_inside = self._scope_inside, False
                if not inside:
                    self._connection = None
                    self._ready = self.is_connected = False
                    await self._backend.disconnect(timeout)

    async def __aenter__(self) -> "Database":
        await self.connect()
        return self

    async def ensure_connected(self, connection: Connection) -> None:
        """Connect the database if it is not connected, before `connection` checks out a driver's connection."""
        if self._ready and self.loop is asyncio.get_running_loop():
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
        if self.open_transactions and current_transaction(self) is not None:
            return None
        if open_units and current_unit(self) is not None:
            return None
        if self.loop is not asyncio.get_running_loop():
            return None
        bound = self._connection_map
        # Looking a key up in a weak map takes longer than finding it empty.
        return None if len(bound) and asyncio.current_task() in bound else self._backend

    def has_connection(self) -> bool:
        """Whether the current task's statements run on one connection: a transaction's, or one that it holds."""
        if self._global_connection is not None or self._force_rollback or current_transaction(self) is not None:
            return True
        if open_units and current_unit(self) is not None:
            return True
        bound: Any = self._connection_map.get(self._current_task)
        # The connection of a transaction that the task is detached from is not the task's.
        return bound is not None and bool(bound._connection_counter) and not bound._transaction_stack

    def connection(self) -> Connection:
        """The current task's connection; in a transaction, the transaction's."""
        if self.replicas is not None and (pinned := self.replicas.pinned) not in (None, self):
            assert pinned is not None
            return pinned.connection()
        transaction = current_transaction(self) if self.open_transactions else None
        if transaction is not None:
            joined: Connection = transaction.connection
            return joined
        if self._global_connection is not None:
            self._leave_closed_loop()
        if self._global_connection is not None:
            return self._global_connection
        if self._force_rollback and not self.is_connected:
            # The first use is part of the scope that rolls back, so it has to be on the scope's connection.
            self._global_connection = Connection(self, self._backend, is_global=True)
            return self._global_connection
        bound: Any = self._connection_map.get(self._current_task)
        if bound is None:
            bound = self._connection_map[self._current_task] = Connection(self, self._backend)
        elif bound._transaction_stack:
            bound = Connection(self, self._backend)  # `detached()` in this task's own transaction
        connection: Connection = bound
        return connection

    def forget_unused_connection(self) -> None:
        """Let the current task's statements run on any connection again, if it has not checked one out."""
        bound: Any = self._connection_map.get(self._current_task)
        if bound is not None and not bound._connection_counter:
            del self._connection_map[self._current_task]

    async def stream_connection(self) -> Connection:
        """The connection for a stream: the current task's, or one for the stream alone.

        Behind a pooler, and on some servers, a cursor lasts only as long as its transaction, and other statements of
        the task must not become part of that transaction.
        """
        connection = self.connection()
        database, backend = connection._database, connection._backend  # the replica's, if the transaction is on one
        await database.ensure_connected(connection)
        holds_cursors = backend.dialect.held_cursors and not backend.is_pooled
        needs_its_own = not holds_cursors and not connection._transaction_stack
        return Connection(database, backend) if needs_its_own else connection

    def transaction(self, *, force_rollback: bool = False, **kwargs: Any) -> Transaction:
        """A transaction on the current task's connection; inside another one, a savepoint.

        Options of the outermost transaction: `isolation` is `"read_uncommitted"`, `"read_committed"`,
        `"repeatable_read"` or `"serializable"` (SQLite is always serializable), `readonly=True` forbids writing,
        `deferrable=True` (PostgreSQL) waits for a safe snapshot, and `replica=True`, with `readonly=True`, begins the
        transaction on a replica that has replayed what the context wrote, or on the primary if there is none.

        Options of any: `timeout` cancels the block after so many seconds, with `TransactionTimeout`; `durable=True`
        refuses to be inside another transaction; `force_rollback=True` rolls back at the end; `retries`, of a decorated
        function, runs it up to so many times more after an error that is `retryable`.

        Raises `QueryError` for an unknown option or value, and `TransactionError` for options of the outermost
        transaction in an inner one.
        """
        return Transaction(self.connection, force_rollback, **kwargs)

    def replica(self) -> AbstractAsyncContextManager["Database"]:
        """All statements of the block run on one replica, which has replayed what the context wrote before.

        They run on the primary if no replica is current, or if the database has none.

        >>> async with database.replica(), database.transaction(readonly=True):
        ...     await Order.objects.filter(...).graph("items__product")
        """
        return contextlib.nullcontext(self) if self.replicas is None else self.replicas.one_replica()

    def primary(self) -> AbstractContextManager[None]:
        """All reads of the block run on the primary."""
        return contextlib.nullcontext() if self.replicas is None else self.replicas.only_primary()

    def session_position(self, token: str | None = None) -> AbstractAsyncContextManager[object]:
        """The block's reads see what it writes, and what was written before `position_token()` returned `token`.

        Reads outside of such blocks see what any task of the process wrote, and wait more often. The token may come
        from another process.
        """
        return contextlib.nullcontext() if self.replicas is None else self.replicas.session_position(token)

    async def position_token(self) -> str | None:
        """The position of what this context has written or must see, for `session_position`; None if there is none."""
        return None if self.replicas is None else await self.replicas.position_token()

    def advisory_lock(
        self, name: str, *, timeout: float | None = None, shared: bool = False
    ) -> contextlib.AbstractAsyncContextManager[None]:
        """A named lock, which one task at a time holds, among all programs that use the database.

        With `shared=True` (not on MySQL and MariaDB) several tasks hold it, while none holds it alone. It is released
        at the end of the block, and if the program dies. Raises `LockNotAvailable` after `timeout` seconds (0: at
        once), and `TransactionError` inside a transaction: the transaction is begun inside the lock.

        >>> async with database.advisory_lock("nightly report", timeout=0):
        ...     await write_report()
        """
        return advisory_lock(self, name, timeout, shared)

    @contextlib.contextmanager
    def detached(self) -> Iterator[None]:
        """Run this block, and the tasks that are started in it, outside of the current transaction.

        >>> async with database.transaction():
        ...     with database.detached():
        ...         task = asyncio.create_task(write_audit_log())
        """
        around = innermost.get()
        innermost.set(Detached(self, around))
        try:
            yield
        finally:
            innermost.set(around)

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
        self._scope_end = self._end_scope_with_loop()
        await anext(self._scope_end)

    async def _end_scope_with_loop(self) -> AsyncGenerator[None, None]:
        """Disconnect when the event loop shuts its asynchronous generators down: the scope would keep its locks."""
        scope_end = self._scope_end
        try:
            yield
        finally:
            if self._scope_end is scope_end:
                self._scope_end = None  # `disconnect()` would wait for this generator
                await self.disconnect()

    def _leave_closed_loop(self) -> bool:
        """Let go of connections that were opened on a closed event loop. Returns whether there were any."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise InterfaceError(
                "orm.Database runs on asyncio, whose event loop does not run here: under trio, run what uses the"
                " database in a thread of its own, with asyncio.run()"
            ) from None
        if self.loop is loop:
            return False
        was_connected = self.is_connected
        if self.loop is not None and not self.loop.is_closed() and (was_connected or self._connect_lock.locked()):
            raise InterfaceError(
                "this Database is connected on another event loop, which is still running: create a Database for"
                " each event loop or thread, or disconnect it there first"
            )
        if self.loop is not None and was_connected:
            self._backend.forget()
            self._forget_state()
        self.loop = loop
        self._connect_lock = asyncio.Lock()
        return was_connected

    def _forget_state(self) -> None:
        self._ready = self.is_connected = self._scope_inside = False
        self._global_connection = self._global_transaction = self._scope_end = None

    def _leave_to_parent(self) -> None:
        if self.is_connected:
            if self._scope_end is not None:
                OF_PARENT_PROCESSES.append(self._scope_end)
            self._backend.leave_to_parent()
            self._forget_state()
        self._connection_map.clear()
        self.open_transactions = 0
        self.loop = None


_databases: "weakref.WeakSet[Database]" = weakref.WeakSet()


def _after_fork() -> None:
    """In the child of a fork: its databases open connections of their own."""
    for database in _databases:
        database._leave_to_parent()


async def _before_exit() -> None:
    """At the end of a process: close what synchronous code has opened."""
    loop = asyncio.get_running_loop()
    for database in [each for each in _databases if each.is_connected and each.loop is loop]:
        await database.disconnect()


before_exit.append(_before_exit)

if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)
