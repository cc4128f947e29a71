"""Galera with three nodes under load: conflicts between nodes, a node that is killed or cut off, and a lost quorum."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from orm.database.connections import replicas
from orm.database.connections.database import Database
from orm.database.query_log.events import QueryEvent
from tests import temporary_databases
from tests.clusters import Galera, galera
from tests.faults.load import RECOVERY_SECONDS, Load, run_on_all
from tests.waiting import until

pytestmark = pytest.mark.anyio
SECONDS = 10.0 if os.environ.get("FAULTS") == "full" else 1.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Galera]:
    with galera() as nodes:
        yield nodes


def all_nodes(cluster: Galera) -> str:
    """The URL that names all nodes, of which a client takes the first that works."""
    return f"mysql://root@{','.join(urlsplit(url).netloc.rpartition('@')[2] for url in cluster.urls)}/shop"


async def test_conflicts_between_nodes_are_repeated(cluster: Galera) -> None:
    print(f"Galera, conflicts: {await run_on_all(cluster.urls, SECONDS)}")


async def test_reads_on_other_nodes_see_what_their_context_wrote(
    cluster: Galera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "MAX_WAIT_SECONDS", 2)  # on a busy machine reads would go to the primary
    writer, behind, current = cluster.urls
    async with Database(writer, replicas=[behind, current]) as database:
        load = Load(database)
        await load.create_tables()
        servers: Counter[str] = Counter()

        def count(event: QueryEvent) -> None:
            servers[event.server] += event.sql.startswith("SELECT note.name")

        database.add_hook(count)
        names = {url: Database(url)._backend.display_name for url in cluster.urls}
        with temporary_databases.connect(cluster.servers[1].url) as admin:
            async with load:
                await until(lambda: servers[names[behind]] and servers[names[current]])
                admin.fetch("SET GLOBAL wsrep_desync = ON")  # the others go on without it
                await asyncio.to_thread(admin.fetch, "FLUSH TABLES WITH READ LOCK")
                servers.clear()
                await until(lambda: servers[names[current]] >= 20)
                admin.fetch("UNLOCK TABLES")
                admin.fetch("SET GLOBAL wsrep_desync = OFF")
        print(f"Galera, reads on other nodes, one of them behind: {load.report()}, {load.stale_reads} stale")
        await load.check()
        await asyncio.to_thread(cluster.wait_for, 1, "Synced")


async def test_node_that_is_cut_off_is_left_for_another(cluster: Galera) -> None:
    with temporary_databases.connect(cluster.servers[0].url) as admin:
        async with Database(all_nodes(cluster)) as database:
            load = Load(database)
            await load.create_tables()
            async with load:
                await asyncio.sleep(SECONDS)
                began = time.monotonic()
                admin.fetch("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'")
                await asyncio.to_thread(cluster.wait_for, 0, "Initialized")
                noticed = time.monotonic() - began
                seconds = await load.writes_again()
            admin.fetch("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'")
            await asyncio.to_thread(cluster.wait_for, 0, "Synced")
            print(f"Galera, node cut off: noticed after {noticed:.2f} s, writes {seconds:.2f} s later; {load.report()}")
            await load.check()
            assert seconds < RECOVERY_SECONDS


async def test_killed_node_loses_nothing(cluster: Galera) -> None:
    async with Database(all_nodes(cluster)) as database:
        load = Load(database)
        await load.create_tables()
        async with load:
            await asyncio.sleep(SECONDS)
            await asyncio.to_thread(cluster.servers[0].kill)
            seconds = await load.writes_again()
            await asyncio.sleep(SECONDS)
            await asyncio.to_thread(cluster.start, 0)
            await load.writes_again()
        print(f"Galera, node killed: writes work after {seconds:.2f} s; {load.report()}")
    for url in cluster.urls:
        async with Database(url) as database:
            await database.execute("SET SESSION wsrep_sync_wait = 1")
            await load.check(database)


async def test_lost_quorum_refuses_writes_until_there_is_one(cluster: Galera) -> None:
    # The last test: two of the nodes stay away.
    async with Database(all_nodes(cluster)) as database:
        load = Load(database)
        await load.create_tables()
        async with load:
            await asyncio.sleep(SECONDS)
            for number in (1, 2):
                await asyncio.to_thread(cluster.servers[number].kill)
            await asyncio.to_thread(cluster.wait_for, 0, "Initialized")
            await asyncio.sleep(0.2)
            without_quorum = len(load.acknowledged)
            await asyncio.sleep(SECONDS)
            assert len(load.acknowledged) == without_quorum
            await asyncio.to_thread(cluster.bootstrap, 0)
            seconds = await load.writes_again()
        print(f"Galera, quorum lost: writes work {seconds:.2f} s after the new one; {load.report()}")
        await load.check()
        assert load.errors["ConnectionLost"]
        assert seconds < RECOVERY_SECONDS
