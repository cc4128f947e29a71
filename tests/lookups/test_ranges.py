"""Range fields on PostgreSQL: values, lookups, bounds, exclusion constraints; refused by name elsewhere."""

from __future__ import annotations

import copy
import datetime
import decimal
import pickle
from collections.abc import AsyncIterator
from typing import Any

import pytest

import orm
from orm import Range
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio
UTC = datetime.timezone.utc
models = orm.ModelRegistry()
D = decimal.Decimal


def day(number: int) -> datetime.date:
    return datetime.date(2024, 5, number)


def moment(number: int) -> datetime.datetime:
    return datetime.datetime(2024, 5, number, 12)


class Stay(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    age = orm.Integer(default=0)
    ages = orm.IntegerRange(allow_null=True)
    numbers = orm.BigIntegerRange(allow_null=True)
    prices = orm.DecimalRange(8, 2, allow_null=True)
    days = orm.DateRange(allow_null=True)
    local = orm.DateTimeRange(allow_null=True)
    instants = orm.DateTimeRange(timezone=True, allow_null=True)

    class Meta:
        constraints = [orm.ExclusionConstraint(("days", "&&"), message="Taken.")]


AGES: list[Range[int] | None] = [
    Range(0, 10),
    Range(5, 15),
    Range(5, None),
    Range(None, 5),
    Range(None, None),
    Range(empty=True),
    None,
    Range(10, 20),
]


@pytest.fixture
async def stays(postgresql_url: str) -> AsyncIterator[Database]:
    async with Database(postgresql_url) as database:
        models.database = database
        await models.create_all()
        await Stay.objects.bulk_create([{"ages": ages, "age": n} for n, ages in enumerate(AGES)])
        yield database


async def found(**lookups: Any) -> list[int]:
    return await Stay.objects.filter(**lookups).order_by("age").values_list("age", flat=True)


def where(test: Any) -> list[int]:
    """The rows whose ages meet a test of plain Python."""
    return [n for n, ages in enumerate(AGES) if ages is not None and test(ages)]


async def test_values_are_written_and_read(stays: Database) -> None:
    assert await Stay.objects.order_by("age").values_list("ages", flat=True) == AGES
    stay = await Stay.objects.create(
        ages=(1, 3),
        numbers=Range(1, 1 << 40, "[]"),
        prices={"lower": "1.50", "upper": "2.25", "bounds": "[]"},
        days=Range(day(1), day(3), "[]"),
        local=Range(moment(1), moment(2), "()"),
        instants=Range(moment(1).replace(tzinfo=UTC), None),
    )
    read = await Stay.objects.get(pk=stay.pk)
    assert read.ages == Range(1, 3) and stay.ages == Range(1, 3)
    assert read.numbers == Range(1, (1 << 40) + 1)  # PostgreSQL's form of integers
    assert read.prices == Range(D("1.50"), D("2.25"), "[]") and str(read.prices) == "[1.50,2.25]"
    assert read.days == Range(day(1), day(4))
    assert read.local == Range(moment(1), moment(2), "()")
    assert read.instants is not None and read.instants.lower == moment(1).replace(tzinfo=UTC)
    assert read.instants.lower.tzinfo is UTC and read.instants.upper_inf
    read.ages = Range(7, 8)
    await read.save()
    assert await Stay.objects.bulk_update([read], ["ages", "prices"]) == 1
    await Stay.objects.filter(pk=read.pk).update(ages=Range(8, 9), numbers=None)
    assert (await read.load()).ages == Range(8, 9) and read.numbers is None
    [row] = await Stay.objects.filter(pk=read.pk).graph({}).as_dicts()
    assert row["ages"] == {"lower": 8, "upper": 9, "bounds": "[)"}
    assert row["days"] == {"lower": "2024-05-01", "upper": "2024-05-04", "bounds": "[)"}


async def test_contains_a_value_or_a_range(stays: Database) -> None:
    for value in (0, 5, 9, 10, 19, 20):
        assert await found(ages__contains=value) == where(lambda ages, value=value: value in ages), value
    assert await found(ages__contains=Range(6, 9)) == await found(ages__contains=(6, 9)) == [0, 1, 2, 4]
    assert await found(ages__contains=orm.F("age")) == where(lambda ages: AGES.index(ages) in ages)
    assert await found(ages__contains=orm.F("ages")) == [0, 1, 2, 3, 4, 5, 7]
    assert await found(ages__contained_by=Range(0, 15)) == [0, 1, 5]
    assert await Stay.objects.exclude(ages__contains=5).count() == len(AGES) - 4
    await Stay.objects.create(
        age=99, prices=(D("1"), D("2")), days=(day(1), day(9)), local=(moment(1), None), numbers=(0, 1 << 50)
    )
    assert await found(prices__contains="1.5") == await found(days__contains=day(8)) == [99]
    assert await found(local__contains=moment(3)) == await found(numbers__contains=1 << 49) == [99]
    assert await found(prices__contains=2) == await found(days__contains=day(9)) == []


async def test_comparisons_of_ranges(stays: Database) -> None:
    assert await found(ages__overlap=Range(9, 11)) == [0, 1, 2, 4, 7]
    assert await found(ages__fully_lt=Range(10, None)) == [0, 3]
    assert await found(ages__fully_gt=Range(None, 5)) == [1, 2, 7]
    assert await found(ages__not_lt=Range(5, 6)) == [1, 2, 7]
    assert await found(ages__not_gt=Range(0, 10)) == [0, 3]
    assert await found(ages__adjacent_to=Range(10, 20)) == [0]
    assert await found(ages=Range(0, 10)) == await found(ages=Range(0, 9, "[]")) == [0]
    assert await found(ages__in=[Range(0, 10), (5, 15)]) == [0, 1]
    assert await found(ages__gt=Range(5, None)) == [7]
    assert await found(ages=None) == [6]


async def test_bounds_are_parts(stays: Database) -> None:
    assert await found(ages__startswith=5) == [1, 2]
    assert await found(ages__endswith__lte=10) == [0, 3]
    assert await found(ages__startswith__isnull=True) == [3, 4, 5, 6]
    assert await found(ages__isempty=True) == [5] and await found(ages__isempty=False) == [0, 1, 2, 3, 4, 7]
    assert await found(ages__lower_inf=True) == [3, 4] and await found(ages__upper_inf=True) == [2, 4]
    assert await found(ages__lower_inc=True) == [0, 1, 2, 7] and await found(ages__upper_inc=True) == []
    ordered = Stay.objects.filter(ages__startswith__isnull=False).order_by("-ages__startswith", "age")
    assert await ordered.values_list("ages__startswith", "ages__endswith") == [(10, 20), (5, 15), (5, None), (0, 10)]
    assert await Stay.objects.aggregate(most=orm.Max("ages__endswith")) == {"most": 20}
    longest = Stay.objects.annotate(size=orm.F("ages__endswith") - orm.F("ages__startswith")).filter(size__gte=10)
    assert await longest.count() == 3


async def test_what_is_no_range_is_refused(stays: Database) -> None:
    for value in ("x", 5, (1, 2, 3), {"low": 1}, (9, 1), {"lower": "x"}, Range(1, 2, "[]").lower):
        with pytest.raises(orm.ValidationError, match="ages"):
            await Stay.objects.create(ages=value)
    for ages in ((5, 1), ["5", "1"], {"lower": 5, "upper": 1}):
        with pytest.raises(orm.ValidationError, match="The lower bound must not be above the upper one"):
            await Stay.objects.create(ages=ages)
        with pytest.raises(orm.FieldError, match="The lower bound must not be above the upper one"):
            Stay.objects.filter(ages=ages)
    assert Stay.fields["ages"].validator.validate({"lower": "9", "upper": "10"}) == orm.Range(9, 10)
    with pytest.raises(orm.ValidationError, match="prices"):
        await Stay.objects.create(prices=(D("1.234"), None))
    with pytest.raises(orm.FieldError):
        Stay.objects.filter(ages__overlap=5)
    with pytest.raises(orm.FieldError):
        Stay.objects.filter(ages__contains="x")
    with pytest.raises(orm.QueryError, match="isnull"):
        Stay.objects.filter(ages__contains=None)
    with pytest.raises(orm.FieldError, match="give both"):
        orm.DecimalRange(5)


async def test_an_exclusion_constraint_refuses_overlaps(stays: Database) -> None:
    await Stay.objects.create(days=(day(1), day(5)))
    await Stay.objects.create(days=(day(5), day(7)))
    with pytest.raises(orm.IntegrityError) as caught:
        await Stay.objects.create(days=(day(4), day(6)))
    assert caught.value.fields == ("days",)
    assert [message.text for message in caught.value.as_validation_error().messages()] == ["Taken."]


async def test_a_plain_value_is_contained_by_a_range_on_every_database(database: Database) -> None:
    class Kept(orm.Model):
        registry = orm.ModelRegistry(database=database)

        id = orm.Integer(primary_key=True)
        number = orm.Integer(allow_null=True)
        price = orm.Decimal(max_digits=6, decimal_places=2)
        day = orm.Date()
        at = orm.DateTime()

    await Kept._meta.registry.create_all()
    rows = [{"number": n if n < 4 else None, "price": D(n), "day": day(n), "at": moment(n)} for n in range(1, 5)]
    await Kept.objects.bulk_create(rows)
    kept = Kept.objects.order_by("id").values_list("id", flat=True)
    for bounds, ids in (("[)", [2]), ("[]", [2, 3]), ("()", []), ("(]", [3])):
        assert await kept.filter(number__contained_by=Range(2, 3, bounds)) == ids, bounds
        assert await kept.filter(price__contained_by=Range(D(2), D(3), bounds)) == ids, bounds
        assert await kept.filter(day__contained_by=Range(day(2), day(3), bounds)) == ids, bounds
        assert await kept.filter(at__contained_by=Range(moment(2), moment(3), bounds)) == ids, bounds
        assert await kept.exclude(number__contained_by=Range(2, 3, bounds)).count() == 4 - len(ids), bounds
    assert await kept.filter(number__contained_by=Range(2)) == [2, 3]
    assert await kept.filter(number__contained_by=Range(None, 1.5)) == [1]
    assert await kept.filter(number__contained_by=Range()) == [1, 2, 3]
    assert await kept.filter(number__contained_by=Range(empty=True)) == []
    assert await kept.filter(number__contained_by=Range(1 << 70)) == []
    for value in ((1, 2), 5, None):
        with pytest.raises(orm.QueryError):
            Kept.objects.filter(number__contained_by=value)


async def test_a_plain_value_is_contained_by_a_range_of_the_row(stays: Database) -> None:
    assert await found(age__contained_by=orm.F("ages")) == where(lambda ages: AGES.index(ages) in ages)


@pytest.mark.parametrize("kind", ["sqlite", "mysql"])
async def test_ranges_are_refused_by_name_elsewhere(kind: str, request: pytest.FixtureRequest) -> None:
    async with Database(request.getfixturevalue(f"{kind}_url")) as database:

        class Kept(orm.Model):
            registry = orm.ModelRegistry(database=database)
            days = orm.DateRange()

        with pytest.raises(orm.NotSupportedError, match="Only PostgreSQL has ranges"):
            await Kept._meta.registry.create_all()


def test_a_range_is_a_value() -> None:
    ages = Range(1, 5)
    assert 1 in ages and 5 not in ages and 5 in Range(1, 5, "[]") and 1 not in Range(1, 5, "(]") and 9 in Range(1)
    assert (ages.lower, ages.upper, ages.bounds, ages.lower_inc, ages.upper_inc) == (1, 5, "[)", True, False)
    assert Range(3, 3).isempty and not Range(3, 3, "[]").isempty and Range(3, 3) == Range(empty=True)
    assert not Range(empty=True).lower_inf and Range().lower_inf and Range().upper_inf and 3 not in Range(empty=True)
    assert len({Range(1, 5), Range(1, 5, "[)"), Range(1, 5, "[]")}) == 2 and ages != (1, 5)
    assert copy.deepcopy(ages) == pickle.loads(pickle.dumps(ages)) == ages
    assert (repr(ages), str(ages), str(Range(None, 2, "(]")), str(Range(empty=True))) == (
        "Range(1, 5, '[)')",
        "[1,5)",
        "(,2]",
        "empty",
    )
    for arguments in ((5, 1), (1, 5, "[")):
        with pytest.raises(ValueError, match="range"):
            Range(*arguments)  # type: ignore[arg-type]
