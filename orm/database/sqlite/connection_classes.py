"""Connections of the standard library with the functions that the ORM's SQL uses. They do not need the driver."""

import functools
import re
import sqlite3
from typing import Any

from orm.database.sqlite import python_functions


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _regexp(pattern: str | None, value: object) -> bool | None:
    # SQLite turns `value REGEXP pattern` into `regexp(pattern, value)`.
    if pattern is None or value is None:
        return None
    return _compiled(pattern).search(str(value)) is not None


def _casefold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def register_functions(connection: sqlite3.Connection) -> None:
    """Register the functions that the ORM's SQL uses, and enforce foreign keys.

    Inside a transaction, foreign keys stay as they are.
    """
    _register_functions(connection)
    connection.execute("PRAGMA foreign_keys = ON")


def _register_functions(connection: sqlite3.Connection) -> None:
    connection.create_function("regexp", 2, _regexp, deterministic=True)
    connection.create_function("orm_casefold", 1, _casefold, deterministic=True)
    python_functions.register(connection)


class MigrationConnection(sqlite3.Connection):
    """A connection of the standard library for migrations: with the functions, which indexes and constraints may use.

    Foreign keys are not enforced, because Alembic copies a table to change it.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _register_functions(self)


class ORMConnection(sqlite3.Connection):
    """A connection of the standard library with the functions that the ORM's SQL uses."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.statement_timeout: float | None = None
        """The seconds after which its thread ends a statement."""
        self.changes_before = 0
        """Its `total_changes` when the transaction began."""
        self.bytes_written = 0
        """About how many bytes the transaction has written."""
        try:
            register_functions(self)
        except BaseException:  # the file is not a database; Python 3.13 warns about unclosed connections
            self.close()
            raise
