"""The notes service with FastAPI: a JSON API with its documentation at /docs. `uvicorn examples.notes.fastapi_app:app`.

Pydantic describes what comes in and goes out; rows are read by attribute, so a `Note` is an answer as it is.
"""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

import orm
from examples.notes.models import Note, models


class NewNote(BaseModel):
    """The fields of a new note."""

    title: str = Field(min_length=1, max_length=100)
    text: str = ""
    completed: bool = False


class NoteChange(BaseModel):
    """The fields of a note that can be changed."""

    title: str = Field(default="", min_length=1, max_length=100)
    text: str = ""
    completed: bool = False


class NoteOut(NewNote):
    """A note in a response."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    created: datetime.datetime


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Connect the database, and create missing tables (larger applications use Alembic for that)."""
    async with models.database:
        await models.create_all()
        yield


app = FastAPI(title="Notes", lifespan=lifespan)


@app.get("/notes", response_model=list[NoteOut])
async def list_notes(
    search: str = "", completed: bool | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 100
) -> list[Note]:
    """All notes, the newest first."""
    notes = Note.objects.search(search)
    if completed is not None:
        notes = notes.filter(Note.completed == completed)
    return await notes.limit(limit)


@app.post("/notes", response_model=NoteOut, status_code=201)
async def create_note(body: NewNote) -> Note:
    """Add a note."""
    return await Note.objects.create(**body.model_dump())


@app.get("/notes/{id}", response_model=NoteOut)
async def read_note(id: int) -> Note:
    """One note."""
    return await Note.objects.get(id=id)


@app.patch("/notes/{id}", response_model=NoteOut)
async def update_note(id: int, body: NoteChange) -> Note:
    """Change the given fields of a note."""
    note = await Note.objects.get(id=id)
    await note.update(**body.model_dump(exclude_unset=True))
    return note


@app.delete("/notes/{id}", status_code=204)
async def delete_note(id: int) -> None:
    """Remove a note."""
    note = await Note.objects.get(id=id)
    await note.delete()


# Error handlers


@app.exception_handler(orm.NoMatch)
async def not_found(request: Request, error: Exception) -> Response:
    """404 if no note matches."""
    return JSONResponse({"detail": str(error)}, status_code=404)


@app.exception_handler(orm.ValidationError)
async def invalid(request: Request, error: orm.ValidationError) -> Response:
    """422 for values that Pydantic accepts and the model does not, such as a title of spaces."""
    return JSONResponse({"detail": dict(error)}, status_code=422)


@app.exception_handler(orm.UniqueViolation)
async def conflict(request: Request, error: Exception) -> Response:
    """409 if the title is taken."""
    return JSONResponse({"detail": "There is a note of this title already."}, status_code=409)
