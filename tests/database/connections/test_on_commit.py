"""Functions registered with `on_commit()`: when they run, in which order, and what happens if one fails."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable

import pytest

from orm.database.connections.checkout import Checkout
from orm.database.connections.database import Database
from orm.exceptions import ConnectionLost, ForeignKeyViolation, IntegrityError, QueryError, TransactionError
from tests.database.connections.test_transactions import Stop
from tests.database.notes_table import add_note, create_notes, execute, fetch, texts

pytestmark = pytest.mark.anyio


def told(seen: list[str], name: str) -> Callable[[], None]:
    """A function that notes that it has run."""
    return functools.partial(seen.append, name)


def failing() -> None:
    """A function that fails."""
    raise Stop("a secret")


async def test_functions_run_in_order_after_the_outermost_commit(database: Database) -> None:
    await create_notes(database)
    seen: list[object] = []
    other = Database(database.url)

    async def look() -> None:
        async with Checkout(database) as checkout:
            seen.append(checkout.in_transaction)
        seen.append(await texts(other))

    async with other, database.transaction():
        await database.on_commit(look)
        await database.on_commit(lambda: seen.append("a function"))
        await database.on_commit(lambda: add_note(database, "three"))
        await add_note(database, "one")
        async with database.transaction():
            await database.on_commit(lambda: seen.append("in the savepoint"))
            await add_note(database, "two")
        await database.on_commit(lambda: seen.append("last"))
        assert seen == []
    assert seen == [False, ["one", "two"], "a function", "in the savepoint", "last"]
    assert await texts(database) == ["one", "two", "three"]


async def test_outside_of_transactions_functions_run_at_once(database: Database) -> None:
    await create_notes(database)
    seen: list[str] = []
    await database.on_commit(told(seen, "function"))
    assert seen == ["function"]
    await database.on_commit(lambda: add_note(database, "awaited"))
    assert await texts(database) == ["awaited"]
    with pytest.raises(Stop):
        await database.on_commit(failing)
    async with database.connection():  # a connection of the task's own is no transaction yet
        await database.on_commit(told(seen, "on a connection"))
        assert seen == ["function", "on a connection"]


async def test_on_commit_before_connecting_runs_functions_at_once(database_url: str) -> None:
    database, seen = Database(database_url), list[str]()
    await database.on_commit(told(seen, "at once"))
    assert seen == ["at once"]
    assert not database.is_connected


async def test_functions_of_a_rolled_back_block_do_not_run(database: Database) -> None:
    seen: list[str] = []
    with pytest.raises(Stop):
        async with database.transaction():
            await database.on_commit(told(seen, "outer"))
            async with database.transaction():
                await database.on_commit(told(seen, "inner, kept"))
            raise Stop
    async with database.transaction():
        pass
    assert seen == []


async def test_functions_of_a_rolled_back_savepoint_do_not_run(database: Database) -> None:
    await create_notes(database, 1)
    seen: list[str] = []
    async with database.transaction():
        await database.on_commit(told(seen, "outer"))
        with pytest.raises(IntegrityError):
            async with database.transaction():
                await database.on_commit(told(seen, "inner"))
                async with database.transaction():
                    await database.on_commit(told(seen, "innermost, kept in what is rolled back"))
                await add_note(database, "note 1")
        async with database.transaction():
            await database.on_commit(told(seen, "inner, kept"))
            with pytest.raises(Stop):
                async with database.transaction():
                    await database.on_commit(told(seen, "innermost, lost"))
                    raise Stop
        await database.on_commit(told(seen, "outer again"))
    assert seen == ["outer", "inner, kept", "outer again"]


async def test_functions_of_a_force_rollback_transaction_do_not_run(database: Database) -> None:
    seen: list[str] = []
    async with database.transaction(force_rollback=True):
        await database.on_commit(told(seen, "outermost"))
    async with database.transaction(), database.transaction(force_rollback=True):
        await database.on_commit(told(seen, "savepoint"))
    assert seen == []


async def test_functions_in_a_force_rollback_scope_do_not_run(database_url: str) -> None:
    database, seen = Database(database_url, force_rollback=True), list[str]()
    await database.on_commit(told(seen, "the first use"))
    assert database.is_connected
    await database.on_commit(told(seen, "outside of blocks"))

    async def work(name: str) -> None:
        async with database.transaction():
            await database.on_commit(told(seen, name))
            await fetch(database, "SELECT 1")

    await asyncio.gather(work("one task"), work("another"))
    await database.disconnect()
    assert seen == []
    async with Database(database_url) as database:
        with database.force_rollback():
            async with database:
                await database.on_commit(told(seen, "in the scope"))
        assert seen == []
        await database.on_commit(told(seen, "after it"))
    assert seen == ["after it"]


async def test_functions_of_a_cancelled_transaction_do_not_run(database: Database) -> None:
    await create_notes(database)
    seen: list[str] = []
    begun = asyncio.Event()

    async def work() -> None:
        async with database.transaction():
            await database.on_commit(told(seen, "cancelled"))
            await add_note(database, "lost")
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.wait_for(begun.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == []
    assert await texts(database) == []


async def test_functions_do_not_run_after_a_failed_commit(database: Database) -> None:
    await create_notes(database, 1)
    seen: list[str] = []
    with pytest.raises((ForeignKeyViolation, ConnectionLost)):
        async with database.transaction():
            await database.on_commit(told(seen, "lost"))
            await add_note(database, "lost")
            await spoil_the_commit(database)
    assert seen == []
    assert await texts(database) == ["note 1"]


async def spoil_the_commit(database: Database) -> None:
    """Let COMMIT be what fails in the current transaction."""
    if database.url.dialect == "mysql":  # which has no constraints that wait for it
        [(number,)] = await fetch(database, "SELECT CONNECTION_ID()")
        async with Database(database.url) as other:
            await execute(other, f"KILL {number}")
        return
    await execute(
        database,
        "CREATE TABLE remarks (note INTEGER, FOREIGN KEY (note) REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)",
    )
    await execute(database, "INSERT INTO remarks (note) VALUES (7)")


async def test_functions_of_a_broken_transaction_do_not_run(postgresql_url: str) -> None:
    seen: list[str] = []
    async with Database(postgresql_url) as database:
        await create_notes(database, 1)
        with pytest.raises(TransactionError, match="rolled back"):
            async with database.transaction():
                await database.on_commit(told(seen, "outermost"))
                with pytest.raises(IntegrityError):
                    await add_note(database, "note 1")
        async with database.transaction():
            with pytest.raises(TransactionError):
                async with database.transaction():
                    await database.on_commit(told(seen, "savepoint"))
                    with pytest.raises(IntegrityError):
                        await add_note(database, "note 1")
    assert seen == []


async def test_failing_function_raises_from_the_block_and_the_commit_stays(database: Database) -> None:
    await create_notes(database)
    seen: list[str] = []
    with pytest.raises(Stop):
        async with database.transaction():
            await add_note(database, "kept")
            async with database.transaction():
                await database.on_commit(told(seen, "before"))
                await database.on_commit(failing)
            await database.on_commit(told(seen, "after"))
    assert seen == ["before"]
    assert await texts(database) == ["kept"]
    async with database.transaction():
        await database.on_commit(told(seen, "next"))
    assert seen == ["before", "next"]


async def test_failing_robust_function_is_logged_and_the_others_run(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    async def later() -> None:
        await asyncio.sleep(0)
        raise Stop

    async with database.transaction():
        await database.on_commit(failing, robust=True)
        await database.on_commit(later, robust=True)
        await database.on_commit(functools.partial(int, "a secret"), robust=True)
        await database.on_commit(told(seen, "after"), robust=True)
    await database.on_commit(failing, robust=True)
    assert seen == ["after"]
    records = [record for record in caplog.records if record.name == "orm.transactions"]
    names = ["failing", "later", "int", "failing"]
    assert [record.getMessage().partition(",")[0].rpartition(".")[2] for record in records] == names
    assert {record.levelno for record in records} == {logging.ERROR}
    assert all(record.exc_info is not None for record in records)
    assert not any("secret" in record.getMessage() for record in records)


async def test_robust_function_can_be_cancelled(database: Database) -> None:
    seen: list[str] = []
    waiting = asyncio.Event()

    async def wait() -> None:
        waiting.set()
        await asyncio.Event().wait()

    async def work() -> None:
        async with database.transaction():
            await database.on_commit(wait, robust=True)
            await database.on_commit(told(seen, "after"))

    task = asyncio.create_task(work())
    await asyncio.wait_for(waiting.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == []


async def test_function_registered_by_a_running_one_runs(database: Database) -> None:
    seen: list[str] = []

    async def register() -> None:
        seen.append("begins")
        await database.on_commit(told(seen, "at once"))
        async with database.transaction():
            await database.on_commit(told(seen, "after its own block"))
            seen.append("in its own block")
        seen.append("ends")

    async with database.transaction():
        await database.on_commit(register)
        await database.on_commit(told(seen, "after"))
    assert seen == ["begins", "at once", "in its own block", "after its own block", "ends", "after"]


async def test_on_commit_in_transactions_by_hand_and_as_a_decorator(database: Database) -> None:
    seen: list[str] = []
    transaction = await database.transaction()
    await database.on_commit(told(seen, "by hand"))
    await transaction.commit()
    transaction = await database.transaction()
    await database.on_commit(told(seen, "rolled back by hand"))
    await transaction.rollback()
    assert seen == ["by hand"]

    @database.transaction()
    async def work(name: str, fail: bool) -> None:
        await database.on_commit(told(seen, name))
        await fetch(database, "SELECT 1")
        if fail:
            raise Stop

    await asyncio.gather(*(work(f"call {n}", n % 2 == 0) for n in range(4)), return_exceptions=True)
    assert sorted(seen[1:]) == ["call 1", "call 3"]


async def test_transaction_begun_twice_keeps_its_functions_apart(database: Database) -> None:
    seen: list[str] = []
    transaction = database.transaction()
    with pytest.raises(Stop):
        async with transaction:
            await database.on_commit(told(seen, "rolled back"))
            raise Stop
    for name in ("first", "second"):
        async with transaction:
            await database.on_commit(told(seen, name))
    assert seen == ["first", "second"]


async def test_on_commit_of_a_transaction_object_registers_there(database: Database) -> None:
    seen: list[str] = []
    async with database.transaction() as outer:
        with pytest.raises(Stop):
            async with database.transaction() as inner:
                await inner.on_commit(told(seen, "the inner one's"))
                await outer.on_commit(told(seen, "the outer one's"))
                raise Stop
        async with database.transaction() as inner:
            await inner.on_commit(told(seen, "first"))
            await outer.on_commit(told(seen, "second"))
            await inner.on_commit(told(seen, "third"))
    assert seen == ["the outer one's", "first", "second", "third"]
    with pytest.raises(TransactionError, match="not begun, or is over"):
        await outer.on_commit(told(seen, "too late"))
    with pytest.raises(TransactionError, match="not begun, or is over"):
        await database.transaction().on_commit(told(seen, "too early"))


async def test_on_commit_of_a_detached_task_runs_at_once(database: Database) -> None:
    seen: list[str] = []

    async def other(transaction_of_its_parent: Callable[[Callable[[], object]], Awaitable[None]]) -> None:
        await database.on_commit(told(seen, "at once"))
        await transaction_of_its_parent(told(seen, "after the commit"))

    async with database.transaction() as transaction:
        with database.detached():
            task = asyncio.create_task(other(transaction.on_commit))
        await task
        assert seen == ["at once"]
    assert seen == ["at once", "after the commit"]


async def test_on_commit_refuses_what_is_not_callable(database: Database) -> None:
    async def later() -> None:
        """Never runs."""

    coroutine = later()
    try:
        async with database.transaction() as transaction:
            with pytest.raises(QueryError, match=r"on_commit\(later\)"):
                await database.on_commit(coroutine)  # type: ignore[arg-type]
            with pytest.raises(QueryError, match="not a value of type str"):
                await transaction.on_commit("later")  # type: ignore[arg-type]
    finally:
        coroutine.close()
    with pytest.raises(QueryError, match="not a value of type NoneType"):
        await database.on_commit(None)  # type: ignore[arg-type]
