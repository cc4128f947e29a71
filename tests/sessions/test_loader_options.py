"""SQLAlchemy's names of loader options."""

from __future__ import annotations

import pytest

import orm
from tests.sessions.sample_models import Author, Note, Profile


async def test_joinedload_to_one_is_one_statement(rows: orm.Database) -> None:
    with orm.track_queries() as queries:
        notes = await Note.objects.options(orm.joinedload(Note.author)).order_by("id")
    assert [note.author.name if note.author else None for note in notes] == ["Ann", "Ann", "Bob", None]
    assert len(queries) == 1


async def test_joinedload_to_many_loads_the_rows_without_repeating_the_owners(rows: orm.Database) -> None:
    authors = await Author.objects.options(orm.joinedload(Author.notes)).order_by("id")
    assert [[note.text for note in author.notes] for author in authors] == [["one", "two"], ["three"], []]


async def test_joinedload_chain_loads_each_step(rows: orm.Database) -> None:
    with orm.track_queries() as queries:
        authors = await Author.objects.options(orm.joinedload(Author.notes).joinedload(Note.tags)).order_by("id")
    assert [sorted(tag.name for note in author.notes for tag in note.tags) for author in authors] == [
        ["green", "red", "red"],
        [],
        [],
    ]
    assert len(queries) == 3


async def test_joinedload_chain_over_relations_to_one_is_one_statement(rows: orm.Database) -> None:
    with orm.track_queries() as queries:
        notes = await Note.objects.options(orm.joinedload(Note.author).joinedload(Author.profile)).order_by("id")
    assert notes[0].author is not None and notes[0].author.profile.bio == "writes"  # type: ignore[attr-defined]
    assert len(queries) == 1


async def test_selectinload_with_two_relations_is_a_chain_as_in_sqlalchemy(rows: orm.Database) -> None:
    authors = await Author.objects.options(orm.selectinload(Author.notes, Note.tags)).order_by("id")
    assert sorted(tag.name for tag in authors[0].notes[0].tags) == ["green", "red"]


async def test_lazyload_takes_a_relation_back_and_reading_it_says_the_way_out(rows: orm.Database) -> None:
    author = await Author.objects.options(orm.selectinload(Author.notes), orm.lazyload(Author.notes)).get(id=1)
    with pytest.raises(orm.NotLoaded, match=r"prefetch_related\('notes'\)"):
        list(author.notes)
    assert len(await author.notes.all()) == 2
    note = await Note.objects.select_related("author").options(orm.lazyload(Note.author)).get(id=1)
    with pytest.raises(orm.NotLoaded, match="select_related"):
        print(note.author.name)


async def test_noload_and_raiseload_take_attributes(rows: orm.Database) -> None:
    author = await Author.objects.options(orm.noload(Author.notes)).get(id=1)
    assert list(author.notes) == []
    author = await Author.objects.options(orm.raiseload(Author.notes)).get(id=1)
    with pytest.raises(orm.NotLoaded):
        print(author.notes)


async def test_options_of_a_loaded_relation(rows: orm.Database) -> None:
    load = orm.selectinload(Author.notes).options(orm.selectinload(Note.tags), orm.load_only(Note.text))
    author = await Author.objects.options(load).get(id=1)
    assert author.notes[0].text == "one"
    assert "views" not in author.notes[0].__dict__
    assert len(author.notes[0].tags) == 2


async def test_load_only_and_defer(rows: orm.Database) -> None:
    note = await Note.objects.options(orm.load_only(Note.text)).get(id=1)
    assert "views" not in note.__dict__ and note.text == "one"
    note = await Note.objects.options(orm.defer(Note.text)).get(id=1)
    assert "text" not in note.__dict__ and note.views == 10
    note = await Note.objects.options(orm.joinedload(Note.author).defer(Author.name)).get(id=1)
    assert note.author is not None and "name" not in note.author.__dict__


async def test_options_in_a_session_give_its_instances(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        note = await session.get(Note, 1)
        author = await session.get(Author, 1, options=[orm.selectinload(Author.notes).selectinload(Note.tags)])
        assert author is not None
        assert author.notes[0] is note


async def test_options_with_something_else_raise(rows: orm.Database) -> None:
    with pytest.raises(orm.QueryError, match="takes relations as attributes"):
        orm.joinedload(3)
    with pytest.raises(orm.FieldError):
        await Profile.objects.options(orm.selectinload("nothing"))
