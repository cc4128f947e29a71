"""What an `OuterRef` may refer to beyond a column: aggregates, windows, expressions with values of their own.

What Django has too is in `tests/conformance/areas/subqueries.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import orm
from orm import Count, Exists, F, OuterRef, Q, Subquery, Sum
from orm.functions import Cast

pytestmark = pytest.mark.anyio
models = orm.ModelRegistry()


class Artist(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=10)
    data = orm.JSON(default=dict)


class Label(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=10)


class Album(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    artist = orm.ForeignKey(Artist, on_delete=orm.CASCADE, related_name="albums")
    label = orm.ForeignKey(Label, allow_null=True, on_delete=orm.CASCADE, related_name="albums")
    year = orm.Integer()


@pytest.fixture(autouse=True)
async def albums(database: orm.Database) -> AsyncIterator[None]:
    """Two artists; artist 1 has two albums on label 1, artist 2 one without a label and one on label 2."""
    models.database = database
    await models.create_all()
    await Artist.objects.bulk_create([{"name": "A", "data": {"label": 2}}, {"name": "B", "data": {"label": 1}}])
    await Label.objects.bulk_create([{"name": "L"}, {"name": "M"}])
    await Album.objects.bulk_create(
        [
            {"artist": 1, "label": 1, "year": 2000},
            {"artist": 1, "label": 1, "year": 2001},
            {"artist": 2, "label": None, "year": 2000},
            {"artist": 2, "label": 2, "year": 2002},
        ]
    )
    yield


async def test_outer_ref_to_an_aggregate_compares_groups(database: orm.Database) -> None:
    counted = Artist.objects.annotate(n=Count("albums__label")).order_by("id")
    label = Label.objects.filter(pk=OuterRef("n"))
    if database.url.dialect == "sqlite":
        # SQLite knows no aggregate of an outer query.
        with pytest.raises(orm.ProgrammingError, match="misuse of aggregate"):
            await counted.filter(Exists(label.filter(name="M")))
        return
    assert await counted.filter(Exists(label.filter(name="M"))).values_list("id", flat=True) == [1]
    assert await counted.exclude(Exists(label.filter(name="M"))).values_list("id", flat=True) == [2]
    named = counted.annotate(label_name=Subquery(label.values("name"))).values_list("id", "label_name")
    assert await named == [(1, "M"), (2, "L")]


async def test_outer_ref_to_a_window_filters_its_results() -> None:
    numbered = Artist.objects.annotate(position=orm.Window(orm.RowNumber(), order_by="-name"))
    first = Exists(Label.objects.filter(pk=OuterRef("position"), name="L"))
    assert await numbered.filter(first).values_list("name", flat=True) == ["B"]


async def test_outer_ref_in_an_aggregate_over_a_slice_reads_the_sliced_rows() -> None:
    labelled = Exists(Album.objects.filter(artist=OuterRef("pk"), label=1))
    last = Artist.objects.order_by("-id")[:1]
    assert await last.aggregate(n=Count("id", filter=labelled)) == {"n": 0}
    assert await last.aggregate(n=Count("id", filter=~labelled)) == {"n": 1}


async def test_outer_ref_to_an_expression_with_values_binds_them_in_order() -> None:
    shifted = Artist.objects.annotate(label=F("id") % 2 + 1)
    of_label = Label.objects.annotate(number=F("id") + 0).filter(number=OuterRef("label"), name__in=["L", "M"])
    found = shifted.annotate(label_name=Subquery(of_label.values("name"))).filter(id__gte=1, name__in=["A", "B"])
    assert await found.order_by("id").values_list("id", "label_name") == [(1, "M"), (2, "L")]
    at_key = Exists(Label.objects.filter(name="M", id=Cast(OuterRef("data__label"), orm.Integer())))
    assert await Artist.objects.filter(at_key, name__in=["A", "B"]).values_list("id", flat=True) == [1]


async def test_update_with_an_annotation_in_an_outer_ref_reads_its_expression() -> None:
    names = Label.objects.filter(pk=OuterRef("label")).values("name")[:1]
    await Artist.objects.annotate(label=F("id") % 2 + 1).filter(name__in=["A", "B"]).update(name=Subquery(names))
    assert await Artist.objects.order_by("id").values_list("name", flat=True) == ["M", "L"]


async def test_outer_ref_over_many_rows_shares_a_plan_only_with_the_same_joins() -> None:
    labelled = Exists(Label.objects.filter(pk=OuterRef("albums__label")))
    artists = Artist.objects.order_by("id")
    for _ in range(2):
        same_call = artists.filter(labelled, albums__year=2000)
        assert await same_call.values_list("id", flat=True) == [1]
        two_calls = artists.filter(labelled).filter(albums__year=2000)
        assert await two_calls.values_list("id", flat=True) == [1, 1, 2]
        either_call = artists.filter(labelled, albums__year=2000) | artists.filter(labelled, albums__year=2002)
        assert await either_call.values_list("id", flat=True) == [1, 2]
        both_calls = artists.filter(labelled, albums__year=2000) & artists.filter(labelled, albums__year=2001)
        assert await both_calls.values_list("id", flat=True) == [1]


async def test_negated_condition_in_an_aggregate_is_about_each_joined_row() -> None:
    later = Artist.objects.annotate(
        n=Count("albums", filter=~Q(albums__year=2000)), years=Sum("albums__year", filter=~Q(albums__label=1))
    )
    assert await later.order_by("id").values_list("n", "years") == [(1, None), (1, 4002)]


async def test_outer_ref_of_an_unknown_name_is_refused_by_the_call() -> None:
    with pytest.raises(orm.FieldError, match="nothing"):
        Artist.objects.filter(Exists(Album.objects.filter(artist=OuterRef("nothing"))))
    with pytest.raises(orm.FieldError, match="related row"):
        await Artist.objects.update(name=Subquery(Label.objects.filter(pk=OuterRef("albums__label")).values("name")))
