"""Tasks that are started inside a transaction are in it: their statements take turns on its connection."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import databases
import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

import orm
from orm.database.connections import turns
from orm.database.connections.database import Database
from orm.exceptions import InterfaceError, LockNotAvailable, TransactionError, UniqueViolation
from tests.database.notes_table import add_note, create_notes, execute, fetch, texts
from tests.waiting import LoopClock

pytestmark = pytest.mark.anyio

models = orm.ModelRegistry()


class Author(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50, unique=True)


class Book(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    author = orm.ForeignKey(Author, on_delete=orm.CASCADE, related_name="books")
    title = orm.String(max_length=50)


class Stop(Exception):
    """Raised by tests to leave a block."""


@pytest.fixture
async def notes(database: Database) -> Database:
    """A database with the empty table `notes`."""
    await create_notes(database)
    return database


@pytest.fixture
async def library(database: Database) -> Database:
    """A database with the tables of the models."""
    models.database = database
    await models.create_all()
    return database


# How tasks are started.


async def by_gather(*calls: Awaitable[object]) -> None:
    await asyncio.gather(*calls)


async def by_task_group(*calls: Awaitable[object]) -> None:
    async with anyio.create_task_group() as group:
        for call in calls:
            group.start_soon(lambda call: call, call)


async def by_asyncio_task_group(*calls: Awaitable[object]) -> None:
    async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined,unused-ignore]  # Python 3.11
        for call in calls:
            group.create_task(call)  # type: ignore[arg-type,unused-ignore]


async def by_wait_for(*calls: Awaitable[object]) -> None:
    for call in calls:
        await asyncio.wait_for(call, 10)


async def by_nested_tasks(*calls: Awaitable[object]) -> None:
    async def start(*rest: Awaitable[object]) -> None:
        if rest:
            await asyncio.gather(rest[0], asyncio.ensure_future(start(*rest[1:])))

    await asyncio.create_task(start(*calls))


STARTERS = [by_gather, by_task_group, by_wait_for, by_nested_tasks]
if sys.version_info >= (3, 11):
    STARTERS.append(by_asyncio_task_group)


@pytest.mark.parametrize("start", STARTERS)
async def test_tasks_are_in_the_transaction_that_they_were_started_in(
    notes: Database, start: Callable[..., Awaitable[None]]
) -> None:
    with pytest.raises(Stop):
        async with notes.transaction():
            await add_note(notes, "first")
            await start(*(add_note(notes, f"task {i}") for i in range(4)))
            assert len(await texts(notes)) == 5
            raise Stop
    assert await texts(notes) == []
    async with notes.transaction():
        await start(*(add_note(notes, f"task {i}") for i in range(4)))
    assert sorted(await texts(notes)) == [f"task {i}" for i in range(4)]


async def test_tasks_see_rows_that_are_not_committed(library: Database) -> None:
    async with library.transaction():
        author = await Author.objects.create(name="Woolf")
        await asyncio.gather(*(Book.objects.create(author=author, title=f"{i}") for i in range(3)))
        counts = await asyncio.gather(Author.objects.count(), Book.objects.count())
    assert counts == [1, 3]


async def test_joined_tasks_may_be_the_first_that_use_a_database(library: Database) -> None:
    async with Database(library.url) as fresh:
        models.database = fresh  # the server has not been asked for its kind
        async with fresh.transaction():
            assert await asyncio.gather(*(Author.objects.count() for _ in range(5))) == [0] * 5


async def test_every_way_to_read_and_write_is_in_the_transaction(library: Database) -> None:
    async def stream() -> list[str]:
        return [book.title async for book in Book.objects.order_by("id")]

    async def savepoint() -> None:
        async with library.transaction():
            author = await Author.objects.get(name="Woolf")
            await Book.objects.create(author=author, title="in a savepoint")

    with pytest.raises(Stop):
        async with library.transaction():
            author = await Author.objects.create(name="Woolf")
            await asyncio.gather(
                Book.objects.create(author=author, title="created"),
                Book.objects.bulk_create([Book(author=author, title=f"bulk {i}") for i in range(3)]),
                Author.objects.get_or_create(name="Mann"),
                savepoint(),
                library.execute(f"INSERT INTO book (author, title) VALUES ({author.id}, 'by SQL')"),
            )
            titles, [loaded], [graph], raw, count, locked = await asyncio.gather(
                stream(),
                Author.objects.filter(name="Woolf").prefetch_related("books"),
                Author.objects.filter(name="Woolf").graph("books"),
                Book.raw("SELECT * FROM book"),
                library.fetch_val("SELECT COUNT(*) FROM book"),
                Book.objects.select_for_update().count(),
            )
            assert sorted(titles) == ["bulk 0", "bulk 1", "bulk 2", "by SQL", "created", "in a savepoint"]
            assert len(loaded.books) == len(graph.books) == len(raw) == count == locked == 6
            raise Stop
    assert await Author.objects.count() == await Book.objects.count() == 0


async def test_rows_can_be_locked_by_a_joined_task(library: Database) -> None:
    await Author.objects.create(name="Woolf")
    async with library.transaction():
        [authors] = await asyncio.gather(Author.objects.select_for_update().filter(name="Woolf"))
        assert [author.name for author in authors] == ["Woolf"]


async def test_on_commit_of_a_joined_task_runs_after_the_commit(notes: Database) -> None:
    seen: list[str] = []

    async def work(name: str, fail: bool) -> None:
        async with notes.transaction():
            await notes.on_commit(lambda: seen.append(name))
            if fail:
                raise Stop

    async with notes.transaction():
        await asyncio.gather(notes.on_commit(lambda: seen.append("joined")))
        await asyncio.gather(*(work(f"{i}", i == 1) for i in range(3)), return_exceptions=True)
        assert seen == []
    assert seen == ["joined", "0", "2"]


@pytest.fixture
async def rolled_back(notes: Database) -> AsyncIterator[Database]:
    """A database in a transaction that is rolled back."""
    async with notes.transaction(force_rollback=True):
        yield notes
    assert await texts(notes) == []


async def test_a_test_is_in_the_transaction_of_its_fixture(rolled_back: Database) -> None:
    await asyncio.gather(add_note(rolled_back, "one"), add_note(rolled_back, "two"))
    await add_note(rolled_back, "three")
    assert len(await texts(rolled_back)) == 3


async def test_a_transaction_in_a_generator_that_another_task_closes(notes: Database) -> None:
    async def generate() -> AsyncIterator[int]:
        async with notes.transaction():
            await add_note(notes, "lost")
            yield 1

    generator = generate()
    assert await generator.__anext__() == 1
    await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]
    await add_note(notes, "kept")
    assert await texts(notes) == ["kept"]


# Savepoints.


async def test_statements_of_other_tasks_wait_for_the_end_of_a_savepoint(notes: Database) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def savepoint() -> None:
        async with notes.transaction():
            await add_note(notes, "in the savepoint")
            began.set()
            await go_on.wait()
            await asyncio.gather(add_note(notes, "by a task of the savepoint"))
            raise Stop

    async def other() -> None:
        await began.wait()
        await add_note(notes, "by another task")

    async with notes.transaction():
        tasks = [asyncio.create_task(savepoint()), asyncio.create_task(other())]
        await began.wait()
        done, _ = await asyncio.wait(tasks[1:], timeout=0.05)
        assert not done
        go_on.set()
        assert [type(result) for result in await asyncio.gather(*tasks, return_exceptions=True)] == [Stop, type(None)]
        assert await texts(notes) == ["by another task"]
    assert await texts(notes) == ["by another task"]


async def test_savepoints_of_many_tasks_follow_one_another(notes: Database) -> None:
    async def work(number: int, depth: int = 2) -> None:
        async with notes.transaction():
            await add_note(notes, f"{number}, {depth}")
            await asyncio.sleep(0)
            if depth:
                await asyncio.gather(work(number, depth - 1), add_note(notes, f"{number}, {depth}, task"))
            if number % 3 == 1:
                raise Stop

    async with notes.transaction():
        results = await asyncio.gather(*(work(i) for i in range(9)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), Stop, type(None)] * 3
    kept = {f"{i}, {depth}{task}" for i in range(9) if i % 3 != 1 for depth in range(3) for task in ("", ", task")}
    assert set(await texts(notes)) == kept - {f"{i}, 0, task" for i in range(9)}


async def test_a_commit_waits_for_a_savepoint_of_another_task(notes: Database) -> None:
    began = asyncio.Event()

    async def savepoint() -> None:
        async with notes.transaction():
            await add_note(notes, "one")
            began.set()
            await asyncio.sleep(0.05)
            await add_note(notes, "two")

    async with notes.transaction():
        task = asyncio.create_task(savepoint())
        await began.wait()
    assert task.done()
    await task
    assert await texts(notes) == ["one", "two"]


async def test_a_rollback_does_not_wait_for_a_savepoint_of_another_task(notes: Database) -> None:
    began, rolled_back = asyncio.Event(), asyncio.Event()

    async def savepoint(wait: bool) -> None:
        async with notes.transaction():
            await add_note(notes, "one")
            began.set()
            await rolled_back.wait()
            with pytest.raises(TransactionError, match="rolled back"):
                await add_note(notes, "two")
            with pytest.raises(TransactionError, match="rolled back"):
                await asyncio.gather(notes.execute("INSERT INTO notes (text) VALUES ('three')"))
            with pytest.raises(TransactionError, match="rolled back"):
                await notes.transaction()
        await add_note(notes, "never")

    with pytest.raises(Stop):
        async with notes.transaction():
            task = asyncio.create_task(savepoint(True))
            await began.wait()
            raise Stop
    rolled_back.set()
    with pytest.raises(TransactionError, match="rolled back"):
        await task
    assert await texts(notes) == []


async def test_a_savepoint_in_which_nothing_happens_is_not_waited_for_for_ever(
    notes: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "SAVEPOINT_TIMEOUT", 0.2)
    began, over = asyncio.Event(), asyncio.Event()

    async def savepoint() -> None:
        async with notes.transaction():
            await add_note(notes, "one")
            began.set()
            await over.wait()

    # The owner of the transaction waits for the task, and the task for the owner.
    with pytest.raises(LockNotAvailable, match="savepoint"):
        async with notes.transaction():
            await add_note(notes, "zero")
            task = asyncio.create_task(savepoint())
            await began.wait()
            with pytest.raises(LockNotAvailable, match="savepoint"):
                await add_note(notes, "two")
    over.set()
    with pytest.raises(TransactionError):
        await task
    assert await texts(notes) == []


async def test_a_savepoint_in_use_is_waited_for_however_long_it_takes(
    notes: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = LoopClock(monkeypatch)
    began = asyncio.Event()

    async def savepoint() -> None:
        async with notes.transaction():
            for i in range(10):
                await add_note(notes, f"{i}")
                began.set()
                await asyncio.sleep(0.01)
                await clock.put_forward(turns.SAVEPOINT_TIMEOUT * 0.6)  # longer than the timeout, twice

    async with notes.transaction():
        task = asyncio.create_task(savepoint())
        await began.wait()
        assert len(await texts(notes)) == 10
    await task


# The end of the block.


@pytest.mark.parametrize("keep", [True, False])
async def test_a_task_that_lives_longer_is_outside_from_then_on(notes: Database, keep: bool) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def work() -> list[str]:
        await add_note(notes, "inside")
        began.set()
        await ended.wait()
        await add_note(notes, "outside")
        async with notes.transaction():
            await add_note(notes, "in a transaction of its own")
        return await texts(notes)

    try:
        async with notes.transaction():
            task = asyncio.create_task(work())
            await began.wait()
            if not keep:
                raise Stop
    except Stop:
        pass
    ended.set()
    async with notes.transaction(readonly=True):
        await texts(notes)
    assert await task == ["inside"] * keep + ["outside", "in a transaction of its own"]


async def test_operations_under_way_are_in_the_transaction_that_ends(library: Database) -> None:
    async def write() -> None:
        await Author.objects.bulk_create([Author(name=f"{i}") for i in range(500)], batch_size=50)

    for leave in (False, True):
        results: list[object] = []
        try:
            async with library.transaction():
                await Author.objects.create(name="first")
                task = asyncio.create_task(write())
                await asyncio.sleep(0)
                if leave:
                    raise Stop
        except Stop:
            pass
        results += await asyncio.gather(task, return_exceptions=True)
        if not leave:
            assert results == [None]
            assert await Author.objects.count() == 501
            await Author.objects.delete()
    # It was in the transaction with all of its statements, or with none.
    assert results == [None] or isinstance(results[0], TransactionError)
    assert await Author.objects.count() in ((0, 500) if results == [None] else (0,))


async def test_statements_that_wait_for_their_turn_are_refused_by_a_rollback(notes: Database) -> None:
    began = asyncio.Event()

    async def savepoint() -> None:
        async with notes.transaction():
            began.set()
            await asyncio.sleep(60)

    with pytest.raises(Stop):
        async with notes.transaction():
            holder = asyncio.create_task(savepoint())
            await began.wait()
            waiting = [asyncio.create_task(add_note(notes, f"{i}")) for i in range(3)]
            await asyncio.sleep(0.01)
            raise Stop
    holder.cancel()
    results = await asyncio.gather(holder, *waiting, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] + [TransactionError] * 3
    assert await texts(notes) == []


async def test_gather_that_fails_rolls_back_what_the_others_did(notes: Database) -> None:
    async def work(number: int) -> None:
        await add_note(notes, f"{number}")
        if number == 2:
            raise Stop
        async with notes.transaction():
            await add_note(notes, f"{number}, savepoint")

    with pytest.raises(Stop):
        async with notes.transaction():
            tasks = [asyncio.create_task(work(i)) for i in range(6)]
            await asyncio.gather(*tasks)
    await asyncio.wait(tasks, timeout=20)
    assert all(task.done() for task in tasks)
    # What ran in the transaction is gone; a task that went on after it was outside.
    assert not {f"{i}" for i in range(3)} & set(await texts(notes))
    await asyncio.gather(*(add_note(notes, f"later {i}") for i in range(20)))


async def test_a_savepoint_begun_by_hand_and_forgotten_is_named(notes: Database) -> None:
    with pytest.raises(TransactionError, match="inner transaction"):
        async with notes.transaction():
            await notes.transaction()
            await add_note(notes, "lost")
    assert await texts(notes) == []
    await asyncio.gather(*(add_note(notes, f"{i}") for i in range(20)))


@pytest.mark.parametrize("keep", [True, False])
async def test_a_transaction_can_be_ended_by_a_joined_task(notes: Database, keep: bool) -> None:
    transaction = await notes.transaction()
    await add_note(notes, "one")

    async def end() -> None:
        await add_note(notes, "two")
        await (transaction.commit() if keep else transaction.rollback())
        await add_note(notes, "after")

    await asyncio.create_task(end())
    assert await texts(notes) == ["one", "two"] * keep + ["after"]


async def test_a_plain_connection_block_ends_no_earlier_than_before(notes: Database) -> None:
    async with notes.connection() as connection:
        async with notes.transaction():
            await asyncio.gather(add_note(notes, "one"), add_note(notes, "two"))
            assert notes.connection() is connection
        assert notes.connection() is connection
    assert sorted(await texts(notes)) == ["one", "two"]


# Cancellation.


async def test_a_task_cancelled_while_it_waits_for_its_turn_harms_no_other(notes: Database) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def savepoint() -> None:
        async with notes.transaction():
            began.set()
            await go_on.wait()

    async with notes.transaction():
        holder = asyncio.create_task(savepoint())
        await began.wait()
        waiting = [asyncio.create_task(add_note(notes, f"{i}")) for i in range(6)]
        await asyncio.sleep(0)
        for task in waiting[::2]:
            task.cancel()
        go_on.set()
        results = await asyncio.gather(holder, *waiting, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results[1:]] == [True, False] * 3
        await add_note(notes, "last")
    assert await texts(notes) == ["1", "3", "5", "last"]


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_the_owner_is_cancelled_while_its_block_waits(notes: Database, times: int) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def savepoint() -> None:
        async with notes.transaction():
            await add_note(notes, "one")
            began.set()
            await go_on.wait()

    async def owner() -> asyncio.Task[None]:
        async with notes.transaction():
            inner.append(asyncio.create_task(savepoint()))
            await began.wait()

    inner: list[asyncio.Task[None]] = []
    task = asyncio.create_task(owner())
    await began.wait()
    await asyncio.sleep(0.01)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
    go_on.set()
    with pytest.raises(TransactionError):
        await inner[0]
    assert await texts(notes) == []
    await asyncio.gather(*(add_note(notes, f"{i}") for i in range(20)))


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_the_owner_is_cancelled_while_a_joined_statement_runs(notes: Database, times: int) -> None:
    slow = {
        "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n FROM c LIMIT 2000000) SELECT COUNT(*) FROM c",
        "postgresql": "SELECT pg_sleep(0.3)",
        "mysql": "SELECT SLEEP(0.3)",
    }[notes.url.dialect]

    async def owner() -> None:
        async with notes.transaction():
            await add_note(notes, "lost")
            joined.append(asyncio.create_task(fetch(notes, slow)))
            await asyncio.sleep(0.05)
            began.set()
            await asyncio.sleep(60)

    joined: list[asyncio.Task[object]] = []
    began = asyncio.Event()
    task = asyncio.create_task(owner())
    await began.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0.01)
    await asyncio.wait([task, *joined], timeout=10)
    assert task.cancelled()
    assert joined[0].done()
    assert await texts(notes) == []
    await asyncio.gather(*(add_note(notes, f"{i}") for i in range(20)))
    assert len(await texts(notes)) == 20


async def test_anyio_cancels_joined_tasks_and_their_owner(notes: Database) -> None:
    async def work(number: int) -> None:
        async with notes.transaction():
            for i in range(100):
                await add_note(notes, f"{number}, {i}")

    for delay in (0.0, 0.001, 0.01, 0.03):
        with anyio.move_on_after(delay):
            async with notes.transaction(), anyio.create_task_group() as group:
                for number in range(4):
                    group.start_soon(work, number)
                await anyio.sleep(60)
        assert await texts(notes) == []
    await asyncio.gather(*(add_note(notes, f"{i}") for i in range(20)))


# Who does not join.


async def test_detached_work_is_outside(notes: Database) -> None:
    with pytest.raises(Stop):
        async with notes.transaction(readonly=True):
            with notes.detached():
                task = asyncio.create_task(add_note(notes, "by a task"))
                await add_note(notes, "by this task")
                async with notes.transaction():
                    await asyncio.gather(add_note(notes, "in a transaction of its own"))
            assert await notes.fetch_val("SELECT 1") == 1
            await task
            raise Stop
    assert sorted(await texts(notes)) == ["by a task", "by this task", "in a transaction of its own"]


async def test_detached_work_inside_a_connection_block_is_outside(notes: Database) -> None:
    with pytest.raises(Stop):
        async with notes.connection(), notes.transaction(readonly=True):
            with notes.detached():
                await add_note(notes, "kept")
            raise Stop
    assert await texts(notes) == ["kept"]


async def test_tasks_started_before_the_transaction_are_outside(notes: Database) -> None:
    go_on = asyncio.Event()

    async def task() -> list[str]:
        await go_on.wait()
        return await texts(notes)

    started = asyncio.create_task(task())
    async with notes.transaction():
        await add_note(notes, "not committed")
        go_on.set()
        assert await started == []


async def test_another_thread_with_a_loop_of_its_own_does_not_join(notes: Database) -> None:
    async def read() -> list[str]:
        return await texts(notes)

    async def read_elsewhere() -> list[str]:
        async with Database(notes.url) as other:
            return await texts(other)

    async with notes.transaction():
        await add_note(notes, "not committed")
        with pytest.raises(InterfaceError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, read())
        assert await asyncio.to_thread(asyncio.run, read_elsewhere()) == []


async def test_transactions_of_two_databases_do_not_mix(notes: Database) -> None:
    other = Database("sqlite://")
    async with other:
        await create_notes(other)
        with pytest.raises(Stop):
            async with notes.transaction(), other.transaction():
                await asyncio.gather(add_note(notes, "lost"), add_note(other, "lost too"))
                with other.detached():
                    assert len(await texts(notes)) == 1
                raise Stop
        assert await texts(notes) == await texts(other) == []


async def test_tasks_join_transactions_in_a_force_rollback_scope(notes: Database) -> None:
    with notes.force_rollback():
        async with notes:
            await add_note(notes, "zero")
            with pytest.raises(Stop):
                async with notes.transaction():
                    await asyncio.gather(*(add_note(notes, f"{i}") for i in range(3)))
                    raise Stop
            await asyncio.gather(*(add_note(notes, f"{i}") for i in range(3)))
            assert len(await texts(notes)) == 4
    assert await texts(notes) == []


@pytest.mark.parametrize("start", [by_gather, by_wait_for])
async def test_tasks_of_a_plain_database_are_refused_inside_a_transaction(
    database_url: str, start: Callable[..., Awaitable[None]]
) -> None:
    async with databases.Database(database_url) as plain:
        await create_notes(plain)
        ended = asyncio.Event()

        async def later() -> None:
            await ended.wait()
            await add_note(plain, "after the transaction")

        async with plain.transaction():
            await add_note(plain, "kept")
            task = asyncio.create_task(later())
            if start is by_gather or sys.version_info < (3, 12):  # later, wait_for() starts no task
                with pytest.raises(TransactionError, match=r"orm\.Database"):
                    await start(add_note(plain, "outside"))
            async with plain.transaction():
                await add_note(plain, "in a savepoint")
        ended.set()
        await task
        await start(add_note(plain, "without a transaction"))
        assert await texts(plain) == ["kept", "in a savepoint", "after the transaction", "without a transaction"]


# Streams.


async def test_streams_of_joined_tasks_take_turns(notes: Database) -> None:
    async def read(size: int) -> list[int]:
        ids = []
        async for row in notes.iterate("SELECT id FROM notes ORDER BY id"):
            ids.append(row[0])
            if row[0] % size == 0:
                await add_note(notes, f"{size} at {row[0]}")
        return ids

    async with notes.transaction():
        for i in range(120):
            await add_note(notes, f"{i}")
        results = await asyncio.gather(*(read(size) for size in (7, 11, 13)))
    assert all(ids[:120] == list(range(1, 121)) for ids in results)
    assert len(await texts(notes)) >= 120 + 17 + 10 + 9


@pytest.mark.parametrize("keep", [True, False])
async def test_a_stream_that_is_open_when_its_transaction_ends(library: Database, keep: bool) -> None:
    await Author.objects.bulk_create([Author(name=f"{i}") for i in range(2000)])
    began, go_on = asyncio.Event(), asyncio.Event()

    async def read() -> list[int]:
        ids = []
        async for author in Author.objects.order_by("id"):
            ids.append(author.id)
            began.set()
            await go_on.wait()
        return ids

    async def read_records() -> int:
        count = 0
        async for _ in library.iterate("SELECT id FROM author ORDER BY id"):
            count += 1
            await go_on.wait()
        return count

    try:
        async with library.transaction():
            tasks = [asyncio.create_task(read()), asyncio.create_task(read_records())]
            await began.wait()
            if not keep:
                raise Stop
    except Stop:
        pass
    go_on.set()
    if keep:
        ids, count = await asyncio.gather(*tasks)
        assert ids == list(range(1, 2001))
        assert count == 2000
    else:
        for task in tasks:
            with pytest.raises(TransactionError, match="has ended"):
                await task
    await asyncio.gather(*(Author.objects.count() for _ in range(20)))


async def test_a_stream_of_the_same_task_ends_with_the_block(library: Database) -> None:
    await Author.objects.bulk_create([Author(name=f"{i}") for i in range(2000)])
    async with library.transaction():
        stream = Author.objects.order_by("id").__aiter__()
        await stream.__anext__()
        async for _ in Author.objects.order_by("id"):
            break
    with pytest.raises(TransactionError, match="has ended"):
        async for _ in stream:
            pass
    assert await Author.objects.count() == 2000


# Web services.


class TransactionMiddleware(BaseHTTPMiddleware):
    """Each request in a transaction. Starlette runs the endpoint in a task of its own."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        async with models.database.transaction():
            return await call_next(request)


async def test_a_middleware_makes_a_transaction_for_each_request(library: Database) -> None:
    told: list[tuple[str, bool]] = []

    async def tell(name: str) -> None:
        await asyncio.sleep(0.01)
        async with library.connection() as connection:
            told.append((name, bool(connection._transaction_stack)))
        await Author.objects.create(name=f"{name}, background")

    async def create(request: Request) -> Response:
        name = request.query_params["name"]
        author = await Author.objects.create(name=name)
        await asyncio.gather(*(Book.objects.create(author=author, title=f"{i}") for i in range(3)))
        if "fail" in request.query_params:
            raise RuntimeError("after the writes")
        return PlainTextResponse(name, background=BackgroundTask(tell, name))

    async def stream(request: Request) -> Response:
        async def names() -> AsyncIterator[str]:
            async for author in Author.objects.order_by("id"):
                yield author.name + "\n"

        return StreamingResponse(names())

    app = Starlette(
        routes=[Route("/create", create), Route("/stream", stream)], middleware=[Middleware(TransactionMiddleware)]
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answers = await asyncio.gather(
            *(client.get("/create", params={"name": f"{i}", **({"fail": "1"} if i % 2 else {})}) for i in range(8))
        )
        assert [answer.status_code for answer in answers] == [200, 500] * 4
        assert set(await Author.objects.values_list("name", flat=True)) == {
            f"{i}{background}" for i in range(0, 8, 2) for background in ("", ", background")
        }
        assert await Book.objects.count() == 12
        assert sorted(told) == [(f"{i}", False) for i in range(0, 8, 2)]
        await Author.objects.bulk_create([Author(name=f"many {i}") for i in range(3000)])
        streams = await asyncio.gather(*(client.get("/stream") for _ in range(5)))
        assert [len(answer.text.splitlines()) for answer in streams] == [3008] * 5


async def test_unique_violation_in_one_of_the_tasks_is_kept_to_its_savepoint(notes: Database) -> None:
    async def add(text: str) -> None:
        async with notes.transaction():
            await add_note(notes, text)

    async with notes.transaction():
        results = await asyncio.gather(*(add(f"{i % 3}") for i in range(9)), return_exceptions=True)
    assert [isinstance(result, UniqueViolation) for result in results] == [False] * 3 + [True] * 6
    assert await texts(notes) == ["0", "1", "2"]
    await execute(notes, "DELETE FROM notes")
