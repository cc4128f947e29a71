"""Servers of one test, which it may kill and start again: what they acknowledged is on the disk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg2
import pymysql

from tests import temporary_databases
from tests.private_servers import MariaDBServer, MySQLServer, PostgreSQLServer, PrivateServer, debian_postgresql

SERVERS: dict[str, Callable[[], PrivateServer]] = {
    "postgresql": lambda: PostgreSQLServer(binaries=debian_postgresql()),
    "mariadb": MariaDBServer,
    "mysql": MySQLServer,
}


@dataclass
class KillableServer:
    """A server with the database `faults`."""

    kind: str
    url: str
    server: PrivateServer

    def connections(self) -> list[tuple[int, bool]]:
        """The connections to the database: the number of each, and whether it is in a transaction."""
        if self.kind == "postgresql":
            sql = "SELECT pid, state LIKE 'idle in%%' FROM pg_stat_activity WHERE datname = 'faults'"
        else:
            sql = (
                "SELECT id, EXISTS (SELECT 1 FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = id)"
                " FROM information_schema.processlist WHERE db = 'faults' AND user = 'root' AND id <> connection_id()"
            )
        with self._admin() as cursor:
            cursor.execute(sql)
            return [(int(number), bool(is_open)) for number, is_open in cursor.fetchall()]

    def end_connection(self, number: int) -> None:
        """End one connection."""
        with self._admin() as cursor, contextlib.suppress(pymysql.Error):  # it may be gone
            cursor.execute(f"SELECT pg_terminate_backend({number})" if self.kind == "postgresql" else f"KILL {number}")

    @contextlib.contextmanager
    def _admin(self) -> Iterator[psycopg2.extensions.cursor | pymysql.cursors.Cursor]:
        connection: psycopg2.extensions.connection | pymysql.Connection[pymysql.cursors.Cursor]
        if self.kind == "postgresql":
            connection = psycopg2.connect(host="127.0.0.1", port=self.server.port, user="postgres", dbname="postgres")
            connection.autocommit = True
        else:
            connection = pymysql.connect(host="127.0.0.1", port=self.server.port, user="root", autocommit=True)
        with contextlib.closing(connection):
            yield connection.cursor()


@contextlib.contextmanager
def killable_server(kind: str) -> Iterator[KillableServer]:
    """A new server of one of the kinds in `SERVERS`."""
    with SERVERS[kind]() as server:
        server.start()
        with temporary_databases.connect(server.url) as admin:
            admin.create("faults")
            if kind == "postgresql":
                admin.fetch("ALTER DATABASE faults RESET synchronous_commit")  # here a commit must be on the disk
        yield KillableServer(kind, temporary_databases.with_database(server.url, "faults"), server)
