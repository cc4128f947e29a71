"""PostgreSQL: asyncpg's pool, whose connections are reset only when something may have been left on them."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
from databases.backends import postgres
from databases.backends.common.records import Record, create_column_maps
from databases.core import DatabaseURL
from sqlalchemy.sql import ClauseElement

from orm.database.connection import ManagedBackend, ManagedConnection
from orm.database.errors import translating
from orm.database.hooks import calling
from orm.database.pool import Openings
from orm.database.postgresql.driver import AsyncpgDriver
from orm.database.transactions import Options
from orm.exceptions import TransactionError

MAX_SIZE = 10
CLOSING_SECONDS = 10.0
ITERATE_ROWS = 50
HAS_CURSOR = re.compile(r"[\s(]*(?:SELECT|VALUES|TABLE|WITH)\b", re.IGNORECASE)


async def _no_reset(connection: Any) -> None:
    """What asyncpg's pool does at each release instead of a reset round trip: nothing."""


async def _close(connection: asyncpg.Connection) -> None:
    await connection.close()


class PostgreSQLBackend(postgres.PostgresBackend, ManagedBackend):
    """The pool of one PostgreSQL database."""

    _pool: Any

    def __init__(self, database_url: DatabaseURL | str, **options: Any) -> None:
        super().__init__(database_url, **options)
        url = self._database_url
        self.place = f"postgresql at {url.hostname or 'localhost'}:{url.port or 5432}, database {url.database!r}"
        self._openings: Openings[asyncpg.Connection] = Openings(_close)
        self.driver = AsyncpgDriver(managed=True)

    def _get_connection_kwargs(self) -> dict[str, Any]:
        own = {"min_size": 1, "max_size": MAX_SIZE, "reset": _no_reset, "connect": self._open}
        return {**own, **super()._get_connection_kwargs()}

    async def _open(self, *args: Any, **options: Any) -> asyncpg.Connection:
        return await self._openings.wait_for(asyncpg.connect(*args, **options))

    async def disconnect(self) -> None:
        """Close the pool. Connections still in use have ten seconds to come back."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        await self._openings.finished()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(pool.close(), CLOSING_SECONDS)

    def abandon(self) -> None:
        """Forget the connections of an event loop that is closed."""
        pool, self._pool = self._pool, None
        # Their sockets are closed on the way to being told so by the loop, which nobody can be any more.
        with contextlib.suppress(RuntimeError):
            pool.terminate()

    def connection(self) -> "PostgreSQLConnection":
        """A connection, not yet checked out."""
        return PostgreSQLConnection(self, self._dialect)


class _OwnCursors(postgres.PostgresConnection):
    """`iterate` of `databases` on the ORM's cursors, which need no transaction, nor asyncpg's idea of one."""

    async def iterate(self, query: ClauseElement) -> AsyncGenerator[Any, None]:
        raw: Any = self._connection
        driver = AsyncpgDriver(managed=True)
        sql, args, result_columns = self._compile(query)
        column_maps = create_column_maps(result_columns)
        if HAS_CURSOR.match(sql) is None:  # INSERT … RETURNING and its like
            for row in await driver.fetch(raw, sql, args):
                yield Record(row, result_columns, self._dialect, column_maps)
            return
        rows = await driver.stream(raw, sql, args, in_transaction=raw.is_in_transaction())
        try:
            while batch := await rows.read(ITERATE_ROWS):
                for row in batch:
                    yield Record(row, result_columns, self._dialect, column_maps)
        finally:
            await rows.close()


class PostgreSQLConnection(ManagedConnection, _OwnCursors):
    """One connection of the pool while it is checked out."""

    manager: PostgreSQLBackend
    own_cursors = True

    def __init__(self, manager: PostgreSQLBackend, dialect: Any) -> None:
        postgres.PostgresConnection.__init__(self, manager, dialect)
        self.manager = manager

    async def release(self) -> None:
        """Give the connection back, clean."""
        raw, self._connection = self._connection, None
        dirty, self.dirty = self.dirty, False
        pool = self.manager._pool
        if pool is None:  # abandoned or closed meanwhile
            raw.terminate()
            return
        try:
            if raw.is_closed():
                pass
            elif raw.is_in_transaction():
                raw.terminate()
            elif dirty:
                calling()
                await raw.reset()
        except BaseException:
            raw.terminate()
            raise
        finally:
            await pool.release(raw)

    async def begin(self, options: Options) -> None:
        """Begin the outermost transaction."""
        words = ["BEGIN"]
        if options.isolation:
            words.append(f"ISOLATION LEVEL {options.isolation}")
        if options.readonly:
            words.append("READ ONLY")
        if options.deferrable:
            words.append("DEFERRABLE")
        await self.run(" ".join(words))

    async def commit(self) -> None:
        """Commit the outermost transaction; TransactionError when a failed statement has broken it."""
        with self.manager.log.watch("COMMIT", ()), translating:
            calling()
            # PostgreSQL answers a COMMIT of a broken transaction with a rollback, and no error.
            if await self._connection.execute("COMMIT") == "ROLLBACK":
                raise TransactionError(
                    "the transaction was rolled back: a statement in it had failed. To go on after a failure, run the"
                    " statement that may fail in an inner `async with database.transaction():`"
                )
