"""Relations to one row of one of several models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from tests.loaded_attributes import is_loaded
from tests.statement_recorder import recorded

models = orm.ModelRegistry()


class Album(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=10)


class Track(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    title = orm.String(max_length=10)
    album: Any = orm.ForeignKey(Album, allow_null=True, on_delete=orm.CASCADE, related_name="tracks")


class Commented(orm.Model):
    registry = models

    subject = orm.GenericForeignKey(Album, "Track", "Comment", on_delete=orm.CASCADE, related_name="%(class)ss")

    class Meta:
        abstract = True


class Comment(Commented):
    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=10)

    class Meta:
        ordering = ("id",)


class Pin(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    on = orm.GenericForeignKey(Album, Comment, allow_null=True, on_delete=orm.SET_NULL, related_name="pins")


@pytest.fixture
async def rows(database: Database) -> AsyncIterator[tuple[Any, ...]]:
    models.database = database
    await models.create_all()
    album = await Album.objects.create(name="A")
    track = await Track.objects.create(title="T", album=album)
    yield album, track


def test_generic_foreign_key_has_foreign_keys_and_a_check() -> None:
    assert list(Comment.fields) == ["subject_album", "subject_track", "subject_comment", "id", "text"]
    assert {key.referred_table.name for key in Comment.table.foreign_key_constraints} == {"album", "track", "comment"}
    assert "subject" not in Comment.table.columns


async def test_generic_foreign_key_takes_an_instance_of_one_of_its_models(rows: Any) -> None:
    album, track = rows
    comment = await Comment.objects.create(subject=album, text="x")
    assert comment.subject is album and comment.subject_album is album
    assert comment.subject_album_id == album.pk and comment.subject_track is None
    comment = await Comment.objects.get()
    assert comment.subject == album and not is_loaded(comment.subject, "name")
    await comment.subject.load()
    assert comment.subject.name == "A"
    comment.subject = track
    assert comment.subject_album_id is None and comment.subject is track
    await comment.save()
    assert (await Comment.objects.get()).subject == track
    await comment.update(subject=album)
    assert comment.subject is album and (await Comment.objects.get()).subject == album
    assert await Comment.objects.update(subject=track) == 1
    reply = await Comment.objects.create(subject=comment, text="y")
    assert (await Comment.objects.get(pk=reply.pk)).subject == comment
    reply.subject = track
    await reply.save(update_fields=["subject"])
    assert await Comment.objects.bulk_update([reply], ["subject"]) == 1
    assert await Comment.objects.filter(subject=track).count() == 2
    [many] = await Comment.objects.bulk_create([{"subject": album, "text": "z"}])
    assert many.subject is album
    assert (await Comment.objects.get_or_create(subject=album, text="z")) == (many, False)


async def test_generic_foreign_key_check_requires_one_or_at_most_one(rows: Any, database: Database) -> None:
    album, track = rows
    with pytest.raises(orm.CheckViolation):
        await Comment.objects.create(text="x")
    with pytest.raises(orm.CheckViolation):
        await Comment.objects.create(text="x", subject_album=album, subject_track=track)
    pin = await Pin.objects.create()
    assert pin.on is None and await Pin.objects.filter(on=None) == [pin]
    comment = await Comment.objects.create(subject=album, text="x")
    if database.url.dialect == "mysql":
        # It takes no CHECK on a column that a foreign key sets to NULL.
        await (await Pin.objects.create(on_album=album, on_comment=comment)).delete()
    else:
        with pytest.raises(orm.CheckViolation):
            await Pin.objects.create(on_album=album, on_comment=comment)
    await pin.update(on=comment)
    await comment.delete()
    assert (await Pin.objects.get()).on is None
    with pytest.raises(orm.ForeignKeyViolation):
        await Comment.objects.create(subject_album=1000, text="x")
    await Comment.objects.create(subject=album, text="x")
    await album.delete()
    assert await Comment.objects.count() == 0


async def test_generic_foreign_key_set_to_or_compared_with_other_values_raises(rows: Any) -> None:
    pin = await Pin.objects.create()
    for wrong in (5, pin, (1, 2), "album"):
        with pytest.raises(orm.FieldError, match=r"Comment\.subject takes instances of Album, Track, Comment, got"):
            Comment(subject=wrong, text="x")
        with pytest.raises(orm.QueryError, match=r"subject_album_id=\.\.\."):
            Comment.objects.filter(subject=wrong)
    with pytest.raises(orm.QueryError, match="save it first"):
        Comment.objects.filter(subject=Album(name="new"))
    with pytest.raises(orm.QueryError, match="not saved"):
        await Comment.objects.create(subject=Album(name="new"), text="x")
    with pytest.raises(orm.QueryError, match=r"subject__album__\.\.\."):
        Comment.objects.filter(subject__name="x")
    for use in (
        lambda: Comment.objects.order_by("subject"),
        lambda: Comment.objects.values("subject"),
        lambda: Comment.objects.annotate(n=orm.Count("subject")),
    ):
        with pytest.raises(orm.FieldError, match=r"say which, subject__album, subject__track"):
            use()


async def test_queries_over_generic_foreign_keys(rows: Any) -> None:
    album, track = rows
    on_album = await Comment.objects.create(subject=album, text="x")
    on_track = await Comment.objects.create(subject=track, text="y")
    reply = await Comment.objects.create(subject=on_track, text="z")
    pin = await Pin.objects.create(on=on_album)
    assert (
        await Comment.objects.filter(subject=album)
        == [on_album]
        == await Comment.objects.filter(Comment.subject == album)
    )
    assert await Comment.objects.filter(subject__in=[track, on_track, None]) == [on_track, reply]
    assert await Comment.objects.filter(Comment.subject.in_([])) == []
    assert await Comment.objects.filter(subject__in=Track.objects.all()) == [on_track]
    assert await Comment.objects.exclude(subject=album) == [on_track, reply]
    assert await Comment.objects.filter(subject__isnull=False).count() == 3
    assert await Comment.objects.filter(Comment.subject.is_null()) == []
    assert await Comment.objects.filter(subject__album__name="A") == [on_album]
    assert await Comment.objects.filter(subject__track__album=album) == [on_track]
    assert await Comment.objects.filter(Comment.subject.track.album.name == "A") == [on_track]
    assert await Comment.objects.filter(subject__comment__subject__track__title="T") == [reply]
    assert await Comment.objects.filter(subject__comment__subject=track) == [reply]
    assert await Comment.objects.exclude(subject__track__title="T") == [on_album, reply]
    assert (
        await Pin.objects.filter(on__comment__subject=album)
        == [pin]
        == await Pin.objects.filter(Pin.on.comment.subject == album)
    )
    assert await Comment.objects.order_by("-subject__track__title", "id").values_list("subject__track__title", "text")
    assert await Album.objects.filter(comments__text="x") == [album] == await Album.objects.filter(comments=on_album)
    assert await Track.objects.exclude(comments__text="x") == [track]
    assert not hasattr(Comment.subject, "person")


async def test_reverse_relations_of_a_generic_foreign_key(rows: Any) -> None:
    album, track = rows
    first = await album.comments.create(text="x")
    second = await track.comments.create(text="y")
    assert first.subject is album and await album.comments == [first] and await track.comments == [second]
    reply = await second.comments.create(text="z")
    assert reply.subject is second
    assert not hasattr(track, "pins")
    pin = await album.pins.create()
    await album.pins.remove(pin)
    assert pin.on is None


async def test_loading_over_generic_foreign_keys(rows: Any, database: Database) -> None:
    album, track = rows
    await album.comments.create(text="x")
    await (await track.comments.create(text="y")).comments.create(text="z")
    for load in (
        lambda: Comment.objects.select_related("subject"),
        lambda: Comment.objects.prefetch_related("subject"),
    ):
        comments = await load()
        with recorded(database) as sent:
            assert (
                comments[0].subject.name == "A" and comments[1].subject.title == "T" and comments[2].subject.text == "y"
            )
            assert not sent
    with recorded(database) as sent:
        comments = await Comment.objects.select_related("subject__track__album").filter(subject=track)
        assert comments[0].subject.album.name == "A" and len(sent) == 1
    comments = await Comment.objects.prefetch_related("subject__album", "subject__track__album")
    assert (
        comments[0].subject.name == "A"
        and comments[1].subject.album.name == "A"
        and not is_loaded(comments[2].subject, "text")
    )
    with pytest.raises(orm.FieldError, match="say which"):
        Comment.objects.select_related("subject__artist")
    only = await Comment.objects.only("text").first()
    assert only is not None
    with pytest.raises(orm.NotLoaded, match=r"Comment\.subject_album was not loaded"):
        _ = only.subject


def test_generic_foreign_key_with_conflicting_names_raises() -> None:
    for members in (
        {"subject": orm.GenericForeignKey(Album, Track), "subject_album": orm.Text()},
        {"subject_album": orm.Text(), "subject": orm.GenericForeignKey(Album, Track)},
        {"subject": orm.GenericForeignKey(Album, "other.Album")},
    ):
        with pytest.raises(orm.FieldError, match="subject"):
            type("Wrong", (orm.Model,), {"registry": orm.ModelRegistry(), **members})
