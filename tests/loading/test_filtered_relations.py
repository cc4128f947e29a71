"""Prefetching a FilteredRelation, and its errors."""

from __future__ import annotations

import pytest

import orm
from orm.database.connections.database import Database
from tests.loading.models import Album, Label, Track
from tests.statement_recorder import recorded

pytestmark = pytest.mark.anyio
HITS = orm.FilteredRelation("tracks", condition=orm.Q(tracks__plays__gte=50) & ~orm.Q(tracks__title="Heart"))


async def test_prefetch_loads_the_rows_that_meet_the_condition(world: Database) -> None:
    with recorded(world) as statements:
        albums = await Album.objects.annotate(hits=HITS).prefetch_related("hits", "tracks").order_by("id")
        assert [[t.title for t in album.hits] for album in albums] == [["The Bird", "The Waters"], ["Help"], [], []]  # type: ignore[attr-defined]
        assert [len(album.tracks) for album in albums] == [4, 2, 0, 1]
    assert len(statements) == 3


async def test_prefetch_goes_on_from_the_rows(world: Database) -> None:
    album = await Album.objects.annotate(hits=HITS).prefetch_related("hits__tags").get(id=1)
    assert [sorted(tag.name for tag in t.tags) for t in album.hits] == [["live", "soul"], []]  # type: ignore[attr-defined]


async def test_prefetch_of_a_relation_to_one_gives_an_instance_or_none(world: Database) -> None:
    label = orm.FilteredRelation("label", condition=orm.Q(label__name__startswith="O"))
    albums = await Album.objects.annotate(big=label).prefetch_related("big").order_by("id")
    assert [album.big and album.big.name for album in albums] == ["Obsessed", None, None, "Obsessed"]  # type: ignore[attr-defined]


async def test_filter_and_prefetch_are_about_the_same_rows(world: Database) -> None:
    labels = Label.objects.annotate(
        first=orm.FilteredRelation("albums", condition=orm.Q(albums__name="Malibu"))
    ).filter(first__isnull=False)
    (label,) = await labels.prefetch_related("first")
    assert [album.name for album in label.first] == ["Malibu"]  # type: ignore[attr-defined]


async def test_plans_of_other_conditions_are_not_shared(world: Database) -> None:
    def titles(**lookups: object) -> orm.QuerySet[Album, tuple[object, ...]]:
        relation = orm.FilteredRelation("tracks", condition=orm.Q(**lookups))
        return Album.objects.annotate(t=relation).filter(id=1).order_by("t__id").values_list("t__title")

    for _ in range(2):
        assert await titles(tracks__plays=50) == [("The Bird",)]
        assert await titles(tracks__plays=70) == [("Heart",), ("The Waters",)]
        assert await titles(tracks__position=4) == [("Dreamer",)]
        assert await titles(tracks__plays__gt=60) == [("Heart",), ("The Waters",)]


async def test_wrong_uses_say_what_to_write(world: Database) -> None:
    with pytest.raises(orm.QueryError, match=r"condition of a FilteredRelation is an orm.Q, got dict"):
        orm.FilteredRelation("tracks", condition={"plays": 1})  # type: ignore[arg-type]
    with pytest.raises(orm.QueryError, match="name of a relation as text"):
        orm.FilteredRelation("")
    with pytest.raises(orm.FieldError, match=r"Album.name is no relation"):
        Album.objects.annotate(x=orm.FilteredRelation("name"))
    with pytest.raises(orm.FieldError, match="leads further"):
        Album.objects.annotate(x=orm.FilteredRelation("tracks", condition=orm.Q(tracks__tags__name="x")))
    with pytest.raises(orm.FieldError, match=r"prefetch_related\(\)"):
        Album.objects.annotate(hits=HITS).select_related("hits")
    own = orm.FilteredRelation("tracks", condition=orm.Q(name="Malibu"))
    with pytest.raises(orm.QueryError, match="use a Prefetch with a queryset"):
        Album.objects.annotate(x=own).prefetch_related("x")
    chain = orm.FilteredRelation("album__label", condition=orm.Q(album__label__name="x"))
    with pytest.raises(orm.QueryError, match="leads over several relations"):
        Track.objects.annotate(x=chain).prefetch_related("x")
