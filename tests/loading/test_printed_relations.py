"""Relations three deep, printed by Pydantic, msgspec and a synchronous Jinja2 template without a line of help."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import jinja2
import msgspec
import pydantic
import pytest

import orm
from orm.database.connections.database import Database
from tests.loading.models import ALBUMS, LABELS, TAGS, TRACKS, Label
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio

TAG_NAMES = dict(TAGS)
EXPECTED = [
    {
        "name": name,
        "albums": [
            {
                "name": album,
                "label": {"name": name},
                "tracks": [
                    {"title": title, "tags": [{"name": TAG_NAMES[tag]} for tag in tags]}
                    for _, of, title, *_, tags in TRACKS
                    if of == album_id
                ],
            }
            for album_id, album, of_label, _ in ALBUMS
            if of_label == label_id
        ],
    }
    for label_id, _, name in LABELS
]


class Printed(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(from_attributes=True)


class TagModel(Printed):
    name: str


class TrackModel(Printed):
    title: str
    tags: list[TagModel]


class LabelName(Printed):
    name: str


class AlbumModel(Printed):
    name: str
    label: LabelName
    tracks: list[TrackModel]


class LabelModel(Printed):
    name: str
    albums: list[AlbumModel]


class TagStruct(msgspec.Struct):
    name: str


class TrackStruct(msgspec.Struct):
    title: str
    tags: list[TagStruct]


class LabelNameStruct(msgspec.Struct):
    name: str


class AlbumStruct(msgspec.Struct):
    name: str
    label: LabelNameStruct
    tracks: list[TrackStruct]


class LabelStruct(msgspec.Struct):
    name: str
    albums: list[AlbumStruct]


TEMPLATE = jinja2.Template(
    """{% for label in labels %}{{ label.name }}:
{%- for album in label.albums %} {{ album.name }} of {{ album.label.name }} ({{ album.tracks|length }}
{%- for track in album.tracks %}, {{ track.title }}{% for tag in track.tags %} #{{ tag.name }}{% endfor %}
{%- endfor %}){% endfor %}
{% endfor %}"""
)


def with_pydantic(labels: list[Any]) -> Any:
    return pydantic.TypeAdapter(list[LabelModel]).dump_python(
        pydantic.TypeAdapter(list[LabelModel]).validate_python(labels)
    )


def with_msgspec(labels: list[Any]) -> Any:
    return msgspec.to_builtins(msgspec.convert(labels, list[LabelStruct], from_attributes=True))


def with_jinja(labels: list[Any]) -> Any:
    return TEMPLATE.render(labels=labels)


PRINTERS: dict[str, tuple[Callable[[list[Any]], Any], Any]] = {
    "pydantic": (with_pydantic, EXPECTED),
    "msgspec": (with_msgspec, EXPECTED),
    "jinja2": (with_jinja, TEMPLATE.render(labels=EXPECTED)),
}


async def by_prefetch() -> list[Label]:
    query = Label.objects.order_by("id")
    return await query.prefetch_related("albums__label", "albums__tracks__tags")


async def by_graph() -> list[Label]:
    return await Label.objects.order_by("id").graph("albums__label", "albums__tracks__tags")


async def by_peers() -> list[Label]:
    labels = await Label.objects.order_by("id").fetch_mode(orm.PEERS)
    for label in labels:
        for album in await label.albums:
            for track in await album.tracks:
                await track.tags
    return labels


LOADERS: dict[str, tuple[Callable[[], Awaitable[list[Label]]], int]] = {
    "prefetch": (by_prefetch, 4),
    "graph": (by_graph, 1),
    "peers": (by_peers, 4),
}


@pytest.mark.parametrize("printer", PRINTERS)
@pytest.mark.parametrize("loader", LOADERS)
async def test_loaded_relations_are_printed(world: Database, loader: str, printer: str) -> None:
    load, round_trips = LOADERS[loader]
    async with orm.track_queries() as queries:
        labels = await load()
    assert queries.round_trips == round_trips
    printed, expected = PRINTERS[printer]
    with recorded(world) as statements:
        assert printed(labels) == expected
    assert not statements


@pytest.mark.parametrize("printer", PRINTERS)
@pytest.mark.parametrize("paths", [(), ("albums",), ("albums__tracks",)], ids=["none", "one", "two"])
async def test_relations_that_are_not_loaded_fail_loudly(world: Database, paths: tuple[str, ...], printer: str) -> None:
    labels = await Label.objects.order_by("id").prefetch_related(*paths)
    name = ("albums", "tracks", "tags")[len("__".join(paths).split("__")) if paths else 0]
    errors = (orm.NotLoaded, pydantic.ValidationError, msgspec.ValidationError)
    message = rf"{name} was not loaded|got `\w+Manager` - at `.*\.{name}`|{name}\n.*Manager of .*, not loaded>"
    with pytest.raises(errors, match=message):
        PRINTERS[printer][0](labels)


async def test_loaded_rows_are_a_list_that_is_not_changed_in_place(world: Database) -> None:
    label = await Label.objects.prefetch_related("albums").get(id=1)
    assert json.loads(json.dumps(label.albums, default=lambda album: album.name)) == ["Malibu", "Oxnard"]
    assert label.albums == [*label.albums] and label.albums[:1] == [label.albums[0]]
    assert [*reversed(label.albums)] == [label.albums[1], label.albums[0]] and label.albums[1] in label.albums
    assert json.dumps(label.albums[1:], default=lambda album: album.id) == "[4]"
    for change in (
        lambda: label.albums.append(label.albums[0]),  # type: ignore[attr-defined]
        lambda: label.albums.extend([]),  # type: ignore[attr-defined]
        lambda: label.albums.sort(),  # type: ignore[attr-defined]
        lambda: label.albums.pop(),  # type: ignore[attr-defined]
        lambda: label.albums.insert(0, None),  # type: ignore[attr-defined]
        lambda: label.albums.__setitem__(0, None),  # type: ignore[attr-defined]
        lambda: label.albums.__delitem__(0),  # type: ignore[attr-defined]
    ):
        with pytest.raises(orm.QueryError, match=r"loaded rows of Label.albums cannot be changed in place"):
            change()
    albums, first = label.albums, label.albums[0]
    await albums.create(id=50, name="New")
    with pytest.raises(orm.NotLoaded):
        first in albums  # noqa: B015
    with pytest.raises(orm.NotLoaded):
        len(label.albums)
