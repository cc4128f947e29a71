"""The declaration of relations: names, options, and targets that are declared later."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

import orm


def model(name: str, registry: orm.ModelRegistry, **members: Any) -> Any:
    return type(name, (orm.Model,), {"registry": registry, **members})


@pytest.mark.parametrize(
    ("album", "track", "message"),
    [
        (
            {},
            {"a": orm.ForeignKey("Album"), "b": orm.ForeignKey("Album")},
            r"Track\.b gives .*'track_set', which Track\.a",
        ),
        ({"tracks": orm.Text()}, {"a": orm.ForeignKey("Album", related_name="tracks")}, r"the field Album\.tracks"),
        ({"track": orm.Text()}, {"a": orm.ForeignKey("Album")}, r"name in lookups 'track', which is the field"),
        ({"x": orm.ForeignKey("self")}, {"a": orm.ForeignKey("Album", related_name="x_id")}, r"the field Album\.x"),
        ({"tracks": 5}, {"a": orm.ForeignKey("Album", related_name="tracks")}, "'tracks', which it has already"),
        ({}, {"a": orm.ForeignKey("Album", related_name="save")}, "'save', which it has already"),
        ({}, {"a": orm.ForeignKey("Album", related_name="objects")}, "'objects', which it has already"),
        ({}, {"a": orm.ForeignKey("Album", related_name="columns")}, "'columns', which it has already"),
        ({}, {"a": orm.ForeignKey("Album", related_query_name="pk")}, "primary key"),
        ({"tags": orm.ManyToMany("Track")}, {"a": orm.ForeignKey("Album", related_name="tags")}, r"Album\.tags"),
        ({"tags": orm.ManyToMany("Track", related_name="a")}, {"a": orm.Text()}, r"Album\.tags gives Track .*Track\.a"),
    ],
)
def test_relation_whose_names_are_taken_raises(album: Any, track: Any, message: str) -> None:
    models = orm.ModelRegistry()
    model("Album", models, **album)
    with pytest.raises(orm.FieldError, match=message) as caught:
        model("Track", models, **track)
    assert "related_name=" in str(caught.value)
    # The model that was refused is not there, and what it gave others neither.
    assert set(models.models) == {"Album"}
    model("Track", models)
    assert "track" in models.metadata.tables


def test_relations_with_the_same_reverse_name_raise() -> None:
    models = orm.ModelRegistry()
    model("Album", models, a=orm.ManyToMany("Track"), b=orm.ManyToMany("Track"))
    with pytest.raises(orm.FieldError, match=r"Album\.b gives Track .*'album_set', which Album\.a gives it, too"):
        model("Track", models)
    assert set(models.models) == {"Album"}


def test_model_whose_field_conflicts_with_a_waiting_relation_raises() -> None:
    models = orm.ModelRegistry()
    track = model("Track", models, album=orm.ForeignKey("Album", related_name="tracks"))
    with pytest.raises(orm.FieldError, match=r"Track\.album"):
        model("Album", models, tracks=orm.Text())
    album = model("Album", models)
    assert track._meta.fields["album"].target is album and "tracks" in album._meta.accessors
    assert set(models.metadata.tables) == {"track", "album"}


@pytest.mark.parametrize("name", ["", "a b", "_x", "x_", "a__b", "class", "a.b"])
def test_related_name_that_is_not_an_identifier_raises(name: str) -> None:
    for declare in (orm.ForeignKey, orm.OneToOne, orm.ManyToMany):
        for option in ("related_name", "related_query_name"):
            with pytest.raises(orm.FieldError, match=f"{option}=.* cannot be the name"):
                declare("Album", **{option: name})


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: orm.ManyToMany(5), "a model or the name of one"),
        (lambda: orm.ManyToMany("A", through=5), "a model or the name of one"),
        (lambda: orm.ManyToMany("A", through="B", tablename="c"), "tablename"),
        (lambda: orm.ManyToMany("A", through_fields=("a", "b")), "through_fields"),
        (lambda: orm.ManyToMany("A", through="B", through_fields="ab"), "two names"),
        (lambda: orm.ManyToMany("A", through="B", through_fields=("a",)), "two names"),
        (lambda: orm.GenericForeignKey("A"), "several models"),
        (lambda: orm.GenericForeignKey("A", "B", on_delete=orm.SET_NULL), "allow_null=True"),
        (lambda: orm.CompositeForeignKey("A", from_fields=["a"]), "several fields"),
        (lambda: orm.CompositeForeignKey("A", from_fields="ab"), "several fields"),
        (lambda: orm.CompositeForeignKey("A", from_fields=["a", "b"], on_delete=orm.SET_NULL), "allow_null=True"),
        (lambda: orm.CompositeForeignKey("A", from_fields=["a", "b"], on_delete="x"), r"orm\.CASCADE"),
    ],
)
def test_invalid_relation_options_raise(declare: Any, message: str) -> None:
    with pytest.raises(orm.FieldError, match=message):
        declare()


def test_relation_to_an_abstract_model_raises() -> None:
    class Base(orm.Model):
        class Meta:
            abstract = True

    for declare in (orm.ForeignKey, orm.OneToOne, orm.ManyToMany):
        with pytest.raises(orm.FieldError, match="Base, which is abstract"):
            declare(Base)


def test_related_name_with_a_plus_hides_the_reverse_relation() -> None:
    models = orm.ModelRegistry()
    album = model("Album", models)
    model(
        "Track",
        models,
        a=orm.ForeignKey("Album", related_name="+"),
        b=orm.ForeignKey("Album", related_name="+"),
        c=orm.ManyToMany("Album", related_name="x+"),
        d=orm.ManyToMany("Album", related_name="x+"),
    )
    assert not album._meta.accessors and not album._meta.relations
    assert not [name for name in dir(album) if "+" in name]
    with pytest.raises(orm.FieldError, match="no field 'track'"):
        album.objects.filter(track=1)


def test_related_name_of_an_abstract_model_contains_the_class_name() -> None:
    models = orm.ModelRegistry()
    target = model("Album", models)

    class Base(orm.Model):
        registry = models
        album: Any = orm.ForeignKey(target, related_name="%(class)ss", related_query_name="of_%(class)s")
        best: Any = orm.ManyToMany("Album", related_name="best_%(class)ss")
        parent: Any = orm.ForeignKey("self", allow_null=True)

        class Meta:
            abstract = True

    class Song(Base):
        pass

    class Clip(Base):
        pass

    assert {"songs", "clips", "best_songs", "best_clips"} == set(target._meta.accessors)
    assert {"of_song", "of_clip", "best_songs", "best_clips"} == set(target._meta.relations)
    assert Song._meta.fields["parent"].target is Song and Clip._meta.fields["parent"].target is Clip
    assert Clip(parent=Clip(id=3)).parent_id == 3
    assert Clip._meta.fields["parent"].validator.target == "Clip"
    assert "song_best" in models.metadata.tables and "clip_best" in models.metadata.tables


def test_children_of_an_abstract_model_with_the_same_related_name_raise() -> None:
    models = orm.ModelRegistry()
    model("Album", models)

    class Base(orm.Model):
        registry = models
        album: Any = orm.ForeignKey("Album", related_name="things")

        class Meta:
            abstract = True

    class Song(Base):
        pass

    with pytest.raises(orm.FieldError, match=r"Clip\.album gives Album the attribute 'things', which Song\.album"):

        class Clip(Base):
            pass


def test_models_in_the_old_style_omit_conflicting_reverse_relations() -> None:
    models = orm.ModelRegistry()
    old = {"tablename": "album", "fields": {"id": orm.Integer(primary_key=True), "track": orm.Text()}}
    album = model("Album", models, **old)
    fields = {
        "id": orm.Integer(primary_key=True),
        "album": orm.ForeignKey("Album"),
        "other": orm.ForeignKey("Album"),
        "best": orm.ForeignKey("Track", related_name="kept"),
    }
    track = model("Track", models, tablename="track", fields=fields)
    assert not album._meta.relations and set(track._meta.relations) == {"kept"}
    assert len(track.table.foreign_keys) == 3


def test_annotation_of_a_related_manager_declares_nothing() -> None:
    models = orm.ModelRegistry()

    class Album(orm.Model):
        registry = models
        tracks: orm.RelatedManager[Any]

    model("Track", models, album=orm.ForeignKey(Album, related_name="tracks"))
    assert list(Album.fields) == ["id"] and Album._meta.accessors["tracks"].many


def test_relation_resolves_a_model_by_module_and_name() -> None:
    models, others = orm.ModelRegistry(), orm.ModelRegistry(metadata=None)
    place = ModuleType("tests.elsewhere")
    sys.modules[place.__name__] = place
    try:
        track = model("Track", models, album=orm.ForeignKey("tests.elsewhere.Album", related_name="tracks"))
        tagged = orm.ManyToMany("tests.elsewhere.Album", related_name="clips")
        clip = model("Clip", models, albums=tagged)
        with pytest.raises(orm.FieldError, match=r"Track\.album points to 'tests\.elsewhere\.Album'"):
            _ = track.table
        place.Album = model("Album", models)  # type: ignore[attr-defined]
        assert {key.column.table.name for key in track.table.foreign_keys} == {"album"}
        assert set(place.Album._meta.accessors) == {"tracks", "clips"} and clip.albums is not None  # type: ignore[attr-defined]
        same = model("Same", others, __module__="tests.elsewhere")
        user = model("User", others, same=orm.ForeignKey("tests.elsewhere.Same"))
        assert user._meta.fields["same"].target is same
    finally:
        del sys.modules[place.__name__]


def test_many_to_many_waits_for_its_model() -> None:
    models = orm.ModelRegistry()
    article = model("Article", models, tags=orm.ManyToMany("Tag", related_name="articles"))
    for use in (lambda: models.metadata, lambda: article.tags, lambda: article().tags):
        with pytest.raises(orm.FieldError, match=r"Article\.tags points to 'Tag', but no model.*: Article\."):
            use()
    tag = model("Tag", models)
    assert set(models.metadata.tables) == {"article", "tag", "article_tags"}
    assert tag._meta.accessors["articles"].many and repr(article.tags) == "Article.tags"


def test_model_that_is_redeclared_replaces_the_previous_one() -> None:
    models = orm.ModelRegistry()
    album = model("Album", models)
    model("Track", models, album=orm.ForeignKey(album), tags=orm.ManyToMany(album, related_name="tagged"))
    assert set(album._meta.accessors) == {"track_set", "tagged"}
    again = model("Track", models, album=orm.ForeignKey(album, related_name="tracks"))
    assert set(album._meta.accessors) == {"tracks"} and not hasattr(album, "track_set")
    assert album._meta.accessors["tracks"].target is again and set(models.metadata.tables) == {"album", "track"}


def test_relations_lead_to_the_redeclared_model() -> None:
    models = orm.ModelRegistry(database=orm.Database("sqlite://"))
    label = model("Label", models)
    album = model("Album", models, label=orm.ForeignKey(label, related_name="albums"), key=orm.Integer(unique=True))
    track = model("Track", models, album=orm.ForeignKey(album, to_field="key", related_name="tracks"))
    play = model("Play", models, track=orm.ForeignKey(track))
    member = model("Member", models, first=orm.ForeignKey("Album"), tag=orm.ForeignKey("Tag"))
    tag = model(
        "Tag",
        models,
        albums=orm.ManyToMany(album, related_name="tags"),
        members=orm.ManyToMany("Album", through=member, related_name="members"),
        tracks=orm.ManyToMany(track),
    )
    note = model("Note", models, about=orm.GenericForeignKey(album, track, related_name="notes"))
    asked = [
        lambda: label.objects.filter(albums__tracks__play__id=1),
        lambda: track.objects.filter(album__key=1).select_related("album__label"),
        lambda: play.objects.filter(track__album__tags__id=1, track__tag=2),
        lambda: tag.objects.filter(albums__key=1, members__key=2),
        lambda: note.objects.filter(about__album__key=1),
    ]
    known = [str(ask().sql) for ask in asked]
    accessors, tables = set(album._meta.accessors), set(models.metadata.tables)
    pairs = models.models["Tag_albums"]

    again = model(
        "Album",
        models,
        label=orm.ForeignKey(label, related_name="albums"),
        key=orm.String(max_length=7, unique=True),
        Meta=type("Meta", (), {"tablename": "records"}),
    )
    assert set(again._meta.accessors) == accessors and hasattr(again(), "tracks")
    assert set(models.metadata.tables) == tables - {"album"} | {"records"}
    assert [str(ask().sql) for ask in asked] != known
    assert all("records" in str(ask().sql) and '"album"' not in str(ask().sql) for ask in asked)
    assert label._meta.accessors["albums"].target is track.fields["album"].target is again
    assert str(track.table.c.album.type) == "VARCHAR(7)" and track(album=again(key="x")).album_id == "x"
    assert models.models["Tag_albums"] is not pairs and models.models["Member"] is member
    for table in models.metadata.tables.values():
        assert all(models.metadata.tables[key.column.table.key] is key.column.table for key in table.foreign_keys)


def test_relations_wait_for_another_declaration_if_a_redeclaration_fails() -> None:
    models = orm.ModelRegistry()
    album = model("Album", models, title=orm.Text())
    track = model("Track", models, album=orm.ForeignKey(album, related_name="tracks"), tags=orm.ManyToMany("Album"))
    with pytest.raises(orm.FieldError, match=r"Track\.album gives Album .*'tracks'"):
        model("Album", models, tracks=orm.Text())
    with pytest.raises(orm.FieldError, match=r"Track\.album points to 'Album', but no model of that name"):
        _ = models.metadata
    again = model("Album", models)
    assert set(again._meta.accessors) == {"tracks", "track_set"} and track.fields["album"].target is again
    assert set(models.metadata.tables) == {"album", "track", "track_tags"}
