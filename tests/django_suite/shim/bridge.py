"""Django's tests are synchronous and `orm` is not: they run in a greenlet, which waits for what `orm` awaits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import anyio
import greenlet
from sqlalchemy.util.concurrency import await_only

SECONDS = 60
"""How long one call may take."""


def in_test() -> bool:
    """Whether the caller is a test, and not `orm` itself, whose calls stay asynchronous."""
    return bool(getattr(greenlet.getcurrent(), "__sqlalchemy_greenlet_provider__", False))


def run(awaitable: Awaitable[Any]) -> Any:
    """The result of an awaitable, for a test that waits."""

    async def bounded() -> Any:
        with anyio.fail_after(SECONDS):
            return await awaitable

    return await_only(bounded())


def synchronous(
    method: Callable[..., Any],
    *,
    arguments: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]] | None = None,
    result: Callable[[Any], Any] | None = None,
) -> Any:
    """A method that gives its result to a test, and a coroutine to `orm`. Its `original` is the coroutine function."""

    @wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        if not in_test():
            return method(self, *args, **options)
        if arguments is not None:
            args, options = arguments(*args, **options)
        value = run(method(self, *args, **options))
        return value if result is None else result(value)

    call.original = method  # type: ignore[attr-defined]
    return call


def without_alias(*args: Any, **options: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments without Django's alias of a database: there is one."""
    options.pop("using", None)
    options.pop("keep_parents", None)
    return args, options
