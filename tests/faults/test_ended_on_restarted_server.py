"""A cancelled statement is not ended on a server that was restarted: another connection has its number there."""

from __future__ import annotations

import asyncio

import pytest

from orm.database.connections.database import Database
from tests.faults.killable_servers import killable_server

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
async def test_connection_with_the_number_of_one_before_the_restart_is_spared(kind: str) -> None:
    with killable_server(kind) as server:
        async with Database(server.url, min_size=1, max_size=1) as database:
            before = await database._backend.open_raw()
            await asyncio.sleep(2.5)  # the server counts the seconds since its start
            await asyncio.to_thread(server.server.kill)
            await asyncio.to_thread(server.server.start)
            others = []
            try:
                while not others or others[-1].thread_id() < before.thread_id():
                    others.append(await database._backend.open_raw())
                same = [other for other in others if other.thread_id() == before.thread_id()]
                assert same, "the server does not count its connections from the start again"
                await database._backend.end_on_server(before)
                for other in same:
                    assert await database._backend.driver.fetch(other, "SELECT 1", ()) == ((1,),)
            finally:
                before.close()
                for other in others:
                    await other.ensure_closed()
