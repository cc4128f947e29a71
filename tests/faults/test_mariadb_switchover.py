"""A MariaDB primary under load becomes read-only, and its replica takes the writes."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import pytest

from orm.database.connections.database import Database
from tests import temporary_databases
from tests.faults.load import RECOVERY_SECONDS, Load
from tests.replication import Replication, mariadb_replication

pytestmark = pytest.mark.anyio


def switch_over(servers: Replication) -> None:
    """Make the primary read-only, and the replica the primary once it has replayed all that was written."""
    old, new = (server.url for server in servers.servers)
    with temporary_databases.connect(old) as primary, temporary_databases.connect(new) as replica:
        primary.fetch("SET GLOBAL read_only = ON")
        ((position,),) = primary.fetch("SELECT @@global.gtid_binlog_pos")
        assert replica.fetch("SELECT master_gtid_wait(%s, 10)", position) == [(0,)]
        replica.fetch("STOP SLAVE")
        replica.fetch("SET GLOBAL read_only = OFF")


async def test_primary_that_becomes_read_only_is_left_for_the_new_one() -> None:
    with mariadb_replication() as servers:
        netloc = ",".join(urlsplit(url).netloc.rpartition("@")[2] for url in (servers.primary, *servers.replicas))
        async with Database(f"mysql://app@{netloc}/shop?target_session_attrs=read-write") as database:
            load = Load(database)
            await load.create_tables()
            async with load:
                await asyncio.sleep(0.5)
                began = time.monotonic()
                await asyncio.to_thread(switch_over, servers)
                switched = time.monotonic() - began
                seconds = await load.writes_again()
                await asyncio.sleep(0.5)
            print(f"MariaDB, switchover in {switched:.2f} s: writes work {seconds:.2f} s later; {load.report()}")
            await load.check()
            assert load.errors["ReadOnlyServer"]
            assert seconds < RECOVERY_SECONDS
