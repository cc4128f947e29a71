"""Foreign keys and one-to-one relations: declaration, values, queries, and `on_delete`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.loaded_attributes import is_loaded
from tests.statement_recorder import recorded

models = orm.ModelRegistry()


class Label(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    code = orm.String(max_length=20, unique=True)
    name = orm.String(max_length=20)


class Album(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=20)
    label: Any = orm.ForeignKey(Label, allow_null=True, to_field="code", column="label_code")
    best: Any = orm.ForeignKey("Track", allow_null=True, on_delete=orm.SET_NULL, related_name="best_of")


class Track(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    album: Any = orm.ForeignKey(Album, on_delete=orm.CASCADE, related_name="tracks")
    title = orm.String(max_length=20)
    cover_of: Any = orm.ForeignKey("Track", allow_null=True, on_delete=orm.CASCADE)


class Lyrics(orm.Model):
    registry = models

    track: Any = orm.OneToOne(Track, primary_key=True, on_delete=orm.CASCADE)
    text = orm.Text()


@pytest.fixture
async def tables(database: Database) -> AsyncIterator[Database]:
    models.database = database
    await models.create_all()
    yield database
    await models.drop_all()  # A circle of foreign keys too.


async def malibu() -> tuple[Album, Track]:
    label = await Label.objects.create(code="obe", name="OBE")
    album = await Album.objects.create(name="Malibu", label=label)
    return album, await Track.objects.create(album=album, title="The Bird")


# Declaring.


def test_foreign_key_resolves_targets_by_name() -> None:
    assert Album.fields["best"].target is Track and Track.fields["cover_of"].target is Track
    targets = {key.parent.name: key.column for key in Track.table.foreign_keys}
    assert targets == {"album": Album.columns.id, "cover_of": Track.columns.id}
    [label] = Album.columns.label_code.foreign_keys
    assert label.column is Label.columns.code and Album.columns.label_code.type.length == 20


def test_foreign_key_waits_for_its_model() -> None:
    models = orm.ModelRegistry()

    class Song(orm.Model):
        registry = models
        singer: Any = orm.ForeignKey("Singer")

    for use in (lambda: Song.table, lambda: Song.objects.filter(singer__name="x"), lambda: models.metadata):
        with pytest.raises(orm.FieldError, match=r"Song\.singer points to 'Singer'.*The models are: Song\."):
            use()

    class Singers(orm.Model):
        registry = models

    with pytest.raises(orm.FieldError, match=r"Did you mean 'Singers'\?"):
        _ = Song.table

    class Singer(orm.Model):
        registry = models
        name = orm.Text()

    assert {key.column for key in Song.table.foreign_keys} == {Singer.columns.id}
    assert set(models.metadata.tables) == {"song", "singers", "singer"}


@pytest.mark.parametrize(
    ("declare", "hint"),
    [
        (lambda: orm.ForeignKey(5), "a model or the name of one"),
        (lambda: orm.ForeignKey(Album, on_delete="cascade"), r"orm\.CASCADE"),
        (lambda: orm.ForeignKey(Album, on_delete=orm.SET_NULL), "allow_null=True"),
    ],
)
def test_invalid_foreign_key_options_raise(declare: Any, hint: str) -> None:
    with pytest.raises(orm.FieldError, match=hint):
        declare()


def test_foreign_key_to_a_composite_or_non_unique_key_raises() -> None:
    models = orm.ModelRegistry()

    class Seat(orm.Model):
        registry = models
        row = orm.Integer(primary_key=True)
        letter = orm.String(max_length=1, primary_key=True)
        number = orm.Integer()

    for options, hint in (({}, "composite"), ({"to_field": "number"}, "unique"), ({"to_field": "nmae"}, "unique")):
        with pytest.raises(orm.FieldError, match=hint):
            ticket = type(
                "Ticket", (orm.Model,), {"registry": orm.ModelRegistry(), "seat": orm.ForeignKey(Seat, **options)}
            )
            ticket.table  # noqa: B018


# Setting and reading.


async def test_foreign_key_takes_an_instance_a_key_or_none(tables: Database) -> None:
    album, track = await malibu()
    assert track.album is album and track.album_id == album.pk
    for given in ({"album": album.pk}, {"album_id": album.pk}, {"album": str(album.pk)}):
        other = await Track.objects.create(title="x", **given)
        assert other.album_id == album.pk and other.album == album
        assert not is_loaded(other.album, "name")
        assert (await Track.objects.get(pk=other.pk)).album_id == album.pk
    other.cover_of = track
    await other.save()
    assert (await Track.objects.get(pk=other.pk)).cover_of == track
    other.cover_of = None
    assert other.cover_of_id is None and other.cover_of is None
    await other.save()
    assert (await Track.objects.get(pk=other.pk)).cover_of is None
    other.cover_of_id = track.pk
    assert other.cover_of == track
    other.cover_of = other.pk
    await other.save(update_fields=["cover_of"])
    assert (await Track.objects.get(pk=other.pk)).cover_of_id == other.pk
    await other.update(cover_of=track)
    assert other.cover_of is track
    await other.update(cover_of_id=None)
    assert other.cover_of is None and (await Track.objects.get(pk=other.pk)).cover_of is None


async def test_foreign_key_set_to_or_compared_with_another_model_raises(tables: Database) -> None:
    album, track = await malibu()
    with pytest.raises(orm.FieldError, match=r"Track\.album takes Album instances, got Track"):
        track.album = track
    with pytest.raises(orm.FieldError, match=r"Track\.album takes Album instances"):
        Track(album=track, title="x")
    for wrong in ("five", [1], {"id": 1}, 1.5):
        with pytest.raises(orm.ValidationError) as caught:
            await Track.objects.create(album=wrong, title="x")
        assert set(dict(caught.value)) == {"album"}
    with pytest.raises(orm.ValidationError) as caught:
        await Track.objects.create(album=None)
    assert dict(caught.value) == {"title": "This field is required.", "album": "May not be null."}
    for wrong_update in (track.update(album=track), Track.objects.update(album=track)):
        with pytest.raises((orm.FieldError, orm.QueryError, orm.ValidationError)):
            await wrong_update
    with pytest.raises(orm.QueryError, match="Album instances"):
        Track.objects.filter(album=track)
    with pytest.raises(orm.ForeignKeyViolation):
        await Track.objects.create(album=album.pk + 1000, title="x")
    assert await Track.objects.count() == 1


async def test_foreign_key_to_an_unsaved_instance(tables: Database) -> None:
    album = Album(name="Later")
    track = Track(album=album, title="x")
    assert track.album is album and track.album_id is None
    for attempt in (
        track.save(),
        Track.objects.create(album=Album(name="x"), title="x"),
    ):
        with pytest.raises(orm.QueryError, match=r"Track\.album is an? Album that is not saved"):
            await attempt
    with pytest.raises(orm.QueryError, match="save it first"):
        Track.objects.filter(album=album)
    assert await Track.objects.count() == 0
    await album.save()
    await track.save()
    assert track.album_id == album.pk and track.album is album
    assert (await Track.objects.get()).album == album
    with pytest.raises(orm.QueryError, match="save it first"):
        await track.update(album=Album(name="x"))


async def test_sparse_related_instance_loads_its_row(tables: Database) -> None:
    album, _ = await malibu()
    with recorded(tables) as sent:
        track = await Track.objects.get(title="The Bird")
        assert str(track.album) == f"Album(id={album.pk}) [sparse]"
        assert track.album.pk == track.album_id == album.pk
        assert track.album == album and hash(track.album) == hash(album)
        assert track.album is track.album
        with pytest.raises(orm.NotLoaded, match=r"Album\.name was not loaded.*load\(\)"):
            _ = track.album.name
        assert not is_loaded(track.album, "name")
        assert len(sent) == 1
        assert await track.album.load() is track.album
        assert track.album.name == "Malibu" and len(sent) == 2
    assert str(track.album) == f"Album(id={album.pk})"
    assert track.album.label.code == "obe" == track.album.label_id
    assert not is_loaded(track.album.label, "name") and not is_loaded(track.album.label, "id")
    with pytest.raises(orm.NoMatch):
        await Album(id=album.pk + 1000).load()


async def test_foreign_key_with_to_field(tables: Database) -> None:
    album, _ = await malibu()
    label = await Label.objects.get()
    assert album.label_id == "obe"
    assert await Album.objects.filter(label=label).count() == 1
    assert await Album.objects.filter(label="obe").count() == 1
    assert await Album.objects.filter(label__code="obe").count() == 1
    assert await Album.objects.filter(label__id=label.id).count() == 1
    assert await Album.objects.filter(label__code__startswith="o").values_list("label_id", flat=True) == ["obe"]
    assert (await Album.objects.select_related("label").get()).label.name == "OBE"
    sparse = (await Album.objects.get()).label
    assert sparse.code == "obe"
    await sparse.load()
    assert (sparse.id, sparse.name) == (label.id, "OBE")


async def test_select_related_loads_forward_relations(tables: Database) -> None:
    _, track = await malibu()
    bare = await Album.objects.create(name="Bare")
    await Track.objects.create(album=bare, title="Cover", cover_of=track)
    with recorded(tables) as sent:
        tracks = await Track.objects.select_related("album__label", "cover_of__album").order_by("id")
        assert len(sent) == 1
        first, second = tracks
        assert first.album.name == "Malibu" and first.album.label.name == "OBE" and first.cover_of is None
        assert second.album.name == "Bare" and second.album.label is None
        assert second.cover_of.title == "The Bird" and second.cover_of.album.name == "Malibu"
        assert not is_loaded(second.cover_of.album.label, "name")
        assert len(sent) == 1
    with pytest.raises(orm.FieldError, match="The relations of Track are: album, cover_of"):
        Track.objects.select_related("albums")
    # Changing the key lets go of the instance that was loaded for the other one.
    first.album_id = bare.pk
    assert first.album == bare and not is_loaded(first.album, "name")


async def test_raw_key_in_queries(tables: Database) -> None:
    album, _ = await malibu()
    assert await Track.objects.filter(album_id=album.pk).count() == 1
    assert await Track.objects.filter(Track.album_id == album.pk, album_id__in=[album.pk]).count() == 1
    assert await Track.objects.order_by("-album_id").values("album_id", "album") == [
        {"album_id": album.pk, "album": album.pk}
    ]
    assert "JOIN" not in str(Track.objects.filter(album__id=album.pk, album__pk__gt=0, album=album).sql)
    assert await Track.objects.filter(Track.album.label.name == "OBE").count() == 1
    assert await Track.objects.filter(cover_of=None, cover_of__isnull=True).count() == 1


async def test_foreign_key_as_primary_key(tables: Database) -> None:
    _, track = await malibu()
    lyrics = await Lyrics.objects.create(track=track, text="la")
    assert lyrics.pk == lyrics.track_id == track.pk
    loaded = await Lyrics.objects.get(pk=track.pk)
    assert loaded == lyrics and loaded.track == track
    await loaded.update(text="lala")
    assert await Lyrics.objects.filter(track__title="The Bird", text="lala").count() == 1
    with pytest.raises(orm.UniqueViolation):
        await Lyrics.objects.create(track=track, text="again")
    assert await loaded.delete() == 1


async def test_one_to_one_is_unique(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Profile(orm.Model):
        registry = models
        website = orm.String(max_length=20)

    class Person(orm.Model):
        registry = models
        profile: Any = orm.OneToOne(Profile, allow_null=True)

    await models.create_all()
    profile = await Profile.objects.create(website="x")
    person = await Person.objects.create(profile=profile)
    with pytest.raises(orm.UniqueViolation):
        await Person.objects.create(profile=profile)
    await Person.objects.bulk_create([{"profile": None}, {}])
    assert await Person.objects.filter(profile=None).count() == 2
    loaded = await Person.objects.select_related("profile").get(profile=profile)
    assert loaded == person and loaded.profile.website == "x"


# Deleting, as each database enforces it.

ON_DELETE = [orm.CASCADE, orm.RESTRICT, orm.SET_NULL, orm.SET_DEFAULT, orm.NO_ACTION]


@pytest.mark.parametrize("on_delete", ON_DELETE)
@pytest.mark.parametrize("through", ["instance", "queryset"])
async def test_on_delete_is_applied_by_the_database(database: Database, on_delete: str, through: str) -> None:
    models = orm.ModelRegistry(database=database)

    class Parent(orm.Model):
        registry = models
        id = orm.Integer(primary_key=True)

    class Child(orm.Model):
        registry = models
        id = orm.Integer(primary_key=True)
        parent: Any = orm.ForeignKey(Parent, allow_null=True, on_delete=on_delete, server_default="1")

    if on_delete == orm.SET_DEFAULT and database.url.dialect == "mysql":
        # InnoDB has no SET DEFAULT, and would refuse the table or the deletion.
        with pytest.raises(orm.Error):
            await models.create_all()
            await _delete_parent(Parent, Child, through)
        return
    await models.create_all()
    if on_delete in (orm.RESTRICT, orm.NO_ACTION):
        with pytest.raises(orm.ForeignKeyViolation):
            await _delete_parent(Parent, Child, through)
        assert await Parent.objects.count() == 2 and await Child.objects.count() == 1
        return
    await _delete_parent(Parent, Child, through)
    assert await Parent.objects.values_list("id", flat=True) == [1]
    children = {orm.CASCADE: [], orm.SET_NULL: [None], orm.SET_DEFAULT: [1]}[on_delete]
    assert await Child.objects.values_list("parent_id", flat=True) == children


async def _delete_parent(parent: Any, child: Any, through: str) -> None:
    await parent.objects.bulk_create([{"id": 1}, {"id": 2}])
    await child.objects.create(parent=2)
    if through == "instance":
        assert await (await parent.objects.get(pk=2)).delete() == 1
    else:
        assert await parent.objects.filter(pk=2).delete() == 1


def _places(registry: orm.ModelRegistry, kind: str) -> Any:
    """A model whose rows restrict the deletion of each other, by a relation of this kind."""
    body: dict[str, Any] = {"registry": registry, "id": orm.Integer(primary_key=True)}
    options: dict[str, Any] = {"on_delete": orm.RESTRICT, "related_name": "+"}
    if kind == "composite":
        body |= {"at": orm.Integer(primary_key=True), "up": orm.Integer(), "up_at": orm.Integer()}
        body["within"] = orm.CompositeForeignKey("Place", from_fields=["up", "up_at"], **options)
    elif kind == "one of two":
        type("Other", (orm.Model,), {"registry": registry, "id": orm.Integer(primary_key=True)})
        body["within"] = orm.GenericForeignKey("Place", "Other", **options)
    else:
        link = orm.OneToOne if kind == "one to one" else orm.ForeignKey
        body["within"] = link("Place", allow_null=kind != "not null", **options)
    return type("Place", (orm.Model,), body)


KEEPING: dict[str, list[dict[str, Any]]] = {
    "null": [{"id": 1}, {"id": 2, "within": 1}, {"id": 3, "within": 3}],
    "not null": [{"id": 1, "within": 1}, {"id": 2, "within": 1}, {"id": 3, "within": 2}],
    "one to one": [{"id": 1}, {"id": 2, "within": 1}, {"id": 3, "within": 2}],
    "one of two": [{"id": 1, "within_other": 1}, {"id": 2, "within_place": 1}, {"id": 3, "within_place": 2}],
    "composite": [{"id": 1, "at": 1, "within": (1, 1)}, {"id": 2, "at": 1, "within": (1, 1)}],
}


@pytest.mark.parametrize("kind", KEEPING)
@pytest.mark.parametrize("inside", [False, True])
async def test_drop_all_of_rows_that_restrict_each_other(
    any_database: databases.Database, kind: str, inside: bool
) -> None:
    if inside and any_database.url.dialect == "mysql":
        pytest.skip("MySQL's DDL ends a transaction")
    registry = orm.ModelRegistry(database=any_database)
    place = _places(registry, kind)
    await registry.create_all()
    if kind == "one of two":
        await registry.models["Other"].objects.create(id=1)
    for row in KEEPING[kind]:
        await place.objects.create(**row)
    async with any_database.transaction() if inside else nullcontext():
        await registry.drop_all()
        await registry.create_all()
        assert await place.objects.count() == 0
    await registry.drop_all()


async def test_drop_all_of_tables_in_a_cycle(any_database: databases.Database) -> None:
    models.database = any_database
    await models.create_all()
    album, track = await malibu()
    await album.update(best=track)
    await track.update(cover_of=track)
    await models.drop_all()
    await models.create_all()
    album, _ = await malibu()
    if not (any_database.url.dialect == "sqlite" and type(any_database) is databases.Database):
        with pytest.raises(orm.ForeignKeyViolation):
            await album.update(best=1000)


async def test_rows_in_a_cycle(tables: Database) -> None:
    album, track = await malibu()
    await album.update(best=track)
    loaded = await Album.objects.select_related("best__album").get()
    assert loaded.best == track and loaded.best.album == album and loaded.best.album is not loaded
    assert await Album.objects.filter(best__album__best__title="The Bird").count() == 1
    await track.delete()
    await album.load()
    assert album.best is None
