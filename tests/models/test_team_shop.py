"""A team's models of a shop, forty tables and more: created on each database, and used for a day."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import orm
from orm import F, Q
from orm.database.connections.database import Database
from tests.sample_models import team_shop as s

pytestmark = pytest.mark.anyio

DAY = datetime.date(2024, 5, 1)
JUNE = datetime.date(2024, 6, 1)
HOME = s.Address("Via Po 1", "Turin", "10124", "IT")


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Any]:
    """A tenant with a product of two variants, with prices and stock, and a customer."""
    s.models.database = database
    await s.models.create_all()
    await s.Country.objects.create(code="DE", name="Germany")
    await s.Currency.objects.create(code="EUR")
    tax = await s.TaxRate.objects.create(country_id="DE", name="full", percent="19")
    one, two = await s.Tenant.objects.bulk_create(
        [{"slug": "one", "name": "One", "currency": "EUR"}, {"slug": "two", "name": "Two", "currency": "EUR"}]
    )
    with s.tenant(one.id):
        listed = await s.PriceList.objects.create(name="retail", currency_id="EUR")
        category = await s.Category.objects.create_graph({"name": "All", "children": [{"name": "Lamps"}]})
        lamp = await s.Product.objects.create_graph(
            {
                "slug": "lamp",
                "name": "Lamp",
                "category": category.children[0],
                "tax": tax,
                "details": {"colours": ["red"]},
                "tags": [{"name": "light"}, {"name": "home"}],
                "variants": [{"sku": "L-S", "weight": 300}, {"sku": "L-L", "weight": 700}],
            }
        )
        small, large = lamp.variants
        house = await s.Warehouse.objects.create(name="main", address=HOME)
        stock = await s.Stock.objects.bulk_create(
            [{"warehouse": house, "variant": small, "quantity": 5}, {"warehouse": house, "variant": large}]
        )
        await s.Price.objects.bulk_create(
            [
                {
                    "price_list": listed,
                    "variant": small,
                    "first_day": DAY,
                    "end_day": JUNE,
                    "amount": 10,
                },
                {"price_list": listed, "variant": small, "first_day": JUNE, "amount": "12.50"},
                {"price_list": listed, "variant": large, "first_day": DAY, "amount": "20.05"},
            ]
        )
        customer = await s.Customer.objects.create(email="ann@example.org", name="Ann", billing=HOME, price_list=listed)
    yield SimpleNamespace(
        one=one,
        two=two,
        lamp=lamp,
        small=small,
        large=large,
        customer=customer,
        listed=listed,
        stock=stock,
        tax=tax,
        category=category,
        database=database,
    )


async def price_on(variant: Any, day: datetime.date) -> Decimal:
    prices = s.Price.objects.filter(Q(end_day=None) | Q(end_day__gt=day), variant=variant, first_day__lte=day)
    price = await prices.latest("first_day")
    amount: Decimal = price.amount
    return amount


async def place_order(shop: Any, number: int, quantities: dict[Any, int]) -> Any:
    """Reserve the stock, and make the order with its lines, in one transaction."""
    async with shop.database.transaction():
        for variant, quantity in quantities.items():
            stock = await s.Stock.objects.select_for_update().get(variant=variant)
            stock.reserved = F("reserved") + quantity
            await stock.save(changed_only=True)
        lines = [
            {"variant": variant, "quantity": quantity, "price": await price_on(variant, DAY)}
            for variant, quantity in quantities.items()
        ]
        return await s.Order.objects.create_graph(
            {
                "number": number,
                "customer": shop.customer,
                "state": s.OrderState.placed,
                "placed_at": s.now(),
                "ship_to": shop.customer.billing,
                "lines": lines,
            }
        )


def test_models_are_forty_tables_without_sql_and_without_sqlalchemy() -> None:
    assert len(s.models.metadata.tables) >= 40
    source = Path(s.__file__).read_text(encoding="utf-8") + Path(__file__).read_text(encoding="utf-8")
    imports = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
    assert not any("sqlalchemy" in line for line in imports)
    assert ".raw" + "(" not in source and "text" + '("SELECT' not in source


async def test_price_is_that_of_the_day(shop: Any) -> None:
    with s.tenant(shop.one.id):
        assert await price_on(shop.small, DAY) == Decimal("10.00")
        assert await price_on(shop.small, DAY.replace(month=7)) == Decimal("12.50")
        with pytest.raises(s.Price.DoesNotExist):
            await price_on(shop.small, DAY.replace(year=2023))
        with pytest.raises(orm.CheckViolation) as caught:
            await s.Price.objects.create(
                price_list=shop.listed, variant=shop.large, first_day=DAY.replace(month=9), end_day=DAY, amount=1
            )
        assert {message.text for message in caught.value.as_validation_error().messages()} == {
            "The period ends before it begins."
        }


async def test_order_is_placed_paid_invoiced_and_shipped(shop: Any) -> None:
    with s.tenant(shop.one.id):
        shop.stock[1].quantity = 3
        await shop.stock[1].save(changed_only=True)
        order = await place_order(shop, 1, {shop.small: 2, shop.large: 1})
        assert await s.Stock.objects.aggregate(n=orm.Sum("reserved")) == {"n": 3}
        total = (await s.OrderLine.objects.filter(order=order).aggregate(t=orm.Sum("total")))["t"]
        assert total == Decimal("40.05")
        async with shop.database.transaction():
            await s.Payment.objects.create(order=order, amount=total, provider="card", reference="r1")
            await order.update(state=s.OrderState.paid)
            await s.Invoice.objects.create(order=order, number="2024-1", net=total, tax="7.61")
            await s.OutboxEvent.objects.create(topic="order.paid", payload={"order": order.number})
        loaded = await s.Order.objects.graph("lines__variant__product", "payments", "invoice").get()
        assert (loaded.state, loaded.ship_to, loaded.invoice.gross) == (s.OrderState.paid, HOME, Decimal("47.66"))
        assert {line.variant.product.name for line in loaded.lines} == {"Lamp"}
        carrier = await s.Carrier.objects.create(name="Post")
        await s.Shipment.objects.create_graph(
            {
                "order": order,
                "carrier": carrier,
                "lines": [{"order_line": line, "quantity": line.quantity} for line in loaded.lines],
            }
        )
        assert await s.ShipmentLine.objects.filter(shipment__order=order).aggregate(n=orm.Sum("quantity")) == {"n": 3}
        with pytest.raises(orm.UniqueViolation) as caught:
            await s.Payment.objects.create(order=order, amount=1, provider="card", reference="r1")
        assert set(caught.value.fields) == {"provider", "reference"}


async def test_more_than_there_is_cannot_be_reserved(shop: Any) -> None:
    with s.tenant(shop.one.id):
        with pytest.raises(orm.CheckViolation) as caught:
            await place_order(shop, 1, {shop.small: 6})
        assert caught.value.as_validation_error().messages()[0].text == "Out of stock."
        assert await s.Order.objects.count() == 0
        mine, theirs = await s.Stock.objects.get(variant=shop.small), await s.Stock.objects.get(variant=shop.small)
        mine.quantity = 4
        await mine.save(changed_only=True)
        theirs.quantity = 9
        with pytest.raises(orm.StaleObject):
            await theirs.save(changed_only=True)


async def test_product_is_changed_as_a_graph(shop: Any) -> None:
    with s.tenant(shop.one.id):
        await s.Product.objects.update_graph(
            {
                "id": shop.lamp.id,
                "name": "Desk lamp",
                "variants": [{"id": shop.small.id, "weight": 350}, {"id": shop.large.id}, {"sku": "L-XL"}],
                "images": [{"url": "https://example.org/1.png"}],
            }
        )
        variants = await s.Variant.objects.order_by("sku").values_list("sku", "weight")
        assert variants == [("L-L", 700), ("L-S", 350), ("L-XL", 0)]
        assert await s.Product.objects.named("DESK").values_list("images__url", flat=True) == [
            "https://example.org/1.png"
        ]


async def test_deleted_rows_are_kept_and_their_names_are_free(shop: Any) -> None:
    with s.tenant(shop.one.id):
        with pytest.raises(orm.UniqueViolation) as caught:
            await s.Customer.objects.create(email="ann@example.org", name="Other", billing=HOME)
        assert caught.value.as_validation_error().messages()[0].text == "There is a customer with this address."
        await shop.customer.delete()
        assert await s.Customer.objects.count() == 0
        await s.Customer.objects.create(email="ann@example.org", name="Ann again", billing=HOME)
        assert await s.Customer.of_all_tenants.count() == 2


async def test_tenants_see_their_own_rows_and_no_query_is_without_one(shop: Any) -> None:
    with pytest.raises(orm.QueryError, match="there is none"):
        await s.Product.objects.count()
    with pytest.raises(orm.QueryError, match="there is none"):
        await s.Brand(name="x").save()
    with s.tenant(shop.two.id):
        assert await s.Product.objects.count() == 0
        root = await s.Category.objects.create(name="All")
        await s.Product.objects.create(slug="lamp", name="Their lamp", category=root, tax=shop.tax)
    with s.tenant(shop.one.id):
        assert await s.Product.objects.values_list("name", flat=True) == ["Lamp"]
        assert await s.Product.objects.all().update(name="mine") == 1
    assert await s.Product.of_all_tenants.order_by("name").values_list("name", flat=True) == ["Their lamp", "mine"]


async def test_changes_are_audited_in_their_transaction(shop: Any) -> None:
    with s.tenant(shop.one.id):
        customer = await s.Customer.objects.get()
        customer.billing = s.Address("Corso 3", "Milan", "20121", "IT")
        await customer.save(changed_only=True)
        with pytest.raises(ZeroDivisionError):
            async with shop.database.transaction():
                await customer.update(name="never")
                raise ZeroDivisionError
    entries = await s.AuditEntry.objects.filter(subject="customer").order_by("at", "id")
    assert [entry.action for entry in entries] == ["created", "changed"]
    assert {"billing_city", "billing_street", "updated"} <= set(entries[1].changed)
    assert "name" not in entries[1].changed


async def test_report_of_the_best_customers(shop: Any) -> None:
    with s.tenant(shop.one.id):
        shop.stock[0].quantity = 50
        await shop.stock[0].save(changed_only=True)
        for number in range(1, 4):
            await place_order(shop, number, {shop.small: number})
        ranked = (
            s.Order.objects.values("number")
            .annotate(total=orm.Sum("lines__total"), town=orm.AnyValue("customer__billing_city"))
            .order_by("-total")
        )
        assert await ranked.values_list("number", "total", "town") == [
            (3, Decimal("30.00"), "Turin"),
            (2, Decimal("20.00"), "Turin"),
            (1, Decimal("10.00"), "Turin"),
        ]
        page = await s.Order.objects.order_by("-number").page(size=2)
        assert [order.number for order in page.items] == [3, 2] and page.next_cursor is not None
