"""`orm.testing.Factory`: rows that the fields and the database accept."""

from __future__ import annotations

import enum
from typing import Any

import pytest

import orm
from orm.testing import Factory
from orm.testing.factory import restart_numbers

pytestmark = pytest.mark.anyio
models = orm.ModelRegistry()


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Author(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100, unique=True)
    email = orm.Email(max_length=100, unique=True)


class Note(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=100, min_length=20)
    short = orm.String(max_length=2, unique=True)
    author = orm.ForeignKey(Author, on_delete=orm.CASCADE)
    editor = orm.ForeignKey(Author, on_delete=orm.CASCADE, allow_null=True, related_name="edited")
    site = orm.URL(max_length=200)
    slug = orm.Slug(max_length=50)
    rating = orm.Integer(minimum=1, maximum=5)
    rank = orm.SmallInteger(unique=True)
    price = orm.Decimal(max_digits=4, decimal_places=2, exclusive_minimum=0)
    ratio = orm.Float(maximum=-1.0)
    even = orm.Integer(multiple_of=2, minimum=3)
    done = orm.Boolean()
    day = orm.Date()
    at = orm.DateTime()
    instant = orm.DateTime(timezone=True)
    hour = orm.Time()
    lasts = orm.Duration()
    key = orm.UUID()
    content = orm.Binary()
    data = orm.JSON()
    colour = orm.Enum(Colour)
    size = orm.String(max_length=1, choices=["S", "M", "L"])
    left = orm.String(max_length=10, default="left")
    nothing = orm.String(max_length=10, allow_null=True)


class Profile(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    author = orm.OneToOne(Author, on_delete=orm.CASCADE)


class Coded(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    code = orm.String(max_length=10, pattern=r"[A-Z]{3}[0-9]")
    next = orm.ForeignKey("Coded", on_delete=orm.CASCADE)


@pytest.fixture(autouse=True)
async def tables(database: orm.Database) -> None:
    models.database = database
    await models.create_all()
    restart_numbers()


async def test_rows_are_valid_and_differ() -> None:
    notes = [await Factory(Note).create() for _ in range(5)]
    assert len({note.rank for note in notes}) == len({note.short for note in notes}) == 5
    assert await Author.objects.count() == 5
    stored = await Note.objects.select_related("author").order_by("id")
    assert [(note.text, note.price, note.key) for note in stored] == [(n.text, n.price, n.key) for n in notes]
    for note in stored:
        assert len(note.text) >= 20
        assert 1 <= note.rating <= 5
        assert note.even % 2 == 0
        assert (note.left, note.nothing, note.editor) == ("left", None, None)
        await note.full_clean()


async def test_many_rows_refer_to_one() -> None:
    notes = await Factory(Note).create_many(200, author__name="Ann")
    assert len(notes) == await Note.objects.count() == 200
    assert await Author.objects.values_list("name", flat=True) == ["Ann"]
    profiles = await Factory(Profile).create_many(3)
    assert len({profile.author.id for profile in profiles}) == 3


async def test_values_can_be_given() -> None:
    ann = await Factory(Author).create(name="Ann")
    factory = Factory(Note, author=ann, text=lambda number: f"the text of the note {number}")
    first, second = await factory.create(), await factory.create(rating=5, editor__name="Bob")
    assert (first.text, second.text) == ("the text of the note 1", "the text of the note 2")
    assert (second.rating, second.editor and second.editor.name) == (5, "Bob")
    assert await Author.objects.count() == 2
    with pytest.raises(orm.FieldError, match="Note has no field 'txt'"):
        await factory.create(txt="")
    with pytest.raises(orm.ValidationError):
        await factory.create(rating=6)


async def test_rows_that_are_not_saved() -> None:
    note = Factory(Note).build(author__name="Ann")
    assert note.author.name == "Ann"
    assert note.pk is None and note.author.pk is None
    assert await Note.objects.count() == await Author.objects.count() == 0


def values_of(note: Note) -> dict[str, Any]:
    return {name: getattr(note, name) for name in ("rating", "price", "key", "done", "text", "at")}


async def test_a_seed_decides_on_the_values() -> None:
    first = [values_of(Factory(Note).build()) for _ in range(10)]
    restart_numbers()
    assert [values_of(Factory(Note).build()) for _ in range(10)] == first
    restart_numbers()
    assert [values_of(Factory(Note, seed=1).build()) for _ in range(10)] != first


async def test_what_has_no_rule_is_refused() -> None:
    with pytest.raises(orm.QueryError, match=r"Factory\(Coded\): next must refer to a Coded.*Factory\(Coded, next="):
        await Factory(Coded).create()
    with pytest.raises(orm.QueryError, match=r"no rule for a value of Coded\.code.*Factory\(Coded, code="):
        Factory(Coded).build(next=None)
