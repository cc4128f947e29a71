"""What the errors of sqlite3 mean."""

from __future__ import annotations

import re

from orm import exceptions as ours
from orm.database.errors import pep_249_class

OurError = type[ours.Error]

# SQLite's extended result codes, then the primary ones (their low byte). Code 1 (a mistake in the SQL, and other
# errors) is classified by its message.
SQLITE_ERRORS: dict[int, OurError] = {
    2067: ours.UniqueViolation,
    1555: ours.UniqueViolation,
    2579: ours.UniqueViolation,
    787: ours.ForeignKeyViolation,
    1299: ours.NotNullViolation,
    275: ours.CheckViolation,
    3091: ours.DataError,  # a STRICT table's datatype
    516: ours.TransactionError,  # a query that was running when its transaction was rolled back
    517: ours.SerializationFailure,  # a write in a transaction whose snapshot is outdated
    2: ours.InternalError,
    3: ours.OperationalError,
    4: ours.OperationalError,
    5: ours.LockNotAvailable,
    6: ours.LockNotAvailable,
    8: ours.ReadOnlyServer,
    9: ours.QueryTimeout,
    10: ours.OperationalError,
    11: ours.DataCorrupted,
    13: ours.DiskFull,
    14: ours.OperationalError,
    15: ours.LockNotAvailable,
    17: ours.OperationalError,
    18: ours.DataError,
    19: ours.IntegrityError,
    20: ours.DataError,
    21: ours.InterfaceError,
    22: ours.NotSupportedError,
    23: ours.ProgrammingError,
    25: ours.DataError,
    26: ours.DataCorrupted,
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
        (r"^datatype mismatch|^integer overflow|^malformed JSON|^LIKE or GLOB pattern too complex", ours.DataError),
        (r"too big$", ours.DataError),
        # For example, the function for regular expressions, about an invalid pattern.
        (r"^user-defined (function|aggregate) raised exception", ours.DataError),
        (r" is locked|^locking protocol", ours.LockNotAvailable),
        (r"^interrupted", ours.QueryTimeout),
        (r"^attempt to write a readonly database", ours.ReadOnlyServer),
        (r"^database or disk is full", ours.DiskFull),
        (r"^database disk image is malformed|^file is not a database|^malformed database schema", ours.DataCorrupted),
        (r"^no such savepoint|no transaction is active| (?:from |with)in a transaction", ours.TransactionError),
        (r"^too many levels of trigger recursion|^unable to open|^disk I/O error", ours.OperationalError),
        (
            r"no such (table|column|function|index|module)|syntax error|already exists|has no column named"
            r"|incomplete input|unrecognized token|ambiguous column|misuse of aggregate|wrong number of arguments"
            r"|values for \d+ columns|^not authorized",
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
    if not isinstance(code, int):
        return pep_249_class(error)
    return SQLITE_ERRORS.get(code & 0xFF) or (ours.ProgrammingError if code & 0xFF == 1 else pep_249_class(error))


# "UNIQUE constraint failed: note.a, note.b", or "…: index 'name'" of an index of expressions; "CHECK … failed: name".
CONSTRAINT = re.compile(r"^(UNIQUE|NOT NULL|CHECK) constraint failed: (.*)$", re.DOTALL)
INDEX = re.compile(r"index '(.*)'", re.DOTALL)


def violation(error: BaseException) -> ours.Violation:
    """What a message says about the violated constraint. SQLite does not name foreign keys."""
    match = CONSTRAINT.match(str(error))
    if match is None:
        return ours.Violation()
    kind, rest = match.groups()
    if kind == "CHECK":
        return ours.Violation(constraint=rest)
    if index := INDEX.fullmatch(rest):
        return ours.Violation(constraint=index[1])
    columns = [column.rpartition(".") for column in rest.split(", ")]
    return ours.Violation(table=columns[0][0], columns=tuple(name for _, _, name in columns))
