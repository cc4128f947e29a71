"""JSON documents that are integers beyond the 64 bits of an integer column."""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio

models = orm.ModelRegistry()


class Document(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    data = orm.JSON()


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)])
async def test_equality_with_a_large_integer_finds_its_document(database: Database, number: int) -> None:
    models.database = database
    await models.create_all()
    await Document.objects.bulk_create([{"data": number}, {"data": 1}, {"data": {"a": number}}])
    assert await Document.objects.filter(data=number).values_list("id", flat=True) == [1]
    assert await Document.objects.filter(data__in=[number]).values_list("id", flat=True) == [1]
    assert await Document.objects.exclude(data=number).order_by("id").values_list("id", flat=True) == [2, 3]
    assert await Document.objects.filter(data__a=number).values_list("id", flat=True) == [3]
    assert (await Document.objects.get_or_create(data=number))[1] is False


NUMBERS = [0, 1, -1, 2**53, 2**53 + 1, 2**53 + 2, -(2**53) - 1, 2**63 - 2, 2**63 - 1, 1.5, -0.25]
BEYOND_SQLITE = [2**63, 2**64 - 2, 2**64 - 1]  # where such integers are floats, as decimals are
COMPARED = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


async def test_large_integers_are_compared_exactly(database: Database) -> None:
    models.database = database
    await models.create_all()
    numbers = NUMBERS if database.url.dialect == "sqlite" else NUMBERS + BEYOND_SQLITE
    values = [*numbers, None, "1", "9007199254740993", True, [1], {"a": 2}]
    await Document.objects.bulk_create([{"data": {"n": value}} for value in values])
    await Document.objects.create(data={"other": 1})
    rows = Document.objects.order_by("id")

    def expected(compare: Callable[[Any], bool]) -> list[int]:
        return [key for key, value in enumerate(numbers, 1) if compare(value)]

    for number in (*numbers, Decimal("0.1" if database.url.dialect == "sqlite" else "9007199254740992.5")):
        for lookup, compare in COMPARED.items():
            ours = await rows.filter(**{f"data__n__{lookup}": number}).values_list("id", flat=True)
            assert ours == expected(lambda value: compare(value, number)), (lookup, number)  # noqa: B023
            others = await rows.exclude(**{f"data__n__{lookup}": number}).count()
            assert others == len(values) - values.count(None) + 1 - len(ours), (lookup, number)
    between = await rows.filter(data__n__range=(2**53 + 1, 2**63 - 2)).values_list("id", flat=True)
    assert between == expected(lambda value: 2**53 + 1 <= value <= 2**63 - 2)
    limited = rows.annotate(limit=orm.Value(2**53 + 1, output_field=orm.BigInteger()))
    assert await limited.filter(data__n__gt=orm.F("limit")).values_list("id", flat=True) == expected(
        lambda value: value > 2**53 + 1
    )
