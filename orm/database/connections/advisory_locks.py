"""Advisory locks: names that one holder at a time can lock, in all programs that use a database."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from orm.database.connections.checkout import Checkout
from orm.database.connections.turns import current_transaction
from orm.exceptions import ConnectionLost, LockNotAvailable, QueryError, TransactionError

if TYPE_CHECKING:
    from orm.database.connections.database import Database

POLL_SECONDS = 0.01
FOR_EVER_SECONDS = 365 * 24 * 60 * 60

Statement = tuple[str, Sequence[Any]]
Release = Callable[[], None]


class LockStatements(NamedTuple):
    """The statements of a server for one lock. `acquire` returns whether it is held now."""

    acquire: Statement
    release: Statement
    before: Sequence[Statement] = ()
    after: Sequence[Statement] = ()
    """Undo `before`, so that it applies to `acquire` alone."""


def digest(*names: str) -> bytes:
    """The same 32 bytes for the same names, in every process and on every machine."""
    return hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).digest()


@contextlib.asynccontextmanager
async def advisory_lock(database: Database, name: str, timeout: float | None, shared: bool) -> AsyncIterator[None]:
    """`Database.advisory_lock`."""
    if not isinstance(name, str) or not name:
        raise QueryError(f"the name of an advisory lock is a text, not {'an empty one' if name == '' else type(name)}")
    if timeout is not None and not (isinstance(timeout, (int, float)) and 0 <= timeout < math.inf):
        raise QueryError(f"the timeout of an advisory lock is a number of seconds, not {timeout!r}")
    if current_transaction(database) is not None:
        raise TransactionError(
            "an advisory lock is taken outside of transactions, and the transaction begun inside it: others must not "
            "get the lock before the commit"
        )
    await database.ensure_connected(database.connection())
    with _holding(database, name, shared):
        async with _locked(database, name, timeout, shared):
            yield


@contextlib.contextmanager
def _holding(database: Database, name: str, shared: bool) -> Iterator[None]:
    """Record that the current task has the lock, or waits for it.

    Raises `LockNotAvailable` if the task already has the lock: it would wait for itself, or get the lock twice.
    """
    task, held = asyncio.current_task(), database.advisory_locks_held
    if any(holder is task and (not shared or not together) for holder, together in held.get(name, ())):
        raise LockNotAvailable(f"the advisory lock {name!r} cannot become free: the task that wants it has it")
    entry = (task, shared)
    held.setdefault(name, []).append(entry)
    try:
        yield
    finally:
        held[name].remove(entry)
        if not held[name]:
            del held[name]


@contextlib.asynccontextmanager
async def _locked(database: Database, name: str, timeout: float | None, shared: bool) -> AsyncIterator[None]:
    backend = database._backend
    backend.dialect.check("advisory_lock", *(["shared_advisory_lock"] if shared else ()))
    statements = backend.lock_statements(name, timeout, shared)
    if statements is None:
        release = await _poll(lambda: backend.try_lock(name, shared), name, timeout)
        try:
            yield
        finally:
            release()
        return
    async with Checkout(database) as checkout:
        managed = database.connection()._connection
        managed.dirty = True  # a lock that could not be released ends when the connection is reset or closed
        try:
            await _acquire(checkout, statements, name, timeout)
            yield
        finally:
            if managed.ended_by is None and backend.is_open(checkout.raw):
                await managed.run_to_end(_release(checkout, statements))


async def _acquire(checkout: Checkout, statements: LockStatements, name: str, timeout: float | None) -> None:
    held: Any = False
    for statement in statements.before:
        await checkout.fetch(*statement)
    try:
        ((held,),) = await checkout.fetch(*statements.acquire)
    except LockNotAvailable as error:
        raise _not_available(name, timeout) from error
    finally:
        for statement in statements.after:
            await checkout.fetch(*statement)
    if not held:
        raise _not_available(name, timeout)


async def _release(checkout: Checkout, statements: LockStatements) -> None:
    with contextlib.suppress(ConnectionLost):  # its locks have ended with it
        await checkout.fetch(*statements.release)


async def _poll(try_lock: Callable[[], Release | None], name: str, timeout: float | None) -> Release:
    loop = asyncio.get_running_loop()
    end = math.inf if timeout is None else loop.time() + timeout
    while (release := try_lock()) is None:
        if loop.time() >= end:
            raise _not_available(name, timeout)
        await asyncio.sleep(POLL_SECONDS)
    return release


def _not_available(name: str, timeout: float | None) -> LockNotAvailable:
    return LockNotAvailable(f"the advisory lock {name!r} did not become free within {timeout or 0:g} seconds")
