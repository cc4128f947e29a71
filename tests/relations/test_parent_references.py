"""Loaded rows reference the instance they were loaded for weakly, so that no cycle is left for the collector."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import databases
import pytest

import orm
from orm.relations.instance_state import forget

pytestmark = pytest.mark.anyio

models = orm.ModelRegistry()


class Shelf(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=30)


class Book(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    shelf: Any = orm.ForeignKey(Shelf, related_name="books")


class Page(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    book: Any = orm.ForeignKey(Book, related_name="pages")


@pytest.fixture
async def shelves(any_database: databases.Database) -> AsyncIterator[None]:
    """Two shelves with two books each, of two pages each."""
    models.database = any_database
    await models.create_all()
    await Shelf.objects.bulk_create([Shelf(id=i, name=f"shelf {i}") for i in (1, 2)])
    await Book.objects.bulk_create([Book(id=i, shelf=(i + 1) // 2) for i in (1, 2, 3, 4)])
    await Page.objects.bulk_create([Page(id=i, book=(i + 1) // 2) for i in range(1, 9)])
    yield
    await models.drop_all()


async def _prefetched() -> list[Any]:
    return await Shelf.objects.order_by("id").prefetch_related("books__pages")


async def _later() -> list[Any]:
    shelves = await Shelf.objects.order_by("id")
    await orm.load(shelves, "books__pages")
    return shelves


async def _graph() -> list[Any]:
    return await Shelf.objects.order_by("id").graph("books__pages")


Load = Callable[[], Awaitable[list[Any]]]
WITH_EACH_LOADER = pytest.mark.parametrize("load", [_prefetched, _later, _graph])


async def _books(shelf: Any) -> list[Any]:
    books: list[Any] = await shelf.books.all()
    return sorted(books, key=lambda book: book.id)


@WITH_EACH_LOADER
async def test_loaded_objects_without_references_are_freed_without_gc(shelves: None, load: Load) -> None:
    gc.disable()
    try:
        shelves_loaded = await load()
        books = [book for shelf in shelves_loaded for book in await _books(shelf)]
        pages = [page for book in books for page in await book.pages.all()]
        assert len(pages) == 8
        assert all(page.book.shelf is shelves_loaded[0] for page in pages[:4])
        alive = [weakref.ref(item) for item in (*shelves_loaded, *books, *pages)]
        del shelves_loaded, books, pages
        assert [item for item in alive if item() is not None] == []
    finally:
        gc.enable()


@WITH_EACH_LOADER
async def test_row_returns_the_parent_it_was_loaded_for(shelves: None, load: Load) -> None:
    shelves_loaded = await load()
    for shelf in shelves_loaded:
        for book in await _books(shelf):
            assert book.shelf is shelf
            assert all(page.book is book for page in await book.pages.all())


@WITH_EACH_LOADER
async def test_row_that_outlives_its_parent_returns_an_equal_parent(shelves: None, load: Load) -> None:
    shelves_loaded = await load()
    shelves_loaded[0].name = "changed"
    books = await _books(shelves_loaded[0])
    before = repr(shelves_loaded[0])
    del shelves_loaded
    assert books[0].shelf.name == "changed"
    assert repr(books[0].shelf) == before
    assert books[0].shelf is books[0].shelf is books[1].shelf
    books[0].shelf.name = "changed again"
    assert books[1].shelf.name == "changed again"
    await books[0].shelf.save()
    assert (await Shelf.objects.get(id=1)).name == "changed again"
    # What was loaded for its relations went with it.
    assert {book.id for book in await books[0].shelf.books.all()} == {1, 2}


@WITH_EACH_LOADER
async def test_row_assigned_to_another_parent_returns_that_parent(shelves: None, load: Load) -> None:
    first, second = await load()
    book = (await _books(first))[0]
    book.shelf_id = 2
    assert book.shelf is not first and book.shelf.pk == 2
    book.shelf_id = 1
    assert book.shelf == first
    book.shelf = second
    assert book.shelf is second


def _pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@WITH_EACH_LOADER
@pytest.mark.parametrize("copied", [_pickled, copy.deepcopy])
async def test_copies_of_a_loaded_tree_reference_each_other(
    shelves: None, load: Load, copied: Callable[[Any], Any]
) -> None:
    original = await load()
    copies = copied(original)
    assert copies == original and copies[0] is not original[0]
    books = await _books(copies[0])
    assert [book.id for book in books] == [1, 2]
    assert all(book.shelf is copies[0] for book in books)
    assert [page.book is books[0] for page in await books[0].pages.all()] == [True, True]


@pytest.mark.parametrize("copied", [_pickled, copy.deepcopy])
async def test_copy_of_a_row_has_a_copy_of_its_parent(shelves: None, copied: Callable[[Any], Any]) -> None:
    shelves_loaded = await _prefetched()
    book = copied((await _books(shelves_loaded[0]))[0])
    assert book.shelf.name == "shelf 1" and book.shelf is not shelves_loaded[0]
    assert book.shelf is book.shelf
    del shelves_loaded
    assert copied(book).shelf.name == "shelf 1"


async def test_shallow_copy_shares_loaded_rows(shelves: None) -> None:
    shelf = (await _prefetched())[0]
    shallow = copy.copy(shelf)
    await Page.objects.all().delete()
    await Book.objects.all().delete()
    assert [book.id for book in await _books(shallow)] == [1, 2]
    forget(shallow, "books")
    assert await _books(shallow) == []
    assert [book.id for book in await _books(shelf)] == [1, 2]
