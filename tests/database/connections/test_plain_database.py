"""What holds on a plain `databases.Database`, and what only `orm.Database` can do: the table in docs/reliability.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import databases
import pytest

import orm

pytestmark = pytest.mark.anyio
models = orm.ModelRegistry()


class Entry(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=100, unique=True)
    number = orm.Integer(default=0)
    version = orm.Version()


@pytest.fixture
async def plain(database_url: str) -> AsyncIterator[databases.Database]:
    """A connected `databases.Database` with the table."""
    async with databases.Database(database_url) as database:
        models.database = database
        await models.create_all()
        yield database


def texts() -> Any:
    return Entry.objects.order_by("id").values_list("text", flat=True)


async def test_savepoint_that_fails_leaves_its_transaction_usable(plain: databases.Database) -> None:
    async with plain.transaction():
        await Entry.objects.create(text="a")
        with pytest.raises(orm.UniqueViolation):
            async with plain.transaction():
                await Entry.objects.create(text="b")
                await Entry.objects.create(text="a")
        await Entry.objects.create(text="c")
    assert await texts() == ["a", "c"]


async def test_bulk_write_that_fails_keeps_nothing(plain: databases.Database) -> None:
    await Entry.objects.create(text="a")
    with pytest.raises(orm.UniqueViolation):
        await Entry.objects.bulk_create([*({"text": f"b{i}"} for i in range(2_000)), {"text": "a"}])
    assert await texts() == ["a"]


async def test_get_or_create_of_many_tasks_makes_one_row(plain: databases.Database) -> None:
    made = await asyncio.gather(*[Entry.objects.get_or_create(text="a") for _ in range(4)])
    assert [created for _, created in made].count(True) == 1
    assert await texts() == ["a"]


async def test_stale_instance_is_refused(plain: databases.Database) -> None:
    entry = await Entry.objects.create(text="a")
    await (await Entry.objects.get(text="a")).update(number=1)
    with pytest.raises(orm.StaleObject):
        await entry.update(number=2)


async def test_task_started_in_a_transaction_is_refused(plain: databases.Database) -> None:
    with pytest.raises(orm.TransactionError, match="which a task of a plain"):
        async with plain.transaction():
            await asyncio.gather(Entry.objects.create(text="a"))
    assert await texts() == []


async def test_lock_outside_of_a_transaction_is_refused(plain: databases.Database) -> None:
    if plain.url.dialect == "sqlite":
        pytest.skip("SQLite has no row locks")
    with pytest.raises(orm.TransactionError, match="can only be locked in a transaction"):
        await Entry.objects.select_for_update().first()


async def test_errors_are_the_orms_from_its_statements_and_the_drivers_from_others(plain: databases.Database) -> None:
    await Entry.objects.create(text="a")
    with pytest.raises(orm.UniqueViolation):
        await Entry.objects.create(text="a")
    with pytest.raises(Exception) as caught:
        await plain.execute(Entry.table.insert().values(text="a", number=0, version=1))
    assert not isinstance(caught.value, orm.Error)


async def test_options_of_transactions_are_not_those_of_the_orm(plain: databases.Database) -> None:
    if plain.url.dialect == "postgresql":
        async with plain.transaction(isolation="serializable"):  # asyncpg's own
            assert await plain.fetch_val("SHOW transaction_isolation") == "serializable"
        return
    async with plain.transaction(timeout=0.01, readonly=True):  # ignored
        await asyncio.sleep(0.05)
        await Entry.objects.create(text="a")
    assert await texts() == ["a"]


@pytest.mark.parametrize(
    "name",
    [
        *("on_commit", "on_rollback", "set_rollback", "detached", "advisory_lock", "pool_status", "close"),
        *("add_hook", "session_position", "replica", "primary"),
    ],
)
def test_methods_of_the_orm_are_not_there(name: str) -> None:
    assert hasattr(orm.Database, name)
    assert not hasattr(databases.Database, name)


async def test_atomic_says_what_it_needs(plain: databases.Database) -> None:
    with pytest.raises(orm.Error, match="database"):
        async with orm.atomic(models):
            pass
