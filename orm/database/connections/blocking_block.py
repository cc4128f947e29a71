"""`with database.transaction():` in synchronous code."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from orm.database.connections.turns import innermost
from orm.utils.blocking import BlockingContext, time_limits

if TYPE_CHECKING:
    from orm.database.connections.deadline import Deadline
    from orm.database.connections.transactions import Transaction
    from orm.database.connections.turns import Detached


class BlockingBlock(BlockingContext):
    """A base class of `Transaction`: its block without an event loop, each statement of which is a task."""

    _deadline: Deadline | None
    around: Transaction | Detached | None
    _process: int

    def __enter__(self) -> Self:
        transaction = super().__enter__()
        self._process = os.getpid()
        if self._deadline is not None:
            time_limits.set((*time_limits.get(), self._deadline))
        return transaction

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        deadline = self._deadline
        if deadline is not None:
            time_limits.set(tuple(limit for limit in time_limits.get() if limit is not deadline))
        if self._process != os.getpid():
            innermost.set(self.around)  # this is the child of a fork: the transaction is its parent's
            return None
        return super().__exit__(kind, error, traceback)
