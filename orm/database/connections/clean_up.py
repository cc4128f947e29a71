"""Clean-up that runs to its end even if the task that began it is cancelled."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

logger = logging.getLogger("orm.pool")

# How long a task waits for the clean-up of a connection that it no longer uses.
WAIT_SECONDS = 1.0


class CleanUps:
    """The clean-ups under way.

    A rule for the whole of `orm.database`: what has to be awaited after a cancellation (a ROLLBACK, the end of a
    stream, the closing of a connection) runs in a separate task. The cancelled task waits for it; if it is cancelled
    again, it stops waiting, and the clean-up goes on.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, ResultT]) -> asyncio.Task[ResultT]:
        """Begin a clean-up."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def run(self, work: Coroutine[Any, Any, object]) -> None:
        """Begin a clean-up, and wait for it, but not for long. Its errors are logged, not raised."""
        await asyncio.wait([self.start(work)], timeout=WAIT_SECONDS)

    async def finished(self, timeout: float | None = None) -> None:
        """Wait for all clean-ups under way, for at most `timeout` seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.debug("the clean-up of a connection failed: %s", type(error).__name__)
