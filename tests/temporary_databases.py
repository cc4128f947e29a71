"""The databases of a test run: created, emptied between tests, dropped at the end, with psycopg2 and PyMySQL."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg2
import pymysql

CONNECT_ERRORS = (psycopg2.Error, pymysql.Error, OSError)
"""The errors of a server that is unreachable or refuses the login."""

STALE_SECONDS = 24 * 3600
_NAME = re.compile(r"orm_test_(\d{10})_[0-9a-f]{8}_\w+")


def normalized(url: str) -> str:
    """The URL with the plain scheme of its kind: `postgresql://` or `mysql://`, without a driver."""
    scheme, rest = url.split("://", 1)
    return f"{'postgresql' if scheme.startswith('postgres') else 'mysql'}://{rest}"


def with_database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def version(url: str) -> str:
    """The server's name and version, such as "PostgreSQL 18.1" or "MariaDB 10.11.6".

    Raises:
        one of CONNECT_ERRORS: the server is unreachable or refuses the login.
    """
    with connect(url) as admin:
        return admin.version()


def drop(url: str, prefix: str) -> None:
    """Drop every database of the server whose name starts with `prefix`."""
    with connect(url) as admin:
        for name in admin.databases():
            if name.startswith(prefix):
                admin.drop(name)


def drop_stale(url: str) -> None:
    """Drop the databases of runs that were killed more than a day ago."""
    with connect(url) as admin:
        for name in admin.databases():
            match = _NAME.fullmatch(name)
            if match and int(match[1]) < time.time() - STALE_SECONDS:
                admin.drop(name)


def connect(url: str) -> Admin:
    """A connection to the URL's database, outside of what is tested.

    Raises:
        one of CONNECT_ERRORS: the server is unreachable or refuses the login.
    """
    return _PostgreSQL(url) if url.startswith("postgres") else _MySQL(url)


class Admin(ABC):
    """Manages the databases of a server; created by `connect`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        self.database = parts.path.lstrip("/")
        self.connection = self.open(
            host=query["host"][0] if "host" in query else parts.hostname,
            port=parts.port,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )

    def __enter__(self) -> Admin:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def fetch(self, sql: str, *args: object) -> list[Any]:
        """The rows of a query, each a tuple."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, args or None)
            return list(cursor.fetchall()) if cursor.description else []

    @abstractmethod
    def open(self, **options: str | int | None) -> Any:
        """Open the driver's connection, in autocommit mode."""

    @abstractmethod
    def version(self) -> str:
        """The server's name and version."""

    @abstractmethod
    def databases(self) -> list[str]:
        """The names of the server's databases."""

    @abstractmethod
    def create(self, name: str) -> None:
        """Create an empty database."""

    @abstractmethod
    def drop(self, name: str) -> None:
        """Drop a database and close its connections."""

    @abstractmethod
    def empty(self) -> None:
        """Remove everything from the database of this connection."""


class _PostgreSQL(Admin):
    def open(self, **options: str | int | None) -> Any:
        connection = psycopg2.connect(dbname=self.database or "postgres", connect_timeout=10, **options)
        connection.autocommit = True
        return connection

    def version(self) -> str:
        [(number,)] = self.fetch("SHOW server_version")
        return f"PostgreSQL {number.split()[0]}"

    def databases(self) -> list[str]:
        return [name for (name,) in self.fetch("SELECT datname FROM pg_database")]

    def create(self, name: str) -> None:
        self.fetch(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        # The data is thrown away: no commit needs to wait for the disk.
        self.fetch(f"ALTER DATABASE {name} SET synchronous_commit = off")

    def drop(self, name: str) -> None:
        self.fetch(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def empty(self) -> None:
        schemas = [
            name
            for (name,) in self.fetch(
                "SELECT nspname FROM pg_namespace n"
                r" WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\_%'"
                " AND (nspname <> 'public' OR EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid)"
                " OR EXISTS (SELECT FROM pg_type WHERE typnamespace = n.oid)"
                " OR EXISTS (SELECT FROM pg_proc WHERE pronamespace = n.oid))"
            )
        ]
        for name in schemas:
            try:
                self.fetch("SET lock_timeout = '3s'")
                self.fetch(f'DROP SCHEMA "{name}" CASCADE')
            except psycopg2.errors.LockNotAvailable:  # held by a connection that a failed test left behind
                self.fetch(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                self.fetch(f'DROP SCHEMA "{name}" CASCADE')
        if "public" in schemas:
            self.fetch("CREATE SCHEMA public")


class _MySQL(Admin):
    def open(self, **options: str | int | None) -> Any:
        set_options = {name: value for name, value in options.items() if value is not None}
        return pymysql.connect(
            database=self.database or None, connect_timeout=10, charset="utf8mb4", autocommit=True, **set_options
        )

    def version(self) -> str:
        [(text,)] = self.fetch("SELECT version()")
        name = "MariaDB" if "mariadb" in text.lower() else "MySQL"
        return f"{name} {text.split('-')[0]}"

    def databases(self) -> list[str]:
        return [name for (name,) in self.fetch("SHOW DATABASES")]

    def create(self, name: str) -> None:
        self.fetch(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")

    def drop(self, name: str) -> None:
        self._disconnect_others(name)
        self.fetch(f"DROP DATABASE IF EXISTS {name}")

    def empty(self) -> None:
        [(things,)] = self.fetch(
            "SELECT (SELECT count(*) FROM information_schema.tables WHERE table_schema = database())"
            " + (SELECT count(*) FROM information_schema.routines WHERE routine_schema = database())"
        )
        if not things:
            return
        try:
            self.fetch("SET lock_wait_timeout = 3")
            self.fetch(f"DROP DATABASE {self.database}")
        except pymysql.err.OperationalError:  # held by a connection that a failed test left behind
            self._disconnect_others(self.database)
            self.fetch(f"DROP DATABASE IF EXISTS {self.database}")
        self.create(self.database)
        self.fetch(f"USE {self.database}")

    def _disconnect_others(self, name: str) -> None:
        # MySQL 9 cannot read information_schema.processlist while a statement with an emoji runs.
        sessions = [(number, database) for number, _, _, database, *_ in self.fetch("SHOW PROCESSLIST")]
        for number, database in sessions:
            if database != name or number == self.connection.thread_id():
                continue
            with suppress(pymysql.err.OperationalError):  # it may have ended by itself
                self.fetch(f"KILL {number}")
