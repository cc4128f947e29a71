"""What the errors of sqlite3 mean."""

from __future__ import annotations

import re

from orm import exceptions as ours
from orm.database.dialect import pep_249_class

OurError = type[ours.Error]

# SQLite's extended result codes, then the primary ones (their low byte).
SQLITE_ERRORS: dict[int, OurError] = {
    2067: ours.UniqueViolation,
    1555: ours.UniqueViolation,
    2579: ours.UniqueViolation,
    787: ours.ForeignKeyViolation,
    1299: ours.NotNullViolation,
    275: ours.CheckViolation,
    3091: ours.DataError,  # a STRICT table's datatype
    517: ours.SerializationFailure,  # a write in a transaction whose snapshot is outdated
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
# Python 3.10 has no error codes. The messages, which SQLite does not localize, have to do.
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


def classify(error: BaseException) -> OurError:
    """The ORM's class for an error of sqlite3."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int) and code in SQLITE_ERRORS:
        return SQLITE_ERRORS[code]
    message = str(error)
    if SQLITE_BINDING.search(message):
        return ours.DataError
    if "closed database" in message:
        return ours.ConnectionLost
    # ON DELETE RESTRICT has the extended code of a trigger, so the message is read before the primary code.
    for pattern, known in SQLITE_MESSAGES:
        if pattern.search(message):
            return known
    primary = SQLITE_ERRORS.get(code & 0xFF) if isinstance(code, int) else None
    return primary or pep_249_class(error)
