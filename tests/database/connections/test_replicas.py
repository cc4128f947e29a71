"""A primary with replicas: where statements run, and that no read misses what its context wrote."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

import orm
from orm.database.connections import replicas
from orm.database.connections.database import Database
from orm.database.connections.replicas import Replica, Replicas
from orm.database.dialect_registry import dialects
from orm.database.query_log.events import QueryEvent
from orm.exceptions import (
    ConnectionLost,
    FieldError,
    OperationalError,
    QueryError,
    ReadOnlyServer,
    TransactionError,
)
from tests import temporary_databases
from tests.replication import Replication, mariadb_replication, mysql_replication, postgresql_replication
from tests.waiting import until

pytestmark = pytest.mark.anyio
SESSIONS = 6
STEPS = 12


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Replication]:
    with postgresql_replication() as servers:
        yield servers


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Replication]:
    with mariadb_replication() as servers:
        yield servers


@pytest.fixture(scope="module")
def mysql() -> Iterator[Replication]:
    with mysql_replication() as servers:
        yield servers


@pytest.fixture(params=["postgresql", "mariadb", "mysql"])
def servers(request: pytest.FixtureRequest) -> Replication:
    replication: Replication = request.getfixturevalue(request.param)
    return replication


def model_on(database: Database) -> Any:
    class Item(orm.Model):
        registry = orm.ModelRegistry(database=database)

        id = orm.Integer(primary_key=True)
        count = orm.Integer(default=0)

    return Item


async def shown_by_replicas(servers: Replication, rows: Any) -> None:
    """Wait until each replica has a row of this queryset."""

    async def is_shown(replica: Database) -> bool:
        try:
            return bool(await rows.using(replica).exists())
        except orm.ProgrammingError:  # it has not got the table yet
            return False

    for url in servers.replicas:
        async with Database(url) as replica:
            await until(lambda replica=replica: is_shown(replica))


class Log(list[QueryEvent]):
    """The statements of a database, with the server that each ran on."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.primary = database._backend.display_name
        database.add_hook(self.append)

    def servers(self, word: str) -> set[str]:
        """Whether statements with this word ran on the primary or on replicas."""
        return {"primary" if event.server == self.primary else "replica" for event in self if word in event.sql}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads wait for replicas, however busy the machine is: else they would run on the primary."""
    monkeypatch.setattr(replicas, "MAX_WAIT_SECONDS", 10)


@pytest.fixture
async def item(servers: Replication) -> AsyncIterator[Any]:
    async with Database(servers.primary, replicas=servers.replicas) as database:
        model = model_on(database)
        await model.registry.create_all()
        yield model
        await model.registry.drop_all()


async def test_single_reads_run_on_replicas_and_writes_on_the_primary(item: Any) -> None:
    log = Log(item.registry.database)
    await item.objects.create(id=1)
    assert await item.objects.count() == 1
    assert (await item.objects.get(id=1)).count == 0
    assert await item.objects.filter(id=1).values_list("count", flat=True) == [0]
    assert await item.objects.filter(id=1).exists()
    assert log.servers("SELECT count") == log.servers("WHERE") == {"replica"}
    await item.objects.filter(id=1).update(count=1)
    assert log.servers("UPDATE") == log.servers("INSERT") == {"primary"}


async def test_locks_transactions_and_volatile_functions_run_on_the_primary(item: Any) -> None:
    database = item.registry.database
    await item.objects.create(id=1)
    log = Log(database)
    async with database.transaction():
        await item.objects.select_for_update().get(id=1)
        await item.objects.count()
    assert log.servers("SELECT") == {"primary"}
    if database.url.dialect == "postgresql":
        await database.execute("CREATE SEQUENCE IF NOT EXISTS numbers")
        # A function that writes, whatever its name: the replica refuses it, and the primary runs it.
        await database.execute(
            "CREATE OR REPLACE FUNCTION draw() RETURNS int LANGUAGE sql VOLATILE AS $$SELECT nextval('numbers')::int$$"
        )
        drawn = item.objects.annotate(drawn=orm.Func(function="draw", output_field=orm.Integer()))
        assert len(await drawn.values_list("drawn", flat=True)) == 1
        await database.execute("DROP FUNCTION draw()")
        await database.execute("DROP SEQUENCE numbers")


@pytest.mark.parametrize("late", [False, True], ids=["prompt", "late"])
async def test_reads_see_every_write_of_their_context(servers: Replication, item: Any, late: bool) -> None:
    database = item.registry.database
    other = Database(servers.primary, replicas=servers.replicas)
    if late:
        await delay(servers.replicas[-1], 0.3)
    stale: list[str] = []

    async def session(number: int) -> None:
        choose = random.Random(number)
        for step in range(STEPS):
            key = number * 1000 + step + 1
            form = choose.choice(["create", "update", "delete", "transaction", "rollback", "bulk", "gather", "token"])
            async with database.session_position():
                row = await item.objects.create(id=key)
                seen: object
                match form:
                    case "create":
                        seen = await item.objects.filter(id=key).exists()
                    case "update":
                        await item.objects.filter(id=key).update(count=5)
                        seen = (await item.objects.get(id=key)).count == 5
                    case "delete":
                        await row.delete()
                        seen = not await item.objects.filter(id=key).exists()
                    case "transaction":
                        async with database.transaction():
                            await row.update(count=7)
                        seen = (await item.objects.get(id=key)).count == 7
                    case "rollback":
                        try:
                            async with database.transaction():
                                await row.update(count=9)
                                raise KeyError
                        except KeyError:
                            pass
                        seen = (await item.objects.get(id=key)).count == 0
                    case "bulk":
                        keys = [-key * 100 - extra for extra in range(20)]
                        await item.objects.bulk_create([{"id": negative} for negative in keys])
                        seen = await item.objects.filter(id__in=keys).count() == 20
                    case "gather":
                        await asyncio.gather(*[item.objects.create(id=key + extra * 100_000) for extra in (1, 2)])
                        seen = await item.objects.filter(id__in=[key + 100_000, key + 200_000]).count() == 2
                    case _:
                        token = await database.position_token()
                        async with other.session_position(token):
                            seen = await item.objects.using(other).filter(id=key).exists()
                if not seen:
                    stale.append(form)

    try:
        await asyncio.gather(*[session(number) for number in range(SESSIONS)])
    finally:
        if late:
            await delay(servers.replicas[-1], 0)
        await other.disconnect()
    assert stale == []


async def delay(url: str, seconds: float) -> None:
    """Make a replica replay its log late; MySQL and MariaDB by whole seconds."""
    if url.startswith("postgresql"):
        async with Database(url) as replica:
            await replica.execute(f"ALTER SYSTEM SET recovery_min_apply_delay = '{round(seconds * 1000)}ms'")
            await replica.execute("SELECT pg_reload_conf()")
        return
    with temporary_databases.connect(url.replace("app@", "root@")) as admin:
        ((version,),) = admin.fetch("SELECT VERSION()")
        old_words = {"REPLICATION SOURCE": "MASTER", "SOURCE": "MASTER", "REPLICA": "SLAVE"}
        for statement in (
            "STOP REPLICA",
            f"CHANGE REPLICATION SOURCE TO SOURCE_DELAY = {math.ceil(seconds)}",
            "START REPLICA",
        ):
            for word, old in old_words.items() if "MariaDB" in str(version) else ():
                statement = statement.replace(word, old)
            admin.fetch(statement)


async def test_reads_of_other_contexts_are_not_held_up_by_a_write(item: Any) -> None:
    database = item.registry.database
    async with database.session_position():
        await item.objects.create(id=1)
        async with database.session_position(None):
            assert await database.position_token() is None
        assert await database.position_token() is not None


async def test_reads_of_contexts_that_wrote_nothing_go_on_while_the_primary_is_down(item: Any) -> None:
    database = item.registry.database
    await item.objects.create(id=1)
    for _ in database.replicas.members:
        assert await item.objects.count() == 1  # every replica has connections, and has not failed
    async with database.session_position():
        await item.objects.create(id=2)

        async def lost(sql: str, args: object) -> Any:
            raise ConnectionLost("the primary is down")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(database._backend, "fetch", lost)
            patch.setattr(database._backend, "fetch_objects", lost)
            patch.setattr(database, "autocommit_backend", lambda: database._backend)
            with pytest.raises(ConnectionLost, match="the primary is down"):
                await item.objects.count()  # which replica shows its write is not known
            for _ in database.replicas.members:
                async with database.session_position():
                    assert await item.objects.filter(id=1).exists()
        assert await item.objects.count() == 2


async def test_reads_begin_on_replicas_while_the_primary_cannot_be_reached(servers: Replication, item: Any) -> None:
    await item.objects.create(id=1)
    assert await item.objects.count() == 1
    scheme, _, rest = servers.primary.partition("@")
    gone = f"{scheme}@127.0.0.1:1/{rest.rpartition('/')[2]}"
    database = Database(gone, replicas=servers.replicas)
    try:
        items = item.objects.using(database)
        await shown_by_replicas(servers, item.objects.filter(id=1))  # it was another database that wrote
        for _ in servers.replicas:
            assert await items.filter(id=1).exists()
        async with database.transaction(readonly=True, replica=True):
            assert [row.id async for row in items] == [1]
        with pytest.raises(ConnectionLost):
            await items.create(id=2)
    finally:
        await database.disconnect()


async def test_reads_go_on_while_replicas_are_down_and_return_to_them(postgresql: Replication) -> None:
    async with Database(postgresql.primary, replicas=postgresql.replicas) as database:
        model = model_on(database)
        await model.registry.create_all()
        await model.objects.create(id=1)
        log = Log(database)
        postgresql.stop(0)
        postgresql.stop(1)
        try:
            for _ in range(20):
                assert await model.objects.count() == 1
            assert log[-1].server == log.primary
        finally:
            postgresql.start(0)
            postgresql.start(1)
        with anyio.fail_after(60):
            while log[-1].server == log.primary:
                await asyncio.sleep(0.1)
                assert await model.objects.count() == 1
        await model.registry.drop_all()


async def test_database_without_fallback_raises_where_no_replica_answers(postgresql: Replication) -> None:
    gone = postgresql.replicas[0].rpartition(":")[0] + ":1/postgres"
    async with Database(postgresql.primary, replicas=[gone], fallback=False) as database:
        model = model_on(database)
        await model.registry.create_all()
        with pytest.raises(OperationalError):
            await model.objects.count()
        with database.primary():
            assert await model.objects.count() == 0
        await model.registry.drop_all()


async def test_blocks_choose_the_primary_or_one_replica_for_all_statements(item: Any) -> None:
    database = item.registry.database
    await item.objects.create(id=1)
    log = Log(database)
    with database.primary():
        await item.objects.count()
    assert log.servers("SELECT") == {"primary"}
    log.clear()
    async with database.replica(), database.transaction(readonly=True):
        assert await item.objects.count() == 1
        assert [row.id async for row in item.objects.all()] == [1]
        assert await database.fetch_val("SELECT count(*) FROM item") == 1
    assert log.servers("") == {"replica"}


async def test_instances_that_a_replica_read_are_saved_on_the_primary(item: Any) -> None:
    database = item.registry.database
    await item.objects.create(id=1)
    async with database.replica() as replica:
        row = await item.objects.using(replica).get(id=1)
    await row.update(count=3)
    assert (await item.objects.get(id=1)).count == 3


@pytest.mark.parametrize("form", ["attribute", "related manager", "graph", "raw"])
async def test_instances_read_from_a_replica_belong_to_the_database_that_routes_to_it(
    servers: Replication, form: str
) -> None:
    async with Database(servers.primary, replicas=servers.replicas) as database:

        class Owner(orm.Model):
            registry = orm.ModelRegistry(database=database)

            id = orm.Integer(primary_key=True)

        class Pet(orm.Model):
            registry = Owner.registry

            id = orm.Integer(primary_key=True)
            owner = orm.ForeignKey(Owner, on_delete=orm.CASCADE, related_name="pets")

        await Owner.registry.create_all()
        try:
            await Owner.objects.create(id=1)
            async with database.replica() as replica:
                owners = Owner.objects.using(replica)
                match form:
                    case "graph":
                        (owner,) = await owners.graph("pets")
                    case "raw":
                        (owner,) = await Owner.raw("SELECT id FROM owner").using(replica)
                    case _:
                        owner = await owners.get(id=1)
            assert replica.routed_by is database
            assert owner.__dict__["_database"] is database
            if form == "related manager":
                await owner.pets.create(id=2)
            else:
                await Pet.objects.create(id=2, owner=owner)
            await owner.delete()
            assert not await Pet.objects.exists()
        finally:
            await Owner.registry.drop_all()


async def test_streams_graphs_and_sql_of_ones_own_run_on_replicas_if_they_read(item: Any) -> None:
    database = item.registry.database
    await item.objects.bulk_create([{"id": number} for number in range(1, 1001)])
    log = Log(database)
    assert len([row async for row in item.objects.all()]) == 1000
    assert [row["id"] async for row in database.iterate("SELECT id FROM item WHERE id < 3 ORDER BY id")] == [1, 2]
    assert len(await item.objects.filter(id__lt=9).graph()) == 8
    assert len(await item.raw("SELECT id FROM item WHERE id < :limit", {"limit": 4})) == 3
    assert len(await database.fetch_all("SELECT id FROM item")) == 1000
    assert await database.fetch_one("SELECT id FROM item WHERE id = :id", {"id": 0}) is None
    assert await database.fetch_val("SELECT count(*) FROM item") == 1000
    assert await database.fetch_all(item._meta.table.select().where(item._meta.table.c.id == 7)) != []
    assert log.servers("item") == {"replica"}
    log.clear()
    await database.execute("UPDATE item SET count = 1")
    await database.fetch_all("SELECT id FROM item WHERE id = 1 FOR UPDATE")
    await database.fetch_all(item._meta.table.select().with_for_update())
    assert log.servers("item") == {"primary"}
    assert await database.fetch_val("SELECT min(count) FROM item") == 1


async def test_statements_in_the_body_of_a_stream_from_a_replica_run_where_they_would_without_it(item: Any) -> None:
    database = item.registry.database
    await item.objects.bulk_create([{"id": number} for number in range(1, 1001)])
    log = Log(database)
    async for row in item.objects.filter(id__lte=700):
        if row.id % 100 == 0:
            await row.update(count=row.id)
            assert await item.objects.filter(count=row.id).count() == 1
    assert log.servers("UPDATE") == {"primary"}
    assert log.servers("SELECT item") == {"replica"}


async def test_stream_begins_on_another_server_if_its_replica_is_gone(servers: Replication, item: Any) -> None:
    gone = servers.replicas[0].rpartition(":")[0] + ":1/postgres"
    async with Database(servers.primary, replicas=[gone]) as database:
        await item.objects.create(id=1)
        assert [row.id async for row in item.objects.using(database)] == [1]
        assert [row["id"] async for row in database.iterate("SELECT id FROM item")] == [1]


async def test_read_only_transaction_runs_on_one_replica_that_shows_earlier_writes(item: Any) -> None:
    database = item.registry.database
    for number in range(1, 21):
        await item.objects.create(id=number)
        log = Log(database)
        async with database.transaction(readonly=True, replica=True):
            assert await item.objects.count() == number
            assert len([row async for row in item.objects.all()]) == number
            assert await database.fetch_val("SELECT count(*) FROM item") == number
            async with database.transaction():
                assert len(await item.objects.all().graph()) == number
        assert log.servers("item") == {"replica"}
        assert len({event.server for event in log if "item" in event.sql}) == 1
        database.remove_hook(log.append)
    await item.objects.create(id=100)


async def test_read_only_transaction_on_a_replica_refuses_writes_and_calls_its_callbacks(item: Any) -> None:
    database = item.registry.database
    called: list[str] = []
    with pytest.raises(TransactionError, match="readonly=True"):
        async with database.transaction(readonly=True, replica=True):
            await item.objects.create(id=1)
    async with database.transaction(readonly=True, replica=True):
        await database.on_commit(lambda: called.append("outer"))
        try:
            async with database.transaction():
                await database.on_commit(lambda: called.append("rolled back"))
                raise KeyError
        except KeyError:
            pass
        with database.detached():
            await item.objects.create(id=2)
    assert called == ["outer"]
    assert await item.objects.count() == 1
    assert database.open_transactions == 0
    assert all(replica.database.open_transactions == 0 for replica in database.replicas.members)


async def test_tasks_that_outlive_a_block_on_a_replica_are_outside_of_it(item: Any) -> None:
    database = item.registry.database
    for block in (database.replica, lambda: database.transaction(readonly=True, replica=True)):
        has_read, end = asyncio.Event(), asyncio.Event()

        async def write_later(has_read: asyncio.Event = has_read, end: asyncio.Event = end) -> None:
            await item.objects.count()
            has_read.set()
            await end.wait()
            await item.objects.create(id=1)

        async with block():
            task = asyncio.create_task(write_later())
            await has_read.wait()
        end.set()
        await task
        await item.objects.delete()


async def test_read_only_transactions_begin_elsewhere_if_a_replica_is_down(postgresql: Replication) -> None:
    async with Database(postgresql.primary, replicas=postgresql.replicas) as database:
        model = model_on(database)
        await model.registry.create_all()
        await model.objects.create(id=1)
        log = Log(database)

        @database.transaction(readonly=True, replica=True)
        async def count() -> int:
            return await model.objects.count()

        for _ in range(4):  # each replica has a connection in its pool
            assert await count() == 1
        assert log.servers("SELECT count") == {"replica"}
        for number, expected in [(0, "replica"), (1, "primary")]:
            postgresql.stop(number)
            log.clear()
            for _ in range(6):
                assert await count() == 1
                async with database.replica():
                    assert await model.objects.count() == 1
            assert log.servers("SELECT count") == {expected}
        for number in range(2):
            postgresql.start(number)
        await model.registry.drop_all()


async def test_transaction_on_a_replica_must_be_read_only_and_outermost(item: Any) -> None:
    database = item.registry.database
    with pytest.raises(QueryError, match="readonly=True, replica=True"):
        database.transaction(replica=True)
    async with database.transaction():
        with pytest.raises(TransactionError, match="belong to the outermost"):
            async with database.transaction(readonly=True, replica=True):
                pass
    async with Database("sqlite://") as without, without.transaction(readonly=True, replica=True):
        assert await without.fetch_val("SELECT 1") == 1


async def test_consistency_of_a_model_replaces_that_of_the_database(servers: Replication) -> None:
    for consistency in ("session", "primary"):
        async with Database(servers.primary, replicas=servers.replicas, consistency=consistency) as database:

            class Balance(orm.Model):
                registry = orm.ModelRegistry(database=database)

                id = orm.Integer(primary_key=True)

                class Meta:
                    consistency = "primary"

            class Visit(orm.Model):
                registry = Balance.registry

                id = orm.Integer(primary_key=True)

                class Meta:
                    consistency = "eventual"

            await Balance.registry.create_all()
            await Balance.objects.create()
            await shown_by_replicas(servers, Balance.objects)  # their reads do not wait
            log = Log(database)
            for model, table, server in ((Balance, "balance", "primary"), (Visit, "visit", "replica")):
                await model.objects.count()
                await model.objects.filter(id=1)
                await model.objects.exists()
                await model.objects.aggregate(largest=orm.Max("id"))
                await model.objects.graph()
                await model.raw(f"SELECT id FROM {table}")
                async for _ in model.objects.all():
                    pass
                assert log.servers(table) == {server}
            assert not [event for event in log if "lsn" in event.sql or "gtid" in event.sql.lower()]
            await Balance.registry.drop_all()


def test_meta_refuses_an_unknown_consistency() -> None:
    with pytest.raises(FieldError, match="consistency is one of session, eventual, primary"):

        class Item(orm.Model):
            registry = orm.ModelRegistry()

            id = orm.Integer(primary_key=True)

            class Meta:
                consistency = "strong"


async def test_consistency_decides_whether_reads_wait_and_where_they_run(servers: Replication, item: Any) -> None:
    for consistency, expected in [("eventual", {"replica"}), ("primary", {"primary"})]:
        async with Database(servers.primary, replicas=servers.replicas, consistency=consistency) as database:
            log = Log(database)
            await item.objects.using(database).count()
            assert log.servers("SELECT count") == expected
    with pytest.raises(QueryError, match="consistency is one of session, eventual, primary"):
        Database(servers.primary, replicas=servers.replicas, consistency="strong")


async def test_replica_that_is_too_late_is_not_read(servers: Replication) -> None:
    options = {"consistency": "eventual", "max_lag": 0.2}
    async with Database(servers.primary, replicas=servers.replicas[:1], **options) as database:
        model = model_on(database)
        await model.registry.create_all()
        (replica,) = database.replicas.members
        await until(lambda: is_not_late(replica))
        log = Log(database)
        assert await model.objects.count() == 0
        assert log.servers("SELECT count") == {"replica"}
        await delay(servers.replicas[0], 10)
        try:
            await model.objects.create(id=1)
            await until(lambda: is_late(replica))
            log.clear()
            assert await model.objects.count() == 1
            assert log.servers("SELECT count") == {"primary"}
        finally:
            await delay(servers.replicas[0], 0)
        await model.registry.drop_all()


async def is_not_late(replica: Replica) -> bool:
    return await replica.lag() == 0


async def is_late(replica: Replica) -> bool:
    return await replica.lag() > 0.2


@pytest.mark.parametrize("name", ["mariadb", "mysql"])
async def test_replica_that_has_stopped_is_late_without_end(request: pytest.FixtureRequest, name: str) -> None:
    replication: Replication = request.getfixturevalue(name)
    async with Database(replication.primary, replicas=replication.replicas, max_lag=1e9) as database:
        (replica,) = database.replicas.members
        await until(lambda: is_not_late(replica))
        word = "SLAVE" if name == "mariadb" else "REPLICA"
        with temporary_databases.connect(replication.replicas[0].replace("app@", "root@")) as admin:
            admin.fetch(f"STOP {word}")
            try:
                assert await replica.lag() == math.inf
                log = Log(database)
                assert await database.fetch_val("SELECT 1") == 1
                assert log.servers("SELECT 1") == {"primary"}
            finally:
                admin.fetch(f"START {word}")
        await until(lambda: is_not_late(replica))


async def test_server_that_is_no_replica_is_not_read_with_max_lag(mysql_url: str) -> None:
    async with Database(mysql_url, replicas=[mysql_url], max_lag=1) as database:
        assert await database.replicas.members[0].lag() == math.inf


@pytest.mark.parametrize(
    "token", ["FFFFFFFF/FFFFFFFF", "0-1-99999999", "1:1", "/", "'; DROP TABLE item; --", "\0", "0" * 9999]
)
async def test_position_that_somebody_made_up_slows_its_own_context_alone(item: Any, token: str) -> None:
    database = item.registry.database
    await item.objects.create(id=1)
    async with database.session_position(token):
        assert await item.objects.count() == 1
    async with database.session_position():
        for _ in range(200):  # a context without a position does not wait for the replica
            if await item.objects.count() == 1:
                break
            await asyncio.sleep(0.05)
    log = Log(database)
    async with database.session_position():
        assert await item.objects.count() == 1
    assert log.servers("SELECT count") == {"replica"}


class Server:
    """Stands for a database whose server tells a position, a new one each time."""

    def __init__(self) -> None:
        self._backend = self
        self.asked = 0

    def has_connection(self) -> bool:
        return False

    async def fetch(self, sql: str, args: Any) -> list[tuple[str]]:
        self.asked += 1
        token = str(self.asked)
        for _ in range(20 // self.asked):  # later questions are answered sooner
            await asyncio.sleep(0)
        return [(token,)]


@pytest.fixture
def routing(monkeypatch: pytest.MonkeyPatch) -> Replicas:
    async def postgresql(database: Any) -> Any:
        return dialects["postgresql"]

    async def reached(self: Replica, token: str, seconds: float) -> bool:
        return True

    monkeypatch.setattr(replicas, "dialect_of", postgresql)
    monkeypatch.setattr(Replica, "wait_for", reached)
    primary: Any = Server()
    replica: Any = Server()
    return Replicas(primary, [replica])


async def test_reads_at_the_same_time_all_see_the_write_before_them(routing: Replicas) -> None:
    assert await routing.position_token() is None
    routing.wrote()
    tokens = await asyncio.gather(*(routing.position_token() for _ in range(3)))
    assert None not in tokens
    assert await routing.position_token() == "3"  # the answer to the latest question
    with routing.only_primary():
        routing.wrote()
        await routing.position_token()
    assert int(await routing.position_token() or 0) > 3


async def test_reads_see_what_a_function_wrote_that_a_replica_refused(routing: Replicas) -> None:
    async def draw(server: Any) -> str:
        if server is not routing._primary:
            raise ReadOnlyServer("a replica cannot write")
        return "drawn"

    assert await routing.route("SELECT draw()", draw) == "drawn"
    assert await routing.position_token() == "1"
