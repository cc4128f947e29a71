"""``F("name")[:3]``: parts of texts, and of arrays on PostgreSQL."""

from __future__ import annotations

from typing import Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from orm.functions import KT, Concat, Lower
from tests.sample_models.shop import Item, Numbered, arrays, rows

pytestmark = pytest.mark.anyio

SKUS = [row["sku"] for row in rows()]
SLICES: list[Any] = [
    slice(3),
    slice(3, None),
    slice(1, 4),
    slice(None),
    slice(2, 2),
    slice(0, 99),
    slice(99, None),
    0,
    4,
]


@pytest.mark.parametrize("index", SLICES, ids=str)
async def test_slice_of_text_returns_what_python_does(any_shop: databases.Database, index: int | slice) -> None:
    wanted = [sku[index] for sku in SKUS]
    for expression in (orm.F("sku")[index], Item.sku[index], Item.sku[:][index]):
        assert await Item.objects.order_by("id").values_list(expression, flat=True) == wanted


async def test_slice_works_in_filter_order_by_and_update(shop: Database) -> None:
    assert await Item.objects.filter(Item.sku[3:] == "07").values_list("id", flat=True) == [8]
    assert await Item.objects.order_by(orm.F("sku")[4:].desc(), "id").values_list("id", flat=True)[:3] == [10, 20, 9]
    assert await Item.objects.filter(id=1).update(name=Concat(Item.sku[:3], orm.Value("-"), Item.sku[3:])) == 1
    assert (await Item.objects.get(id=1)).name == "sku-00"
    assert await Item.objects.filter(shelf__name=orm.F("shelf__name")[:3]).count() == 10
    assert await Item.objects.filter(id=2).values_list(Lower("shelf__name")[1:], flat=True) == ["op"]


async def test_slice_of_json_text_returns_part(shop: Database) -> None:
    await Item.objects.filter(id=1).update(data={"name": "Fjord"})
    assert await Item.objects.filter(id=1).values_list(KT("data__name")[:2], flat=True) == ["Fj"]
    with pytest.raises(orm.NotSupportedError, match="part"):
        Item.objects.values(orm.F("data__name")[:2])


async def test_slice_of_array_returns_items(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        arrays.database = database
        await arrays.create_all()
        numbers = [1, 2, 3, 4]
        await Numbered.objects.create(numbers=numbers)
        for index in (slice(2), slice(1, 3), slice(2, None), slice(3, 3), slice(9, None)):
            assert await Numbered.objects.values_list(Numbered.numbers[index], flat=True) == [numbers[index]]
        # As in Django, one of them is a list of one.
        assert await Numbered.objects.values_list(orm.F("numbers")[1], flat=True) == [[2]]
        assert await Numbered.objects.filter(numbers=orm.F("numbers")[:4]).count() == 1


@pytest.mark.parametrize(
    "index",
    [-1, slice(-1), slice(-3, None), slice(None, None, 2), slice(3, 2), slice(3, 0), "a", None, True, 1.5, (1, 2)],
)
def test_slice_with_invalid_index_raises(index: Any) -> None:
    with pytest.raises(orm.QueryError):
        orm.F("sku")[index]
    with pytest.raises(orm.QueryError):
        Item.sku[index]


def test_slice_of_field_without_parts_raises() -> None:
    for name in ("count", "price", "made", "sold", "size", "label", "shelf"):
        with pytest.raises(orm.NotSupportedError, match="part"):
            Item.objects.annotate(part=orm.F(name)[:2])
    with pytest.raises(orm.FieldError):
        Item.objects.annotate(part=orm.F("nothing")[:2])


def test_iterating_over_expression_raises() -> None:
    with pytest.raises(TypeError):
        list(orm.F("sku"))
    with pytest.raises(TypeError):
        assert "s" in orm.F("sku")
    assert repr(orm.F("sku")[1:3]) == "F('sku')[1:3]"
