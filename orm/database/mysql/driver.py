"""MySQL and MariaDB through asyncmy or aiomysql."""

import asyncio
import contextlib
import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import databases

from orm.database.connections.databases_internals import backend_of
from orm.database.connections.driver import CursorStream, Outcome, RowStream
from orm.database.mysql.prepared_statements import can_be_prepared
from orm.database.mysql.sql_functions import MARIADB_COLLATION, MYSQL_COLLATION
from orm.database.query_log.events import count_round_trip
from orm.exceptions import InterfaceError
from orm.utils.gc_control import call_with_gc_paused
from orm.utils.row_batches import LOOP_BATCH_ROWS, RowReader, read_in_batches

MAX_KNOWN_STATEMENTS = 1024
# The drivers parse a result without a pause, in up to ten microseconds a row. A larger one is streamed.
MAX_ROWS_OF_SMALL_RESULTS = 2 * LOOP_BATCH_ROWS
#: The code of the type FLOAT.
SINGLE_FLOAT = 4
FOUND_ROWS = 2  # the protocol's CLIENT.FOUND_ROWS: report the rows matched, not those changed
# SQL modes that change what the ORM's SQL means, or what the drivers' escaping is worth; then those that imply them.
UNSUPPORTED_MODES = (
    *("NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "PIPES_AS_CONCAT", "HIGH_NOT_PRECEDENCE", "IGNORE_SPACE"),
    *("PAD_CHAR_TO_FULL_LENGTH", "NO_UNSIGNED_SUBTRACTION", "TIME_TRUNCATE_FRACTIONAL", "EMPTY_STRING_IS_NULL"),
    "ONLY_FULL_GROUP_BY",
    *("ANSI", "DB2", "MAXDB", "MSSQL", "ORACLE", "POSTGRESQL"),
)


# The status of a session with the mode NO_BACKSLASH_ESCAPES.
NO_BACKSLASH_ESCAPES = 512


def escapable(raw: Any, args: Iterable[Any]) -> tuple[Any, ...]:
    """The arguments, for a statement into which the driver writes them.

    Raises `InterfaceError` for bytes in a session with NO_BACKSLASH_ESCAPES: the drivers escape them with backslashes,
    so the bytes could end their literal. The mode is off in the ORM's sessions, but a program can turn it on.
    """
    values = tuple(args)
    if raw.server_status & NO_BACKSLASH_ESCAPES and any(isinstance(value, (bytes, bytearray)) for value in values):
        raise InterfaceError(
            "bytes cannot be sent safely in a session with the SQL mode NO_BACKSLASH_ESCAPES, which this program has "
            "turned on: leave it off"
        )
    return values


def _session_command() -> str:
    modes = "CONCAT(',', @@sql_mode, ',')"
    for mode in UNSUPPORTED_MODES:
        modes = f"REPLACE({modes}, ',{mode},', ',')"
    settings = {
        # Literals and the results of functions are compared as columns are. The collations of the servers differ.
        "collation_connection": f"IF(INSTR(@@version, 'MariaDB'), '{MARIADB_COLLATION}', '{MYSQL_COLLATION}')",
        # Datetimes are in UTC.
        "time_zone": "'+00:00'",
        # A key of 0 is a key, not a request to generate one.
        "sql_mode": f"CONCAT({modes}, 'NO_AUTO_VALUE_ON_ZERO')",
        # GROUP_CONCAT() cuts at 1,024 bytes otherwise.
        "group_concat_max_len": "@@max_allowed_packet",
    }
    # As on MySQL and older MariaDBs, a transaction can lock rows that were committed after its first query. With the
    # setting on, get_or_create() would fail in a transaction that has read before.
    of_mariadb = "/*M!110602 , innodb_snapshot_isolation = OFF */"
    return f"SET {', '.join(f'{name} = {value}' for name, value in settings.items())} {of_mariadb}"


INIT_COMMAND = _session_command()
SETTINGS: dict[str, Any] = {"charset": "utf8mb4", "init_command": INIT_COMMAND}


def connection_settings(options: dict[str, Any]) -> dict[str, Any]:
    """A user's connection options with those that the ORM relies on."""
    return {**SETTINGS, **options, "client_flag": options.get("client_flag", 0) | FOUND_ROWS}


async def _ignore_warnings(cursor: Any, connection: Any) -> None:
    return None


class MySQLDriver(ABC):
    """What asyncmy and aiomysql have in common (see `orm.database.connections.driver.Driver`)."""

    error: type[Exception]
    """What the driver raises for a statement that the server rejects."""

    def __init__(self, *, managed: bool) -> None:
        self.managed = managed
        self._with_small_results: set[str] = set()
        """The statements that had few rows in their last run; before its first run a statement is not among them."""

    @abstractmethod
    async def cursor(self, raw: Any, kind: str) -> Any:
        """A new cursor of the driver's class `Cursor` or `SSCursor`, which `kind` names."""

    @abstractmethod
    def pause(self, raw: Any) -> None:
        """Receive nothing until `resume`, so that the server does not send more rows than are read."""

    @abstractmethod
    def resume(self, raw: Any) -> None:
        """Go on receiving."""

    @abstractmethod
    def is_open(self, raw: Any) -> bool:
        """Whether a connection is open."""

    @abstractmethod
    def transport(self, raw: Any) -> Any:
        """The asyncio transport of a connection; None if it is closed."""

    async def close(self, raw: Any) -> None:
        """Tell the server, and close the connection."""
        await raw.ensure_closed()

    def is_usable(self, raw: Any) -> bool:
        """Whether an idle connection is open, and not inside a transaction."""
        return self.is_open(raw) and not raw.get_transaction_status()

    async def server(self, raw: Any) -> str:
        """ "mariadb", "tidb" or "mysql", from the version that the server sent in the handshake."""
        version = str(raw.get_server_info()).lower()
        return next((name for name in ("mariadb", "tidb") if name in version), "mysql")

    async def prepare(self, raw: Any) -> None:
        """Nothing to do: `configure` has set the options of all connections."""
        return

    async def fetch(self, raw: Any, sql: str, args: Sequence[Any]) -> Sequence[Any]:
        """The rows of a statement, as tuples."""
        cursor = await self._run(raw, sql, args)
        rows: Sequence[Any] = await cursor.fetchall()
        await cursor.close()
        return rows

    async def fetch_objects(self, raw: Any, sql: str, args: Sequence[Any], reader: RowReader) -> list[Any]:
        """The objects that `reader` makes of a statement's rows; of a large result in batches, while it arrives."""
        if self.managed and sql not in self._with_small_results:
            return await self._stream_objects(raw, sql, args, reader)
        rows = await self.fetch(raw, sql, args)
        if len(rows) >= MAX_ROWS_OF_SMALL_RESULTS:
            self._with_small_results.discard(sql)
        return await read_in_batches(reader, rows)

    async def _stream_objects(self, raw: Any, sql: str, args: Sequence[Any], reader: RowReader) -> list[Any]:
        """Read each batch of rows while the server sends the next one."""
        objects: list[Any] = []
        count = 0
        stream = await self.stream(raw, sql, args, in_transaction=raw.get_transaction_status())
        assert isinstance(stream, CursorStream)
        try:
            while rows := await stream.read(LOOP_BATCH_ROWS):
                count += len(rows)
                objects += call_with_gc_paused(reader, rows)
        finally:
            await stream.close()
        # A prepared statement would return a FLOAT with the digits of a double: 1.1 as 1.100000023841858.
        if count < MAX_ROWS_OF_SMALL_RESULTS and SINGLE_FLOAT not in stream.types:
            if len(self._with_small_results) >= MAX_KNOWN_STATEMENTS:
                self._with_small_results.clear()
            self._with_small_results.add(sql)
        return objects

    async def fetch_together(self, raw: Any, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[Sequence[Any]]:
        """The rows of each of several queries, which are sent in one packet."""
        sql = "; ".join(sql for sql, _ in statements)
        args = [value for _, values in statements for value in values]
        needs_transaction = len(statements) > 1 and not raw.get_transaction_status()
        if needs_transaction:
            sql = f"START TRANSACTION; {sql}; COMMIT"
        try:
            cursor = await self._run(raw, sql, args)
            if needs_transaction:
                await cursor.nextset()
            results: list[Sequence[Any]] = [await cursor.fetchall()]
            while len(results) < len(statements):
                await cursor.nextset()
                results.append(await cursor.fetchall())
            if needs_transaction:
                await cursor.nextset()
            await cursor.close()
        except self.error:
            if needs_transaction:
                await raw.rollback()
            raise
        return results

    async def fetch_named(self, raw: Any, sql: str, args: Sequence[Any]) -> tuple[Sequence[str], Sequence[Any]]:
        """The names of the columns, and the rows."""
        cursor = await self._run(raw, sql, args)
        names = [column[0] for column in cursor.description or ()]
        rows: Sequence[Any] = await cursor.fetchall()
        await cursor.close()
        return names, rows

    async def execute(self, raw: Any, sql: str, args: Sequence[Any]) -> Outcome:
        """Execute a statement and discard any rows."""
        cursor = await self._run(raw, sql, args)
        outcome = Outcome(cursor.rowcount, cursor.lastrowid or None)
        await cursor.close()
        return outcome

    async def stream(self, raw: Any, sql: str, args: Sequence[Any], *, in_transaction: bool) -> RowStream:
        """Begin a query whose rows stay on the server until they are read; of a plain database, in memory."""
        await CursorStream.drain(raw)
        cursor = await self.cursor(raw, "SSCursor" if self.managed else "Cursor")
        count_round_trip()
        await cursor.execute(sql, escapable(raw, args))
        self.pause(raw)

        async def read(count: int) -> Sequence[Any]:
            self.resume(raw)
            try:
                rows: Sequence[Any] = await cursor.fetchmany(count)
            finally:
                self.pause(raw)
            await asyncio.sleep(0)  # rows that have already arrived are read without waiting
            return rows

        async def read_all() -> Sequence[Any]:
            self.resume(raw)
            rows: Sequence[Any] = await cursor.fetchall()
            return rows

        async def close(finished: bool) -> None:
            self.resume(raw)
            if finished or in_transaction or not self.managed:
                await cursor.close()  # reads all remaining rows
            else:
                raw.close()  # a new connection is cheaper than a million unwanted rows

        stream = CursorStream(raw, read, read_all, close)
        stream.types = {column[1] for column in cursor.description or ()}
        return stream

    async def configure(self, database: databases.Database) -> None:
        """Have a plain `databases.Database` connect with the ORM's settings, and close its idle connections."""
        backend = backend_of(database)
        backend._options = connection_settings(backend._options)
        if backend._pool is not None:
            backend._pool._conn_kwargs.update(connection_settings(backend._pool._conn_kwargs))
            await backend._pool.clear()

    async def _run(self, raw: Any, sql: str, args: Sequence[Any]) -> Any:
        if CursorStream.running:
            await CursorStream.drain(raw)
        cursor = await self.cursor(raw, "Cursor")
        count_round_trip()
        await cursor.execute(sql, escapable(raw, args))
        return cursor


class AsyncmyDriver(MySQLDriver):
    """The calls of asyncmy, with which the ORM's statements are prepared on the server where that is safe."""

    def __init__(self, *, managed: bool) -> None:
        super().__init__(managed=managed)
        self._cursors = importlib.import_module("asyncmy.cursors")
        self.error = importlib.import_module("asyncmy.errors").MySQLError

    async def fetch(self, raw: Any, sql: str, args: Sequence[Any]) -> Sequence[Any]:
        """The rows of a statement, as tuples."""
        cursor = await self._run_prepared(raw, sql, args)
        rows: Sequence[Any] = await cursor.fetchall()
        return rows

    async def execute(self, raw: Any, sql: str, args: Sequence[Any]) -> Outcome:
        """Execute a statement and discard any rows."""
        cursor = await self._run_prepared(raw, sql, args)
        return Outcome(cursor.rowcount, cursor.lastrowid or None)

    async def _run_prepared(self, raw: Any, sql: str, args: Sequence[Any]) -> Any:
        """The cursor of one of the ORM's statements, which is prepared if that is safe."""
        if CursorStream.running:
            await CursorStream.drain(raw)
        cursor = raw.cursor()
        count_round_trip()
        if can_be_prepared(sql, args):
            await cursor.execute(sql, tuple(args))
        else:
            await cursor.execute(cursor.mogrify(sql, escapable(raw, args)))
        return cursor

    async def cursor(self, raw: Any, kind: str) -> Any:
        """A new cursor of the driver's class `Cursor` or `SSCursor`, which `kind` names."""
        return raw.cursor(getattr(self._cursors, kind))

    def pause(self, raw: Any) -> None:
        """Receive nothing until `resume`: asyncmy would read into memory all that the server sends."""
        if raw._transport is not None:
            raw._transport.pause_reading()

    def resume(self, raw: Any) -> None:
        """Go on receiving."""
        if raw._transport is not None:
            raw._transport.resume_reading()

    def is_open(self, raw: Any) -> bool:
        """Whether a connection is open."""
        return raw.connected and not raw._stream_broken

    def transport(self, raw: Any) -> Any:
        """The asyncio transport of a connection; None if it is closed."""
        return raw._transport


class AiomysqlDriver(MySQLDriver):
    """The calls of aiomysql."""

    def __init__(self, *, managed: bool) -> None:
        super().__init__(managed=managed)
        module = importlib.import_module("aiomysql.cursors")
        self.error = importlib.import_module("pymysql.err").MySQLError
        # Turning a warning of the server into one of Python takes another round trip.
        self.cursors = {
            kind: type(kind, (getattr(module, kind),), {"_show_warnings": _ignore_warnings})
            for kind in ("Cursor", "SSCursor")
        }

    async def cursor(self, raw: Any, kind: str) -> Any:
        """A new cursor of the driver's class `Cursor` or `SSCursor`, which `kind` names."""
        return await raw.cursor(self.cursors[kind])

    def pause(self, raw: Any) -> None:
        """Nothing to do: aiomysql receives no more than is read."""

    def resume(self, raw: Any) -> None:
        """Nothing to do: it is never paused."""

    def is_open(self, raw: Any) -> bool:
        """Whether a connection is open."""
        reader = raw._reader
        return not (raw.closed or reader.at_eof() or reader.exception() or reader.eof_received)

    def transport(self, raw: Any) -> Any:
        """The asyncio transport of a connection; None if it is closed."""
        return raw._writer and raw._writer.transport

    async def close(self, raw: Any) -> None:
        """Tell the server, and wait until the connection is closed: with TLS that is after the server's answer."""
        writer = raw._writer
        await super().close(raw)
        if writer is not None:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
