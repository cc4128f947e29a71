"""`create_model()`, `update_model()` and `read_model()`: their fields, names and errors."""

from __future__ import annotations

import decimal
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

import orm
from orm.contrib.pydantic import create_model, read_model, update_model
from tests.contrib.music import Format, create_rows, define_models

pytestmark = pytest.mark.anyio


@pytest.fixture
def music() -> Any:
    return define_models(orm.Database("sqlite://"))


async def test_create_model_gives_the_values_of_a_new_row(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    given = create_model(music.Album).model_validate({"artist_id": 1, "name": "Blue", "price": "1.5"})
    values = given.model_dump()
    assert "rank" not in values  # so that the database sets it
    assert (values["price"], values["format"]) == (decimal.Decimal("1.5"), Format.LP)
    album = await music.Album.objects.create(**values)
    assert (await music.Album.objects.get(pk=album.pk)).rank == 3
    await music.registry.drop_all()


def test_create_model_is_named_and_kept_by_its_options(music: Any) -> None:
    assert create_model(music.Album).__name__ == "AlbumCreate"
    assert create_model(music.Album) is create_model(music.Album)
    short = create_model(music.Album, include=["name", "artist"])
    assert (short.__name__, list(short.model_fields)) == ("AlbumCreateOfNameArtist", ["artist_id", "name"])
    without = create_model(music.Artist, exclude=["name"], name="Nobody")
    assert (without.__name__, list(without.model_fields)) == ("Nobody", [])
    assert list(create_model(music.Artist, include=["id", "name"]).model_fields) == ["id", "name"]
    schema = create_model(music.Album).model_json_schema()
    assert schema["required"] == ["artist_id", "name", "price"]
    assert "default" not in schema["properties"]["rank"]
    assert schema["properties"]["studio"]["anyOf"] == [{"$ref": "#/$defs/Studio"}, {"type": "null"}]


def test_create_model_refuses_unknown_names(music: Any) -> None:
    with pytest.raises(orm.FieldError, match=r"'nane'.*name"):
        create_model(music.Album, include=["nane"])
    with pytest.raises(orm.FieldError, match=r"Album.added is never written by a request"):
        create_model(music.Album, exclude=["added"])
    with pytest.raises(orm.FieldError, match=r"takes a model with a table, got int"):
        create_model(3)  # type: ignore[arg-type]


def test_update_model_tells_unset_from_null(music: Any) -> None:
    update = update_model(music.Album)
    assert update.__name__ == "AlbumUpdate"
    assert "id" not in update.model_fields
    assert "required" not in update.model_json_schema()
    assert all("default" not in each for each in update.model_json_schema()["properties"].values())
    assert update.model_validate({"released": None}).model_dump() == {"released": None}
    assert update.model_validate({}).model_dump_json() == "{}"
    with pytest.raises(ValidationError) as caught:
        update.model_validate({"name": None, "price": 12345})
    assert [(error["loc"], error["msg"]) for error in caught.value.errors()] == [
        (("name",), "May not be null."),
        (("price",), "Must have no more than 6 digits, 2 of them decimal places."),
    ]


async def test_read_model_answers_nested_relations(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    read = read_model(
        music.Album,
        include=["id", "name", "price"],
        nested={"artist": {"include": ["name"]}, "tracks": {"exclude": ["album"], "depth": 0}, "cover": True},
    )
    assert read.__name__ == "AlbumReadOfIdNamePriceWithArtistOfNameWithTracksWithoutAlbumWithCover"
    query = music.Album.objects.select_related("artist").prefetch_related("tracks", "cover")
    track = {"bonus_of_id": None, "side": "A"}
    assert read.model_validate(await query.get()).model_dump(mode="json") == {
        "id": 1,
        "name": "Wild",
        "price": "9.50",
        "artist": {"name": "Nina"},
        "tracks": [
            {"id": 1, "title": "Intro", "position": 1, **track},
            {"id": 2, "title": "End", "position": 2, **track},
        ],
        "cover": None,
    }
    for missing in ("artist", "tracks", "cover"):
        others = {"artist", "tracks", "cover"} - {missing}
        with pytest.raises(
            orm.NotLoaded, match=rf"Album\.{missing} is to be answered.*prefetch_related\('{missing}'\)"
        ):
            read.model_validate(await music.Album.objects.prefetch_related(*others).get())
    with pytest.raises(orm.NotLoaded, match=r"Album.price was not loaded"):
        read.model_validate(await query.defer("price").get())
    await music.registry.drop_all()


async def test_read_model_with_depth_follows_foreign_keys(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    read = read_model(music.Track, depth=2, exclude=["bonus_of"])
    answered = read.model_validate(await music.Track.objects.select_related("album__artist").first())
    assert answered.model_dump()["album"]["artist"] == {"id": 1, "name": "Nina"}
    with pytest.raises(orm.NotLoaded, match=r"Album.artist is to be answered"):
        read.model_validate(await music.Track.objects.select_related("album").first())
    await music.registry.drop_all()


async def test_read_model_can_nest_itself_and_classes_of_ones_own(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)

    class AlbumName(BaseModel):
        model_config = {"from_attributes": True}
        name: str

    read = read_model(music.Track, include=["title"], nested={"bonus_tracks": "self", "album": AlbumName}, name="Node")
    properties = read.model_json_schema(mode="serialization")["$defs"]["Node"]["properties"]
    assert properties["bonus_tracks"]["items"] == {"$ref": "#/$defs/Node"}
    first, last = await music.Track.objects.order_by("position")
    last.bonus_of = first
    await last.save()
    query = music.Track.objects.prefetch_related("album", "bonus_tracks__album", "bonus_tracks__bonus_tracks")
    assert read.model_validate(await query.get(position=1)).model_dump() == {
        "title": "Intro",
        "album": {"name": "Wild"},
        "bonus_tracks": [{"title": "End", "album": {"name": "Wild"}, "bonus_tracks": []}],
    }
    with pytest.raises(orm.FieldError, match='"self" is for the same one'):
        read_model(music.Track, nested={"album": "self"})
    await music.registry.drop_all()


async def test_subclass_of_a_read_model_answers_annotations(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)

    class ArtistWithCount(read_model(music.Artist)):  # type: ignore[misc]
        albums_count: int

    artist = await music.Artist.objects.annotate(albums_count=orm.Count("albums")).get()
    assert ArtistWithCount.model_validate(artist).model_dump() == {"id": 1, "name": "Nina", "albums_count": 1}
    await music.registry.drop_all()


def test_read_model_refuses_unknown_relations(music: Any) -> None:
    with pytest.raises(orm.FieldError, match=r"Album has no relation 'trax'.*tracks"):
        read_model(music.Album, nested=["trax"])
    with pytest.raises(orm.FieldError, match=r"'nane'"):
        read_model(music.Album, nested={"artist": {"include": ["nane"]}})


def test_names_of_models_that_lead_to_each_other_are_stable(music: Any) -> None:
    nested = {"tracks": {"nested": {"album": {"include": ["name"]}}}}
    read = read_model(music.Album, nested=nested)
    assert read is read_model(music.Album, nested=nested)
    assert list(read.model_json_schema(mode="serialization")["$defs"]) == [
        "AlbumReadOfName",
        "Studio",
        "TrackReadWithAlbumOfName",
    ]
