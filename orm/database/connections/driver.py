"""What the ORM needs of a database driver, and which driver a database uses."""

import importlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence, Set
from typing import Any, ClassVar, NamedTuple, Protocol

import databases

from orm.database.connections.databases_internals import backend_of
from orm.database.dialect import Dialect
from orm.database.dialect_registry import dialects, find, url_schemes
from orm.exceptions import NotSupportedError
from orm.utils.row_batches import RowReader

logger = logging.getLogger("orm.database")


class Outcome(NamedTuple):
    """The result of a statement without rows.

    `rowcount` is the number of rows matched (-1 if the driver cannot tell), `lastrowid` the key that SQLite or MySQL
    generated for an INSERT (None on PostgreSQL, and if nothing was inserted).
    """

    rowcount: int
    lastrowid: int | None


class RowStream(Protocol):
    """The rows of a running query, read in batches."""

    async def read(self, count: int) -> Sequence[Any]:
        """Up to `count` further rows; fewer only at the end."""

    async def close(self) -> None:
        """Discard the remaining rows."""


class Driver(Protocol):
    """The calls of a driver, in one shape for all drivers. `raw` is the driver's connection.

    SQL and values are in the driver's form; errors are the driver's, not yet translated. A driver is created with
    `managed=True` for `orm.Database`, which sends every statement through it, and with `managed=False` for a plain
    `databases.Database`, whose transactions and methods know nothing of an open stream.
    """

    async def server(self, raw: Any) -> str | None:
        """The name of the server's dialect, if the connection tells it; None for the dialect that the URL names."""

    async def prepare(self, raw: Any) -> None:
        """Prepare a connection that the ORM did not open for the ORM's SQL."""

    async def fetch(self, raw: Any, sql: str, args: Sequence[Any]) -> Sequence[Any]:
        """The rows of a statement."""

    async def fetch_objects(self, raw: Any, sql: str, args: Sequence[Any], reader: RowReader) -> list[Any]:
        """The objects that `reader` makes of a statement's rows; of a large result in batches, while it arrives."""

    async def fetch_named(self, raw: Any, sql: str, args: Sequence[Any]) -> tuple[Sequence[str], Sequence[Any]]:
        """The names of the columns, and the rows, of a statement that the ORM did not write."""

    async def execute(self, raw: Any, sql: str, args: Sequence[Any]) -> Outcome:
        """Execute a statement and discard any rows."""

    async def fetch_together(self, raw: Any, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[Sequence[Any]]:
        """The rows of each of several queries, from one state of the database, in one round trip.

        A driver that cannot do so gets a single statement: see `Dialect.one_statement_per_trip`.
        """

    async def stream(self, raw: Any, sql: str, args: Sequence[Any], *, in_transaction: bool) -> RowStream:
        """Begin a query whose rows are read in batches."""

    async def configure(self, database: databases.Database) -> None:
        """Set the options of a plain `databases.Database` that the ORM relies on."""


async def ask_server(driver: Driver, raw: Any, dialect: Dialect) -> Dialect:
    """The dialect for the server that a connection leads to. `dialect` is that of the URL."""
    name = await driver.server(raw)
    if name in dialect.of_same_scheme:
        dialect = dialects[name]
    if dialect.server_query is not None:
        ((answer,),) = await driver.fetch(raw, dialect.server_query, ())
        dialect = dialect.for_server(answer)
    if dialect.known_fault:
        logger.warning("%s", dialect.known_fault)
    return dialect


def driver_of(database: databases.Database) -> Driver:
    """The driver of a plain `databases.Database`; NotSupportedError for one that the ORM does not know."""
    dialect = find(database.url.dialect)
    drivers = dialect.drivers if dialect is not None else ()
    for driver_classes in drivers:
        if driver_classes.databases_backend == type(backend_of(database)).__module__:
            module, _, name = driver_classes.driver.partition(":")
            driver: Driver = getattr(importlib.import_module(module), name)(managed=False)
            return driver
    packages = ", ".join(driver_classes.package for driver_classes in drivers) or ", ".join(url_schemes())
    raise NotSupportedError(f"{database.url.scheme}:// runs on a driver that the ORM does not know: use {packages}")


class CursorStream:
    """Rows read from an open cursor, which gives way when its connection is needed for another statement.

    A connection of MySQL can do nothing else until all rows of a running query are read, and on SQLite a write might
    show up in the rows still to come: `drain` reads the remaining rows into memory first.
    """

    running: ClassVar[dict[int, "CursorStream"]] = {}

    def __init__(
        self,
        raw: Any,
        read: Callable[[int], Awaitable[Sequence[Any]]],
        read_all: Callable[[], Awaitable[Sequence[Any]]],
        close: Callable[[bool], Awaitable[None]],
    ) -> None:
        self._raw = raw
        self._read = read
        self._read_all = read_all
        self._close = close
        self.types: Set[int] = frozenset()
        """The driver's type codes of the columns, if it reports them."""
        self._buffered: deque[Any] | None = None
        self._finished = False
        self.running[id(raw)] = self

    @classmethod
    async def drain(cls, raw: Any) -> None:
        """Read the remaining rows of the connection's running stream, if there is one, into memory."""
        stream = cls.running.get(id(raw))
        if stream is not None:
            stream._buffered = deque(await stream._read_all())
            await stream._end(finished=True)

    @classmethod
    def forget(cls, raw: Any) -> None:
        """Forget the running stream of a connection that is closed."""
        cls.running.pop(id(raw), None)

    async def read(self, count: int) -> Sequence[Any]:
        """Up to `count` further rows; fewer only at the end."""
        if self._buffered is not None:
            return [self._buffered.popleft() for _ in range(min(count, len(self._buffered)))]
        if self._finished:
            return []
        rows = await self._read(count)
        if len(rows) < count:
            await self._end(finished=True)
        return rows

    async def close(self) -> None:
        """Discard the remaining rows."""
        if not self._finished:
            await self._end(finished=False)

    async def _end(self, *, finished: bool) -> None:
        self._finished = True
        if self.running.get(id(self._raw)) is self:
            del self.running[id(self._raw)]
        await self._close(finished)
