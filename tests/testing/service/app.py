"""A service whose tests, in `checks.py`, use the fixtures of `orm.testing.plugin`."""

from __future__ import annotations

import os
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import orm
from orm.contrib.asgi import TransactionMiddleware
from orm.contrib.starlette import exception_handlers, lifespan

database = orm.Database(os.environ["SERVICE_DATABASE_URL"])
models = orm.ModelRegistry(database=database)
sent: list[str] = []


class Author(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100, unique=True)


class Note(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=100)
    author = orm.ForeignKey(Author, on_delete=orm.CASCADE, allow_null=True)


async def list_notes(request: Request) -> JSONResponse:
    return JSONResponse([text async for text in Note.objects.order_by("id").values_list("text", flat=True)])


async def create_note(request: Request) -> JSONResponse:
    content: dict[str, Any] = await request.json()
    note = await Note.objects.create(**content)
    await database.on_commit(lambda: sent.append(note.text))
    rows = await database.fetch_all("SELECT text FROM note ORDER BY id")
    return JSONResponse([row[0] for row in rows], 201)


async def create_author(request: Request) -> JSONResponse:
    author = await Author.objects.create(**await request.json())
    return JSONResponse({"id": author.id}, 201)


app = Starlette(
    routes=[
        Route("/notes", list_notes),
        Route("/notes", create_note, methods=["POST"]),
        Route("/authors", create_author, methods=["POST"]),
    ],
    exception_handlers=exception_handlers,
    lifespan=lifespan(database),
)
app.add_middleware(TransactionMiddleware, database=database)  # type: ignore[arg-type]
