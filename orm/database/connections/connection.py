"""The connections of `orm.Database`: those of `databases`, logged, safe under cancellation and clean on return."""

import asyncio
import re
import sys
from abc import abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import databases.core
from databases.interfaces import ConnectionBackend, TransactionBackend
from sqlalchemy.sql import ClauseElement

from orm.database.connections.backend import UNUSABLE_AFTER, ManagedBackend
from orm.database.connections.errors import combine, connecting, translating
from orm.database.connections.pool import Pool
from orm.database.connections.sql_transaction import SQLTransaction
from orm.database.connections.streams import OpenStream, RecordStream
from orm.database.connections.transaction_options import Options
from orm.database.connections.transactions import Transaction
from orm.database.connections.turns import Turns
from orm.database.query_log.events import count_round_trip
from orm.exceptions import CommitUnknown, ConnectionLost, ReadOnlyServer, TransactionError

if TYPE_CHECKING:
    from orm.database.connections.database import Database

ResultT = TypeVar("ResultT")

# Statements that leave no state on the connection, unless there is a stateful part in them.
STATELESS = re.compile(r"\s*\(*(?:SELECT|INSERT|UPDATE|DELETE|WITH|VALUES|EXPLAIN|MERGE|REPLACE)\b", re.IGNORECASE)
STATEFUL_PART = re.compile(
    r"\bset_config\b|\bpg_(?:try_)?advisory_lock|\bget_lock\b|\binto\s+temp|@\w+\s*:=", re.IGNORECASE
)


def leaves_state(sql: str) -> bool:
    """Whether a statement may change the connection for its next user (SET, LISTEN, a temporary table, …)."""
    return STATELESS.match(sql) is None or STATEFUL_PART.search(sql) is not None


class ManagedConnection(ConnectionBackend):
    """A mixin before a backend's connection of `databases`: logs its statements and translates its errors.

    `dirty` says that the connection may carry state when it goes back to the pool.
    """

    manager: ManagedBackend
    dirty = False
    has_transaction = False
    """Whether a transaction is open, as far as the program knows."""
    is_readonly = False
    """Whether that transaction was begun with `readonly=True`."""
    failure: BaseException | None = None
    """The last error of a statement, or the first after which the connection must not be lent again."""
    ended_by: BaseException | None = None
    """The error after which the server has ended that transaction: nothing more may run in it."""
    iterates_with_driver = False  # whether `iterate` reads through the ORM's driver, which counts its round trips
    _connection: Any
    _compiled: tuple[Any, ...]
    _lender: Pool[Any]
    """The pool that `_connection` goes back to: not the backend's, once that has been closed and connected again."""

    @property
    def raw_connection(self) -> Any:
        """The driver's connection. State that you leave on it is removed when it goes back to the pool."""
        self.dirty = True
        return super().raw_connection

    async def run(self, sql: str) -> None:
        """Run a statement that begins or ends a transaction or a savepoint."""
        try:
            with self.manager.log.timer(sql, ()), translating:
                await self.manager.driver.execute(self._connection, sql, ())
        except BaseException as error:
            self.note_failure(error)
            raise

    def transaction_began(self, options: Options) -> None:
        """Note that a transaction is open from here on."""
        self.has_transaction, self.ended_by, self.is_readonly = True, None, options.readonly

    def transaction_ended(self) -> None:
        """Note that no transaction is open any more."""
        self.has_transaction, self.ended_by, self.is_readonly = False, None, False

    def check_transaction(self) -> None:
        """Raise `TransactionError` if the server has ended the open transaction, or lost it."""
        if self.ended_by is not None:
            reason = f"{type(self.ended_by).__name__}: {self.ended_by}".removesuffix(": ")
            raise TransactionError(
                f"the server has rolled all of this transaction back after an earlier error ({reason}): leave every "
                "block of it, and run it again from its beginning"
            ) from self.ended_by

    def note_failure(self, error: BaseException) -> None:
        """Note that a statement has failed, which may have ended the open transaction, or the connection.

        Raises `TransactionError` for a write in a transaction that was begun with `readonly=True`.
        """
        if self.failure is None or not isinstance(self.failure, UNUSABLE_AFTER):
            self.failure = error
        if isinstance(error, ReadOnlyServer) and self.is_readonly and error.__cause__ is not None:
            self.failure = None
            raise combine(
                TransactionError,
                error.__cause__,
                f"this transaction was begun with readonly=True, so it cannot write ({error})",
            )
        if self.has_transaction and self.ended_by is None and self.has_ended_transaction(error):
            self.ended_by = error

    def has_ended_transaction(self, error: BaseException) -> bool:
        """Whether the server keeps nothing of the open transaction after this error."""
        return isinstance(error, ConnectionLost)

    def acquire_nowait(self) -> bool:
        """Check a connection out of the pool if one is idle. Returns whether there was one."""
        self._lender = self.manager.pool
        self._connection = self._lender.acquire_nowait()
        return self._connection is not None

    async def acquire(self) -> None:
        """Check a connection out of the pool."""
        self._lender = pool = self.manager.pool
        self._connection = await pool.acquire()

    async def release(self, after: Coroutine[Any, Any, None] | None = None) -> None:
        """Give the connection back, clean, `after` waiting for what still runs on it."""
        raw, self._connection = self._connection, None
        dirty, self.dirty = self.dirty, False
        failure, self.failure = self.failure, None
        self.transaction_ended()
        if failure is None:
            await self._lender.check_in(raw, dirty=dirty, after=after)
        else:
            await self.manager.check_in_failed(self._lender, raw, failure, dirty=dirty, after=after)

    async def run_to_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what ends a transaction or a stream to completion, even if the task is cancelled meanwhile.

        If the task is or was cancelled, the connection is closed unless the server answers soon. That raises
        `ConnectionLost`: the task may not be cancelled itself, as when only its statement was, by a time limit.
        """
        pool, raw = self._lender, self._connection
        task = pool.clean_ups.start(work)
        if any(isinstance(error, asyncio.CancelledError) for error in (self.failure, sys.exc_info()[1])):
            pool.limit(task, raw)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise ConnectionLost("the server did not answer, and the connection was closed") from None
            if not task.done():
                pool.limit(task, raw)
            raise

    @abstractmethod
    async def begin(self, options: Options) -> None:
        """Begin the outermost transaction."""

    async def commit(self) -> None:
        """Commit the outermost transaction.

        Raises `CommitUnknown` if the connection was lost after COMMIT was sent, and `ConnectionLost` if it was before.
        """
        if not self.manager.is_open(self._connection):
            raise ConnectionLost("the connection was lost before COMMIT was sent: nothing of the transaction was kept")
        try:
            await self.send_commit()
        except ConnectionLost as error:
            self.failure = error
            message = (
                f"the connection was lost during COMMIT ({error}): the transaction was kept as a whole, or not at all; "
                "look before you run it again"
            )
            raise combine(CommitUnknown, error.__cause__ or error, message) from error

    async def send_commit(self) -> None:
        """Send COMMIT, and wait for its answer."""
        await self.run("COMMIT")

    async def rollback(self) -> None:
        """Roll the outermost transaction back."""
        await self.run("ROLLBACK")

    def transaction(self) -> TransactionBackend:
        """A transaction; inside another one, a savepoint."""
        return SQLTransaction(self)

    async def fetch_all(self, query: ClauseElement) -> Any:
        """All rows, as the records of `databases`."""
        return await self._run_logged(query, super().fetch_all, len)

    async def fetch_one(self, query: ClauseElement) -> Any:
        """The first row, or None."""
        return await self._run_logged(query, super().fetch_one, lambda row: 0 if row is None else 1)

    async def execute(self, query: ClauseElement) -> Any:
        """Execute a statement. The result depends on the backend (see `databases`)."""
        return await self._run_logged(query, super().execute, lambda _: None)

    async def execute_many(self, queries: list[ClauseElement]) -> None:
        """Execute several statements, one after the other."""
        for query in queries:
            await self.execute(query)

    async def iterate(self, query: ClauseElement) -> AsyncGenerator[Any, None]:
        """The rows, one by one."""
        self.check_transaction()
        sql, args = self._prepare(query)
        rows = 0
        with self.manager.log.timer(sql, args) as timer, translating:
            if not self.iterates_with_driver:
                count_round_trip()
            try:
                async with aclosing(self._iterate(query)) as records:
                    async for record in records:
                        rows += 1
                        timer.rows = rows
                        yield record
            except BaseException as error:
                self.note_failure(error)
                raise

    def _iterate(self, query: ClauseElement) -> AsyncGenerator[Any, None]:
        records: AsyncGenerator[Any, None] = super().iterate(query)
        return records

    async def run_in_order(self, sql: str, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run `call`, the driver's call that sends `sql`. A backend may wait for its turn first."""
        count_round_trip()
        return await call()

    async def _run_logged(
        self, query: ClauseElement, call: Callable[[Any], Awaitable[ResultT]], count: Callable[[ResultT], int | None]
    ) -> ResultT:
        self.check_transaction()
        sql, args = self._prepare(query)
        try:
            with self.manager.log.timer(sql, args) as timer, translating:
                result = await self.run_in_order(sql, lambda: call(query))
                timer.rows = count(result)
                return result
        except BaseException as error:
            self.note_failure(error)
            raise

    def _prepare(self, query: ClauseElement) -> tuple[str, Sequence[Any]]:
        self._compiled = super()._compile(query)  # type: ignore[misc]
        sql, args = self._compiled[0], self._compiled[1]
        if not self.dirty:
            self.dirty = leaves_state(sql)
        return sql, args

    def _compile(self, query: ClauseElement) -> tuple[Any, ...]:
        # `databases` compiles in each method, but the log needs the SQL before.
        return self._compiled


class Connection(databases.core.Connection):
    """The connection of one task. Its first use connects the database."""

    _database: "Database"
    _backend: ManagedBackend

    def __init__(self, database: "Database", backend: ManagedBackend, *, is_global: bool = False) -> None:
        super().__init__(database, backend)
        self.is_global = is_global
        self._connection: ManagedConnection
        self._transaction_stack: list[Transaction] = []  # type: ignore[assignment]
        self.turns = Turns(self._transaction_stack)
        self._query_lock = self.turns  # type: ignore[assignment]  # the methods of `databases` enter it

    def enter_nowait(self) -> bool:
        """`__aenter__` of a connection that is checked out already; False, with nothing done, if it is not."""
        if not self._connection_counter:
            return False
        self._connection_counter += 1
        return True

    def leave_nowait(self) -> bool:
        """`__aexit__` if the connection stays checked out afterwards; False, with nothing done, if it does not."""
        if self._connection_counter == 1:
            return False
        self._connection_counter -= 1
        return True

    async def __aenter__(self) -> "Connection":
        if not self._connection_counter:
            await self._database.ensure_connected(self)
            if (
                not self._connection_lock.locked()
                and not self._connection_counter
                and self._connection.acquire_nowait()
            ):
                self._connection_counter = 1
                return self
        async with self._connection_lock:
            if not self._connection_counter:
                with connecting(self._backend.display_name):
                    await self._connection.acquire()
            self._connection_counter += 1
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        # Nothing is awaited before the release begins: a cancelled task has to release the connection as well.
        self._connection_counter -= 1
        if not self._connection_counter:
            # Another task may leave it, when it finalises an asynchronous generator.
            connections = self._database._connection_map
            task = asyncio.current_task()
            if task is not None and connections.get(task) is self:
                del connections[task]
            if self._database.replicas is not None:
                self._database.replicas.wrote()  # it may have: its statements are not analysed
            await self._connection.release(self.turns.passed() if self.turns.is_taken else None)

    async def iterate(
        self, query: ClauseElement | str, values: dict[str, Any] | None = None
    ) -> AsyncGenerator[Any, None]:
        """The rows, one by one. Other statements may run on the connection in between."""
        built = self._build_query(query, values)
        async with self:
            rows = RecordStream(self._connection.iterate(built))
            stream = OpenStream(rows, self.turns, self.turns.transaction_of_context(), self._connection.run_to_end)
            try:
                while batch := await stream.read(1):
                    yield batch[0]
            finally:
                await stream.close()

    def transaction(self, *, force_rollback: bool = False, **kwargs: Any) -> Transaction:
        """A transaction on this connection."""
        return Transaction(lambda: self, force_rollback, **kwargs)
