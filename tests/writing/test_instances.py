"""Saving, updating, deleting and reloading single instances."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.statement_recorder import recorded

models = orm.ModelRegistry()


class Note(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=20)
    views = orm.Integer(default=0, maximum=1000)
    rating = orm.Decimal(max_digits=4, decimal_places=2, allow_null=True)


@pytest.fixture
async def notes(database: Database) -> AsyncIterator[Database]:
    models.database = database
    await models.create_all()
    yield database


@pytest.fixture
async def any_notes(any_database: databases.Database) -> AsyncIterator[databases.Database]:
    models.database = any_database
    await models.create_all()
    yield any_database


async def rows() -> list[Any]:
    return await Note.objects.order_by("id").values_list("text", "views")


async def test_save_inserts_and_then_updates(any_notes: databases.Database) -> None:
    note = Note(text="one")
    assert await note.save() is note
    assert note.pk is not None and await rows() == [("one", 0)]
    note.text, note.views = "two", 5
    await note.save()
    assert await rows() == [("two", 5)]
    # Nothing has changed: the row still matches, on MySQL too.
    await note.save()
    await note.save(update_fields=["text"])
    await note.update(text="two")
    assert await Note.objects.update(views=5) == 1
    assert await rows() == [("two", 5)]


async def test_save_sets_the_validated_values_on_the_instance(notes: Database) -> None:
    note = await Note(text="  padded  ", views="7", rating="1.5").save()
    assert (note.text, note.views, str(note.rating)) == ("padded", 7, "1.5")
    note = await Note.objects.get()
    assert (note.text, note.views, str(note.rating)) == ("padded", 7, "1.50")


async def test_save_with_a_key_set_inserts_or_overwrites(notes: Database) -> None:
    await Note(id=7, text="seven").save()
    assert await rows() == [("seven", 0)]
    await Note(id=7, text="over", views=1).save()
    assert await rows() == [("over", 1)]
    with pytest.raises(orm.UniqueViolation):
        await Note.objects.create(id=7, text="again")


async def test_save_with_update_fields_writes_only_these(notes: Database) -> None:
    note = await Note.objects.create(text="one")
    await Note.objects.update(views=9)
    note.text, note.views = "two", 1
    with recorded(notes) as sent:
        await note.save(update_fields=["text"])
        await note.save(update_fields=[])
    assert len(sent) == 1 and "views" not in sent.texts[0]
    assert await rows() == [("two", 9)]
    with pytest.raises(orm.FieldError, match=r"update_fields.*Did you mean 'text'"):
        await note.save(update_fields=["txt"])
    with pytest.raises(orm.QueryError, match="primary key"):
        await note.save(update_fields=["id"])


async def test_save_and_update_of_a_deleted_row(notes: Database) -> None:
    note = await Note.objects.create(text="one")
    await Note.objects.delete()
    for attempt in (note.save(update_fields=["text"]), note.update(text="two"), note.load()):
        with pytest.raises(Note.DoesNotExist, match="gone"):
            await attempt
    assert await note.delete() == 0
    note = await Note.objects.create(text="three")
    key = note.pk
    await Note.objects.delete()
    await note.save()  # As Django: saved is saved.
    assert note.pk == key and await rows() == [("three", 0)]


async def test_save_of_a_partly_loaded_instance_leaves_other_columns(notes: Database) -> None:
    await Note.objects.create(text="one", views=5)
    note = await Note.objects.only("text").get()
    note.text = "two"
    await note.save()
    assert await rows() == [("two", 5)]
    with pytest.raises(orm.NotLoaded, match=r"Note\.views was not loaded"):
        await note.save(update_fields=["views"])


async def test_update_sets_fields_in_the_row_and_on_the_instance(notes: Database) -> None:
    note = await Note.objects.create(text="one")
    other = await Note.objects.create(text="other")
    with recorded(notes) as sent:
        await note.update(text=" two ", rating="2.50")
        await note.update()
    assert len(sent) == 1 and "views" not in sent.texts[0]
    assert (note.text, str(note.rating)) == ("two", "2.50")
    assert await rows() == [("two", 0), ("other", 0)]
    with pytest.raises(orm.FieldError, match="Did you mean 'text'"):
        await note.update(txt="x")
    assert (await Note.objects.get(pk=other.pk)).text == "other"


async def test_update_with_expressions_removes_the_stale_values(notes: Database) -> None:
    note = await Note.objects.create(text="one", views=1)
    await Note.objects.update(views=5)
    await note.update(views=Note.views + 1, text="two")
    assert note.text == "two"
    with pytest.raises(orm.NotLoaded, match=r"views.*load\(\)"):
        _ = note.views
    await note.load()
    assert note.views == 6
    await note.update(views=orm.F("views") * 2)
    assert (await Note.objects.get()).views == 12


async def test_save_of_invalid_values_raises_all_messages_and_writes_nothing(notes: Database) -> None:
    note = await Note.objects.create(text="one")
    wrong = {"text": "x" * 21, "views": 1001, "rating": "1.234"}
    expected = {
        "text": "Must have no more than 20 characters.",
        "views": "Must be less than or equal to 1000.",
        "rating": "Must have no more than 2 decimal places.",
    }
    with recorded(notes) as sent:
        for attempt in (
            Note.objects.create(**wrong),
            Note(**wrong).save(),
            note.update(**wrong),
            Note.objects.update(**wrong),
            Note.objects.filter(pk=note.pk).update(**wrong),
        ):
            with pytest.raises(orm.ValidationError) as caught:
                await attempt
            assert dict(caught.value) == expected
        for of_many in (
            Note.objects.bulk_create([{"text": "fine"}, wrong]),
            Note.objects.bulk_create([Note(text="fine"), Note(**wrong)]),
        ):
            with pytest.raises(orm.ValidationError) as caught:
                await of_many
            assert dict(caught.value) == {1: expected}
        with pytest.raises(orm.ValidationError) as caught:
            await Note.objects.create(views="many")
        assert dict(caught.value) == {"text": "This field is required.", "views": "Must be a number."}
        assert sent == []
    assert note.text == "one" and note.views == 0 and note.rating is None
    assert await rows() == [("one", 0)]


async def test_values_are_validated_on_save_not_on_assignment(notes: Database) -> None:
    note = Note(text=5, views=None)  # type: ignore[arg-type]
    assert note.text == 5
    with pytest.raises(orm.ValidationError) as caught:
        await note.save()
    assert set(dict(caught.value)) == {"text", "views"}
    note.text, note.views = "fine", 1
    await note.save()
    note.views = 1001
    with pytest.raises(orm.ValidationError):
        await note.save(update_fields=["views"])
    await note.save(update_fields=["text"])
    assert await rows() == [("fine", 1)]


async def test_delete_removes_the_row_and_marks_the_instance_unsaved(any_notes: databases.Database) -> None:
    note = await Note.objects.create(text="one")
    kept = await Note.objects.create(text="two")
    assert await note.delete() == 1
    assert await Note.objects.all() == [kept]
    assert note.pk is None and note.text == "one"
    for attempt in (note.delete, note.load, lambda: note.update(text="x")):
        with pytest.raises(orm.QueryError, match="no primary key"):
            await attempt()
    await note.save()
    assert note.pk not in (None, kept.pk) and await Note.objects.count() == 2


async def test_load_reads_all_fields_of_the_row(any_notes: databases.Database) -> None:
    note = await Note.objects.create(text="one")
    await Note.objects.update(text="two", views=3)
    assert await note.load() is note
    assert (note.text, note.views) == ("two", 3)
    sparse = Note(pk=note.pk)
    await sparse.load()
    assert sparse.__dict__ == note.__dict__


async def test_unsaved_instance_without_key_cannot_be_updated_deleted_or_loaded() -> None:
    for attempt in (Note(text="x").load, Note(text="x").delete, lambda: Note(text="x").update(text="y")):
        with pytest.raises(orm.QueryError, match="save it first"):
            await attempt()


async def test_instance_is_saved_in_the_database_that_it_was_loaded_from(sqlite_url: str, tmp_path: Any) -> None:
    async with Database(sqlite_url) as first, Database(f"sqlite:///{tmp_path}/second.db") as second:
        for database in (second, first):
            models.database = database
            await models.create_all()
        note = await Note.objects.using(second).create(text="there")
        await note.update(views=1)
        loaded = await Note.objects.using(second).get()
        loaded.text = "changed"
        await loaded.save()
        assert await rows() == []
        assert await Note.objects.using(second).values_list("text", "views") == [("changed", 1)]
        [bulk] = await Note.objects.using(second).bulk_create([{"text": "bulk"}])
        assert await bulk.delete() == 1
