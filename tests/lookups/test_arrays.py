"""Arrays: the same lookups on PostgreSQL's arrays and on the JSON lists of other databases."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio
models = orm.ModelRegistry()


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Post(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=20, default="b")
    tags: Any = orm.Array(orm.String(max_length=20), allow_null=True)
    others: Any = orm.Array(orm.String(max_length=20), default=list)
    numbers: Any = orm.Array(orm.Integer(allow_null=True), default=list)


TAGS: list[list[str] | None] = [["a", "b"], ["b", "c", "a"], [], None, ["A", "é\"\\'%"], ["10", "9"]]
NUMBERS: list[list[int | None]] = [[1, None, 3], [], [3], [-5, 3], [None], [10, 9]]
SETS = ([], ["a"], ["b", "a"], ["A"], ["é\"\\'%", "A", "x"], ["a", "b", "c"], ["x"], ["10"])


@pytest.fixture
async def posts(database: Database) -> AsyncIterator[Database]:
    models.database = database
    await models.create_all()
    rows = [{"tags": tags, "numbers": numbers} for tags, numbers in zip(TAGS, NUMBERS, strict=True)]
    await Post.objects.bulk_create(rows)
    yield database


async def found(*conditions: Any, **lookups: Any) -> list[int]:
    """The positions of the rows, from 0."""
    keys = await Post.objects.filter(*conditions, **lookups).order_by("id").values_list("id", flat=True)
    first = (await Post.objects.order_by("id").first()).id  # type: ignore[union-attr]
    return [key - first for key in keys]


def rows(test: Any) -> list[int]:
    """The positions of the rows whose tags meet a test."""
    return [position for position, tags in enumerate(TAGS) if tags is not None and test(tags)]


async def test_whole_arrays_are_found(posts: Database) -> None:
    for tags in TAGS:
        if tags is not None:
            assert await found(tags=tags) == rows(lambda other, tags=tags: other == tags), tags
    assert await found(tags__in=[["a", "b"], [], ["b"]]) == [0, 2]
    assert await found(tags=None) == await found(tags__isnull=True) == [3]
    assert await found(tags=orm.F("others")) == [2]
    assert await Post.objects.exclude(tags=["a", "b"]).count() == 5


@pytest.mark.parametrize("items", SETS, ids=repr)
async def test_contains_contained_by_and_overlap(posts: Database, items: list[str]) -> None:
    assert await found(tags__contains=items) == rows(lambda tags: set(items) <= set(tags))
    assert await found(tags__contained_by=items) == rows(lambda tags: set(tags) <= set(items))
    assert await found(tags__overlap=items) == rows(lambda tags: bool(set(tags) & set(items)))
    assert await found(orm.Q(tags__contains=items) | orm.Q(id=0)) == rows(lambda tags: set(items) <= set(tags))
    for lookup, count in (
        ("contains", len(rows(lambda tags: set(items) <= set(tags)))),
        ("contained_by", len(rows(lambda tags: set(tags) <= set(items)))),
        ("overlap", len(rows(lambda tags: bool(set(tags) & set(items))))),
    ):
        # As in Django, exclude() keeps rows whose array is NULL.
        assert await Post.objects.exclude(**{f"tags__{lookup}": items}).count() == len(TAGS) - count, lookup


async def test_any_len_items_and_slices(posts: Database) -> None:
    for item in ("a", "A", "é\"\\'%", "x"):
        assert await found(tags__any=item) == rows(lambda tags, item=item: item in tags), item
    assert await found(tags__any=orm.F("name")) == [0, 1]
    assert await found(numbers__any=orm.F("tags__len") + 1) == [0]
    assert await found(numbers__any=3) == await found(numbers__any=orm.F("id") * 0 + 3) == [0, 2, 3]
    for count in range(4):
        assert await found(tags__len=count) == rows(lambda tags, count=count: len(tags) == count)
    assert await found(tags__len__gte=2, tags__0="b") == [1]
    for index in range(3):
        for item in ("a", "b", "c", "A"):
            assert await found(**{f"tags__{index}": item}) == rows(
                lambda tags, index=index, item=item: tags[index : index + 1] == [item]
            )
    assert await found(tags__0__in=["b", "A"]) == [1, 4]
    assert await found(tags__0__icontains="A") == [0, 4]
    assert await found(tags__2__isnull=False) == [1]
    assert await found(numbers__0__gt=0) == [0, 2, 5]
    assert await found(numbers__0__gt=9, numbers__1__lt=10) == [5]
    assert await found(numbers__0__isnull=True) == [1, 4]
    assert await found(numbers__0=orm.F("numbers__1") + 1) == [5]
    for start, stop in ((0, 1), (0, 2), (1, 3), (1, 1), (2, 1), (5, 9)):
        for tags in (["a"], ["b", "c"], ["a", "b"], ["c", "a"], []):
            expected = rows(lambda other, tags=tags, start=start, stop=stop: other[start:stop] == tags)
            assert await found(**{f"tags__{start}_{stop}": tags}) == expected, (start, stop, tags)
    assert await found(tags__0_2__contains=["c"]) == [1]
    assert await found(tags__1_3__len=1) == [0, 4, 5]


async def test_nulls_among_items_equal_nothing(posts: Database) -> None:
    assert await found(numbers__contains=[None]) == await found(numbers__contains=[1, None]) == []
    assert await found(numbers__contains=[3, 1]) == [0]
    assert await found(numbers__overlap=[None]) == []
    assert await found(numbers__overlap=[None, 9]) == [5]
    assert await found(numbers__contained_by=[1, 3, None]) == [1, 2]
    assert await found(numbers__contains=orm.F("numbers")) == [1, 2, 3, 5]
    assert await found(numbers__overlap=orm.F("numbers")) == [0, 2, 3, 5]
    assert await found(tags__contains=orm.F("others")) == [0, 1, 2, 4, 5]
    assert await found(others__contained_by=orm.F("tags")) == [0, 1, 2, 4, 5]


async def test_parts_in_values_orderings_and_expressions(posts: Database) -> None:
    ordered = Post.objects.filter(tags__isnull=False).order_by("id")
    assert await ordered.values_list("tags__0", flat=True) == ["a", "b", None, "A", "10"]
    assert await ordered.values_list("tags__len", flat=True) == [2, 3, 0, 2, 2]
    assert await ordered.values_list("tags__1_3", flat=True) == [
        ["b"],
        ["c", "a"],
        [],
        ["é\"\\'%"],
        ["9"],
    ]
    assert await ordered.values_list(orm.F("tags")[0:1], flat=True) == [["a"], ["b"], [], ["A"], ["10"]]
    assert await ordered.values_list(orm.F("tags")[1:], flat=True) == [["b"], ["c", "a"], [], ["é\"\\'%"], ["9"]]
    assert await Post.objects.order_by("-tags__len", "id").filter(tags__len__gt=0).values_list(
        "tags__len", flat=True
    ) == [3, 2, 2, 2]
    most = await Post.objects.annotate(n=orm.F("tags__len") + 1).aggregate(most=orm.Max("n"), all=orm.Sum("tags__len"))
    assert most == {"most": 4, "all": 9}
    assert await Post.objects.annotate(part=orm.F("tags")[0:2]).filter(part__contains=["c"]).count() == 1


async def test_update_and_bulk_update_write_arrays(posts: Database) -> None:
    post = await Post.objects.get(tags=["a", "b"])
    post.tags.append("new")
    await post.save()
    assert await found(tags__any="new") == [0]
    post.tags = ["other"]
    assert await Post.objects.bulk_update([post], ["tags"]) == 1
    assert await Post.objects.filter(tags=["other"]).update(others=orm.F("tags")) == 1
    assert (await post.load()).others == ["other"]
    assert await Post.objects.filter(others__0="other").update(tags=None) == 1
    assert (await post.load()).tags is None


async def test_the_order_of_arrays_is_postgresqls(posts: Database) -> None:
    if posts.url.dialect.startswith("postgres"):
        assert await found(tags__gt=["a", "b"]) == [1]
        assert await found(numbers__range=([3], [3, 1])) == [2]
        return
    for lookups in ({"tags__gt": ["a"]}, {"tags__range": (["a"], ["b"])}):
        with pytest.raises(orm.NotSupportedError, match="The order of arrays is PostgreSQL's alone"):
            await Post.objects.filter(**lookups)


async def test_what_makes_no_sense_is_refused(posts: Database) -> None:
    for lookups in ({"tags__contains": "a"}, {"tags__overlap": 3}, {"numbers__any": "x"}, {"numbers__0": "x"}):
        with pytest.raises(orm.FieldError):
            Post.objects.filter(**lookups)
    with pytest.raises(orm.QueryError, match="isnull"):
        Post.objects.filter(tags__any=None)
    with pytest.raises(orm.FieldError, match="no lookup 'has_key'"):
        Post.objects.filter(tags__has_key="a")
    with pytest.raises(orm.FieldError, match="no part 'x'"):
        Post.objects.order_by("tags__x")


ITEMS: dict[str, tuple[Any, list[Any]]] = {
    "Boolean": (orm.Boolean(), [True, False]),
    "BigInteger": (orm.BigInteger(), [-(1 << 62), 1 << 62]),
    "Float": (orm.Float(), [-1.5, 0.1, 100.0]),
    "Decimal": (orm.Decimal(max_digits=9, decimal_places=2), [decimal.Decimal("-1.50"), decimal.Decimal("10.00")]),
    "Date": (orm.Date(), [datetime.date(999, 1, 2), datetime.date(2024, 5, 1)]),
    "naive": (orm.DateTime(), [datetime.datetime(2024, 5, 1, 12, 0, 0, 5), datetime.datetime(2024, 5, 2)]),
    "aware": (
        orm.DateTime(timezone=True),
        [datetime.datetime(2024, 5, day, tzinfo=datetime.timezone.utc) for day in (1, 2)],
    ),
    "Time": (orm.Time(), [datetime.time(9, 30), datetime.time(23, 59, 59, 999999)]),
    "Duration": (orm.Duration(), [datetime.timedelta(-1), datetime.timedelta(microseconds=1)]),
    "UUID": (orm.UUID(), [uuid.UUID(int=5), uuid.UUID(int=1 << 100)]),
    "IPAddress": (orm.IPAddress(), [ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("::1")]),
    "Enum": (orm.Enum(Mood), [Mood.BAD, Mood.GOOD]),
    "integer enum": (orm.Enum(Level), [Level.LOW, Level.HIGH]),
}


@pytest.mark.parametrize("kind", ITEMS)
async def test_items_of_each_type_are_found_and_read(database: Database, kind: str) -> None:
    field, values = ITEMS[kind]

    class Kept(orm.Model):
        registry = orm.ModelRegistry(database=database)

        id = orm.Integer(primary_key=True)
        items: Any = orm.Array(field)
        single: Any = field.__copy__()

    await Kept._meta.registry.create_all()
    low, high = values[0], values[-1]
    await Kept.objects.bulk_create([{"items": [high, low], "single": low}, {"items": [low], "single": high}])
    kept = Kept.objects.order_by("id")
    assert await kept.values_list("items", flat=True) == [[high, low], [low]]
    assert await kept.values_list("items__0", flat=True) == [high, low]
    assert [type(item) for item in await kept.values_list("items__0", flat=True)] == [type(high), type(low)]
    assert await kept.filter(items__0=high).count() == 1
    assert await kept.filter(items__0__in=[low]).count() == 1
    assert await kept.filter(items__contains=[low, high]).count() == 1
    assert await kept.filter(items__contained_by=[low]).count() == 1
    assert await kept.filter(items__overlap=[high]).count() == 1
    assert await kept.filter(items__any=low).count() == 2
    assert await kept.filter(items__any=orm.F("single")).count() == 1
    assert await kept.filter(items=[high, low]).count() == 1
    if kind not in ("Boolean", "UUID", "IPAddress", "Enum"):
        assert await kept.filter(items__0__gt=low).count() == 1
        assert await kept.aggregate(most=orm.Max("items__0")) == {"most": high}


async def test_overlap_with_a_queryset_is_with_any_of_its_rows(posts: Database) -> None:
    later = Post.objects.filter(tags__len=2)  # ["a", "b"], ["A", …], ["10", "9"]
    for query in (later.values("tags"), later.values_list("tags", flat=True), later.values_list("tags").order_by("id")):
        assert await found(tags__overlap=query) == [0, 1, 4, 5]
    assert await found(tags__overlap=later.order_by("-id").values("tags")[:2]) == [4, 5]
    assert await found(tags__overlap=Post.objects.values("tags").distinct()) == [0, 1, 4, 5]
    assert await found(tags__overlap=later.none().values("tags")) == []
    # Rows of items, instead of arrays
    assert await found(tags__overlap=Post.objects.values("name")) == [0, 1]
    assert await found(tags__overlap=Post.objects.values("name")[:1]) == [0, 1]
    assert await found(tags__overlap=Post.objects.values_list("tags__0", flat=True)) == [0, 1, 4, 5]
    assert await found(numbers__overlap=Post.objects.values("tags__len")) == [0, 2, 3]
    assert await found(numbers__overlap=Post.objects.values("numbers")) == [0, 2, 3, 5]
    assert await Post.objects.filter(numbers__overlap=Post.objects.filter(id=0).values("numbers")).count() == 0
    # As in Django, exclude() keeps rows whose array is NULL.
    assert await Post.objects.exclude(tags__overlap=later.values("tags")).count() == 2
    rows_with_a = Post.objects.filter(tags__any="a").values("tags")
    assert await found(orm.Q(tags__overlap=rows_with_a) & ~orm.Q(tags=["a", "b"])) == [1]
    same = Post.objects.filter(id=orm.OuterRef("id")).values("tags")
    assert await found(tags__overlap=same[:1]) == [0, 1, 4, 5]
    assert await Post.objects.filter(tags__overlap=rows_with_a).update(name="found") == 2
    with pytest.raises(orm.QueryError, match=r"Post\.tags__overlap is compared with a query that selects Integer"):
        Post.objects.filter(tags__overlap=Post.objects.values("id"))
