"""Transactions that leave their connection clean, however they end."""

import asyncio
import contextlib
import functools
import operator
import sys
import warnings
from collections.abc import Awaitable, Callable, Generator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import databases.core
from databases.interfaces import TransactionBackend

from orm.database.connections.blocking_block import BlockingBlock
from orm.database.connections.deadline import Deadline
from orm.database.connections.errors import translating
from orm.database.connections.on_commit import CommitCallback, commit_callback
from orm.database.connections.on_rollback import RollbackCallbacks
from orm.database.connections.repeating import check_decorated, run_in_transactions
from orm.database.connections.streams import OpenStream
from orm.database.connections.transaction_options import DEFAULTS, NO_OPTIONS, read_options
from orm.database.connections.turns import Detached, State, Turns, innermost
from orm.database.connections.units_of_work import UnitOfWork, idle_unit, open_units
from orm.database.query_log.call_sites import Source
from orm.exceptions import CommitUnknown, ConnectionLost, Error, QueryError, TransactionError, TransactionTimeout
from orm.utils.blocking import finished_without_await, is_without_await, is_without_loop

if TYPE_CHECKING:
    from orm.database.connections.connection import Connection
    from orm.database.connections.database import Database

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

ROLLED_BACK = "this statement's transaction was rolled back meanwhile, by another task: leave its blocks"


class Transaction(BlockingBlock, databases.core.Transaction):
    """A transaction; inside another one, a savepoint.

    Use it as `async with database.transaction():` (without an event loop as `with database.transaction():`), as the
    decorator `@database.transaction()`, or by hand: `transaction = await database.transaction()`, then
    `await transaction.commit()` or `.rollback()`.
    However it ends, cancellation included, its connection goes back to the pool outside of any transaction.

    Tasks that are started in it are in it until it ends (see `orm.database.connections.turns`). Its end waits for their
    statements under way; a commit also waits for their savepoints.
    """

    _unit: UnitOfWork | None = None  # the session that it was begun in, which restores its instances after a rollback

    def __init__(self, connection_callable: Callable[[], "Connection"], force_rollback: bool, **options: Any) -> None:
        super().__init__(connection_callable, force_rollback)
        self._options, self._block_options = read_options(options) if options else DEFAULTS
        self._find_connection = connection_callable
        self._backend: TransactionBackend | None = None
        self._has_checked_out = False
        self._task: asyncio.Task[Any] | None = None
        self._callbacks: list[CommitCallback] = []
        self._rollback_callbacks = RollbackCallbacks()
        self._deadline: Deadline | None = None
        self._begun_by_hand_at: Source | None = None
        self.needs_rollback = False
        """Whether its block is rolled back at its end, as if by an error."""
        self.is_outermost = False
        """Whether it is not a savepoint, or is directly inside a `force_rollback` scope."""
        self.was_committed = False
        self.state = State.NEW
        self.database: Database | None = None
        self.routed_database: Database | None = None
        """The database whose replica it runs on: queries of that database run in it."""
        self.connection: Any = None
        """The `Connection` on which it was begun; None when it has ended."""
        self.loop: asyncio.AbstractEventLoop | None = None
        self.turns: Turns | None = None
        self.around: Transaction | Detached | None = None
        """The transaction, perhaps of another database, in whose block it was begun."""
        self.operations = 0
        """How many operations of the ORM, of one or more statements, are under way in it."""
        self.no_operations: asyncio.Future[None] | None = None
        """Done when no operations are under way: the task that ends the transaction waits for it."""
        self.streams: set[OpenStream] = set()
        self.refusal = ""
        """Why no statement may run in it any more; "" if they may."""

    def __call__(self, func: FunctionT) -> FunctionT:
        """Run each call of `func` in a new transaction; with `retries`, again after a conflict with another.

        Raises `QueryError` for a generator function, which would run after the transaction.
        """
        check_decorated(func)
        retries = self._block_options.retries
        options = {**self._options._asdict(), **self._block_options._asdict(), "retries": 0}

        def new_transaction() -> "Transaction":
            # Not this object: many tasks may run the function at the same time.
            return Transaction(self._find_connection, self._force_rollback, **options)

        @functools.wraps(func)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await run_in_transactions(new_transaction, functools.partial(func, *args, **kwargs), retries)

        return wrapper  # type: ignore[return-value]

    def __await__(self) -> Generator[Any, None, "Transaction"]:
        if self._block_options.timeout is not None:
            raise QueryError("a transaction that is begun by hand has no block that `timeout` could end")
        frame = sys._getframe(1)
        self._begun_by_hand_at = Source(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        return self.start().__await__()

    async def __aenter__(self) -> "Transaction":
        self._begun_by_hand_at = None
        timeout = self._block_options.timeout
        if timeout is None:
            return await self.start()
        deadline = Deadline(timeout)
        try:
            await self.start()
        except BaseException as error:
            if deadline.end() and isinstance(error, asyncio.CancelledError):
                raise self._timeout_error() from error
            raise
        self._deadline = deadline
        return self

    def _timeout_error(self) -> TransactionTimeout:
        return TransactionTimeout(
            "the transaction was rolled back: its block took longer than its timeout of "
            f"{self._block_options.timeout:g} seconds"
        )

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        deadline, self._deadline = self._deadline, None
        is_late = deadline is not None and deadline.end()
        try:
            if exc_type is not None or self._force_rollback or self.needs_rollback or is_late:
                await self.rollback()
            else:
                await self.commit()
        finally:
            if innermost.get() is not self.around:
                await self._end_forgotten()
        if is_late and (exc_type is None or issubclass(exc_type, asyncio.CancelledError)):
            raise self._timeout_error() from exc_value

    async def _end_forgotten(self) -> None:
        """Roll back what is open, and leave the savepoints that were begun by hand in the block and not ended."""
        if self.state is State.OPEN:
            await self.rollback()
        link = innermost.get()
        while link is not None and link is not self:
            if isinstance(link, Transaction) and link.state is State.LOST:
                link._leave_context()
            link = link.around
        if link is self:
            innermost.set(self.around)

    @property
    def is_open(self) -> bool:
        """Whether it has begun and has not ended."""
        return self.connection is not None

    @property
    def is_left_open(self) -> bool:
        """Whether the task that began it has ended without ending it."""
        return self._task is None or self._task.done()

    @property
    def is_of_current_task(self) -> bool:
        """Whether the current task has begun it."""
        return self._task is asyncio.current_task()

    async def start(self) -> "Transaction":
        """Begin the transaction."""
        if self.state not in (State.NEW, State.OVER):
            raise TransactionError("this transaction has begun already")
        if self._block_options.retries:
            raise QueryError(
                "`retries` runs a function again, which a block cannot be: decorate a function with "
                "@database.transaction(retries=…)"
            )
        if open_units:
            self._unit = idle_unit(self._find_connection()._database)
            if self._unit is not None:
                await self._unit.before_transaction()
        self.state = State.BEGINNING
        try:
            connection = self._find_connection()
            replicas = connection._database.replicas if self._options.replica else None
            if replicas is None or connection._transaction_stack or connection.is_global:
                await self._start_on(connection)
            else:
                self.routed_database = connection._database
                self.routed_database.forget_unused_connection()
                await replicas.read(lambda database: self._start_on(database.connection()))
        finally:
            if self.state is State.BEGINNING:
                self.state = State.NEW
        if self._unit is not None:
            self._unit.transaction_begun()
        return self

    async def _start_on(self, connection: "Connection") -> None:
        self._has_checked_out = not connection.enter_nowait()
        if self._has_checked_out:
            await connection.__aenter__()
        turns, stack = connection.turns, connection._transaction_stack
        try:
            outer = None
            if stack:
                outer = turns.transaction_of_context() or stack[0 if connection.is_global else -1]
            self.is_outermost = not stack or (connection.is_global and len(stack) == 1)
            if self._block_options.durable and outer is not None and not outer._force_rollback:
                raise TransactionError(
                    "a durable transaction cannot be inside another one, whose end decides what is kept of it"
                )
            await turns.take(outer)
            try:
                await self._begin(connection, outer)
            finally:
                turns.give_back()
        finally:
            if not self.is_open:
                await connection.__aexit__()

    async def _begin(self, connection: "Connection", outer: "Transaction | None") -> None:
        stack = connection._transaction_stack
        # In a `force_rollback` scope, the program's outermost transaction is a savepoint of the scope's transaction.
        # Savepoints have no options, so its options are ignored.
        options = NO_OPTIONS if stack and self.is_outermost else self._options
        backend = connection._connection.transaction()
        with translating:
            await backend.start(is_root=not stack, extra_options={"options": options})
        if outer is not None and outer.refusal:  # another task rolls it back as soon as this one's turn ends
            raise TransactionError(outer.refusal)
        self.database, self.turns = connection._database, connection.turns
        if outer is not None:
            self.routed_database = outer.routed_database
        self._task, self.loop = asyncio.current_task(), self.database.loop
        self.connection, self._backend, self.state, self.refusal = connection, backend, State.OPEN, ""
        for database in {self.database, self.routed_database or self.database}:
            database.open_transactions += 1
        self.needs_rollback = self.was_committed = False
        if self._begun_by_hand_at is not None:
            self.database.begun_by_hand.add(self)
        if self._has_checked_out and self._task is not None:
            # Only the transaction uses the connection; its tasks get it from their context.
            connections = self.database._connection_map
            if connections.get(self._task) is connection:
                del connections[self._task]
        if stack or not connection.is_global:  # all tasks are in the transaction of a scope
            self.around = innermost.get()
            while self.around is not None and self.around.state is State.OVER:
                self.around = self.around.around
            innermost.set(self)
        stack.append(self)

    async def commit(self) -> None:
        """Commit the transaction. Raises TransactionError if a failed statement has broken it."""
        self._check_not_over()
        if self.state is State.LOST:
            self._leave_context()
            raise TransactionError(self.refusal)
        connection = self.connection
        stack = connection._transaction_stack
        position = stack.index(self)
        for inner in stack[position + 1 :]:
            if inner.is_left_open or inner.is_of_current_task:
                raise TransactionError(f"an inner transaction has to end before the outer one{inner.origin}")
        if self.needs_rollback:
            raise TransactionError("set_rollback() was called in this transaction: roll it back")
        outer = stack[position - 1] if position else None
        try:
            if self._unit is not None:
                await self._unit.before_commit()
            self.state = State.ENDING
            await self._take_last_turn(connection, is_root=outer is None)
        except BaseException:
            await self._roll_back()
            raise
        callbacks, streams = self._callbacks, self.streams
        if outer is not None:
            self.streams = set()
        try:
            await self._end(connection, keep=True)
        except BaseException as error:
            # What a COMMIT that was cancelled or not answered has kept is not known.
            if outer is not None or not isinstance(error, (CommitUnknown, asyncio.CancelledError)):
                await self._undo(outer)
            raise
        self.was_committed = True
        self._leave_unit()
        if outer is not None:
            outer._callbacks += callbacks
            outer.take_over(streams)
        if not self.is_outermost and outer is not None:
            self._rollback_callbacks.pass_to(outer._rollback_callbacks)
        elif self._rollback_callbacks.due or self._rollback_callbacks.waiting:
            await self._rollback_callbacks.run()
        if outer is not None:
            return
        for callback in sorted(callbacks, key=operator.attrgetter("number")):
            await callback.run()

    async def rollback(self) -> None:
        """Roll the transaction back, and the savepoints that are open in it."""
        self._check_not_over()
        await self._roll_back()

    async def _roll_back(self) -> None:
        if self.state is State.LOST:
            self._leave_context()
            return
        connection = self.connection
        stack = connection._transaction_stack
        position = stack.index(self)
        outer = stack[position - 1] if position else None
        inner = stack[position + 1 :]
        del stack[position + 1 :]
        self.state, self.refusal = State.ENDING, ROLLED_BACK
        connection.turns.refuse(self)
        for transaction in inner:
            transaction._lose(self)
            connection.turns.refuse(transaction)
        try:
            await connection.turns.take(None, first=True)
        except BaseException as error:
            # The statement of another task is under way. The connection is cleaned when that task gives it back.
            connection._connection.ended_by = error
            stack.remove(self)
            await self._leave(connection)
            await self._undo(outer)
            raise
        try:
            # A lost connection has ended the transaction already, and its error is being raised.
            with contextlib.suppress(ConnectionLost):
                await self._end(connection, keep=False)
        finally:
            await self._undo(outer)

    def _leave_unit(self) -> None:
        unit, self._unit = self._unit, None
        if unit is not None:
            unit.transaction_ended()

    async def _undo(self, outer: "Transaction | None") -> None:
        """Call the `on_rollback` functions, or leave them to the outermost transaction."""
        self._leave_unit()
        self._rollback_callbacks.become_due()
        if outer is None or self.is_outermost:
            await self._rollback_callbacks.run()
        else:
            self._rollback_callbacks.pass_to(outer._rollback_callbacks)

    def on_commit(self, func: Callable[[], object], *, robust: bool = False) -> Awaitable[None]:
        """`Database.on_commit` for this transaction, even if it is not the innermost one.

        Raises `TransactionError` if it has not begun, or has ended.
        """
        callback = commit_callback(func, robust, in_thread=is_without_await())
        return finished_without_await(self.add_callback(callback), blocks=is_without_loop())

    async def add_callback(self, callback: CommitCallback) -> None:
        """Call it after the commit. Raises `TransactionError` if the transaction has not begun, or has ended."""
        if self.connection is None:
            raise TransactionError("on_commit() of a transaction that has not begun, or is over")
        self._callbacks.append(callback)

    def on_rollback(self, func: Callable[[], object]) -> Awaitable[None]:
        """`Database.on_rollback` for this transaction, even if it is not the innermost one.

        Raises `TransactionError` if it has not begun, or has ended.
        """
        callback = commit_callback(func, True, "on_rollback", in_thread=is_without_await())
        return finished_without_await(self.add_rollback_callback(callback), blocks=is_without_loop())

    async def add_rollback_callback(self, callback: CommitCallback) -> None:
        """Call it after a rollback. Raises `TransactionError` if the transaction has not begun, or has ended."""
        if self.connection is None:
            raise TransactionError("on_rollback() of a transaction that has not begun, or is over")
        self._rollback_callbacks.add(callback)

    @property
    def origin(self) -> str:
        """Where it was begun, if it was begun by hand, for a message."""
        return "" if self._begun_by_hand_at is None else f": that begun by hand at {self._begun_by_hand_at}"

    async def end_forgotten(self) -> None:
        """Roll back a transaction that was begun by hand and not ended, with a warning at the line that began it."""
        source = self._begun_by_hand_at
        assert source is not None
        warnings.warn_explicit(
            f"a transaction begun by hand was neither committed nor rolled back, so it is rolled back now{self.origin}",
            RuntimeWarning,
            source.file,
            source.line,
        )
        if self.state in (State.OPEN, State.LOST):
            await self.rollback()

    def note_no_operations(self) -> None:
        """Wake the task that waits for the end of all operations, if they have ended."""
        if not self.operations and self.no_operations is not None and not self.no_operations.done():
            self.no_operations.set_result(None)

    def take_over(self, streams: Iterable[OpenStream]) -> None:
        """Take the open streams over from a savepoint."""
        for stream in streams:
            stream.transaction = self
            self.streams.add(stream)

    def check_not_lost(self) -> None:
        """Raise TransactionError inside the block of a savepoint that was rolled back with its transaction."""
        if self.state is State.LOST:
            raise TransactionError(self.refusal)

    def _check_not_over(self) -> None:
        if self.state not in (State.OPEN, State.LOST):
            raise TransactionError("this transaction has not begun, or is over")

    async def _take_last_turn(self, connection: "Connection", *, is_root: bool) -> None:
        """Wait for operations under way and for savepoints of other tasks; read the rest of other tasks' streams."""
        if self.operations:
            self.no_operations = asyncio.get_running_loop().create_future()
            await self.no_operations
        await connection.turns.take(self)
        if is_root and self.streams:
            try:
                for stream in [stream for stream in self.streams if stream.is_of_another_task]:
                    await stream.read_to_end()
            except BaseException:
                connection.turns.give_back()
                raise

    async def _end(self, connection: "Connection", *, keep: bool) -> None:
        """End it in the database. This task has the turn, and gives it back."""
        backend, run_to_end = self._backend, connection._connection.run_to_end
        assert backend is not None

        def leave_stack() -> None:
            stack = connection._transaction_stack
            if self in stack:
                stack.remove(self)

        def pass_turn() -> None:
            leave_stack()
            connection.turns.give_back()

        async def roll_back() -> None:
            try:
                await self._send_end(backend.rollback)
            finally:
                pass_turn()

        try:
            if not keep:
                await run_to_end(roll_back())
                return
            try:
                await self._send_end(backend.commit)
            except asyncio.CancelledError:
                # Whether the server has committed is not known, and the connection may stay checked out.
                with contextlib.suppress(Error):
                    await run_to_end(roll_back())
                raise
            except BaseException:
                pass_turn()
                raise
            pass_turn()
        finally:
            leave_stack()  # if this task was cancelled, the turn goes on
            await self._leave(connection)

    async def _send_end(self, end: Callable[[], Awaitable[None]]) -> None:
        try:
            for stream in list(self.streams):
                await stream.end()
        finally:
            with translating:
                await end()

    async def _leave(self, connection: "Connection") -> None:
        """Give the connection back."""
        is_lost = self.connection is None
        self.connection = self._backend = None
        self._leave_context()
        if is_lost:
            return
        if not connection.leave_nowait():
            await connection.__aexit__()

    def _leave_context(self) -> None:
        self.state, self._task, self._callbacks = State.OVER, None, []
        if innermost.get() is self:
            innermost.set(self.around)
        assert self.database is not None
        for database in {self.database, self.routed_database or self.database}:
            database.open_transactions -= 1
        self.routed_database = None
        self.database.begun_by_hand.discard(self)

    def _lose(self, outer: "Transaction") -> None:
        """Note that it, a savepoint, is rolled back with the transaction around it."""
        connection, self.connection = self.connection, None
        self.state, self.refusal = State.LOST, ROLLED_BACK
        outer.take_over(self.streams)
        self.streams = set()
        self._rollback_callbacks.become_due()
        self._rollback_callbacks.pass_to(outer._rollback_callbacks)
        connection.leave_nowait()
