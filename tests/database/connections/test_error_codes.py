"""Every code of every database becomes the class that the table in docs/errors.md gives it."""

from __future__ import annotations

import importlib
import inspect
import re
import sqlite3
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncmy.errors
import asyncpg
import pytest

from orm import exceptions as ours
from orm.database.connections.errors import connect_failure, translate
from orm.database.mysql.errors import MYSQL_ERRORS, MYSQL_MESSAGES
from orm.database.postgresql.errors import SQLSTATE_CLASSES, SQLSTATES
from orm.database.sqlite.errors import SQLITE_ERRORS

# Not the attribute `pymysql.err`: Django's disguise of PyMySQL as MySQLdb puts a copy there.
PYMYSQL: Any = importlib.import_module("pymysql.err")
PAGE = Path(__file__).parents[3] / "docs" / "errors.md"
RETRYABLE = {"Deadlock", "SerializationFailure", "LockNotAvailable", "StaleObject"}
# Messages of the servers for the numbers that mean several things: the one that the table is about, then another.
MESSAGES = {
    ("1290", "ReadOnlyServer"): (
        "The MariaDB server is running with the --read-only option so it cannot execute this statement",
        "The MySQL server is running with the --secure-file-priv option so it cannot execute this statement",
    ),
    ("1180", "SerializationFailure"): (
        "Got error 149 - 'Lock deadlock; Retry transaction' during COMMIT",
        "Got error 90 - 'Message too long' during COMMIT",
    ),
    ("4031", "ConnectionLost"): (
        "The client was disconnected by the server because of inactivity. See wait_timeout and interactive_timeout",
        "Referenced trigger 't' for the given action time and event type does not exist",
    ),
    ("3", "DiskFull"): ("Error writing file './x' (OS errno 28 - No space left on device)", "Error writing file './x'"),
    ("1026", "DiskFull"): (
        "Error writing file './x' (errno: 28 \"No space left on device\")",
        "Error writing (errno: 5)",
    ),
    ("1030", "DiskFull"): (
        'Got error 28 "No space left on device" from storage engine InnoDB',
        "Got error 1 from engine",
    ),
    ("1180", "DiskFull"): ('Got error 28 "No space left on device" during COMMIT', "Got error 5 during COMMIT"),
}


def table() -> dict[str, dict[str, str]]:
    """The table of the page: for each database, the class of each code."""
    databases: dict[str, dict[str, str]] = {"PostgreSQL": {}, "MySQL, MariaDB": {}, "SQLite": {}}
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    [start] = [number for number, line in enumerate(lines) if line.startswith("| class | PostgreSQL |")]
    names = [cell.strip() for cell in lines[start].strip("|").split("|")][1:]
    for line in lines[start + 2 :]:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        for database, cell in zip(names, cells, strict=True):
            for code in filter(None, re.split(r"[,\s`¹²]+", cell)):
                key = f"{code} {name.strip('`')}" if (code, name.strip("`")) in MESSAGES else code
                assert key not in databases[database], f"{code} is in the table twice"
                databases[database][key] = name.strip("`")
    return databases


TABLE = table()


def check(error: BaseException, expected: str) -> None:
    translated = translate(error)
    assert translated is not None
    our = getattr(ours, expected)
    assert type(translated).__name__ == expected
    assert isinstance(translated, our) and isinstance(translated, type(error))
    assert translated.__cause__ is error
    assert translated.retryable is (expected in RETRYABLE)


def asyncpg_errors() -> Iterator[type[asyncpg.PostgresError]]:
    for cls in vars(asyncpg.exceptions).values():
        if inspect.isclass(cls) and issubclass(cls, asyncpg.PostgresError) and cls.__dict__.get("sqlstate"):
            yield cls


@pytest.mark.parametrize("cls", sorted(asyncpg_errors(), key=lambda cls: str(cls.sqlstate)), ids=lambda c: c.sqlstate)
def test_each_error_of_postgresql(cls: type[asyncpg.PostgresError]) -> None:
    codes = TABLE["PostgreSQL"]
    check(cls("the message"), codes.get(cls.sqlstate) or codes.get(cls.sqlstate[:2], "DatabaseError"))


def test_the_table_of_postgresql_is_complete() -> None:
    assert {code: error.__name__ for code, error in {**SQLSTATES, **SQLSTATE_CLASSES}.items()} == TABLE["PostgreSQL"]


@pytest.mark.parametrize(
    "message",
    [
        "cannot perform operation: connection is closed",
        "connection was closed in the middle of operation",
        "cannot switch to state 11; another operation (2) is in progress",
        "not connected",
        "got result for unknown protocol state 3",
    ],
)
@pytest.mark.parametrize("cls", [asyncpg.InterfaceError, asyncpg.InternalClientError])
def test_what_asyncpg_says_of_lost_connections(cls: type[Exception], message: str) -> None:
    check(cls(message), "ConnectionLost")


def test_errors_of_asyncpg_without_a_code() -> None:
    check(asyncpg.ProtocolError("insufficient data"), "ConnectionLost")
    check(asyncpg.TargetServerAttributeNotMatched("None of the hosts match"), "OperationalError")
    check(asyncpg.InternalClientError("timeout was not raised"), "InternalError")
    check(asyncpg.InterfaceError("cannot perform operation: another operation is in progress"), "InterfaceError")


def mysql_error(raise_exception: Callable[[bytes], None], number: int, message: str) -> Exception:
    """The driver's error for a packet of the server."""
    with pytest.raises(Exception) as info:
        raise_exception(b"\xff" + struct.pack("<h", number) + b"#HY000" + message.encode())
    return info.value


MYSQL_DRIVERS: Any = pytest.mark.parametrize("module", [asyncmy.errors, PYMYSQL], ids=["asyncmy", "pymysql"])


@MYSQL_DRIVERS
@pytest.mark.parametrize(("code", "name"), TABLE["MySQL, MariaDB"].items())
def test_each_error_of_mysql(module: Any, code: str, name: str) -> None:
    number = int(code.split()[0])
    message, other = MESSAGES.get((str(number), name), ("the message", ""))
    check(mysql_error(module.raise_mysql_exception, number, message), name)
    if other:
        check(
            mysql_error(module.raise_mysql_exception, number, other),
            "InternalError" if number == 3 else "OperationalError",
        )


def test_the_table_of_mysql_is_complete() -> None:
    assert set(MESSAGES) == {
        (str(number), error.__name__) for numbers, _, error in MYSQL_MESSAGES for number in numbers
    }
    codes = {str(number): error.__name__ for number, error in MYSQL_ERRORS.items()}
    assert {**codes, **{f"{number} {name}": name for number, name in MESSAGES}} == TABLE["MySQL, MariaDB"]


@MYSQL_DRIVERS
@pytest.mark.parametrize(
    ("cls", "args"),
    [
        ("InternalError", ("Packet sequence number wrong - got 3 expected 1",)),
        ("InterfaceError", (0, "Not connected")),
        ("InterfaceError", ("(0, 'Not connected')",)),
        ("Error", ("Already closed",)),
        ("InterfaceError", ("Cancelled during execution",)),
        ("OperationalError", (2014, "Command Out of Sync")),
    ],
)
def test_what_the_drivers_of_mysql_say_of_lost_connections(module: Any, cls: str, args: tuple[Any, ...]) -> None:
    check(getattr(module, cls)(*args), "ConnectionLost")


SQLITE_CODES = {
    name: value
    for name, value in vars(sqlite3).items()
    if name.startswith("SQLITE_") and isinstance(value, int) and value & 0xFF in range(1, 27)
}
# Constants of the module that are not codes of errors.
NO_ERRORS = re.compile(
    r"SQLITE_(?:LIMIT|DBCONFIG|CREATE|DROP|DENY|IGNORE|ALTER|ANALYZE|ATTACH|DELETE|DETACH|FUNCTION|INSERT|PRAGMA|READ$"
    r"|RECURSIVE|REINDEX|SAVEPOINT|SELECT|TRANSACTION|UPDATE|DONE|ROW|OK|NOTICE|WARNING|FORMAT|EMPTY|NOTFOUND|NOMEM"
    r"|ERROR)"
)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no codes of SQLite")
@pytest.mark.parametrize("constant", sorted(name for name in SQLITE_CODES if not NO_ERRORS.match(name)))
def test_each_error_of_sqlite(constant: str) -> None:
    code = SQLITE_CODES[constant]
    codes = TABLE["SQLite"]
    error: Any = sqlite3.OperationalError("the message")
    error.sqlite_errorcode = code
    check(error, codes.get(str(code)) or codes[str(code & 0xFF)])


def test_the_table_of_sqlite_is_complete() -> None:
    assert {str(code): error.__name__ for code, error in SQLITE_ERRORS.items()} == TABLE["SQLite"]


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("ReadOnlyServer", "attempt to write a readonly database"),
        ("DiskFull", "database or disk is full"),
        ("DataCorrupted", "database disk image is malformed"),
        ("DataCorrupted", "file is not a database"),
        ("LockNotAvailable", "database is locked"),
        ("LockNotAvailable", "database table is locked: notes"),
        ("LockNotAvailable", "locking protocol"),
        ("TransactionError", "cannot commit - no transaction is active"),
        ("TransactionError", "cannot start a transaction within a transaction"),
        ("TransactionError", "cannot VACUUM from within a transaction"),
        ("TransactionError", "no such savepoint: a"),
        ("OperationalError", "too many levels of trigger recursion"),
        ("OperationalError", "unable to open database file"),
        ("OperationalError", "disk I/O error"),
        ("ProgrammingError", "no such table: notes"),
        ("ProgrammingError", "not authorized"),
        ("DataError", "malformed JSON"),
        ("DataError", "integer overflow"),
    ],
)
@pytest.mark.parametrize("code", [None, 1], ids=["python 3.10", "code 1"])
def test_messages_of_sqlite(expected: str, message: str, code: int | None) -> None:
    error: Any = sqlite3.OperationalError(message)
    if code is not None:
        error.sqlite_errorcode = code
    check(error, expected)


def test_unknown_messages_of_sqlite_with_code_1_are_mistakes_in_the_sql() -> None:
    error: Any = sqlite3.OperationalError("ORDER BY term does not match any column in the result set")
    error.sqlite_errorcode = 1
    check(error, "ProgrammingError")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "ConnectionLost"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 5432, 0, 0)"), "ConnectionLost"),
        (TimeoutError(), "ConnectionLost"),
        (asyncpg.CannotConnectNowError("the database system is starting up"), "ConnectionLost"),
        (asyncmy.errors.OperationalError(2003, "Can't connect to MySQL server on 'h'"), "ConnectionLost"),
        (PYMYSQL.OperationalError(2003, "Can't connect to MySQL server on 'h'"), "ConnectionLost"),
        (asyncpg.InvalidPasswordError("password authentication failed"), "OperationalError"),
        (asyncpg.TooManyConnectionsError("sorry, too many clients already"), "OperationalError"),
        (asyncpg.UndefinedTableError("no such thing"), "OperationalError"),
        (sqlite3.OperationalError("unable to open database file"), "OperationalError"),
        (sqlite3.DatabaseError("file is not a database"), "DataCorrupted"),
    ],
)
def test_errors_while_connecting(error: BaseException, expected: str) -> None:
    failure = connect_failure(error, "the server")
    assert type(failure).__name__ == expected
    assert str(failure).count("cannot connect to the server") == 1


def test_retryable_is_on_every_error() -> None:
    for name in ours.__all__:
        if name != "ValidationError":
            assert getattr(ours, name).retryable is (name in RETRYABLE), name
