"""The errors of invalid graphs, and the budget."""

from __future__ import annotations

from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from tests.loading.graphs.loaded_values import loaded
from tests.loading.models import Album, Label, Person, Tag, Track, models


@pytest.fixture
def known(sqlite_url: str) -> None:
    """A database that no statement is sent to."""
    models.database = Database(sqlite_url)


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        ("trakcs", orm.FieldError, "Album has no relation 'trakcs'.*Did you mean 'tracks'.*cover, .*label, .*tracks"),
        ("tracks__titel", orm.FieldError, "Track has no relation 'titel'"),
        ("name", orm.FieldError, "Album has no relation 'name'"),
        ({"tracks": {"tagz": None}}, orm.FieldError, "no relation 'tagz'.*options of a relation are: filter, exclude"),
        ({"limit": 3}, orm.QueryError, "about no relation"),
        ({"tracks": 3}, orm.QueryError, "a dict, a queryset or None, got int"),
        ({3: None}, orm.QueryError, "by text, got int"),
        (3, orm.QueryError, "paths, shapes and Prefetch objects, got int"),
        ({"tracks": {"limit": -1}}, orm.QueryError, "limit of 'tracks'.*whole number, got -1"),
        ({"tracks": {"limit": "3"}}, orm.QueryError, "limit of 'tracks'.*whole number, got '3'"),
        ({"tracks": {"filter": {"titel": "x"}}}, orm.FieldError, "Track has no field 'titel'"),
        ({"tracks": {"order_by": "titel"}}, orm.FieldError, "Track has no field 'titel'"),
        ({"tracks": Album.objects.all()}, orm.QueryError, "leads to Track, not to Album"),
        ({"tracks": Track.objects.values("id")}, orm.QueryError, "gives values"),
        ({"label": {"limit": 1}}, orm.QueryError, "leads to one Label, takes no slice"),
        ({"tracks": {"to_attr": "name"}}, orm.QueryError, "has an attribute of that name"),
        (
            {"tracks": {"order_by": "?", "limit": 2}},
            orm.QueryError,
            "'tracks' in a graph.. cannot be a slice in random",
        ),
        ({"tracks": Track.objects.select_for_update()}, orm.QueryError, "'tracks' in a graph.. cannot lock rows"),
    ],
)
def test_graph_of_an_invalid_shape_raises(known: None, shape: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"(?s){message}"):
        Album.objects.graph(shape)


def test_graph_of_an_unsupported_query_raises(known: None) -> None:
    with pytest.raises(orm.QueryError, match="instances, not of values"):
        Album.objects.values("id").graph("tracks")
    with pytest.raises(orm.NotSupportedError, match="cannot follow union"):
        Album.objects.union(Album.objects.all()).graph("tracks")
    with pytest.raises(orm.QueryError, match="random order"):
        Album.objects.order_by("?")[:3].graph("tracks")
    with pytest.raises(orm.QueryError, match="lock"):
        Album.objects.select_for_update().graph("tracks")
    cte = orm.CTE("loud", Track.objects.filter(plays__gt=50).values("album_id"))
    with pytest.raises(orm.NotSupportedError, match="common table expressions"):
        cte.join(Album, id=cte.col.album_id).with_cte(cte).graph("tracks")
    with pytest.raises(orm.QueryError, match=r"an orm.GraphBudget, got int"):
        Album.objects.graph("tracks", budget=3)  # type: ignore[arg-type]


def test_graph_with_rows_of_another_database_raises(known: None, sqlite_url: str) -> None:
    other = Track.objects.using(Database(sqlite_url))
    with pytest.raises(orm.QueryError, match=r"'tracks' in a graph.. is of another database"):
        Album.objects.graph({"tracks": other})


async def test_graph_that_gives_an_instance_two_contents_raises(world: Database) -> None:
    shape = {"tracks": {"limit": 1, "album": {"tracks": {"limit": 2}}}}
    graph = Album.objects.order_by("id").graph(shape)
    with pytest.raises(
        orm.QueryError, match=r"'tracks__album__tracks' and 'tracks' .* the 'tracks' of an Album different"
    ):
        await graph
    found = await graph.as_dicts()
    assert [len(track["album"]["tracks"]) for album in found for track in album["tracks"]] == [2, 2, 1]
    shape = {"tracks": {"limit": 1, "album": {"tracks": {"limit": 2, "to_attr": "two"}}}}
    albums = await Album.objects.order_by("id").graph(shape)
    assert [(len(loaded(album, "tracks")), len(getattr(album, "two", []))) for album in albums] == [
        (1, 2),
        (1, 2),
        (0, 0),
        (1, 1),
    ]
    with pytest.raises(orm.QueryError, match="'label' of an Album different"):
        await Label.objects.graph({"albums": {"label": {"filter": {"id": 1}}}})
    same = {"tracks": {"limit": 2, "album": {"tracks": {"limit": 2}}}}
    assert await Album.objects.graph(same)


# Budgets.


def test_depth_over_the_budget_raises() -> None:
    path = "__".join(["album", "tracks"] * 5)
    with pytest.raises(orm.GraphTooLarge, match=r"is 9 relations deep, and the budget of this graph.. is 8") as caught:
        Track.objects.graph(path)
    assert (caught.value.relation, caught.value.limit) == ("__".join((["album", "tracks"] * 5)[:9]), 8)
    Track.objects.graph(path, budget=orm.GraphBudget(depth=10))
    Track.objects.graph(path, budget=orm.GraphBudget(depth=None))
    with pytest.raises(orm.GraphTooLarge):
        Track.objects.graph("album", budget=orm.GraphBudget(depth=0))


@pytest.mark.parametrize(("rows", "relation"), [(3, ""), (10, "tracks"), (17, "tracks__tags"), (20, "tracks__tags")])
async def test_rows_over_the_budget_raise(world: Database, rows: int, relation: str) -> None:
    """4 albums, 7 tracks, 10 pairs of track and tag, 3 tags: 24 rows."""
    for graph in (
        Album.objects.graph("tracks__tags", budget=orm.GraphBudget(rows=rows)),
        Album.objects.order_by("id")[:4].graph("tracks__tags", budget=orm.GraphBudget(rows=rows)),
    ):
        with pytest.raises(orm.GraphTooLarge, match=f"more than {rows} rows") as caught:
            await graph
        assert (caught.value.relation, caught.value.limit) == (relation, rows)
        with pytest.raises(orm.GraphTooLarge):
            await graph.as_dicts()


async def test_rows_within_the_budget_load(world: Database) -> None:
    for most in (24, None):
        albums = await Album.objects.graph("tracks__tags", budget=orm.GraphBudget(rows=most))
        assert len(albums) == 4
    few = await Album.objects.order_by("id").graph({"tracks": {"limit": 1}}, budget=orm.GraphBudget(rows=7))
    assert [len(loaded(album, "tracks")) for album in few] == [1, 1, 0, 1]


async def test_database_sends_at_most_one_row_over_the_budget_per_relation(world: Database) -> None:
    """Rows over the budget are not all sent before the error."""
    await Tag.objects.bulk_create({"id": 100 + i, "name": "many"} for i in range(300))
    await Track.objects.bulk_create({"id": 100 + i, "album": 1, "title": "x", "position": 9} for i in range(300))
    for graph in (
        Tag.objects.graph(budget=orm.GraphBudget(rows=20)),
        Album.objects.graph("tracks", budget=orm.GraphBudget(rows=20)),
        Album.objects.graph({"tracks": {"limit": 1_000}}, budget=orm.GraphBudget(rows=20)),
        Tag.objects.order_by("id")[:200].graph("tracks", budget=orm.GraphBudget(rows=20)),
    ):
        with orm.track_queries() as queries, pytest.raises(orm.GraphTooLarge):
            await graph
        (query,) = queries
        assert query.rows is not None and query.rows <= 2 * 21, graph


@pytest.mark.parametrize("path", ["tracks", "tracks__tags"])
async def test_rows_per_parent_over_the_budget_raise(world: Database, path: str) -> None:
    largest = {"tracks": 4, "tracks__tags": 3}[path]
    shape: Any = {"tracks": {"limit": 3, "tags": None}} if path != "tracks" else "tracks"
    budget = orm.GraphBudget(rows_per_parent=largest - 1 if path == "tracks" else 2)
    graph = Album.objects.filter(id=1).graph("tracks__tags" if path != "tracks" else shape, budget=budget)
    with pytest.raises(orm.GraphTooLarge, match="rows that belong to one row") as caught:
        await graph
    assert caught.value.relation == "tracks"
    assert await Album.objects.graph("tracks", budget=orm.GraphBudget(rows_per_parent=4))
    assert await Album.objects.graph("tracks__tags", budget=orm.GraphBudget(rows_per_parent=None))
    with pytest.raises(orm.GraphTooLarge) as caught:
        await Track.objects.graph("tags", budget=orm.GraphBudget(rows_per_parent=2))
    assert (caught.value.relation, caught.value.limit) == ("tags", 2)
    with pytest.raises(orm.GraphTooLarge):
        await Person.objects.graph("pupils", budget=orm.GraphBudget(rows_per_parent=1)).as_dicts()


@pytest.mark.parametrize("options", [{"depth": -1}, {"rows": 1.5}, {"rows_per_parent": True}, {"rows": "9"}])
def test_graph_budget_with_an_invalid_limit_raises(options: dict[str, Any]) -> None:
    with pytest.raises(orm.QueryError, match="takes a whole number or None"):
        orm.GraphBudget(**options)
