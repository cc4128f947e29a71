"""Models: their three spellings, defaults, keys, comparison, copies and raw SQL."""

from __future__ import annotations

import copy
import datetime
import enum
import pickle
import uuid
from collections.abc import AsyncIterator
from typing import Any

import databases
import pytest
import sqlalchemy
import typesystem

import orm
from orm.database.connections.database import Database
from tests.loaded_attributes import is_loaded

# Models that are pickled are found by their name, so they are declared here and bound to each test's database.
models = orm.ModelRegistry()


class Album(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)


class Track(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    album = orm.ForeignKey(Album, allow_null=True, on_delete=orm.CASCADE)
    title = orm.String(max_length=100, default="Untitled")


@pytest.fixture
async def tables(database: Database) -> AsyncIterator[None]:
    models.database = database
    await models.create_all()
    yield


def registry() -> orm.ModelRegistry:
    """A registry without a database, for declarations."""
    return orm.ModelRegistry()


# Declaring.


async def test_each_spelling_of_a_model_declares_the_same_table(any_database: databases.Database) -> None:
    native_models = orm.ModelRegistry(database=any_database)
    fields_models = orm.ModelRegistry(database=any_database)
    metadata = sqlalchemy.MetaData()

    class Note(orm.Model):
        registry = native_models

        id = orm.Integer(primary_key=True)
        text = orm.String(max_length=100)
        completed = orm.Boolean(default=False)

        class Meta:
            tablename = "notes"

    native = Note

    class Note(orm.Model):  # type: ignore[no-redef]
        tablename = "notes"
        registry = fields_models
        fields = {
            "id": orm.Integer(primary_key=True),
            "text": orm.String(max_length=100),
            "completed": orm.Boolean(default=False),
        }

    second = Note

    class Note(orm.Model):  # type: ignore[no-redef]
        __tablename__ = "notes"
        __database__ = any_database
        __metadata__ = metadata

        id = orm.Integer(primary_key=True)
        text = orm.String(max_length=100)
        completed = orm.Boolean(default=False)

    first = Note
    assert first.table.metadata is metadata
    await native_models.create_all()
    for model in (native, second, first):
        note = await model.objects.create(text="one")
        assert (await model.objects.get(pk=note.pk)).completed is False
        assert list(model.fields) == ["id", "text", "completed"]
        assert [str(column.type) for column in model.columns] == [str(column.type) for column in native.columns]
        assert model.table.name == "notes"
        assert model.objects.pkname == model.pkname == "id"
    assert await native.objects.count() == await second.objects.count() == await first.objects.count() == 3


def test_model_class_exposes_fields_table_schema_and_objects() -> None:
    assert isinstance(Album.fields["name"], orm.String)
    assert Album.columns.name is Album.table.c.name
    assert isinstance(Album.schema, typesystem.Schema) and Album.objects.schema is Album.schema
    assert isinstance(Album.schema.fields["name"], typesystem.String)
    assert Album.objects.model is Album and Album.objects.model_cls is Album
    assert models.models["Album"] is Album and models.metadata.tables["album"] is Album.table


def test_model_without_primary_key_gets_id() -> None:
    models = registry()

    class Note(orm.Model):
        registry = models
        text = orm.Text()

    assert list(Note.fields) == ["id", "text"]
    assert isinstance(Note.fields["id"], orm.BigInteger)
    assert list(models.metadata.tables) == ["note"]


async def test_generated_primary_key_increments(any_database: databases.Database) -> None:
    models = orm.ModelRegistry(database=any_database)

    class Note(orm.Model):
        registry = models
        text = orm.Text(allow_blank=True)

    await models.create_all()
    assert [(await Note.objects.create(text=str(n))).id for n in range(3)] == [1, 2, 3]
    assert [note.id for note in await Note.objects.bulk_create([{}, {}])] == [4, 5]
    big = await Note.objects.create(id=1 << 40)
    assert (await Note.objects.get(pk=1 << 40)) == big
    await Note.objects.filter(id__gt=5).delete()


def test_primary_key_with_default_is_not_generated() -> None:
    class Note(orm.Model):
        registry = registry()
        id = orm.UUID(primary_key=True, default=uuid.uuid4)

    one, other = Note(), Note()
    assert isinstance(one.pk, uuid.UUID) and one.pk != other.pk


@pytest.mark.parametrize(
    "name",
    [
        *("objects", "pk", "save", "update", "delete", "load", "raw", "fields", "columns", "table", "schema"),
        *("pkname", "registry", "Meta", "tablename", "DoesNotExist", "MultipleObjectsReturned", "mro"),
        *("two__parts", "_private", "not a name", "1st", "class", ""),
    ],
)
def test_field_with_unusable_name_raises(name: str) -> None:
    with pytest.raises(orm.FieldError) as caught:
        type("Note", (orm.Model,), {"registry": registry(), "fields": {name: orm.Integer()}})
    message = str(caught.value)
    assert message.startswith("Note") and repr(name) in message
    assert "column=" in message
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", ["objects", "pk", "save", "schema", "load"])
def test_field_that_shadows_an_attribute_of_models_raises(name: str) -> None:
    with pytest.raises(orm.FieldError, match=name):
        type("Note", (orm.Model,), {"registry": registry(), name: orm.Integer()})


def test_two_fields_of_one_column_raise() -> None:
    with pytest.raises(orm.FieldError, match=r"'title' and 'name' both use the column 'title'.*column="):

        class Note(orm.Model):
            registry = registry()
            title = orm.Text()
            name = orm.Text(column="title")


def test_field_with_name_of_a_raw_key_raises() -> None:
    with pytest.raises(orm.FieldError, match="album_id"):

        class Song(orm.Model):
            registry = models
            album = orm.ForeignKey(Album)
            album_id = orm.Integer()


def test_model_without_registry_raises() -> None:
    with pytest.raises(orm.FieldError, match=r"registry = models"):

        class Note(orm.Model):
            text = orm.Text()


def test_registry_of_wrong_type_raises() -> None:
    with pytest.raises(orm.FieldError, match=r"orm\.ModelRegistry"):

        class Note(orm.Model):
            registry = "models"  # type: ignore[assignment]
            text = orm.Text()


def test_query_without_database_raises() -> None:
    class Note(orm.Model):
        registry = registry()
        text = orm.Text()

    with pytest.raises(orm.QueryError, match=r"database="):
        _ = Note.objects.database


def test_two_models_of_one_table_raise() -> None:
    models = registry()

    class Note(orm.Model):
        registry = models

    with pytest.raises(orm.FieldError, match="'note' is already taken"):

        class Memo(orm.Model):
            registry = models

            class Meta:
                tablename = "note"

    class Page(orm.Model):
        registry = models

    # One that takes the place of another may not take a third one's table either.
    with pytest.raises(orm.FieldError, match="'note' is already taken"):
        type("Page", (orm.Model,), {"registry": models, "Meta": type("Meta", (), {"tablename": "note"})})
    assert models.models == {"Note": Note, "Page": Page}


def test_model_declared_again_replaces_the_previous_one() -> None:
    models = registry()
    for length in (10, 20):

        class Note(orm.Model):
            registry = models
            text = orm.String(max_length=length)

    assert models.models == {"Note": Note}
    assert models.metadata.tables["note"] is Note.table
    assert Note.columns.text.type.length == 20


def test_unknown_argument_raises_with_choices() -> None:
    with pytest.raises(orm.FieldError, match=r"Did you mean 'title'\? Choices are: album, album_id, id, pk, title"):
        Track(titel="x")


# Defaults.


class Shared(orm.Model):
    registry = models

    tags = orm.JSON(default=[])
    options = orm.JSON(default={"nested": {"list": []}})
    made = orm.DateTime(default=datetime.datetime.now)
    number = orm.Integer(default=lambda: 7)
    blank = orm.String(max_length=5, allow_blank=True)
    null = orm.String(max_length=5, allow_null=True)


async def test_mutable_default_is_new_for_each_instance(tables: None) -> None:
    one, other = Shared(), await Shared.objects.create()
    one.tags.append(1)
    one.options["nested"]["list"].append(1)
    other.tags.append(2)
    [third] = await Shared.objects.bulk_create([{}])
    for fresh in (Shared(), third, await Shared.objects.create(), await Shared.objects.get(pk=third.pk)):
        assert fresh.tags == [] and fresh.options == {"nested": {"list": []}}
    assert (Shared().number, Shared().blank, Shared().null) == (7, "", None)
    assert Shared().made <= datetime.datetime.now()


async def test_create_reads_server_defaults(any_database: databases.Database) -> None:
    models = orm.ModelRegistry(database=any_database)

    class Level(enum.Enum):
        LOW = 1

    class Note(orm.Model):
        registry = models
        text = orm.String(max_length=20, server_default="it's :new %s")
        views = orm.Integer(server_default="5")
        done = orm.Boolean(server_default=sqlalchemy.false())
        made = orm.DateTime(server_default=sqlalchemy.func.current_timestamp())
        level = orm.Enum(Level, server_default="LOW")
        given = orm.Integer(default=1, server_default="2")

    await models.create_all()
    note = await Note.objects.create()
    assert (note.text, note.views, note.done, note.level, note.given) == ("it's :new %s", 5, False, Level.LOW, 1)
    assert isinstance(note.made, datetime.datetime)
    [first, second] = await Note.objects.bulk_create([{"views": 1}, {}])
    assert (first.views, second.views, first.text, second.text) == (1, 5, note.text, note.text)
    saved = await Note(text="mine").save()
    assert (saved.text, saved.views) == ("mine", 5)
    assert (await Note.objects.get(pk=saved.pk)).__dict__ == saved.__dict__


async def test_auto_now_and_auto_now_add(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Note(orm.Model):
        registry = models
        text = orm.Text(allow_blank=True)
        made = orm.DateTime(auto_now_add=True)
        changed = orm.DateTime(auto_now=True, timezone=True)
        day = orm.Date(auto_now=True)

    await models.create_all()
    before = datetime.datetime.now(), datetime.datetime.now(datetime.timezone.utc)
    note = await Note.objects.create()
    assert before[0] <= note.made <= datetime.datetime.now()
    assert before[1] <= note.changed <= datetime.datetime.now(datetime.timezone.utc)
    assert note.day == datetime.date.today()
    made, changed = note.made, note.changed
    for write in (note.save, lambda: note.update(text="x"), lambda: note.save(update_fields=["changed"])):
        await write()
        assert note.made == made and note.changed > changed
        stored_note = await Note.objects.get(pk=note.pk)
        assert (stored_note.made, stored_note.changed) == (made, note.changed)
        changed = note.changed


# Options of fields.


async def test_choices_null_blank_and_column_options(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Size(enum.Enum):
        SMALL = "s"
        LARGE = "l"

    class Shirt(orm.Model):
        registry = models
        size = orm.String(max_length=1, choices=Size)
        colour = orm.String(max_length=9, choices=[("red", "Red"), ("blue", "Blue")], allow_null=True)
        note = orm.Text(allow_blank=True, column="remark", comment="what the customer said")
        price = orm.Integer(column="select", index=True)

    await models.create_all()
    shirt = await Shirt.objects.create(size=Size.SMALL, price=5)
    assert (shirt.size, shirt.colour, shirt.note) == ("s", None, "")
    assert await Shirt.objects.filter(note="", price__lt=6, size=Size.SMALL).order_by("price").values("price") == [
        {"price": 5}
    ]
    assert await Shirt.objects.update(price=Shirt.price + 1) == 1
    await shirt.update(note="fits")
    assert (await Shirt.objects.get(price=6)).note == "fits"
    assert set(Shirt.columns.keys()) == {"id", "size", "colour", "remark", "select"}
    assert Shirt.columns.remark.comment == "what the customer said"
    with pytest.raises(orm.ValidationError) as caught:
        await Shirt.objects.create(size="m", colour="green", price=None)
    assert set(dict(caught.value)) == {"size", "colour", "price"}
    assert await Shirt.objects.count() == 1


# Identity.


def test_str_and_repr_of_instance() -> None:
    assert str(Album(id=1)) == "Album(id=1)"
    assert repr(Album(id=1)) == "<Album: Album(id=1)>"
    assert str(Album()) == "Album(id=None)"
    assert str(Track(id=1, album=5).album) == "Album(id=5) [sparse]"
    assert repr(Album.name) and "Album" in repr(Album.objects)


def test_equality_and_hash_of_instances() -> None:
    assert Album(id=1) == Album(id=1, name="x")
    assert Album(id=1) != Album(id=2) and Album(id=1) != Track(id=1) and Album(id=1) != 1
    assert Album() != Album()
    unsaved = Album()
    assert unsaved == unsaved
    assert len({Album(id=1), Album(id=1), Album(id=2), Track(id=1)}) == 3
    with pytest.raises(TypeError, match="save it first"):
        hash(Album())


def test_pk_is_the_primary_key() -> None:
    album = Album(pk=3)
    assert album.pk == album.id == 3
    album.pk = 4
    assert album.id == 4
    album.id = 5
    assert album.pk == 5


def test_missing_value_raises() -> None:
    with pytest.raises(AttributeError, match="no value yet"):
        _ = Album(id=1).name
    sparse = Track(id=1, album=5).album
    assert sparse is not None
    with pytest.raises(orm.NotLoaded, match=r"await instance\.load\(\).*select_related"):
        _ = sparse.name
    with pytest.raises(AttributeError):
        _ = Album(id=1).nothing  # type: ignore[attr-defined]


def test_names_of_django_are_answered_with_those_of_orm() -> None:
    for name, ours in (("refresh_from_db", "load"), ("arefresh_from_db", "load"), ("asave", "save")):
        assert not hasattr(Album(id=1), name)
        with pytest.raises(AttributeError, match=rf"Album has no {name}\(\): use `await instance.{ours}\(\)`"):
            getattr(Album(id=1), name)

    class Own(orm.Model):
        registry = orm.ModelRegistry()

        @property
        def asave(self) -> Any:
            raise AttributeError("its own")

    with pytest.raises(AttributeError, match="its own"):
        _ = Own(id=1).asave


def test_queryset_is_no_container() -> None:
    with pytest.raises(TypeError, match=r"`row in await queryset`, or `await queryset.contains\(row\)`"):
        _ = Album(id=1) in Album.objects.all()  # type: ignore[operator]


def test_each_model_has_its_own_errors() -> None:
    assert issubclass(Album.DoesNotExist, orm.NoMatch) and issubclass(
        Album.MultipleObjectsReturned, orm.MultipleMatches
    )
    assert Album.DoesNotExist is not Track.DoesNotExist
    assert not issubclass(Album.DoesNotExist, Track.DoesNotExist)
    assert Album.DoesNotExist.__qualname__ == "Album.DoesNotExist"
    assert isinstance(pickle.loads(pickle.dumps(Album.DoesNotExist("gone"))), Album.DoesNotExist)


async def test_get_raises_errors_of_the_model(tables: None) -> None:
    with pytest.raises(Album.DoesNotExist, match="No Album matches name"):
        await Album.objects.get(name="x")
    await Album.objects.bulk_create([{"name": "x"}, {"name": "x"}])
    with pytest.raises(Album.MultipleObjectsReturned, match="More than one Album"):
        await Album.objects.get(name="x")


async def test_instances_are_pickled_and_copied(tables: None) -> None:
    album = await Album.objects.create(name="Malibu")
    await Track.objects.create(album=album, title="The Bird")
    sparse = await Track.objects.get()
    assert sparse.album is not None
    loaded = await Track.objects.select_related("album").get()
    partial = await Track.objects.only("title").get()
    null = Track(title="x", album=None)
    for duplicate in (copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))):
        for track in (sparse, loaded, partial):
            other = duplicate(track)
            assert other == track and other is not track and type(other) is Track
            assert repr(other) == repr(track)
            other.title = "changed"
            assert track.title != "changed"
        assert duplicate(loaded).album.name == "Malibu"
        assert not is_loaded(duplicate(sparse).album, "name")
        assert not is_loaded(duplicate(partial), "album")
        unsaved = duplicate(null)
        assert unsaved.title == "x" and unsaved.album is None and unsaved.pk is None
    other = copy.deepcopy(loaded)
    other.album.name = "changed"
    assert loaded.album is not None and loaded.album.name == "Malibu"
    # A copy without a key is a new row.
    other = copy.copy(loaded)
    other.pk = None
    await other.save()
    assert other.pk != loaded.pk and await Track.objects.count() == 2
    revived = pickle.loads(pickle.dumps(sparse))
    await revived.album.load()
    assert revived.album.name == "Malibu"
    await revived.update(title="Bird")
    assert (await Track.objects.get(pk=sparse.pk)).title == "Bird"
    assert await Track.objects.create(title="Second", album=None) != null


# Composite keys.


class Seat(orm.Model):
    registry = models

    row = orm.Integer(primary_key=True)
    letter = orm.String(max_length=1, primary_key=True)
    taken = orm.Boolean(default=False)


async def test_composite_key_is_read_and_written(tables: None) -> None:
    seats = await Seat.objects.bulk_create([{"row": row, "letter": letter} for row in (1, 2) for letter in "AB"])
    assert [seat.pk for seat in seats] == [(1, "A"), (1, "B"), (2, "A"), (2, "B")]
    seat = await Seat.objects.get(pk=(1, "B"))
    assert (seat.row, seat.letter, seat.pk) == (1, "B", (1, "B"))
    assert str(seat) == "Seat(row=1, letter='B')"
    assert seat == Seat(pk=(1, "B")) == Seat(row=1, letter="B") != Seat(pk=(2, "B"))
    assert hash(seat) == hash(Seat(pk=(1, "B")))
    assert Seat(row=1).pk is None and Seat(row=1) != Seat(row=1)
    assert Seat.pkname == "row,letter"

    await seat.update(taken=True)
    seat.taken = not seat.taken
    await seat.save()
    await seat.load()
    assert seat.taken is False
    assert await Seat.objects.filter(pk=(2, "A")).update(taken=True) == 1
    assert await Seat.objects.filter(taken=True).values_list("row", "letter") == [(2, "A")]
    assert await Seat.objects.filter(pk__in=[(1, "A"), (2, "B"), (3, "C")]).count() == 2
    assert await Seat.objects.filter(pk__in=[]).count() == 0
    assert await Seat.objects.exclude(pk=(1, "A")).count() == 3
    assert list(await Seat.objects.in_bulk([(1, "A"), (9, "Z")])) == [(1, "A")]
    assert len(await Seat.objects.in_bulk()) == 4
    assert (await Seat.objects.first()).pk == (1, "A")
    assert (await Seat.objects.last()).pk == (2, "B")
    assert await seat.delete() == 1
    assert await Seat.objects.count() == 3
    with pytest.raises(orm.UniqueViolation):
        await Seat.objects.create(row=1, letter="A")


def test_composite_key_that_is_not_a_tuple_raises() -> None:
    for wrong in (1, "1A", (1,), (1, "A", 2)):
        with pytest.raises(orm.FieldError, match=r"\(row, letter\)"):
            Seat.objects.filter(pk=wrong)
    with pytest.raises(orm.FieldError, match=r"composite"):
        Seat(pk=1)


def test_composite_key_validates_each_part() -> None:
    with pytest.raises(orm.ValidationError) as caught:
        Seat._meta.validator.create({"letter": "too long"})
    assert set(dict(caught.value)) == {"row", "letter"}


# Raw SQL.


async def test_raw_sql_returns_instances(tables: None) -> None:
    album = await Album.objects.create(name="100% :Malibu")
    track = await Track.objects.create(album=album, title="The Bird")
    tracks = await Track.raw("SELECT * FROM track WHERE title LIKE :title", {"title": "%ird"})
    assert tracks == [track] and tracks[0].album_id == album.pk and tracks[0].title == "The Bird"
    assert await Track.raw("SELECT * FROM track WHERE id = 0") == []
    [extra] = await Track.raw("SELECT id, title, id + 1 AS following FROM track")
    assert extra.following == track.pk + 1 and not is_loaded(extra, "album")
    await extra.load()
    assert extra.album == album
    [extra] = await Track.raw(
        "SELECT id, '50% \\:x' AS sign FROM track WHERE title = :t AND :t <> ''", {"t": "The Bird"}
    )
    assert extra.sign == "50% :x"
    assert await Track.raw("SELECT id FROM track WHERE title = :t", {"t": None}) == []


async def test_invalid_raw_sql_raises(tables: None) -> None:
    with pytest.raises(orm.QueryError, match=r"placeholders a, the values given are b"):
        await Album.raw("SELECT * FROM album WHERE id = :a", {"b": 1})
    with pytest.raises(orm.QueryError, match=r"placeholders a, the values given are none"):
        await Album.raw("SELECT * FROM album WHERE id = :a")
    await Album.objects.create(name="Malibu")
    with pytest.raises(orm.QueryError, match=r"must select the primary key, and id is missing"):
        await Album.raw("SELECT name FROM album")
    with pytest.raises(orm.QueryError, match=r"with AS"):
        await Album.raw('SELECT id, 1 + 1 AS "a b" FROM album'.replace('"', "`" if _is_mysql() else '"'))
    with pytest.raises(orm.DatabaseError):
        await Album.raw("SELECT nonsense FROM album")


def _is_mysql() -> bool:
    return models.database.url.dialect == "mysql"


# Forms.


async def test_schema_renders_as_form() -> None:
    forms = typesystem.Jinja2Forms(package="typesystem")
    form = forms.create_form(Track.schema, values={"title": 'The "Bird"'})
    html = str(form)
    assert 'name="title"' in html and "The &#34;Bird&#34;" in html
    validated = Album.schema.validate({"name": "Malibu"})
    assert validated == {"name": "Malibu"}
    _, error = Album.schema.validate_or_error({"name": "x" * 101})
    assert dict(error) == {"name": "Must have no more than 100 characters."}


@pytest.mark.parametrize("kind", [Shared, Seat, Album, Track])
def test_schema_of_every_field_renders_as_form(kind: Any) -> None:
    assert str(typesystem.Jinja2Forms(package="typesystem").create_form(kind.schema))
