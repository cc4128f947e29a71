"""A session without `await`: in functions of `session.run_sync()`, and in synchronous programs (`orm.sync`)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.util import await_only, greenlet_spawn

from orm.sessions.session_transactions import NestedTransaction, SessionBlock
from orm.utils.blocking import run

if TYPE_CHECKING:
    from orm.models import Model
    from orm.sessions.session import Session

T = TypeVar("T")
Wait = Callable[[Any], Any]


async def _result(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _blocking(wait: Wait, owner: Any, name: str) -> Any:
    """An attribute of an object; a coroutine function becomes one that waits for its result."""
    attribute = getattr(owner, name)
    if not inspect.iscoroutinefunction(attribute):
        return attribute

    def call(*args: Any, **kwargs: Any) -> Any:
        return wait(attribute(*args, **kwargs))

    return call


class SyncTransaction:
    """A block or savepoint of a session, without `await`: for `with`, or by its `commit()` and `rollback()`."""

    def __init__(self, wait: Wait, transaction: NestedTransaction | SessionBlock, *, begun: bool) -> None:
        self._wait = wait
        self._transaction = transaction
        self._is_begun = begun

    def __getattr__(self, name: str) -> Any:
        return _blocking(self._wait, self._transaction, name)

    def __enter__(self) -> SyncTransaction:
        if not self._is_begun:
            self._wait(self._transaction.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._wait(self._transaction.__aexit__(kind, error, traceback))


class SyncSession:
    """A session whose methods return results, not coroutines.

    It is what ``with orm.Session(database) as session:`` gives in a synchronous program, and the first argument of a
    function of `run_sync()`. `begin_nested()` begins the savepoint at once.
    """

    def __init__(self, session: Session, wait: Wait) -> None:
        self._session = session
        self._wait = wait

    def __getattr__(self, name: str) -> Any:
        return _blocking(self._wait, self._session, name)

    def __contains__(self, instance: object) -> bool:
        return instance in self._session

    def __iter__(self) -> Iterator[Model]:
        return iter(self._session)

    def begin(self) -> SyncTransaction:
        """A block of the session's transaction: see `Session.begin()`."""
        return SyncTransaction(self._wait, self._session.begin(), begun=False)

    def begin_nested(self) -> SyncTransaction:
        """A savepoint, which has begun: see `Session.begin_nested()`."""
        savepoint = self._session.begin_nested()
        self._wait(savepoint.__aenter__())
        return SyncTransaction(self._wait, savepoint, begun=True)

    def run(self, awaitable: Awaitable[T]) -> T:
        """The result of an awaitable, such as a queryset."""
        result: T = self._wait(_result(awaitable))
        return result


def blocking_session(session: Session) -> SyncSession:
    """The session of a synchronous program, which waits in its thread."""
    return SyncSession(session, lambda coroutine: run(coroutine, "a method of orm.Session"))


async def run_in_greenlet(session: Session, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call the function with a `SyncSession`, in a greenlet in which it can wait for coroutines."""
    return await greenlet_spawn(function, SyncSession(session, await_only), *args, **kwargs)
