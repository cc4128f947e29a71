"""prefetch_related(): each kind of relation loads what a query per instance returns, with one statement."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import databases
import pytest

import orm
from orm.database.connections import ddl
from orm.database.connections.database import Database
from tests.loading.models import ALBUMS, TRACKS, Album, Cover, Credit, Label, Person, Tag, Track, models
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio


async def naive(model: type[orm.Model], accessor: str) -> dict[Any, list[Any]]:
    """The keys of the rows of a relation to many, by one query for each instance."""
    found = {}
    for instance in await model.objects.order_by("pk"):
        manager = getattr(instance, accessor)
        found[instance.pk] = [row.pk for row in await manager.order_by("pk")]
    return found


TO_MANY = [
    (Album, "tracks"),
    (Label, "albums"),
    (Label, "imprints"),
    (Person, "pupils"),
    (Person, "cover_set"),
    (Track, "tags"),
    (Tag, "tracks"),
    (Track, "people"),
    (Person, "tracks"),
    (Person, "friends"),
    (Person, "follows"),
    (Person, "followers"),
    (Track, "credits"),
]


@pytest.mark.parametrize(("model", "accessor"), TO_MANY, ids=lambda value: getattr(value, "__name__", value))
async def test_prefetch_of_a_relation_to_many_loads_what_its_manager_queries(
    any_world: databases.Database, model: type[orm.Model], accessor: str
) -> None:
    target = model._meta.accessors[accessor].target
    queryset: Any = target.objects.order_by("pk")  # type: ignore[arg-type]
    found = await model.objects.prefetch_related(orm.Prefetch(accessor, queryset))
    loaded = {instance.pk: [row.pk for row in await getattr(instance, accessor).all()] for instance in found}
    assert loaded == await naive(model, accessor)
    assert any(loaded.values()) and not all(loaded.values())


@pytest.mark.parametrize(("model", "accessor"), TO_MANY, ids=lambda value: getattr(value, "__name__", value))
async def test_prefetch_is_two_statements_and_reads_are_none(
    world: Database, model: type[orm.Model], accessor: str
) -> None:
    with recorded(world) as statements:
        for instance in await model.objects.prefetch_related(accessor):
            manager = getattr(instance, accessor)
            assert len(await manager.all()) == await manager.count() == len([row async for row in manager.all()])
    assert len(statements) == 2


async def test_prefetch_of_foreign_keys_shares_instances(world: Database) -> None:
    with recorded(world) as statements:
        found = await Album.objects.order_by("id").prefetch_related("label", "imprint")
        labels = [(album.label and album.label.name, album.imprint and album.imprint.name) for album in found]
    assert len(statements) == 3
    assert labels == [("Obsessed", "Sub Pop"), ("Sub Pop", None), (None, None), ("Obsessed", "Sub Pop")]
    assert found[0].label is found[3].label, "one row is one instance"


async def test_prefetch_of_one_to_one_in_both_directions(world: Database) -> None:
    with recorded(world) as statements:
        albums = await Album.objects.order_by("id").prefetch_related("cover__painter")
        assert albums[0].cover.colour == "red" and albums[0].cover.painter.name == "Eve"
        assert albums[3].cover.painter is None
        assert albums[0].cover.album is albums[0]
        for album in albums[1:3]:
            with pytest.raises(orm.NoMatch, match="no Cover points at this Album"):
                _ = album.cover
            assert not hasattr(album, "cover")
    assert len(statements) == 3
    with recorded(world) as statements:
        covers = await Cover.objects.order_by("id").prefetch_related("album")
        assert [cover.album.name for cover in covers] == ["Malibu", "Oxnard"]
        assert covers[0].album.cover is covers[0]
    assert len(statements) == 2


async def test_reverse_attribute_of_a_row_is_its_owner(world: Database) -> None:
    with recorded(world) as statements:
        for album in await Album.objects.prefetch_related("tracks__album__label"):
            for track in await album.tracks.all():
                assert track.album is album
                assert (track.album.label and track.album.label.pk) == album.label_id
    assert len(statements) == 3, "the album is there, its label is not"


async def test_owner_replaces_an_instance_joined_to_a_row(world: Database) -> None:
    joined = orm.Prefetch("tracks", Track.objects.select_related("album__label"))
    for album in await Album.objects.prefetch_related(joined):
        for track in await album.tracks.all():
            assert track.album is album


async def test_row_whose_foreign_key_changes_leaves_its_owner(world: Database) -> None:
    [album, other, *_] = await Album.objects.order_by("id").prefetch_related("tracks")
    track, left, *_ = await album.tracks.all()
    track.album_id = other.id
    assert track.album is not album
    track.album = other
    assert track.album is other
    assert pickle.loads(pickle.dumps(left)).album == album


async def test_row_with_several_owners_is_one_instance(world: Database) -> None:
    tracks = await Track.objects.order_by("id").prefetch_related("tags")
    found = [tag for track in tracks for tag in await track.tags.all()]
    assert len({id(tag) for tag in found}) == 3 < len(found)
    for track in tracks:
        (await track.tags.all()).clear()
    assert found == [tag for track in tracks for tag in await track.tags.all()]


async def test_prefetch_paths_share_their_beginning(world: Database) -> None:
    with recorded(world) as statements:
        labels = await Label.objects.order_by("id").prefetch_related(
            "albums__tracks__tags", "albums__tracks__people__mentor", "albums__cover"
        )
        seen = [
            (label.name, album.name, track.title, [tag.name for tag in await track.tags.all()])
            for label in labels
            for album in await label.albums.all()
            for track in await album.tracks.all()
        ]
    assert len(statements) == 7
    names = {1: "soul", 2: "rock", 3: "live"}
    by_key = {album[0]: album for album in ALBUMS}
    expected = [
        (label, by_key[a][1], title, sorted(names[tag] for tag in tags))
        for label, key in (("Obsessed", 1), ("Sub Pop", 2))
        for _, a, title, _, _, tags in TRACKS
        if by_key[a][2] == key
    ]
    assert sorted((a, b, c, sorted(d)) for a, b, c, d in seen) == sorted(expected)


async def test_prefetch_sends_no_statement_without_owners(world: Database) -> None:
    with recorded(world) as statements:
        assert await Album.objects.filter(name="none").prefetch_related("tracks__tags") == []
    assert len(statements) == 1
    with recorded(world) as statements:
        (album,) = await Album.objects.filter(name="Blank").prefetch_related("tracks__tags", "label__albums")
        assert await album.tracks.all() == [] and album.label is None
    assert len(statements) == 2, "no tracks: no tags; no label: nothing to look for"
    with recorded(world) as statements:
        assert await Album.objects.none().prefetch_related("tracks") == []
    assert len(statements) == 0


async def test_prefetch_queryset_filters_orders_and_annotates(world: Database) -> None:
    queryset = Track.objects.filter(plays__gte=30).annotate(tagged=orm.Count("tags")).order_by("-plays", "title")
    albums = await Album.objects.order_by("id").prefetch_related(orm.Prefetch("tracks", queryset))
    found = [[(t.title, t.tagged) for t in await album.tracks.all()] for album in albums]  # type: ignore[attr-defined]
    assert found == [[("Heart", 1), ("The Waters", 0), ("The Bird", 2)], [("Help", 1)], [], [("Saviers", 1)]]


async def test_prefetch_queryset_over_the_same_relation_refers_to_the_pair(world: Database) -> None:
    """As in Django: an aggregate or a filter over the reverse relation sees the pair that a row was loaded for."""
    counted = Tag.objects.annotate(used=orm.Count("tracks")).order_by("id")
    tracks = await Track.objects.order_by("id").prefetch_related(orm.Prefetch("tags", counted))
    found = [[(tag.pk, tag.used) for tag in await track.tags.all()] for track in tracks]
    assert found == [[(tag, 1) for tag in row[5]] for row in TRACKS]

    filtered = Tag.objects.filter(tracks__title="Help")
    tracks = await Track.objects.order_by("id").prefetch_related(orm.Prefetch("tags", filtered))
    assert [[tag.pk for tag in await track.tags.all()] for track in tracks] == [[], [], [], [], [2], [], []]


async def test_annotated_row_with_several_owners_is_one_instance_each(world: Database) -> None:
    queryset = Person.objects.annotate(role=orm.F("credits__role")).order_by("id", "role")
    tracks = await Track.objects.order_by("id").prefetch_related(orm.Prefetch("people", queryset))
    roles = [[(person.name, person.role) for person in await track.people.all()] for track in tracks]
    assert roles[0] == [("Ada", "voice"), ("Ben", "drums")]
    assert roles[3] == [("Ada", "drums"), ("Cleo", "bass")]


async def test_prefetch_queryset_distinct_removes_duplicates(world: Database) -> None:
    queryset = Track.objects.filter(tags__id__in=[1, 2, 3])
    doubled = await Album.objects.get(id=1)
    await orm.load(doubled, orm.Prefetch("tracks", queryset, to_attr="twice"))
    assert [track.pk for track in doubled.twice] == [1, 1, 2, 4, 4, 4]  # type: ignore[attr-defined]
    await orm.load(doubled, orm.Prefetch("tracks", queryset.distinct(), to_attr="once"))
    assert [track.pk for track in doubled.once] == [1, 2, 4]  # type: ignore[attr-defined]
    await orm.load(doubled, orm.Prefetch("tracks", queryset.distinct()[1:], to_attr="rest"))
    assert [track.pk for track in doubled.rest] == [2, 4]  # type: ignore[attr-defined]


@pytest.mark.parametrize("part", [slice(0, 2), slice(1, 2), slice(1, None), slice(0, 1), slice(3, 9), slice(0, 0)])
async def test_prefetch_slice_applies_to_each_owner(world: Database, part: slice) -> None:
    def cut(keys: list[int]) -> list[int]:
        return keys[part]

    def order(row: tuple[Any, ...]) -> tuple[int, int]:
        return -row[4], row[0]

    with recorded(world) as statements:
        albums = await Album.objects.order_by("id").prefetch_related(
            orm.Prefetch("tracks", Track.objects.order_by("-plays", "id")[part])
        )
    assert len(statements) == (2 if part != slice(0, 0) else 1)
    for album in albums:
        rows = sorted((row for row in TRACKS if row[1] == album.pk), key=order)
        assert [track.pk for track in await album.tracks.all()] == cut([row[0] for row in rows])

    tags = await Tag.objects.order_by("id").prefetch_related(
        orm.Prefetch("tracks", Track.objects.order_by("-plays", "id")[part], to_attr="top")
    )
    for tag in tags:
        rows = sorted((row for row in TRACKS if tag.pk in row[5]), key=order)
        assert [track.pk for track in tag.top] == cut([row[0] for row in rows])  # type: ignore[attr-defined]


async def test_prefetch_slice_ordered_by_computed_values(world: Database) -> None:
    """Ordered by an aggregate, by an expression with a value, by a joined column, with NULLs last."""
    for queryset, expected in (
        (Track.objects.annotate(n=orm.Count("tags")).order_by("-n", "id")[:2], [[4, 1], [6, 5], [], [7]]),
        (Track.objects.order_by((orm.F("plays") - 25) * (orm.F("plays") - 25), "id")[:1], [[4], [6], [], [7]]),
        (Track.objects.order_by("album__label__name", "-title")[:1], [[3], [6], [], [7]]),
        (Track.objects.annotate(n=orm.Count("tags")).filter(n__gt=1).order_by("-plays")[1:], [[4], [], [], []]),
        (Track.objects.filter(tags__name="soul").order_by("-plays")[:2], [[2, 1], [], [], [7]]),
    ):
        albums = await Album.objects.order_by("id").prefetch_related(orm.Prefetch("tracks", queryset))
        assert [[track.pk for track in await album.tracks.all()] for album in albums] == expected
    people = await Person.objects.order_by("id").prefetch_related(
        orm.Prefetch("friends", Person.objects.order_by(Person.mentor.id.desc(nulls_last=True), "id")[:1])  # type: ignore[attr-defined]
    )
    assert [[friend.pk for friend in await person.friends.all()] for person in people] == [[2], [1], [1], [5], [4], []]


async def test_to_attr_takes_the_rows_and_leaves_the_relation(world: Database) -> None:
    albums = await Album.objects.order_by("id").prefetch_related(
        orm.Prefetch("tracks", Track.objects.filter(plays__gt=60), to_attr="hits"),
        "hits__tags",
        orm.Prefetch("label", to_attr="house"),
        orm.Prefetch("cover", to_attr="front"),
        "tracks",
    )
    shown: list[Any] = list(albums)
    assert [[track.title for track in album.hits] for album in shown] == [["Heart", "The Waters"], ["Help"], [], []]
    assert [album.house and album.house.name for album in shown] == ["Obsessed", "Sub Pop", None, "Obsessed"]
    assert [album.front and album.front.colour for album in shown] == ["red", None, None, "blue"]
    assert [len(await album.tracks.all()) for album in albums] == [4, 2, 0, 1]
    with recorded(world) as statements:
        assert [tag.pk for tag in await shown[0].hits[0].tags.all()] == [1]
    assert len(statements) == 0
    with pytest.raises(orm.NotLoaded, match="holds only its key"):
        _ = shown[0].label.name


@pytest.mark.parametrize("name", ["name", "label_id", "tracks", "cover", "save", "pk"])
def test_to_attr_of_an_existing_attribute_raises(name: str) -> None:
    with pytest.raises(orm.QueryError, match=f"to_attr='{name}': Album has an attribute"):
        Album.objects.prefetch_related(orm.Prefetch("tracks", to_attr=name))


async def test_prefetch_queryset_with_prefetches_of_its_own(world: Database) -> None:
    queryset = Album.objects.order_by("-id").prefetch_related(
        orm.Prefetch("tracks", Track.objects.prefetch_related("tags").order_by("-plays")[:1])
    )
    with recorded(world) as statements:
        labels = await Label.objects.order_by("id").prefetch_related(
            orm.Prefetch("albums", queryset), "albums__cover", "albums__tracks"
        )
        found = [
            [
                (album.name, [(t.title, len(await t.tags.all())) for t in await album.tracks.all()])
                for album in await label.albums.all()
            ]
            for label in labels
        ]
    assert len(statements) == 5
    assert found[1:] == [[("Fantasies", [("Help", 1)])], []]
    assert found[0][0] == ("Oxnard", [("Saviers", 1)])
    assert found[0][1][0] == "Malibu" and len(found[0][1][1]) == 1


async def test_prefetch_queryset_with_select_related_and_only_keeps_its_keys(world: Database) -> None:
    """The columns that rows are attached by are loaded in spite of only()."""
    with recorded(world) as statements:
        albums = await Album.objects.only("name").prefetch_related(
            orm.Prefetch("tracks", Track.objects.only("title").select_related("album__label")),
            orm.Prefetch("imprint", Label.objects.defer("code", "name")),
            orm.Prefetch("label", Label.objects.only("name")),
        )
    assert len(statements) == 4
    for album in albums:
        for track in await album.tracks.all():
            assert track.album is album and track.title
            with pytest.raises(orm.NotLoaded, match=r"Track\.plays was not loaded"):
                _ = track.plays
    assert albums[0].imprint.pk == 2
    with pytest.raises(orm.NotLoaded, match=r"Label\.name was not loaded"):
        _ = albums[0].imprint.name


async def test_prefetch_skips_what_select_related_joined(world: Database) -> None:
    with recorded(world) as statements:
        albums = (
            await Album.objects.order_by("id")
            .select_related("label", "cover")
            .prefetch_related("label__imprints", "cover__painter", "label")
        )
        assert [len(await album.label.imprints.all()) for album in albums if album.label] == [0, 2, 0]
        assert albums[0].cover.painter.name == "Eve"
    assert len(statements) == 3


async def test_foreign_key_whose_row_the_queryset_filters_out(world: Database) -> None:
    """As in Django, it is None if it may be null."""
    only_sub = orm.Prefetch("label", Label.objects.filter(code="sub"))
    albums = await Album.objects.order_by("id").prefetch_related(only_sub)
    assert [album.label and album.label.name for album in albums] == [None, "Sub Pop", None, None]
    albums[0].label_id = 2
    assert albums[0].label.pk == 2
    tracks = await Track.objects.order_by("id").prefetch_related(
        orm.Prefetch("album", Album.objects.filter(name="Malibu"))
    )
    assert tracks[0].album.name == "Malibu"
    with pytest.raises(orm.NoMatch, match=r"Track.album: no Album was found"):
        _ = tracks[4].album


async def test_prefetch_related_none_clears_and_calls_add_up(world: Database) -> None:
    query = Album.objects.prefetch_related("tracks").prefetch_related("label")
    with recorded(world) as statements:
        await query
        await query.prefetch_related(None)
        await query.prefetch_related(None).prefetch_related(orm.Prefetch("tracks", Track.objects.filter(plays=1)))
    assert len(statements) == 3 + 1 + 2


def test_second_queryset_for_a_relation_raises() -> None:
    second = orm.Prefetch("tracks", Track.objects.filter(plays=1))
    for before in ("tracks", "tracks__tags", orm.Prefetch("tracks", Track.objects.all())):
        with pytest.raises(orm.QueryError, match="'tracks' is loaded already"):
            Album.objects.prefetch_related(before, second)
        with pytest.raises(orm.QueryError, match="'tracks' is loaded already"):
            Album.objects.prefetch_related(before).prefetch_related(second)
    Album.objects.prefetch_related(second, "tracks", "tracks__tags", "tracks__tags")
    with pytest.raises(orm.QueryError, match="loaded already"):
        Label.objects.prefetch_related(
            orm.Prefetch("albums", Album.objects.prefetch_related("tracks")),
            orm.Prefetch("albums__tracks", Track.objects.all()),
        )
    with pytest.raises(orm.QueryError, match="loaded already"):
        Album.objects.prefetch_related(
            orm.Prefetch("tracks", Track.objects.all(), to_attr="some"),
            orm.Prefetch("tracks", Track.objects.filter(plays=1), to_attr="some"),
        )


def test_invalid_prefetches_raise() -> None:
    with pytest.raises(orm.FieldError, match=r"Album has no relation 'trakcs'.*Did you mean 'tracks'"):
        Album.objects.prefetch_related("trakcs")
    with pytest.raises(orm.FieldError, match=r"Track has no relation 'title', given in the path 'tracks__title'"):
        Album.objects.prefetch_related("tracks__title")
    with pytest.raises(orm.QueryError, match="gives values"):
        orm.Prefetch("tracks", Track.objects.values("id"))
    with pytest.raises(orm.QueryError, match="is a queryset, got RawQuerySet"):
        orm.Prefetch("tracks", Track.raw("SELECT * FROM track"))  # type: ignore[arg-type]
    with pytest.raises(orm.QueryError, match="leads to Track, not to Tag"):
        Album.objects.prefetch_related(orm.Prefetch("tracks", Tag.objects.all()))
    with pytest.raises(orm.QueryError, match="takes no slice"):
        Track.objects.prefetch_related(orm.Prefetch("album", Album.objects.all()[:1]))
    with pytest.raises(orm.NotSupportedError, match=r"after union\(\)"):
        Album.objects.prefetch_related(orm.Prefetch("tracks", Track.objects.all().union(Track.objects.all())))
    with pytest.raises(orm.NotSupportedError, match=r"cannot follow union\(\)"):
        Album.objects.all().union(Album.objects.all()).prefetch_related("tracks")
    with pytest.raises(orm.QueryError, match="this query selects values"):
        Album.objects.values("id").prefetch_related("tracks")
    with pytest.raises(orm.QueryError, match="takes paths and Prefetch objects, got int"):
        Album.objects.prefetch_related(3)  # type: ignore[arg-type]
    with pytest.raises(orm.QueryError, match="path of a relation as text"):
        orm.Prefetch("")
    with pytest.raises(orm.QueryError, match="the name of an attribute"):
        orm.Prefetch("tracks", to_attr="two words")


async def test_each_reading_method_prefetches(world: Database) -> None:
    query = Album.objects.order_by("id").prefetch_related("tracks")

    async def loaded(album: Album | None) -> int:
        assert album is not None
        with recorded(world) as statements:
            count = len(await album.tracks.all())
        assert len(statements) == 0
        return count

    assert await loaded(await query.get(id=1)) == 4
    assert await loaded(await query.first()) == 4
    assert await loaded(await query.last()) == 1
    assert await loaded(await query.earliest("name")) == 0
    assert await loaded((await query.get_or_create(id=2))[0]) == 2
    assert [await loaded(album) for album in (await query.in_bulk([1, 3])).values()] == [4, 0]
    assert [await loaded(album) for album in (await query.page(size=2)).items] == [4, 2]
    assert [await loaded(album) async for albums in query.in_batches(3) for album in albums] == [4, 2, 0, 1]
    assert [await loaded(album) async for album in query] == [4, 2, 0, 1]
    assert [await loaded(album) for album in await query[1:3]] == [2, 0]
    assert await query.count() == 4 and await query.exists()
    assert await query.values_list("id", flat=True) == [1, 2, 3, 4]


async def test_stream_prefetches_each_batch(world: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orm.execution.STREAM_CHUNK", 3)
    with recorded(world) as statements:
        sizes = [len(await track.tags.all()) async for track in Track.objects.order_by("id").prefetch_related("tags")]
    assert sizes == [len(row[5]) for row in TRACKS]
    assert len(statements) == 1 + 3


async def test_prefetch_in_a_transaction_reads_its_changes(world: Database) -> None:
    async with world.transaction(force_rollback=True):
        await Track.objects.create(id=99, album=3, title="Silence", position=1)
        album = await Album.objects.prefetch_related("tracks").get(id=3)
        assert [track.title for track in await album.tracks.all()] == ["Silence"]
    album = await Album.objects.prefetch_related("tracks").get(id=3)
    assert await album.tracks.all() == []


async def test_prefetch_of_through_rows(world: Database) -> None:
    tracks = await Track.objects.order_by("id").prefetch_related(
        orm.Prefetch("credits", Credit.objects.select_related("person").order_by("role"))
    )
    found = [[(credit.role, credit.person.name) for credit in await track.credits.all()] for track in tracks]
    assert found[0] == [("drums", "Ben"), ("voice", "Ada")] and found[3] == [("bass", "Cleo"), ("drums", "Ada")]


async def test_prefetch_splits_keys_at_the_dialect_s_limit(world: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orm.database.dialect.Dialect.max_keys_per_query", 2)
    monkeypatch.setattr("orm.database.mysql.dialect.MySQLDialect.max_keys_per_query", 2)
    with recorded(world) as statements:
        tracks = await Track.objects.order_by("id").prefetch_related("tags")
    assert len(statements) == 1 + 4
    assert [sorted(tag.pk for tag in await track.tags.all()) for track in tracks] == [row[5] for row in TRACKS]


async def test_prefetch_of_a_known_shape_has_its_plans_cached(world: Database) -> None:
    async def ask(low: int, high: int, keys: list[int]) -> None:
        top = Track.objects.filter(plays__gt=low).order_by("-plays")[low + 1 : high]
        await Album.objects.filter(id__in=keys).prefetch_related(orm.Prefetch("tracks", top), "label", "tracks__tags")

    await ask(0, 9, [1, 2, 4])
    before = orm.plan_cache_info().misses
    await ask(1, 7, [1])
    assert orm.plan_cache_info().misses == before


async def test_pickled_instance_keeps_its_prefetched_rows(world: Database) -> None:
    album = await Album.objects.prefetch_related("tracks__tags", "cover").get(id=1)
    copied = pickle.loads(pickle.dumps(album))
    with recorded(world) as statements:
        tracks = await copied.tracks.all()
        assert [track.title for track in tracks] == ["The Bird", "Heart", "The Waters", "Dreamer"]
        assert tracks[0].album is copied and len(await tracks[3].tags.all()) == 3
        assert copied.cover.colour == "red"
    assert len(statements) == 0


async def test_prefetch_reads_the_database_of_its_query(world: Database, tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path / 'other.db'}") as other:
        await ddl.create_all(other, models.metadata)
        await Album.objects.using(other).create(id=1, name="Elsewhere")
        await Track.objects.using(other).create(id=1, album=1, title="Far", position=1)
        with recorded(world) as statements, recorded(other) as others:
            album = await Album.objects.using(other).prefetch_related("tracks__tags", "cover").get(id=1)
            (track,) = await album.tracks.all()
            assert track.title == "Far"
            await orm.load(album, "label")
            await track.tags.all()
        assert len(statements) == 0 and len(others) == 4, "album, tracks, tags, cover; there is no label to load"
        await track.update(title="Further")
    assert (await Track.objects.get(id=1)).title == "The Bird"
