"""Every call that the documentation of `orm` 0.3.1 shows, in its spelling.

As its users' tests do: models at module level on a plain `databases.Database`, tables made once for the module by a
database that is not connected, and each test rolled back. Runs on `TEST_DATABASE_URL`, else on SQLite;
`test_orm_0_3_on_servers` runs it on the servers.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import uuid
from collections.abc import AsyncIterator
from typing import Any

import databases
import pytest
import typesystem

import orm
from orm.database.connections import errors
from tests.compat.database_url import DATABASE_URL

pytestmark = pytest.mark.anyio

database = databases.Database(DATABASE_URL)
models = orm.ModelRegistry(database=database)
IS_SQLITE = database.url.dialect == "sqlite"


class Note(orm.Model):
    tablename = "notes"
    registry = models
    fields = {
        "id": orm.Integer(primary_key=True),
        "text": orm.String(max_length=100),
        "completed": orm.Boolean(default=False),
    }


class Album(orm.Model):
    tablename = "albums"
    registry = models
    fields = {
        "id": orm.Integer(primary_key=True),
        "name": orm.String(max_length=100),
    }


class Track(orm.Model):
    tablename = "tracks"
    registry = models
    fields = {
        "id": orm.Integer(primary_key=True),
        "album": orm.ForeignKey(Album, on_delete=orm.CASCADE),
        "title": orm.String(max_length=100),
        "position": orm.Integer(),
    }


class Review(orm.Model):
    registry = models
    fields = {
        "id": orm.Integer(primary_key=True),
        "album": orm.ForeignKey("Album", on_delete=orm.RESTRICT, allow_null=True),
        "track": orm.ForeignKey("Track", on_delete=orm.SET_NULL, allow_null=True),
    }


class Profile(orm.Model):
    registry = models
    fields = {
        "id": orm.Integer(primary_key=True),
        "website": orm.String(max_length=100),
    }


class Person(orm.Model):
    registry = models
    fields = {
        "id": orm.Integer(primary_key=True),
        "email": orm.String(max_length=100),
        "profile": orm.OneToOne(Profile),
    }


class Kind(enum.Enum):
    PLAIN = "Plain"
    FANCY = "Fancy"


class Everything(orm.Model):
    registry = models
    fields = {
        "id": orm.UUID(primary_key=True, default=uuid.uuid4),
        "big": orm.BigInteger(default=0),
        "flag": orm.Boolean(default=True),
        "day": orm.Date(auto_now_add=True),
        "made": orm.DateTime(auto_now_add=True),
        "changed": orm.DateTime(auto_now=True),
        "price": orm.Decimal(max_digits=6, decimal_places=2, allow_null=True),
        "email": orm.Email(max_length=100, allow_null=True),
        "kind": orm.Enum(Kind, default=Kind.PLAIN),
        "ratio": orm.Float(allow_null=True),
        "address": orm.IPAddress(allow_null=True),
        "name": orm.String(max_length=20, index=True, default="x"),
        "code": orm.String(max_length=20, unique=True, allow_null=True),
        "text": orm.Text(allow_blank=True),
        "time": orm.Time(default=datetime.time(1, 2, 3)),
        "url": orm.URL(max_length=200, allow_null=True),
        "data": orm.JSON(default={}),
    }


@pytest.fixture(scope="module", autouse=True)
async def tables() -> AsyncIterator[None]:
    assert not database.is_connected
    await models.create_all()
    assert not database.is_connected
    yield
    await models.drop_all()


@pytest.fixture(autouse=True)
async def rolled_back(tables: None) -> AsyncIterator[None]:
    with database.force_rollback():
        async with database:
            yield


async def notes() -> list[Any]:
    return [
        await Note.objects.create(text="Buy the groceries.", completed=False),
        await Note.objects.create(text="Call Mum.", completed=True),
        await Note.objects.create(text="Send invoices.", completed=True),
    ]


async def test_create_returns_saved_instance_and_all_lists_rows() -> None:
    first, *_ = await notes()
    assert (first.text, first.completed) == ("Buy the groceries.", False)
    assert first.pk == first.id is not None
    assert await Note.objects.all() == [first, *_]
    assert [note.text for note in await Note.objects.all(completed=True)] == ["Call Mum.", "Send invoices."]


async def test_database_with_force_rollback_starts_each_test_empty() -> None:
    assert await Note.objects.count() == 0


async def test_filter_and_exclude_with_each_lookup_return_matching_rows() -> None:
    first, second, third = await notes()
    assert await Note.objects.exclude(completed=False).order_by("id").all() == [second, third]
    assert await Note.objects.filter(completed=True).order_by("id").all() == [second, third]
    assert await Note.objects.filter(completed=True, text__icontains="MUM").all() == [second]
    for lookup, value, result in (
        ("in", [first.id, third.id, -1], [first, third]),
        ("exact", first.id, [first]),
        ("lt", second.id, [first]),
        ("lte", second.id, [first, second]),
        ("gt", second.id, [third]),
        ("gte", second.id, [second, third]),
    ):
        assert await Note.objects.filter(**{f"id__{lookup}": value}).order_by("id").all() == result
    assert await Note.objects.filter(text__contains="Mum").all() == [second]
    assert await Note.objects.filter(text__contains="mum").all() == []
    assert await Note.objects.filter(text__iexact="call mum.").all() == [second]


async def test_filter_with_sqlalchemy_columns_returns_matching_rows() -> None:
    first, second, third = await notes()
    assert await Note.objects.filter(Note.columns.text.contains("Mum")).all() == [second]
    some = Note.objects.filter(Note.columns.id.in_([first.id, third.id])).order_by("id")
    assert await some.all() == [first, third]
    assert await some.filter(Note.columns.completed == True).all() == [third]  # noqa: E712
    # It takes a clause in exclude() as one in filter().
    assert await Note.objects.exclude(Note.columns.text == "Call Mum.").all() == [second]
    assert Note.fields["text"].validator.max_length == 100
    assert set(Note.columns.keys()) == {"id", "text", "completed"}


async def test_limit_offset_and_order_by_select_rows() -> None:
    first, second, third = await notes()
    assert len(await Note.objects.limit(1).all()) == 1
    assert await Note.objects.order_by("id").offset(1).all() == [second, third]
    assert await Note.objects.order_by("id").limit(1).offset(1).all() == [second]
    assert await Note.objects.order_by("-completed", "-id").all() == [third, second, first]
    assert len(await Note.objects.limit(2).filter(completed=True).all()) == 2
    assert await Note.objects.filter(text__icontains="mum").limit(2).all() == [second]


async def test_exists_count_first_and_get_return_as_in_0_3() -> None:
    first, second, _ = await notes()
    assert await Note.objects.filter(completed=True).exists() is True
    assert await Note.objects.filter(text="x").exists() is False
    assert await Note.objects.count() == 3 and await Note.objects.filter(completed=True).count() == 2
    assert await Note.objects.first() == first
    assert await Note.objects.filter(completed=True).first() == await Note.objects.first(completed=True) == second
    assert await Note.objects.first(text="x") is None
    assert await Note.objects.get(pk=second.id) == await Note.objects.get(id=second.pk) == second
    with pytest.raises(orm.NoMatch):
        await Note.objects.get(text="x")
    with pytest.raises(orm.MultipleMatches):
        await Note.objects.get(completed=True)
    assert await Note.objects.search(term="MUM").all() == [second]
    assert await Note.objects.search(term="").count() == 3


async def test_update_and_delete_change_matching_rows() -> None:
    _, second, third = await notes()
    await Note.objects.filter(completed=True).update(completed=False)
    assert await Note.objects.filter(completed=True).exists() is False
    await Note.objects.update(completed=True)
    assert await Note.objects.filter(completed=True).count() == 3
    note = await Note.objects.first()
    assert note is not None
    await note.update(completed=False, text="Done.")
    assert (note.completed, note.text) == (False, "Done.")
    await note.delete()
    await Note.objects.filter(pk=second.id).delete()
    assert await Note.objects.all() == [third]
    await third.load()
    assert third.completed is True
    await Note.objects.delete()
    assert await Note.objects.all() == []


async def test_get_or_create_and_update_or_create_return_instance_and_flag() -> None:
    note, created = await Note.objects.get_or_create(text="Going to car wash", defaults={"completed": False})
    assert created is True and note.completed is False
    note, created = await Note.objects.get_or_create(text="Going to car wash", defaults={"completed": True})
    assert created is False and note.completed is False
    note, created = await Note.objects.update_or_create(text="Going to car wash", defaults={"completed": True})
    assert created is False and note.completed is True
    note, created = await Note.objects.update_or_create(text="Another", defaults={"completed": True})
    assert created is True and note.completed is True
    await Note.objects.create(text="Another")
    for method in (Note.objects.get_or_create, Note.objects.update_or_create):
        with pytest.raises(orm.MultipleMatches):
            await method(text="Another", defaults={"completed": True})


async def test_bulk_create_inserts_all_rows() -> None:
    await Note.objects.bulk_create([{"text": "one"}, {"text": "two", "completed": True}])
    assert [(note.text, note.completed) for note in await Note.objects.order_by("id").all()] == [
        ("one", False),
        ("two", True),
    ]


async def test_relations_load_and_filter_as_in_0_3() -> None:
    malibu = await Album.objects.create(name="Malibu")
    fantasies = await Album.objects.create(name="Fantasies")
    bird = await Track.objects.create(album=malibu, title="The Bird", position=1)
    for position, title in enumerate(["Help I'm Alive", "Sick Muse"], 1):
        await Track.objects.create(album=fantasies, title=title, position=position)

    track = await Track.objects.get(title="The Bird")
    assert str(track.album) == f"Album(id={malibu.id}) [sparse]" and track.album.pk == malibu.pk
    assert not hasattr(track.album, "name")
    await track.album.load()
    assert track.album.name == "Malibu"
    for related in ("album", ["album"]):
        assert (await Track.objects.select_related(related).get(title="The Bird")).album.name == "Malibu"
    for lookups in ({"album__name": "Fantasies"}, {"album__name__iexact": "fantasies"}):
        tracks = await Track.objects.filter(**lookups).all()
        # A filter across a relation loads it.
        assert [track.album.name for track in tracks] == ["Fantasies", "Fantasies"]
    assert [track.album.name for track in await Track.objects.exclude(album__name="Fantasies").all()] == ["Malibu"]
    assert await Track.objects.filter(album=malibu).all() == [bird]
    await Track.objects.filter(album__name="Fantasies").update(album=malibu)
    assert await Track.objects.filter(album=malibu).count() == 3
    await Track.objects.filter(album__name="Malibu").delete()
    assert await Track.objects.count() == 0


async def test_null_relation_is_none() -> None:
    await Review.objects.create()
    review = await Review.objects.get()
    assert review.track.pk is None and review.album.pk is None
    await review.update(album=None)
    await review.save()
    related = await Review.objects.select_related(["track", "album"]).get()
    assert related.track.pk is None


@pytest.mark.skipif(IS_SQLITE, reason="a plain databases.Database has SQLite's foreign keys off")
async def test_delete_of_parent_follows_on_delete() -> None:
    album = await Album.objects.create(name="Malibu")
    track = await Track.objects.create(album=album, title="The Bird", position=1)
    await Review.objects.create(track=track)
    await album.delete()
    assert await Track.objects.count() == 0
    assert (await Review.objects.get()).track.pk is None
    album = await Album.objects.create(name="Fantasies")
    await Review.objects.create(album=album)
    with pytest.raises(orm.ForeignKeyViolation) as caught:
        await album.delete()
    # The driver's own exception, too.
    assert isinstance(caught.value, type(caught.value.__cause__))


async def test_one_to_one_loads_and_refuses_a_second_row() -> None:
    profile = await Profile.objects.create(website="https://encode.io")
    await Person.objects.create(email="info@encode.io", profile=profile)
    person = await Person.objects.get(email="info@encode.io")
    assert person.profile.pk == profile.pk and not hasattr(person.profile, "website")
    await person.profile.load()
    assert person.profile.website == "https://encode.io"
    with pytest.raises(orm.UniqueViolation) as caught:
        await Person.objects.create(email="info@encode.io", profile=profile)
    assert errors.classify(caught.value.__cause__) is orm.UniqueViolation  # type: ignore[arg-type]


async def test_every_field_type_round_trips() -> None:
    row = await Everything.objects.create()
    row = await Everything.objects.get(pk=row.pk)
    assert isinstance(row.id, uuid.UUID) and row.day == datetime.date.today()
    assert (row.big, row.flag, row.kind, row.text, row.data) == (0, True, Kind.PLAIN, "", {})
    assert (row.price, row.email, row.address, row.url, row.ratio, row.code) == (None,) * 6
    assert row.time == datetime.time(1, 2, 3)
    changed = row.changed
    await row.update(
        big=1 << 40,
        flag=False,
        price=decimal.Decimal("999.99"),
        email="info@encode.io",
        kind=Kind.FANCY,
        ratio=123.456,
        address="192.168.1.1",
        url="https://encode.io",
        data={"foo": [123, None]},
    )
    assert row.changed > changed
    instance = await Everything.objects.get()
    assert instance.__dict__ == row.__dict__
    assert (instance.big, instance.flag, instance.price, instance.kind) == (
        1 << 40,
        False,
        decimal.Decimal("999.99"),
        Kind.FANCY,
    )
    assert instance.address == ipaddress.ip_address("192.168.1.1") and instance.data == {"foo": [123, None]}
    with pytest.raises(typesystem.ValidationError):
        await Everything.objects.create(email="nobody")


async def test_model_class_has_attributes_of_0_3() -> None:
    assert Note(id=1) == Note(pk=1) != Album(id=1)
    assert str(Note(id=1)) == "Note(id=1)" and repr(Note(id=1)) == "<Note: Note(id=1)>"
    assert Note.objects.pkname == "id"
    assert isinstance(Note.objects.schema, typesystem.Schema)
    assert list(models.models) == ["Note", "Album", "Track", "Review", "Profile", "Person", "Everything"]
    assert models.metadata.tables["notes"] is Note.table
    with pytest.raises(ValueError):
        Note(invalid="123")
    with pytest.raises(ValueError):
        orm.DateTime(auto_now=True, auto_now_add=True)
