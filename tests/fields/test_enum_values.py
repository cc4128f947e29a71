"""orm.Enum(by="value"): members are stored by their values, so that their names can change."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator

import pytest

import orm
from orm.database.connections.database import Database
from orm.functions import Lower

pytestmark = pytest.mark.anyio
models = orm.ModelRegistry()


class Status(enum.Enum):
    DRAFT = "d"
    PUBLISHED = "pub"
    OLD = "pub"  # noqa: PIE796 - an alias


class Priority(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Article(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    status = orm.Enum(Status, by="value", default=Status.DRAFT, index=True)
    former = orm.Enum(Status, by="value", allow_null=True)
    named = orm.Enum(Status, default=Status.DRAFT)
    priority = orm.Enum(Priority, by="value", default=Priority.LOW)
    set_by_server = orm.Enum(Status, by="value", server_default="pub")


@pytest.fixture
async def articles(database: Database) -> AsyncIterator[Database]:
    models.database = database
    await models.create_all()
    yield database


async def test_values_are_stored_and_members_are_read(articles: Database) -> None:
    created = await Article.objects.create(status="pub", former=Status.DRAFT, priority=2)
    assert created.status is Status.PUBLISHED
    row = await articles.fetch_one("SELECT status, former, named, priority, set_by_server FROM article")
    assert row is not None and tuple(row[name] for name in dict(row)) == ("pub", "d", "DRAFT", 2, "pub")
    read = await Article.objects.get(id=created.id)
    assert (read.status, read.former, read.named) == (Status.PUBLISHED, Status.DRAFT, Status.DRAFT)
    assert read.priority is Priority.HIGH and read.set_by_server is Status.PUBLISHED


async def test_members_values_and_names_are_found(articles: Database) -> None:
    await Article.objects.bulk_create([{"status": "d"}, {"status": Status.PUBLISHED}, {"former": "PUBLISHED"}])
    for value in (Status.PUBLISHED, "pub", "PUBLISHED", "OLD"):
        assert await Article.objects.filter(status=value).count() == 1, value
    assert await Article.objects.filter(status__in=["d", Status.PUBLISHED]).count() == 3
    assert await Article.objects.filter(former=orm.F("set_by_server")).count() == 1
    assert await Article.objects.order_by("-status", "id").values_list("status", flat=True) == [
        Status.PUBLISHED,
        Status.DRAFT,
        Status.DRAFT,
    ]
    counted = Article.objects.values("status").annotate(n=orm.Count("id")).order_by("status")
    assert [(row["status"], row["n"]) for row in await counted] == [(Status.DRAFT, 2), (Status.PUBLISHED, 1)]
    assert await Article.objects.annotate(low=Lower("status")).filter(low="pub").count() == 1
    await Article.objects.filter(status="d").update(status=Status.PUBLISHED)
    assert await Article.objects.filter(status="pub").count() == 3


async def test_what_is_no_value_is_refused(articles: Database) -> None:
    with pytest.raises(orm.ValidationError, match="status"):
        await Article.objects.create(status="x")
    article = await Article.objects.create()
    await articles.execute("UPDATE article SET status = 'PUBLISHED'")
    with pytest.raises(
        orm.DataError, match=rf"Article.status of the row with id={article.id}.*not the value of a member"
    ):
        await Article.objects.get(id=article.id)


def test_declarations_without_sense_are_refused() -> None:
    class Mixed(enum.Enum):
        A = "a"
        B = 2

    with pytest.raises(orm.FieldError, match=r"a member of .*Mixed has another value"):
        orm.Enum(Mixed, by="value")
    with pytest.raises(orm.FieldError, match='by="name" or by="value", got by=\'key\''):
        orm.Enum(Status, by="key")  # type: ignore[call-overload]


class Task(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    priority = orm.Enum(Priority)
    former = orm.Enum(Priority, allow_null=True)


async def test_an_integer_enum_calculates_with_values_and_is_compared_with_any_number(articles: Database) -> None:
    await Task.objects.bulk_create([{"priority": 1}, {"priority": 2, "former": 1}, {"priority": 2, "former": 2}])
    tasks = Task.objects.order_by("id")
    for expression, expected in {
        orm.F("priority") + 1: [2, 3, 3],
        orm.F("priority") * Priority.HIGH: [2, 4, 4],
        orm.F("priority") - orm.F("former"): [None, 1, 0],
        -orm.F("priority"): [-1, -2, -2],
    }.items():
        found = await tasks.annotate(n=expression).values_list("n", flat=True)
        assert found == expected and all(type(value) in (int, type(None)) for value in found), expression
    totals = await Task.objects.aggregate(
        sum=orm.Sum("priority"), mean=orm.Avg("priority"), most=orm.Max("priority"), twice=orm.Max(orm.F("former") * 2)
    )
    assert totals == {"sum": 5, "mean": pytest.approx(5 / 3), "most": Priority.HIGH, "twice": 4}
    assert type(totals["sum"]) is int and totals["most"] is Priority.HIGH
    for lookups, ids in (
        ({"priority__gt": 0}, [1, 2, 3]),
        ({"priority__lt": 1.5}, [1]),
        ({"priority__gte": 2, "priority__lt": 100}, [2, 3]),
        ({"priority__gt": 1 << 70}, []),
        ({"priority__range": (0, 1)}, [1]),
        ({"priority__lte": "LOW"}, [1]),
        ({"priority__gte": orm.F("former") + 1}, [2]),
    ):
        assert await tasks.filter(**lookups).values_list("id", flat=True) == ids, lookups
    await tasks.filter(priority__lt=2).update(priority=orm.F("priority") + 1)
    assert await tasks.values_list("priority", flat=True) == [Priority.HIGH] * 3


async def test_a_row_of_a_renamed_member_is_named_with_its_value_and_the_way_out(articles: Database) -> None:
    article = await Article.objects.create()
    await articles.execute("UPDATE article SET named = 'SKETCH'")
    way_out = "'SKETCH' is not the name of a member of Status: if a member was renamed, add an alias with that name"
    with pytest.raises(orm.DataError, match=rf"Article.named of the row with id={article.id} holds .*{way_out}"):
        await Article.objects.get(id=article.id)
    task = await Task.objects.create(priority=1)
    await articles.execute("UPDATE task SET priority = 7")
    with pytest.raises(
        orm.DataError, match=rf"Task.priority of the row with id={task.id} .*7 is not the value of a member of Priority"
    ):
        await Task.objects.get(id=task.id)

    class Renamed(enum.Enum):
        DRAFT = "d"
        PUBLISHED = "pub"
        SKETCH = "d"  # noqa: PIE796 - an alias

    class Former(orm.Model):
        registry = orm.ModelRegistry(database=articles)
        id = orm.Integer(primary_key=True)
        named = orm.Enum(Renamed)

        class Meta:
            tablename = "article"
            managed = False

    assert (await Former.objects.get(id=article.id)).named is Renamed.DRAFT
