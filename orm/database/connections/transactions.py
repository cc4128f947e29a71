"""Transactions that leave their connection clean, however they end."""

import asyncio
import contextlib
import functools
import itertools
import operator
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import databases.core
from databases.interfaces import TransactionBackend

from orm.database.connections.errors import translating
from orm.database.connections.on_commit import CommitCallback, commit_callback
from orm.exceptions import ConnectionLost, QueryError, TransactionError

if TYPE_CHECKING:
    from orm.database.connections.connection import Connection, ManagedConnection

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

ISOLATION_LEVELS = {
    name.lower().replace(" ", "_"): name
    for name in ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
}
_savepoint_numbers = itertools.count(1)
# The transactions that this task, and the task that started it, began in a `force_rollback` scope.
_visible_transactions: ContextVar[tuple["Transaction", ...]] = ContextVar("orm.visible_transactions", default=())


class Options(NamedTuple):
    """The options of a transaction. `isolation` is the SQL name of a level, or None for the database's default."""

    isolation: str | None = None
    readonly: bool = False
    deferrable: bool = False


NO_OPTIONS = Options()


def read_options(arguments: dict[str, Any]) -> Options:
    """The options of `database.transaction(…)`; QueryError for one that does not exist."""
    unknown = sorted(set(arguments) - set(Options._fields))
    if unknown:
        raise QueryError(f"transaction() takes {', '.join(Options._fields)} and force_rollback, not {unknown[0]!r}")
    isolation = arguments.get("isolation")
    if isolation is not None:
        level = ISOLATION_LEVELS.get(str(isolation).strip().lower().replace(" ", "_"))
        if level is None:
            raise QueryError(f"unknown isolation level {isolation!r}: choose one of {', '.join(ISOLATION_LEVELS)}")
        isolation = level
    return Options(isolation, bool(arguments.get("readonly", False)), bool(arguments.get("deferrable", False)))


class SQLTransaction(TransactionBackend):
    """A transaction of a connection, or a savepoint inside one."""

    def __init__(self, connection: "ManagedConnection") -> None:
        self._connection = connection
        self._savepoint: str | None = None

    async def start(self, is_root: bool, extra_options: dict[Any, Any]) -> None:
        """Begin it; TransactionError for options that a savepoint cannot have."""
        options = read_options(extra_options) if extra_options else NO_OPTIONS
        if is_root:
            await self._connection.begin(options)
            self._connection.transaction_began()
            return
        self._connection.check_transaction()
        if options != NO_OPTIONS:
            raise TransactionError("isolation, readonly and deferrable belong to the outermost transaction")
        savepoint = f"orm_{next(_savepoint_numbers)}"
        await self._connection.run(f"SAVEPOINT {savepoint}")
        self._savepoint = savepoint

    async def commit(self) -> None:
        """Commit. If that fails, the work is rolled back before the error is raised."""
        if self._savepoint is None:
            try:
                self._connection.check_transaction()
            except TransactionError:
                with contextlib.suppress(ConnectionLost):
                    await self.rollback()
                raise
            try:
                await self._connection.commit()
            finally:
                self._connection.transaction_ended()
            return
        self._connection.check_transaction()
        try:
            await self._connection.run(f"RELEASE SAVEPOINT {self._savepoint}")
        except TransactionError:
            await self.rollback()
            raise

    async def rollback(self) -> None:
        """Roll back."""
        if self._savepoint is None:
            try:
                await self._connection.rollback()
            finally:
                self._connection.transaction_ended()
        elif self._connection.ended_by is None:
            await self._connection.run(f"ROLLBACK TO SAVEPOINT {self._savepoint}")


class Transaction(databases.core.Transaction):
    """A transaction; inside another one, a savepoint.

    Use it as `async with database.transaction():`, as the decorator `@database.transaction()`, or by hand:
    `transaction = await database.transaction()`, then `await transaction.commit()` or `.rollback()`.
    However it ends, cancellation included, its connection goes back to the pool outside of any transaction.
    """

    def __init__(self, connection_callable: Callable[[], "Connection"], force_rollback: bool, **options: Any) -> None:
        super().__init__(connection_callable, force_rollback, **options)
        self._find_connection = connection_callable
        self._opened: tuple[Connection, TransactionBackend] | None = None
        self._task: asyncio.Task[Any] | None = None
        self._end_event: asyncio.Event | None = None  # created by the first task that waits for it
        self._callbacks: list[CommitCallback] = []

    def __call__(self, func: FunctionT) -> FunctionT:
        """Run each call of `func` in a new transaction."""

        @functools.wraps(func)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            # This object lives as long as the function, which many tasks may run at the same time.
            async with Transaction(self._find_connection, self._force_rollback, **self._extra_options):
                return await func(*args, **kwargs)

        return wrapper  # type: ignore[return-value]

    @property
    def is_open(self) -> bool:
        """Whether it has begun and has not ended."""
        return self._opened is not None

    async def start(self) -> "Transaction":
        """Begin the transaction."""
        if self._opened is not None:
            raise TransactionError("this transaction has begun already")
        connection = self._find_connection()
        if not connection.enter_nowait():
            await connection.__aenter__()
        try:
            while True:
                async with connection._transaction_lock:
                    other = self._blocking_transaction(connection)
                    if other is None:
                        await self._begin(connection)
                        return self
                await other._wait_until_ended()
        finally:
            if not self.is_open:
                await connection.__aexit__()

    async def _begin(self, connection: "Connection") -> None:
        stack = connection._transaction_stack
        options = self._extra_options
        if connection.is_global and stack:
            visible = (transaction for transaction in _visible_transactions.get() if transaction.is_open)
            _visible_transactions.set((*visible, self))
            if len(stack) == 1:
                # To the program this is the outermost transaction, which may have options. In fact it is a savepoint
                # of the scope's transaction, which cannot: they are checked and ignored.
                read_options(options)
                options = {}
        backend = connection._connection.transaction()
        async with connection._query_lock:
            with translating:
                await backend.start(is_root=not stack, extra_options=options)
        stack.append(self)
        self._opened = connection, backend
        self._task = asyncio.current_task()

    async def commit(self) -> None:
        """Commit the transaction. Raises TransactionError if a failed statement has broken it."""
        await self._finish(keep=True)

    async def rollback(self) -> None:
        """Roll the transaction back."""
        # A lost connection has ended the transaction, and its error is being raised already.
        with contextlib.suppress(ConnectionLost):
            await self._finish(keep=False)

    async def on_commit(self, func: Callable[[], object], *, robust: bool = False) -> None:
        """`Database.on_commit` for this transaction, even if it is not the innermost one, or another task's.

        Raises `TransactionError` if it has not begun, or has ended.
        """
        callback = commit_callback(func, robust)
        if self._opened is None:
            raise TransactionError("on_commit() of a transaction that has not begun, or is over")
        self._callbacks.append(callback)

    async def _finish(self, *, keep: bool) -> None:
        if self._opened is None:
            raise TransactionError("this transaction has not begun, or is over")
        connection, backend = self._opened
        stack = connection._transaction_stack
        if stack[-1] is not self:
            raise TransactionError("an inner transaction has to end before the outer one")
        try:
            async with connection._query_lock:
                with translating:
                    await (backend.commit() if keep else backend.rollback())
        finally:
            stack.pop()
            outer = stack[-1] if stack else None
            callbacks, self._callbacks = self._callbacks, []
            self._opened = None
            if self._end_event is not None:
                self._end_event.set()
            if not connection.leave_nowait():
                await connection.__aexit__()
        if not keep:
            return
        if outer is None:
            for callback in sorted(callbacks, key=operator.attrgetter("number")):
                await callback.run()
        else:
            assert isinstance(outer, Transaction)
            outer._callbacks += callbacks

    async def _wait_until_ended(self) -> None:
        if self._end_event is None:
            self._end_event = asyncio.Event()
        await self._end_event.wait()

    def _blocking_transaction(self, connection: "Connection") -> "Transaction | None":
        """The open transaction of another task that has to end before this one can begin.

        In a `force_rollback` scope all tasks share one connection, whose savepoints must end in the reverse order of
        their beginning. A transaction may begin inside one of its own task, or of the task that started its task.
        """
        stack = connection._transaction_stack
        if not connection.is_global or len(stack) < 2:
            return None
        innermost = stack[-1]
        assert isinstance(innermost, Transaction)
        task = innermost._task
        if innermost in _visible_transactions.get() or task is None or task is asyncio.current_task() or task.done():
            return None
        return innermost
