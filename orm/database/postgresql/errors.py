"""What the errors of asyncpg mean."""

from __future__ import annotations

from orm import exceptions as ours
from orm.database.dialect import pep_249_class

OurError = type[ours.Error]

# The SQLSTATE codes of PostgreSQL, then their classes (the first two characters).
SQLSTATES: dict[str, OurError] = {
    "23505": ours.UniqueViolation,
    "23P01": ours.UniqueViolation,  # an exclusion constraint generalizes a unique one
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


def classify(error: BaseException) -> OurError:
    """The ORM's class for an error of asyncpg."""
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return SQLSTATES.get(state) or SQLSTATE_CLASSES.get(state[:2], ours.DatabaseError)
    if isinstance(error, ValueError):  # asyncpg.DataError: a value that its codec cannot encode
        return ours.DataError
    message = str(error)
    if "connection is closed" in message or "connection was closed" in message or "connection has been" in message:
        return ours.ConnectionLost
    return pep_249_class(error) if "InterfaceError" in {c.__name__ for c in type(error).__mro__} else ours.InternalError
