"""Tables that a migration changes while a service runs: kept statements are prepared anew."""

from __future__ import annotations

import pytest

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio


async def test_transaction_that_meets_a_changed_table_can_run_again(postgresql_url: str) -> None:
    async with Database(postgresql_url, max_size=1) as database:
        models = orm.ModelRegistry(database=database)

        class Thing(orm.Model):
            registry = models

            id = orm.Integer(primary_key=True)
            name = orm.String(max_length=20)

        await models.create_all()
        await Thing.objects.create(name="a")
        runs = 0

        @database.transaction(retries=1)
        async def names() -> list[str]:
            nonlocal runs
            runs += 1
            return await Thing.objects.values_list("name", flat=True)

        for _ in range(3):
            assert await names() == ["a"]
        await database.execute("ALTER TABLE thing ALTER COLUMN name TYPE text")
        async with Database(postgresql_url) as migration:
            await migration.execute("ALTER TABLE thing ALTER COLUMN name TYPE varchar(30)")
        runs = 0
        assert await names() == ["a"] and runs == 2
        await database.execute("ALTER TABLE thing ALTER COLUMN name TYPE text")
        with pytest.raises(orm.SerializationFailure, match="cached statement plan is invalid") as caught:
            async with database.transaction():
                await Thing.objects.values_list("name", flat=True)
        assert caught.value.retryable
        assert await Thing.objects.values_list("name", flat=True) == ["a"]
