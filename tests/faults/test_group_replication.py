"""MySQL's Group Replication with three members under load: the primary is killed; members that all write conflict."""

from __future__ import annotations

import asyncio
import os
import time
from urllib.parse import urlsplit

import anyio
import pytest

from orm.database.connections.database import Database
from tests.clusters import GroupReplication, group_replication
from tests.faults.load import READERS, RECOVERY_SECONDS, WRITERS, Load, run_on_all
from tests.waiting import until

pytestmark = pytest.mark.anyio
SECONDS = 10.0 if os.environ.get("FAULTS") == "full" else 1.0


def primary_of(group: GroupReplication) -> str:
    """The URL that names all members, of which a client takes the primary."""
    netloc = ",".join(urlsplit(url).netloc.rpartition("@")[2] for url in group.urls)
    return f"mysql://app@{netloc}/shop?target_session_attrs=read-write"


async def test_killed_primary_loses_nothing_and_another_member_takes_over() -> None:
    with group_replication() as group:
        async with Database(primary_of(group)) as database:
            load = Load(database)
            await load.create_tables()
            async with load:
                await asyncio.sleep(SECONDS)
                await asyncio.to_thread(group.servers[0].kill)
                seconds = await load.writes_again()
                await asyncio.sleep(SECONDS)
            print(f"Group Replication, primary killed: writes work after {seconds:.2f} s; {load.report()}")
            await load.check()


async def test_conflicts_between_members_are_repeated() -> None:
    with group_replication(multi_primary=True) as group:
        print(f"Group Replication, conflicts: {await run_on_all(group.urls, SECONDS)}")


async def test_lost_quorum_holds_writes_up_until_there_is_one() -> None:
    with group_replication() as group:
        async with Database(primary_of(group), max_size=WRITERS + READERS + 1) as database:
            load = Load(database)
            await load.create_tables()
            await load.total.objects.create(id=WRITERS + 1)
            async with load:
                await asyncio.sleep(SECONDS)
                for number in (1, 2):
                    await asyncio.to_thread(group.servers[number].kill)
                await asyncio.to_thread(group.wait_for_lost_quorum, 0)
                # Its COMMIT waits for the quorum, and may be kept later: `timeout=` is a limit of the block alone.
                load.unknown.add("late")
                began = time.monotonic()
                with pytest.raises(TimeoutError), anyio.fail_after(0.5):
                    async with database.transaction():
                        await load.note.objects.create(name="late", task=WRITERS + 1)
                        await load.total.objects.filter(id=WRITERS + 1).update(notes=1)
                late = time.monotonic() - began
                acknowledged, reads = len(load.acknowledged), load.reads
                await until(lambda: load.reads >= reads + 10)  # reads go on
                assert len(load.acknowledged) == acknowledged
                await asyncio.to_thread(group.make_group_of, 0)
                seconds = await load.writes_again()
            print(
                f"Group Replication, quorum lost: a transaction with a timeout of 0.5 s ends after {late:.1f} s; "
                f"writes work {seconds:.2f} s after the new one; {load.report()}"
            )
            await load.check()
            assert seconds < RECOVERY_SECONDS
