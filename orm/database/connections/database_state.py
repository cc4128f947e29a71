"""What the ORM knows of each database that it has met: its driver, its log and its dialect."""

from __future__ import annotations

import asyncio

import databases

from orm.database.connections.driver import Driver, driver_of
from orm.database.connections.errors import connecting
from orm.database.dialect import Dialect
from orm.database.query_log.events import QueryLog


class DatabaseState:
    """The ORM's state of one database.

    A plain `databases.Database` (`is_plain`) has to be configured for the ORM before its first statement; an
    `orm.Database` is.
    """

    __slots__ = ("_lock", "_loop", "dialect", "driver", "is_configured", "is_plain", "log")

    def __init__(self, database: databases.Database) -> None:
        known: Driver | None = getattr(database._backend, "driver", None)
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
            with connecting(database.url.obscure_password):
                await database.connect()


def state_of(database: databases.Database) -> DatabaseState:
    """The ORM's state of a database, which is kept on the database."""
    state: DatabaseState | None = database.__dict__.get("_orm_state")
    if state is None:
        state = database.__dict__["_orm_state"] = DatabaseState(database)
    return state
