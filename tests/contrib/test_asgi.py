"""The middleware that lets a client read its own writes from replicas, in a Starlette application over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import orm
from orm.contrib.asgi import SessionPositionMiddleware
from tests import temporary_databases
from tests.replication import Replication, postgresql_replication

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def servers() -> Iterator[Replication]:
    with postgresql_replication() as replication:
        yield replication


def application(servers: Replication) -> tuple[Starlette, Any]:
    """A process of a service: an application with a database of its own."""
    database = orm.Database(servers.primary, replicas=servers.replicas)

    class Item(orm.Model):
        registry = orm.ModelRegistry(database=database)

        id = orm.Integer(primary_key=True)

    async def create(request: Request) -> PlainTextResponse:
        item = await Item.objects.create()
        return PlainTextResponse(str(item.id))

    async def read(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(await Item.objects.filter(id=request.path_params["id"]).count()))

    routes = [Route("/items", create, methods=["POST"]), Route("/items/{id:int}", read)]
    return Starlette(routes=routes, middleware=[Middleware(SessionPositionMiddleware, database)]), Item


def wait_for_table(servers: Replication, name: str) -> None:
    """Wait until each replica has a table: a client without a position reads what there is."""
    for url in servers.replicas:
        with temporary_databases.connect(url) as replica:
            while replica.fetch("SELECT to_regclass(%s)", name) == [(None,)]:
                time.sleep(0.01)


async def test_client_reads_its_own_writes_from_another_process(servers: Replication) -> None:
    (first, model), (second, other) = application(servers), application(servers)
    await model.registry.create_all()
    for _ in range(20):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(first), base_url="http://a") as client:
            response = await client.post("/items")
            key = response.text
            token = client.cookies["orm_position"]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(second), base_url="http://a") as client:
            headers = [("cookie", "other=1"), ("cookie", f"orm_position={token}")]
            assert (await client.get(f"/items/{key}", headers=headers)).text == "1"
    await model.registry.drop_all()
    await model.registry.database.disconnect()
    await other.registry.database.disconnect()


@pytest.mark.parametrize(
    "cookie", ["orm_position=%27%3B--", "orm_position=FFFFFFFF%2FFFFFFFFF", "orm_position", "=;=", ""]
)
async def test_cookie_that_nobody_gave_out_is_no_error(servers: Replication, cookie: str) -> None:
    app, model = application(servers)
    await model.registry.create_all()
    wait_for_table(servers, "item")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://a") as client:
        response = await client.get("/items/1", headers={"cookie": cookie})
    assert (response.status_code, response.text) == (200, "0")
    await model.registry.drop_all()
    await model.registry.database.disconnect()
