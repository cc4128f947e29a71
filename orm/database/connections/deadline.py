"""A time limit for a block of the current task, which the end of the block can stop before it awaits anything."""

from __future__ import annotations

import asyncio
from typing import Any


class Deadline:
    """Cancels the task that created it after this many seconds, unless `end` is called before."""

    __slots__ = ("_cancellations", "_handle", "_task", "has_passed")

    def __init__(self, seconds: float) -> None:
        task: Any = asyncio.current_task()
        self._task = task
        # Python 3.10 does not count cancellations.
        self._cancellations: int = task.cancelling() if hasattr(task, "cancelling") else 0
        self._handle = asyncio.get_running_loop().call_later(seconds, self._pass)
        self.has_passed = False

    def watch(self, task: asyncio.Task[Any]) -> None:
        """Cancel this task instead, behind `orm.run()`: each statement of the block is another task there."""
        self._task = task
        if self.has_passed:
            task.cancel()

    def _pass(self) -> None:
        self.has_passed = True
        self._task.cancel()

    def end(self) -> bool:
        """Stop the clock. Returns whether the time has passed and nothing else has cancelled the task."""
        self._handle.cancel()
        if not self.has_passed:
            return False
        return not hasattr(self._task, "uncancel") or self._task.uncancel() <= self._cancellations
