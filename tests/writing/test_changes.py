"""`changed_fields`, `save(changed_only=True)` and `track_changes()`: what was changed since the row was read."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import databases
import pytest

import orm

pytestmark = pytest.mark.anyio


@pytest.fixture
async def m(any_database: databases.Database) -> AsyncIterator[Any]:
    """Models whose changes are tracked, except those of Plain."""
    yield await make_models(any_database)


@pytest.fixture
async def in_transactions(database: orm.Database) -> AsyncIterator[Any]:
    """The same models on an `orm.Database`, which knows the transaction that a task is in."""
    yield await make_models(database)


async def make_models(database: databases.Database) -> Any:
    models = orm.ModelRegistry(database=database)

    class Author(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=50)

        class Meta:
            track_changes = True

    class Book(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        title = orm.String(max_length=50)
        author = orm.ForeignKey(Author, allow_null=True, on_delete=orm.SET_NULL, related_name="books")
        details = orm.JSON(default=dict)
        rating = orm.Float(default=0.0)
        views = orm.Integer(default=0)
        updated = orm.DateTime(auto_now=True)

        class Meta:
            track_changes = True

    class Plain(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        text = orm.String(max_length=50)
        number = orm.Integer(default=0)

    await models.create_all()
    return SimpleNamespace(Author=Author, Book=Book, Plain=Plain, database=database)


async def test_field_that_was_assigned_another_value_is_changed(m: Any) -> None:
    await m.Book.objects.create(title="Malibu")
    book = await m.Book.objects.get()
    assert book.changed_fields == ()
    book.title = "Malibu"
    assert book.changed_fields == ()
    book.title, book.views = "Malibu 2", 1
    assert book.changed_fields == ("title", "views")
    book.title = "Malibu"
    assert book.changed_fields == ("views",)


async def test_changed_only_writes_what_was_changed_and_auto_now(m: Any) -> None:
    await m.Book.objects.create(title="Malibu")
    book = await m.Book.objects.get()
    await m.Book.objects.update(title="written by another task")
    book.views = 7
    before = book.updated
    with orm.track_queries() as queries:
        await book.save(changed_only=True)
    assert queries.count == 1
    assert book.changed_fields == ()
    assert book.updated > before
    assert await m.Book.objects.values_list("title", "views").get() == ("written by another task", 7)


async def test_changed_only_without_a_change_sends_nothing(m: Any) -> None:
    book = await m.Book.objects.create(title="Malibu")
    with orm.track_queries() as queries:
        await book.save(changed_only=True)
        book.title = "Malibu"
        await book.save(changed_only=True)
    assert queries.count == 0


async def test_changed_only_of_a_new_instance_inserts_it(m: Any) -> None:
    book = m.Book(title="Malibu")
    assert book.changed_fields == ("title", "author", "details", "rating", "views", "updated")
    await book.save(changed_only=True)
    assert book.changed_fields == ()
    assert await m.Book.objects.count() == 1


async def test_document_that_was_edited_in_place_is_changed(m: Any) -> None:
    await m.Book.objects.create(title="Malibu", details={"tags": ["a"], "count": 1})
    book = await m.Book.objects.get()
    book.details["tags"].append("b")
    assert book.changed_fields == ("details",)
    await book.save(changed_only=True)
    assert book.changed_fields == ()
    assert (await m.Book.objects.get()).details == {"tags": ["a", "b"], "count": 1}
    book.details["count"] = True
    assert book.changed_fields == ("details",), "True is not the number 1 in a document"


async def test_foreign_key_is_changed_by_its_instance_and_by_its_key(m: Any) -> None:
    first = await m.Author.objects.create(name="Woolf")
    second = await m.Author.objects.create(name="Mann")
    await m.Book.objects.create(title="Malibu", author=first)
    book = await m.Book.objects.select_related("author").get()
    assert book.author.changed_fields == book.changed_fields == ()
    book.author = second
    assert book.changed_fields == ("author",)
    book.author_id = first.id
    assert book.changed_fields == ()
    unsaved = m.Author(name="Sand")
    book.author = unsaved
    assert book.changed_fields == ("author",)
    await unsaved.save()
    await book.save(changed_only=True)
    assert (await m.Book.objects.get()).author_id == unsaved.id


async def test_deferred_field_is_changed_when_it_is_assigned_and_not_when_it_is_loaded(m: Any) -> None:
    await m.Book.objects.create(title="Malibu", views=3)
    book = await m.Book.objects.only("title").get()
    assert book.changed_fields == ()
    await book.load(fields=["views"])
    assert (book.views, book.changed_fields) == (3, ())
    book.rating = 4.5
    assert book.changed_fields == ("rating",)
    await book.save(changed_only=True)
    assert book.changed_fields == ()
    assert await m.Book.objects.values_list("title", "views", "rating").get() == ("Malibu", 3, 4.5)


async def test_load_forgets_changes(m: Any) -> None:
    book = await m.Book.objects.create(title="Malibu")
    book.title = "changed"
    await book.load(fields=["views"])
    assert book.changed_fields == ("title",)
    await book.load()
    assert (book.title, book.changed_fields) == ("Malibu", ())


async def test_expression_is_changed_until_it_is_saved(m: Any) -> None:
    book = await m.Book.objects.create(title="Malibu")
    book.views = m.Book.views + 1
    assert book.changed_fields == ("views",)
    await book.save(changed_only=True)
    assert book.changed_fields == ()
    await book.load(fields=["views"])
    assert (book.views, book.changed_fields) == (1, ())


WRITES = {
    "save": lambda m, book: book.save(),
    "save(update_fields)": lambda m, book: book.save(update_fields=["title"]),
    "save(force_update)": lambda m, book: book.save(force_update=True),
    "update": lambda m, book: book.update(title="written"),
    "bulk_update": lambda m, book: m.Book.objects.bulk_update([book], ["title"]),
}


@pytest.mark.parametrize("write", WRITES)
async def test_written_fields_are_unchanged_afterwards(m: Any, write: str) -> None:
    await m.Book.objects.create(title="Malibu")
    book = await m.Book.objects.get()
    book.title, book.views = "written", 5
    await WRITES[write](m, book)
    everything = write in ("save", "save(force_update)")
    assert book.changed_fields == (() if everything else ("views",))
    stored = await m.Book.objects.values_list("title", "views").get()
    assert stored == ("written", 5 if everything else 0)


READS = {
    "filter": lambda m: m.Book.objects.filter(title="Malibu").first(),
    "graph": lambda m: _book_of(m.Author.objects.graph("books").get()),
    "prefetch": lambda m: _book_of(m.Author.objects.prefetch_related("books").get()),
    "raw": lambda m: _first(m.Book.raw("SELECT * FROM book")),
    "create": lambda m: _deleted_and_created(m, lambda book: book.save()),
    "bulk_create": lambda m: _deleted_and_created(m, lambda book: m.Book.objects.bulk_create([book])),
    "create_graph": lambda m: _deleted_and_created(m, lambda book: m.Book.objects.create_graph([book])),
    "get_or_create": lambda m: _first(m.Book.objects.get_or_create(title="Malibu")),
}


async def _first(rows: Any) -> Any:
    return (await rows)[0]


async def _book_of(author: Any) -> Any:
    return (await author).books[0]


async def _deleted_and_created(m: Any, write: Any) -> Any:
    author = await m.Author.objects.get()
    await m.Book.objects.delete()
    book = m.Book(title="Malibu", author=author)
    await write(book)
    return book


@pytest.mark.parametrize("read", READS)
async def test_instances_are_tracked_however_they_were_read(m: Any, read: str) -> None:
    author = await m.Author.objects.create(name="Woolf")
    await m.Book.objects.create(title="Malibu", author=author)
    book = await READS[read](m)
    assert book.changed_fields == ()
    book.title = "changed"
    assert book.changed_fields == ("title",)
    await book.save(changed_only=True)
    assert await m.Book.objects.values_list("title", flat=True) == ["changed"]


async def test_nothing_is_changed_after_an_upsert(m: Any) -> None:
    author = await m.Author.objects.create(name="Woolf")
    same = m.Author(id=author.id, name="Mann")
    keys = {} if "mysql" in str(m.database.url.dialect) else {"unique_fields": ["id"]}
    await m.Author.objects.bulk_create([same], update_conflicts=True, update_fields=["name"], **keys)
    assert same.changed_fields == ()
    same.name = "Zweig"
    assert same.changed_fields == ("name",)
    await same.save(changed_only=True)
    assert await m.Author.objects.values_list("name", flat=True) == ["Zweig"]


async def test_changes_that_were_rolled_back_are_changes_again(in_transactions: Any) -> None:
    book = await in_transactions.Book.objects.create(title="Malibu")
    with pytest.raises(ZeroDivisionError):
        async with in_transactions.database.transaction():
            book.title = "one"
            await book.save(changed_only=True)
            book.title = "two"
            await book.save(changed_only=True)
            assert book.changed_fields == ()
            raise ZeroDivisionError
    assert book.changed_fields == ("title", "updated")
    await book.save(changed_only=True)
    assert (await in_transactions.Book.objects.get()).title == "two"


async def test_changes_of_a_savepoint_that_was_rolled_back_are_changes_again(in_transactions: Any) -> None:
    book = await in_transactions.Book.objects.create(title="Malibu")
    async with in_transactions.database.transaction():
        book.title = "one"
        await book.save(changed_only=True)
        with pytest.raises(ZeroDivisionError):
            async with in_transactions.database.transaction():
                book.views = 5
                await book.save(changed_only=True)
                raise ZeroDivisionError
        assert book.changed_fields == ("views", "updated")
        await book.save(changed_only=True)
    assert book.changed_fields == ()
    assert await in_transactions.Book.objects.values_list("title", "views").get() == ("one", 5)


async def test_changes_of_a_committed_savepoint_are_rolled_back_with_its_transaction(in_transactions: Any) -> None:
    book = await in_transactions.Book.objects.create(title="Malibu")
    with pytest.raises(ZeroDivisionError):
        async with in_transactions.database.transaction():
            async with in_transactions.database.transaction():
                book.title = "one"
                await book.save(changed_only=True)
            raise ZeroDivisionError
    assert book.changed_fields == ("title", "updated")


async def test_changes_saved_in_a_joined_task_are_rolled_back_with_its_transaction(in_transactions: Any) -> None:
    book = await in_transactions.Book.objects.create(title="Malibu")
    with pytest.raises(ZeroDivisionError):
        async with in_transactions.database.transaction():
            book.title = "one"
            await asyncio.create_task(book.save(changed_only=True))
            raise ZeroDivisionError
    assert book.changed_fields == ("title", "updated")


async def test_instance_whose_insert_was_rolled_back_is_inserted_again(in_transactions: Any) -> None:
    book = in_transactions.Book(title="Malibu")
    with pytest.raises(ZeroDivisionError):
        async with in_transactions.database.transaction():
            await book.save()
            raise ZeroDivisionError
    assert "title" in book.changed_fields
    await book.save(changed_only=True)
    assert await in_transactions.Book.objects.values_list("title", flat=True) == ["Malibu"]


async def test_changes_of_untracked_instances_are_refused_and_tracked_on_request(m: Any) -> None:
    await m.Plain.objects.create(text="a")
    plain = await m.Plain.objects.get()
    with pytest.raises(orm.QueryError, match=r"track_changes = True.*orm\.track_changes"):
        assert plain.changed_fields
    with pytest.raises(orm.QueryError, match="not tracked"):
        await plain.save(changed_only=True)
    orm.track_changes([plain])
    plain.text = "b"
    assert plain.changed_fields == ("text",)
    await m.Plain.objects.update(number=9)
    await plain.save(changed_only=True)
    assert await m.Plain.objects.values_list("text", "number").get() == ("b", 9)
    await plain.load()
    assert (plain.number, plain.changed_fields) == (9, ())
    with pytest.raises(orm.QueryError, match="takes instances"):
        orm.track_changes([1])  # type: ignore[list-item]


def test_option_is_inherited_also_by_models_with_a_meta_of_their_own() -> None:
    models = orm.ModelRegistry()

    class Base(orm.Model):
        registry = models

        class Meta:
            abstract = True
            track_changes = True

    class Inherits(Base):
        text = orm.String(max_length=5)

        class Meta:
            ordering = ["text"]

    class Refuses(Base):
        text = orm.String(max_length=5)

        class Meta:
            track_changes = False

    assert Inherits._meta.options.track_changes
    assert not Refuses._meta.options.track_changes


async def test_untracked_instances_keep_no_snapshot(m: Any) -> None:
    created = await m.Plain.objects.create(text="a")
    read = await m.Plain.objects.get()
    await read.save()
    assert "_snapshot" not in created.__dict__
    assert "_snapshot" not in read.__dict__


async def test_changed_only_excludes_the_other_options_and_a_changed_key(m: Any) -> None:
    book = await m.Book.objects.create(title="Malibu")
    for options in ({"force_insert": True}, {"force_update": True}, {"update_fields": ["title"]}):
        with pytest.raises(orm.QueryError, match="changed_only excludes"):
            await book.save(changed_only=True, **options)
    book.id += 1
    with pytest.raises(orm.QueryError, match="primary key"):
        await book.save(changed_only=True)


async def test_row_that_is_gone_is_an_error(m: Any) -> None:
    book = await m.Book.objects.create(title="Malibu")
    await m.Book.objects.delete()
    book.title = "changed"
    with pytest.raises(m.Book.DoesNotExist):
        await book.save(changed_only=True)
    assert book.changed_fields == ("title",)


async def test_copies_and_pickles_keep_the_changes(m: Any) -> None:
    book = await m.Book.objects.create(title="Malibu", details={"a": [1]})
    book.title = "changed"
    copied, deep = copy.copy(book), copy.deepcopy(book)
    book.title = "Malibu"
    deep.details["a"].append(2)
    assert (copied.changed_fields, deep.changed_fields) == (("title",), ("title", "details"))
    assert book.changed_fields == ()
    snapshot = pickle.loads(pickle.dumps(book.__dict__["_snapshot"]))
    assert snapshot.values == book.__dict__["_snapshot"].values


async def test_hooks_get_the_changed_fields_and_may_change_more(any_database: databases.Database) -> None:
    models = orm.ModelRegistry(database=any_database)
    seen: list[Any] = []

    class Page(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        title = orm.String(max_length=50)
        slug = orm.String(max_length=50, default="none")
        views = orm.Integer(default=0)

        class Meta:
            track_changes = True

        def before_save(self, *, created: bool, update_fields: frozenset[str] | None) -> None:
            seen.append(update_fields)
            self.slug = self.title.lower()

    await models.create_all()
    page = await Page.objects.create(title="One")
    await Page.objects.update(views=9)
    page.title = "Two"
    await page.save(changed_only=True)
    await page.save(changed_only=True)
    assert seen == [None, frozenset({"title"})]
    assert await Page.objects.values_list("title", "slug", "views").get() == ("Two", "two", 9)


async def test_changed_only_of_a_version_counts_it_up(any_database: databases.Database) -> None:
    models = orm.ModelRegistry(database=any_database)

    class Page(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        title = orm.String(max_length=50)
        version = orm.Version()

        class Meta:
            track_changes = True

    await models.create_all()
    page = await Page.objects.create(title="One")
    theirs = await Page.objects.get()
    page.title = "Two"
    await page.save(changed_only=True)
    assert (page.version, page.changed_fields) == (2, ())
    theirs.title = "Three"
    with pytest.raises(orm.StaleObject):
        await theirs.save(changed_only=True)
    assert theirs.changed_fields == ("title",)
