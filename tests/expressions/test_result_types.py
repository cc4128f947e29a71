"""The types of expressions: numbers widen, and types that do not mix raise before the query is sent."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from orm.functions import Coalesce, Greatest, Least, Lower, NullIf, Upper
from tests.sample_models.shop import Item, Shelf

pytestmark = pytest.mark.anyio

D = decimal.Decimal


async def of_first(expression: Any) -> Any:
    [value] = await Item.objects.filter(id=1).values_list(expression, flat=True)
    return value


async def test_functions_of_different_numbers_return_the_widest_type(shop: Database) -> None:
    await Item.objects.filter(id=1).update(count=2, weight=0.5, price="1.25")
    assert await of_first(Coalesce("count", "weight")) == 2.0
    assert type(await of_first(Coalesce("count", "weight"))) is float
    assert await of_first(Coalesce(NullIf("count", 2), orm.Value(0.5))) == 0.5
    assert await of_first(Greatest("count", "price")) == D(2)
    assert await of_first(Least("count", "price")) == D("1.25")
    assert await of_first(orm.Case(orm.When(id=1, then="price"), default="count")) == D("1.25")
    assert await of_first(orm.Case(orm.When(id=2, then="count"), default="price")) == D("1.25")
    assert (await Item.objects.filter(id=99).aggregate(x=orm.Sum("count", default=0.5)))["x"] == 0.5
    assert await of_first(Coalesce("shelf", "count")) == 2


async def test_output_field_sets_the_result_type(shop: Database) -> None:
    value = await of_first(Coalesce("count", "weight", output_field=orm.Float()))
    assert (value, type(value)) == (0.0, float)
    assert await of_first(Upper("count")) == "0"


MIXED: dict[str, Callable[[], Any]] = {
    "arithmetic with text": lambda: orm.F("name") + 1,
    "arithmetic with a text": lambda: orm.F("count") + "1",
    "texts": lambda: orm.F("name") + orm.F("sku"),
    "truth": lambda: orm.F("sold") * 2,
    "bytes": lambda: orm.F("label") - 1,
    "enum": lambda: orm.F("size") + orm.F("size"),
    "Coalesce": lambda: Coalesce("count", orm.Value("-")),
    "Coalesce of a date": lambda: Coalesce("best_before", "name"),
    "Greatest": lambda: Greatest("count", "made"),
    "Least": lambda: Least("sold", "count"),
    "NullIf": lambda: NullIf("name", "count"),
    "Case": lambda: orm.Case(orm.When(id=1, then="name"), default="count"),
    "Case across": lambda: orm.Case(orm.When(id=1, then="shelf__name"), default="shelf"),
    "default": lambda: orm.Sum("count", default=orm.Value("-")),
}


@pytest.mark.parametrize("what", MIXED)
def test_functions_of_types_that_do_not_mix_raise(what: str) -> None:
    with pytest.raises(orm.FieldError):
        Item.objects.annotate(x=MIXED[what]())


def test_error_for_types_that_do_not_mix_names_them() -> None:
    with pytest.raises(
        orm.FieldError, match=r"Coalesce\(F\('count'\), F\('name'\)\) mixes Integer, String: .*Cast\(\)"
    ):
        Item.objects.annotate(x=Coalesce("count", "name"))
    with pytest.raises(orm.FieldError, match=r"calculates with String, .*Concat\(\)"):
        Item.objects.annotate(x=Item.name + "x")


async def test_func_by_name_calls_the_database_function(shop: Database) -> None:
    assert await of_first(orm.Func(orm.F("id") - 5, function="ABS")) == 4
    assert await of_first(orm.Func("name", orm.Value("b"), function="NULLIF")) == "a"
    assert await of_first(orm.Func("name", function="LENGTH", output_field=orm.Integer())) == 1
    assert await of_first(Lower(orm.Func("sku", function="UPPER"))) == "sku00"


@pytest.mark.parametrize(
    "name", ["", "a b", "a(", "a.b", "1a", "a;", "ä", "a" * 64, 5, b"abs", "abs--", 'a"', "select", "FROM", "None"]
)
def test_func_with_name_that_is_no_identifier_raises(name: Any) -> None:
    with pytest.raises(orm.QueryError):
        orm.Func("count", function=name)


def test_func_with_missing_or_second_name_raises() -> None:
    with pytest.raises(orm.QueryError, match="defines its own function"):
        Lower("name", function="UPPER")
    with pytest.raises(orm.QueryError, match="needs the name"):
        orm.Func("count")
    with pytest.raises(TypeError):
        orm.Func("count", function="ABS", template="%(function)s")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "make",
    [
        lambda field: orm.Value(1, output_field=field),
        lambda field: orm.Func("id", function="ABS", output_field=field),
        lambda field: orm.Case(orm.When(id=1, then=1), output_field=field),
        lambda field: orm.ExpressionWrapper(orm.F("id"), output_field=field),
    ],
)
def test_output_field_that_is_no_field_raises(make: Any) -> None:
    with pytest.raises(orm.FieldError, match=r"output_field=orm\.Integer\(\)"):
        make(orm.Integer)
    with pytest.raises(orm.FieldError, match="not str"):
        make("Integer")


def test_func_name_is_part_of_the_query_key() -> None:
    queries = [Shelf.objects.values(x=orm.Func("id", function=name)) for name in ("ABS", "SIGN", "ABS")]
    first, second, third = (query._query.key for query in queries)
    assert first == third != second


async def test_quotient_of_decimals_has_a_fraction_if_both_are_whole(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Price(orm.Model):
        registry = models

        amount = orm.Decimal(max_digits=8, decimal_places=2)
        count = orm.Integer()

    await models.create_all()
    await Price.objects.create(amount=5, count=2)
    amount, count = orm.F("amount"), orm.F("count")
    for expression, expected in (
        (amount / 2, "2.5"),
        (amount / count, "2.5"),
        (count / amount, "0.4"),
        ((amount + count) / 2, "3.5"),
        (1 / (amount / 2), "0.4"),
        (amount / 2 / 2, "1.25"),
        (orm.Sum("amount") / 2, "2.5"),
    ):
        query = Price.objects.annotate(quotient=expression)
        assert await query.values_list("quotient", flat=True) == [decimal.Decimal(expected)]
        assert await query.filter(quotient__range=(decimal.Decimal("0.1"), 4)).count() == 1
    await Price.objects.update(amount=amount / 2)
    assert await Price.objects.values_list("amount", flat=True) == [decimal.Decimal("2.50")]
