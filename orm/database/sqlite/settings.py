"""The options of an SQLite database: those of its URL's query part, and those of `orm.Database(…)`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from databases.core import DatabaseURL

from orm.exceptions import InterfaceError

TIMEOUT_SECONDS = 30.0
MAX_SIZE = 5


def _boolean(value: Any) -> bool:
    text = str(value).lower()
    if text not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ValueError("true or false")
    return text in ("1", "true", "yes", "on")


def _whole_number(value: Any) -> int:
    if not str(value).isdecimal():
        raise ValueError("a whole number")
    return int(value)


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise ValueError("a number of seconds")
    return seconds


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        word = str(value).lower()
        if word not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return word

    return read


# The ORM's own options, and what SQLite takes in the URI of a file: in a URL, or as keyword arguments.
ORM_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "min_size": _whole_number,
    "max_size": _whole_number,
    "timeout": _seconds,
    "busy_timeout": _seconds,
    "synchronous": _one_of("normal", "full"),
}
FILE_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "mode": _one_of("ro", "rw", "rwc", "memory"),
    "immutable": _boolean,
    "nolock": _boolean,
    "psow": _boolean,
    "cache": _one_of("shared", "private"),
    "vfs": str,
}
# The arguments of `sqlite3.connect` and `aiosqlite.connect`; in a URL these two.
CONNECT_OPTIONS = (
    *("cached_statements", "uri", "autocommit", "check_same_thread", "detect_types", "factory", "isolation_level"),
    "iter_chunk_size",
)
URL_CONNECT_OPTIONS: dict[str, Callable[[Any], Any]] = {"cached_statements": _whole_number, "uri": _boolean}


@dataclass(frozen=True)
class Settings:
    """How the connections of a database are opened.

    Attributes:
        file: the path or the URI for `sqlite3.connect`.
        path: the path, as the URL has it.
        connect_options: further arguments of `sqlite3.connect`.
        timeout: for how many seconds a task waits for a connection, or for another task that writes.
        busy_timeout: for how many seconds it waits for another process.
        immutable: whether no program changes the file, so that SQLite does not lock it.
    """

    file: str
    path: str
    connect_options: Mapping[str, Any]
    in_memory: bool
    read_only: bool
    immutable: bool
    synchronous: str
    timeout: float
    busy_timeout: float
    min_size: int
    max_size: int

    def why_not_opened(self) -> str | None:
        """Why the file cannot be opened, if its path shows that."""
        path = os.path.abspath(self.path)
        folder = os.path.dirname(path)
        if os.path.isdir(path):
            return "it is a directory"
        if not os.path.isdir(folder):
            return f"there is no directory {folder}"
        if not os.path.exists(path):
            return "there is no such file, and it may not be created"
        if not os.access(path, os.R_OK if self.read_only else os.R_OK | os.W_OK):
            return "this user has no right to open it"
        return None


def read_settings(url: DatabaseURL, options: Mapping[str, Any]) -> Settings:
    """The settings that a URL and keyword arguments give.

    Raises `InterfaceError` for an unknown option, which it names, and for a URL with a host: ``sqlite://notes.db`` has
    no path, and would open a database in memory.
    """
    if url.netloc:
        raise InterfaceError(
            "the URL of an SQLite database has no host: a path follows three slashes, as in sqlite:///notes.db or "
            "sqlite:////var/notes.db, and sqlite:// is a database in memory"
        )
    known_in_url = {**ORM_OPTIONS, **FILE_OPTIONS, **URL_CONNECT_OPTIONS}
    known: dict[str, Callable[[Any], Any]] = {**dict.fromkeys(CONNECT_OPTIONS, lambda value: value), **known_in_url}
    values = {
        **_read("the URL of an SQLite database", url.options, known_in_url),
        **_read("an SQLite database", options, known),
    }
    file_options = {name: values.pop(name) for name in FILE_OPTIONS if name in values}
    orm_values = {name: values.pop(name) for name in ORM_OPTIONS if name in values}
    path = url.database
    file = path
    if file_options or values.get("uri") or path.startswith("file:"):
        file = _file_uri(path, file_options)
        values["uri"] = True
    immutable = file_options.get("immutable", False)
    timeout = orm_values.get("timeout", TIMEOUT_SECONDS)
    return Settings(
        file=file,
        path=path,
        connect_options=values,
        in_memory=path in ("", ":memory:") or ":memory:" in path or file_options.get("mode") == "memory",
        read_only=immutable or file_options.get("mode") == "ro",
        immutable=immutable,
        synchronous=orm_values.get("synchronous", "normal"),
        timeout=timeout,
        busy_timeout=orm_values.get("busy_timeout", timeout),
        min_size=orm_values.get("min_size", 1),
        max_size=orm_values.get("max_size", MAX_SIZE),
    )


def _file_uri(path: str, options: Mapping[str, Any]) -> str:
    if not path.startswith("file:"):
        # Without the slashes, the first part of an absolute path would be the name of a host.
        path = f"file://{quote(path)}" if path.startswith("/") else f"file:{quote(path)}"
    query = urlencode({name: int(value) if isinstance(value, bool) else value for name, value in options.items()})
    return f"{path}{'&' if '?' in path else '?'}{query}" if query else path


def _read(what: str, values: Mapping[str, Any], known: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    options = {}
    for name, value in values.items():
        if name not in known:
            raise InterfaceError(f"{what} has no option {name}; those it has are {', '.join(sorted(known))}")
        try:
            options[name] = known[name](value)
        except ValueError as error:
            raise InterfaceError(f"{name} of an SQLite database is {error}, not {value!r}") from None
    return options
