"""Rows that were loaded for an instance know it, and do not hold it: nothing is left for the cyclic collector."""

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
    """Two shelves of two books of two pages."""
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
EVERY_WAY = pytest.mark.parametrize("load", [_prefetched, _later, _graph])


async def _books(shelf: Any) -> list[Any]:
    found: list[Any] = await shelf.books.all()
    return sorted(found, key=lambda book: book.id)


@EVERY_WAY
async def test_loaded_objects_without_references_are_freed_without_gc(shelves: None, load: Load) -> None:
    found = await load()
    books = [book for shelf in found for book in await _books(shelf)]
    pages = [page for book in books for page in await book.pages.all()]
    assert len(pages) == 8
    assert all(page.book.shelf is found[0] for page in pages[:4])
    alive = [weakref.ref(item) for item in (*found, *books, *pages)]
    gc.collect()
    gc.disable()
    try:
        del found, books, pages
        assert [item for item in alive if item() is not None] == []
    finally:
        gc.enable()


@EVERY_WAY
async def test_row_returns_the_parent_it_was_loaded_for(shelves: None, load: Load) -> None:
    found = await load()
    for shelf in found:
        for book in await _books(shelf):
            assert book.shelf is shelf
            assert all(page.book is book for page in await book.pages.all())


@EVERY_WAY
async def test_row_that_outlives_its_parent_returns_an_equal_parent(shelves: None, load: Load) -> None:
    found = await load()
    found[0].name = "changed"
    books = await _books(found[0])
    before = repr(found[0])
    del found
    assert books[0].shelf.name == "changed"
    assert repr(books[0].shelf) == before
    assert books[0].shelf is books[0].shelf is books[1].shelf
    books[0].shelf.name = "changed again"
    assert books[1].shelf.name == "changed again"
    await books[0].shelf.save()
    assert (await Shelf.objects.get(id=1)).name == "changed again"
    # What was loaded for its relations went with it.
    assert {book.id for book in await books[0].shelf.books.all()} == {1, 2}


@EVERY_WAY
async def test_row_assigned_to_another_parent_returns_that_parent(shelves: None, load: Load) -> None:
    first, second = await load()
    book = (await _books(first))[0]
    book.shelf_id = 2
    assert book.shelf is not first and book.shelf.pk == 2
    book.shelf_id = 1
    assert book.shelf == first
    book.shelf = second
    assert book.shelf is second


def _pickled(found: Any) -> Any:
    return pickle.loads(pickle.dumps(found))


@EVERY_WAY
@pytest.mark.parametrize("copied", [_pickled, copy.deepcopy])
async def test_copies_of_a_loaded_tree_reference_each_other(
    shelves: None, load: Load, copied: Callable[[Any], Any]
) -> None:
    original = await load()
    found = copied(original)
    assert found == original and found[0] is not original[0]
    books = await _books(found[0])
    assert [book.id for book in books] == [1, 2]
    assert all(book.shelf is found[0] for book in books)
    assert [page.book is books[0] for page in await books[0].pages.all()] == [True, True]


@pytest.mark.parametrize("copied", [_pickled, copy.deepcopy])
async def test_copy_of_a_row_has_a_copy_of_its_parent(shelves: None, copied: Callable[[Any], Any]) -> None:
    found = await _prefetched()
    book = copied((await _books(found[0]))[0])
    assert book.shelf.name == "shelf 1" and book.shelf is not found[0]
    assert book.shelf is book.shelf
    del found
    assert copied(book).shelf.name == "shelf 1"


async def test_shallow_copy_shares_loaded_rows(shelves: None) -> None:
    shelf = (await _prefetched())[0]
    made = copy.copy(shelf)
    await Page.objects.all().delete()
    await Book.objects.all().delete()
    assert [book.id for book in await _books(made)] == [1, 2]
    forget(made, "books")
    assert await _books(made) == []
    assert [book.id for book in await _books(shelf)] == [1, 2]
