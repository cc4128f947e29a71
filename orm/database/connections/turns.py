"""Which transaction a task is in, and the turns of the tasks that are in the same one.

A task is in the transaction that it was started in: `innermost` is a context variable, which a task inherits. The tasks
of a transaction share its connection, on which they send in turns.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import databases

from orm.exceptions import LockNotAvailable, TransactionError
from orm.utils.blocking import is_without_loop

if TYPE_CHECKING:
    from orm.database.connections.database import Database
    from orm.database.connections.transactions import Transaction

# How long a task waits for the savepoint of another one in which nothing happens.
SAVEPOINT_TIMEOUT = 30.0


class State(enum.Enum):
    """The stage of a transaction."""

    NEW = enum.auto()
    BEGINNING = enum.auto()
    OPEN = enum.auto()
    ENDING = enum.auto()
    LOST = enum.auto()  # a savepoint that was rolled back with its transaction, and whose block has not ended
    OVER = enum.auto()
    DETACHED = enum.auto()


class Detached:
    """Marks a `database.detached()` block in a context: the transactions around it do not count."""

    __slots__ = ("around", "database")
    state = State.DETACHED
    routed_database = None

    def __init__(self, database: Database, around: Transaction | Detached | None) -> None:
        self.database = database
        self.around = around


innermost: ContextVar[Transaction | Detached | None] = ContextVar("orm.innermost_transaction", default=None)
"""The transaction begun last in this context; `around` leads to those before, which may be of other databases."""


def current_transaction(database: databases.Database) -> Transaction | None:
    """The open transaction of a database that the current task is in: its own, or the one that it was started in.

    Raises `TransactionError` in a savepoint whose transaction has been rolled back by another task.
    """
    link: Any = innermost.get()
    while link is not None:
        if link.database is database or link.routed_database is database:
            if link.state is State.OPEN and link.loop is asyncio.get_running_loop():
                transaction: Transaction = link
                return transaction
            if link.state is State.DETACHED:
                return None
            link.check_not_lost()
        link = link.around
    return None


def is_in_blocking_transaction(database: databases.Database) -> bool:
    """Whether this is synchronous code in the block of an open transaction of a database."""
    link: Any = innermost.get() if is_without_loop() else None
    while link is not None:
        if link.database is database or link.routed_database is database:
            return link.state is State.OPEN
        link = link.around
    return False


class Waiter(NamedTuple):
    """A task that waits for its turn to send a statement of `transaction`."""

    transaction: Transaction | None
    turn: asyncio.Future[None]


class Turns:
    """The turns of the tasks that share a connection: `async with turns:` around each exchange with the server.

    A statement waits for the one under way. In a transaction it also waits for the end of a savepoint that another task
    has opened in that transaction; LockNotAvailable if nothing happens in the savepoint for `SAVEPOINT_TIMEOUT`.
    """

    __slots__ = ("_count", "_is_taken", "_stack", "_timer", "_waiters")

    def __init__(self, stack: list[Transaction]) -> None:
        self._stack = stack  # the open transaction and its savepoints
        self._is_taken = False
        self._count = 0  # of the turns so far
        self._waiters: deque[Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        stack = self._stack
        if self._is_taken or (stack and stack[-1] is not innermost.get()):
            await self.take(self.transaction_of_context())
        self._is_taken = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_taken = False
        self._count += 1
        if self._waiters:
            self._wake()

    @property
    def is_taken(self) -> bool:
        """Whether a task has its turn."""
        return self._is_taken

    async def passed(self) -> None:
        """Wait for the end of the turn under way, and of those that tasks wait for."""
        await self.take(None)
        self.give_back()

    def transaction_of_context(self) -> Transaction | None:
        """The transaction of this connection that the current task is in."""
        link = innermost.get()
        while link is not None:
            if not isinstance(link, Detached) and link.turns is self:
                link.check_not_lost()
                if link in self._stack:
                    return link
            link = link.around
        return None

    async def take(self, transaction: Transaction | None, *, first: bool = False) -> None:
        """Wait for a turn to send a statement of `transaction`; before all others with `first`."""
        if transaction is not None and transaction.refusal:
            raise TransactionError(transaction.refusal)
        if not self._is_taken and (transaction is None or self._admits(transaction)):
            self._is_taken = True
            return
        waiter = Waiter(transaction, asyncio.get_running_loop().create_future())
        if first:
            self._waiters.appendleft(waiter)
        else:
            self._waiters.append(waiter)
        self._watch()
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter.turn.cancelled() and waiter.turn.exception() is None:
                self.give_back()  # it was this task's turn at the same moment
            raise

    def give_back(self) -> None:
        """Let the next task send."""
        self._is_taken = False
        self._count += 1
        if self._waiters:
            self._wake()

    def refuse(self, transaction: Transaction) -> None:
        """Raise TransactionError in the tasks that wait to send a statement of a transaction."""
        for waiter in [waiter for waiter in self._waiters if waiter.transaction is transaction]:
            self._fail(waiter, TransactionError(transaction.refusal))

    def _admits(self, transaction: Transaction) -> bool:
        """Whether a statement of `transaction` would run in it, not in a savepoint that another task has opened."""
        for open_transaction in reversed(self._stack):
            if open_transaction is transaction:
                return True
            if not open_transaction.is_left_open:
                return transaction not in self._stack  # it has ended in the meantime
        return True

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.turn.done() and (waiter.transaction is None or self._admits(waiter.transaction)):
                self._is_taken = True
                self._waiters.remove(waiter)
                waiter.turn.set_result(None)
                return

    def _watch(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(SAVEPOINT_TIMEOUT, self._check_progress, self._count)

    def _check_progress(self, count: int) -> None:
        self._timer = None
        if not self._is_taken and count == self._count:
            self._wake()
        if not self._is_taken and count == self._count:
            for waiter in list(self._waiters):
                self._fail(
                    waiter,
                    LockNotAvailable(
                        f"another task has had a savepoint open for {SAVEPOINT_TIMEOUT:g} seconds without using it, in"
                        " the transaction that this task is in: it waits for something else, or for this task"
                    ),
                )
        if self._waiters:
            self._watch()

    def _fail(self, waiter: Waiter, error: Exception) -> None:
        self._waiters.remove(waiter)
        if not waiter.turn.done():
            waiter.turn.set_exception(error)
