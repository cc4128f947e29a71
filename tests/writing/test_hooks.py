"""Signals, and the hook methods of models: which writes send them, with what, in which order and transaction."""

from __future__ import annotations

import asyncio
import enum
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from orm.database.connections.sql_transaction import SQLTransaction
from orm.mapping.signals import SIGNALS

pytestmark = pytest.mark.anyio
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "hooks.md"
models = orm.ModelRegistry()


class Author(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50)
    books: orm.RelatedManager[Book]


class Titled(orm.Model):
    """An abstract base, whose hooks its models inherit."""

    title = orm.String(max_length=50)

    class Meta:
        abstract = True


class Book(Titled):
    registry = models

    id = orm.Integer(primary_key=True)
    author: Any = orm.ForeignKey(Author, on_delete=orm.CASCADE, allow_null=True, related_name="books")
    tags: Any = orm.ManyToMany("Tag", related_name="books")
    chapters: orm.RelatedManager[Chapter]


class Chapter(Titled):
    registry = models

    id = orm.Integer(primary_key=True)
    book: Any = orm.ForeignKey(Book, on_delete=orm.CASCADE, related_name="chapters")


class Tag(orm.Model):
    registry = models

    name = orm.String(max_length=20, primary_key=True)
    books: orm.ManyToManyManager[Book]


class Person(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    friends: Any = orm.ManyToMany("self")


class Node(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    parent: Any = orm.ForeignKey("Node", on_delete=orm.CASCADE, allow_null=True, related_name="children")


class Kind(enum.Enum):
    SIZE = "size"
    COLOUR = "colour"


class Setting(orm.Model):
    registry = models

    kind = orm.Enum(Kind, primary_key=True)


class Counter(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    hits = orm.Integer(default=0)
    version = orm.Version()


class Article(orm.Model):
    """A model with hook methods, some of them async."""

    registry = models

    id = orm.Integer(primary_key=True)
    title = orm.String(max_length=50)
    slug = orm.String(max_length=50, allow_blank=True, default="")
    parent: Any = orm.ForeignKey("Article", on_delete=orm.CASCADE, allow_null=True, related_name="children")

    calls: Any = []

    def before_save(self, *, created: bool, update_fields: frozenset[str] | None) -> None:
        self.slug = self.title.lower()
        self.calls.append(("before_save", created, update_fields))

    async def after_save(self, *, created: bool, update_fields: frozenset[str] | None) -> None:
        await super().after_save(created=created, update_fields=update_fields)
        self.calls.append(("after_save", created, update_fields, self.pk is not None))
        if self.title == "Refused":
            raise ValueError("refused")

    async def before_delete(self) -> None:
        self.calls.append(("before_delete", self.title, await Article.objects.filter(id=self.id).exists()))

    def after_delete(self) -> None:
        super().after_delete()
        self.calls.append(("after_delete", self.title))


@pytest.fixture
async def library(any_database: databases.Database) -> databases.Database:
    models.database = any_database
    await models.create_all()
    return any_database


@pytest.fixture(autouse=True)
def no_receivers_stay() -> Iterator[None]:
    Article.calls.clear()
    yield
    for signal in SIGNALS:
        for receiver in list(signal.receivers):
            signal.disconnect(receiver.identity, receiver.sender)
    assert Book._meta.hooks is None


class Log:
    """Records the signals of all models, or of one."""

    def __init__(self, sender: type[orm.Model] | None = None, signals: Any = SIGNALS) -> None:
        self.received: list[dict[str, Any]] = []
        for signal in signals:
            signal.connect(self.receive, sender)

    async def receive(self, **details: Any) -> None:
        self.received.append(details)

    @property
    def names(self) -> list[str]:
        return [each["signal"].name for each in self.received]


async def book(**values: Any) -> Book:
    return await Book.objects.create(**{"title": "Emma", **values})


# What each operation sends.


async def _nothing() -> None:
    return None


async def _with_tag() -> Book:
    made = await book()
    await made.tags.create(name="old")
    return made


Prepare = Callable[[], Awaitable[Any]]
Run = Callable[[Any], Awaitable[Any]]
OPERATIONS: dict[str, tuple[Prepare, Run]] = {
    "`save()` of a new instance": (_nothing, lambda _: Book(title="Emma").save()),
    "`save()` of a loaded instance": (book, lambda made: made.save()),
    "`save(update_fields=[...])`": (book, lambda made: made.save(update_fields=["title"])),
    "`save(update_fields=[])`": (book, lambda made: made.save(update_fields=[])),
    "`create()`": (_nothing, lambda _: Book.objects.create(title="Emma")),
    "`get_or_create()`, `update_or_create()` of a new row": (
        _nothing,
        lambda _: Book.objects.get_or_create(title="Emma"),
    ),
    "`get_or_create()` of an existing row": (book, lambda _: Book.objects.get_or_create(title="Emma")),
    "`update_or_create()` of an existing row": (
        book,
        lambda made: Book.objects.update_or_create({"title": "Persuasion"}, id=made.id),
    ),
    "`instance.update()`": (book, lambda made: made.update(title="Persuasion")),
    "`instance.delete()`": (book, lambda made: made.delete()),
    "`QuerySet.delete()`": (book, lambda _: Book.objects.all().delete()),
    "`QuerySet.update()`": (book, lambda _: Book.objects.all().update(title="Persuasion")),
    "`bulk_create()`, `upsert()`": (
        _nothing,
        lambda _: Book.objects.bulk_create([{"title": "Emma"}, {"title": "Persuasion"}]),
    ),
    "`bulk_update()`": (book, lambda made: Book.objects.bulk_update([made], ["title"])),
    "`create_graph()`": (_nothing, lambda _: Book.objects.create_graph({"title": "Emma", "tags": [{"name": "new"}]})),
    "`tags.add()`, `tags.remove()`, `tags.clear()`": (book, lambda made: made.tags.clear()),
    "`tags.set()`": (_with_tag, lambda made: made.tags.set([])),
    "`tags.create()`": (book, lambda made: made.tags.create(name="new")),
    "`books.add()`, `books.remove()`, `books.clear()`, `books.set()`": (
        lambda: Author.objects.create(name="Austen"),
        lambda author: author.books.clear(),
    ),
    "`books.add(bulk=False)`": (
        lambda: Author.objects.create(name="Austen"),
        lambda author: author.books.add(Book(title="Emma"), bulk=False),
    ),
}


def documented() -> dict[str, list[str]]:
    """The table of the documentation: the signals by operation."""
    rows = re.findall(r"^\| (`.*?) +\| (.*?) +\|$", DOCUMENTATION.read_text(), re.MULTILINE)
    return {operation: re.findall(r"`(\w+)`", signals) for operation, signals in rows if operation in OPERATIONS}


def test_documentation_has_a_row_for_each_operation() -> None:
    assert list(documented()) == list(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_each_operation_sends_the_documented_signals(library: databases.Database, operation: str) -> None:
    prepare, run = OPERATIONS[operation]
    prepared = await prepare()
    log = Log()
    await run(prepared)
    assert list(dict.fromkeys(log.names)) == documented()[operation]
    assert all(each["using"] is library for each in log.received)


# Saving.


async def test_save_sends_what_django_sends(library: databases.Database) -> None:
    log = Log(Book)
    made = Book(title="Emma")
    await made.save()
    await made.save()
    await made.save(update_fields=["title"])
    partial = await Book.objects.only("id", "title").get()
    await partial.save()
    seen = [(each["signal"].name, each["created"], each["update_fields"], each["raw"]) for each in log.received]
    title = frozenset({"title"})
    assert seen == [
        ("pre_save", True, None, False),
        ("post_save", True, None, False),
        ("pre_save", False, None, False),
        ("post_save", False, None, False),
        ("pre_save", False, title, False),
        ("post_save", False, title, False),
        ("pre_save", False, title, False),
        ("post_save", False, title, False),
    ]
    assert all(each["sender"] is Book for each in log.received)
    assert log.received[0]["instance"] is made


async def test_instance_with_a_key_that_has_no_row_is_created(library: databases.Database) -> None:
    log = Log(Tag, [orm.post_save])
    await Tag(name="new").save()
    await Tag(name="new").save()
    assert [each["created"] for each in log.received] == [True, False]


async def test_pre_save_changes_what_is_saved_before_it_is_validated(library: databases.Database) -> None:
    def fill(instance: Any, **details: Any) -> None:
        instance.title = instance.title or "Untitled"

    orm.pre_save.connect(fill, Book)
    made = await Book.objects.create(title="")
    assert made.title == "Untitled"
    assert await Book.objects.filter(title="Untitled").count() == 1


async def test_update_of_an_instance_sends_its_names(library: databases.Database) -> None:
    made = await book()
    log = Log(Book)
    await made.update(title="Persuasion")
    assert log.received[0]["update_fields"] == frozenset({"title"})
    assert (await Book.objects.get()).title == "Persuasion"


@pytest.mark.parametrize("signal", [orm.pre_save, orm.post_save], ids=str)
async def test_error_in_a_receiver_rolls_the_save_back(library: databases.Database, signal: orm.Signal) -> None:
    async def remember(**details: Any) -> None:
        await Tag.objects.create(name="seen")

    def refuse(**details: Any) -> None:
        raise ValueError("refused")

    orm.pre_save.connect(remember, Book)
    signal.connect(refuse, Book)
    made = Book(title="Emma")
    with pytest.raises(ValueError, match="refused"):
        await made.save()
    assert await Book.objects.count() == 0
    assert await Tag.objects.count() == 0
    signal.disconnect(refuse, Book)
    orm.pre_save.disconnect(remember, Book)
    await made.save()  # it is still a new instance
    assert await Book.objects.count() == 1


async def test_version_of_an_instance_whose_save_was_rolled_back_is_the_row_s(library: databases.Database) -> None:
    counter = await Counter.objects.create()

    def refuse(**details: Any) -> None:
        raise ValueError("refused")

    orm.post_save.connect(refuse, Counter)
    counter.hits = 1
    with pytest.raises(ValueError, match="refused"):
        await counter.save()
    assert counter.hits == 1
    orm.post_save.disconnect(refuse, Counter)
    await counter.save()
    assert (await Counter.objects.get()).hits == 1


async def test_instance_whose_commit_fails_is_as_it_was(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    models.database = database
    await models.create_all()
    counter = await Counter.objects.create()
    orm.post_save.connect(lambda **details: None, Counter)

    async def fail(transaction: SQLTransaction) -> None:
        await transaction.rollback()
        raise orm.SerializationFailure("the commit failed")

    with monkeypatch.context() as patch:
        patch.setattr(SQLTransaction, "commit", fail)
        for instance in (Counter(), counter):
            before = dict(instance.__dict__)
            with pytest.raises(orm.SerializationFailure):
                await instance.save()
            assert instance.__dict__ == before
    counter.hits = 1
    await counter.save()
    assert await Counter.objects.values_list("hits", flat=True) == [1]


async def test_instance_is_as_it_was_if_a_receiver_has_the_write_rolled_back(database: Database) -> None:
    models.database = database
    await models.create_all()
    made = await book()

    def roll_back(using: Database, **details: Any) -> None:
        using.set_rollback(True)

    for signal in (orm.post_save, orm.post_delete):
        signal.connect(roll_back, Book)
    new = Book(title="Persuasion")
    await new.save()
    assert new.pk is None and not new._persisted
    await made.delete()
    assert made.pk is not None and made._persisted
    assert await Book.objects.all() == [made]


async def test_error_inside_a_transaction_rolls_back_the_write_alone(library: databases.Database) -> None:
    def refuse(instance: Any, **details: Any) -> None:
        if instance.title == "Refused":
            raise ValueError("refused")

    orm.post_save.connect(refuse, Book)
    async with library.transaction():
        await book()
        with pytest.raises(ValueError, match="refused"):
            await book(title="Refused")
    assert await Book.objects.values_list("title", flat=True) == ["Emma"]


async def test_cancelled_save_is_rolled_back_and_its_instance_unsaved(database: Database) -> None:
    models.database = database
    await models.create_all()
    waiting = asyncio.Event()

    async def wait(**details: Any) -> None:
        waiting.set()
        await asyncio.sleep(60)

    orm.post_save.connect(wait, Book)
    made = Book(title="Emma")
    task = asyncio.create_task(made.save())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made.pk is None
    assert not made._persisted
    assert await Book.objects.count() == 0


# Methods of models.


async def test_methods_of_a_model_are_called_around_its_writes(library: databases.Database) -> None:
    article = await Article.objects.create(title="Hooks")
    child = await Article.objects.create(title="Child", parent=article)
    assert (await Article.objects.get(id=article.id)).slug == "hooks"
    article.title = "Signals"
    await article.save(update_fields=["title", "slug"])
    await article.delete()
    fields = frozenset({"title", "slug"})
    assert Article.calls == [
        ("before_save", True, None),
        ("after_save", True, None, True),
        ("before_save", True, None),
        ("after_save", True, None, True),
        ("before_save", False, fields),
        ("after_save", False, fields, True),
        ("before_delete", "Signals", True),
        ("before_delete", "Child", True),
        ("after_delete", "Child"),
        ("after_delete", "Signals"),
    ]
    assert child.id is not None


async def test_error_in_a_method_rolls_the_save_back(library: databases.Database) -> None:
    with pytest.raises(ValueError, match="refused"):
        await Article.objects.create(title="Refused")
    assert await Article.objects.count() == 0


async def test_methods_and_receivers_of_an_abstract_base_are_those_of_its_models(library: databases.Database) -> None:
    calls = []

    class Audited(orm.Model):
        async def after_save(self, *, created: bool, update_fields: frozenset[str] | None) -> None:
            calls.append((type(self).__name__, created))

        class Meta:
            abstract = True

    class Invoice(Audited):
        registry = orm.ModelRegistry(library)

        number = orm.Integer()

    orm.post_save.connect(lambda sender, **details: calls.append((sender.__name__, "receiver")), Audited)
    try:
        await Invoice.registry.create_all()
        await Invoice.objects.create(number=1)
        assert calls == [("Invoice", True), ("Invoice", "receiver")]
    finally:
        await Invoice.registry.drop_all()


async def test_receiver_of_a_base_is_called_for_models_declared_later(library: databases.Database) -> None:
    log = Log(Titled, [orm.post_save])
    await book()
    await Tag.objects.create(name="other")
    await Chapter.objects.create(title="I", book=await book())
    assert [each["sender"] for each in log.received] == [Book, Book, Chapter]


async def test_receiver_of_all_models_is_not_called_for_created_through_models(library: databases.Database) -> None:
    log = Log(None, [orm.pre_delete, orm.post_delete, orm.pre_bulk_create])
    made = await _with_tag()
    await made.delete()
    assert {each["sender"] for each in log.received} == {Book}


# Deleting.


async def test_cascade_sends_the_signals_of_every_row_children_first(library: databases.Database) -> None:
    author = await Author.objects.create(name="Austen")
    books = [await book(author=author), await book(author=author, title="Persuasion")]
    chapters = [await Chapter.objects.create(title=str(i), book=books[i % 2]) for i in range(4)]
    seen: list[tuple[str, str, int, bool]] = []

    async def see(signal: orm.Signal, sender: Any, instance: Any, origin: Any, **details: Any) -> None:
        assert origin is author
        seen.append((signal.name, sender.__name__, instance.id, await Author.objects.exists()))

    for signal in (orm.pre_delete, orm.post_delete):
        signal.connect(see, Chapter)
        signal.connect(see, Author)
    identities = [chapter.id for chapter in chapters]
    key = author.id
    assert await author.delete() == 1
    assert author.id is None
    assert seen == [
        *(("pre_delete", "Chapter", identity, True) for identity in identities),
        ("pre_delete", "Author", key, True),
        *(("post_delete", "Chapter", identity, True) for identity in reversed(identities)),
        ("post_delete", "Author", key, False),
    ]
    assert await Book.objects.count() == await Chapter.objects.count() == 0


async def test_delete_of_a_queryset_sends_each_row_with_the_queryset(library: databases.Database) -> None:
    author = await Author.objects.create(name="Austen")
    for title in "abc":
        await book(title=title, author=author)
    log = Log(Book)
    queryset = Book.objects.filter(author__name="Austen", title__in=["a", "b"])
    assert await queryset.delete() == 2
    assert log.names == ["pre_delete"] * 2 + ["post_delete"] * 2
    assert {each["instance"].title for each in log.received} == {"a", "b"}
    assert all(each["origin"] is queryset for each in log.received)
    assert await Book.objects.values_list("title", flat=True) == ["c"]


async def test_rows_that_reference_each_other_are_deleted_with_their_signals(library: databases.Database) -> None:
    root = await Node.objects.create()
    child = await Node.objects.create(parent=root)
    grandchild = await Node.objects.create(parent=child)
    await root.update(parent=grandchild)
    log = Log(Node, [orm.post_delete])
    identities = {root.id, child.id, grandchild.id}
    seen = set()
    orm.pre_delete.connect(lambda instance, **details: seen.add(instance.id), Node)
    await child.delete()
    assert seen == identities
    assert len(log.received) == 3
    assert await Node.objects.count() == 0


async def test_receivers_beside_one_after_the_commit_get_the_deleted_instance_itself(database: Database) -> None:
    models.database = database
    await models.create_all()
    seen: list[Any] = []
    orm.post_delete.connect(lambda **details: None, Book, after_commit=True, dispatch_uid="first")
    orm.post_delete.connect(lambda instance, **details: seen.append(instance), Book)
    made = await book()
    await made.delete()
    assert seen[0] is made


async def test_rows_whose_keys_have_no_order_are_deleted_with_their_signals(library: databases.Database) -> None:
    await Setting.objects.bulk_create([{"kind": kind} for kind in Kind])
    seen: list[Any] = []
    orm.pre_delete.connect(lambda instance, **details: seen.append(instance.kind), Setting)
    await Setting.objects.filter(kind__in=list(Kind)).delete()
    assert seen == [Kind.COLOUR, Kind.SIZE]


async def test_delete_that_a_receiver_refuses_deletes_nothing(library: databases.Database) -> None:
    author = await Author.objects.create(name="Austen")
    await book(author=author)

    def refuse(**details: Any) -> None:
        raise ValueError("refused")

    orm.post_delete.connect(refuse, Author)
    with pytest.raises(ValueError, match="refused"):
        await author.delete()
    assert author.id is not None
    assert await Book.objects.count() == 1
    with pytest.raises(ValueError, match="refused"):
        await Author.objects.all().delete()
    assert await Author.objects.count() == 1


async def test_row_that_is_referenced_by_a_unique_field_deletes_by_it(library: databases.Database) -> None:
    made = await _with_tag()
    await Tag.objects.create(name="other")
    log = Log(Tag)
    await Tag.objects.filter(books=made).delete()
    assert [each["instance"]._persisted for each in log.received] == [False, False]
    assert await Tag.objects.values_list("name", flat=True) == ["other"]
    assert await made.tags.count() == 0


# Many rows.


async def test_bulk_writes_send_their_instances_and_what_they_matched(library: databases.Database) -> None:
    log = Log(Book)
    made = await Book.objects.bulk_create([{"title": "a"}, {"title": "b"}])
    for each in made:
        each.title = each.title.upper()
    await Book.objects.bulk_update(made, ["title"])
    await Book.objects.filter(title="A").update(title="x")
    pre_create, post_create, pre_bulk_update, post_bulk_update, pre_update, post_update = log.received
    assert pre_create["instances"] == post_create["instances"] == made
    assert pre_create["ignore_conflicts"] is pre_create["update_conflicts"] is False
    assert pre_bulk_update["fields"] == ["title"]
    assert post_bulk_update["matched"] == 2
    assert pre_update["values"] == {"title": "x"}
    assert post_update["matched"] == 1
    assert await Book.objects.order_by("id").values_list("title", flat=True) == ["x", "B"]


async def test_receivers_change_rows_before_they_are_validated_in_bulk(library: databases.Database) -> None:
    def fill(instances: list[Any], **details: Any) -> None:
        for each in instances:
            each.title = each.title or "Untitled"

    orm.pre_bulk_create.connect(fill, Book)
    await Book.objects.bulk_create([{"title": ""}, {"title": "a"}])
    await Book.objects.create_graph({"title": "", "tags": [{"name": "new"}]})
    await Chapter.objects.bulk_create([Chapter(title="I", book=Book(title=""))])
    assert sorted(await Book.objects.values_list("title", flat=True)) == ["Untitled", "Untitled", "Untitled", "a"]


async def test_bulk_create_that_a_receiver_refuses_leaves_the_instances_unsaved(library: databases.Database) -> None:
    def refuse(**details: Any) -> None:
        raise ValueError("refused")

    orm.post_bulk_create.connect(refuse, Book)
    made = [Book(title="a"), Book(title="b")]
    with pytest.raises(ValueError, match="refused"):
        await Book.objects.bulk_create(made)
    assert [each.pk for each in made] == [None, None]
    assert await Book.objects.count() == 0
    orm.post_bulk_create.disconnect(refuse, Book)
    await Book.objects.bulk_create(made)
    assert await Book.objects.count() == 2


# Many-to-many relations.


def changes(log: Log) -> list[tuple[str, bool, Any]]:
    return [(each["action"], each["reverse"], each["pk_set"]) for each in log.received]


async def test_many_to_many_writes_send_what_changes(library: databases.Database) -> None:
    made = await book()
    await Tag.objects.bulk_create([{"name": name} for name in "abc"])
    log = Log(Book.tags, [orm.m2m_changed])
    await made.tags.add("a", "b")
    await made.tags.add("a")
    await made.tags.add()
    await made.tags.set(["b", "c"])
    await made.tags.set(["b", "c"])
    await made.tags.set(["c"])
    await made.tags.clear()
    assert changes(log) == [
        ("pre_add", False, {"a", "b"}),
        ("post_add", False, {"a", "b"}),
        ("pre_add", False, set()),
        ("post_add", False, set()),
        ("pre_remove", False, {"a"}),
        ("post_remove", False, {"a"}),
        ("pre_add", False, {"c"}),
        ("post_add", False, {"c"}),
        ("pre_remove", False, {"b"}),
        ("post_remove", False, {"b"}),
        ("pre_clear", False, None),
        ("post_clear", False, None),
    ]
    assert all(each["instance"] is made and each["model"] is Tag for each in log.received)
    log.received.clear()
    tag = await Tag.objects.get(name="a")
    await tag.books.add(made)
    await tag.books.remove(made)
    assert changes(log) == [
        (f"{when}_{what}", True, {made.id}) for what in ("add", "remove") for when in ("pre", "post")
    ]
    assert log.received[0]["model"] is Book


async def test_symmetrical_relation_is_mentioned_in_one_direction(library: databases.Database) -> None:
    one, other = await Person.objects.create(), await Person.objects.create()
    log = Log(Person.friends, [orm.m2m_changed])
    await one.friends.add(other)
    assert changes(log) == [("pre_add", False, {other.id}), ("post_add", False, {other.id})]
    assert [person.id for person in await other.friends] == [one.id]
    await other.friends.set([])
    assert changes(log)[2:] == [("pre_remove", False, {one.id}), ("post_remove", False, {one.id})]
    assert await one.friends.count() == 0


async def test_many_to_many_write_that_a_receiver_refuses_is_rolled_back(library: databases.Database) -> None:
    made = await _with_tag()

    def refuse(action: str, **details: Any) -> None:
        if action.startswith("post_"):
            raise ValueError("refused")

    orm.m2m_changed.connect(refuse, Book.tags)
    for write in (made.tags.clear, lambda: made.tags.create(name="new"), lambda: made.tags.remove("old")):
        with pytest.raises(ValueError, match="refused"):
            await write()
    assert await Tag.objects.values_list("name", flat=True) == ["old"]
    assert await made.tags.count() == 1


# After the commit.


async def test_receivers_after_the_commit_run_when_it_is_done(database: Database) -> None:
    models.database = database
    await models.create_all()
    seen: list[Any] = []

    async def see(signal: orm.Signal, instance: Any, **details: Any) -> None:
        seen.append((signal.name, instance.id))

    for signal in (orm.post_save, orm.post_delete):
        signal.connect(see, Book, after_commit=True)
    async with database.transaction():
        made = await book()
        assert seen == []
    key = made.id
    assert seen == [("post_save", key)]
    with pytest.raises(ZeroDivisionError):
        async with database.transaction():
            await made.save()
            raise ZeroDivisionError
    await made.delete()
    assert seen == [("post_save", key), ("post_delete", key)]


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_instance_is_saved_although_a_receiver_fails_after_the_commit(
    database: Database, in_transaction: bool
) -> None:
    models.database = database
    await models.create_all()

    def fail(**details: Any) -> None:
        raise ValueError("too late")

    orm.post_save.connect(fail, Book, after_commit=True)
    if in_transaction:
        orm.post_save.connect(lambda **details: None, Book)
    made = Book(title="Emma")
    with pytest.raises(ValueError, match="too late"):
        await made.save()
    orm.post_save.disconnect(fail, Book)
    await made.save()
    assert await Book.objects.count() == 1


async def test_instance_is_deleted_although_a_receiver_fails_after_the_commit(database: Database) -> None:
    models.database = database
    await models.create_all()

    def fail(**details: Any) -> None:
        raise ValueError("too late")

    orm.post_delete.connect(fail, Book, after_commit=True)
    made = await book()
    with pytest.raises(ValueError, match="too late"):
        await made.delete()
    assert made.pk is None and not made._persisted
    assert await Book.objects.count() == 0


async def test_many_to_many_receivers_after_the_commit_hear_of_what_has_changed(database: Database) -> None:
    models.database = database
    await models.create_all()
    actions: list[str] = []
    orm.m2m_changed.connect(lambda action, **details: actions.append(action), Tag.books, after_commit=True)
    made = await _with_tag()
    await made.tags.clear()
    assert actions == ["post_add", "post_clear"]


async def test_receiver_after_the_commit_needs_a_database_that_tells(database_url: str) -> None:
    async with databases.Database(database_url) as plain:
        models.database = plain
        await models.create_all()
        orm.post_save.connect(lambda **details: None, Book, after_commit=True)
        with pytest.raises(orm.NotSupportedError, match=r"needs an orm\.Database"):
            await book()


# Connecting.


async def test_receiver_is_connected_once_and_disconnected(library: databases.Database) -> None:
    calls = []

    @orm.receiver([orm.pre_save, orm.post_save], sender=Book)
    def count(signal: orm.Signal, **details: Any) -> None:
        calls.append(signal.name)

    orm.post_save.connect(count, Book)
    orm.post_save.connect(lambda **details: calls.append("uid"), Book, dispatch_uid="one")
    orm.post_save.connect(lambda **details: calls.append("not connected"), Book, dispatch_uid="one")
    assert orm.post_save.has_listeners(Book)
    assert not orm.post_save.has_listeners(Tag)
    await book()
    assert calls == ["pre_save", "post_save", "uid"]
    assert orm.pre_save.disconnect(count, Book)
    assert not orm.pre_save.disconnect(count, Book)
    assert orm.post_save.disconnect(count, Book)
    assert orm.post_save.disconnect(sender=Book, dispatch_uid="one")
    assert Book._meta.hooks is None


def test_receiver_without_keyword_arguments_raises() -> None:
    def receive(instance: Any) -> None:
        pass

    with pytest.raises(orm.QueryError, match=r"takes any keyword arguments.*receive"):
        orm.post_save.connect(receive)
    with pytest.raises(orm.QueryError, match="got str"):
        orm.post_save.connect("receive")  # type: ignore[arg-type]


def test_receiver_before_the_write_cannot_wait_for_the_commit() -> None:
    with pytest.raises(orm.QueryError, match="connect to post_save"):
        orm.pre_save.connect(lambda **details: None, Book, after_commit=True)


@pytest.mark.parametrize("sender", ["Book", Book.author])
def test_sender_that_is_no_model_raises(sender: Any) -> None:
    with pytest.raises(orm.FieldError, match="is a model"):
        orm.pre_save.connect(lambda **details: None, sender)


async def test_model_without_hooks_sends_no_other_statements(database: Database) -> None:
    models.database = database
    await models.create_all()

    async def write() -> None:
        made = await _with_tag()
        await made.save()
        await made.tags.clear()
        await Book.objects.all().update(title="x")
        await made.delete()
        await Tag.objects.all().delete()

    async def statements() -> list[str]:
        with orm.track_queries() as queries:
            await write()
        return [query.sql for query in queries] + [query.sql for query in queries.transactions]

    before = await statements()
    Log(Chapter, [orm.pre_save, orm.m2m_changed])
    Log(Person, [orm.post_delete])
    assert await statements() == before
