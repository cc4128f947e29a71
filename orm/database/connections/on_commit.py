"""The functions registered by `on_commit()` and `on_rollback()`: how they are checked, and how they run."""

import asyncio
import inspect
import itertools
import logging
from collections.abc import Callable
from typing import NamedTuple

from orm.exceptions import QueryError

logger = logging.getLogger("orm.transactions")
_numbers = itertools.count(1)


class CommitCallback(NamedTuple):
    """A function to call after a commit, or after a rollback. `method` registered it.

    Functions are called in the order of their `number`s. An error of a `robust` one is logged, not raised. That of
    synchronous code is called `in_thread`: on the event loop, `Note.objects` would be the asynchronous one.
    """

    number: int
    function: Callable[[], object]
    robust: bool
    method: str
    in_thread: bool

    async def run(self) -> None:
        """Call the function, and await its result if it is awaitable."""
        try:
            result = await asyncio.to_thread(self.function) if self.in_thread else self.function()
            if inspect.isawaitable(result):
                await result
        except Exception:
            if not self.robust:
                raise
            option = " with robust=True" if self.method == "on_commit" else ""
            logger.exception("%s, which %s() was given%s, failed", _name(self.function), self.method, option)


def commit_callback(
    function: object, robust: bool, method: str = "on_commit", *, in_thread: bool = False
) -> CommitCallback:
    """The callback that `on_commit(function, robust=…)` registers; QueryError if the function cannot be called."""
    if inspect.iscoroutine(function):
        raise QueryError(
            f"{method}() takes the function itself, not what calling it made: {method}({function.__name__}), "
            "or functools.partial() where it has arguments"
        )
    if not callable(function):
        raise QueryError(
            f"{method}() takes a function without arguments, not a value of type {type(function).__name__}"
        )
    in_thread = in_thread and not inspect.iscoroutinefunction(function)
    return CommitCallback(next(_numbers), function, robust, method, in_thread)


def _name(function: object) -> str:
    # A partial has no name, and its repr shows its arguments.
    function = getattr(function, "func", function)
    return str(getattr(function, "__qualname__", type(function).__qualname__))
