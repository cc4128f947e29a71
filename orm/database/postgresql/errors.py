"""What the errors of asyncpg mean."""

from __future__ import annotations

import re

from orm import exceptions as ours
from orm.database.errors import pep_249_class

OurError = type[ours.Error]

# The SQLSTATE codes of PostgreSQL, then their classes (the first two characters).
SQLSTATES: dict[str, OurError] = {
    "23505": ours.UniqueViolation,
    "23P01": ours.UniqueViolation,  # an exclusion constraint generalizes a unique one
    "23503": ours.ForeignKeyViolation,
    "23001": ours.ForeignKeyViolation,
    "23502": ours.NotNullViolation,
    "23514": ours.CheckViolation,
    "08007": ours.CommitUnknown,
    "40001": ours.SerializationFailure,
    "40002": ours.IntegrityError,
    "40003": ours.CommitUnknown,
    "40P01": ours.Deadlock,
    "53100": ours.DiskFull,
    "55P03": ours.LockNotAvailable,
    "57014": ours.QueryTimeout,
    "57P01": ours.ConnectionLost,
    "57P02": ours.ConnectionLost,
    "57P03": ours.ConnectionLost,
    "57P04": ours.ConnectionLost,
    "57P05": ours.ConnectionLost,
    "25006": ours.ReadOnlyServer,
    "25P02": ours.TransactionError,
    "25P03": ours.ConnectionLost,
    "25P04": ours.ConnectionLost,
    "XX001": ours.DataCorrupted,
    "XX002": ours.DataCorrupted,
}
SQLSTATE_CLASSES: dict[str, OurError] = {
    "08": ours.ConnectionLost,
    "0A": ours.NotSupportedError,
    "0B": ours.TransactionError,
    "21": ours.ProgrammingError,
    "22": ours.DataError,
    "23": ours.IntegrityError,
    "24": ours.InternalError,
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
    "72": ours.SerializationFailure,
    "F0": ours.InternalError,
    "HV": ours.OperationalError,
    "XX": ours.InternalError,
}

# asyncpg's messages about a connection that is closed or in an unexpected state: a server that ends a connection sends
# its last message when no statement is waiting for one.
LOST_CONNECTION = re.compile(
    r"connection (?:is|was|has been) (?:closed|released)|^not connected|^cannot switch to |unknown protocol state"
)


def classify(error: BaseException) -> OurError:
    """The ORM's class for an error of asyncpg."""
    state = getattr(error, "sqlstate", None)
    if type(error).__name__ == "InvalidCachedStatementError":
        # A migration changed a table during the transaction. asyncpg has dropped its statements: a second run works.
        return ours.SerializationFailure
    if isinstance(state, str):
        return SQLSTATES.get(state) or SQLSTATE_CLASSES.get(state[:2], ours.DatabaseError)
    if isinstance(error, ValueError):  # asyncpg.DataError: a value that its codec cannot encode
        return ours.DataError
    if LOST_CONNECTION.search(str(error)):
        return ours.ConnectionLost
    names = {cls.__name__ for cls in type(error).__mro__}
    if "ProtocolError" in names:
        return ours.ConnectionLost
    if "TargetServerAttributeNotMatched" in names:
        return ours.OperationalError
    return pep_249_class(error) if "InterfaceError" in names else ours.InternalError


def violation(error: BaseException) -> ours.Violation:
    """What asyncpg's attributes say of the constraint that was violated."""
    column = getattr(error, "column_name", None)
    return ours.Violation(
        constraint=getattr(error, "constraint_name", None),
        table=getattr(error, "table_name", None),
        columns=() if column is None else (column,),
        is_referenced=str(error).startswith("update or delete on table"),
    )
