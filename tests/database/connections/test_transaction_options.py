"""The options of transactions: timeout, durable and retries; on_rollback, set_rollback and orm.atomic."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import sys
from collections.abc import Callable
from typing import Any

import databases
import pytest

import orm
from orm.database.connections import repeating
from orm.database.connections.database import Database
from orm.exceptions import (
    CommitUnknown,
    ConnectionLost,
    Deadlock,
    LockNotAvailable,
    NotSupportedError,
    QueryError,
    SerializationFailure,
    TransactionError,
    TransactionTimeout,
    UniqueViolation,
)
from tests.database.notes_table import add_note, create_notes, execute, fetch, texts
from tests.waiting import LoopClock

pytestmark = pytest.mark.anyio


class Stop(Exception):
    """Raised by tests to leave a block."""


SLOW = {
    "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT COUNT(*) FROM c",
    "postgresql": "SELECT pg_sleep(30)",
    "mysql": "SELECT SLEEP(30)",
}


# timeout


@pytest.mark.parametrize("way", ["query", "sleep"])
async def test_timeout_ends_the_block_and_rolls_it_back(database: Database, way: str) -> None:
    await create_notes(database)
    with pytest.raises(TransactionTimeout, match=r"timeout of 0\.2 seconds") as info:
        async with database.transaction(timeout=0.2):
            await add_note(database, "lost")
            await (fetch(database, SLOW[database.url.dialect]) if way == "query" else asyncio.sleep(30))
    assert isinstance(info.value, asyncio.TimeoutError) and not info.value.retryable
    assert await texts(database) == []
    task = asyncio.current_task()
    assert task is not None and (sys.version_info < (3, 11) or task.cancelling() == 0)


async def test_timeout_of_a_savepoint_leaves_the_transaction_usable(database: Database) -> None:
    await create_notes(database)
    async with database.transaction(timeout=30):
        await add_note(database, "before")
        with pytest.raises(TransactionTimeout):
            async with database.transaction(timeout=0.1):
                await add_note(database, "lost")
                await asyncio.sleep(30)
        await add_note(database, "after")
    assert await texts(database) == ["before", "after"]


async def test_timeout_that_does_not_pass_disturbs_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await create_notes(database)
    async with database.transaction(timeout=60):
        await add_note(database, "kept")
    await LoopClock(monkeypatch).put_forward(61)
    assert await texts(database) == ["kept"]


async def test_block_that_goes_on_after_its_timeout_is_rolled_back(database: Database) -> None:
    await create_notes(database)
    with pytest.raises(TransactionTimeout):
        async with database.transaction(timeout=0.1):
            await add_note(database, "lost")
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)
            await add_note(database, "lost, too")
    assert await texts(database) == []


async def test_error_of_a_block_is_its_own_although_the_timeout_has_passed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_notes(database)
    with pytest.raises(Stop):
        async with database.transaction(timeout=60):
            try:
                await LoopClock(monkeypatch).put_forward(61)
            except asyncio.CancelledError:
                raise Stop from None
    await asyncio.sleep(0)


async def test_cancellation_by_others_stays_a_cancellation(database: Database) -> None:
    await create_notes(database)

    async def work() -> None:
        async with database.transaction(timeout=30):
            await add_note(database, "lost")
            await asyncio.sleep(30)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(asyncio.TimeoutError) as info:
        await asyncio.wait_for(work(), 0.1)
    assert not isinstance(info.value, TransactionTimeout)
    assert await texts(database) == []


async def test_timeout_holds_while_the_transaction_waits_to_begin(sqlite_url: str) -> None:
    async with Database(sqlite_url) as database:
        await create_notes(database)
        has_begun, go_on = asyncio.Event(), asyncio.Event()

        async def block() -> None:
            async with database.transaction():
                has_begun.set()
                await go_on.wait()

        task = asyncio.create_task(block())
        await has_begun.wait()
        with pytest.raises(TransactionTimeout):
            async with database.transaction(timeout=0.1):
                pass
        go_on.set()
        await task
        await add_note(database, "kept")


@pytest.mark.parametrize("timeout", [0, -1, "5", True, float("nan"), float("inf")])
async def test_impossible_timeouts_are_refused(sqlite_url: str, timeout: Any) -> None:
    with pytest.raises(QueryError, match="seconds greater than 0"):
        Database(sqlite_url).transaction(timeout=timeout)


async def test_timeout_by_hand_is_refused(sqlite_url: str) -> None:
    async with Database(sqlite_url) as database:
        with pytest.raises(QueryError, match="by hand"):
            await database.transaction(timeout=1)


# durable


async def test_durable_transaction_is_never_inside_another(database: Database) -> None:
    await create_notes(database)

    @database.transaction(durable=True)
    async def add(text: str) -> None:
        await add_note(database, text)

    await add("kept")
    async with database.transaction(durable=True):
        await add_note(database, "kept, too")
    async with database.transaction():
        with pytest.raises(TransactionError, match="durable"):
            await add("lost")
        await add_note(database, "around")
        async with database.transaction():
            with pytest.raises(TransactionError, match="durable"):
                await add("lost")
        with pytest.raises(TransactionError, match="durable"):
            await asyncio.gather(add("of a task that is in it"))
    assert await texts(database) == ["kept", "kept, too", "around"]


@pytest.mark.parametrize("scope", ["database", "block"])
async def test_durable_transaction_is_allowed_in_what_a_test_rolls_back(database_url: str, scope: str) -> None:
    async with Database(database_url) as database:
        await create_notes(database)

        async def check() -> None:
            async with database.transaction(durable=True):
                await add_note(database, "lost in the end")
                with pytest.raises(TransactionError, match="durable"):
                    async with database.transaction(durable=True):
                        pass

        if scope == "block":
            async with database.transaction(force_rollback=True):
                await check()
        else:
            with database.force_rollback():
                async with database:
                    await check()
                    assert await texts(database) == ["lost in the end"]
        assert await texts(database) == []


# retries


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeating, "FIRST_WAIT_SECONDS", 0.0)


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("error", [Deadlock, SerializationFailure, LockNotAvailable])
async def test_function_is_repeated_with_nothing_of_the_failed_runs_kept(
    database: Database, error: type[orm.Error]
) -> None:
    await create_notes(database)
    runs: list[int] = []
    ran: list[str] = []

    @database.transaction(retries=3)
    async def work(text: str, *, fails: int) -> str:
        runs.append(len(runs))
        number = len(runs)
        await database.on_commit(lambda: ran.append(f"commit of {number}"))
        await database.on_rollback(lambda: ran.append(f"rollback of {number}"))
        await add_note(database, f"{text} {number}")
        if number <= fails:
            raise error("in its way")
        return "result"

    assert await work("run", fails=2) == "result"
    assert await texts(database) == ["run 3"]
    assert ran == ["rollback of 1", "rollback of 2", "commit of 3"]
    runs.clear()
    with pytest.raises(error):
        await work("again", fails=100)
    assert len(runs) == 4
    assert await texts(database) == ["run 3"]


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("error", [ConnectionLost, CommitUnknown, UniqueViolation, Stop, asyncio.CancelledError])
async def test_function_is_not_repeated_after_other_errors(sqlite_url: str, error: type[BaseException]) -> None:
    async with Database(sqlite_url) as database:
        runs: list[int] = []

        @database.transaction(retries=3)
        async def work() -> None:
            runs.append(1)
            raise error("not to be repeated")

        with pytest.raises(error):
            await work()
        assert runs == [1]


@pytest.mark.usefixtures("no_waits")
async def test_function_is_not_repeated_inside_another_transaction_or_after_its_commit(database: Database) -> None:
    await create_notes(database)
    runs: list[str] = []

    @database.transaction(retries=3)
    async def inner() -> None:
        runs.append("inner")
        raise Deadlock("in its way")

    with pytest.raises(Deadlock):
        async with database.transaction():
            await inner()
    assert runs == ["inner"]

    @database.transaction(retries=3)
    async def outer() -> None:
        await add_note(database, f"note {len(runs)}")
        await database.on_commit(inner_of_commit)

    def inner_of_commit() -> None:
        runs.append("after the commit")
        raise Deadlock("in the way of what comes after the commit")

    with pytest.raises(Deadlock):
        await outer()
    assert runs == ["inner", "after the commit"]
    assert await texts(database) == ["note 1"]


@pytest.mark.usefixtures("no_waits")
async def test_outermost_function_is_repeated_with_inner_ones_in_it(database: Database) -> None:
    await create_notes(database)
    runs: list[str] = []

    @database.transaction(retries=5)
    async def inner() -> None:
        runs.append("inner")
        if len(runs) < 4:
            raise SerializationFailure("in its way")
        await add_note(database, "kept")

    @database.transaction(retries=5)
    async def outer() -> None:
        runs.append("outer")
        await inner()

    await outer()
    assert runs == ["outer", "inner", "outer", "inner"]
    assert await texts(database) == ["kept"]


@pytest.mark.usefixtures("no_waits")
async def test_function_is_repeated_in_a_scope_of_tests(database: Database) -> None:
    await create_notes(database)
    with database.force_rollback():
        async with database:
            runs: list[int] = []

            @database.transaction(retries=2)
            async def work() -> None:
                runs.append(1)
                await add_note(database, f"run {len(runs)}")
                if len(runs) < 2:
                    raise SerializationFailure("in its way")

            await work()
            assert await texts(database) == ["run 2"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups are of Python 3.11")
@pytest.mark.usefixtures("no_waits")
async def test_function_is_repeated_after_the_errors_of_a_task_group(database: Database) -> None:
    await create_notes(database)
    runs: list[int] = []

    @database.transaction(retries=2)
    async def work() -> None:
        runs.append(1)

        async def part() -> None:
            await add_note(database, f"run {len(runs)}")
            if len(runs) < 2:
                raise SerializationFailure("in its way")

        async with asyncio.TaskGroup() as group:
            group.create_task(part())

    await work()
    assert await texts(database) == ["run 2"]


async def cross(database: Database, work: Callable[..., Any]) -> None:
    """Two transactions that take the locks of two rows in opposite orders, the first time that they run."""
    meeting: dict[int, asyncio.Event] = {1: asyncio.Event(), 2: asyncio.Event()}
    await asyncio.wait_for(asyncio.gather(work(1, 2, meeting[1], meeting[2]), work(2, 1, meeting[2], meeting[1])), 30)


@pytest.mark.parametrize("caught", [False, True], ids=["raised", "caught"])
@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
async def test_real_deadlock_is_run_again(database: Database, nested: bool, caught: bool) -> None:
    if database.url.dialect == "sqlite":
        pytest.skip("SQLite has one writer")
    await create_notes(database, 2)
    runs: list[int] = []

    async def add_one(key: int) -> None:
        await execute(database, "UPDATE notes SET views = views + 1 WHERE id = ?", key)

    @database.transaction(retries=5)
    async def work(first: int, second: int, mine: asyncio.Event, other: asyncio.Event) -> None:
        runs.append(first)
        await add_one(first)
        mine.set()
        await other.wait()
        try:
            if nested:
                async with database.transaction():
                    await add_one(second)
            else:
                await add_one(second)
        except Deadlock:
            if not caught or database.url.dialect == "postgresql":  # there the transaction goes on, or is broken
                raise
        await fetch(database, "SELECT 1")

    await cross(database, work)
    assert len(runs) == 3
    assert await fetch(database, "SELECT views FROM notes ORDER BY id") == [(3,), (4,)]


async def test_real_serialization_failure_is_run_again(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        await create_notes(database, 1)
        runs: list[int] = []

        @database.transaction(isolation="serializable", retries=5)
        async def add_one(mine: asyncio.Event, other: asyncio.Event) -> None:
            runs.append(1)
            ((views,),) = await fetch(database, "SELECT views FROM notes")
            mine.set()
            await other.wait()
            await execute(database, "UPDATE notes SET views = ?", views + 1)

        one, two = asyncio.Event(), asyncio.Event()
        await asyncio.gather(add_one(one, two), add_one(two, one))
        assert len(runs) == 3
        assert await fetch(database, "SELECT views FROM notes") == [(3,)]


async def test_busy_sqlite_file_is_tried_again(sqlite_url: str) -> None:
    async with Database(sqlite_url, timeout=0.1) as database:
        await create_notes(database)
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        runs: list[int] = []

        @database.transaction(retries=300)
        async def work() -> None:
            runs.append(1)
            await add_note(database, "kept")

        task = asyncio.create_task(work())
        await asyncio.sleep(0.5)
        other.execute("ROLLBACK")
        other.close()
        await task
        assert await texts(database) == ["kept"] and runs == [1]


async def test_retries_of_a_block_are_refused(sqlite_url: str) -> None:
    async with Database(sqlite_url) as database:
        with pytest.raises(QueryError, match="decorate a function"):
            async with database.transaction(retries=3):
                pass
        with pytest.raises(QueryError, match="decorate a function"):
            await database.transaction(retries=3)
        for retries in (-1, 1.5, "3", True):
            with pytest.raises(QueryError, match="whole number"):
                database.transaction(retries=retries)


async def test_decorating_what_cannot_be_awaited_is_refused(database: Database) -> None:
    async def rows() -> Any:
        yield 1

    def numbers() -> Any:
        yield 1

    for func in (rows, numbers, Database):
        with pytest.raises(QueryError, match=r"decorates async functions, and .* is a (generator function|class)"):
            database.transaction()(func)
    await create_notes(database)

    @database.transaction()
    def add() -> int:
        return 1

    with pytest.raises(QueryError, match="returned int instead of something to await"):
        await add()  # type: ignore[misc]
    assert await database.transaction()(lambda: texts(database))() == []


# on_rollback and set_rollback


async def test_on_rollback_functions_run_after_the_outermost_end(database: Database) -> None:
    await create_notes(database)
    ran: list[str] = []

    async def undo(name: str) -> None:
        ran.append(f"{name}, of {len(await texts(database))}")

    async def register(name: str) -> None:
        await database.on_rollback(lambda: undo(name))

    await register("outside")
    async with database.transaction():
        await add_note(database, "kept")
        await register("outer, kept")
        for number in range(2):
            with pytest.raises(Stop):
                async with database.transaction():
                    await register(f"inner {number}, lost")
                    async with database.transaction():
                        await register(f"innermost {number}, lost")
                    raise Stop
        async with database.transaction():
            await register("inner, kept")
        assert ran == []
    assert ran == [f"{name} {number}, lost, of 1" for number in range(2) for name in ("inner", "innermost")]
    ran.clear()
    with pytest.raises(Stop):
        async with database.transaction() as outer:
            await register("one")
            async with database.transaction():
                await register("two")
                await outer.on_rollback(lambda: undo("three"))
            raise Stop
    assert ran == ["one, of 1", "two, of 1", "three, of 1"]
    with pytest.raises(TransactionError):
        await outer.on_rollback(print)
    for wrong in (undo("a coroutine"), "no function"):
        with pytest.raises(QueryError, match="on_rollback"):
            await database.on_rollback(wrong)  # type: ignore[arg-type]
        if asyncio.iscoroutine(wrong):
            wrong.close()


async def test_on_rollback_functions_of_a_commit_that_fails_run(database_url: str) -> None:
    async with Database(database_url) as database:
        await create_notes(database)
        if database.url.dialect == "mysql":
            pytest.skip("MySQL has no deferred constraints")
        await execute(
            database,
            "CREATE TABLE remarks (note INTEGER,"
            " FOREIGN KEY (note) REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)",
        )
        ran: list[str] = []
        with pytest.raises(orm.ForeignKeyViolation):
            async with database.transaction():
                await database.on_rollback(lambda: ran.append("undone"))
                await database.on_commit(lambda: ran.append("done"))
                await execute(database, "INSERT INTO remarks (note) VALUES (7)")
        assert ran == ["undone"]


async def test_errors_of_on_rollback_functions_are_logged(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    ran: list[str] = []

    def fails() -> None:
        raise KeyError("of the function")

    with caplog.at_level(logging.ERROR, "orm.transactions"), pytest.raises(Stop):
        async with database.transaction():
            await database.on_rollback(fails)
            await database.on_rollback(lambda: ran.append("second"))
            raise Stop
    assert ran == ["second"]
    assert "fails, which on_rollback() was given, failed" in caplog.text


async def test_on_rollback_functions_in_a_scope_of_tests(database: Database) -> None:
    ran: list[str] = []
    with database.force_rollback():
        async with database:
            async with database.transaction():
                await database.on_rollback(lambda: ran.append("of a block that the program committed"))
            with pytest.raises(Stop):
                async with database.transaction():
                    await database.on_rollback(lambda: ran.append("of a block that failed"))
                    raise Stop
            assert ran == ["of a block that failed"]
    assert ran == ["of a block that failed"]


async def test_set_rollback_rolls_the_innermost_block_back_without_an_error(database: Database) -> None:
    await create_notes(database)
    ran: list[str] = []
    async with database.transaction():
        await add_note(database, "outer")
        async with database.transaction():
            await add_note(database, "inner, lost")
            await database.on_commit(lambda: ran.append("inner"))
            database.set_rollback(True)
            await add_note(database, "inner, lost, too")
        async with database.transaction():
            await add_note(database, "inner, kept")
            database.set_rollback(True)
            database.set_rollback(False)
    assert await texts(database) == ["outer", "inner, kept"]
    assert ran == []

    @database.transaction()
    async def work() -> str:
        await add_note(database, "lost")
        database.set_rollback(True)
        return "result"

    assert await work() == "result"
    assert await texts(database) == ["outer", "inner, kept"]
    with pytest.raises(TransactionError, match="inside a transaction"):
        database.set_rollback(True)
    transaction = await database.transaction()
    database.set_rollback(True)
    with pytest.raises(TransactionError, match="set_rollback"):
        await transaction.commit()
    await transaction.rollback()


# orm.atomic


async def test_atomic_takes_a_database_or_a_registry_and_the_options(database: Database) -> None:
    await create_notes(database)
    models = orm.ModelRegistry()

    @orm.atomic(models, retries=1)
    async def add(text: str, fail: bool = False) -> None:
        await add_note(database, text)
        if fail:
            raise Stop

    models.database = database  # after the decoration
    await add("kept")
    with pytest.raises(Stop):
        await add("lost", fail=True)
    async with orm.atomic(database, isolation="serializable"):
        with pytest.raises(TransactionError):
            async with orm.atomic(database, durable=True):
                pass
    async with orm.atomic(models, force_rollback=True):
        await add_note(database, "lost")
    assert await texts(database) == ["kept"]


async def test_atomic_without_an_orm_database_says_what_it_needs(sqlite_url: str) -> None:
    async def function() -> None:
        pass

    for wrong in (None, function, "default"):
        with pytest.raises(QueryError, match="takes the database"):
            orm.atomic(wrong)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="savepoint"):
        orm.atomic(Database(sqlite_url), savepoint=False)
    with pytest.raises(NotSupportedError, match=r"orm\.Database"):
        async with orm.atomic(orm.ModelRegistry(database=databases.Database(sqlite_url))):
            pass


# Begun by hand, and forgotten


async def test_inner_transaction_that_was_forgotten_is_named_by_its_line(database: Database) -> None:
    await create_notes(database)
    with pytest.raises(
        TransactionError, match=r"test_transaction_options\.py:\d+ in .*await database\.transaction\(\)"
    ):
        async with database.transaction():
            await add_note(database, "lost")
            await database.transaction()
    assert await texts(database) == []
    await add_note(database, "kept")


async def test_transaction_that_was_forgotten_is_named_when_its_database_closes(database_url: str) -> None:
    async with Database(database_url) as database:
        await create_notes(database)
        ended = await database.transaction()
        await ended.commit()
        await database.transaction()
        await add_note(database, "lost")

        async def forget() -> None:
            await database.transaction()

        if database.url.dialect != "sqlite":  # which has one writer
            with database.detached():
                await asyncio.create_task(forget())
        with pytest.warns(RuntimeWarning, match="begun by hand") as warned:
            await database.disconnect()
        assert {warning.filename for warning in warned} == {__file__}
        assert len({warning.lineno for warning in warned}) == (1 if database.url.dialect == "sqlite" else 2)
    async with Database(database_url) as database:
        assert await texts(database) == []
