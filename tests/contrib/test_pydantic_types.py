"""Models as types of Pydantic's: what they accept, what they answer, and their JSON Schema."""

from __future__ import annotations

import datetime
import decimal
import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

import orm
from tests.contrib.music import Format, Studio, create_rows, define_models

pytestmark = pytest.mark.anyio


@pytest.fixture
def music() -> Any:
    return define_models(orm.Database("sqlite://"))


def errors_of(adapter: TypeAdapter[Any], value: Any) -> list[tuple[tuple[Any, ...], str, str]]:
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    return [(error["loc"], error["type"], error["msg"]) for error in caught.value.errors()]


# Input


async def test_body_makes_an_unsaved_instance_with_values_of_the_fields_types(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    body = {
        "artist_id": 1,
        "name": "Blue",
        "format": "cd",
        "price": "3.2",
        "released": "1970-02-01",
        "length": "PT41M",
        "studio": {"name": "RCA"},
        "sleeve": "AP8=",
    }
    album = TypeAdapter(music.Album).validate_json(json.dumps(body))
    assert (album.pk, album.format, album.price) == (None, Format.CD, decimal.Decimal("3.20"))
    assert (album.released, album.length) == (datetime.date(1970, 2, 1), datetime.timedelta(minutes=41))
    assert (album.studio, album.sleeve) == (Studio(name="RCA"), b"\0\xff")
    assert TypeAdapter(music.Album).dump_python(album, mode="json", include={"price"}) == {"price": "3.20"}
    await album.save()
    assert (await music.Album.objects.get(name="Blue")).rank == 3
    await music.registry.drop_all()


def test_body_with_mistakes_has_our_messages_all_at_once(music: Any) -> None:
    body = {"artist_id": "x", "name": "blue", "format": "mc", "price": -1, "rank": 40000, "studio": {"city": 3}}
    assert errors_of(TypeAdapter(music.Album), body) == [
        (("artist_id",), "type", "Must be a number."),
        (("name",), "pattern", "Must match the pattern /^[A-Z]/."),
        (("format",), "choice", "Not a valid choice."),
        (("price",), "minimum", "Must be greater than or equal to 0."),
        (("studio", "name"), "missing", "Field required."),
        (("studio", "city"), "string_type", "Input should be a valid string."),
        (("rank",), "maximum", "Must be less than or equal to 32767."),
    ]
    assert errors_of(TypeAdapter(music.Track), {"title": "\ud800é"}) == [
        (("album_id",), "required", "This field is required."),
        (("title",), "unicode", "Must be valid Unicode."),
        (("position",), "required", "This field is required."),
    ]
    assert errors_of(TypeAdapter(list[music.Artist]), [{"name": "a"}, 3, {"name": None}]) == [
        ((1,), "type", "Must be an object."),
        ((2, "name"), "null", "May not be null."),
    ]


def test_body_cannot_set_read_only_fields(music: Any) -> None:
    body = {"id": 7, "added": "2000-01-01T00:00:00", "artist_id": 1, "name": "Blue", "price": 1, "unknown": 2}
    album = TypeAdapter(music.Album).validate_python(body)
    assert album.pk is None
    assert album.added.year > 2000


def test_model_in_another_class_takes_an_instance_as_it_is(music: Any) -> None:
    class Order(BaseModel):
        artists: list[music.Artist]  # type: ignore[name-defined]
        favourite: music.Artist | None = None  # type: ignore[name-defined]

    artist = music.Artist(name="Nina")
    order = Order(artists=[artist, {"name": "Ella"}])
    assert order.artists[0] is artist
    assert order.artists[1].name == "Ella"
    assert order.model_dump(mode="json") == {"artists": [{"name": "Nina"}, {"name": "Ella"}], "favourite": None}
    with pytest.raises(ValidationError, match=r"artists.1.name"):
        Order.model_validate({"artists": [artist, {"name": "x" * 41}]})


def test_abstract_model_is_refused(music: Any) -> None:
    class Named(orm.Model):
        class Meta:
            abstract = True

    with pytest.raises(orm.FieldError, match=r"takes a model with a table, got Named"):
        TypeAdapter(Named)


# Output


async def test_answer_has_the_relations_that_were_loaded(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    query = music.Album.objects.select_related("artist", "cover").prefetch_related("tracks", "tags")
    album = await query.get()
    answered = TypeAdapter(music.Album).dump_python(album, mode="json")
    assert answered.pop("added").startswith("20")
    track = {"album_id": album.id, "bonus_of_id": None, "side": "A", "bonus_of": None}
    assert answered == {
        "id": album.id,
        "artist_id": 1,
        "name": "Wild",
        "format": "lp",
        "price": "9.50",
        "released": None,
        "length": "P0DT00H40M00S",
        "studio": {"name": "RCA", "city": None},
        "sleeve": "/wA=",
        "rank": 3,
        "artist": {"id": 1, "name": "Nina"},
        "tracks": [
            {"id": 1, "title": "Intro", "position": 1, **track},
            {"id": 2, "title": "End", "position": 2, **track},
        ],
        "cover": None,
        "tags": [{"id": 1, "name": "jazz"}],
    }
    adapter = TypeAdapter(music.Track)
    answered = adapter.dump_python(album.tracks[0], include={"album": {"name"}}, mode="json")
    assert answered == {"album": {"name": "Wild"}}
    assert adapter.validate_python(album.tracks[0]) is album.tracks[0]
    await music.registry.drop_all()


async def test_answer_without_a_relation_or_a_field_of_the_query_is_an_error(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    tracks = TypeAdapter(list[music.Track])
    with pytest.raises(PydanticSerializationError) as caught:
        tracks.dump_json(await music.Track.objects.all())
    assert "NotLoaded: Track.album is to be answered and was not loaded." in str(caught.value)
    assert "Track.objects.select_related('album') or prefetch_related('album')" in str(caught.value)
    assert json.loads(tracks.dump_json(await music.Track.objects.select_related("album")))[0]["album"]["name"] == "Wild"

    with pytest.raises(PydanticSerializationError, match=r"Artist.name was not loaded.*only\(\) or defer\(\)"):
        TypeAdapter(music.Artist).dump_json(await music.Artist.objects.defer("name").get())
    await music.registry.drop_all()


async def test_answer_to_a_saved_body_has_its_keys_without_a_query(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    adapter = TypeAdapter(music.Track)
    track = adapter.validate_python({"album_id": 1, "title": "Bonus", "position": 3})
    with orm.track_queries() as tracker:
        await track.save()
        answered = adapter.dump_python(track, mode="json")
    assert len(tracker) == 1
    assert answered == {
        "id": 3,
        "album_id": 1,
        "bonus_of_id": None,
        "title": "Bonus",
        "side": "A",
        "position": 3,
        "bonus_of": None,
    }
    await music.registry.drop_all()


async def test_answer_of_rows_that_lead_to_each_other_ends(database: Any) -> None:
    music = define_models(database)
    await create_rows(music)
    first, last = await music.Track.objects.order_by("position").select_related("album")
    first.bonus_of, last.bonus_of = last, first
    answered = TypeAdapter(music.Track).dump_python(first)
    assert answered["bonus_of"]["title"] == "End"
    assert "bonus_of" not in answered["bonus_of"]
    await music.registry.drop_all()


# JSON Schema


def test_json_schema_of_a_body_has_the_limits_of_the_fields(music: Any) -> None:
    schema = TypeAdapter(music.Album).json_schema()
    properties = schema["properties"]
    assert schema["required"] == ["artist_id", "name", "price"]
    assert {"id", "added", "tracks", "artist"}.isdisjoint(properties)
    assert properties["name"] == {
        "title": "Name",
        "type": "string",
        "minLength": 2,
        "maxLength": 20,
        "pattern": "^[A-Z]",
    }
    assert properties["format"] == {"title": "Format", "enum": ["lp", "cd"], "default": "lp"}
    assert properties["price"]["anyOf"] == [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^[0-9]{1,4}(\.[0-9]{1,2})?$"},
    ]
    assert properties["released"]["anyOf"] == [{"type": "string", "format": "date"}, {"type": "null"}]
    assert properties["released"]["default"] is None
    assert properties["rank"] == {"title": "Rank", "type": "integer", "minimum": -32768, "maximum": 32767}
    assert properties["studio"]["anyOf"][0] == {"$ref": "#/$defs/Studio"}
    artist = TypeAdapter(music.Artist).json_schema()
    assert artist["description"] == "Who plays."
    assert artist["properties"]["name"]["description"] == "As on the record."
    side = TypeAdapter(music.Track).json_schema()["properties"]["side"]
    assert side == {
        "title": "Side",
        "type": "string",
        "enum": ["A", "B"],
        "default": "A",
        "minLength": 1,
        "maxLength": 1,
    }


def test_json_schema_of_an_answer_has_the_relations_in_both_directions(music: Any) -> None:
    schema = TypeAdapter(music.Track).json_schema(mode="serialization")
    assert schema["$ref"] == "#/$defs/Track"
    assert set(schema["$defs"]) == {"Track", "Album", "Artist", "Cover", "Tag", "Studio"}
    track, album = schema["$defs"]["Track"], schema["$defs"]["Album"]
    assert track["properties"]["album"] == {"$ref": "#/$defs/Album"}
    assert track["properties"]["bonus_of"] == {"anyOf": [{"$ref": "#/$defs/Track"}, {"type": "null"}]}
    assert "album" not in track["required"]
    assert album["properties"]["tracks"] == {"type": "array", "items": {"$ref": "#/$defs/Track"}}
    assert album["properties"]["cover"] == {"anyOf": [{"$ref": "#/$defs/Cover"}, {"type": "null"}]}
    assert album["properties"]["price"] == {"title": "Price", "type": "string"}


# Imports


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)


def test_importing_orm_imports_no_extra() -> None:
    extras = {"pydantic", "fastapi", "starlette", "msgspec"}
    assert run_python(f"import orm, sys; print({extras} & {{*sys.modules}})").stdout == "set()\n"


def test_missing_pydantic_is_one_line_with_the_command() -> None:
    run = run_python("import sys; sys.modules['pydantic'] = None; import orm.contrib.pydantic")
    assert run.stderr.splitlines()[-1] == (
        "ImportError: orm.contrib.pydantic needs the package pydantic, which is not installed: pip install pydantic"
    )
