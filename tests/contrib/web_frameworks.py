"""The frameworks that have a `crud_router()`, under one interface: the same requests get the same answers."""

from __future__ import annotations

from typing import Any

import fastapi
import httpx
from litestar import Litestar, Router

import orm
from examples import fastapi_crud, litestar_crud
from orm.contrib.fastapi import crud_router as fastapi_router
from orm.contrib.litestar import OrmPlugin
from orm.contrib.litestar import crud_router as litestar_router

#: A database that only the plugin of Litestar has: models have their own.
UNUSED = orm.Database("sqlite://")


class FastAPIService:
    """Routers of FastAPI, in an application without exception handlers."""

    example: Any = fastapi_crud

    @staticmethod
    def crud_router(model: type[orm.Model], path: str | None = None, **options: Any) -> fastapi.APIRouter:
        return fastapi_router(model, prefix=path, **options)

    @staticmethod
    def application(*routers: fastapi.APIRouter) -> Any:
        app = fastapi.FastAPI()
        for router in routers:
            app.include_router(router)
        return app

    @staticmethod
    def openapi(app: Any) -> dict[str, Any]:
        document: dict[str, Any] = app.openapi()
        return document


class LitestarService:
    """Routers of Litestar, in an application with our plugin."""

    example: Any = litestar_crud

    @staticmethod
    def crud_router(model: type[orm.Model], **options: Any) -> Router:
        return litestar_router(model, **options)

    @staticmethod
    def application(*routers: Router) -> Any:
        return Litestar([*routers], plugins=[OrmPlugin(UNUSED)])

    @staticmethod
    def openapi(app: Any) -> dict[str, Any]:
        return app.openapi_schema.to_schema()  # type: ignore[no-any-return]


#: By the name that tests have in their ids.
FRAMEWORKS: dict[str, Any] = {"fastapi": FastAPIService(), "litestar": LitestarService()}


def client_of(app: Any) -> httpx.AsyncClient:
    """A client on the test's event loop, where the database is connected."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://music")
