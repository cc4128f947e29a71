"""Subclasses of `Manager` and `QuerySet`."""

from __future__ import annotations

from typing import Any

import pytest

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio

models = orm.ModelRegistry()
guarded = orm.ModelRegistry(require_all=True)


class NoteQuerySet(orm.QuerySet[Any, Any]):
    def done(self) -> NoteQuerySet:
        return self.filter(completed=True)


class Open(orm.Manager[Any]):
    def get_queryset(self) -> orm.QuerySet[Any, Any]:
        return super().get_queryset().filter(completed=False)

    def short(self) -> orm.QuerySet[Any, Any]:
        return self.filter(text__in=["a", "b"])


class Both(orm.Manager[Any], NoteQuerySet):
    def get_queryset(self) -> orm.QuerySet[Any, Any]:
        return super().get_queryset().exclude(text="c")


class Base(orm.Model):
    registry = models

    text = orm.String(max_length=10)
    completed = orm.Boolean(default=False)

    objects = NoteQuerySet.as_manager()
    open = Open()
    both = Both()
    combined = orm.Manager.from_queryset(NoteQuerySet)()

    class Meta:
        abstract = True


class Note(Base):
    pass


class Other(Base):
    pass


class Short(orm.Manager[Any]):
    def get_queryset(self) -> orm.QuerySet[Any, Any]:
        return super().get_queryset().exclude(name="a longer one")


class Confirmed(orm.Manager[Any]):
    def get_queryset(self) -> orm.QuerySet[Any, Any]:
        return super().get_queryset().all()


class Precious(orm.Model):
    registry = guarded

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=10)

    objects = orm.Manager[Any]()
    short = Short()
    confirmed = Confirmed()


@pytest.fixture
async def notes(database: Database) -> None:
    models.database = guarded.database = database
    await models.create_all()
    await guarded.create_all()
    rows = [("a", False), ("b", True), ("c", True), ("d", False)]
    await Note.objects.bulk_create([{"text": text, "completed": completed} for text, completed in rows])


async def texts(query: Any) -> list[str]:
    return [note.text for note in await query.order_by("id")]


async def test_chaining_from_as_manager_keeps_queryset_class(notes: None) -> None:
    assert type(Note.objects) is NoteQuerySet
    query = Note.objects.filter(text__in=["a", "b"]).order_by("id").done().distinct()[:5]
    assert type(query) is NoteQuerySet
    assert [note.text for note in await query] == ["b"]
    assert type(Note.objects.done().values("text")) is NoteQuerySet
    assert type(Note.objects.using(models.database).done()) is NoteQuerySet


async def test_manager_with_get_queryset_filters_all_its_queries(notes: None) -> None:
    assert await texts(Note.open) == ["a", "d"]
    assert await texts(Note.open.short()) == ["a"]
    assert await Note.open.count() == 2
    assert [note.text async for note in Note.open.order_by("id")] == ["a", "d"]
    assert len(await Note.open[:1]) == 1
    assert type(Note.open.all()) is orm.QuerySet
    assert (await Note.open.create(text="z")).pk
    assert await Note.open.delete() == 3
    assert await texts(Note.objects) == ["b", "c"]
    assert repr(Note.open) == "<Open of Note>"


async def test_save_ignores_managers(notes: None) -> None:
    note = (await Note.objects.done())[0]
    note.text = "new"
    await note.save()
    await note.load()
    assert note.text == "new"


async def test_manager_from_queryset_has_methods_of_both(notes: None) -> None:
    assert await texts(Note.both) == ["a", "b", "d"]
    assert await texts(Note.both.done()) == ["b"]
    assert await texts(Note.both.order_by("id").done()) == ["b"]
    assert await texts(Note.combined.done()) == ["b", "c"]
    assert type(Note.combined.filter(id=1)) is NoteQuerySet


async def test_inherited_manager_is_bound_to_its_model(notes: None) -> None:
    await Other.objects.create(text="other")
    assert await texts(Other.open) == ["other"]
    assert await texts(Note.open) == ["a", "d"]


async def test_manager_on_instance_or_abstract_model_raises(notes: None) -> None:
    with pytest.raises(orm.FieldError, match="abstract"):
        _ = Base.open
    with pytest.raises(AttributeError, match="class Note"):
        _ = Note(text="x").open


async def test_registry_with_require_all_refuses_unconfirmed_writes(notes: None) -> None:
    await Precious.objects.bulk_create([{"name": "x"}, {"name": "y"}])
    for query in (Precious.objects, Precious.objects.order_by("id"), Precious.objects.filter()):
        with pytest.raises(orm.QueryError, match=r"Precious\.objects\.all\(\)"):
            await query.update(name="z")
        with pytest.raises(orm.QueryError, match=r"Precious\.objects\.all\(\)"):
            await query.delete()
        with pytest.raises(orm.QueryError, match=r"in code without await, with filter\(pk__isnull=False\)"):
            await query.delete(returning=True)
    for query in (Precious.short, Precious.short.order_by("id"), Precious.short.filter(), Precious.confirmed):
        for write in (query.update(name="z"), query.delete(), query.delete(returning=["name"])):
            with pytest.raises(orm.QueryError, match=r"Precious\.objects\.all\(\)"):
                await write
    assert await Precious.short.filter(name="y").update(name="y") == 1
    assert await Precious.short.all().update(name=Precious.name) == 2
    assert await Precious.objects.filter(pk__isnull=False).update(name=Precious.name) == 2
    assert await Precious.objects.filter(name="x").update(name="z") == 1
    assert await Precious.objects.all().update(name="z") == 2
    assert await Precious.objects.all().order_by("id").delete() == 2
    assert await Note.objects.delete() == 4
