"""The plan cache gives each query the plan that would be made for it: a plan holds nothing that its key leaves out."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Hashable, Iterator
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, get_args

import pytest

import orm
from orm.database.connections.database import Database
from orm.query.plans.cache import PlanCache, plans
from orm.query.plans.graph import GraphPlan, ReaderKind
from orm.query.plans.plan import Plan
from orm.utils.codegen import Inline
from tests.loading.models import Album, Cover, Label, Tag, Track

pytestmark = pytest.mark.anyio
Change = Callable[[Any], Any]

ALBUM_CHANGES: dict[str, Change] = {
    "unchanged": lambda albums: albums,
    "noload one": lambda albums: albums.options(orm.noload("cover")),
    "noload many": lambda albums: albums.options(orm.noload("tracks")),
    "raiseload": lambda albums: albums.options(orm.raiseload("cover")),
    "raiseload in a joined row": lambda albums: albums.options(orm.joined("label"), orm.raiseload("label__albums")),
    "joined": lambda albums: albums.options(orm.joined("label")),
    "joined twice": lambda albums: albums.options(orm.joined("label", "imprint")),
    "joined reverse": lambda albums: albums.select_related("cover"),
    "only": lambda albums: albums.only("name"),
    "only a joined field": lambda albums: albums.options(orm.joined("label")).only("name", "label__name"),
    "defer": lambda albums: albums.defer("name"),
    "defer a key": lambda albums: albums.defer("label"),
    "annotate": lambda albums: albums.annotate(extra=orm.F("id") + 1),
    "annotate text": lambda albums: albums.annotate(extra=orm.F("name")),
    "alias": lambda albums: albums.alias(extra=orm.F("id") + 1),
    "aggregate": lambda albums: albums.annotate(extra=orm.Count("tracks")),
    "filter": lambda albums: albums.filter(id__gt=0),
    "filter over many": lambda albums: albums.filter(tracks__plays__gt=60),
    "distinct": lambda albums: albums.filter(tracks__plays__gt=60).distinct(),
    "order": lambda albums: albums.order_by("-id"),
    "order over many": lambda albums: albums.order_by("tracks__title", "id"),
    "first": lambda albums: albums.order_by("id")[:2],
    "from the second": lambda albums: albums.order_by("id")[1:],
}
TRACK_CHANGES: dict[str, Change] = {
    "unchanged": lambda tracks: tracks,
    "noload": lambda tracks: tracks.options(orm.noload("tags")),
    "raiseload": lambda tracks: tracks.options(orm.raiseload("album")),
    "joined": lambda tracks: tracks.options(orm.joined("album__label")),
    "selectin": lambda tracks: tracks.options(orm.selectin("tags")),
    "only": lambda tracks: tracks.only("title"),
    "defer": lambda tracks: tracks.defer("title"),
    "annotate": lambda tracks: tracks.annotate(extra=orm.F("plays") + 1),
    "filter": lambda tracks: tracks.filter(plays__gt=20),
    "filter over many": lambda tracks: tracks.filter(tags__id__lt=3),
    "order": lambda tracks: tracks.order_by("-plays", "id"),
    "no order": lambda tracks: tracks.order_by(),
    "first": lambda tracks: tracks.order_by("plays", "id")[:1],
    "from the second": lambda tracks: tracks.order_by("plays", "id")[1:],
}


class Loud(orm.String):
    """A text field with another form in JSON."""

    def to_json(self, value: Any) -> Any:
        return value.upper()


def status_enum() -> Any:
    """Another enum of the same name each time, as two modules may have them."""
    return enum.Enum("Status", {"Malibu": "Malibu"}, qualname="Status")


EXPRESSIONS: dict[str, Callable[[orm.Field[Any]], Any]] = {
    "cast": lambda field: orm.functions.Cast("name", field),
    "function": lambda field: orm.functions.Coalesce("name", "name", output_field=field),
    "case": lambda field: orm.Case(orm.When(id__gt=0, then=orm.F("name")), output_field=field),
    "wrapper": lambda field: orm.ExpressionWrapper(orm.F("name"), output_field=field),
}


@pytest.fixture(autouse=True)
def made_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Hashable]]:
    """Every plan that the cache has is made again, and both are compared; the keys of those plans."""
    compared: list[Hashable] = []
    get = PlanCache.get

    def get_and_compare(cache: PlanCache, key: Hashable, make: Callable[[], Any]) -> Any:
        hits = cache.info().hits
        plan = get(cache, key, make)
        if cache.info().hits > hits:
            compared.append(key)
            assert content(plan) == content(make())
        return plan

    initialize = GraphPlan.__init__

    def initialize_and_keep(plan: GraphPlan, dialect: Any, sections: Any, max_rows: Any) -> None:
        initialize(plan, dialect, sections, max_rows)
        plan.sections = sections  # type: ignore[attr-defined]

    plans.clear()
    monkeypatch.setattr(PlanCache, "get", get_and_compare)
    monkeypatch.setattr(GraphPlan, "__init__", initialize_and_keep)
    yield compared
    plans.clear()


def content(value: Any) -> Any:
    """All that a plan consists of, its readers' generated code included, as plain values."""
    if isinstance(value, Plan):
        return [content(getattr(value, name)) for name in Plan.__slots__]
    if isinstance(value, GraphPlan):
        sections = value.sections  # type: ignore[attr-defined]
        return content([value.plans, value.outputs, [value.reader(kind, sections) for kind in get_args(ReaderKind)]])
    if isinstance(value, FunctionType):
        names = value.__globals__
        if "__source__" in names:
            return {name: content(names[name]) for name in names if name not in ("__builtins__", value.__name__)}
        return value.__code__, [content(cell.cell_contents) for cell in value.__closure__ or ()]
    if isinstance(value, MethodType):
        return value.__func__, type(value.__self__)
    if isinstance(value, Inline):
        return value.source, content(value.names)
    if isinstance(value, dict):
        return {name: content(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [content(item) for item in value]
    return value if isinstance(value, (str, int, frozenset, type, BuiltinFunctionType, type(None))) else type(value)


async def run(query: Any, *lookups: Any) -> None:
    """Load a query's rows in every way."""
    await query
    await query.prefetch_related(*lookups)
    await query.graph(*lookups)
    await query.graph(*lookups).as_dicts()
    await query.count()
    await query.exists()


async def test_changed_query_gets_its_own_plan(world: Database, made_again: list[Hashable]) -> None:
    for change in ALBUM_CHANGES.values():
        await run(change(Album.objects.all()), "tracks", "label")
    assert made_again


async def test_query_changed_twice_gets_its_own_plan(world: Database, made_again: list[Hashable]) -> None:
    slices = ("first", "from the second", "aggregate", "distinct")
    for one, other in itertools.combinations(ALBUM_CHANGES, 2):
        if one not in slices and not (one.startswith("only") and other.startswith("only")):
            query = ALBUM_CHANGES[other](ALBUM_CHANGES[one](Album.objects.all()))
            assert query.sql
            assert query.graph("tracks", "label").sql
    assert made_again


@pytest.mark.parametrize("name", ["tracks", "loud"])
async def test_changed_relation_gets_its_own_plan(world: Database, made_again: list[Hashable], name: str) -> None:
    to_attr = None if name == "tracks" else name
    for change in TRACK_CHANGES.values():
        tracks = change(Track.objects.all())
        await run(Album.objects.all(), orm.Prefetch("tracks", tracks, to_attr))
        await run(Tag.objects.all(), orm.Prefetch("tracks", tracks, to_attr))
        await run(Label.objects.all(), orm.Prefetch("albums__tracks", tracks, to_attr))
    assert made_again


async def test_other_relations_get_their_own_plan(world: Database, made_again: list[Hashable]) -> None:
    for query, paths in (
        (
            Album.objects.all(),
            ("label", "imprint", "tracks", "cover", "label__albums", "tracks__tags", "cover__painter"),
        ),
        (Track.objects.all(), ("album", "tags", "people", "credits", "album__cover", "people__mentor")),
        (Cover.objects.all(), ("album", "painter", "album__tracks", "painter__friends", "painter__follows")),
    ):
        for path in paths:
            await run(query, path)
        for one, other in itertools.combinations(paths, 2):
            await run(query, one, other)
    assert made_again


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
async def test_expression_of_another_field_gets_its_own_plan(
    world: Database, made_again: list[Hashable], expression: Callable[[orm.Field[Any]], Any]
) -> None:
    for field, expected in ((orm.String(max_length=50), "Malibu"), (Loud(max_length=50), "MALIBU")):
        (album,) = await Album.objects.filter(id=1).annotate(extra=expression(field)).graph().as_dicts()
        assert album["extra"] == expected
    for status in (status_enum(), status_enum()):
        albums = Album.objects.filter(id=1).annotate(extra=expression(orm.Enum(status)))
        assert [album.extra for album in await albums] == [status("Malibu")]  # type: ignore[attr-defined]
        assert [album.extra for album in await albums.graph()] == [status("Malibu")]  # type: ignore[attr-defined]
        assert await albums.values_list("extra", flat=True) == [status("Malibu")]
