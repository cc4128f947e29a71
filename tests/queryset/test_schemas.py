"""`using_schema()` and `orm.schema()`: many schemas (on MySQL, databases) on one pool."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import databases
import pytest

import orm
from orm.database.connections import schemas

ONE, TWO = "orm_tenant_1", "orm_tenant_2"


@pytest.fixture(autouse=True)
def no_schema_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests count the calls of a program that has used no schema."""
    monkeypatch.setattr(schemas, "in_use", False)


HOSTILE = [
    'quo"te',
    "back`tick",
    "semi; DROP TABLE author",
    "single'quote",
    "per%cent %s",
    "dotted.name",
    "select",
    "$1 :name ?",
    "__[SCHEMA__none]",
    "Ünïcode",
    "Upper",
]


def has_schemas(database: databases.Database) -> bool:
    return str(database.url.dialect) != "sqlite"


def models_on(database: databases.Database) -> Any:
    models = orm.ModelRegistry(database=database)

    class Author(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=50, unique=True)

    class Book(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        title = orm.String(max_length=50)
        author = orm.ForeignKey(Author, on_delete=orm.CASCADE, related_name="books")
        tags = orm.ManyToMany("Tag", related_name="books")

        class Meta:
            indexes = [orm.Index("title", "author")]

    class Tag(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=50)

    return SimpleNamespace(Author=Author, Book=Book, Tag=Tag, models=models, database=database)


@pytest.fixture
async def m(any_database: databases.Database) -> AsyncIterator[Any]:
    """The same tables in the default schema and in two others, which are dropped afterwards."""
    space = models_on(any_database)
    await space.models.create_all()
    names = [ONE, TWO] if has_schemas(any_database) else []
    for name in names:
        await space.models.drop_schema(name)
        await space.models.create_schema(name)
    yield space
    for name in names:
        await space.models.drop_schema(name)


pytestmark = [pytest.mark.anyio]


@pytest.fixture
async def tenants(m: Any) -> AsyncIterator[Any]:
    if has_schemas(m.database):
        yield m
        return
    # SQLite has no schemas: each of the tests is about the same refusal.
    with pytest.raises(orm.NotSupportedError, match="SQLite has no schemas"):
        await m.Author.objects.using_schema(ONE)
    yield None


def test_names_that_no_schema_has_are_refused(database: orm.Database) -> None:
    author = models_on(database).Author
    for name in ("", "a\0b", None, 3):
        with pytest.raises(orm.QueryError, match="name of a schema"):
            author.objects.using_schema(name)
    for name in ("", "a\0b", 3):
        with pytest.raises(orm.QueryError, match="name of a schema"), orm.schema(name):  # type: ignore[arg-type]
            pass


async def test_sqlite_refuses_schemas_by_name(sqlite_url: str) -> None:
    async with orm.Database(sqlite_url) as database:
        m = models_on(database)
        await m.models.create_all()
        with pytest.raises(orm.NotSupportedError, match="SQLite has no schemas"):
            await m.Author.objects.using_schema(ONE).count()
        with orm.schema(ONE):
            for work in (m.Author.objects.count, m.Author(name="x").save, m.models.create_all):
                with pytest.raises(orm.NotSupportedError, match="SQLite has no schemas"):
                    await work()
        with pytest.raises(orm.NotSupportedError, match="SQLite has no schemas"):
            await m.models.create_schema(ONE)
        assert await m.Author.objects.count() == 0


async def names(m: Any) -> list[list[str]]:
    """The authors of the default schema and of the two others."""
    return [
        await queryset.order_by("name").values_list("name", flat=True)
        for queryset in (m.Author.objects, m.Author.objects.using_schema(ONE), m.Author.objects.using_schema(TWO))
    ]


async def test_rows_of_a_schema_are_those_of_no_other(tenants: Any) -> None:
    m = tenants
    if m is None:
        return
    await m.Author.objects.create(name="Default")
    one = await m.Author.objects.using_schema(ONE).create(name="One")
    with orm.schema(TWO):
        two = m.Author(name="Two")
        await two.save()
        [other] = await m.Author.objects.bulk_create([{"name": "Three"}])
    assert await names(m) == [["Default"], ["One"], ["Three", "Two"]]
    one.name = "One again"
    await one.save()
    await two.update(name="Two again")
    await other.delete()
    assert await names(m) == [["Default"], ["One again"], ["Two again"]]


async def test_instances_stay_in_the_schema_that_they_come_from(tenants: Any) -> None:
    m = tenants
    if m is None:
        return
    default = await m.Author.objects.create(name="Default")
    with orm.schema(ONE):
        assert await m.Author.objects.count() == 0
        await m.Author.objects.create(id=default.id, name="One")
        loaded = await m.Author.objects.get(id=default.id)
        default.name = "Default again"
        await default.save()
        with orm.schema(TWO):
            await loaded.load()
            loaded.name = "One again"
            await loaded.save()
            with orm.schema(None):
                assert await m.Author.objects.values_list("name", flat=True) == ["Default again"]
    await loaded.load()
    assert await names(m) == [["Default again"], ["One again"], []]


async def _shelf(m: Any, schema: str, name: str) -> Any:
    """An author with two books and a tag."""
    with orm.schema(schema):
        author = await m.Author.objects.create_graph(
            {"name": name, "books": [{"title": f"{name} A"}, {"title": f"{name} B"}]}
        )
        await author.books[0].tags.add(await m.Tag.objects.create(name=f"tag of {name}"))
    return author


LOADS = {
    "prefetch": lambda q: q.prefetch_related("books__tags").get(),
    "graph": lambda q: q.graph("books__tags").get(),
    "load": lambda q: _loaded(q),
    "peers": lambda q: _peers(q),
}


async def _loaded(queryset: Any) -> Any:
    author = await queryset.get()
    await orm.load(author, "books__tags")
    return author


async def _peers(queryset: Any) -> Any:
    [author] = await queryset.fetch_mode(orm.PEERS)
    await author.books
    await author.books[0].tags
    await author.books[1].tags
    return author


@pytest.mark.parametrize("bind", ["using_schema", "block"])
@pytest.mark.parametrize("load", LOADS)
async def test_relations_are_loaded_from_the_same_schema(tenants: Any, load: str, bind: str) -> None:
    m = tenants
    if m is None:
        return
    await _shelf(m, ONE, "One")
    await _shelf(m, TWO, "Two")
    if bind == "block":
        with orm.schema(TWO):
            author = await LOADS[load](m.Author.objects)
    else:
        author = await LOADS[load](m.Author.objects.using_schema(TWO))
    books = sorted(author.books, key=lambda book: book.title)
    assert [book.title for book in books] == ["Two A", "Two B"]
    assert [tag.name for tag in [*books[0].tags, *books[1].tags]] == ["tag of Two"]
    books[0].title = "renamed"
    await books[0].save()
    assert await m.Book.objects.using_schema(TWO).filter(title="renamed").count() == 1
    assert await m.Book.objects.using_schema(ONE).filter(title="renamed").count() == 0


async def test_joins_subqueries_aggregates_and_writes_are_in_the_schema(tenants: Any) -> None:
    m = tenants
    if m is None:
        return
    await _shelf(m, ONE, "One")
    await _shelf(m, TWO, "Two")
    books = m.Book.objects.using_schema(TWO)
    assert await books.filter(author__name="Two", tags__name="tag of Two").count() == 1
    assert await books.filter(author__in=m.Author.objects.filter(name="Two")).count() == 2
    assert await books.aggregate(n=orm.Count("author", distinct=True)) == {"n": 1}
    joined = await books.select_related("author").order_by("title").first()
    assert joined.author.name == "Two"
    joined.author.name = "Two again"
    await joined.author.save()
    assert await books.filter(author__name="Two again").update(title="same") == 2
    assert await m.Book.objects.using_schema(ONE).filter(title="same").count() == 0
    assert await books.filter(title="same").delete() == 2
    assert [await m.Book.objects.using_schema(name).count() for name in (ONE, TWO)] == [2, 0]


async def test_related_managers_and_pairs_write_to_the_schema(tenants: Any) -> None:
    m = tenants
    if m is None:
        return
    await _shelf(m, TWO, "Two")
    author = await m.Author.objects.using_schema(ONE).create(name="One")
    book = await author.books.create(title="One A")
    tag = await book.tags.create(name="tag of One")
    assert await book.tags.count() == await tag.books.count() == 1
    sparse = await m.Book.objects.using_schema(ONE).get()
    assert (await sparse.author).name == "One"
    await book.tags.clear()
    assert [await m.models.models["Book_tags"].objects.using_schema(name).count() for name in (ONE, TWO)] == [0, 1]
    assert await author.delete() == 1
    assert [await m.Book.objects.using_schema(name).count() for name in (ONE, TWO)] == [0, 2], "the cascade"


async def test_many_rows_are_written_to_the_schema(tenants: Any) -> None:
    m = tenants
    if m is None:
        return
    authors = m.Author.objects.using_schema(ONE)
    made = await authors.bulk_create([{"name": f"n{i}"} for i in range(5)])
    for each in made:
        each.name += "!"
    assert await authors.bulk_update(made, ["name"]) == 5
    got, created = await authors.get_or_create(name="new")
    assert created
    assert await authors.get_or_create(name="new") == (got, False)
    await got.update(name="newer")
    assert [len(each) for each in await names(m)] == [0, 6, 0]
    async for batch in authors.in_batches(2):
        await batch[0].load()
    page = await authors.order_by("name").page(size=2)
    await page.items[0].load()
    assert [each.name async for each in authors.order_by("name")] == ["n0!", "n1!", "n2!", "n3!", "n4!", "newer"]


async def test_violation_in_a_schema_names_its_fields(tenants: Any) -> None:
    m = tenants
    if m is None:
        return
    authors = m.Author.objects.using_schema(ONE)
    await m.Author.objects.create(name="same")
    await authors.create(name="same")
    with pytest.raises(orm.UniqueViolation) as caught:
        await authors.create(name="same")
    assert (caught.value.model, caught.value.fields) == (m.Author, ("name",))
    with pytest.raises(orm.ForeignKeyViolation):
        await m.Book.objects.using_schema(TWO).create(title="x", author_id=1)


async def test_schemas_are_in_the_same_transaction_and_its_tasks(tenants: Any) -> None:
    m = tenants
    if m is None:
        return

    async def write(name: str) -> None:
        with orm.schema(name):
            await m.Author.objects.create(name=name)

    with contextlib.suppress(ZeroDivisionError):
        async with m.database.transaction():
            await write(ONE)
            await m.Author.objects.using_schema(TWO).create(name="two")
            await m.Author.objects.create(name="default")
            assert [len(each) for each in await names(m)] == [1, 1, 1]
            raise ZeroDivisionError
    assert await names(m) == [[], [], []]
    if isinstance(m.database, orm.Database):
        async with m.database.transaction():
            await asyncio.gather(write(ONE), write(TWO))
            assert m.database.pool_status().in_use == 1
        await asyncio.gather(*(write_other(m, name) for name in (ONE, TWO) for _ in range(3)))
        expected = [[name, *(f"{name} {i}" for i in range(3))] for name in (ONE, TWO)]
        assert await names(m) == [[], *expected]


async def write_other(m: Any, name: str) -> None:
    """Tasks at the same time, each in its own schema."""
    with orm.schema(name):
        for i in range(3):
            await asyncio.sleep(0)
            await m.Author.objects.get_or_create(name=f"{name} {i}")


async def test_plans_of_schemas_are_not_mixed(tenants: Any) -> None:
    m = tenants
    if m is None:
        return
    for name in (ONE, TWO):
        await m.Author.objects.using_schema(name).create(name=name)
    orm.plan_cache_clear()
    for _ in range(2):
        for name in (ONE, TWO):
            assert await m.Author.objects.using_schema(name).filter(name__contains="tenant").values_list(
                "name", flat=True
            ) == [name]
        assert await m.Author.objects.filter(name__contains="tenant") == []
    assert orm.plan_cache_info().misses == 3


async def test_schema_of_meta_stays(any_database: databases.Database) -> None:
    if not has_schemas(any_database):
        return
    models = orm.ModelRegistry(database=any_database)

    class Plan(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=50)

        class Meta:
            schema = TWO

    class Customer(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        plan = orm.ForeignKey(Plan, on_delete=orm.CASCADE)

    await models.drop_schema(TWO)
    await models.create_schema(TWO)
    await models.create_schema(ONE)
    try:
        plan = await Plan.objects.create(name="free")
        with orm.schema(ONE):
            await Customer.objects.create(plan=plan)
            assert (await Customer.objects.select_related("plan").get()).plan.name == "free"
            assert (await Plan.objects.get()).name == "free"
        assert await Customer.objects.using_schema(TWO).count() == 0
    finally:
        for name in (ONE, TWO):
            await models.drop_schema(name)


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_names_are_identifiers(database: orm.Database, name: str) -> None:
    if not has_schemas(database):
        return
    m = models_on(database)
    await m.models.create_all()
    await m.Author.objects.create(name="default")
    name = f"orm {name}"
    await m.models.create_schema(name)
    try:
        with orm.schema(name):
            author = await m.Author.objects.create_graph({"name": "here", "books": [{"title": "a"}]})
            assert [book.title for book in await author.books.filter(author__name="here")] == ["a"]
            assert await m.Author.objects.filter(name="here").update(name="there %s") == 1
            tree = await m.Author.objects.graph("books").get()
            assert [book.title for book in tree.books] == ["a"]
            await m.Author.objects.bulk_create([{"name": f"n{i}"} for i in range(3)])
            assert await m.Author.objects.count() == 4
        assert await m.Author.objects.values_list("name", flat=True) == ["default"]
    finally:
        await m.models.drop_schema(name)
    await m.models.drop_schema(name)


async def test_name_that_the_server_would_cut_is_refused(database: orm.Database) -> None:
    if not has_schemas(database):
        return
    author = models_on(database).Author
    with pytest.raises((orm.NotSupportedError, orm.DatabaseError)):
        await author.objects.using_schema("x" * 300).count()
    if str(database.url.dialect) == "postgresql":
        with pytest.raises(orm.NotSupportedError, match="63 bytes"):
            await author.objects.using_schema("é" * 32).count()


async def test_tables_are_created_and_dropped_in_the_schema(tenants: Any) -> None:
    m = tenants
    if m is None:
        return
    with orm.schema(ONE):
        await m.models.create_all()
        await m.models.drop_all()
        with pytest.raises(orm.DatabaseError):
            await m.Author.objects.count()
        await m.models.create_all()
        assert await m.Author.objects.count() == 0
    assert await names(m) == [[], [], []]


async def test_hooks_versions_and_graphs_are_in_the_schema(database: orm.Database) -> None:
    if not has_schemas(database):
        return
    models = orm.ModelRegistry(database=database)
    seen: list[tuple[str, int]] = []

    class Doc(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        title = orm.String(max_length=20)
        version = orm.Version()

        class Meta:
            track_changes = True

        async def after_save(self, *, created: bool, update_fields: frozenset[str] | None) -> None:
            seen.append((self.title, await Doc.objects.using_schema(ONE).count()))

        async def after_delete(self) -> None:
            seen.append(("deleted", await Doc.objects.using_schema(ONE).count()))

    class Page(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        doc = orm.ForeignKey(Doc, on_delete=orm.CASCADE, related_name="pages")
        text = orm.String(max_length=20)

    await models.create_all()
    await models.drop_schema(ONE)
    await models.create_schema(ONE)
    try:
        doc = await Doc.objects.using_schema(ONE).create(title="a")
        stale = await Doc.objects.using_schema(ONE).get()
        doc.title = "b"
        await doc.save(changed_only=True)
        with pytest.raises(orm.StaleObject):
            await stale.delete()
        written = await Doc.objects.using_schema(ONE).update_graph(
            {"id": doc.id, "version": 2, "pages": [{"text": "one"}]}
        )
        assert [page.text for page in written.pages] == ["one"]
        assert await Page.objects.using_schema(ONE).update(text="two", returning=["text"]) == [{"text": "two"}]
        assert (await written.collect_delete()).total == 2
        await written.delete()
        assert await Page.objects.using_schema(ONE).count() == 0
        assert seen == [("a", 1), ("b", 1), ("deleted", 0)]
        assert await Doc.objects.count() == 0
    finally:
        await models.drop_schema(ONE)
