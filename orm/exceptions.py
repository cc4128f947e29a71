"""The errors that the ORM raises: one tree, which follows PEP 249.

An error that a database driver raised reaches the caller as a class that is both one of these and the driver's own
(`except orm.UniqueViolation` and `except asyncpg.UniqueViolationError` both catch it), with the driver's error as its
`__cause__`.
"""

from typesystem import ValidationError

__all__ = [
    "CheckViolation",
    "ConnectionLost",
    "DataError",
    "DatabaseError",
    "Deadlock",
    "Error",
    "FieldError",
    "ForeignKeyViolation",
    "GraphTooLarge",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "LockNotAvailable",
    "MultipleMatches",
    "NoMatch",
    "NotNullViolation",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "QueryError",
    "QueryTimeout",
    "SerializationFailure",
    "TransactionError",
    "UniqueViolation",
    "ValidationError",
]


class Error(Exception):
    """The root of the ORM's errors."""


class InterfaceError(Error):
    """The driver was used incorrectly, or is not installed."""


class DatabaseError(Error):
    """The database, or its driver, reported an error."""


class DataError(DatabaseError):
    """A value that the column or the driver cannot store: out of range, too long, or of the wrong type."""


class InternalError(DatabaseError):
    """An internal error of the database."""


class ProgrammingError(DatabaseError):
    """A statement that cannot run: bad syntax, an unknown table or column, missing rights."""


class NotSupportedError(DatabaseError):
    """A feature that this database, or this version of it, does not have."""


class TransactionError(DatabaseError):
    """A transaction used incorrectly: after a failed statement, after its end, or with invalid options."""


class IntegrityError(DatabaseError):
    """A constraint of the schema was violated."""


class UniqueViolation(IntegrityError):
    """A row with the same unique values already exists."""


class ForeignKeyViolation(IntegrityError):
    """A foreign key refers to no row, or a row is still referred to."""


class NotNullViolation(IntegrityError):
    """NULL, or no value, for a column that requires one."""


class CheckViolation(IntegrityError):
    """A CHECK constraint rejected the row."""


class OperationalError(DatabaseError):
    """An error outside the statement: the server is unreachable, rejects the login, is full or is shutting down."""


class ConnectionLost(OperationalError):
    """The connection was lost while it was in use. The next checkout gets a new one."""


class Deadlock(OperationalError):
    """Two transactions waited for each other, and the database rolled this one back. It can be run again."""


class SerializationFailure(OperationalError):
    """The isolation level could not be kept. The transaction must be run again."""


class QueryTimeout(OperationalError):
    """A statement exceeded its time limit, or was cancelled by the server."""


class LockNotAvailable(OperationalError):
    """A lock was not available in time, or immediately with `nowait=True`."""


class FieldError(Error, ValueError):
    """An unknown or invalid name in a query or in a model's definition."""


class QueryError(Error, ValueError):
    """An invalid query."""


class GraphTooLarge(QueryError):
    """A graph has more rows, or is deeper, than its budget allows.

    `relation` is the path of the relation that was too large (empty for the root), `limit` the number that was
    exceeded.
    """

    def __init__(self, message: str, relation: str = "", limit: int = 0) -> None:
        super().__init__(message)
        self.relation = relation
        self.limit = limit


class NoMatch(Error):
    """No row matches a query for a single row."""


class MultipleMatches(Error):
    """More than one row matches a query for a single row."""
