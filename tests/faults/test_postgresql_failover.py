"""A PostgreSQL primary with two replicas under load: the primary is killed, or becomes a replica, and reads go on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from orm.database.connections.database import Database
from tests import temporary_databases
from tests.faults.load import RECOVERY_SECONDS, Load
from tests.private_servers import PgBouncerServer, PostgreSQLServer
from tests.replication import Replication, postgresql_replication
from tests.waiting import until, wait_until

pytestmark = pytest.mark.anyio
RESTARTS = 20 if os.environ.get("FAULTS") == "full" else 2


@pytest.fixture
def servers() -> Iterator[Replication]:
    with postgresql_replication() as replication:
        # What is acknowledged is on the replica that takes over.
        with temporary_databases.connect(replication.primary) as admin:
            admin.fetch("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (replica_0, replica_1)'")
            admin.fetch("SELECT pg_reload_conf()")
        yield replication


def all_servers(servers: Replication) -> str:
    """The URL that names all servers, of which a client takes the one that takes writes."""
    netloc = ",".join(urlsplit(url).netloc.rpartition("@")[2] for url in (servers.primary, *servers.replicas))
    return f"postgresql://postgres@{netloc}/postgres?target_session_attrs=read-write"


def promote(servers: Replication) -> None:
    """Make the replica that has received most the primary, which the other one follows."""
    with contextlib.ExitStack() as stack:
        replicas = [stack.enter_context(temporary_databases.connect(url)) for url in servers.replicas]
        received = [admin.fetch("SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')")[0][0] for admin in replicas]
        newest = received.index(max(received))
        other = replicas[1 - newest]
        replicas[newest].fetch("ALTER SYSTEM SET synchronous_standby_names = ''")
        assert replicas[newest].fetch("SELECT pg_promote()") == [(True,)]
        port = servers.servers[1 + newest].port
        other.fetch(f"ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port={port} user=postgres'")
        other.fetch("SELECT pg_reload_conf()")


def make_read_only(servers: Replication) -> None:
    with temporary_databases.connect(servers.primary) as admin:
        admin.fetch("ALTER SYSTEM SET default_transaction_read_only = on")
        admin.fetch("SELECT pg_reload_conf()")


def end_writes(servers: Replication) -> None:
    """End all connections, some of which may not have read the setting yet, and wait until the replicas have all."""
    with temporary_databases.connect(servers.primary) as admin:
        admin.fetch(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'client backend'"
            " AND pid <> pg_backend_pid()"
        )
        wait_until(
            lambda: (
                admin.fetch("SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL") == [(0,)]
                and admin.fetch("SELECT count(*) FROM pg_stat_replication WHERE flush_lsn = pg_current_wal_lsn()")
                == [(2,)]
            )
        )


async def test_killed_primary_loses_nothing_and_its_replica_takes_over(servers: Replication) -> None:
    async with Database(all_servers(servers), replicas=servers.replicas) as database:
        load = Load(database)
        await load.create_tables()
        async with load:
            await asyncio.sleep(0.5)
            killed = time.monotonic()
            await asyncio.to_thread(servers.servers[0].kill)
            await asyncio.to_thread(promote, servers)
            promoted = time.monotonic()
            seconds = await load.writes_again()
            await asyncio.sleep(0.5)
        print(
            f"primary killed: promoted after {promoted - killed:.2f} s, "
            f"writes work {seconds:.2f} s later; {load.report()}"
        )
        await load.check()
        assert load.longest_without_read < promoted - killed + RECOVERY_SECONDS


async def test_primary_that_becomes_read_only_is_left_for_the_new_one(servers: Replication) -> None:
    async with Database(all_servers(servers), replicas=servers.replicas) as database:
        load = Load(database)
        await load.create_tables()
        async with load:
            await asyncio.sleep(0.5)
            began = time.monotonic()
            await asyncio.to_thread(make_read_only, servers)
            await until(lambda: load.errors["ReadOnlyServer"])
            await asyncio.to_thread(end_writes, servers)
            await asyncio.to_thread(promote, servers)
            promoted = time.monotonic()
            seconds = await load.writes_again()
            await asyncio.sleep(0.5)
        print(
            f"switchover: promoted after {promoted - began:.2f} s, writes work {seconds:.2f} s later; {load.report()}"
        )
        await load.check()
        assert seconds < RECOVERY_SECONDS


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_restarts_of_pgbouncer_lose_nothing(mode: str) -> None:
    with PostgreSQLServer({"fsync": "off"}) as server:
        server.start()
        with PgBouncerServer(server.url, {"pool_mode": mode, "default_pool_size": 20}) as pooler:
            pooler.start()
            async with Database(pooler.url) as database:
                load = Load(database)
                await load.create_tables()
                recoveries = []
                async with load:
                    for _ in range(RESTARTS):
                        await asyncio.sleep(0.2)
                        await asyncio.to_thread(pooler.kill)
                        await asyncio.to_thread(pooler.start)
                        recoveries.append(await load.writes_again())
                print(f"PgBouncer ({mode}) killed {RESTARTS} times: {max(recoveries):.2f} s; {load.report()}")
                await load.check()
                assert max(recoveries) < RECOVERY_SECONDS
