"""Runs an operation again and again, and cancels it at its first await, then at its second, and so on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import anyio

Operation = Callable[[], Awaitable[object]]

MAX_AWAITS = 300


class CancelledAtAwait(Generator[Any, Any, object]):
    """Awaits a coroutine, and calls `cancel` at its await number `number`, and at the `more` that follow.

    With `as_it_completes` the cancellation arrives with the result that the await waits for: the result exists, and
    nobody gets it.
    """

    def __init__(
        self, work: Awaitable[object], number: int, cancel: Callable[[], object], *, more: int, as_it_completes: bool
    ) -> None:
        self._steps: Any = work.__await__()
        self._cancel = cancel
        self._left = number
        self._more = more
        self._as_it_completes = as_it_completes
        self.cancelled = False
        """Whether the coroutine got that far."""

    def __await__(self) -> Generator[Any, Any, object]:
        return self

    def send(self, value: Any) -> Any:
        """Let the coroutine go on to its next await."""
        return self._awaiting(self._steps.send(value))

    def throw(self, *error: Any) -> Any:
        """Raise an error at the coroutine's await, and let it go on to the next one."""
        return self._awaiting(self._steps.throw(*error))

    def _awaiting(self, future: Any) -> Any:
        self._left -= 1
        if -self._more <= self._left <= 0:
            self.cancelled = True
            if self._as_it_completes and future is not None:
                future.add_done_callback(lambda _: self._cancel())
            else:
                self._cancel()
        return future


class Run:
    """One run of an operation: what became of it.

    Attributes:
        cancelled: whether it was cancelled; it was not if it has fewer awaits.
        outcome: "cancelled", "completed", or the error as text.
    """

    def __init__(self, *, cancelled: bool, outcome: str) -> None:
        self.cancelled = cancelled
        self.outcome = outcome


async def _run_in_task(operation: Operation, number: int, *, more: int = 0, as_it_completes: bool = False) -> Run:
    task: asyncio.Task[object]

    async def work() -> object:
        return await cancelling

    cancelling = CancelledAtAwait(
        operation(), number, lambda: task.cancel(), more=more, as_it_completes=as_it_completes
    )
    task = asyncio.ensure_future(work())
    await asyncio.wait([task], timeout=30)
    if not task.done():
        return Run(cancelled=cancelling.cancelled, outcome="it hangs")
    if task.cancelled():
        outcome = "cancelled"
    else:
        error = task.exception()
        outcome = "completed" if error is None else repr(error)
    return Run(cancelled=cancelling.cancelled, outcome=outcome)


async def once(operation: Operation, number: int) -> Run:
    """`task.cancel()` while it awaits."""
    return await _run_in_task(operation, number)


async def as_it_completes(operation: Operation, number: int) -> Run:
    """`task.cancel()` as what it awaits completes."""
    return await _run_in_task(operation, number, as_it_completes=True)


async def twice(operation: Operation, number: int) -> Run:
    """`task.cancel()`, and once more at its next await, which is in its clean-up."""
    return await _run_in_task(operation, number, more=1)


async def by_anyio(operation: Operation, number: int) -> Run:
    """anyio's scope, which cancels each await of the clean-up as well."""

    async def work() -> bool:
        with anyio.CancelScope() as scope:
            cancelling = CancelledAtAwait(operation(), number, scope.cancel, more=0, as_it_completes=False)
            await cancelling
        return cancelling.cancelled

    task = asyncio.ensure_future(work())
    await asyncio.wait([task], timeout=30)
    if not task.done():
        return Run(cancelled=True, outcome="it hangs")
    error = task.exception()
    if error is not None:
        return Run(cancelled=True, outcome=repr(error))
    # The scope cancels in the next iteration of the event loop, by which the work may have completed.
    return Run(cancelled=task.result(), outcome="cancelled" if task.result() else "completed")


WAYS = (once, as_it_completes, twice, by_anyio)
