"""The backends of `orm.Database`: a pool of connections, and statements outside of transactions on any of them."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from databases.interfaces import DatabaseBackend

from orm.database.connections.driver import Driver, Outcome, ask_server
from orm.database.connections.errors import connecting, translating
from orm.database.connections.pool import Pool
from orm.database.connections.pool_options import PoolOptions
from orm.database.dialect import Dialect
from orm.database.query_log.events import QueryLog
from orm.exceptions import CommitUnknown, ConnectionLost, InterfaceError, NotSupportedError, ReadOnlyServer
from orm.utils.row_batches import RowReader

ResultT = TypeVar("ResultT")

# The pools of the parent process, after a fork. They are kept, because closing its connections would disturb it.
OF_PARENT_PROCESSES: list[Any] = []

# After these errors a connection is not lent again: it is lost, or leads to a server that became a replica.
UNUSABLE_AFTER = (ConnectionLost, CommitUnknown, ReadOnlyServer)


class ManagedBackend(DatabaseBackend):
    """The connection pool of one database. `display_name` names the server in messages; `orm.Database` sets `log`."""

    driver: Driver
    log: QueryLog
    dialect: Dialect
    """The dialect of the server; that of the URL until the first connection is open."""
    display_name: str
    is_pooled = False
    """Whether a pooler lends a connection to the server for one transaction only."""
    _pool: Any

    pool_options = PoolOptions()
    _knows_server = False
    _of_closed_loops: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = ()
    """What ends the statements of closed event loops, until it has done so: the next loop may be closed, too."""

    async def start_pool(self, pool: Pool[Any], size: int) -> None:
        """Use this pool from now on, once it has opened its first connections."""
        try:
            await pool.fill(size)
        except BaseException:
            await pool.close()
            raise
        self._pool = pool
        for ending in self._of_closed_loops:
            pool.clean_ups.start(self._end_of_closed_loop(ending))

    async def _end_of_closed_loop(self, ending: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await ending()
        self._of_closed_loops = tuple(each for each in self._of_closed_loops if each is not ending)

    async def disconnect(self, timeout: float | None = None) -> None:
        """Close the connections; those in use when they come back, or after `timeout` seconds."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close(timeout)
        self._of_closed_loops = ()

    def leave_to_parent(self) -> None:
        """In the child of a fork: stop using the parent's connections, without closing them."""
        OF_PARENT_PROCESSES.append(self._pool)
        self._pool = None

    @property
    def pool(self) -> Pool[Any]:
        """The pool; InterfaceError when the database is closed."""
        pool: Pool[Any] | None = self._pool
        if pool is None:
            raise InterfaceError(f"{self.display_name} is not connected")
        return pool

    async def fetch(self, sql: str, args: Sequence[Any]) -> Sequence[Any]:
        """The rows of one of the ORM's statements, outside of transactions."""
        return await self.run_autocommit(self.driver.fetch, sql, args)

    async def fetch_objects(self, sql: str, args: Sequence[Any], reader: RowReader) -> list[Any]:
        """The objects that `reader` makes of the rows of one of the ORM's statements, outside of transactions."""
        return await self.run_autocommit(self.driver.fetch_objects, sql, args, reader)

    async def execute(self, sql: str, args: Sequence[Any]) -> Outcome:
        """Execute one of the ORM's statements, outside of transactions, and discard any rows."""
        return await self.run_autocommit(self.driver.execute, sql, args)

    async def run_autocommit(self, call: Callable[..., Awaitable[ResultT]], *args: Any) -> ResultT:
        """`call(raw, *args)` on any free connection, which then goes back to the pool."""
        pool = self.pool
        raw = pool.acquire_nowait()
        if raw is None:
            with connecting(self.display_name):
                raw = await pool.acquire()
        try:
            with translating:
                result = await call(raw, *args)
        except BaseException as error:
            await self.check_in_failed(pool, raw, error)
            raise
        if not pool.release_nowait(raw):
            await pool.check_in(raw)
        return result

    def forget(self) -> None:
        """Drop the connections of an event loop that is closed; `connect` ends their statements on the server."""
        pool, self._pool = self.pool, None
        self._of_closed_loops += tuple(self.ending(connection) for connection in pool.in_use())
        for connection in pool.forget():
            self.terminate(connection)

    async def check_in_failed(
        self,
        pool: Pool[Any],
        raw: Any,
        error: BaseException,
        *,
        dirty: bool = False,
        after: Coroutine[Any, Any, None] | None = None,
    ) -> None:
        """Give a connection back on which a statement has failed."""
        if self.ends_connection(error):
            self.terminate(raw)
            if isinstance(error, ReadOnlyServer):
                pool.replace_all()  # the others lead to the same server
        await pool.check_in(raw, dirty=dirty, unfinished=self.leaves_unfinished(error), after=after)

    def ends_connection(self, error: BaseException) -> bool:
        """Whether the connection is not lent again on which a statement has failed with this error."""
        return isinstance(error, UNUSABLE_AFTER)

    def leaves_unfinished(self, error: BaseException) -> bool:
        """Whether the server may still wait for the rest of a statement that has failed with this error."""
        return False

    # Advisory locks (see `orm.database.connections.advisory_locks`)

    def lock_statements(self, name: str, timeout: float | None, shared: bool) -> Any:
        """The `LockStatements` of an advisory lock; None if the server has none, and `try_lock` takes it."""
        raise NotSupportedError(f"{self.display_name} has no advisory locks")

    def try_lock(self, name: str, shared: bool) -> Callable[[], None] | None:
        """Take a lock that needs no statements; returns what releases it, or None if it is held."""
        raise NotSupportedError(f"{self.display_name} has no advisory locks")

    # What the pool needs (see `orm.database.connections.pool.Connector`)

    async def open_connection(self) -> Any:
        """A new connection, with the pool's options."""
        raw = await self.open_raw()
        try:
            if not self._knows_server:
                self.dialect = await ask_server(self.driver, raw, self.dialect)
                self._knows_server = True
            if self.pool_options.statement_timeout is not None:
                await self.set_statement_timeout(raw, self.pool_options.statement_timeout)
            if self.pool_options.on_connect is not None:
                await self.pool_options.on_connect(raw)
        except BaseException:
            self.terminate(raw)
            raise
        return raw

    @abstractmethod
    async def engine_arguments(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What SQLAlchemy's engine connects to the same server with, for migrations: parts of its URL, and arguments.

        The ORM's settings of the session, and the limits of its pool, are not among them.
        """

    @abstractmethod
    async def open_raw(self) -> Any:
        """A new connection of the driver's, with the ORM's settings."""

    @abstractmethod
    async def set_statement_timeout(self, raw: Any, seconds: float) -> None:
        """End each statement of a connection after this many seconds."""

    @abstractmethod
    async def check(self, raw: Any) -> None:
        """Have the server answer. Raises if the connection is lost."""

    @abstractmethod
    def is_open(self, raw: Any) -> bool:
        """Whether an idle connection may be lent."""

    @abstractmethod
    def is_clean(self, raw: Any) -> bool:
        """Whether a connection is open, outside of transactions, and waits for a statement."""

    @abstractmethod
    async def clean(self, raw: Any, *, dirty: bool) -> bool:
        """End what runs on a connection. Returns whether it may be lent again; not if it keeps state (`dirty`)."""

    @abstractmethod
    async def close_connection(self, raw: Any) -> None:
        """Close a connection in an orderly way."""

    @abstractmethod
    def terminate(self, raw: Any) -> None:
        """Close a connection at once."""

    def ending(self, raw: Any) -> Callable[[], Coroutine[Any, Any, None]]:
        """What ends a connection's statement on its server, also after the connection is terminated."""
        return partial(self.end_on_server, raw)

    async def end_on_server(self, raw: Any) -> None:
        """End what a connection runs that is about to be terminated: its server would notice after the statement."""
        return
