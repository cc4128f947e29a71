"""What the README of `orm` 0.1 shows, in its spelling, statement for statement.

Only its `len()` of a queryset that was not awaited is corrected: it never ran.
"""

from __future__ import annotations

import datetime
import inspect
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import databases
import pytest
import sqlalchemy

import orm
from orm.database.connections.database import Database


def declare(database: databases.Database, metadata: sqlalchemy.MetaData) -> tuple[Any, Any, Any]:
    class Note(orm.Model):
        __tablename__ = "notes"
        __database__ = database
        __metadata__ = metadata

        id = orm.Integer(primary_key=True)
        text = orm.String(max_length=100)
        completed = orm.Boolean(default=False)

    class Album(orm.Model):
        __tablename__ = "album"
        __metadata__ = metadata
        __database__ = database

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=100)

    class Track(orm.Model):
        __tablename__ = "track"
        __metadata__ = metadata
        __database__ = database

        id = orm.Integer(primary_key=True)
        album = orm.ForeignKey(Album)
        title = orm.String(max_length=100)
        position = orm.Integer()

    return Note, Album, Track


def sync_url(database: databases.Database) -> str:
    """The URL for SQLAlchemy's own engine, with a driver that the tests have."""
    drivers = {"postgresql": "postgresql+psycopg2", "mysql": "mysql+pymysql", "sqlite": "sqlite"}
    return str(database.url.replace(dialect=drivers[database.url.dialect]))


@pytest.fixture
async def models(any_database: databases.Database) -> AsyncIterator[tuple[Any, Any, Any]]:
    metadata = sqlalchemy.MetaData()
    declared = declare(any_database, metadata)
    # The README's way of making tables: an engine of SQLAlchemy's, beside the async database.
    engine = sqlalchemy.create_engine(sync_url(any_database))
    metadata.create_all(engine)
    yield declared
    metadata.drop_all(engine)
    engine.dispose()


async def test_readme_of_0_1_notes_example_runs(models: tuple[Any, Any, Any]) -> None:
    Note = models[0]

    await Note.objects.create(text="Buy the groceries.", completed=False)
    await Note.objects.create(text="Call Mum.", completed=True)
    await Note.objects.create(text="Send invoices.", completed=True)

    notes = await Note.objects.all()
    assert [note.text for note in notes] == ["Buy the groceries.", "Call Mum.", "Send invoices."]

    notes = await Note.objects.filter(completed=True).all()
    assert len(notes) == 2

    notes = await Note.objects.filter(text__icontains="mum").all()
    assert [note.text for note in notes] == ["Call Mum."]
    for lookup, value, result in (
        *(("exact", "Call Mum.", 1), ("iexact", "call mum.", 1), ("contains", "mum", 0), ("in", ["Call Mum.", "x"], 1)),
        *(("lt", "Call Mum.", 1), ("lte", "Call Mum.", 2), ("gt", "Call Mum.", 1), ("gte", "Call Mum.", 2)),
    ):
        assert len(await Note.objects.filter(**{f"text__{lookup}": value}).all()) == result, lookup

    note = await Note.objects.get(id=1)
    await note.update(completed=True)
    assert note.completed is True and (await Note.objects.get(id=1)).completed is True

    await note.delete()
    assert len(await Note.objects.all()) == 2

    note = await Note.objects.get(pk=2)
    assert note.pk == 2


async def test_readme_of_0_1_albums_example_runs(
    models: tuple[Any, Any, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    _, Album, Track = models

    malibu = await Album.objects.create(name="Malibu")
    await Track.objects.create(album=malibu, title="The Bird", position=1)
    await Track.objects.create(album=malibu, title="Heart don't stand a chance", position=2)
    await Track.objects.create(album=malibu, title="The Waters", position=3)

    fantasies = await Album.objects.create(name="Fantasies")
    await Track.objects.create(album=fantasies, title="Help I'm Alive", position=1)
    await Track.objects.create(album=fantasies, title="Sick Muse", position=2)

    track = await Track.objects.get(title="The Bird")

    print(track.album)
    print(track.album.pk)
    assert capsys.readouterr().out == "Album(id=1) [sparse]\n1\n"
    with pytest.raises(AttributeError):
        print(track.album.name)

    await track.album.load()
    assert track.album.name == "Malibu"

    track = await Track.objects.select_related("album").get(title="The Bird")
    assert track.album.name == "Malibu"

    tracks = await Track.objects.filter(album__name="Fantasies")
    assert len(tracks) == 2
    # Releases before 1.0 load what a filter goes across.
    assert [track.album.name for track in tracks] == ["Fantasies", "Fantasies"]

    tracks = await Track.objects.filter(album__name__iexact="fantasies")
    assert len(tracks) == 2

    tracks = await Track.objects.limit(1).all()
    assert len(tracks) == 1


async def test_fields_of_0_1_round_trip(any_database: databases.Database) -> None:
    metadata = sqlalchemy.MetaData()

    class Example(orm.Model):
        __tablename__ = "example"
        __metadata__ = metadata
        __database__ = any_database

        id = orm.Integer(primary_key=True)
        string = orm.String(max_length=10, allow_null=True)
        text = orm.Text(allow_blank=True)
        boolean = orm.Boolean(default=False, index=True)
        number = orm.Integer(unique=True)
        fraction = orm.Float(default=0.5)
        day = orm.Date(default=datetime.date.today)
        time = orm.Time(default=datetime.time(12, 30))
        moment = orm.DateTime(default=datetime.datetime.now)
        data = orm.JSON(default={})

    engine = sqlalchemy.create_engine(sync_url(any_database))
    metadata.create_all(engine)
    try:
        example = await Example.objects.create(number=1)
        assert (example.string, example.text, example.boolean, example.fraction) == (None, "", False, 0.5)
        assert (example.day, example.time, example.data) == (datetime.date.today(), datetime.time(12, 30), {})
        instance = await Example.objects.get(number=1)
        assert instance.__dict__ == example.__dict__
        with pytest.raises(orm.IntegrityError):
            await Example.objects.create(number=1)
        with pytest.raises(orm.ValidationError):
            await Example.objects.create()
    finally:
        metadata.drop_all(engine)
        engine.dispose()


async def test_imports_and_urls_of_0_1_work(tmp_path: Path) -> None:
    # As the README has it: one database for many models, connected by nobody.
    database = databases.Database(f"sqlite:///{tmp_path}/db.sqlite")
    metadata = sqlalchemy.MetaData()
    Note, _, _ = declare(database, metadata)
    engine = sqlalchemy.create_engine(str(database.url))
    metadata.create_all(engine)
    engine.dispose()
    async with database:
        await Note.objects.create(text="Buy the groceries.", completed=False)
        assert len(await Note.objects.all()) == 1
    assert inspect.iscoroutinefunction(Note.objects.create)

    orm_database = Database(f"sqlite:///{tmp_path}/db.sqlite")
    Note, _, _ = declare(orm_database, sqlalchemy.MetaData())
    assert [note.text for note in await Note.objects.all()] == ["Buy the groceries."]
    await orm_database.disconnect()
