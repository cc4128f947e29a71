"""Through PgBouncer in transaction mode, where consecutive statements meet other server connections.

Each test runs several databases at once, as the workers of a service would: what one of them leaves on a server
connection is met by the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

import orm
from orm.database.connections.database import Database
from orm.exceptions import InterfaceError, NotSupportedError
from tests.private_servers import PgBouncerServer

pytestmark = pytest.mark.anyio
ROWS = 1_000
WORKERS = 3


@pytest.fixture
def pooled_url(postgresql_url: str) -> Iterator[str]:
    with PgBouncerServer(postgresql_url, {"pool_mode": "transaction", "default_pool_size": 2}) as server:
        server.start()
        yield server.url


def workers(url: str, **options: object) -> list[type[orm.Model]]:
    """A model per worker, each with a database of its own and the same table."""
    models: list[type[orm.Model]] = []
    for _ in range(WORKERS):

        class Item(orm.Model):
            registry = orm.ModelRegistry(database=orm.Database(url, max_size=8, **options))

            id = orm.Integer(primary_key=True)
            owner = orm.Integer()
            count = orm.Integer(default=0)

        models.append(Item)
    return models


def database_of(model: type[orm.Model]) -> Database:
    database = model.registry.database
    assert isinstance(database, Database)
    return database


@pytest.mark.parametrize("options", [{}, {"pooler": "transaction"}], ids=["found", "told"])
async def test_statements_of_one_program_never_run_as_those_of_another(
    pooled_url: str, options: dict[str, str]
) -> None:
    models = workers(pooled_url, **options)
    first = models[0]
    await first.registry.create_all()
    await first.objects.bulk_create([{"id": key, "owner": key % WORKERS} for key in range(1, ROWS + 1)])

    async def work(worker: int, model: type[orm.Model], seed: int) -> None:
        for step in range(40):
            key = (seed * 97 + step * 31 + worker) % ROWS + 1
            match (step + worker + seed) % 4:
                case 0:
                    assert [row.id for row in await model.objects.filter(id=key)] == [key]
                case 1:
                    assert await model.objects.filter(id__lte=key).count() == key
                case 2:
                    assert await model.objects.filter(id=-key).delete() == 0
                case _:
                    await model.objects.filter(id=key).update(count=model.count + 1)

    tasks = [work(number, model, seed) for number, model in enumerate(models) for seed in range(4)]
    await asyncio.gather(*tasks)
    assert await first.objects.count() == ROWS
    for model in models:
        await database_of(model).disconnect()


async def test_streams_read_their_rows_only_while_others_write_in_between(pooled_url: str) -> None:
    models = workers(pooled_url)
    first = models[0]
    await first.registry.create_all()
    await first.objects.bulk_create([{"id": key, "owner": key % WORKERS} for key in range(1, ROWS * 3 + 1)])

    async def work(worker: int, model: type[orm.Model]) -> None:
        keys = []
        async for row in model.objects.filter(owner=worker).order_by("id"):
            assert row.owner == worker
            keys.append(row.id)
            if len(keys) % 320 == 0:  # the stream's connection is in a transaction that only reads
                await model.objects.filter(id=row.id).update(count=model.count + 1)
        assert keys == [key for key in range(1, ROWS * 3 + 1) if key % WORKERS == worker]

    # More streams at once than the pooler has server connections would wait for each other's updates.
    for number, model in enumerate(models):
        await work(number, model)
    await asyncio.gather(*[model.objects.get(id=key) for key in range(1, 20) for model in models])
    assert await first.objects.filter(count=1).count() == WORKERS * (ROWS // 320)
    for model in models:
        await database_of(model).disconnect()


async def test_stream_that_is_left_early_leaves_no_transaction(pooled_url: str, postgresql_url: str) -> None:
    model = workers(pooled_url)[0]
    await model.registry.create_all()
    await model.objects.bulk_create([{"id": key, "owner": 0} for key in range(1, ROWS + 1)])
    for _ in range(3):
        async for _row in model.objects.order_by("id"):
            break
    await database_of(model).disconnect()
    async with Database(postgresql_url) as database:
        open_transactions = await database.fetch_val(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        )
    assert open_transactions == 0


async def test_stream_in_a_transaction_reads_its_own_writes(pooled_url: str) -> None:
    model = workers(pooled_url)[0]
    await model.registry.create_all()
    async with database_of(model).transaction():
        await model.objects.bulk_create([{"id": key, "owner": 0} for key in range(1, ROWS + 1)])
        assert [row.id async for row in model.objects.order_by("id")] == list(range(1, ROWS + 1))
    await database_of(model).disconnect()


async def test_iterate_outside_of_transactions_reads_all_rows(pooled_url: str) -> None:
    async with Database(pooled_url) as database:
        rows = [row[0] async for row in database.iterate("SELECT generate_series(1, 500)")]
    assert rows == list(range(1, 501))


@pytest.mark.parametrize(
    "sql",
    [
        "SET search_path = 'elsewhere'",
        "set session characteristics as transaction read only",
        "RESET ALL",
        "LISTEN channel",
        "PREPARE x AS SELECT 1",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock(1)",
        "CREATE TEMPORARY TABLE x (id int)",
        "DECLARE x CURSOR WITH HOLD FOR SELECT 1",
    ],
)
async def test_statements_that_outlive_their_transaction_are_refused(pooled_url: str, sql: str) -> None:
    async with Database(pooled_url) as database:
        with pytest.raises(NotSupportedError, match=sql.split()[0].upper()):
            await database.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SET LOCAL search_path = 'elsewhere'",
        "SET TRANSACTION READ ONLY",
        "SELECT pg_advisory_xact_lock(1)",
        "CREATE TEMP TABLE x (id int) ON COMMIT DROP",
    ],
)
async def test_statements_that_end_with_their_transaction_run(pooled_url: str, sql: str) -> None:
    async with Database(pooled_url) as database, database.transaction():
        await database.execute(sql)


async def test_server_without_pooler_keeps_prepared_statements(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        assert not database._backend.is_pooled
        await database.execute("SET search_path = 'public'")
        connection = database._backend.pool.acquire_nowait()
        assert connection._config.statement_cache_size > 0
        await database._backend.pool.check_in(connection)


async def test_unknown_pooler_is_refused(postgresql_url: str) -> None:
    with pytest.raises(InterfaceError, match="pooler is 'transaction' or 'session'"):
        await Database(postgresql_url, pooler="statement").connect()
