"""Sessions where SQLAlchemy has no counterpart: querysets, tasks, errors, statements, memory."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
import sqlalchemy

import orm
from orm.database.connections.schemas import in_schema
from orm.database.connections.units_of_work import open_units
from orm.sessions import identity_map
from tests.sessions.sample_models import Author, Document, Employee, Left, Note, Page, Profile, Right, Tag


async def test_every_way_of_loading_gives_the_instance(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        note, author = await session.get_one(Note, 1), await session.get_one(Author, 1)
        assert await Note.objects.get(text="one") is note
        assert await Note.objects.first() is note
        assert note in [each async for each in Note.objects.order_by("id") if each is note]
        assert (await Note.objects.in_bulk([1]))[1] is note
        assert (await Note.objects.order_by("id").page(size=1)).items[0] is note
        assert (await Note.objects.select_related("author").get(id=1)).author is author
        assert (await Author.objects.prefetch_related("notes").get(id=1)).notes[0] is note
        graph = await Author.objects.graph("notes__tags").get(id=1)
        assert graph is author and graph.notes[0] is note
        assert await note.author is author
        assert note.author is author
        assert (await author.notes.order_by("id"))[0] is note
        assert (await Note.raw("SELECT * FROM note WHERE id = 1"))[0] is note
        assert await Note.objects.get_or_create(text="one") == (note, False)
        async for batch in Note.objects.in_batches(2):
            assert batch[0] is note
            break


async def test_annotations_are_set_on_the_instance(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        note: Any = await session.get(Note, 1)
        await Note.objects.annotate(double=Note.views * 2)
        assert note.double == 20
        assert not session.dirty


async def test_fields_that_were_not_loaded_are_loaded_by_a_later_query(rows: orm.Database) -> None:
    async with orm.Session(rows):
        note = await Note.objects.only("text").get(id=1)
        assert "views" not in note.__dict__
        await Note.objects.get(id=1)
        assert note.views == 10


async def test_key_only_instance_is_replaced_once_its_row_is_loaded(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        note = await session.get_one(Note, 1)
        placeholder = note.author
        author = await session.get(Author, 1)
        assert note.author is author
        assert placeholder is not author


async def test_create_and_save_are_the_sessions(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        note = await Note.objects.create(text="new")
        assert note in session
        assert await session.get(Note, note.id) is note
        note.text = "changed"
        await note.save()
        assert not session.dirty
        other = Note(text="other")
        await other.save()
        assert await Note.objects.get(text="other") is other
        made = await Note.objects.bulk_create([Note(text="b1"), {"text": "b2"}])
        assert all(each in session for each in made)
        await note.delete()
        assert session.state_of(note) == "deleted"
        await session.rollback()
        assert session.state_of(note) == "transient"
    assert await Note.objects.count() == 4


async def test_update_of_an_instance_and_a_version(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        page = await session.get_one(Page, 1)
        page.title = "a"
        await page.update(title="b")
        assert page.version == 3
        page.title = "c"
        await page.save(update_fields=["title"])
        await session.commit()
        assert not session.dirty
    assert (await Page.objects.get(id=1)).title == "c"


async def test_load_reads_the_row_again(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        note = await session.get_one(Note, 1)
        await rows.execute(sqlalchemy.update(Note.table).where(Note.table.c.id == 1).values(text="direct"))
        assert (await Note.objects.get(id=1)).text == "one"
        await note.load()
        assert note.text == "direct"
        assert not session.dirty


async def test_bulk_update_in_a_session(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        notes = await Note.objects.all()
        for note in notes:
            note.views += 1
        await Note.objects.bulk_update(notes, ["views"])
        assert not session.dirty
        await session.rollback()
        assert [note.views for note in sorted(notes, key=lambda note: note.id)] == [10, 20, 30, 40]


async def test_transaction_of_the_program_in_a_session_restores_the_instances(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        note = await session.get_one(Note, 1)
        with pytest.raises(KeyError):
            async with rows.transaction():
                note.text = "inner"
                author = Author(name="inner")
                session.add(author)
                await session.flush()
                raise KeyError
        await session.flush()
        assert note.text == "one"
        assert session.state_of(author) == "transient"
        async with rows.transaction():
            note.text = "kept"
            await session.flush()
        await session.commit()
    assert (await Note.objects.get(id=1)).text == "kept"


async def test_task_of_the_block_is_in_the_transaction_and_not_in_the_session(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        note = Note(text="new")
        session.add(note)
        await session.flush()

        async def query() -> Note:
            return await Note.objects.get(text="new")

        async def add() -> None:
            session.add(Note(text="x"))

        seen = await asyncio.create_task(query())
        assert seen == note and seen is not note
        with pytest.raises(orm.TransactionError, match="belongs to another task"):
            await asyncio.create_task(add())


async def test_two_tasks_have_sessions_of_their_own(rows: orm.Database) -> None:
    async def work(key: int) -> Note:
        async with orm.Session(rows) as session:
            note = await session.get_one(Note, key)
            await asyncio.sleep(0)
            assert await Note.objects.get(id=key) is note
            return note

    notes = await asyncio.gather(work(1), work(1), work(2))
    assert notes[0] is not notes[1]


async def test_second_session_of_a_task_on_the_database_is_refused(rows: orm.Database) -> None:
    async with orm.Session(rows):
        with pytest.raises(orm.TransactionError, match="has a session on this database already"):
            async with orm.Session(rows):
                pass


async def test_instance_of_another_session_is_refused(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        note = await session.get_one(Note, 1)

        async def other() -> None:
            with rows.detached():
                async with orm.Session(rows) as second:
                    second.add(note)

        with pytest.raises(orm.QueryError, match="in another session"):
            await asyncio.create_task(other())


async def test_session_outside_of_its_block_is_refused(rows: orm.Database) -> None:
    session = orm.Session(rows)
    with pytest.raises(orm.TransactionError, match="not open"):
        session.add(Note(text="x"))
    async with session:
        pass
    with pytest.raises(orm.TransactionError, match="not open"):
        await session.get(Note, 1)


async def test_session_needs_an_orm_database() -> None:
    with pytest.raises(orm.InterfaceError, match=r"needs an orm\.Database"):
        orm.Session("sqlite://")  # type: ignore[arg-type]


async def test_session_on_one_schema_is_refused(sqlite_url: str) -> None:
    database = orm.Database(sqlite_url)
    with pytest.raises(orm.NotSupportedError, match="one of its schemas"):
        orm.Session(in_schema(database, "tenant"))


async def test_session_takes_instances_only(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        with pytest.raises(orm.QueryError, match="takes instances of models, got int"):
            session.add(3)  # type: ignore[arg-type]


async def test_error_in_the_block_rolls_back(rows: orm.Database) -> None:
    with pytest.raises(KeyError):
        async with orm.Session(rows) as session:
            session.add(Author(name="gone"))
            await session.flush()
            raise KeyError
    assert await Author.objects.count() == 3


async def test_values_that_are_not_valid_leave_the_session_usable(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        author = Author(name="x" * 200)
        session.add(author)
        with pytest.raises(orm.ValidationError):
            await session.flush()
        assert session.state_of(author) == "pending"
        author.name = "short"
        await session.commit()
    assert await Author.objects.count() == 4


async def test_row_that_refers_to_itself_is_inserted(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        boss = Employee(name="a")
        boss.manager = boss
        session.add(boss)
        await session.commit()
        assert boss.manager_id == boss.id  # type: ignore[attr-defined]


async def test_one_statement_for_each_shape(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        notes = await Note.objects.order_by("id")
        tag = await session.get_one(Tag, 3)
        notes[0].text, notes[1].text = "a", "b"
        notes[2].views = 7
        session.add_all([Author(name=f"new {i}") for i in range(50)])
        await session.delete(tag)
        with orm.track_queries() as queries:
            await session.flush()
    assert len(queries) == 4, list(queries)


async def test_new_rows_of_several_models_have_one_statement_each(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        for i in range(20):
            author = Author(name=f"a{i}")
            session.add_all([Note(text=f"n{i}", author=author), Profile(bio="b", author=author)])
        with orm.track_queries() as queries:
            await session.flush()
        assert len(queries) == 3
        await session.commit()
    assert await Note.objects.filter(author__profile__bio="b").count() == 20


async def test_cycles_of_a_hundred_pairs_take_few_statements(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        for i in range(100):
            left, right = Left(name=f"l{i}"), Right(name=f"r{i}")
            left.right, right.left = right, left
            session.add(left)
        with orm.track_queries() as queries:
            await session.commit()
    assert len(queries) <= 8
    assert await Left.objects.filter(right__left__id=orm.F("id")).count() == 100


async def test_ten_thousand_changed_and_new_rows_take_few_statements(rows: orm.Database) -> None:
    count = 10_000
    await Tag.objects.bulk_create([{"name": f"old {i}"} for i in range(count)])
    async with orm.Session(rows) as session:
        tags = await Tag.objects.filter(name__startswith="old")
        for tag in tags:
            tag.name = tag.name.replace("old", "changed")
        session.add_all([Tag(name=f"new {i}") for i in range(count)])
        with orm.track_queries() as of_session:
            await session.commit()
    with orm.track_queries() as of_bulk:
        for tag in tags:
            tag.name = tag.name.replace("changed", "again")
        await Tag.objects.bulk_update(tags, ["name"])
        await Tag.objects.bulk_create([Tag(name=f"newer {i}") for i in range(count)])
    assert await Tag.objects.filter(name__startswith="new ").count() == count
    assert len(of_session) <= len(of_bulk)


async def test_expression_is_computed_by_the_database(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        note = await session.get_one(Note, 1)
        note.views = Note.views + 5
        assert note in session.dirty
        await session.flush()
        await session.refresh(note)
        assert note.views == 15


async def test_deleted_instance_that_others_refer_to_is_not_inserted_again(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        author = await Author.objects.select_related("profile").get(id=1)
        profile = author.profile  # type: ignore[attr-defined]
        await session.delete(profile)
        await session.flush()
        author.name = "changed"
        await session.flush()
        assert await Profile.objects.count() == 0
        author.profile = Profile(bio="undone")  # type: ignore[attr-defined]
        await session.rollback()
        await session.flush()
        assert await Profile.objects.count() == 1
        await session.delete(profile)
        await session.flush()
        author.profile = Profile(bio="another")  # type: ignore[attr-defined]
        await session.commit()
    assert [profile.bio for profile in await Profile.objects.all()] == ["another"]


async def test_document_in_place_is_restored_by_a_rollback(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        document = await session.get_one(Document, 1)
        document.data["list"] = [1]
        await session.flush()
        document.data["list"].append(2)
        assert document in session.dirty
        await session.rollback()
        assert document.data == {"a": 1}
        document.data["b"] = 1
        assert document in session.dirty


async def test_instances_that_refer_to_each_other_are_let_go(
    rows: orm.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity_map, "MAX_UNREFERENCED", 20)
    async with orm.Session(rows) as session:
        session._identity_map._sweep_at = 20
        first = weakref.ref((await Author.objects.select_related("profile").get(id=1)).profile)  # type: ignore[attr-defined]
        gc.collect()
        assert first() is not None  # it and its author refer to each other
        kept = await session.get_one(Note, 1)
        (await session.get_one(Note, 2)).text = "changed"
        tags = [Tag(name=f"t{i}") for i in range(40)]
        session.add_all(tags)
        await Tag.objects.count()
        await Tag.objects.get(name="t1")
        assert first() is None
        assert kept in session
        await session.commit()
    assert (await Note.objects.get(id=2)).text == "changed"


async def test_session_with_options_of_the_transaction(rows: orm.Database) -> None:
    async with orm.Session(rows, readonly=True) as session:
        note = await session.get_one(Note, 1)
        note.text = "x"
        with pytest.raises(orm.Error):
            await session.flush()


async def test_programs_without_sessions_have_none_open(rows: orm.Database) -> None:
    assert not open_units
    async with orm.Session(rows):
        assert len(open_units) == 1
    assert not open_units


async def test_error_of_an_autoflush_says_where_it_comes_from(rows: orm.Database) -> None:
    taken = await Tag.objects.values_list("name", flat=True).first()
    async with orm.Session(rows) as session:
        tag = Tag(name=taken)
        session.add(tag)
        with pytest.raises(orm.UniqueViolation) as refused:
            await Author.objects.filter(name="z").count()
        for part in ("autoflush", "before this query", "Tag", "no_autoflush", "expunge"):
            assert part in str(refused.value)
        await session.rollback()
        author = await session.get_one(Author, 1)
        author.name = "x" * 200
        with pytest.raises(orm.ValidationError) as invalid:
            await Tag.objects.count()
        assert "autoflush" in "".join(invalid.value.__notes__)  # type: ignore[attr-defined]
        assert repr(author) in "".join(invalid.value.__notes__)  # type: ignore[attr-defined]
        with pytest.raises(orm.ValidationError) as of_flush:
            await session.flush()
        assert not hasattr(of_flush.value, "__notes__")
        with session.no_autoflush:
            assert await Tag.objects.count() == 3


async def test_select_of_a_model_names_its_table(rows: orm.Database) -> None:
    async with orm.Session(rows) as session:
        for use in (session.execute, session.scalars):
            with pytest.raises(orm.QueryError, match=r"Author\.table"):
                await use(Author)  # type: ignore[arg-type]
