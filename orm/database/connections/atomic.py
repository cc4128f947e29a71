"""`orm.atomic`: a transaction, under Django's name for it."""

from __future__ import annotations

from typing import Any, Protocol

from orm.database.connections.connection import Connection
from orm.database.connections.database import Database
from orm.database.connections.transactions import Transaction
from orm.exceptions import NotSupportedError, QueryError


class HasDatabase(Protocol):
    """A `ModelRegistry`."""

    @property
    def database(self) -> Any:
        """Its database."""


def atomic(using: Database | HasDatabase | None = None, *, savepoint: bool = True, **options: Any) -> Transaction:
    """`database.transaction(…)`, with its options, under Django's name.

    `using` is the database, or the registry of the models: its database is looked up when the block begins. There is no
    `savepoint=False`: an inner block is a savepoint. Raises `QueryError` without a database.

    >>> @orm.atomic(models, retries=3)
    ... async def transfer(amount): ...
    """
    if not savepoint:
        raise QueryError("orm.atomic(savepoint=False) is not supported: leave it out, an inner block is a savepoint")
    if using is None or not (isinstance(using, Database) or hasattr(type(using), "database")):
        raise QueryError("orm.atomic() takes the database or the registry of the models: orm.atomic(models)")

    def find_connection() -> Connection:
        database = using if isinstance(using, Database) else using.database
        if not isinstance(database, Database):
            raise NotSupportedError("orm.atomic() needs an orm.Database; of a databases.Database use transaction()")
        return database.connection()

    return Transaction(find_connection, options.pop("force_rollback", False), **options)
