"""Driver errors as ours: each raised as a class that is both the ORM's and the driver's.

The dialect classifies an error (`Dialect.classify_error`). Which dialect that is, the package of the error's class
tells, so no driver needs to be installed.
"""

import asyncio
import functools
import ssl
import types
from collections.abc import Callable
from types import TracebackType
from typing import Any

from orm import exceptions as ours
from orm.database.dialect_registry import dialect_of_error

OurError = type[ours.Error]

on_integrity_error: list[Callable[[ours.IntegrityError], None]] = []
"""Functions that are called with each new `IntegrityError`. The registry, a layer above, adds one that sets `model`."""


def _classify_builtin(error: BaseException) -> OurError | None:
    if isinstance(error, (OverflowError, UnicodeError)):
        return ours.DataError  # sqlite3 and asyncpg raise these for a value they cannot encode
    if isinstance(error, (ConnectionError, EOFError)):
        return ours.ConnectionLost
    if isinstance(error, ValueError) and str(error) in ("Connection closed", "no active connection"):
        return ours.ConnectionLost  # aiosqlite
    return None


def classify(error: BaseException) -> OurError | None:
    """The ORM's class for an error of a driver; None if it is not a driver's error."""
    dialect = dialect_of_error(error)
    return _classify_builtin(error) if dialect is None else dialect.classify_error(error)


@functools.cache
def _combined_class(pair: tuple[OurError, type[BaseException]]) -> OurError:
    """A subclass of both classes of a pair, created once. There are no more than the drivers have error classes."""
    our, theirs = pair
    body = {"__module__": our.__module__, "__doc__": our.__doc__, "__reduce__": _reduce}
    return types.new_class(our.__name__, (our, theirs), exec_body=lambda namespace: namespace.update(body))


def _reduce(error: ours.Error) -> tuple[Any, ...]:
    our, theirs = type(error).__bases__
    return _rebuild, (our, theirs, error.args, error.__dict__)


def _rebuild(our: OurError, theirs: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> ours.Error:
    cls = _combined_class((our, theirs))
    # A driver's __init__ may take other arguments than it keeps, so only the built-in classes' is called.
    error: ours.Error = cls(*args) if theirs.__module__ == "builtins" else cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


def combine(our: OurError, error: BaseException, message: str | None = None) -> ours.Error:
    """`error` as an instance of both `our` and its class, with `error` as its cause.

    Arguments and attributes are carried over; `message` replaces the driver's message.
    """
    theirs = type(error)
    args = error.args
    if message is not None:
        # MySQL's drivers keep the error number first, where callers read it.
        args = (args[0], message) if args and isinstance(args[0], int) else (message,)
    if issubclass(theirs, UnicodeError):  # it takes exactly five arguments, so only our class can carry the message
        combined = our(message or str(error))
    else:
        combined = _rebuild(our, theirs, args, getattr(error, "__dict__", {}))
    state = getattr(error, "sqlstate", None)
    if state is not None and getattr(combined, "sqlstate", None) is None:
        combined.sqlstate = state  # type: ignore[attr-defined]  # asyncmy keeps it outside __dict__
    combined.__cause__ = error
    return combined


def translate(error: BaseException) -> ours.Error | None:
    """An error of a database driver as one of the ORM's; None for an error that is not a driver's.

    An error of the ORM is returned as it is.

    >>> translate(sqlite3.IntegrityError("UNIQUE constraint failed: notes.id"))
    UniqueViolation('UNIQUE constraint failed: notes.id')
    """
    if isinstance(error, ours.Error):
        return error
    our = classify(error)
    if our is None:
        return None
    dialect = dialect_of_error(error)
    combined = combine(our, error, None if dialect is None else dialect.error_message(error))
    if dialect is not None and isinstance(combined, ours.IntegrityError):
        combined.violation = dialect.violation(error)
        for function in on_integrity_error:
            function(combined)
    return combined


def connect_failure_class(error: BaseException) -> OurError | None:
    """The class for what prevents a connection, always an `OperationalError`; None if it is not a driver's error."""
    our = classify(error)
    if our is None and isinstance(error, (OSError, asyncio.TimeoutError)):
        our = ours.OperationalError if isinstance(error, ssl.SSLError) else ours.ConnectionLost
    return our if our is None or issubclass(our, ours.OperationalError) else ours.OperationalError


def connect_failure(error: BaseException, server: str) -> ours.Error | None:
    """The error for a connection to `server` (without a password) that cannot be made; None as in `translate`."""
    if isinstance(error, ours.Error):
        return error
    our = connect_failure_class(error)
    if our is not None:
        # The variables of the driver's frames, and of those that call it, hold the password.
        _drop_tracebacks(error)
        reason = (
            error.args[-1] if error.args and isinstance(error.args[-1], str) else str(error) or type(error).__name__
        )
        if error.__cause__ is not None and str(error.__cause__) not in reason:
            reason += f" ({error.__cause__})"  # aiomysql does not say what is wrong with a certificate
        return combine(our, error, f"cannot connect to {server}: {reason}")
    return None


def _drop_tracebacks(error: BaseException | None) -> None:
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


class _Translating:
    """`with translating:` raises the driver errors of its block as the ORM's."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            return
        translated = translate(error)
        if translated is not None and translated is not error:
            raise translated from error


translating = _Translating()


class connecting:
    """`with connecting("postgresql at localhost, database 'shop'"):` raises errors in its block as OperationalError."""

    __slots__ = ("_server",)

    def __init__(self, server: str) -> None:
        self._server = server

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        failure = None if error is None else connect_failure(error, self._server)
        if failure is not None and failure is not error:
            raise failure from error
