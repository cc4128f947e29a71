"""The functions registered by `on_commit()`: how they are checked, and how they run after the commit."""

import inspect
import itertools
import logging
from collections.abc import Callable
from typing import NamedTuple

from orm.exceptions import QueryError

logger = logging.getLogger("orm.transactions")
_numbers = itertools.count(1)


class CommitCallback(NamedTuple):
    """A function to call after a commit.

    Functions are called in the order of their `number`s. An error of a `robust` one is logged, not raised.
    """

    number: int
    function: Callable[[], object]
    robust: bool

    async def run(self) -> None:
        """Call the function, and await its result if it is awaitable."""
        try:
            result = self.function()
            if inspect.isawaitable(result):
                await result
        except Exception:
            if not self.robust:
                raise
            logger.exception("%s, which on_commit() was given with robust=True, failed", _name(self.function))


def commit_callback(function: object, robust: bool) -> CommitCallback:
    """The callback that `on_commit(function, robust=…)` registers; QueryError if the function cannot be called."""
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
    # A partial has no name, and its repr shows its arguments.
    function = getattr(function, "func", function)
    return str(getattr(function, "__qualname__", type(function).__qualname__))
