"""Transactions: nesting, options, failures, cancellation and the `force_rollback` scope."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import databases
import pytest

from orm.database.connections.checkout import Checkout
from orm.database.connections.database import Database
from orm.exceptions import (
    DatabaseError,
    ForeignKeyViolation,
    NotSupportedError,
    PoolTimeout,
    QueryError,
    SerializationFailure,
    TransactionError,
    UniqueViolation,
)
from tests.database.notes_table import add_note, create_notes, execute, fetch, texts

pytestmark = pytest.mark.anyio


class Stop(Exception):
    """Raised by tests to leave a block."""


@pytest.fixture(params=["postgresql", "sqlite", "mysql", "aiomysql", "memory"])
async def pooled(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """An `orm.Database` on every backend there is."""
    kind = request.param
    if kind == "memory":
        url = "sqlite://"
    elif kind == "aiomysql":
        url = request.getfixturevalue("mysql_url").replace("mysql://", "mysql+aiomysql://")
    else:
        url = request.getfixturevalue(f"{kind}_url")
    async with Database(url) as database:
        yield database


async def test_commit_and_rollback(any_database: databases.Database) -> None:
    await create_notes(any_database)
    async with any_database.transaction():
        await add_note(any_database, "kept")
    with pytest.raises(Stop):
        async with any_database.transaction():
            await add_note(any_database, "lost")
            raise Stop
    assert await texts(any_database) == ["kept"]


async def test_inner_transactions_are_savepoints(any_database: databases.Database) -> None:
    await create_notes(any_database)
    async with any_database.transaction():
        await add_note(any_database, "outer")
        with pytest.raises(Stop):
            async with any_database.transaction():
                await add_note(any_database, "inner, lost")
                async with any_database.transaction():
                    await add_note(any_database, "innermost, lost too")
                raise Stop
        async with any_database.transaction():
            await add_note(any_database, "inner, kept")
    assert await texts(any_database) == ["outer", "inner, kept"]


async def test_inner_failure_keeps_the_outer_transaction(any_database: databases.Database) -> None:
    await create_notes(any_database)
    async with any_database.transaction():
        await add_note(any_database, "one")
        with pytest.raises(UniqueViolation):
            async with any_database.transaction():
                await add_note(any_database, "one")
        await add_note(any_database, "two")
    assert await texts(any_database) == ["one", "two"]


async def test_session_transaction_is_on_the_connection_of_the_task(any_database: databases.Database) -> None:
    await create_notes(any_database)
    async with Checkout(any_database) as checkout:
        with pytest.raises(Stop):
            async with checkout.transaction():
                assert checkout.in_transaction
                await add_note(any_database, "lost")
                raise Stop
    assert await texts(any_database) == []


async def test_transactions_by_hand_and_as_a_decorator(pooled: Database) -> None:
    await create_notes(pooled)
    transaction = await pooled.transaction()
    await add_note(pooled, "lost")
    await transaction.rollback()
    with pytest.raises(TransactionError):
        await transaction.commit()

    @pooled.transaction()
    async def add(text: str, fail: bool = False) -> None:
        await add_note(pooled, text)
        await asyncio.sleep(0)
        if fail:
            raise Stop

    results = await asyncio.gather(*(add(f"{i}", fail=i % 2 == 1) for i in range(8)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), Stop] * 4
    assert sorted(await texts(pooled)) == ["0", "2", "4", "6"]


async def test_force_rollback_transaction_is_rolled_back(pooled: Database) -> None:
    await create_notes(pooled)
    async with pooled.transaction(force_rollback=True):
        await add_note(pooled, "lost")
    assert await texts(pooled) == []


async def test_statements_of_a_broken_transaction_are_refused(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        await create_notes(database, 1)
        with pytest.raises(TransactionError):
            async with database.transaction():
                with pytest.raises(UniqueViolation):
                    await add_note(database, "note 1")
                with pytest.raises(TransactionError):
                    await add_note(database, "two")
        with pytest.raises(TransactionError, match="rolled back"):
            async with database.transaction():
                await add_note(database, "swallowed")
                with pytest.raises(UniqueViolation):
                    await add_note(database, "note 1")
        async with database.transaction():
            with pytest.raises(TransactionError):
                async with database.transaction():
                    with pytest.raises(UniqueViolation):
                        await add_note(database, "note 1")
            await add_note(database, "three")
        assert await texts(database) == ["note 1", "three"]


@pytest.mark.parametrize(
    "level", ["read_uncommitted", "READ COMMITTED", "repeatable read", "Serializable", "repeatable_read"]
)
async def test_isolation_levels(database: Database, level: str) -> None:
    await create_notes(database, 1)
    async with database.transaction(isolation=level):
        if database.url.dialect == "postgresql":
            [(found,)] = await fetch(database, "SELECT current_setting('transaction_isolation')")
            assert found == level.lower().replace("_", " ")
        await add_note(database, "in it")
    assert len(await texts(database)) == 2


async def test_repeatable_read_sees_one_state(database: Database) -> None:
    await create_notes(database)
    other = Database(database.url)
    try:
        async with database.transaction(isolation="repeatable_read", readonly=True):
            assert await texts(database) == []
            await add_note(other, "meanwhile")
            assert await texts(database) == []
        assert await texts(database) == ["meanwhile"]
    finally:
        await other.disconnect()


async def test_serialization_failure(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        await create_notes(database, 1)

        async def bump(mine: asyncio.Event, other: asyncio.Event) -> None:
            async with database.transaction(isolation="serializable"):
                [(views,)] = await fetch(database, "SELECT views FROM notes")
                mine.set()
                await other.wait()
                await execute(database, "UPDATE notes SET views = ?", views + 1)

        one, two = asyncio.Event(), asyncio.Event()
        results = await asyncio.gather(bump(one, two), bump(two, one), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["NoneType", "SerializationFailure"]
        assert any(isinstance(result, SerializationFailure) for result in results)


async def test_readonly_transactions_refuse_to_write(database: Database) -> None:
    await create_notes(database, 1)
    with pytest.raises(DatabaseError):
        async with database.transaction(readonly=True):
            assert await texts(database) == ["note 1"]
            await add_note(database, "two")
    await add_note(database, "three")
    assert await texts(database) == ["note 1", "three"]


async def test_impossible_options_are_refused(database: Database) -> None:
    with pytest.raises(QueryError, match="unknown isolation level 'loose'"):
        await database.transaction(isolation="loose")
    with pytest.raises(QueryError, match="isolaton"):
        await database.transaction(isolaton="serializable")
    async with database.transaction():
        with pytest.raises(TransactionError):
            await database.transaction(isolation="serializable")
        assert await fetch(database, "SELECT 1") == [(1,)]
    if database.url.dialect == "postgresql":
        async with database.transaction(isolation="serializable", readonly=True, deferrable=True):
            assert await fetch(database, "SELECT 1") == [(1,)]
    else:
        with pytest.raises(NotSupportedError):
            await database.transaction(deferrable=True)
    assert await fetch(database, "SELECT 1") == [(1,)]


async def test_one_transaction_object_of_two_tasks_is_begun_once(pooled: Database) -> None:
    await create_notes(pooled)
    transaction = pooled.transaction()

    async def use(text: str) -> None:
        async with transaction:
            await add_note(pooled, text)
            await asyncio.sleep(0.01)

    results = await asyncio.gather(use("a"), use("b"), return_exceptions=True)
    [error] = [result for result in results if result is not None]
    assert isinstance(error, TransactionError) and "has begun already" in str(error)
    assert len(await texts(pooled)) == 1 and pooled.pool_status().in_use == 0
    async with transaction:
        await add_note(pooled, "again")
    assert (await texts(pooled))[1:] == ["again"]


async def test_transaction_that_could_not_begin_can_be_begun_again(database_url: str) -> None:
    async with Database(database_url, max_size=1, acquire_timeout=0.05) as database:
        transaction = database.transaction()
        async with database.transaction():
            with database.detached(), pytest.raises(PoolTimeout):
                await transaction.start()
        async with transaction:
            assert await fetch(database, "SELECT 1") == [(1,)]


async def test_ending_the_outer_transaction_first_is_refused(pooled: Database) -> None:
    outer = await pooled.transaction()
    inner = await pooled.transaction()
    with pytest.raises(TransactionError):
        await outer.commit()
    await inner.commit()
    await outer.commit()


async def test_failing_commit_leaves_no_transaction(pooled: Database) -> None:
    if pooled.url.dialect == "mysql":
        pytest.skip("MySQL has no deferred constraints")
    await create_notes(pooled, 1)
    await execute(
        pooled,
        "CREATE TABLE remarks (note INTEGER, FOREIGN KEY (note) REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)",
    )
    with pytest.raises(ForeignKeyViolation):
        async with pooled.transaction():
            await execute(pooled, "INSERT INTO remarks (note) VALUES (7)")
    assert await fetch(pooled, "SELECT note FROM remarks") == []
    await add_note(pooled, "goes on")


async def test_two_writers_both_succeed(pooled: Database) -> None:
    await create_notes(pooled)

    async def write(name: str) -> None:
        async with pooled.transaction():
            await fetch(pooled, "SELECT COUNT(*) FROM notes")
            await add_note(pooled, name)
            await asyncio.sleep(0.01)
        await add_note(pooled, f"{name}, alone")

    await asyncio.wait_for(asyncio.gather(*(write(f"writer {i}") for i in range(20))), 30)
    assert len(await texts(pooled)) == 40


@pytest.mark.parametrize("delay", [0, 0.0005, 0.002, 0.01, 0.05])
async def test_cancelled_transaction_leaves_a_clean_connection(pooled: Database, delay: float) -> None:
    await create_notes(pooled)

    async def work(name: str) -> None:
        async with pooled.transaction():
            await add_note(pooled, name)
            async with pooled.transaction():
                for i in range(20):
                    await add_note(pooled, f"{name}: {i}")
                await fetch(pooled, "SELECT COUNT(*) FROM notes")

    tasks = [asyncio.create_task(work(f"task {i}")) for i in range(12)]
    await asyncio.sleep(delay)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results), results
    done = sum(result is None for result in results)
    assert len(await texts(pooled)) in (done * 21, *(21 * n for n in range(done, 13)))
    # As many tasks at once as the pool has room for: none of its connections is lost or in a transaction.
    await asyncio.wait_for(asyncio.gather(*(work(f"later {i}") for i in range(12))), 30)


async def test_cancelled_query_ends_on_the_server(pooled: Database) -> None:
    await create_notes(pooled)
    if pooled.url.dialect == "sqlite":
        slow = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT COUNT(*) FROM c"
    else:
        slow = {"postgresql": "SELECT pg_sleep(30)", "mysql": "SELECT SLEEP(30)"}[pooled.url.dialect]
    for _ in range(2):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(fetch(pooled, slow), 0.2)
        with pytest.raises(asyncio.TimeoutError):
            async with pooled.transaction():
                await add_note(pooled, "lost")
                await asyncio.wait_for(fetch(pooled, slow), 0.2)
    if pooled.url.dialect == "mysql":
        # The server looks every five seconds whether whoever asked is still there, and keeps its locks until then.
        ours = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'SELECT SLEEP%%'"
        for _ in range(100):
            if not await fetch(pooled, ours):
                break
            await asyncio.sleep(0.2)
        else:
            pytest.fail("The server goes on with what was cancelled.")
    assert await asyncio.wait_for(texts(pooled), 30) == []


async def test_force_rollback_scope_rolls_everything_back(pooled: Database) -> None:
    await create_notes(pooled, 1)
    with pooled.force_rollback():
        async with pooled:
            await add_note(pooled, "two")
            async with pooled.transaction(isolation="serializable"):
                await add_note(pooled, "three")
            with pytest.raises(QueryError):
                await pooled.transaction(isolation="loose")
            assert len(await texts(pooled)) == 3
            await asyncio.gather(*(add_note(pooled, f"task {i}") for i in range(5)))
            assert len(await texts(pooled)) == 8
    assert pooled.is_connected
    assert await texts(pooled) == ["note 1"]


async def test_force_rollback_scope_on_a_database_connected_by_first_use(database_url: str) -> None:
    database = Database(database_url)
    await create_notes(database, 1)
    for _ in range(2):
        with database.force_rollback():
            async with database:
                await add_note(database, "two")
                assert await texts(database) == ["note 1", "two"]
        assert await texts(database) == ["note 1"]
    await database.disconnect()
    assert not database.is_connected


async def test_force_rollback_database_connected_by_first_use(database_url: str) -> None:
    async with Database(database_url) as database:
        await create_notes(database, 1)
    database = Database(database_url, force_rollback=True)
    assert await asyncio.gather(*(texts(database) for _ in range(5))) == [["note 1"]] * 5
    await add_note(database, "two")
    assert await texts(database) == ["note 1", "two"]
    await database.disconnect()
    async with Database(database_url) as database:
        assert await texts(database) == ["note 1"]


async def test_transactions_of_many_tasks_in_a_force_rollback_scope(pooled: Database) -> None:
    await create_notes(pooled)

    async def work(name: str) -> None:
        async with pooled.transaction():
            await add_note(pooled, name)
            await asyncio.sleep(0.001)
            async with pooled.transaction():
                await add_note(pooled, f"{name}, inner")
            if name.endswith("3"):
                raise Stop

    with pooled.force_rollback():
        async with pooled:
            results = await asyncio.gather(*(work(f"task {i}") for i in range(6)), return_exceptions=True)
            assert [type(result) for result in results].count(Stop) == 1, results
            assert len(await texts(pooled)) == 10
    assert await texts(pooled) == []
