"""The errors that the ORM raises: one tree, which follows PEP 249.

An error that a database driver raised reaches the caller as a class that is both one of these and the driver's own
(`except orm.UniqueViolation` and `except asyncpg.UniqueViolationError` both catch it), with the driver's error as its
`__cause__`.
"""

import asyncio
import copyreg
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

from typesystem import Message, ValidationError

__all__ = [
    "CheckViolation",
    "CommitUnknown",
    "ConnectionLost",
    "DataCorrupted",
    "DataError",
    "DatabaseError",
    "Deadlock",
    "DiskFull",
    "Error",
    "FieldError",
    "ForeignKeyViolation",
    "GraphTooLarge",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "LockNotAvailable",
    "MigrationError",
    "MultipleMatches",
    "NoMatch",
    "NotLoaded",
    "NotLoadedAttribute",
    "NotNullViolation",
    "NotSupportedError",
    "OperationalError",
    "PoolTimeout",
    "ProgrammingError",
    "QueryError",
    "QueryTimeout",
    "ReadOnlyServer",
    "SerializationFailure",
    "StaleObject",
    "TransactionError",
    "TransactionTimeout",
    "UnansweredQuestion",
    "UniqueViolation",
    "ValidationError",
]


class Error(Exception):
    """The root of the ORM's errors.

    `retryable` says whether the transaction that failed can be run again at once, from its beginning: nothing of it was
    kept, and the next run may succeed.
    """

    retryable: ClassVar[bool] = False


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


class Violation(NamedTuple):
    """What the driver and the message of an error tell about the violated constraint."""

    constraint: str | None = None
    table: str | None = None
    columns: tuple[str, ...] = ()
    is_referenced: bool = False
    """Of a foreign key: True if other rows still refer to the row, False if the row refers to a missing one."""


class IntegrityError(DatabaseError):
    """A constraint of the schema was violated.

    `constraint` is its name, `model` the model whose table has it, and `fields` the names of its fields. If the
    database does not tell, `constraint` and `model` are None, and `fields` is empty.
    """

    constraint: str | None = None
    model: Any = None
    fields: tuple[str, ...] = ()
    text: str = ""
    """The text for people: the constraint's `message=`, or a default text that names the fields."""
    code: str = "invalid"
    violation: Violation = Violation()

    def as_validation_error(self) -> ValidationError:
        """The error as a `typesystem.ValidationError`, with a message under each of the fields.

            try:
                user = await User.objects.create(email=email)
            except orm.UniqueViolation as error:
                return form_with_errors(error.as_validation_error())

        If the error has no fields, the message is under the empty string.
        """
        text = self.text or "The database refuses this."
        fields = () if self.violation.is_referenced else self.fields
        indexes: list[list[Any]] = [[name] for name in fields] or [[]]
        return ValidationError(messages=[Message(text=text, code=self.code, index=index) for index in indexes])


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
    """The server cannot be reached, or the connection was lost while it was in use. The next use gets a new one.

    An open transaction was rolled back. Whether a write outside of a transaction took effect is not known.
    """


class CommitUnknown(OperationalError):
    """The connection was lost during COMMIT: the transaction was kept as a whole, or not at all.

    Never run it again unchecked: query its rows, or a key that you chose for them, to learn whether it was kept.
    """


class ReadOnlyServer(OperationalError):
    """The server takes no writes: it is a replica, or became one. On SQLite: the file cannot be written to.

    The connection is closed, as are the idle ones: the next use connects anew, perhaps to the new primary. A write in a
    `transaction(readonly=True)` raises `TransactionError` instead.
    """


class DiskFull(OperationalError):
    """The database has no room left: the disk, the table or the file is full."""


class DataCorrupted(OperationalError):
    """A file or an index of the database is damaged, or the file is not a database."""


class Deadlock(OperationalError):
    """Two transactions waited for each other, and the database rolled this one back. It can be run again."""

    retryable = True


class SerializationFailure(OperationalError):
    """The isolation level could not be kept, or another server committed first. The transaction must be run again."""

    retryable = True


class QueryTimeout(OperationalError):
    """A statement exceeded its time limit, or was cancelled by the server."""


class TransactionTimeout(QueryTimeout, asyncio.TimeoutError):
    """The block of a `transaction(timeout=…)` took too long: it was cancelled, and rolled back."""


class PoolTimeout(OperationalError):
    """No connection became free within `acquire_timeout` seconds. The message names the tasks that have them."""


class LockNotAvailable(OperationalError):
    """A lock was not available in time, or immediately with `nowait=True`."""

    retryable = True


class FieldError(Error, ValueError):
    """An unknown or invalid name in a query or in a model's definition."""


class RetiredField(FieldError, AttributeError):
    """A field with `retired=True` in a query, in values, or as an attribute.

    It is an `AttributeError`, so that `hasattr()` and what reads attributes of any object take it for missing.
    """


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


class NotLoaded(Error):
    """A field or a relation that was not loaded was read.

    It is not an `AttributeError`: `getattr()` with a default, Pydantic, msgspec and Jinja2 take that for a missing
    attribute, and return null.
    """


class NotLoadedAttribute(NotLoaded, AttributeError):
    """`NotLoaded` of models in the spellings of `orm` 0.1 to 0.3, whose README promises an `AttributeError`."""


class StaleObject(Error):
    """The row of an instance has been changed or deleted since the instance was loaded (see `orm.Version`).

    `key` is the primary key, `expected` the version that the instance was loaded with, `current` that of the row; None
    if the row was deleted.
    """

    retryable = True

    def __init__(self, message: str, key: object = None, expected: int = 0, current: int | None = None) -> None:
        super().__init__(message)
        self.key = key
        self.expected = expected
        self.current = current


class MigrationError(Error):
    """A migration that cannot run, or has failed. The message says what of it is done, and how to go on."""


class UnansweredQuestion(MigrationError):
    """A new migration depends on an answer, and there was nobody to ask.

    Attributes:
        options: what answers it without a terminal, such as ``--rename Track.position=index``.
    """

    def __init__(self, question: str, options: Iterable[str] = ()) -> None:
        super().__init__(question)
        self.options = list(options)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.options)


class GradeNotAllowed(MigrationError):
    """An operation that has not run has a grade that was not allowed. Nothing has run.

    Attributes:
        operations: the operations with such a grade, as `orm.migrations.plan()` has them.
    """

    def __init__(self, message: str, operations: Iterable[Any] = ()) -> None:
        super().__init__(message)
        self.operations = list(operations)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.operations)


class NoMatch(Error):
    """No row matches a query for a single row."""


class MultipleMatches(Error):
    """More than one row matches a query for a single row."""


def _validation_error(messages: list[Message]) -> ValidationError:
    return ValidationError(messages=messages)


# Exceptions are copied and pickled with positional arguments, which typesystem's class does not take.
copyreg.pickle(ValidationError, lambda error: (_validation_error, (error.messages(),)))
