"""Aggregates that collect values (`StringAgg`, `JSONAgg`, `ArrayAgg`), and standard deviation and variance."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
import sqlalchemy

import orm
from orm import ArrayAgg, Count, F, JSONAgg, Q, StringAgg, Value
from orm.database.connections.database import Database
from tests.sample_models.all_column_types import Thing

pytestmark = pytest.mark.anyio


async def test_string_agg_joins_texts(things: Database) -> None:
    result = await Thing.objects.aggregate(
        forth=StringAgg("name", ", ", order_by="id"),
        back=StringAgg("name", "';%s?--", order_by="-id"),
        numbers=StringAgg("n", "|", order_by=F("n").desc()),
        some=StringAgg("name", ",", filter=Q(n__gt=0), order_by=["-n"]),
        each=StringAgg("flag", ",", distinct=True, filter=Q(id=1)),
        none=StringAgg("name", ",", filter=Q(id=99)),
        default=StringAgg("name", ",", filter=Q(id=99), default=Value("nothing")),
        built=StringAgg(orm.functions.Concat(Value("<"), "n", Value(">")), "", order_by="id", filter=Q(id__lt=3)),
    )
    flags = result.pop("each")
    assert flags in ("1", "true")
    assert result == {
        "forth": " Ärger ß , abcabc, , a%_é😀",
        "back": "a%_é😀';%s?--';%s?--abcabc';%s?-- Ärger ß ",
        "numbers": "100|7|0|-3",
        "some": "a%_é😀, Ärger ß ",
        "none": None,
        "default": "nothing",
        "built": "<7><-3>",
    }


async def test_collection_aggregates_with_distinct_drop_duplicates(things: Database) -> None:
    await Thing.objects.filter(id=3).update(name="abcabc")
    result = await Thing.objects.filter(id__in=[2, 3]).aggregate(s=StringAgg("name", ",", distinct=True))
    assert result == {"s": "abcabc"}
    result = await Thing.objects.aggregate(j=JSONAgg("flag", distinct=True, filter=Q(id__in=[2, 4])))
    assert result == {"j": [False]}


async def test_json_agg_collects_values(things: Database) -> None:
    result = await Thing.objects.aggregate(
        n=JSONAgg("n", order_by="id"),
        name=JSONAgg("name", order_by="-id"),
        flag=JSONAgg("flag", order_by="id"),
        data=JSONAgg("data", order_by="id", filter=Q(id__gte=3)),
        key=JSONAgg("data__owner__name", order_by="id"),
        none=JSONAgg("n", filter=Q(id=99)),
    )
    assert result == {
        "n": [7, -3, 0, None, 100],
        "name": ["a%_é😀", None, "", "abcabc", " Ärger ß "],
        "flag": [True, False, True, False, True],
        "data": [[1, [2, "x"], {"k": 1}], None, {"n": "10", "owner": None, "it's": 2}],
        "key": ["Bob", "ann", None, None, None],
        "none": None,
    }


async def test_collection_aggregates_of_groups_collect_per_group(things: Database) -> None:
    query = Thing.objects.annotate(names=JSONAgg("parts__id", order_by="parts__id", filter=Q(parts__isnull=False)))
    assert await query.order_by("id").values_list("id", "names") == [
        *((1, [2, 3]), (2, [5]), (3, None), (4, None), (5, None))
    ]
    groups = Thing.objects.values("flag").annotate(ids=StringAgg("id", "+", order_by="-id"), c=Count("id"))
    assert await groups.filter(c__gt=1).order_by("flag").values_list("flag", "ids") == [(False, "4+2"), (True, "5+3+1")]


async def test_array_agg_collects_values_on_postgresql(things: Database) -> None:
    query = Thing.objects.all()
    if things.url.dialect != "postgresql":
        with pytest.raises(orm.NotSupportedError):
            await query.aggregate(a=ArrayAgg("n"))
        return
    result = await query.aggregate(
        n=ArrayAgg("n", order_by="id"),
        days=ArrayAgg("day", order_by="-day", filter=Q(day__isnull=False)),
        each=ArrayAgg("flag", distinct=True),
        none=ArrayAgg("n", filter=Q(id=99)),
        default=ArrayAgg("name", filter=Q(id=99)),
    )
    assert result["n"] == [7, -3, 0, None, 100]
    assert [day.year for day in result["days"]] == [2024, 2023, 2021, 1999]
    assert sorted(result["each"]) == [False, True] and result["none"] is None


async def test_stddev_and_variance_return_statistics(things: Database) -> None:
    numbers = [7, -3, 0, 100]
    result = await Thing.objects.aggregate(
        a=orm.StdDev("n"),
        b=orm.StdDev("n", sample=True),
        c=orm.Variance("n"),
        d=orm.Variance("n", sample=True),
        one=orm.Variance("n", sample=True, filter=Q(id=1)),
        none=orm.StdDev("n", filter=Q(id=99)),
    )
    measures = (statistics.pstdev, statistics.stdev, statistics.pvariance, statistics.variance)
    for value, measure in zip(result.values(), measures, strict=False):
        assert value == pytest.approx(measure(numbers), rel=1e-4)
    assert result["one"] is None and result["none"] is None


async def test_aggregates_with_other_values_share_a_plan(things: Database) -> None:
    """Delimiters, conditions and defaults are arguments."""
    orm.plan_cache_clear()
    for delimiter in (",", "';", "%", "\\", "x" * 50):
        result = await Thing.objects.filter(id__lt=3).aggregate(
            s=StringAgg("n", delimiter, order_by="id", filter=Q(n__gt=-10), default=Value(delimiter))
        )
        assert result == {"s": f"7{delimiter}-3"}
    assert orm.plan_cache_info().misses == 1


class SumOfSquares(orm.Aggregate[int]):
    name = "squares"

    def build(self, *arguments: Any) -> Any:
        (value,) = arguments
        return sqlalchemy.func.sum(value * value)


class SumOfDistinctSquares(SumOfSquares):
    allow_distinct = True

    def build(self, *arguments: Any) -> Any:
        (value,) = arguments
        square = value * value
        return sqlalchemy.func.sum(sqlalchemy.distinct(square) if self.distinct else square)


class SumOfProducts(orm.Aggregate[int]):
    name = "products"
    arity = 2

    def build(self, *arguments: Any) -> Any:
        left, right = arguments
        return sqlalchemy.func.sum(left * right)


async def test_aggregate_with_its_own_build_takes_distinct_only_if_it_says_so(things: Database) -> None:
    for aggregate in (SumOfSquares, SumOfProducts):
        with pytest.raises(orm.QueryError, match=rf"{aggregate.__name__}\(\) does not support distinct=True"):
            aggregate(*("n", "id")[: aggregate.arity], distinct=True)
    await Thing.objects.filter(id=2).update(n=7)  # as the first
    result = await Thing.objects.filter(n__isnull=False).aggregate(
        all=SumOfSquares("n"),
        each=SumOfDistinctSquares("n", distinct=True),
        both=SumOfDistinctSquares("n"),
    )
    stored = await Thing.objects.filter(n__isnull=False).values_list("n", flat=True)
    squares = [n * n for n in stored]
    assert result == {"all": sum(squares), "each": sum(set(squares)), "both": sum(squares)}


async def test_aggregate_of_two_expressions(things: Database) -> None:
    rows = await Thing.objects.filter(n__isnull=False).values_list("id", "n")
    result = await Thing.objects.aggregate(
        SumOfProducts("n", "id"),
        some=SumOfProducts("n", F("id") + 1, filter=Q(id__lt=3)),
        none=SumOfProducts("n", "id", filter=Q(id=99), default=0),
        value=SumOfProducts("n", Value(2)),
    )
    assert result == {
        "n__products": sum(key * n for key, n in rows),
        "some": sum((key + 1) * n for key, n in rows if key < 3),
        "none": 0,
        "value": sum(2 * n for _, n in rows),
    }
    for arguments in (("n",), ("n", "id", "id")):
        with pytest.raises(orm.QueryError, match=r"SumOfProducts\(\) takes 2 expressions, got"):
            SumOfProducts(*arguments)
    with pytest.raises(orm.QueryError, match=r"Sum\(\) takes 1 expression, got 2"):
        orm.Sum("n", "id")
