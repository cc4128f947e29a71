"""Transactions that leave nothing behind, however they end."""

import functools
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import databases.core
from databases.interfaces import TransactionBackend

from orm.database.errors import translating
from orm.exceptions import QueryError, TransactionError

if TYPE_CHECKING:
    from orm.database.connection import Connection, ManagedConnection

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

ISOLATION_LEVELS = {
    name.lower().replace(" ", "_"): name
    for name in ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
}
_savepoint_numbers = itertools.count(1)


class Options(NamedTuple):
    """What a transaction was asked to be. `isolation` is SQL's spelling, or None for the database's default."""

    isolation: str | None = None
    readonly: bool = False
    deferrable: bool = False


def read_options(given: dict[str, Any]) -> Options:
    """The options of `database.transaction(…)`; QueryError for one that does not exist."""
    unknown = sorted(set(given) - set(Options._fields))
    if unknown:
        raise QueryError(f"transaction() takes {', '.join(Options._fields)} and force_rollback, not {unknown[0]!r}")
    isolation = given.get("isolation")
    if isolation is not None:
        known = ISOLATION_LEVELS.get(str(isolation).strip().lower().replace(" ", "_"))
        if known is None:
            raise QueryError(f"unknown isolation level {isolation!r}: choose one of {', '.join(ISOLATION_LEVELS)}")
        isolation = known
    return Options(isolation, bool(given.get("readonly", False)), bool(given.get("deferrable", False)))


class SQLTransaction(TransactionBackend):
    """One level of transaction on a connection: the root one, or a savepoint inside it."""

    def __init__(self, connection: "ManagedConnection") -> None:
        self._connection = connection
        self._savepoint: str | None = None

    async def start(self, is_root: bool, extra_options: dict[Any, Any]) -> None:
        """Begin; TransactionError for options that a savepoint cannot have."""
        options = read_options(extra_options)
        if is_root:
            await self._connection.begin(options)
            return
        if options != Options():
            raise TransactionError("isolation, readonly and deferrable belong to the outermost transaction")
        savepoint = f"orm_{next(_savepoint_numbers)}"
        await self._connection.run(f"SAVEPOINT {savepoint}")
        self._savepoint = savepoint

    async def commit(self) -> None:
        """Keep the work. If that fails, the work of this level is undone before the error is raised."""
        if self._savepoint is None:
            await self._connection.commit()
            return
        try:
            await self._connection.run(f"RELEASE SAVEPOINT {self._savepoint}")
        except TransactionError:
            await self.rollback()
            raise

    async def rollback(self) -> None:
        """Undo the work of this level."""
        if self._savepoint is None:
            await self._connection.rollback()
        else:
            await self._connection.run(f"ROLLBACK TO SAVEPOINT {self._savepoint}")


class Transaction(databases.core.Transaction):
    """A transaction, or inside another one a savepoint.

    Use it as `async with database.transaction():`, as the decorator `@database.transaction()`, or by hand:
    `transaction = await database.transaction()`, then `await transaction.commit()` or `.rollback()`.
    However it ends, cancellation included, its connection goes back without it.
    """

    def __init__(self, connection_callable: Callable[[], "Connection"], force_rollback: bool, **options: Any) -> None:
        super().__init__(connection_callable, force_rollback, **options)
        self._find_connection = connection_callable
        self._opened: tuple[Connection, TransactionBackend] | None = None

    def __call__(self, func: FunctionT) -> FunctionT:
        """Run each call of `func` in a transaction of its own."""

        @functools.wraps(func)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            # This object lives as long as the function, and many tasks may be in it at the same time.
            async with Transaction(self._find_connection, self._force_rollback, **self._extra_options):
                return await func(*args, **kwargs)

        return wrapper  # type: ignore[return-value]

    @property
    def is_open(self) -> bool:
        """Whether it has begun and is not over."""
        return self._opened is not None

    async def start(self) -> "Transaction":
        """Begin the transaction."""
        if self._opened is not None:
            raise TransactionError("this transaction has begun already")
        connection = self._find_connection()
        await connection.__aenter__()
        started = False
        try:
            async with connection._transaction_lock:
                stack = connection._transaction_stack
                # The scope that rolls back at the end stands in for the database itself: what is outermost inside of
                # it may ask for an isolation level, though it has to do with a savepoint.
                in_scope = connection.is_global and len(stack) == 1
                backend = connection._connection.transaction()
                async with connection._query_lock:
                    with translating:
                        await backend.start(
                            is_root=not stack,
                            extra_options=self._checked_options() if in_scope else self._extra_options,
                        )
                stack.append(self)
                self._opened = connection, backend
                started = True
        finally:
            if not started:
                await connection.__aexit__()
        return self

    async def commit(self) -> None:
        """Keep the work of this transaction; raises TransactionError if a failed statement has broken it."""
        await self._finish(keep=True)

    async def rollback(self) -> None:
        """Undo the work of this transaction."""
        await self._finish(keep=False)

    async def _finish(self, *, keep: bool) -> None:
        if self._opened is None:
            raise TransactionError("this transaction has not begun, or is over")
        connection, backend = self._opened
        async with connection._transaction_lock:
            stack = connection._transaction_stack
            if stack[-1] is not self:
                raise TransactionError("an inner transaction has to end before the outer one")
            stack.pop()
            self._opened = None
            try:
                async with connection._query_lock:
                    with translating:
                        await (backend.commit() if keep else backend.rollback())
            finally:
                await connection.__aexit__()

    def _checked_options(self) -> dict[str, Any]:
        read_options(self._extra_options)
        return {}
