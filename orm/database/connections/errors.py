"""Driver errors as ours: each raised as a class that is both the ORM's and the driver's.

Drivers are recognised by the package their error class comes from, so none of them needs to be installed.
"""

import functools
import re
import types
from types import TracebackType
from typing import Any

from orm import exceptions as ours

OurError = type[ours.Error]

# The SQLSTATE codes of PostgreSQL, and below them the classes (the first two characters) they fall into.
SQLSTATES: dict[str, OurError] = {
    "23505": ours.UniqueViolation,
    "23P01": ours.UniqueViolation,  # an exclusion constraint is a generalised unique one
    "23503": ours.ForeignKeyViolation,
    "23001": ours.ForeignKeyViolation,
    "23502": ours.NotNullViolation,
    "23514": ours.CheckViolation,
    "40001": ours.SerializationFailure,
    "40P01": ours.Deadlock,
    "55P03": ours.LockNotAvailable,
    "57014": ours.QueryTimeout,
    "57P01": ours.ConnectionLost,
    "57P02": ours.ConnectionLost,
    "57P05": ours.ConnectionLost,
    "25P02": ours.TransactionError,
    "25P03": ours.ConnectionLost,
    "25P04": ours.ConnectionLost,
}
SQLSTATE_CLASSES: dict[str, OurError] = {
    "08": ours.ConnectionLost,
    "0A": ours.NotSupportedError,
    "0B": ours.TransactionError,
    "21": ours.ProgrammingError,
    "22": ours.DataError,
    "23": ours.IntegrityError,
    "25": ours.TransactionError,
    "26": ours.ProgrammingError,
    "28": ours.OperationalError,
    "2D": ours.TransactionError,
    "34": ours.ProgrammingError,
    "3B": ours.TransactionError,
    "3D": ours.OperationalError,
    "3F": ours.ProgrammingError,
    "40": ours.SerializationFailure,
    "42": ours.ProgrammingError,
    "44": ours.CheckViolation,
    "53": ours.OperationalError,
    "54": ours.OperationalError,
    "55": ours.OperationalError,
    "57": ours.OperationalError,
    "58": ours.OperationalError,
    "F0": ours.InternalError,
    "XX": ours.InternalError,
}

MYSQL_ERRORS: dict[int, OurError] = {
    **dict.fromkeys((1022, 1062, 1169, 1586, 1859), ours.UniqueViolation),
    **dict.fromkeys((1215, 1216, 1217, 1451, 1452, 1761, 1762), ours.ForeignKeyViolation),
    **dict.fromkeys((1048, 1364), ours.NotNullViolation),
    **dict.fromkeys((3819, 4025), ours.CheckViolation),
    **dict.fromkeys((1213, 1614), ours.Deadlock),
    1020: ours.SerializationFailure,  # MariaDB: the row has changed since it was read
    **dict.fromkeys((1205, 3572), ours.LockNotAvailable),
    **dict.fromkeys((1028, 1317, 1907, 1969, 3024), ours.QueryTimeout),
    **dict.fromkeys(
        (1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2014, 2055), ours.ConnectionLost
    ),
    **dict.fromkeys((1264, 1265, 1292, 1366, 1367, 1406, 1411, 1441, 1690, 3140, 3141, 3156), ours.DataError),
    **dict.fromkeys((1568, 1792), ours.TransactionError),
    **dict.fromkeys((1235, 1289, 1286), ours.NotSupportedError),
    **dict.fromkeys(
        (1054, 1060, 1061, 1063, 1064, 1065, 1091, 1103, 1109, 1110, 1128, 1136, 1142, 1143, 1146, 1149, 1305, 1582),
        ours.ProgrammingError,
    ),
}

# SQLite's extended result codes, and the primary ones (the low byte).
SQLITE_ERRORS: dict[int, OurError] = {
    2067: ours.UniqueViolation,
    1555: ours.UniqueViolation,
    2579: ours.UniqueViolation,
    787: ours.ForeignKeyViolation,
    1299: ours.NotNullViolation,
    275: ours.CheckViolation,
    3091: ours.DataError,  # a STRICT table's datatype
    517: ours.SerializationFailure,  # the snapshot is too old to be written from
    1: ours.ProgrammingError,
    2: ours.InternalError,
    5: ours.LockNotAvailable,
    6: ours.LockNotAvailable,
    9: ours.QueryTimeout,
    11: ours.InternalError,
    18: ours.DataError,
    19: ours.IntegrityError,
    20: ours.DataError,
    25: ours.DataError,
}
# Python 3.10 tells no code: the message, which SQLite does not translate, has to do.
SQLITE_MESSAGES: tuple[tuple[re.Pattern[str], OurError], ...] = tuple(
    (re.compile(pattern), error)
    for pattern, error in (
        (r"^UNIQUE constraint failed", ours.UniqueViolation),
        (r"^PRIMARY KEY must be unique", ours.UniqueViolation),
        (r"^FOREIGN KEY constraint failed", ours.ForeignKeyViolation),
        (r"^NOT NULL constraint failed", ours.NotNullViolation),
        (r"^CHECK constraint failed", ours.CheckViolation),
        (r"^datatype mismatch", ours.DataError),
        (r"too big$", ours.DataError),
        (r" is locked", ours.LockNotAvailable),
        (r"^interrupted", ours.QueryTimeout),
        (
            r"no such (table|column|function|index|savepoint|module)|syntax error|already exists|has no column named"
            r"|incomplete input|unrecognized token|ambiguous column|misuse of aggregate|wrong number of arguments"
            r"|values for \d+ columns",
            ours.ProgrammingError,
        ),
    )
)
SQLITE_BINDING = re.compile(r"^Error binding parameter|probably unsupported type|type '.*' is not supported")

PEP_249: dict[str, OurError] = {
    name: getattr(ours, name)
    for name in (
        "InterfaceError",
        "DatabaseError",
        "DataError",
        "InternalError",
        "ProgrammingError",
        "NotSupportedError",
        "IntegrityError",
        "OperationalError",
    )
}


def _by_pep_249_name(error: BaseException) -> OurError:
    for cls in type(error).__mro__:
        if cls.__name__ in PEP_249:
            return PEP_249[cls.__name__]
    return ours.DatabaseError


def _classify_asyncpg(error: BaseException) -> OurError:
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return SQLSTATES.get(state) or SQLSTATE_CLASSES.get(state[:2], ours.DatabaseError)
    if isinstance(error, ValueError):  # asyncpg.DataError: a value that its codec cannot encode
        return ours.DataError
    message = str(error)
    if "connection is closed" in message or "connection was closed" in message or "connection has been" in message:
        return ours.ConnectionLost
    return (
        _by_pep_249_name(error) if "InterfaceError" in {c.__name__ for c in type(error).__mro__} else ours.InternalError
    )


def _classify_mysql(error: BaseException) -> OurError:
    code = error.args[0] if error.args else None
    if isinstance(code, int) and code in MYSQL_ERRORS:
        return MYSQL_ERRORS[code]
    message = str(error)
    # The drivers close a connection whose task was cancelled in the middle of an answer.
    if "Not connected" in message or "Connection closed" in message or "Cancelled during execution" in message:
        return ours.ConnectionLost
    return _by_pep_249_name(error)


def _classify_sqlite(error: BaseException) -> OurError:
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int) and code in SQLITE_ERRORS:
        return SQLITE_ERRORS[code]
    message = str(error)
    if SQLITE_BINDING.search(message):
        return ours.DataError
    if "closed database" in message:
        return ours.ConnectionLost
    # ON DELETE RESTRICT has the extended code of a trigger, so the message comes before the primary code.
    for pattern, known in SQLITE_MESSAGES:
        if pattern.search(message):
            return known
    primary = SQLITE_ERRORS.get(code & 0xFF) if isinstance(code, int) else None
    return primary or _by_pep_249_name(error)


def _classify_builtin(error: BaseException) -> OurError | None:
    if isinstance(error, (OverflowError, UnicodeError)):
        return ours.DataError  # sqlite3 and asyncpg raise these for a value they cannot encode
    if isinstance(error, (ConnectionError, EOFError)):
        return ours.ConnectionLost
    if isinstance(error, ValueError) and str(error) in ("Connection closed", "no active connection"):
        return ours.ConnectionLost  # aiosqlite
    return None


CLASSIFIERS = {
    "asyncpg": _classify_asyncpg,
    "pymysql": _classify_mysql,
    "asyncmy": _classify_mysql,
    "sqlite3": _classify_sqlite,
}


def classify(error: BaseException) -> OurError | None:
    """The class of the ORM's tree that an error of a driver belongs to; None for what is no error of a driver."""
    for cls in type(error).__mro__:
        classifier = CLASSIFIERS.get(cls.__module__.partition(".")[0])
        if classifier is not None:
            return classifier(error)
    return _classify_builtin(error)


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


def connect_failure(error: BaseException, place: str) -> ours.Error | None:
    """Why no connection to `place` (a server and database, never a password) could be made; None as in `translate`."""
    if isinstance(error, ours.Error):
        return error
    if isinstance(error, (OSError, TimeoutError)) or classify(error) is not None:
        reason = (
            error.args[-1] if error.args and isinstance(error.args[-1], str) else str(error) or type(error).__name__
        )
        return combine(ours.OperationalError, error, f"cannot connect to {place}: {reason}")
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

    __slots__ = ("_place",)

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        failure = None if error is None else connect_failure(error, self._place)
        if failure is not None and failure is not error:
            raise failure from error
