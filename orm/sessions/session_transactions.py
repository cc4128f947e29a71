"""`session.begin()` and `session.begin_nested()`: blocks of a session's transaction and of savepoints in it."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from orm.exceptions import TransactionError

if TYPE_CHECKING:
    from orm.sessions.undo import Level
    from orm.sessions.unit import Unit


class SessionBlock:
    """`async with session.begin():`, which commits the session's transaction at its end, or rolls it back.

    `await session.begin()` only begins it.
    """

    def __init__(self, session: Unit) -> None:
        self._session = session

    def __await__(self) -> Generator[Any, None, SessionBlock]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> SessionBlock:
        await self._session._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            await self._session.commit()
        else:
            await self._session.rollback()


class NestedTransaction:
    """A savepoint of a session: `async with session.begin_nested():`, or by hand.

        savepoint = await session.begin_nested()
        await savepoint.rollback()

    A rollback also sets the instances to what they were when it began.
    """

    def __init__(self, session: Unit) -> None:
        self._session = session
        self._level: Level | None = None
        self._is_over = False

    def __await__(self) -> Generator[Any, None, NestedTransaction]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> NestedTransaction:
        if self._level is not None:
            raise TransactionError("this savepoint has begun already")
        self._level = await self._session._begin_level()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_over:
            return
        if kind is not None:
            await self.rollback()
            return
        try:
            await self.commit()
        except BaseException:
            await self._end(keep=False)
            raise

    @property
    def is_active(self) -> bool:
        """Whether it has begun and has not ended."""
        return self._level is not None and not self._is_over and self._level.transaction.is_open

    async def commit(self) -> None:
        """Flush, and release the savepoint: what it has written is part of the transaction around it.

        Savepoints in it are released as well. Raises `TransactionError` if it is over.
        """
        if self._level is not None and self._level not in self._session._levels:
            raise TransactionError("this savepoint is over: it, or the transaction around it, has been ended before")
        await self._end(keep=True)
        self._is_over = True

    async def rollback(self) -> None:
        """Undo what was written since the savepoint, in the database and on the instances."""
        self._is_over = True
        await self._end(keep=False)

    async def _end(self, *, keep: bool) -> None:
        if self._level is None:
            raise TransactionError("this savepoint has not begun: `await` it, or use it in `async with`")
        await self._session._end_level(self._level, keep=keep)
