"""MySQL and MariaDB through aiomysql."""

from typing import Any

import aiomysql  # type: ignore[import-untyped]
from databases.backends import mysql as databases_backend
from databases.core import DatabaseURL

from orm.database.mysql.backend import MySQLBackend, MySQLConnection
from orm.database.mysql.driver import AiomysqlDriver


class AiomysqlBackend(MySQLBackend, databases_backend.MySQLBackend):
    """The connection pool of one database."""

    driver: AiomysqlDriver

    def __init__(self, database_url: DatabaseURL | str, **options: Any) -> None:
        super().__init__(database_url, **options)
        self.driver = AiomysqlDriver(managed=True)

    def connection(self) -> "AiomysqlConnection":
        """A connection, not yet checked out."""
        return AiomysqlConnection(self, self._dialect)

    async def _open(self, **options: Any) -> Any:
        connection = aiomysql.Connection(cursorclass=self.driver.cursors["Cursor"], **options)
        try:
            await connection._connect()
        except BaseException:  # after a cancellation aiomysql leaves the socket open
            connection.close()
            raise
        return connection


class AiomysqlConnection(MySQLConnection, databases_backend.MySQLConnection):
    """A connection of the pool while it is checked out."""
