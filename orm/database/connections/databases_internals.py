"""The private names of `databases` that the ORM relies on, which another release of `databases` may change.

The functions below read those of a plain `databases.Database`. The ORM's own databases and connections inherit from
classes of `databases`, and share the attributes in `SHARED` with the inherited methods. The test of this module shows
which names a release of `databases` lacks, and which other private names the ORM uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import databases
import databases.core

_OF_BACKEND = ("_database_url", "_dialect", "_options", "_pool")
_OF_BACKEND_CONNECTION = ("_compile", "_connection", "_dialect")

SHARED: Mapping[str, tuple[str, ...]] = {
    "databases.core.Database": (
        *("_backend", "_connection_map", "_current_task", "_force_rollback", "_global_connection"),
        "_global_transaction",
    ),
    "databases.core.Connection": (
        *("_backend", "_build_query", "_connection", "_connection_counter", "_connection_lock", "_database"),
        *("_query_lock", "_transaction_stack"),
    ),
    "databases.core.Transaction": ("_force_rollback",),
    "databases.core.DatabaseURL": ("_components", "_url"),
    "databases.backends.sqlite.SQLiteBackend": _OF_BACKEND,
    "databases.backends.sqlite.SQLiteConnection": _OF_BACKEND_CONNECTION,
    "databases.backends.sqlite.SQLitePool": ("_options",),
    "databases.backends.postgres.PostgresBackend": (*_OF_BACKEND, "_get_connection_kwargs"),
    "databases.backends.postgres.PostgresConnection": _OF_BACKEND_CONNECTION,
    "databases.backends.mysql.MySQLBackend": _OF_BACKEND,
    "databases.backends.mysql.MySQLConnection": _OF_BACKEND_CONNECTION,
    "databases.backends.asyncmy.AsyncMyBackend": _OF_BACKEND,
    "databases.backends.asyncmy.AsyncMyConnection": _OF_BACKEND_CONNECTION,
}
"""The attributes and methods of each class, by its path."""

MODULE_NAMES: Mapping[str, tuple[str, ...]] = {
    "databases.core": ("_ACTIVE_TRANSACTIONS",),
    # The modules of the backends import these, from a module that imports a private name of SQLAlchemy's.
    "databases.backends.sqlite": ("Record", "Row", "create_column_maps"),
    "databases.backends.postgres": ("Record", "create_column_maps"),
}
"""The names of each module."""


def backend_of(database: databases.Database) -> Any:
    """The backend of a plain database."""
    return database._backend


def pool_of(database: databases.Database) -> Any:
    """The connection pool of a plain database; None if it is not connected."""
    return backend_of(database)._pool


def inherited_transactions() -> Any:
    """The transactions of plain databases that are open in this context, by transaction; None if there are none."""
    return databases.core._ACTIVE_TRANSACTIONS.get()


class _OneConnection:
    """A pool of a connection that somebody else has opened, and closes."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self._options: dict[str, Any] = {}
        self._conn_kwargs: dict[str, Any] = {}

    async def acquire(self) -> Any:
        """The connection."""
        return self.raw

    async def release(self, raw: Any) -> None:
        """Nothing to do."""

    async def clear(self) -> None:
        """Nothing to do: it has no idle connections."""


def lend(url: str, backend: str, raw: Any, *, in_transaction: bool) -> databases.Database:
    """A plain database on a driver's open connection, of a backend of `databases` such as "databases.backends.sqlite".

    In a transaction, those that are begun on the database are savepoints of it. All tasks share the connection.
    """
    scheme = next(
        scheme for scheme, path in databases.Database.SUPPORTED_BACKENDS.items() if path.startswith(f"{backend}:")
    )
    database = databases.Database(databases.DatabaseURL(url).replace(dialect=scheme, driver=""))
    database._backend._pool = _OneConnection(raw)
    database.is_connected = True
    connection = database._global_connection = databases.core.Connection(database, database._backend)
    if in_transaction:
        connection._transaction_stack.append(connection.transaction())
    return database
