"""Every error the ORM raises: one tree, which is also PEP 249's.

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
    """The driver was used in a way it does not allow, or is not installed."""


class DatabaseError(Error):
    """The database, or the driver on its behalf, refused something."""


class DataError(DatabaseError):
    """A value that the column, or the driver, cannot hold: out of range, too long, of the wrong type."""


class InternalError(DatabaseError):
    """The database met an error of its own."""


class ProgrammingError(DatabaseError):
    """A statement that cannot run: bad syntax, an unknown table or column, missing rights."""


class NotSupportedError(DatabaseError):
    """Something that this database, or this version of it, cannot do."""


class TransactionError(DatabaseError):
    """A transaction used out of turn: broken by a failed statement, already over, or with options it cannot take."""


class IntegrityError(DatabaseError):
    """A constraint of the schema was violated."""


class UniqueViolation(IntegrityError):
    """A row with the same unique values exists already."""


class ForeignKeyViolation(IntegrityError):
    """A foreign key points at no row, or a row is still pointed at."""


class NotNullViolation(IntegrityError):
    """NULL, or nothing, for a column that must have a value."""


class CheckViolation(IntegrityError):
    """A CHECK constraint said no."""


class OperationalError(DatabaseError):
    """Trouble outside the statement: the server is away, refuses the login, is out of space or is shutting down."""


class ConnectionLost(OperationalError):
    """The connection broke while it was in use. The next checkout gets a new one."""


class Deadlock(OperationalError):
    """Two transactions waited for each other; the database ended this one. Running it again may succeed."""


class SerializationFailure(OperationalError):
    """The isolation level could not be kept up; the transaction must be run again."""


class QueryTimeout(OperationalError):
    """A statement took longer than it may, or was cancelled by the server."""


class LockNotAvailable(OperationalError):
    """A lock could not be had in time, or at once where waiting was not asked for."""


class FieldError(Error, ValueError):
    """An unknown or impossible name in a query or in a model's definition."""


class QueryError(Error, ValueError):
    """A query that makes no sense."""


class GraphTooLarge(QueryError):
    """A graph has more rows, or goes deeper, than its budget allows.

    `relation` is the path of the relation that was too large (empty for the rows that the graph begins with), `limit`
    the number that was exceeded.
    """

    def __init__(self, message: str, relation: str = "", limit: int = 0) -> None:
        super().__init__(message)
        self.relation = relation
        self.limit = limit


class NoMatch(Error):
    """No row matched where one was asked for."""


class MultipleMatches(Error):
    """Several rows matched where one was asked for."""
