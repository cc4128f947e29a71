"""What a database is asked about the end of the current transaction: `on_commit`, `on_rollback`, `set_rollback`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import databases

from orm.database.connections.on_commit import CommitCallback, commit_callback
from orm.database.connections.turns import current_transaction, is_in_blocking_transaction
from orm.exceptions import TransactionError
from orm.utils.blocking import can_block, finished_without_await, is_without_await, run


class TransactionCallbacks(databases.Database):
    """A `databases.Database` that runs functions after its transactions have ended."""

    loop: asyncio.AbstractEventLoop | None
    _ready: bool
    _global_transaction: Any

    def on_commit(self, func: Callable[[], object], *, robust: bool = False) -> Awaitable[None]:
        """Call `func` after the commit of the current task's transaction; at once if there is none.

        `func` takes no arguments (use `functools.partial` to pass some), and its result is awaited if it is awaitable.
        Functions run after the outermost commit, one after the other, in the order of their registration; no
        transaction is open then. The functions of a block that is rolled back never run, nor do those of a
        `force_rollback` scope.

        A function that fails does not undo the commit: its error is raised from the outermost block, and the functions
        after it do not run. With `robust=True` the error is logged by the `orm.transactions` logger, and they do.

        In synchronous code it needs no `await`; there `func` is called in a thread of its own, and is synchronous code.

        Raises `QueryError` if `func` cannot be called.

        >>> async with database.transaction():
        ...     order = await Order.objects.create(total=3)
        ...     await database.on_commit(functools.partial(send_receipt, order))
        """
        callback = commit_callback(func, robust, in_thread=is_without_await())
        return finished_without_await(self._add_commit_callback(callback), blocks=self._is_called_without_await())

    async def _add_commit_callback(self, callback: CommitCallback) -> None:
        if self._force_rollback and not (self._ready and self.loop is asyncio.get_running_loop()):
            await self.connect()  # as a query would, this begins the scope that rolls back
        transaction = current_transaction(self) or self._global_transaction
        if transaction is None:
            await callback.run()
        else:
            await transaction.add_callback(callback)

    def _is_called_without_await(self) -> bool:
        """Whether the caller is synchronous code: in an `orm.sync()` block, or in ``with database.transaction():``."""
        return is_without_await() or is_in_blocking_transaction(self)

    def on_rollback(self, func: Callable[[], object]) -> Awaitable[None]:
        """Call `func` if the current transaction is rolled back, by an error or otherwise; never if there is none.

        It also runs if a block around that one is rolled back. Functions run when the outermost transaction has ended,
        in the order of their registration; no transaction is open then. Their errors are logged by the
        `orm.transactions` logger, and do not replace the one that led to the rollback.

        Raises `QueryError` if `func` cannot be called.

        >>> async with database.transaction():
        ...     path = await save_upload(file)
        ...     await database.on_rollback(path.unlink)
        """
        callback = commit_callback(func, True, "on_rollback", in_thread=is_without_await())
        return finished_without_await(self._add_rollback_callback(callback), blocks=self._is_called_without_await())

    async def _add_rollback_callback(self, callback: CommitCallback) -> None:
        transaction = current_transaction(self)
        if transaction is not None:
            await transaction.add_rollback_callback(callback)

    def set_rollback(self, rollback: bool) -> None:
        """Roll the current transaction back at the end of its block, without an error; False cancels that.

        Raises `TransactionError` if there is no transaction.
        """
        if can_block():  # synchronous code, whose transactions belong to another event loop
            run(self._set_rollback(rollback))
            return
        transaction = current_transaction(self)
        if transaction is None:
            raise TransactionError("set_rollback() is called inside a transaction, and there is none")
        transaction.needs_rollback = rollback

    async def _set_rollback(self, rollback: bool) -> None:
        self.set_rollback(rollback)
