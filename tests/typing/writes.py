"""What type checkers see of writes, pages and managers. Checked by `make check`, never run."""

from __future__ import annotations

import datetime
from typing import Any

from typing_extensions import Self, assert_type

import orm

models = orm.ModelRegistry(require_all=True)


class NoteQuerySet(orm.QuerySet["Note", "Note"]):
    def done(self) -> Self:
        return self.filter(completed=True)


class Published(orm.Manager["Note"]):
    def get_queryset(self) -> orm.QuerySet[Note, Note]:
        return super().get_queryset().filter(completed=True)

    def short(self) -> orm.QuerySet[Note, Note]:
        return self.filter(text__lt="b")


class Both(orm.Manager["Note"], NoteQuerySet):
    pass


class Note(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=100)
    completed = orm.Boolean(default=False)
    made = orm.DateTime(auto_now_add=True)

    objects = NoteQuerySet.as_manager()
    published = Published()
    both = Both()


class Plain(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)


async def managers() -> None:
    assert_type(Note.objects, NoteQuerySet)
    assert_type(Note.objects.filter(id=1).done().order_by("id")[:3], NoteQuerySet)
    assert_type(await Note.objects.done(), list[Note])
    assert_type(await Note.published.short(), list[Note])
    assert_type(await Note.published.all().get(id=1), Note)
    assert_type(await Note.both.done(), list[Note])
    assert_type(await Plain.objects.filter(id=1).all(), list[Plain])


async def writes() -> None:
    assert_type(await Note.objects.update(text="x"), int)
    assert_type(await Note.objects.update(text="x", returning=True), list[Note])
    assert_type(await Note.objects.update(text="x", returning=["id"]), list[dict[str, Any]])
    assert_type(await Note.objects.delete(), int)
    assert_type(await Note.objects.delete(returning=True), list[Note])
    assert_type(await Note.objects.delete(returning=["id", "text"]), list[dict[str, Any]])
    note = await Note.objects.upsert({"text": "x"}, unique_fields=["text"])
    assert_type(note, Note)
    assert_type(await Note.objects.upsert(note, unique_fields=["text"]), Note)
    assert_type(await Note.objects.upsert([{"text": "x"}], unique_fields=["text"]), list[Note])
    assert_type(await Note.objects.bulk_create([note], ignore_conflicts=True), list[Note])
    assert_type(await Note.objects.bulk_update([note], ["text"], batch_size=3), int)
    assert_type(await Note.objects.update_graph({"id": 1, "text": "x"}), Note)
    assert_type(await Note.objects.update_graph([note, {"id": 2}], missing="keep"), list[Note])
    assert_type(note.changed_fields, tuple[str, ...])
    assert_type(await note.save(changed_only=True), Note)
    orm.track_changes(note)
    assert_type(await Note.objects.using_schema("tenant_1").filter(id=1), list[Note])
    with orm.schema("tenant_1"):
        assert_type(await Note.objects.get(id=1), Note)


async def reading() -> None:
    page = await Plain.objects.order_by("-id").page(size=20)
    assert_type(page, orm.Page[Plain])
    assert_type(page.items, list[Plain])
    assert_type(page.next_cursor, "str | None")
    assert_type(await Plain.objects.values("id").page(after=page.next_cursor), orm.Page[dict[str, Any]])
    async for notes in Plain.objects.in_batches(100):
        assert_type(notes, list[Plain])
    assert_type(await Plain.objects.select_for_update(skip_locked=True).latest("id"), Plain)
    assert_type(await Plain.objects.contains(Plain(id=1)), bool)
    assert_type(await Note.objects.dates("made", "month"), list[datetime.date])
    assert_type(await Note.objects.datetimes("made", "hour"), list[datetime.datetime])
