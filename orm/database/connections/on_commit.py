"""What `on_commit` takes: functions that wait for a commit, and how they run after it."""

import inspect
import itertools
import logging
from collections.abc import Callable
from typing import NamedTuple

from orm.exceptions import QueryError

logger = logging.getLogger("orm.transactions")
_numbers = itertools.count(1)


class CommitCallback(NamedTuple):
    """A function that waits for a commit.

    `number` is its place in the order of registration. When a `robust` one fails, the error is logged and no more.
    """

    number: int
    function: Callable[[], object]
    robust: bool

    async def run(self) -> None:
        """Call the function, and await what it returns if that can be awaited."""
        try:
            result = self.function()
            if inspect.isawaitable(result):
                await result
        except Exception:
            if not self.robust:
                raise
            logger.exception("%s, which on_commit() was given with robust=True, failed", _name(self.function))


def read_callback(function: object, robust: bool) -> CommitCallback:
    """What `on_commit(function, robust=…)` asks for; QueryError for anything that cannot be called."""
    if inspect.iscoroutine(function):
        raise QueryError(
            f"on_commit() takes the function itself, not what calling it made: on_commit({function.__name__}), "
            "or functools.partial() where it has arguments"
        )
    if not callable(function):
        raise QueryError(
            f"on_commit() takes a function without arguments, not a value of type {type(function).__name__}"
        )
    return CommitCallback(next(_numbers), function, robust)


def _name(function: object) -> str:
    # A partial has no name of its own, and its repr shows the values it carries.
    function = getattr(function, "func", function)
    return str(getattr(function, "__qualname__", type(function).__qualname__))
