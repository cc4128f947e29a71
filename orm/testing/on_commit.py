"""Running what waits for a commit, in a test whose transaction is rolled back."""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import TracebackType

import databases

from orm.database.connections.database import Database
from orm.database.connections.on_commit import CommitCallback
from orm.exceptions import QueryError
from orm.registry import ModelRegistry
from orm.utils.blocking import BlockingContext


class CommitCapture(BlockingContext):
    """The functions that a block passes to `on_commit()`: see `capture_on_commit()`."""

    def __init__(self, database: Database, execute: bool) -> None:
        self._database = database
        self._execute = execute
        self._known: set[int] = set()
        self.callbacks: list[Callable[[], object]] = []
        """The functions, in the order of their registration, when the block has ended."""

    def _waiting(self) -> list[CommitCallback]:
        scope = self._database._global_transaction
        if scope is None:
            raise QueryError(
                "capture_on_commit() is for tests whose work is rolled back: outside of the fixture orm_database, and "
                "where tests commit, on_commit() runs its functions"
            )
        return sorted(
            (each for each in scope._callbacks if each.number not in self._known), key=operator.attrgetter("number")
        )

    async def __aenter__(self) -> CommitCapture:
        self._known.update(each.number for each in self._waiting())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        # A function may register another one, which runs after it.
        while waiting := self._waiting():
            self._known.update(each.number for each in waiting)
            self.callbacks += [each.function for each in waiting]
            if not self._execute or error is not None:
                return
            for each in waiting:
                await each.run()


def capture_on_commit(where: databases.Database | ModelRegistry, *, execute: bool = True) -> CommitCapture:
    """Collect the functions that a block passes to `on_commit()`, and run them at its end, as a commit would.

    Use it with `async with`, or `with` where no event loop runs. A function of a savepoint that was rolled back is not
    among them. With ``execute=False`` they are collected only.

    >>> async with capture_on_commit(models) as captured:
    ...     await client.post("/orders", json=order)
    >>> assert len(captured.callbacks) == 1

    Raises:
        QueryError: The database is no `orm.Database`, or its work is not rolled back.
    """
    database = where.database if isinstance(where, ModelRegistry) else where
    if not isinstance(database, Database):
        raise QueryError("capture_on_commit() takes an orm.Database, or a ModelRegistry that has one")
    return CommitCapture(database, execute)
