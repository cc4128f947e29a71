"""graph(): loads what prefetch_related() loads, in one round trip, and each row as one instance."""

from __future__ import annotations

import pickle
from typing import Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from tests.loading.graphs.loaded_values import assert_one_instance_each, loaded, snapshot
from tests.loading.models import Album, Cover, Credit, Label, Person, Tag, Track

PATHS: list[tuple[Any, tuple[str, ...]]] = [
    (Album.objects.order_by("id"), ("tracks",)),
    (Album.objects.order_by("id"), ("label",)),
    (Album.objects.order_by("id"), ("cover__painter",)),
    (Album.objects.order_by("id"), ("imprint__albums",)),
    (Album.objects.order_by("id"), ("tracks__people__mentor", "tracks__tags", "label__albums")),
    (Label.objects.order_by("id"), ("albums__tracks__credits__person",)),
    (Label.objects.order_by("id"), ("imprints__cover",)),
    (Track.objects.all(), ("album__label", "tags", "credits")),
    (Tag.objects.order_by("id"), ("tracks__album__cover",)),
    (Person.objects.order_by("id"), ("pupils__pupils", "mentor__mentor")),
    (Person.objects.order_by("id"), ("friends__friends", "follows", "followers__follows")),
    (Person.objects.order_by("id"), ("tracks__people__tracks",)),
    (Cover.objects.order_by("id"), ("album__cover", "painter__cover_set")),
    (Credit.objects.order_by("id"), ("track__credits__person__credits__track",)),
    (Album.objects.filter(tracks__plays__gte=50).order_by("id"), ("tracks",)),
    (Album.objects.filter(tracks__plays__gte=50).distinct().order_by("id"), ("tracks",)),
    (Track.objects.all()[1:4], ("album", "people")),
    (Track.objects.order_by("-plays", "id").limit(3), ("album__tracks",)),
    (Album.objects.annotate(n=orm.Count("tracks")).order_by("-n", "id"), ("tracks",)),
    (Album.objects.select_related("label").order_by("id"), ("tracks__tags", "label__albums")),
    (Album.objects.select_related("cover").order_by("id"), ("tracks",)),
    (Track.objects.only("title"), ("album", "tags")),
    (Track.objects.defer("title", "album"), ("album__label",)),
]


@pytest.mark.parametrize(("query", "paths"), PATHS, ids=lambda value: "-".join(value) if type(value) is tuple else "")
async def test_graph_loads_what_prefetch_related_loads(world: Database, query: Any, paths: tuple[str, ...]) -> None:
    found = await query.graph(*paths)
    expected = await query.prefetch_related(*paths)
    assert in_any_order(snapshot(found, *paths)) == in_any_order(snapshot(expected, *paths))
    assert found
    assert_one_instance_each(found)


def in_any_order(value: Any) -> Any:
    """The value with its lists of rows sorted: other tests check their order."""
    if isinstance(value, dict):
        return {
            name: _sorted(inner) if isinstance(inner, list) else in_any_order(inner) for name, inner in value.items()
        }
    return [in_any_order(item) for item in value] if isinstance(value, list) else value


def _sorted(value: list[Any]) -> list[Any]:
    return sorted((in_any_order(item) for item in value), key=lambda item: item["id"])


async def test_graph_loads_on_each_database_and_in_a_transaction(any_world: databases.Database) -> None:
    albums = await Album.objects.order_by("id").graph("tracks__tags", "label")
    assert [[track.title for track in await album.tracks] for album in albums] == [
        ["The Bird", "Heart", "The Waters", "Dreamer"],
        ["Help", "Sick Muse"],
        [],
        ["Saviers"],
    ]
    assert [album.label and album.label.name for album in albums] == ["Obsessed", "Sub Pop", None, "Obsessed"]
    async with any_world.transaction():
        assert len(await Album.objects.graph("tracks__people")) == 4


async def test_each_row_of_the_database_is_one_instance(world: Database) -> None:
    tracks = await Track.objects.graph("album__tracks__people", "people__tracks", "credits__person__mentor")
    assert_one_instance_each(tracks)
    first, second = tracks[0], next(track for track in tracks if track.title == "Heart")
    assert first.album is second.album
    assert await first.album.tracks.all() is not None
    assert loaded(first.album, "tracks")[0] is first
    assert loaded(first, "credits")[0].track is first
    assert loaded(second, "credits")[0].person is loaded(first, "credits")[0].person


async def test_reverse_attribute_of_a_row_is_its_parent(world: Database) -> None:
    albums = await Album.objects.order_by("id").graph("tracks", "cover")
    assert all(track.album is album for album in albums for track in loaded(album, "tracks"))
    assert albums[0].cover.album is albums[0]
    with pytest.raises(AttributeError):
        _ = albums[1].cover
    covers = await Cover.objects.order_by("id").graph("album")
    assert covers[0].album.cover is covers[0]


async def test_shapes_filter_order_and_limit_relations(world: Database) -> None:
    shape = {
        "label": None,
        "tracks": {
            "filter": {"plays__gt": 10},
            "exclude": {"title": "Help"},
            "order_by": ["-plays", "-id"],
            "limit": 2,
            "tags": {"order_by": "-name", "limit": 1},
            "people": {"filter": orm.Q(name="Ada") | orm.Q(name="Cleo"), "order_by": Person.name.desc()},
        },
    }
    albums = await Album.objects.order_by("id").graph(shape)
    assert [
        [
            (track.title, [tag.name for tag in loaded(track, "tags")], [who.name for who in loaded(track, "people")])
            for track in loaded(album, "tracks")
        ]
        for album in albums
    ] == [
        [("The Waters", [], []), ("Heart", ["soul"], ["Ada"])],
        [],
        [],
        [("Saviers", ["soul"], [])],
    ]
    assert albums[0].label.name == "Obsessed"


async def test_limit_applies_to_each_parent_and_breaks_ties_by_key(world: Database) -> None:
    albums = await Album.objects.order_by("id").graph({"tracks": {"order_by": "-plays", "limit": 1, "tags": None}})
    # Two tracks of the first album have 70 plays.
    assert [[track.id for track in loaded(album, "tracks")] for album in albums] == [[2], [5], [], [7]]
    assert [[tag.id for tag in loaded(track, "tags")] for album in albums for track in loaded(album, "tracks")] == [
        [1],
        [2],
        [1],
    ]
    tags = await Tag.objects.order_by("id").graph({"tracks": Track.objects.order_by("-id")[1:3]})
    assert [[track.id for track in loaded(tag, "tracks")] for tag in tags] == [[4, 2], [5, 4], [4, 1], []]


async def test_graph_takes_prefetch_objects_with_to_attr(world: Database) -> None:
    loud = orm.Prefetch("tracks", Track.objects.filter(plays__gte=50).order_by("-plays", "id"), to_attr="loud")
    single = orm.Prefetch("cover", Cover.objects.filter(colour="red"), to_attr="red")
    albums = await Album.objects.order_by("id").graph(loud, "loud__people", "tracks", single)
    assert [[track.id for track in album.loud] for album in albums] == [[2, 3, 1], [5], [], []]  # type: ignore[attr-defined]
    assert [len(loaded(album, "tracks")) for album in albums] == [4, 2, 0, 1]
    assert [album.red and album.red.id for album in albums] == [1, None, None, None]  # type: ignore[attr-defined]
    assert albums[0].loud[0] is loaded(albums[0], "tracks")[1]  # type: ignore[attr-defined]
    assert [who.name for who in loaded(albums[0].loud[0], "people")] == ["Ada"]  # type: ignore[attr-defined]


async def test_annotations_at_each_level_are_attributes(world: Database) -> None:
    counted = Track.objects.annotate(n=orm.Count("tags"), share=orm.Avg("tags__id"), upper=orm.functions.Upper("title"))
    counted = counted.order_by("position")
    few = orm.Prefetch("tracks", counted[:2], to_attr="few")
    albums = (
        await Album.objects.annotate(top=orm.Max("tracks__plays"), mean=orm.Avg("tracks__plays"))
        .order_by("id")
        .graph(orm.Prefetch("tracks", counted), "tracks__tags", few)
    )
    assert [track.n for track in albums[0].few] == [2, 1]  # type: ignore[attr-defined]
    assert [(album.top, album.mean) for album in albums] == [(70, 52.5), (90, 50.0), (None, None), (30, 30.0)]  # type: ignore[attr-defined]
    assert [(track.n, track.share, track.upper) for track in loaded(albums[0], "tracks")] == [
        (2, 2.0, "THE BIRD"),
        (1, 1.0, "HEART"),
        (0, None, "THE WATERS"),
        (3, 2.0, "DREAMER"),
    ]


async def test_filtered_relation_to_one_without_a_match_is_none(world: Database) -> None:
    albums = await Album.objects.order_by("id").graph({"label": {"filter": {"code": "obs"}}})
    assert [loaded(album, "label") and album.label.code for album in albums] == ["obs", None, None, "obs"]


async def test_graph_extends_prefetches_and_starts_at_related_managers(world: Database) -> None:
    albums = await Album.objects.prefetch_related("tracks").order_by("id").graph("tracks__tags", "label")
    assert [len(loaded(album, "tracks")) for album in albums] == [4, 2, 0, 1]
    assert loaded(loaded(albums[0], "tracks")[0], "tags")
    album = await Album.objects.get(id=1)
    tracks = await album.tracks.filter(plays__gt=20).graph("tags")
    assert [(track.id, len(loaded(track, "tags"))) for track in tracks] == [(1, 2), (2, 1), (3, 0)]


async def test_noload_and_raiseload_apply_in_a_graph(world: Database) -> None:
    tracks = Track.objects.options(orm.raiseload("album"))
    albums = await Album.objects.options(orm.noload("cover")).graph(orm.Prefetch("tracks", tracks))
    assert albums[0].cover is None
    with pytest.raises(orm.NotLoaded, match="raiseload"):
        _ = (await Credit.objects.graph({"track": Track.objects.options(orm.raiseload("album"))}))[0].track.album


@pytest.mark.parametrize("option", [orm.noload("cover"), orm.raiseload("cover")])
async def test_graph_suppresses_a_relation_after_the_same_graph_without_the_option(
    world: Database, option: Any
) -> None:
    def query(*options: Any) -> Any:
        return Album.objects.filter(id=2).options(*options).graph("tracks")

    async def cover(*options: Any) -> Any:
        (album,) = await query(*options)
        try:
            return album.cover
        except orm.NotLoaded as error:
            return "raiseload" in str(error)

    orm.plan_cache_clear()
    assert await cover() is False
    suppressed = await cover(option)
    assert suppressed is (None if option.kind == "noload" else True)
    assert await cover() is False


async def test_instances_of_using_remember_the_database(world: Database) -> None:
    albums = await Album.objects.using(world).select_related("label").graph("tracks__tags")
    track = loaded(albums[0], "tracks")[0]
    for instance in (albums[0], albums[0].label, track, loaded(track, "tags")[0]):
        assert instance.__dict__["_database"] is world


async def test_graph_of_an_empty_query_sends_no_statement(world: Database) -> None:
    with orm.track_queries() as queries:
        assert await Album.objects.none().graph("tracks") == []
        assert await Album.objects.filter(id__in=[]).graph("tracks").as_dicts() == []
    assert queries.count == 0
    albums = await Album.objects.order_by("id").graph(orm.Prefetch("tracks", Track.objects.none()), "label")
    assert [loaded(album, "tracks") for album in albums] == [[], [], [], []]
    assert await Album.objects.filter(id=99).graph("tracks__tags") == []
    assert [album.id for album in await Album.objects.order_by("id").graph()] == [1, 2, 3, 4]


async def test_graph_of_a_known_shape_has_its_plan_cached(world: Database) -> None:
    async def load(plays: int, limit: int, name: str) -> None:
        shape = {"tracks": {"filter": {"plays__gt": plays}, "limit": limit, "tags": {"filter": {"name": name}}}}
        await Album.objects.filter(id__gte=plays).order_by("id")[:limit].graph(shape)

    await load(1, 2, "soul")
    planned = orm.plan_cache_info().misses
    await load(2, 5, "rock")
    assert orm.plan_cache_info().misses == planned


def test_sql_and_repr_show_the_graph(sqlite_url: str) -> None:
    class Thing(orm.Model):
        registry = orm.ModelRegistry(database=Database(sqlite_url))

        id = orm.Integer(primary_key=True)
        parent: Any = orm.ForeignKey("Thing", allow_null=True, related_name="children")

    graph = Thing.objects.filter(id__gt=7).graph({"children": {"limit": 3}})
    assert str(graph.sql).count("SELECT") > 3
    assert [value for value in graph.sql.values if value in (7, 3)] == [7, 7, 3]
    assert repr(graph) == "<Graph of Thing: children>"
    assert repr(Thing.objects.graph()) == "<Graph of Thing: no relations>"


async def test_load_skips_what_a_graph_loaded(world: Database) -> None:
    (album,) = await Album.objects.filter(id=1).graph("tracks__tags", "label")
    tracks = loaded(album, "tracks")
    with orm.track_queries() as queries:
        await orm.load(album, "tracks__tags", "label")
        await orm.load(tracks, "album__tracks")
    assert queries.count == 0
    assert all(track.album is album for track in tracks)
    tracks[0].album_id = 2
    assert tracks[0].album is not album
    await orm.load(tracks, "album")
    assert tracks[0].album.name == "Fantasies"
    tracks[1].album = None
    assert tracks[1].album is None


async def test_pickled_instance_keeps_its_graph(world: Database) -> None:
    (album,) = await Album.objects.filter(id=1).graph("tracks")
    copied = pickle.loads(pickle.dumps(album))
    assert copied == album
    assert all(track.album is copied for track in loaded(copied, "tracks"))
