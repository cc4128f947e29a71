"""`TransactionMiddleware` in Starlette and FastAPI applications over HTTP, on each database."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import fastapi
import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

import orm
from orm.contrib.asgi import TransactionMiddleware
from orm.contrib.starlette import exception_handlers, get_or_404

pytestmark = pytest.mark.anyio


def define_model(database: Any) -> Any:
    class Item(orm.Model):
        registry = orm.ModelRegistry(database=database)

        name = orm.String(max_length=10, unique=True)

    return Item


def client_of(app: Any, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, **options), base_url="http://items")


async def names(model: Any) -> list[str]:
    return [item.name for item in await model.objects.order_by("name")]


async def test_requests_are_kept_or_rolled_back_as_a_whole(database: Any) -> None:
    Item = define_model(database)
    await Item.registry.create_all()

    async def create(request: Request) -> Response:
        first, second, status = request.path_params["names"].split("-")
        await Item.objects.create(name=first)
        await Item.objects.create(name=second)
        if status == "boom":
            raise RuntimeError("boom")
        return JSONResponse([], status_code=int(status))

    async def read(request: Request) -> Response:
        return JSONResponse((await get_or_404(Item, name=request.path_params["name"])).name)

    app = Starlette(
        routes=[Route("/{names}", create, methods=["POST"]), Route("/{name}", read)],
        middleware=[Middleware(TransactionMiddleware, database=database)],
        exception_handlers=exception_handlers,
    )
    async with client_of(app, raise_app_exceptions=False) as client:
        assert (await client.post("/a-b-201")).status_code == 201
        assert await names(Item) == ["a", "b"]
        assert (await client.post("/c-d-404")).status_code == 404
        assert (await client.post("/e-f-boom")).status_code == 500
        answer = await client.post("/g-g-201")
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (409, ["body", "name"])
        assert (await client.get("/a")).json() == "a"
        assert (await client.get("/c")).status_code == 404
        assert (await client.get("/%00")).status_code == 404  # which PostgreSQL cannot store
        assert await names(Item) == ["a", "b"]
        # Requests at the same time have transactions of their own.
        answers = await asyncio.gather(*(client.post(f"/x{n}-y{n}-{404 if n % 2 else 201}") for n in range(4)))
        assert [answer.status_code for answer in answers] == [201, 404, 201, 404]
        assert await names(Item) == ["a", "b", "x0", "x2", "y0", "y2"]
    await Item.registry.drop_all()


async def test_transaction_is_committed_before_the_answer_and_before_what_follows_it(database: Any) -> None:
    Item = define_model(database)
    await Item.registry.create_all()

    async def in_background() -> None:
        await Item.objects.create(name="background")

    async def create(request: Request) -> Response:
        await Item.objects.create(name="answered")
        return PlainTextResponse("done", background=BackgroundTask(in_background))

    async def stream(request: Request) -> Response:
        await Item.objects.create(name="streamed")

        async def parts() -> AsyncIterator[str]:
            for item in await names(Item):
                yield f"{item} "

        return StreamingResponse(parts())

    app = Starlette(
        routes=[Route("/create", create, methods=["POST"]), Route("/stream", stream, methods=["POST"])],
        middleware=[Middleware(TransactionMiddleware, database=database)],
    )
    async with client_of(app) as client:
        assert (await client.post("/create")).text == "done"
        assert await names(Item) == ["answered", "background"]
        assert (await client.post("/stream")).text == "answered background streamed "
    await Item.registry.drop_all()


async def test_handler_behind_another_middleware_is_in_the_transaction(database: Any) -> None:
    Item = define_model(database)
    await Item.registry.create_all()
    app = fastapi.FastAPI(exception_handlers=exception_handlers)

    @app.post("/items/{name}")
    async def create(name: str) -> int:
        await Item.objects.create(name=name)
        if name == "stop":
            raise fastapi.HTTPException(418)
        return await Item.objects.count()

    async def passing(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=passing)  # it runs the handler in a task of its own
    app.add_middleware(TransactionMiddleware, database=database)
    async with client_of(app) as client:
        assert (await client.post("/items/a")).json() == 1
        assert (await client.post("/items/stop")).status_code == 418
        assert await names(Item) == ["a"]
    await Item.registry.drop_all()
