"""Proxy models: another class for the rows of a model, with its own managers, ordering, methods and hooks."""

from __future__ import annotations

from typing import Any

import pytest

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio


class Library:
    """A registry with a proxied model, and models that refer to it and to its proxy."""

    def __init__(self, database: Database) -> None:
        self.models = models = orm.ModelRegistry(database=database)

        class Author(orm.Model):
            registry = models

            name = orm.String(max_length=20)

        class Tag(orm.Model):
            registry = models

            name = orm.String(max_length=20)

        class Book(orm.Model):
            registry = models

            title = orm.String(max_length=20)
            pages = orm.Integer(default=100)
            author: Any = orm.ForeignKey(Author, related_name="books", on_delete=orm.CASCADE)
            tags: Any = orm.ManyToMany(Tag, related_name="books")

            class Meta:
                ordering = ["title"]
                indexes = [orm.Index("pages")]

        class Long(orm.Manager[Any]):
            def get_queryset(self) -> orm.QuerySet[Any, Any]:
                return super().get_queryset().filter(pages__gt=500)

        class Novel(Book):
            long = Long()

            class Meta:
                proxy = True
                ordering = ["-title"]

            def shout(self) -> str:
                return self.title.upper()

        class Saga(Novel):
            class Meta:
                proxy = True

        class Review(orm.Model):
            registry = models

            stars = orm.Integer()
            novel: Any = orm.ForeignKey(Novel, related_name="reviews", on_delete=orm.CASCADE)

        self.Author, self.Tag, self.Book, self.Novel = Author, Tag, Book, Novel
        self.Saga, self.Review = Saga, Review


@pytest.fixture
async def library(database: Database) -> Any:
    library = Library(database)
    await library.models.create_all()
    author = await library.Author.objects.create(name="Ann")
    await library.Book.objects.bulk_create(
        [{"title": title, "pages": pages, "author": author} for title, pages in (("a", 100), ("b", 900), ("c", 200))]
    )
    return library


async def test_proxy_has_no_table_and_queries_give_its_class(library: Any) -> None:
    assert set(library.models.metadata.tables) == {"author", "tag", "book", "book_tags", "review"}
    assert library.Novel.table is library.Book.table
    novels = await library.Novel.objects.all()
    assert [type(novel) for novel in novels] == [library.Novel] * 3
    assert [novel.shout() for novel in novels] == ["C", "B", "A"]
    assert [type(book) for book in await library.Book.objects.all()] == [library.Book] * 3


async def test_ordering_and_managers_are_those_of_the_class(library: Any) -> None:
    assert await library.Book.objects.values_list("title", flat=True) == ["a", "b", "c"]
    assert await library.Saga.objects.values_list("title", flat=True) == ["c", "b", "a"]
    assert await library.Saga.long.values_list("title", flat=True) == ["b"]
    assert not hasattr(library.Book, "long")


async def test_instances_of_both_classes_with_the_same_key_are_equal(library: Any) -> None:
    book = await library.Book.objects.get(title="a")
    novel = await library.Novel.objects.get(title="a")
    assert book == novel and hash(book) == hash(novel) and len({book, novel}) == 1
    assert await library.Novel.objects.contains(book)
    assert book != await library.Author.objects.get(pk=book.author_id)


async def test_writes_through_the_proxy_are_writes_of_the_row(library: Any) -> None:
    author = await library.Author.objects.get()
    novel = await library.Novel.objects.create(title="d", author=author)
    assert novel.pages == 100 and type(novel) is library.Novel
    novel.title = "e"
    await novel.save()
    assert await library.Book.objects.filter(title="e").count() == 1
    assert await library.Novel.objects.filter(title="e").update(pages=7) == 1
    assert (await library.Book.objects.get(title="e")).pages == 7
    assert await novel.delete() == 1
    created = await library.Saga.objects.bulk_create([{"title": "x", "author": author}])
    assert type(created[0]) is library.Saga
    assert await library.Novel.objects.delete() == 4 and not await library.Book.objects.exists()


async def test_relations_of_the_proxied_model_work_on_the_proxy(library: Any) -> None:
    novel = await library.Novel.objects.select_related("author").get(title="a")
    assert novel.author.name == "Ann"
    tag = await library.Tag.objects.create(name="t")
    await novel.tags.add(tag)
    (loaded,) = await library.Novel.objects.filter(tags__name="t").prefetch_related("tags")
    assert [each.name for each in loaded.tags] == ["t"]
    (author,) = await library.Author.objects.graph("books__tags")
    assert [[tag.name for tag in book.tags] for book in author.books] == [["t"], [], []]
    assert type(author.books[0]) is library.Book


async def test_relation_to_the_proxy_gives_proxies_and_is_seen_by_the_proxied_model(library: Any) -> None:
    book = await library.Book.objects.get(title="a")
    review = await library.Review.objects.create(stars=3, novel=book)
    for reviews in (
        library.Review.objects.select_related("novel"),
        library.Review.objects.prefetch_related("novel"),
        library.Review.objects.graph("novel"),
    ):
        (loaded,) = await reviews
        assert type(loaded.novel) is library.Novel and loaded.novel == book
    assert await book.reviews.count() == 1
    assert [each.title for each in await library.Book.objects.filter(reviews__stars=3)] == ["a"]
    assert [each.title for each in await library.Saga.objects.filter(reviews__stars=3)] == ["a"]
    assert await library.Review.objects.get(novel=book) == review
    assert await library.Review.objects.filter(novel__in=library.Book.objects.all()).count() == 1
    assert await library.Review.objects.filter(novel__in=library.Novel.objects.all()).count() == 1
    plan = await library.Book.objects.collect_delete()
    assert plan.deleted == {library.Book: 3, library.Review: 1}
    assert await library.Saga.objects.collect_delete() == plan
    with pytest.raises(orm.FieldError, match="takes Novel instances, got Author"):
        library.Review(novel=await library.Author.objects.get())


async def test_fields_of_either_class_are_expressions_of_both(library: Any) -> None:
    Book, Novel = library.Book, library.Novel
    assert await Novel.objects.filter(Book.title == "a", Novel.pages == 100).count() == 1
    assert await Book.objects.filter(Novel.author.name == "Ann").count() == 3


async def test_signals_have_the_class_as_sender(library: Any) -> None:
    seen: list[tuple[str, type]] = []

    def receive(sender: type, **details: Any) -> None:
        seen.append((details["signal"].name, sender))

    for signal in (orm.post_save, orm.post_delete):
        signal.connect(receive, library.Novel)
    try:
        author = await library.Author.objects.get()
        await library.Book.objects.create(title="x", author=author)
        novel = await library.Novel.objects.create(title="y", author=author)
        await novel.delete()
        await library.Novel.objects.filter(title="x").delete()
        await library.Book.objects.filter(title="a").delete()
    finally:
        for signal in (orm.post_save, orm.post_delete):
            signal.disconnect(receive, library.Novel)
    assert seen == [(name, library.Novel) for name in ("post_save", "post_delete", "post_delete")]


async def test_errors_of_the_proxy_are_those_of_the_proxied_model(library: Any) -> None:
    with pytest.raises(library.Book.DoesNotExist, match="No Novel matches"):
        await library.Novel.objects.get(title="z")
    assert issubclass(library.Saga.MultipleObjectsReturned, library.Book.MultipleObjectsReturned)


async def test_load_takes_instances_of_both_classes(library: Any) -> None:
    both = [await library.Book.objects.get(title="a"), await library.Novel.objects.get(title="b")]
    await orm.load(both, "author")
    assert [each.author.name for each in both] == ["Ann", "Ann"]


def test_invalid_proxy_models_raise() -> None:
    models = orm.ModelRegistry()

    class Note(orm.Model):
        registry = models

        text = orm.Text()

    class Tag(orm.Model):
        registry = models

    class Fields(orm.Model):
        extra = orm.Text()

        class Meta:
            abstract = True

    with pytest.raises(orm.FieldError, match=r"Memo is a proxy model, .* remove extra"):

        class Memo(Note):
            extra = orm.Text()

            class Meta:
                proxy = True

    with pytest.raises(orm.FieldError, match=r"remove extra"):

        class Memo2(Fields, Note):
            class Meta:
                proxy = True

    with pytest.raises(orm.FieldError, match="inherits from no model with a table"):

        class Memo3(orm.Model):
            registry = models

            class Meta:
                proxy = True

    with pytest.raises(orm.FieldError, match="inherits from Note and Tag"):

        class Memo4(Note, Tag):
            class Meta:
                proxy = True

    with pytest.raises(orm.FieldError, match="no table: remove indexes"):

        class Memo5(Note):
            class Meta:
                proxy = True
                indexes = [orm.Index("text")]

    assert set(models.models) == {"Note", "Tag"} and Note._meta.children == []


async def test_redeclared_model_drops_its_proxies(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    def declare(column: str) -> type[orm.Model]:
        class Note(orm.Model):
            registry = models

            text = orm.Text(column=column)

        return Note

    def proxy_of(base: type[orm.Model]) -> type[orm.Model]:
        class Memo(base):  # type: ignore[misc, valid-type]
            class Meta:
                proxy = True

        return Memo

    proxy_of(declare("a"))
    note = declare("b")
    assert set(models.models) == {"Note"}
    memo = proxy_of(note)
    await models.create_all()
    await memo.objects.create(text="x")  # type: ignore[attr-defined]
    assert (await memo.objects.get()).text == "x" and "b" in memo.table.c  # type: ignore[attr-defined]
