"""The functions registered by `on_rollback()`: when they are due, and how they run."""

from __future__ import annotations

import operator

from orm.database.connections.on_commit import CommitCallback


class RollbackCallbacks:
    """The functions of one block.

    They are due when the block, or one around it, is rolled back, and run when the outermost block has ended.
    """

    __slots__ = ("due", "waiting")

    def __init__(self) -> None:
        self.waiting: list[CommitCallback] = []
        self.due: list[CommitCallback] = []

    def add(self, callback: CommitCallback) -> None:
        """Register a function."""
        self.waiting.append(callback)

    def become_due(self) -> None:
        """The block is rolled back."""
        self.due += self.waiting
        self.waiting = []

    def pass_to(self, outer: RollbackCallbacks) -> None:
        """The block, a savepoint, has ended: its functions become those of the block around it."""
        outer.waiting += self.waiting
        outer.due += self.due
        self.waiting, self.due = [], []

    async def run(self) -> None:
        """The outermost block has ended: call the functions that are due, in the order of their registration."""
        due, self.waiting, self.due = self.due, [], []
        for callback in sorted(due, key=operator.attrgetter("number")):
            await callback.run()
