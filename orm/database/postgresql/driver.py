"""PostgreSQL through asyncpg."""

import contextlib
import secrets
from collections.abc import Sequence
from typing import Any

import asyncpg
import databases

from orm.database.connections.driver import Outcome, RowStream
from orm.database.query_log.events import count_round_trip
from orm.exceptions import DataError
from orm.utils.gc_control import PendingResultGCGuard
from orm.utils.row_batches import RowReader, read_in_batches


class _ServerCursor:
    """A cursor declared on the server; outside of transactions WITH HOLD, so that the server keeps its rows.

    With WITH HOLD a stream needs no transaction, which would include the statements that run between its batches.
    Behind a pooler, and on servers without such cursors, the stream has a transaction and a separate connection. `end`
    is the statement that ends the cursor and the transaction.
    """

    def __init__(self, raw: Any, name: str, *, end: str, managed: bool) -> None:
        self._raw = raw
        self._name = name
        self._end_statement = end
        self._managed = managed
        self._fetch: Any = None
        self._count = 0
        self._closed = False

    async def read(self, count: int) -> Sequence[Any]:
        if self._closed:
            return []
        if self._count != count:
            # Prepared outside of the connection's statement cache, where it would displace a useful statement.
            count_round_trip()
            self._fetch = await self._raw.prepare(f"FETCH {count} FROM {self._name}")
            self._count = count
        count_round_trip()
        rows: Sequence[Any] = await self._fetch.fetch()
        if len(rows) < count:
            await self._end()
        return rows

    async def close(self) -> None:
        # A generator's finaliser may call this in the middle of a statement of a transaction, which holds no lock on a
        # plain database. There, each release of a connection closes all cursors.
        if self._managed and not self._closed:
            await self._end()

    async def _end(self) -> None:
        self._closed = True
        # A transaction that has failed or ended in the meantime has closed its cursors.
        with contextlib.suppress(asyncpg.InFailedSQLTransactionError, asyncpg.InvalidCursorNameError):
            count_round_trip()
            await self._raw.execute(self._end_statement)


class AsyncpgDriver:
    """The calls of asyncpg, on its connections (see `orm.database.connections.driver.Driver`)."""

    def __init__(self, *, managed: bool) -> None:
        self.managed = managed
        self.holds_cursors = True
        """Whether a cursor can outlive its transaction: not behind a pooler, nor on some servers."""
        self._gc_guard = PendingResultGCGuard()

    async def server(self, raw: Any) -> None:
        """The URL tells PostgreSQL from a database that speaks its protocol."""

    async def prepare(self, raw: Any) -> None:
        """Nothing to do."""

    async def fetch(self, raw: Any, sql: str, args: Sequence[Any]) -> Sequence[Any]:
        """The rows of a statement, as asyncpg's records, which it creates all at once."""
        count_round_trip()
        number = self._gc_guard.begin()
        try:
            rows: Sequence[Any] = await raw.fetch(sql, *args)
        except ValueError as error:
            if type(error) is ValueError:
                raise DataError(
                    "PostgreSQL has sent a date that Python cannot represent: before the year 1, or after 9999."
                ) from error
            raise
        finally:
            self._gc_guard.end(number)
        return rows

    async def fetch_objects(self, raw: Any, sql: str, args: Sequence[Any], reader: RowReader) -> list[Any]:
        """The objects that `reader` makes of a statement's rows."""
        return await read_in_batches(reader, await self.fetch(raw, sql, args))

    async def fetch_named(self, raw: Any, sql: str, args: Sequence[Any]) -> tuple[Sequence[str], Sequence[Any]]:
        """The names of the columns, and the rows."""
        count_round_trip()
        statement = await raw.prepare(sql)
        count_round_trip()
        rows: Sequence[Any] = await statement.fetch(*args)
        return [attribute.name for attribute in statement.get_attributes()], rows

    async def fetch_together(self, raw: Any, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[Sequence[Any]]:
        """The rows of one statement."""
        ((sql, args),) = statements
        return [await self.fetch(raw, sql, args)]

    async def execute(self, raw: Any, sql: str, args: Sequence[Any]) -> Outcome:
        """Execute a statement and discard any rows."""
        count_round_trip()
        tag: str = await raw.execute(sql, *args)
        count = tag.rpartition(" ")[2]
        return Outcome(int(count) if count.isdecimal() else -1, None)

    async def stream(self, raw: Any, sql: str, args: Sequence[Any], *, in_transaction: bool) -> RowStream:
        """Begin a query whose rows are read in batches, inside or outside of a transaction."""
        # Random: behind a pooler, other programs name cursors on the same server connections.
        name = f"orm_stream_{secrets.token_hex(8)}"
        hold, end = "", f"CLOSE {name}"
        if not in_transaction and not self.holds_cursors:
            count_round_trip()
            await raw.execute("BEGIN READ ONLY")
            end = "COMMIT"
        elif not in_transaction:
            hold = " WITH HOLD"
        count_round_trip()
        declare = await raw.prepare(f"DECLARE {name} NO SCROLL CURSOR{hold} FOR {sql}")
        count_round_trip()
        await declare.fetch(*args)
        return _ServerCursor(raw, name, end=end, managed=self.managed)

    async def configure(self, database: databases.Database) -> None:
        """Nothing to do."""
