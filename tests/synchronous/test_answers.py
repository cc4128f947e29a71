"""What `orm.sync()` gives: the answers and errors of the asynchronous methods, from all of their names."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

import orm
from orm.loading.graph import Graph
from orm.queryset.raw import RawQuerySet
from orm.related.managers import RelatedManager
from orm.related.many_to_many import ManyToManyManager
from orm.synchronous.graph import SyncGraph, SyncRawQuerySet
from orm.synchronous.instances import SyncInstance
from orm.synchronous.managers import SyncManyToManyManager, SyncRelatedManager
from orm.synchronous.querysets import SyncQuerySet
from tests.synchronous.models import Account, Author, Book, Tag, models


def public(kind: type[Any]) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


# They are reached through `__getattr__`, or by the class.
LEFT_OUT = {"as_manager", "model_cls", "table", "schema", "pkname"}
PAIRS: list[tuple[type[Any], type[Any], set[str]]] = [
    (orm.QuerySet, SyncQuerySet, LEFT_OUT),
    (RelatedManager, SyncRelatedManager, LEFT_OUT | {"get_queryset"}),
    (
        ManyToManyManager,
        SyncManyToManyManager,
        {"as_manager", "model_cls", "table", "schema", "pkname", "get_queryset"},
    ),
    (Graph, SyncGraph, set()),
    (RawQuerySet, SyncRawQuerySet, set()),
]


@pytest.mark.parametrize(("theirs", "ours", "left_out"), PAIRS, ids=lambda item: getattr(item, "__name__", ""))
def test_every_method_is_there_with_its_parameters(theirs: type[Any], ours: type[Any], left_out: set[str]) -> None:
    assert public(theirs) - public(ours) == left_out
    for name in public(theirs) & public(ours):
        method, own = getattr(theirs, name), getattr(ours, name)
        if callable(method):
            assert list(inspect.signature(own).parameters) == list(inspect.signature(method).parameters), name
            assert not inspect.iscoroutinefunction(own), name


def test_an_instance_has_every_coroutine_method_of_a_model() -> None:
    coroutines = {name for name in public(orm.Model) if inspect.iscoroutinefunction(vars(orm.Model).get(name))}
    assert len(coroutines) > 5 and not coroutines - public(SyncInstance)
    for name in coroutines:
        assert inspect.signature(getattr(SyncInstance, name)).parameters.keys() == (
            inspect.signature(getattr(orm.Model, name)).parameters.keys()
        )


def fill() -> Author:
    author = Author.objects.create(name="Le Guin")
    for year, title in enumerate(("The Dispossessed", "The Word for World Is Forest", "The Lathe of Heaven"), 1971):
        book = author.books.create(title=title, year=year)
        book.tags.create(name=title.split()[1])
    return author


def test_reading_and_writing(database: orm.Database) -> None:
    with orm.sync(models):
        author = fill()
        titles = [book.title for book in Book.objects.order_by("-year")]
        assert titles == ["The Lathe of Heaven", "The Word for World Is Forest", "The Dispossessed"]
        rows = Book.objects.filter(year__gt=1971).all()
        assert type(rows) is list and [type(row) for row in rows] == [Book, Book]
        assert Book.objects[1].title == "The Word for World Is Forest"
        assert Book.objects[1:].count() == 2
        assert len(Book.objects.values_list("title", flat=True).all()) == 3
        assert rows[0] in Book.objects.all() and rows[0] in Book.objects.filter(year=1972)

        book = Book.objects.get(title__startswith="The Word")
        book.year = 1976
        assert book.save() is book
        assert book.load(["year"]).year == 1976
        assert Book.objects.filter(pk=book.pk).update(title="Forest") == 1
        with pytest.raises(Book.DoesNotExist):
            Book.objects.get(title="The Word for World Is Forest")
        with pytest.raises(orm.UniqueViolation):
            Tag.objects.create(name="Word")
        with pytest.raises(orm.ValidationError):
            Tag.objects.create(name=None)
        with pytest.raises(IndexError):
            Book.objects[10]

        assert author.name == "Le Guin" and author.shout() == "LE GUIN"
        assert Author.objects.named("LE GUIN").get() == author
        assert Author.objects.rename_all("Ursula") == 1
        assert Author.objects.get_or_create(name="Ursula") == (author, False)
        assert Book.published.count() == 3
        assert book.delete() == 1 and Book.objects.count() == 2


def test_relations_prefetch_and_graph(database: orm.Database) -> None:
    with orm.sync(models):
        fill()
        author = Author.objects.get()
        assert [book.year for book in author.books] == [1971, 1972, 1973]
        assert author.books.filter(year=1971).count() == author.books.exists() == 1
        with pytest.raises(TypeError, match="count"):
            len(author.books)
        prefetched = Author.objects.prefetch_related(orm.Prefetch("books", Book.objects.filter(year__gt=1971))).get()
        with orm.assert_max_queries(0):
            assert len(prefetched.books) == 2 and prefetched.books and list(prefetched.books) == prefetched.books.all()

        book = author.books.get(year=1972)
        book.tags.add(*Tag.objects.filter(name="Lathe"))
        assert [tag.name for tag in book.tags] == ["Lathe", "Word"]
        book.tags.remove(Tag.objects.get(name="Word"))
        book.tags.set(Tag.objects.exclude(name="Lathe"))
        assert [tag.name for tag in book.tags.all()] == ["Dispossessed", "Word"]
        book.tags.clear()
        assert not book.tags.exists()

        with orm.assert_max_queries(3):
            (tree,) = Author.objects.graph({"books": {"tags": None}})
            assert [[tag.name for tag in book.tags] for book in tree.books] == [["Dispossessed"], [], ["Lathe"]]
        dicts = Author.objects.graph("books").as_dicts()
        assert [book["year"] for book in dicts[0]["books"]] == [1971, 1972, 1973]
        assert Author.objects.filter(books__in=Book.objects.filter(year=1971)).exists()
        assert Book.objects.filter(year=1971).union(Book.objects.filter(year=1972)).count() == 2
        assert (Book.objects.filter(year=1971) | Book.objects.filter(year=1972)).count() == 2
        newest = Book.objects.filter(author=orm.OuterRef("pk")).order_by("-year").values("title")[:1]
        assert Author.objects.annotate(newest=orm.Subquery(newest)).get().newest == "The Lathe of Heaven"
        assert Author.objects.annotate(n=orm.Count("books")).get().n == 3


def test_aggregates_bulk_and_streams(database: orm.Database) -> None:
    with orm.sync(models):
        made = Account.objects.bulk_create([{"balance": number} for number in range(1200)])
        assert Account.objects.aggregate(total=orm.Sum("balance"), n=orm.Count("id")) == {"total": 719400, "n": 1200}
        for account in made:
            account.balance = 1
        assert Account.objects.bulk_update(made, ["balance"]) == 1200
        assert sum(account.balance for account in Account.objects.iterator(chunk_size=100)) == 1200
        assert [len(batch) for batch in Account.objects.in_batches(500)] == [500, 500, 200]
        for _ in Account.objects.iterator():
            break  # the stream is closed
        page = Account.objects.order_by("id").page(size=1000)
        assert Account.objects.order_by("id").page(after=page.next_cursor).items[0] == made[1000]
        assert [row.pk for row in Account.raw("SELECT id, balance FROM sync_account WHERE id = :id", {"id": 5})] == [5]
        assert Account.objects.in_bulk([1, 2]).keys() == {1, 2}
        assert Account.objects.filter(id__gt=100).delete() == 1100


def test_outside_of_the_block_models_are_asynchronous(database: orm.Database) -> None:
    with orm.sync(models):
        author = fill()
    queryset = Author.objects.filter(name="Le Guin")
    assert isinstance(queryset, orm.QuerySet)
    assert orm.run(queryset) == [author]
    assert orm.run(author.save()) is author
    assert isinstance(author.books, orm.RelatedManager)


def test_a_task_on_an_event_loop_goes_on_to_await_in_the_block(database: orm.Database) -> None:
    with orm.sync(models):
        author = fill()

        async def count() -> int:
            author.name = "U. K. Le Guin"
            await author.save()
            assert isinstance(author.books, orm.RelatedManager)
            return await author.books.count() + len(await Book.objects.all())

        assert orm.run(count()) == 6


def test_the_block_gives_synchronous_forms_of_each_kind(database: orm.Database) -> None:
    with orm.sync(models) as db:
        author = fill()
    book = db(Book).get(year=1971)
    assert db(book).save() is book
    assert db(author.books).count() == 3 and db(book.tags).all()[0].name == "Dispossessed"
    assert db(Author.objects.filter(name="Le Guin")).all() == [author]
    assert db(Author.objects.graph("books")).get().books[0] == book
    assert db.run(Book.objects.count()) == 3
    with db.block(database.transaction()):
        db(Book).delete()
        database.set_rollback(True)
    assert db(Book).count() == 3

    @orm.sync(models)
    def titles() -> list[str]:
        return [each.title for each in Book.objects.filter(year=1971)]  # type: ignore[attr-defined]

    assert titles() == ["The Dispossessed"]
    for wrong in (lambda: orm.sync(), lambda: orm.sync(database), lambda: db(asyncio.sleep), lambda: db(3)):  # type: ignore[arg-type]
        with pytest.raises(orm.QueryError, match=r"orm\.sync\(\) takes"):
            wrong()


def test_models_that_are_declared_in_the_block(database: orm.Database) -> None:
    shop = orm.ModelRegistry(database=database)
    orm.sync(shop).start()
    try:

        class Owner(orm.Model):
            registry = shop

            class Meta:
                tablename = "sync_owner"

            name = orm.String(max_length=10)

        class Pet(orm.Model):
            registry = shop

            class Meta:
                tablename = "sync_pet"

            owner = orm.ForeignKey(Owner, related_name="pets")

        orm.run(shop.create_all())
        owner: Any = Owner.objects.create(name="a")
        assert owner.pets.create() == owner.pets.get() == Pet.objects.get()
        assert isinstance(Author.objects, orm.QuerySet)  # of a registry that no block is open for
    finally:
        orm.sync(shop).stop()
        orm.run(shop.drop_all())


def test_what_is_not_loaded_says_how_to_load_it_without_await(database: orm.Database) -> None:
    with orm.sync(models):
        author: Any = Author.objects.create(name="a")
        orm.sync(models)(Book).create(author=author, title="t")
        book: Any = Book.objects.get()
        with pytest.raises(orm.NotLoaded, match=r"Use `instance\.load\(\)`, `orm\.run\(orm\.load\(book, 'author'\)\)`"):
            print(book.author.name)
        orm.run(orm.load(book, "author"))
        assert book.author.name == "a"
        partial: Any = Book.objects.only("id").get()
        with pytest.raises(orm.NotLoaded, match=r"Use `instance\.load\(\)`, or load it"):
            print(partial.title)
        partial.load()
        assert partial.title == "t"
        with orm.Session(database) as session:
            expired: Any = session.get(Book, book.id)
            session.expire(expired)
            with pytest.raises(orm.NotLoaded, match=r"Use `session\.refresh\(instance\)`"):
                print(expired.title)
            session.refresh(expired)
            assert expired.title == "t"


def test_a_running_loop_is_refused_with_what_to_do(database: orm.Database) -> None:
    async def main() -> None:
        coroutine = Author.objects.count()
        for call in (
            lambda: orm.run(coroutine),
            lambda: orm.sync(models).start(),
            lambda: database.transaction().__enter__(),
        ):
            with pytest.raises(orm.InterfaceError, match=r"an event loop runs in this thread.*asyncio\.to_thread"):
                call()

    asyncio.run(main())
    orm.run(main())
    with orm.sync(models):
        assert asyncio.run(asyncio.to_thread(lambda: list(Author.objects.all()))) == []  # type: ignore[call-overload]
