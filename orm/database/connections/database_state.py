"""What the ORM knows of each database that it has met: its driver, its log and its dialect."""

from __future__ import annotations

import asyncio

import databases

from orm.database.connections.database_url import SafeURL
from orm.database.connections.databases_internals import backend_of, inherited_transactions
from orm.database.connections.driver import Driver, driver_of
from orm.database.connections.errors import connecting
from orm.database.dialect import Dialect
from orm.database.query_log.events import QueryLog
from orm.exceptions import TransactionError


class DatabaseState:
    """The ORM's state of one database.

    A plain `databases.Database` (`is_plain`) has to be configured for the ORM before its first statement; an
    `orm.Database` is.
    """

    __slots__ = ("_lock", "_loop", "base", "dialect", "driver", "is_configured", "is_plain", "log", "schema")

    def __init__(self, database: databases.Database, schema: str | None = None) -> None:
        self.base = database if schema is not None else None
        """The database that this one is a schema of."""
        self.schema = schema
        known: Driver | None = getattr(backend_of(database), "driver", None)
        self.is_plain = known is None
        self.is_configured = not self.is_plain
        self.driver = driver_of(database) if known is None else known
        self.log: QueryLog = getattr(database, "query_log", None) or QueryLog()
        self.dialect: Dialect | None = None  # the server has not been asked
        self._lock = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def connect(self, database: databases.Database) -> None:
        """Configure and connect a plain database, once however many tasks ask for it."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # a lock serves one event loop only
            self._loop, self._lock = loop, asyncio.Lock()
        async with self._lock:
            if not self.is_configured:
                await self.driver.configure(database)
                self.is_configured = True
            with connecting(SafeURL(database.url).obscure_password):
                await database.connect()


def base_of(database: databases.Database) -> databases.Database:
    """The database that this one is a schema of, else the database itself."""
    state: DatabaseState | None = database.__dict__.get("_orm_state")
    return database if state is None or state.base is None else state.base


def check_task(database: databases.Database) -> None:
    """Raise `TransactionError` in a task that was started inside a transaction of a plain database.

    A plain database gives each task a connection: the task's work would be outside, and stay after a rollback.
    """
    inherited = inherited_transactions()
    if not inherited or database._global_connection is not None:
        return
    task = asyncio.current_task()
    for owner, connection in list(database._connection_map.items()):
        if owner is not task and any(transaction in inherited for transaction in connection._transaction_stack):
            raise TransactionError(
                "this task was started inside a transaction, which a task of a plain databases.Database is not in: use"
                " orm.Database, whose tasks are, or do this in the transaction's own task"
            )


def state_of(database: databases.Database) -> DatabaseState:
    """The ORM's state of a database, which is kept on the database."""
    state: DatabaseState | None = database.__dict__.get("_orm_state")
    if state is None:
        state = database.__dict__["_orm_state"] = DatabaseState(database)
    return state
