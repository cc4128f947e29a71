"""The notes service with Starlette: a page with a form, and a JSON API. `uvicorn examples.notes.starlette_app:app`.

The model's `schema` is a typesystem schema: it renders the form, validates what comes in, and serializes what goes out.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import typesystem
from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

import orm
from examples.notes.models import Note, models

PAGE = """
<!doctype html>
<title>Notes</title>
<form method="post"><table>{{ form }}</table><button>Add</button></form>
<ul>
{% for note in notes %}<li>{{ note.title }}{% if note.completed %} ✓{% endif %}</li>
{% endfor %}</ul>
"""

forms = typesystem.Jinja2Forms(package="typesystem")
templates = Environment(loader=DictLoader({"page.html": PAGE}), autoescape=True)


# The page


async def page(request: Request) -> Response:
    """Show the notes, and a form for a new one."""
    return await show(forms.create_form(Note.schema))


async def add(request: Request) -> Response:
    """Save the note of the form; if it is invalid, show the form again with the errors."""
    form = forms.create_form(Note.schema)
    async with request.form() as data:
        form.validate(data)
    if not form.is_valid:
        return await show(form, status_code=422)
    try:
        await Note.objects.create(**form.validated_data)
    except orm.UniqueViolation:
        form.errors = {"title": "There is a note of this title already."}
        return await show(form, status_code=409)
    return RedirectResponse("/", status_code=303)


async def show(form: typesystem.Form, status_code: int = 200) -> Response:
    """The page with this form."""
    html = templates.get_template("page.html").render(form=form, notes=await Note.objects.all())
    return HTMLResponse(html, status_code=status_code)


# The API


async def list_notes(request: Request) -> Response:
    """All notes, the newest first: `?search=` for a text, `?completed=` for a state, at most `?limit=`."""
    notes = Note.objects.search(request.query_params.get("search", ""))
    if completed := request.query_params.get("completed"):
        notes = notes.filter(completed=completed)
    limit = request.query_params.get("limit", "100")
    return JSONResponse([dump(note) async for note in notes.limit(int(limit) if limit.isdecimal() else 100)])


async def create_note(request: Request) -> Response:
    """Add a note."""
    note = await Note.objects.create(**Note.schema.validate(await body(request)))
    return JSONResponse(dump(note), status_code=201)


async def read_note(request: Request) -> Response:
    """One note."""
    return JSONResponse(dump(await find(request)))


async def update_note(request: Request) -> Response:
    """Change the given fields of a note."""
    note = await find(request)
    values = await body(request)
    await note.update(**{name: values[name] for name in ("title", "text", "completed") if name in values})
    return JSONResponse(dump(note))


async def delete_note(request: Request) -> Response:
    """Remove a note."""
    await (await find(request)).delete()
    return Response(status_code=204)


async def find(request: Request) -> Note:
    """The note of the path. Raises `orm.NoMatch`."""
    return await Note.objects.get(id=request.path_params["id"])


async def body(request: Request) -> dict[str, Any]:
    """The JSON object of the request. Raises `orm.ValidationError` if it is not an object."""
    try:
        content = await request.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        content = None
    if not isinstance(content, dict):
        raise orm.ValidationError(text="The body must be a JSON object.", code="type")
    return content


def dump(note: Note) -> Any:
    """The note as JSON."""
    return Note.schema.serialize(note)


# Error handlers


async def not_found(request: Request, error: Exception) -> Response:
    """404 for `orm.NoMatch`."""
    return JSONResponse({"detail": str(error)}, status_code=404)


async def invalid(request: Request, error: Exception) -> Response:
    """422 with all messages of an `orm.ValidationError`, also for invalid values of filters."""
    detail = dict(error) if isinstance(error, orm.ValidationError) else str(error)
    return JSONResponse({"detail": detail}, status_code=422)


async def conflict(request: Request, error: Exception) -> Response:
    """409 for `orm.UniqueViolation`."""
    return JSONResponse({"detail": "There is a note of this title already."}, status_code=409)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Connect the database, and create missing tables (larger applications use Alembic for that)."""
    async with models.database:
        await models.create_all()
        yield


app = Starlette(
    routes=[
        Route("/", page),
        Route("/", add, methods=["POST"]),
        Route("/notes", list_notes),
        Route("/notes", create_note, methods=["POST"]),
        Route("/notes/{id:int}", read_note),
        Route("/notes/{id:int}", update_note, methods=["PATCH"]),
        Route("/notes/{id:int}", delete_note, methods=["DELETE"]),
    ],
    exception_handlers={
        orm.NoMatch: not_found,
        orm.ValidationError: invalid,
        orm.FieldError: invalid,
        orm.UniqueViolation: conflict,
    },
    lifespan=lifespan,
)
