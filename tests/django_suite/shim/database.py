"""Django's `connection` and `transaction`, over the database of the run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy
from sqlalchemy.util.concurrency import greenlet_spawn

import orm
from tests.django_suite.shim.bridge import run
from tests.django_suite.shim.placeholders import DjangoInternal, MissingFeature
from tests.django_suite.shim.raw import named_placeholders


class Run:
    """The database of the run, what Django knows of it, and the statements that were sent."""

    database: Any = None
    tables: list[Any] = []
    features: dict[str, Any] = {}
    vendor = "sqlite"
    is_mariadb = False
    integer_ranges: dict[str, tuple[int, int]] = {}
    """The range of each integer field, by Django's name of the field."""
    statements: list[str] = []
    own_transactions = 0
    """The transactions around the test, which are none of its own."""


def django_settings(url: str) -> dict[str, Any]:
    """Django's settings of the database at `url`."""
    parts = urlsplit(url)
    name = parts.path.removeprefix("/")
    if parts.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": name}
    return {
        "ENGINE": f"django.db.backends.{'postgresql' if parts.scheme.startswith('postgres') else 'mysql'}",
        "NAME": name,
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
    }


def read_features(connection: Any) -> None:
    """Keep what Django knows of the database: which of its tests apply there."""
    names = (name for name in dir(connection.features) if not name.startswith("_"))
    values = {name: getattr(connection.features, name) for name in names}
    Run.features = {name: value for name, value in values.items() if not callable(value) and name != "connection"}
    ranges = type(connection.ops).__mro__[-2].integer_field_ranges  # those of signed integers
    if connection.vendor == "sqlite":
        ranges = {name: connection.ops.integer_field_range(name) for name in ranges}
    Run.integer_ranges = ranges
    Run.vendor = connection.vendor
    Run.is_mariadb = getattr(connection, "mysql_is_mariadb", False)
    connection.close()


class _Features:
    def __getattr__(self, name: str) -> Any:
        try:
            return Run.features[name]
        except KeyError:
            raise AttributeError(name) from None


class _Operations:
    def quote_name(self, name: str) -> str:
        quote = "`" if Run.vendor == "mysql" else '"'
        return f"{quote}{name}{quote}"

    def integer_field_range(self, internal_type: str) -> tuple[int, int]:
        """The least and the greatest value of an integer field."""
        return Run.integer_ranges[internal_type]

    def __getattr__(self, name: str) -> Any:
        raise DjangoInternal(f"connection.ops.{name}")


class _Cursor:
    """Django's cursor, whose statements `orm` sends."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []

    def __enter__(self) -> _Cursor:
        return self

    def __exit__(self, *error: Any) -> None:
        """As in Django."""

    def execute(self, sql: str, params: Any = None) -> None:
        """Send a statement, and keep its rows."""
        text, named = named_placeholders(sql, params)
        statement = sqlalchemy.text(text).bindparams(**named)
        is_query = sql.lstrip().upper().startswith(("SELECT", "SHOW", "VALUES", "WITH"))
        rows = run(Run.database.fetch_all(statement)) if is_query else run(Run.database.execute(statement))
        self.rows = [tuple(row) for row in rows] if is_query else []

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row."""
        return self.rows.pop(0) if self.rows else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The remaining rows."""
        rows, self.rows = self.rows, []
        return rows


class _Connection:
    """Django's connection."""

    alias = "default"
    features = _Features()
    ops = _Operations()
    in_atomic_block = True
    pg_version = 150000
    settings_dict = {"NAME": "default"}
    timezone_name = "America/Chicago"
    Database = SimpleNamespace(sqlite_version_info=(3, 40, 0))

    @property
    def vendor(self) -> str:
        return Run.vendor

    @property
    def mysql_is_mariadb(self) -> bool:
        return Run.is_mariadb

    def cursor(self) -> _Cursor:
        """As in Django."""
        return _Cursor()

    @property
    def queries(self) -> list[dict[str, str]]:
        return [{"sql": sql} for sql in Run.statements]

    def __getattr__(self, name: str) -> Any:
        if name in ("get_autocommit", "set_autocommit", "savepoint", "savepoint_rollback", "set_rollback"):
            raise MissingFeature(f"transaction.{name}()")
        raise DjangoInternal(f"connection.{name}")


connection = _Connection()


class Connections(dict[str, Any]):
    """Django's connections, of which there is one."""

    databases = {"default": {}}

    def __getitem__(self, alias: str) -> Any:
        return connection

    def __iter__(self) -> Iterator[str]:
        return iter(["default"])

    def all(self, **options: Any) -> list[Any]:
        return [connection]


class _Atomic:
    """`transaction.atomic()`: a block or a decorator."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.entered: list[Any] = []

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            with _Atomic(**self.options):
                return function(*args, **options)

        return call

    def __enter__(self) -> _Atomic:
        options = self.options
        if len(Run.database.connection()._transaction_stack) <= Run.own_transactions:
            options = {}  # as in Django, the outermost block of a test is durable
        transaction = Run.database.transaction(**options)
        run(transaction.start())
        self.entered.append(transaction)
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        transaction = self.entered.pop()
        run(transaction.commit() if kind is None else transaction.rollback())


def atomic(using: Any = None, savepoint: bool = True, durable: bool = False) -> Any:
    """Django's `transaction.atomic`."""
    if not savepoint:
        raise MissingFeature("atomic(savepoint=False)")
    block = _Atomic(durable=True) if durable else _Atomic()
    return block(using) if callable(using) else block


def set_rollback(rollback: bool, using: Any = None) -> None:
    """Django's `transaction.set_rollback`."""
    Run.database.set_rollback(rollback)


def on_commit(function: Callable[[], Any], using: Any = None, robust: bool = False) -> None:
    """Django's `transaction.on_commit`."""

    async def in_greenlet() -> None:
        await greenlet_spawn(function)

    if not callable(function):
        raise TypeError("on_commit()'s callback must be a callable.")
    run(Run.database.on_commit(in_greenlet, robust=robust))


ERRORS: dict[str, Any] = {
    name: getattr(orm, name)
    for name in (
        *("DataError", "DatabaseError", "Error", "IntegrityError", "InterfaceError", "InternalError"),
        *("NotSupportedError", "OperationalError", "ProgrammingError"),
    )
}

__all__ = ["ERRORS", "Connections", "Run", "atomic", "connection", "on_commit"]
