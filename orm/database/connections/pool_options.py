"""The options of a database's connection pool: those of its URL's query part, and those of `orm.Database(…)`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qsl, urlencode

from orm.database.connections.database_url import SafeURL
from orm.exceptions import InterfaceError

ACQUIRE_TIMEOUT = 30.0
SECONDS = ("acquire_timeout", "statement_timeout", "max_lifetime", "max_idle")


@dataclass(frozen=True)
class PoolOptions:
    """How connections are opened, lent and replaced. All times are in seconds.

    Attributes:
        acquire_timeout: how long a task waits for a connection; None: for ever.
        statement_timeout: how long a statement may run; None: no limit but the server's.
        max_lifetime: after how long a connection is replaced, when it is idle; None: never.
        max_idle: after how long without use a connection is replaced; None: the default for the server.
        on_connect: awaited with each new connection of the driver's.
        debug: whether the line of the program that took each connection is recorded.
    """

    acquire_timeout: float | None = ACQUIRE_TIMEOUT
    statement_timeout: float | None = None
    max_lifetime: float | None = None
    max_idle: float | None = None
    on_connect: Callable[[Any], Awaitable[object]] | None = None
    debug: bool = False


def read_pool_options(url: SafeURL, options: Mapping[str, Any]) -> tuple[PoolOptions, SafeURL, dict[str, Any]]:
    """The pool's options, the URL without them, and the other options. `InterfaceError` for a bad value."""
    values = {name: value for name, value in url.options.items() if name in SECONDS}
    if values:
        address, _, query = url._url.partition("?")
        rest = [(name, value) for name, value in parse_qsl(query) if name not in values]
        url = SafeURL(f"{address}?{urlencode(rest)}" if rest else address)
    names = {field.name for field in fields(PoolOptions)}
    values |= {name: value for name, value in options.items() if name in names}
    others = {name: value for name, value in options.items() if name not in names}
    for name in SECONDS:
        if values.get(name) is not None:
            values[name] = _seconds(name, values[name])
    on_connect = values.get("on_connect")
    if on_connect is not None and not callable(on_connect):
        raise InterfaceError(f"on_connect is a function, not a value of type {type(on_connect).__name__}")
    return PoolOptions(**values), url, others


def _seconds(name: str, value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0
    if not 0 < seconds < float("inf"):
        raise InterfaceError(f"{name} is a number of seconds above 0, not {value!r}")
    return seconds
