"""MySQL and MariaDB through asyncmy."""

import datetime
from typing import Any

import asyncmy
from asyncmy.converters import conversions
from databases.backends import asyncmy as databases_backend
from databases.core import DatabaseURL

from orm.database.mysql.backend import MySQLBackend, MySQLConnection
from orm.database.mysql.driver import AsyncmyDriver
from orm.database.mysql.prepared_statements import STATEMENT_CACHE_SIZE


def _escape_datetime(value: datetime.datetime, mapping: object = None) -> str:
    return f"'{value.isoformat(' ')}'"


# Replaces asyncmy's function, which takes ten times as long.
CONVERSIONS = {**conversions, datetime.datetime: _escape_datetime}


class AsyncmyBackend(MySQLBackend, databases_backend.AsyncMyBackend):
    """The connection pool of one database."""

    driver: AsyncmyDriver

    def __init__(self, database_url: DatabaseURL | str, **options: Any) -> None:
        super().__init__(database_url, **options)
        self.driver = AsyncmyDriver(managed=True)

    def connection(self) -> "AsyncmyConnection":
        """A connection, not yet checked out."""
        return AsyncmyConnection(self, self._dialect)

    async def _open(self, **options: Any) -> Any:
        return await asyncmy.connect(**{"stmt_cache_size": STATEMENT_CACHE_SIZE, "conv": CONVERSIONS, **options})


class AsyncmyConnection(MySQLConnection, databases_backend.AsyncMyConnection):
    """A connection of the pool while it is checked out."""
