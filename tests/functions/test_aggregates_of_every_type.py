"""Each aggregate of each type of number, in each place of a query, against Python's own arithmetic."""

from __future__ import annotations

import decimal
import enum
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

import orm
from orm import F, Value, Window
from orm.database.connections.database import Database
from orm.functions import Abs, Coalesce, Greatest, Round

pytestmark = pytest.mark.anyio

models = orm.ModelRegistry()
D = decimal.Decimal


class Priority(enum.IntEnum):
    low = 1
    normal = 2
    high = 3


class Rights(enum.IntFlag):
    read = 1
    write = 2


class Job(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    team = orm.Integer()
    small = orm.SmallInteger(allow_null=True)
    integer = orm.Integer(allow_null=True)
    big = orm.BigInteger(allow_null=True)
    float = orm.Float(allow_null=True)
    decimal = orm.Decimal(max_digits=8, decimal_places=2, allow_null=True)
    boolean = orm.Boolean(allow_null=True)
    priority = orm.Enum(Priority, allow_null=True)
    rights = orm.Enum(Rights, allow_null=True)


FIELDS = ("small", "integer", "big", "float", "decimal", "boolean", "priority", "rights")
JOBS = [
    (1, -5, 1, 2**40, 0.5, D("0.25"), True, Priority.low, Rights.read),
    (1, 7, 1, -3, 1.25, D("0.50"), False, Priority.high, Rights.read | Rights.write),
    (1, 7, 2, 5, -2.0, D("7.00"), True, Priority.high, Rights.write),
    (2, 1, 100_000, 11, 4.0, D("-1.75"), False, Priority.normal, Rights.read),
    (2, 2, -7, 2**41 + 1, 8.5, D("2.25"), False, Priority.high, Rights.write),
    (2, None, None, None, None, None, None, None, None),
    (3, None, None, None, None, None, None, None, None),
]
INTEGERS = frozenset(FIELDS) - {"float", "decimal"}


@pytest.fixture
async def jobs(database: Database) -> AsyncIterator[Database]:
    models.database = database
    await models.create_all()
    await Job.objects.bulk_create([dict(zip(("team", *FIELDS), row, strict=True)) for row in JOBS])
    yield database


def values_of(field: str, teams: Sequence[int]) -> list[Any]:
    at = FIELDS.index(field) + 1
    return [row[at] for row in JOBS if row[0] in teams and row[at] is not None]


def numbers_of(field: str, values: list[Any]) -> list[Any]:
    return [int(value) for value in values] if field in INTEGERS else values


def mean(field: str, values: list[Any]) -> Any:
    numbers = numbers_of(field, values)
    return sum(numbers) / len(numbers)


PYTHON: dict[type[orm.functions.Func[Any]], Callable[[str, list[Any]], Any]] = {
    orm.Sum: lambda field, values: sum(numbers_of(field, values)),
    orm.Avg: mean,
    orm.Min: lambda field, values: min(values),
    orm.Max: lambda field, values: max(values),
}


def expected(aggregate: Any, field: str, teams: Sequence[int]) -> Any:
    values = values_of(field, teams)
    return PYTHON[aggregate](field, values) if values else None


def is_same(field: str, found: Any, wanted: Any) -> bool:
    if type(wanted) is D and type(found) is D:
        # MySQL ends the mean of decimals four digits behind their own.
        return abs(found - wanted) < D("0.000001")
    return type(found) is type(wanted) and bool(found == wanted)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("aggregate", PYTHON)
async def test_aggregate_of_numbers_equals_pythons(jobs: Database, aggregate: Any, field: str) -> None:
    wanted = {team: expected(aggregate, field, [team]) for team in (1, 2, 3)}

    whole = (await Job.objects.aggregate(x=aggregate(field)))["x"]
    assert is_same(field, whole, expected(aggregate, field, [1, 2, 3]))
    assert (await Job.objects.filter(team=3).aggregate(x=aggregate(field)))["x"] is None
    filtered = await Job.objects.aggregate(x=aggregate(field, filter=orm.Q(team=2)))
    assert is_same(field, filtered["x"], wanted[2])

    groups = Job.objects.values("team").annotate(x=aggregate(field)).order_by("team")
    for row in await groups:
        assert is_same(field, row["x"], wanted[row["team"]])
    for team in (1, 2):
        if aggregate is orm.Avg and field == "decimal":
            continue
        teams = [row["team"] for row in await groups.filter(x=wanted[team])]
        assert teams == [other for other in (1, 2) if wanted[other] == wanted[team]]
    ordered = Job.objects.values("team").annotate(x=aggregate(field)).filter(team__lt=3).order_by("-x", "team")
    by_value = sorted((1, 2), key=lambda team: (-wanted[team], team))
    assert [row["team"] for row in await ordered] == by_value

    over = Job.objects.order_by("id").values_list("team", Window(aggregate(field), partition_by="team"))
    for team, value in await over:
        assert is_same(field, value, wanted[team])


@pytest.mark.parametrize("field", FIELDS)
async def test_dispersion_has_all_digits_of_a_float(jobs: Database, field: str) -> None:
    numbers = [float(value) for value in values_of(field, [1, 2, 3])]
    result = await Job.objects.aggregate(
        a=orm.StdDev(field), b=orm.StdDev(field, sample=True), c=orm.Variance(field), d=orm.Variance(field, sample=True)
    )
    measures = (statistics.pstdev, statistics.stdev, statistics.pvariance, statistics.variance)
    assert list(result.values()) == [pytest.approx(measure(numbers), rel=1e-12) for measure in measures]


async def test_mean_of_integers_has_the_same_digits_everywhere(jobs: Database) -> None:
    for divisor in (3, 7, 9, 11):
        await Job.objects.all().delete()
        await Job.objects.bulk_create([{"team": 1, "integer": int(number == 0)} for number in range(divisor)])
        assert (await Job.objects.aggregate(x=orm.Avg("integer")))["x"] == 1 / divisor
        assert await Job.objects.values("team").annotate(x=orm.Avg("integer")).filter(x=1 / divisor).count() == 1


@pytest.mark.parametrize("field", ["priority", "rights"])
async def test_calculations_with_members_of_an_integer_enum_are_integers(jobs: Database, field: str) -> None:
    query = Job.objects.exclude(**{field: None}).order_by("id")
    stored = [int(value) for value in values_of(field, [1, 2])]
    calculations: list[tuple[Any, Callable[[int], int]]] = [
        (F(field) + 1, lambda number: number + 1),
        (10 * F(field), lambda number: 10 * number),
        (F(field) - F(field), lambda number: 0),
        (Abs(F(field) - 9), lambda number: 9 - number),
        (Abs(field), lambda number: number),
        (Round(field), lambda number: number),
        (Coalesce(field, Value(0)), lambda number: number),
        (Greatest(field, Value(50)), lambda number: 50),
        (orm.Case(orm.When(**{f"{field}__gt": 1}, then=field), default=0), lambda number: number if number > 1 else 0),
    ]
    for expression, python in calculations:
        found = await query.values_list(expression, flat=True)
        assert (found, {type(value) for value in found}) == ([python(number) for number in stored], {int}), expression


async def test_a_choice_between_members_of_one_enum_is_a_member(jobs: Database) -> None:
    found = await Job.objects.filter(id=1).values_list(Greatest("priority", "priority"), flat=True)
    assert found == [Priority.low] and type(found[0]) is Priority


async def test_decimals_are_calculated_in_decimals(jobs: Database) -> None:
    await Job.objects.all().delete()
    numbers = [D("0.10"), D("0.20"), D("7.00"), D("-1.05"), D("99999.99")]
    await Job.objects.bulk_create([{"team": 3, "decimal": number} for number in numbers])
    query = Job.objects.order_by("id")
    calculations: list[tuple[Any, Callable[[D], D]]] = [
        (F("decimal") * 3, lambda number: number * 3),
        (F("decimal") * F("decimal"), lambda number: number * number),
        (F("decimal") * D("1.075"), lambda number: number * D("1.075")),
        (F("decimal") + D("0.7"), lambda number: number + D("0.7")),
        (D("0.7") - F("decimal"), lambda number: D("0.7") - number),
        (F("decimal") - F("team"), lambda number: number - 3),
        (F("decimal") / 2, lambda number: number / 2),
        (F("team") / D("2.0"), lambda number: D("1.5")),
        (F("decimal") % D("0.3"), lambda number: number % D("0.3")),
        (F("decimal") / 4 * 4, lambda number: number),
    ]
    for expression, python in calculations:
        found = await query.values_list(expression, flat=True)
        assert found == [python(number) for number in numbers], expression
        for number in numbers:
            rows = query.annotate(x=expression).filter(x=python(number))
            assert number in await rows.values_list("decimal", flat=True), (expression, number)


async def test_sums_of_decimals_lose_no_digit(jobs: Database) -> None:
    if jobs.url.dialect == "sqlite" and sys.version_info < (3, 11):
        pytest.skip("sqlite3 of Python 3.10 takes no window functions, so that sums are SQLite's own, of floats")
    await Job.objects.all().delete()
    await Job.objects.bulk_create([{"team": 1, "decimal": "0.10"} for _ in range(2000)])
    assert await Job.objects.aggregate(a=orm.Sum("decimal"), b=orm.Avg("decimal")) == {"a": D(200), "b": D("0.1")}
    assert await Job.objects.values("team").annotate(x=orm.Sum("decimal")).filter(x=D("200.00")).count() == 1
    running = Window(orm.Sum("decimal"), order_by="id", frame=orm.RowRange(-1, 0))
    assert set((await Job.objects.values_list(running, flat=True))[1:]) == {D("0.2")}


async def test_a_product_with_too_many_digits_for_sqlite_is_an_error(jobs: Database) -> None:
    await Job.objects.filter(id=1).update(decimal="123456.78")
    product = F("decimal") * D("1234567.1234567")
    query = Job.objects.filter(id=1).values_list(product, flat=True)
    if jobs.url.dialect == "sqlite":
        with pytest.raises(orm.DatabaseError):
            await query
    else:
        assert await query == [D("123456.78") * D("1234567.1234567")]
