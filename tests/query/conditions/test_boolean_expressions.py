"""Boolean expressions as conditions, in `filter()`, `exclude()`, `Q`, `When` and aggregates."""

from __future__ import annotations

from typing import Any

import databases
import pytest

import orm
from orm.database.connections.database import Database
from orm.functions import Coalesce, Upper
from tests.sample_models.shop import Item, Shelf, rows

pytestmark = pytest.mark.anyio

SOLD = [row["id"] for row in rows() if row["sold"]]
DEAR: orm.Case[bool] = orm.Case(
    orm.When(price__gte=1, then=orm.Value(True)), orm.When(price__lt=1, then=orm.Value(False))
)
"""NULL for items without a price."""
IS_DEAR = [row["id"] for row in rows() if row["price"] is not None and row["price"] >= 1]
IS_CHEAP = [row["id"] for row in rows() if row["price"] is not None and row["price"] < 1]


async def keys(query: Any) -> list[int]:
    found: list[int] = await query.order_by("id").values_list("id", flat=True)
    return found


async def test_boolean_field_is_a_condition(any_shop: databases.Database) -> None:
    others = [row["id"] for row in rows() if not row["sold"]]
    for sold in (Item.sold, orm.F("sold")):
        assert await keys(Item.objects.filter(sold)) == SOLD
        assert await keys(Item.objects.exclude(sold)) == await keys(Item.objects.filter(~sold)) == others
        assert await keys(Item.objects.filter(sold & (Item.id > 10))) == [key for key in SOLD if key > 10]
        assert await keys(Item.objects.filter(orm.Q(id=2) | sold)) == sorted([2, *SOLD])
        assert await keys(Item.objects.filter(sold ^ orm.Q(id=1))) == SOLD[1:]
    assert str(Item.objects.filter(Item.sold).sql) == str(Item.objects.filter(sold=True).sql)


async def test_boolean_field_across_a_relation_to_many_is_a_condition(shop: Database) -> None:
    assert await keys(Shelf.objects.filter(orm.F("items__sold")).distinct()) == [2]
    assert await keys(Shelf.objects.exclude(items__sold=True)) == [1, 3]


async def test_boolean_expression_is_a_condition(any_shop: databases.Database) -> None:
    assert await keys(Item.objects.filter(DEAR)) == IS_DEAR
    assert await keys(Item.objects.exclude(DEAR)) == await keys(Item.objects.filter(~orm.Q(DEAR))) == IS_CHEAP
    assert await keys(Item.objects.filter(Coalesce(DEAR, orm.Value(True)))) == sorted(
        {row["id"] for row in rows()} - set(IS_CHEAP)
    )
    wrapped: Any = orm.ExpressionWrapper(orm.Q(price__gte=1), orm.Boolean())
    assert await keys(Item.objects.filter(wrapped, Item.sold)) == sorted(set(IS_DEAR) & set(SOLD))
    assert await keys(Item.objects.annotate(dear=DEAR).filter(orm.F("dear"))) == IS_DEAR
    sold = Shelf.objects.filter(id=orm.OuterRef("shelf"), name="top").values(top=orm.Value(True))[:1]
    assert await Item.objects.filter(orm.Subquery(sold)).count() == 5
    assert await Item.objects.filter(orm.Value(True)).count() == 20
    assert await Item.objects.filter(orm.Value(False)).count() == 0


async def test_boolean_expression_inside_case_and_q_is_a_condition(shop: Database) -> None:
    kind = orm.Case(orm.When(DEAR, then=orm.Value("dear")), orm.When(Item.sold, then=orm.Value("sold")))
    found = await Item.objects.order_by("id").values_list(kind, flat=True)
    assert found == ["dear" if row["id"] in IS_DEAR else "sold" if row["id"] in SOLD else None for row in rows()]
    counts = await Item.objects.aggregate(sold=orm.Count("id", filter=Item.sold), dear=orm.Count("id", filter=DEAR))
    assert counts == {"sold": len(SOLD), "dear": len(IS_DEAR)}


async def test_boolean_aggregate_and_window_are_conditions(shop: Database) -> None:
    many = orm.Case(orm.When(n__gte=5, then=orm.Value(True)), default=orm.Value(False))
    groups = Item.objects.values("count").annotate(n=orm.Count("id")).order_by("count")
    assert await groups.filter(many).values_list("count", "n") == [(0, 7), (1, 7), (2, 6)]
    place = orm.Window(orm.RowNumber(), partition_by="count", order_by="id")
    first: orm.Case[bool] = orm.Case(orm.When(place=1, then=orm.Value(True)), default=orm.Value(False))
    assert await keys(Item.objects.annotate(place=place).filter(first)) == [1, 2, 3]


def test_expression_that_is_not_boolean_raises() -> None:
    for wrong in (Item.count, orm.F("name"), Upper("name"), orm.F("count") + 1, orm.Value(1), orm.F("data__key")):
        for made in (
            lambda wrong=wrong: Item.objects.filter(wrong),
            lambda wrong=wrong: Item.objects.exclude(wrong),
            lambda wrong=wrong: Item.objects.filter(orm.Q(id=1) | wrong),
            lambda wrong=wrong: Item.objects.filter(~wrong),
            lambda wrong=wrong: Item.objects.annotate(x=orm.Case(orm.When(wrong, then=1))),
        ):
            with pytest.raises(
                (orm.QueryError, orm.FieldError), match=r"no condition by itself|which is not true or false"
            ):
                made()
    with pytest.raises(orm.QueryError, match=r"bitand\(\)"):
        Item.count & 1
    with pytest.raises(orm.FieldError, match="nothing"):
        Item.objects.filter(orm.F("nothing"))
    with pytest.raises(orm.FieldError):
        Item.objects.filter(Shelf.name)
    with pytest.raises(orm.QueryError):
        Item.objects.filter(orm.When(id=1, then=orm.Value(True)))  # type: ignore[arg-type]
