"""Driver errors as ours: each raised as a class that is both the ORM's and the driver's.

What an error means is the dialect's to say (`Dialect.classify_error`). It is found by the package that the error's
class comes from, so no driver needs to be installed.
"""

import functools
import types
from types import TracebackType
from typing import Any

from orm import exceptions as ours
from orm.database.dialect_registry import dialect_of_error

OurError = type[ours.Error]


def _classify_builtin(error: BaseException) -> OurError | None:
    if isinstance(error, (OverflowError, UnicodeError)):
        return ours.DataError  # sqlite3 and asyncpg raise these for a value they cannot encode
    if isinstance(error, (ConnectionError, EOFError)):
        return ours.ConnectionLost
    if isinstance(error, ValueError) and str(error) in ("Connection closed", "no active connection"):
        return ours.ConnectionLost  # aiosqlite
    return None


def classify(error: BaseException) -> OurError | None:
    """The class of the ORM's tree that an error of a driver belongs to; None for what is no error of a driver."""
    dialect = dialect_of_error(error)
    return _classify_builtin(error) if dialect is None else dialect.classify_error(error)


@functools.cache
def _both(pair: tuple[OurError, type[BaseException]]) -> OurError:
    """The class that is both of a pair, made once. There are only as many as the drivers have classes."""
    our, theirs = pair
    body = {"__module__": our.__module__, "__doc__": our.__doc__, "__reduce__": _reduce}
    return types.new_class(our.__name__, (our, theirs), exec_body=lambda namespace: namespace.update(body))


def _reduce(error: ours.Error) -> tuple[Any, ...]:
    our, theirs = type(error).__bases__
    return _rebuild, (our, theirs, error.args, error.__dict__)


def _rebuild(our: OurError, theirs: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> ours.Error:
    cls = _both((our, theirs))
    # A driver's own __init__ may want what it was raised with, not what it kept: only built-in ones need theirs.
    error: ours.Error = cls(*args) if theirs.__module__ == "builtins" else cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


def combine(our: OurError, error: BaseException, message: str | None = None) -> ours.Error:
    """`error` as an instance of both `our` and its own class, with `error` as its cause.

    Arguments and attributes are carried over; `message` takes the place of the driver's own.
    """
    theirs = type(error)
    args = error.args
    if message is not None:
        # MySQL's drivers keep the number first, and callers read it there.
        args = (args[0], message) if args and isinstance(args[0], int) else (message,)
    if issubclass(theirs, UnicodeError):  # its five arguments are fixed, so ours alone can carry the message
        combined = our(message or str(error))
    else:
        combined = _rebuild(our, theirs, args, getattr(error, "__dict__", {}))
    state = getattr(error, "sqlstate", None)
    if state is not None and getattr(combined, "sqlstate", None) is None:
        combined.sqlstate = state  # type: ignore[attr-defined]  # asyncmy keeps it outside __dict__
    combined.__cause__ = error
    return combined


def translate(error: BaseException) -> ours.Error | None:
    """An error of a database driver as one of ours; None for an error that is not a driver's (leave it alone).

    One that is ours already comes back as it is.

    >>> translate(sqlite3.IntegrityError("UNIQUE constraint failed: notes.id"))
    UniqueViolation('UNIQUE constraint failed: notes.id')
    """
    if isinstance(error, ours.Error):
        return error
    our = classify(error)
    return None if our is None else combine(our, error)


def connect_failure(error: BaseException, server: str) -> ours.Error | None:
    """Why no connection to `server` (a server and database, never a password) could be made; None as in `translate`."""
    if isinstance(error, ours.Error):
        return error
    if isinstance(error, (OSError, TimeoutError)) or classify(error) is not None:
        reason = (
            error.args[-1] if error.args and isinstance(error.args[-1], str) else str(error) or type(error).__name__
        )
        return combine(ours.OperationalError, error, f"cannot connect to {server}: {reason}")
    return None


class _Translating:
    """`with translating:` raises the driver errors of its block as ours."""

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
    """`with connecting("postgresql at localhost, database 'shop'"):` raises what keeps a connection from being made."""

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
