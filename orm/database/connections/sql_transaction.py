"""The statements that begin and end a transaction of a connection, or a savepoint inside one."""

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Any

from databases.interfaces import TransactionBackend

from orm.database.connections.transaction_options import NO_OPTIONS, Options
from orm.exceptions import ConnectionLost, TransactionError

if TYPE_CHECKING:
    from orm.database.connections.connection import ManagedConnection

_savepoint_numbers = itertools.count(1)


class SQLTransaction(TransactionBackend):
    """A transaction of a connection, or a savepoint inside one."""

    def __init__(self, connection: "ManagedConnection") -> None:
        self._connection = connection
        self._savepoint: str | None = None

    async def start(self, is_root: bool, extra_options: dict[Any, Any]) -> None:
        """Begin it with its `"options"`. Raises `TransactionError` for options that a savepoint cannot have."""
        options: Options = extra_options["options"]
        self._connection.check_transaction()
        dialect = self._connection.manager.dialect
        if is_root:
            if dialect.lacks and options != NO_OPTIONS:
                dialect.check(
                    *(name for name in ("readonly", "deferrable") if getattr(options, name)),
                    *([options.isolation.lower()] if options.isolation else ()),
                )
            await self._connection.begin(options)
            self._connection.transaction_began(options)
            return
        if options != NO_OPTIONS:
            raise TransactionError("isolation, readonly, deferrable and replica belong to the outermost transaction")
        dialect.check("savepoint")
        savepoint = f"orm_{next(_savepoint_numbers)}"
        await self._connection.run(f"SAVEPOINT {savepoint}")
        self._savepoint = savepoint

    async def commit(self) -> None:
        """Commit. If that fails, the work is rolled back before the error is raised."""
        if self._savepoint is None:
            try:
                self._connection.check_transaction()
            except TransactionError:
                with contextlib.suppress(ConnectionLost):
                    await self.rollback()
                raise
            try:
                await self._connection.commit()
            finally:
                self._connection.transaction_ended()
            return
        self._connection.check_transaction()
        try:
            await self._connection.run(f"RELEASE SAVEPOINT {self._savepoint}")
        except TransactionError:
            await self.rollback()
            raise
        except asyncio.CancelledError as error:
            self._connection.ended_by = error  # the savepoint may not be released: commit nothing
            raise

    async def rollback(self) -> None:
        """Roll back."""
        if self._savepoint is None:
            try:
                await self._connection.rollback()
            finally:
                self._connection.transaction_ended()
        elif self._connection.ended_by is None:
            try:
                await self._connection.run(f"ROLLBACK TO SAVEPOINT {self._savepoint}")
            except BaseException as error:
                self._connection.ended_by = error  # rows of the savepoint may be left
                raise
