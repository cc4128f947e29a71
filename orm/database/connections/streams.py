"""A query whose rows are read in batches, in turns with the other statements of its connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from orm.database.connections.driver import RowStream
from orm.database.connections.errors import translating
from orm.database.connections.turns import Turns
from orm.exceptions import Error, TransactionError

if TYPE_CHECKING:
    from orm.database.connections.transactions import Transaction

READ_AHEAD = 1000


class OpenStream:
    """The rows of a running query, read in turns with the other statements of its connection.

    A stream that is still open when its transaction ends is closed, and reading on raises `TransactionError`. At a
    commit by another task, the rest of the rows is read into memory instead, so that the stream's task can go on.
    """

    def __init__(
        self,
        rows: RowStream,
        turns: Turns | asyncio.Lock,
        transaction: Transaction | None,
        run_to_end: Callable[[Coroutine[Any, Any, None]], Awaitable[None]] | None,
    ) -> None:
        self._rows = rows
        self._turns = turns
        self._run_to_end = run_to_end
        self._task = asyncio.current_task()
        self._buffer: deque[Any] | None = None
        self._is_closed = False
        self._transaction_ended = False
        self.transaction = transaction
        if transaction is not None:
            transaction.streams.add(self)

    @property
    def is_of_another_task(self) -> bool:
        """Whether it was begun by another task than the current one, which has not ended."""
        return self._task is not None and self._task is not asyncio.current_task() and not self._task.done()

    async def read(self, count: int) -> Sequence[Any]:
        """Up to `count` further rows; fewer only at the end."""
        if self._buffer is None and not self._transaction_ended:
            async with self._turns:
                if self._buffer is None and not self._transaction_ended:
                    with translating:
                        rows = await self._rows.read(count)
                    if len(rows) < count:
                        self._forget()  # the driver has closed it
                    return rows
        if self._buffer is None:
            raise TransactionError("the transaction of this query has ended: read all of its rows inside the block")
        return [self._buffer.popleft() for _ in range(min(count, len(self._buffer)))]

    async def close(self) -> None:
        """Discard the remaining rows, even if the task is cancelled meanwhile. `read` has raised the query's errors."""
        if self._is_closed:
            return
        if self._run_to_end is None:
            await self._close_in_turn()
        else:
            with contextlib.suppress(Error):
                await self._run_to_end(self._close_in_turn())

    async def _close_in_turn(self) -> None:
        async with self._turns:
            await self._close()

    async def read_to_end(self) -> None:
        """Read the remaining rows into memory. It is this task's turn, as for `end`."""
        rows: list[Any] = []
        with translating:
            while batch := await self._rows.read(READ_AHEAD):
                rows += batch
        self._buffer = deque(rows)

    async def end(self) -> None:
        """Close it, because its transaction ends. After an error, the server has closed it."""
        self._transaction_ended = True
        with contextlib.suppress(Error):
            await self._close()

    async def _close(self) -> None:
        if not self._is_closed:
            self._forget()
            with translating:
                await self._rows.close()

    def _forget(self) -> None:
        self._is_closed = True
        if self.transaction is not None:
            self.transaction.streams.discard(self)


class RecordStream:
    """The records that an asynchronous generator yields, as a `RowStream`."""

    def __init__(self, records: AsyncGenerator[Any, None]) -> None:
        self._records = records

    async def read(self, count: int) -> Sequence[Any]:
        """Up to `count` further records."""
        rows: list[Any] = []
        async for record in self._records:
            rows.append(record)
            if len(rows) == count:
                break
        return rows

    async def close(self) -> None:
        """Close the generator."""
        await self._records.aclose()
