"""`auto_now` and `auto_now_add`: what sets them, and what writes the value that it is told."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database

models = orm.ModelRegistry()

OLD = datetime.datetime(2001, 1, 1)


class Note(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    slug = orm.String(max_length=10, unique=True)
    text = orm.String(max_length=10, default="x")
    created = orm.DateTime(auto_now_add=True)
    changed = orm.DateTime(auto_now=True)


@pytest.fixture
async def note(database: Database) -> AsyncIterator[Note]:
    """A row whose times are OLD."""
    models.database = database
    await models.create_all()
    note = await Note.objects.create(slug="a")
    await Note.objects.update(created=OLD, changed=OLD)
    yield await note.load()


def changed_text(note: Note) -> Note:
    note.text = "new"
    note.created = note.changed = OLD
    return note


async def upsert(**options: Any) -> Any:
    """`upsert()` of the row; where the server does not name the constraint, without naming it."""
    named = models.database.url.dialect in ("sqlite", "postgresql")
    return await Note.objects.upsert(
        {"slug": "a", "text": "new", "created": OLD}, unique_fields=["slug"] if named else [], **options
    )


#: The write, and which of the times it sets: of an existing row, or of a new one.
WRITES: dict[str, tuple[Callable[[Note], Awaitable[Any]], set[str]]] = {
    "create": (lambda note: Note.objects.create(slug="b", created=OLD, changed=OLD), {"created", "changed"}),
    "save of a new one": (lambda note: Note(slug="b", created=OLD, changed=OLD).save(), {"created", "changed"}),
    "bulk_create": (lambda note: Note.objects.bulk_create([{"slug": "b", "created": OLD}]), {"created", "changed"}),
    "create_graph": (lambda note: Note.objects.create_graph({"slug": "b"}), {"created", "changed"}),
    "save": (lambda note: changed_text(note).save(), {"changed"}),
    "save(update_fields)": (lambda note: changed_text(note).save(update_fields=["text"]), set()),
    "save(update_fields) that names it": (
        lambda note: changed_text(note).save(update_fields=["text", "changed", "created"]),
        {"changed"},
    ),
    "instance.update": (lambda note: note.update(text="new"), {"changed"}),
    "instance.update that names both": (lambda note: note.update(created=OLD, changed=OLD), {"changed"}),
    "update_or_create": (lambda note: Note.objects.update_or_create({"text": "new"}, slug="a"), {"changed"}),
    "update": (lambda note: Note.objects.update(text="new"), set()),
    "update that names both": (lambda note: Note.objects.update(text="new", created=OLD, changed=OLD), set()),
    "bulk_update": (lambda note: Note.objects.bulk_update([changed_text(note)], ["text"]), set()),
    "bulk_update that names both": (
        lambda note: Note.objects.bulk_update([changed_text(note)], ["text", "created", "changed"]),
        set(),
    ),
    "upsert": (lambda note: upsert(), {"changed"}),
    "upsert(update_fields)": (lambda note: upsert(update_fields=["text"]), set()),
    "upsert(update_fields) that names it": (lambda note: upsert(update_fields=["text", "changed"]), {"changed"}),
}


@pytest.mark.parametrize("write", WRITES)
async def test_which_times_a_write_sets(note: Note, write: str) -> None:
    run, expected = WRITES[write]
    await run(note)
    [row] = await Note.objects.filter(slug="b") or await Note.objects.filter(slug="a")
    assert {name for name in ("created", "changed") if getattr(row, name) > OLD} == expected


async def test_upsert_of_an_instance_keeps_the_time_of_creation(note: Note) -> None:
    again = Note(slug="a", text="new")
    named = models.database.url.dialect in ("sqlite", "postgresql")
    await Note.objects.upsert(again, unique_fields=["slug"] if named else [])
    row = await Note.objects.get()
    assert row.text == "new" and row.created == OLD and row.changed > OLD
