"""Fields with `retired=True`: the column stays, and nothing reads, writes or names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy

import orm
from tests.statement_recorder import recorded


def shop(url: str, *, retired: bool = True) -> tuple[orm.ModelRegistry, Any]:
    """A registry with a model of which half of the fields may be retired."""
    models = orm.ModelRegistry(database=orm.Database(url))

    class Shelf(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)

    class Book(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        title = orm.String(max_length=50)
        pages = orm.Integer(index=True, retired=retired)
        rating = orm.PositiveInteger(server_default="3", retired=retired)
        shelf = orm.ForeignKey(Shelf, related_name="books", retired=retired)

    return models, Book


async def test_no_query_names_the_column_of_a_retired_field(database_url: str) -> None:
    models, book = shop(database_url)
    async with models.database as database:
        await models.create_all()
        try:
            with recorded(database) as statements:
                row = await book.objects.create(title="Emma")
                await book.objects.bulk_create([book(title="Persuasion")])
                row.title = "Emma!"
                await row.save()
                await row.load()
                await book.objects.filter(title="Emma!").update(title="Emma")
                assert [each.title for each in await book.objects.order_by("id")] == ["Emma", "Persuasion"]
            assert statements.texts
            for text in statements.texts:
                assert not any(name in text for name in ("pages", "rating", "shelf")), text
            table = sqlalchemy.table("book", *map(sqlalchemy.column, ("pages", "rating", "shelf")))
            stored = await database.fetch_all(sqlalchemy.select(table))
            for row in stored:
                assert (row["pages"], row["rating"], row["shelf"]) == (None, 3, None)
        finally:
            await models.drop_all()


USES: dict[str, Callable[[Any], Any]] = {
    "the constructor": lambda book: book(pages=1),
    "a filter": lambda book: book.objects.filter(pages=1),
    "a lookup": lambda book: book.objects.filter(pages__gt=1),
    "a relation": lambda book: book.objects.filter(shelf__id=1),
    "a key": lambda book: book.objects.filter(shelf_id=1),
    "an ordering": lambda book: book.objects.order_by("-pages"),
    "only()": lambda book: book.objects.only("pages"),
    "select_related()": lambda book: book.objects.select_related("shelf"),
    "prefetch_related()": lambda book: book.objects.prefetch_related("shelf"),
    "an attribute of the class": lambda book: book.pages,
    "an attribute of an instance": lambda book: book(title="Emma").shelf,
    "an assignment": lambda book: setattr(book(title="Emma"), "pages", 1),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_use_of_a_retired_field_is_an_error_that_says_so(use: Callable[[Any], Any]) -> None:
    _, book = shop("sqlite://")
    with pytest.raises(orm.RetiredField, match=r"Book\.(pages|shelf) is retired.*without retired=True"):
        use(book)


async def test_values_for_a_retired_field_are_refused() -> None:
    _, book = shop("sqlite://")
    for write in (
        lambda: book.objects.create(title="Emma", pages=1),
        lambda: book.objects.update(pages=1),
        lambda: book.objects.bulk_update([book(id=1, title="Emma")], fields=["pages"]),
    ):
        with pytest.raises(orm.RetiredField, match=r"Book\.pages is retired"):
            await write()  # type: ignore[no-untyped-call]


def test_retired_field_is_missing_for_what_reads_any_object() -> None:
    models, book = shop("sqlite://")
    assert not hasattr(book, "pages") and not hasattr(book(title="Emma"), "shelf")
    assert list(book.fields) == ["id", "title"]
    assert not hasattr(models.models["Shelf"], "books")


def test_retired_fields_of_base_classes_are_retired() -> None:
    models = orm.ModelRegistry(database=orm.Database("sqlite://"))

    class Dated(orm.Model):
        class Meta:
            abstract = True

        year = orm.Integer(retired=True)

    class Work(Dated):
        registry = models

        id = orm.Integer(primary_key=True)

    class Painting(Work):
        registry = models

        width = orm.Integer()

    class Listed(Work):
        class Meta:
            proxy = True

    assert "year" in Work.table.columns and "year" not in Painting.table.columns
    for model in (Work, Painting, Listed):
        with pytest.raises(orm.RetiredField, match=r"Work\.year is retired"):
            model.objects.filter(year=1)


@pytest.mark.parametrize(
    "options", [{"primary_key": True}, {"unique": True, "server_default": "1"}], ids=["primary key", "unique"]
)
def test_field_that_cannot_be_retired_is_refused(options: dict[str, Any]) -> None:
    models = orm.ModelRegistry(database=orm.Database("sqlite://"))
    body = {"registry": models, "__module__": __name__, "old": orm.Integer(retired=True, **options)}
    with pytest.raises(orm.FieldError, match=r"Book\.old"):
        type(orm.Model)("Book", (orm.Model,), body)


async def test_plain_insert_of_other_code_may_still_write_it(database_url: str) -> None:
    models, _ = shop(database_url)
    async with models.database as database:
        await models.create_all()
        try:
            await database.execute("INSERT INTO shelf (id) VALUES (1)")
            await database.execute("INSERT INTO book (title, pages, rating, shelf) VALUES ('Emma', 400, 5, 1)")
            assert await database.fetch_val("SELECT pages FROM book") == 400
        finally:
            await models.drop_all()
