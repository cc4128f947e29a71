"""The dialects by name. A dialect is imported when it is first needed.

Importing SQLAlchemy's dialects takes a fifth of the time of all other imports, and most programs need only one of them.
So the line that registers a dialect has what must be known before the import: its names, the packages of its drivers,
and its table options.

>>> register("duckdb", "shop.duckdb:DuckDBDialect")
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect

from orm.database.dialect import STANDARD, Dialect
from orm.exceptions import InterfaceError


@dataclass(frozen=True)
class Registration:
    """What is known of a dialect before it is imported."""

    name: str
    path: str
    """Where the class is, as ``module:Class``."""
    aliases: tuple[str, ...] = ()
    """Further schemes of its URLs."""
    driver_packages: tuple[str, ...] = ()
    """The packages whose exceptions `Dialect.classify_error` knows."""
    table_options: Mapping[str, str] = field(default_factory=dict)
    """SQLAlchemy's options of a table for the dialect, without its name."""


class _Dialects(dict[str, Dialect]):
    """The dialects that have been imported, by name and alias. Looking one up imports it."""

    def __missing__(self, name: str) -> Dialect:
        registration = registrations.get(name)
        if registration is None:
            raise KeyError(name)
        module, _, class_name = registration.path.partition(":")
        dialect_class = getattr(importlib.import_module(module), class_name, None)
        if not isinstance(dialect_class, type) or not issubclass(dialect_class, Dialect):
            raise InterfaceError(f"The dialect {name!r} is registered as {registration.path}, which is no Dialect.")
        dialect: Dialect = dialect_class()
        for known_as in _names_of(registration):
            dialect = self.setdefault(known_as, dialect)
        return dialect


NAME = re.compile("[a-z][a-z0-9_]*")
PATH = re.compile(r"[\w.]+:\w+")
registrations: dict[str, Registration] = {}
"""By name and alias."""
dialects = _Dialects()
_by_package: dict[str, Registration] = {}


def register(
    name: str,
    path: str,
    *,
    aliases: Iterable[str] = (),
    driver_packages: Iterable[str] = (),
    table_options: Mapping[str, str] | None = None,
    replace: bool = False,
) -> None:
    """Make a dialect known by the name of its SQLAlchemy dialect, which is also the scheme of its URLs.

    `path` is its class, as ``module:Class``. `aliases` are further schemes. `driver_packages` are the packages whose
    exceptions its `classify_error` knows, unless another dialect has them. `table_options` are added to every table,
    as SQLAlchemy's ``<name>_<option>``.

    Raises `InterfaceError` if a name or alias is no scheme of a URL, or another dialect's. With `replace=True`, that
    one is replaced under all of its names.
    """
    registration = Registration(name, path, tuple(aliases), tuple(driver_packages), table_options or {})
    names = dict.fromkeys([name, *registration.aliases])  # in this order in messages
    for known_as in names:
        if not isinstance(known_as, str) or not NAME.fullmatch(known_as):
            raise InterfaceError(
                f"{known_as!r} cannot be the name of a dialect: it is the scheme of URLs, such as duckdb."
            )
    if not PATH.fullmatch(path):
        raise InterfaceError(f"The dialect {name!r}: {path!r} does not name its class, as 'module:Class' does.")
    for known_as in [*names]:
        known = registrations.get(known_as)
        if known is None:
            continue
        if known != registration and not replace:
            raise InterfaceError(
                f"The dialect {known_as!r} is registered already, as {known.path}: register(…, replace=True) "
                "replaces it."
            )
        names |= dict.fromkeys(_names_of(known))
    for known_as in names:
        registrations[known_as] = registration
        dialects.pop(known_as, None)
    for package in registration.driver_packages:
        _by_package.setdefault(package, registration)


def unregister(name: str) -> None:
    """Forget a dialect under all of its names, at the end of a test. Raises `InterfaceError` if there is none."""
    registration = registrations.get(name)
    if registration is None:
        raise InterfaceError(f"No dialect is registered as {name!r}: there are {', '.join(registrations)}.")
    names = _names_of(registration)
    for known_as in names:
        del registrations[known_as]
        dialects.pop(known_as, None)
    for package, known in [*_by_package.items()]:
        if known.name in names:
            del _by_package[package]


def _names_of(registration: Registration) -> list[str]:
    return [name for name, known in registrations.items() if known is registration]


def registered_name(scheme: str) -> str:
    """The name under which the dialect of a URL's scheme is registered, which messages use."""
    return registrations[scheme].name if scheme in registrations else scheme


def find(name: str) -> Dialect | None:
    """The dialect of this name or alias; None if there is none."""
    return dialects[name] if name in registrations else None


def dialect_for(sqlalchemy_dialect: SQLAlchemyDialect) -> Dialect:
    """The dialect of what SQLAlchemy compiles for; `STANDARD` if it is not registered."""
    ours: Dialect | None = getattr(sqlalchemy_dialect, "orm_dialect", None)
    return ours or find(server_name(sqlalchemy_dialect)) or STANDARD


def server_name(sqlalchemy_dialect: SQLAlchemyDialect) -> str:
    """The name of the server that a SQLAlchemy dialect is for: one for MySQL may have connected to MariaDB."""
    return "mariadb" if getattr(sqlalchemy_dialect, "is_mariadb", False) else sqlalchemy_dialect.name


def dialect_of_error(error: BaseException) -> Dialect | None:
    """The dialect whose driver an exception comes from; None if it is not a driver's."""
    for cls in type(error).__mro__:
        registration = _by_package.get(cls.__module__.partition(".")[0])
        if registration is not None:
            return dialects[registration.name]
    return None


def url_schemes() -> list[str]:
    """All schemes of URLs, with and without the names of drivers. Imports every dialect."""
    return [
        scheme
        for name in registrations
        if dialects[name].drivers
        for scheme in (name, *(f"{name}+{driver.package}" for driver in dialects[name].drivers))
    ]


def table_options() -> dict[str, Any]:
    """SQLAlchemy's options of a table, for all dialects."""
    every = {registration.name: registration.table_options for registration in registrations.values()}
    return {f"{name}_{option}": value for name, options in every.items() for option, value in options.items()}


register("sqlite", "orm.database.sqlite.dialect:SQLiteDialect", driver_packages=["sqlite3"])
register(
    "postgresql",
    "orm.database.postgresql.dialect:PostgreSQLDialect",
    aliases=["postgres"],
    driver_packages=["asyncpg"],
)
register("cockroachdb", "orm.database.postgresql.cockroachdb:CockroachDBDialect")
register("yugabytedb", "orm.database.postgresql.yugabytedb:YugabyteDBDialect")
# Text is compared by its characters, trailing spaces included, as on the other databases; and emoji fit in.
register(
    "mysql",
    "orm.database.mysql.dialect:MySQLDialect",
    driver_packages=["pymysql", "asyncmy"],
    table_options={"charset": "utf8mb4", "collate": "utf8mb4_0900_bin"},
)
register(
    "mariadb",
    "orm.database.mysql.dialect:MariaDBDialect",
    table_options={"charset": "utf8mb4", "collate": "utf8mb4_nopad_bin"},
)
register("tidb", "orm.database.mysql.tidb:TiDBDialect")
