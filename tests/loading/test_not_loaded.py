"""What is not loaded is never a null in an answer: Pydantic, msgspec, Jinja2, typesystem and `getattr()` raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jinja2
import msgspec
import pydantic
import pytest

import orm
from orm.database.connections.database import Database
from tests.loading.models import Album, Cover, Track


class Row(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(from_attributes=True)
    id: int


def read_with_pydantic(instance: Any, name: str) -> Any:
    """The attribute as a Pydantic model has it that gives it a default."""
    answer: Any = pydantic.create_model("Answer", __base__=Row, **{name: (Any, None)})
    return getattr(answer.model_validate(instance), name)


def read_with_msgspec(instance: Any, name: str) -> Any:
    """The attribute as a msgspec struct has it that gives it a default."""
    answer = msgspec.defstruct("Answer", [(name, Any, None)])
    return getattr(msgspec.convert(instance, answer, from_attributes=True), name)


def read_with_jinja(instance: Any, name: str) -> Any:
    """The attribute in a template, where what does not exist prints as nothing."""
    return jinja2.Template("{{ row." + name + " or '' }}").render(row=instance)


READERS: dict[str, Callable[[Any, str], Any]] = {
    "getattr": lambda instance, name: getattr(instance, name, None),
    "pydantic": read_with_pydantic,
    "msgspec": read_with_msgspec,
    "jinja2": read_with_jinja,
    "typesystem": lambda instance, name: type(instance).schema.serialize(instance).get(name),
}
QUERIES: dict[str, tuple[Any, str]] = {
    "only": (lambda: Track.objects.only("title"), "plays"),
    "defer": (lambda: Track.objects.defer("plays"), "plays"),
    "a deferred foreign key": (lambda: Track.objects.defer("album"), "album"),
    "raiseload of a foreign key": (lambda: Track.objects.options(orm.raiseload("album")), "album"),
    "raiseload of a relation to many": (lambda: Track.objects.options(orm.raiseload("tags")), "tags"),
    "raiseload of a reverse one-to-one": (lambda: Album.objects.options(orm.raiseload("cover")), "cover"),
    "a reverse one-to-one": (lambda: Album.objects.all(), "cover"),
    "only() of a joined row": (lambda: Track.objects.select_related("album").only("title", "album__id"), "album.name"),
    "a sparse relation": (lambda: Track.objects.all(), "album.name"),
    "a sparse relation by a unique field": (lambda: Album.objects.exclude(imprint=None), "imprint.name"),
    "the key of that": (lambda: Album.objects.exclude(imprint=None), "imprint.pk"),
    "raw SQL without the column": (lambda: Track.raw("SELECT id, album FROM track"), "title"),
}


#: A schema has the fields alone, not the relations to many and the reverse ones.
NO_FIELDS = {"cover", "tags", "pk"}
READS = [(q, r) for q in QUERIES for r in READERS if r != "typesystem" or QUERIES[q][1].split(".")[-1] not in NO_FIELDS]


@pytest.mark.parametrize(("query", "reader"), READS)
async def test_what_is_not_loaded_is_refused_by_every_reader(world: Database, query: str, reader: str) -> None:
    queryset, path = QUERIES[query]
    instance = (await queryset())[0]
    *relations, name = path.split(".")
    for relation in relations:
        instance = getattr(instance, relation)
    # Pydantic's own error has the type and the message of ours.
    with pytest.raises((orm.NotLoaded, pydantic.ValidationError), match=r"load\(|raiseload"):
        READERS[reader](instance, name)


@pytest.mark.parametrize("reader", READERS)
async def test_what_is_loaded_is_read_by_every_reader(world: Database, reader: str) -> None:
    track = await Track.objects.select_related("album").get(id=1)
    assert str(READERS[reader](track, "title")) == track.title
    sparse = await Track.objects.get(id=1)
    assert sparse.album.pk == track.album.pk


async def test_prefetched_rows_are_a_sequence(world: Database) -> None:
    plain = await Album.objects.order_by("id").first()
    assert plain is not None
    loop = jinja2.Template("{% for row in rows %}{% endfor %}")
    for read in (list, len, bool, lambda rows: 1 in rows, lambda rows: loop.render(rows=rows)):
        with pytest.raises(orm.NotLoaded, match=r"Album\.tracks was not loaded.*prefetch_related\('tracks'\)"):
            read(plain.tracks)
    albums = await Album.objects.prefetch_related("tracks").order_by("id")
    for album in albums:
        rows = await Track.objects.filter(album=album).order_by("id")
        assert sorted(track.id for track in album.tracks) == [row.id for row in rows]
        assert len(album.tracks) == len(rows) and bool(album.tracks) is bool(rows)
        assert all(row in album.tracks for row in rows)
        answer = pydantic.TypeAdapter(list[Row]).validate_python(album.tracks)
        assert [row.id for row in answer] == [track.id for track in album.tracks]
        template = jinja2.Template("{% for track in tracks %}{{ track.id }} {% endfor %}")
        assert template.render(tracks=album.tracks).split() == [str(track.id) for track in album.tracks]
    await albums[0].tracks.create(id=100, title="new", position=9, plays=0)
    with pytest.raises(orm.NotLoaded):
        len(albums[0].tracks)


async def test_a_one_to_one_that_is_known_to_be_missing_is_an_attribute_error(world: Database) -> None:
    for album in await Album.objects.select_related("cover").filter(cover=None):
        for read in READERS.values():
            assert read(album, "cover") in (None, "")
    assert not hasattr(Album(name="new"), "cover")


async def test_load_and_none_forget_what_was_loaded(world: Database) -> None:
    cover = await Cover.objects.select_related("album").first()
    assert cover is not None
    album = cover.album
    await Album.objects.filter(pk=album.pk).update(name="changed")
    await cover.load()
    assert cover.album_id == album.pk
    with pytest.raises(orm.NotLoaded):
        _ = cover.album.name
    album = await Album.objects.prefetch_related("tracks", "cover").get(pk=album.pk)
    track = album.tracks[:1]
    await album.load()
    for name in ("tracks", "cover"):
        with pytest.raises(orm.NotLoaded):
            list(getattr(album, name))
    assert [row async for row in track]

    [album] = await Album.objects.select_related("cover").filter(pk=album.pk)
    cover = album.cover
    cover.album = None
    with pytest.raises(Cover.DoesNotExist):
        _ = album.cover


async def test_models_of_orm_0_x_keep_their_attribute_error(database: Database) -> None:
    models = orm.ModelRegistry(database=database)
    note: Any = type(
        "Note",
        (orm.Model,),
        {
            "registry": models,
            "fields": {
                "id": orm.Integer(primary_key=True),
                "text": orm.String(max_length=10),
                "parent": orm.ForeignKey("Note", allow_null=True),
            },
        },
    )
    await models.create_all()
    first = await note.objects.create(text="a", parent=None)
    await note.objects.create(text="b", parent=first)
    for row, name in (
        (await note.objects.only("id").get(id=2), "text"),
        ((await note.objects.get(id=2)).parent, "text"),
    ):
        assert not hasattr(row, name)
        with pytest.raises(orm.NotLoaded):
            getattr(row, name)
    await models.drop_all()


def test_the_error_is_exported_and_is_no_attribute_error() -> None:
    assert issubclass(orm.NotLoaded, orm.Error) and not issubclass(orm.NotLoaded, AttributeError)
