"""Embedded values: several columns that are one value of a dataclass, a Pydantic model, a TypedDict or a struct."""

from __future__ import annotations

import copy
import datetime
import decimal
import enum
import pickle
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
import sqlalchemy
from typing_extensions import NotRequired, TypedDict

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio
models = orm.ModelRegistry()


class Kind(enum.Enum):
    HOME = "home"
    WORK = "work"


@dataclass
class Address:
    street: Annotated[str, orm.String(max_length=20)]
    city: Annotated[str, orm.String(max_length=10)]
    country: Annotated[str, orm.String(max_length=2)] = "IT"
    since: datetime.date | None = None
    kind: Kind = Kind.HOME


class Money(pydantic.BaseModel):
    amount: decimal.Decimal = pydantic.Field(max_digits=10, decimal_places=2, ge=0)
    currency: str = pydantic.Field(max_length=3)

    @pydantic.model_validator(mode="after")
    def check(self) -> Money:
        if self.currency == "JPY" and self.amount % 1:
            raise ValueError("yen have no fractions")
        return self


class Size(TypedDict):
    width: int
    height: int
    depth: NotRequired[int]


class Point(msgspec.Struct):
    x: float
    y: float
    tags: list[str] = []


class Shop(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=10)


class Customer(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=10, allow_blank=True)
    shop = orm.ForeignKey(Shop, allow_null=True, on_delete=orm.CASCADE, related_name="customers")
    billing = orm.Embedded(Address)
    shipping = orm.Embedded(Address, prefix="ship_", allow_null=True)
    credit = orm.Embedded(Money, allow_null=True)
    size: Any = orm.Embedded(Size, allow_null=True, fields={"depth": orm.SmallInteger(minimum=1)})
    place = orm.Embedded(Point, allow_null=True)

    class Meta:
        ordering = ["id"]
        indexes = [orm.Index("billing__city", "-billing__since", name="by_city")]
        constraints = [
            orm.UniqueConstraint("billing__street", "billing__city", name="one_per_house"),
            orm.CheckConstraint(orm.Q(credit__amount__lt=1000), name="small_credit", message="Too much."),
        ]


ROME = Address("Via Po 1", "Rome", since=datetime.date(2020, 5, 1))
TURIN = Address("Via Po 2", "Turin", "FR", kind=Kind.WORK)


@pytest.fixture
async def customers(database: Database) -> AsyncIterator[Database]:
    models.database = database
    await models.create_all()
    shop = await Shop.objects.create(name="s")
    await Customer.objects.create(name="rome", billing=ROME, shop=shop)
    await Customer.objects.bulk_create(
        [
            Customer(
                name="turin", billing=copy.copy(TURIN), shipping=ROME, credit={"amount": "3.50", "currency": "EUR"}
            ),
            {
                "name": "milan",
                "billing": {"street": "Corso 3", "city": "Milan", "since": "2021-01-01"},
                "size": {"width": 1, "height": 2},
                "place": Point(1.5, -2.0, ["a"]),
            },
        ]
    )
    yield database


async def names(*conditions: Any, **lookups: Any) -> list[str]:
    return await Customer.objects.filter(*conditions, **lookups).order_by("id").values_list("name", flat=True)


async def test_values_are_written_and_read(customers: Database) -> None:
    rome, turin, milan = await Customer.objects.all()
    assert rome.billing == ROME and rome.shipping is None and rome.credit is None
    assert type(turin.billing) is Address and turin.billing == TURIN and turin.shipping == ROME
    assert turin.credit == Money(amount=decimal.Decimal("3.50"), currency="EUR")
    assert milan.billing == Address("Corso 3", "Milan", since=datetime.date(2021, 1, 1))
    assert milan.size == {"width": 1, "height": 2} and milan.place == Point(1.5, -2.0, ["a"])
    assert (rome.billing_city, rome.ship_city, milan.size_depth) == ("Rome", None, None)  # type: ignore[attr-defined]
    row = await customers.fetch_one(
        "SELECT billing_street, ship_city, credit_amount FROM customer WHERE name = 'turin'"
    )
    assert row is not None and (row["billing_street"], row["ship_city"]) == ("Via Po 2", "Rome")
    assert rome.billing is rome.billing
    assert pickle.loads(pickle.dumps(rome)).billing == ROME and copy.deepcopy(rome).billing == ROME


async def test_parts_are_queried_by_name(customers: Database) -> None:
    assert await names(billing__city="Rome") == await names(billing_city="Rome") == ["rome"]
    assert await names(billing__city__startswith="M", billing__since__year=2021) == ["milan"]
    assert await names(orm.Q(billing__city="Rome") | orm.Q(ship_city="Rome")) == ["rome", "turin"]
    assert await names(billing__kind=Kind.WORK) == await names(billing__kind="work") == ["turin"]
    assert await names(credit__amount__gt=3) == ["turin"]
    assert await names(place__tags=["a"]) == await names(place__tags__0="a") == ["milan"]
    assert await names(shipping__street=orm.F("billing__street")) == []
    assert await Customer.objects.exclude(shipping__city="Rome").count() == 2
    assert await names(Customer.billing.city == "Rome") == ["rome"]
    assert await names(Customer.billing.city.startswith("M")) == ["milan"]
    assert await Customer.objects.order_by("-billing__city").values_list("billing__city", flat=True) == [
        "Turin",
        "Rome",
        "Milan",
    ]
    assert await Customer.objects.order_by("billing__city").values("name", "billing__city", "ship_city") == [
        {"name": "milan", "billing__city": "Milan", "ship_city": None},
        {"name": "rome", "billing__city": "Rome", "ship_city": None},
        {"name": "turin", "billing__city": "Turin", "ship_city": "Rome"},
    ]
    assert await Customer.objects.aggregate(last=orm.Max("billing__since")) == {"last": datetime.date(2021, 1, 1)}
    grouped = Customer.objects.values("billing__country").annotate(n=orm.Count("id")).order_by("billing__country")
    assert [(row["billing__country"], row["n"]) for row in await grouped] == [("FR", 1), ("IT", 2)]
    assert await Shop.objects.filter(customers__billing__city="Rome").count() == 1
    assert await Shop.objects.values_list("customers__billing__city", flat=True) == ["Rome"]
    assert await Shop.objects.exclude(customers__billing__city="Rome").count() == 0
    assert await names(Customer.shop.name == "s", billing__city="Rome") == ["rome"]


async def test_whole_values_are_compared(customers: Database) -> None:
    assert await names(billing=ROME) == await names(Customer.billing == ROME) == ["rome"]
    assert await names(shipping=ROME) == ["turin"]
    assert await names(shipping=None) == await names(shipping__isnull=True) == ["rome", "milan"]
    assert await names(Customer.shipping.is_null(False)) == await names(shipping__isnull=False) == ["turin"]
    assert (
        await names(billing__in=[ROME, TURIN]) == await names(Customer.billing.in_([ROME, TURIN])) == ["rome", "turin"]
    )
    assert await names(billing__in=[]) == []
    assert await Customer.objects.exclude(billing=ROME).count() == 2
    assert await Customer.objects.exclude(billing=Address("Corso 3", "Milan")).count() == 3
    assert await names(credit={"amount": "3.5", "currency": "EUR"}) == ["turin"]
    assert await Shop.objects.filter(customers__billing=ROME).count() == 1
    got, created = await Customer.objects.get_or_create(billing=ROME, defaults={"name": "x"})
    assert (got.name, created) == ("rome", False)
    with pytest.raises(orm.FieldError, match=r"no lookup 'gt'.*its parts are billing__street, billing__city"):
        Customer.objects.filter(billing__gt=ROME)
    with pytest.raises(orm.FieldError, match="takes values of Address"):
        Customer.objects.filter(billing="Rome")
    with pytest.raises(orm.FieldError, match="it has no 'town'"):
        Customer.billing.town  # noqa: B018


async def test_an_ordering_by_a_value_is_one_by_its_parts(customers: Database) -> None:
    parts = [f"billing__{each.name}" for each in fields(Address)]
    for direction in ("", "-"):
        by_parts = Customer.objects.order_by(*(f"{direction}{part}" for part in parts), "id")
        by_value = Customer.objects.order_by(f"{direction}billing", "id")
        assert str(by_value.sql) == str(by_parts.sql)
        by_expression = orm.F("billing").desc() if direction else Customer.billing
        assert str(Customer.objects.order_by(by_expression, "id").sql) == str(by_parts.sql)
        assert [each.name for each in await by_value] == [each.name for each in await by_parts]
    shops = await Shop.objects.order_by("customers__billing", "id").values_list("id", flat=True)
    assert shops == await Shop.objects.order_by(*(f"customers__{part}" for part in parts), "id").values_list(
        "id", flat=True
    )


async def test_whole_values_are_selected(customers: Database) -> None:
    every = Customer.objects.order_by("id")
    assert await every.values("name", "billing", "credit")[:2] == [
        {"name": "rome", "billing": ROME, "credit": None},
        {"name": "turin", "billing": TURIN, "credit": Money(amount=decimal.Decimal("3.50"), currency="EUR")},
    ]
    assert await every.values_list("shipping", flat=True) == [None, ROME, None]
    assert await every.values_list(Customer.size, Customer.place, "name").filter(name="milan") == [
        (Size(width=1, height=2), Point(1.5, -2.0, ["a"]), "milan")
    ]
    assert (await every.values_list("id", "billing", named=True).first()).billing == ROME
    shops = Shop.objects.order_by("customers__id")
    assert await shops.values("name", "customers__billing") == [{"name": "s", "customers__billing": ROME}]
    assert await Shop.objects.values_list("customers__shipping", flat=True) == [None]
    assert await every.values("billing").annotate(n=orm.Count("id")).filter(n=1).first() == {"billing": ROME, "n": 1}
    assert await every.values_list("billing", flat=True).distinct().count() == 3
    row = await every.values("billing").first()
    row["billing"].city = "changed"  # it is nobody else's
    assert await every.values_list("billing", flat=True).first() == ROME
    assert "billing" not in await every.values().first()
    for wrong in ("billing__nothing", "billings"):
        with pytest.raises(orm.FieldError):
            every.values(wrong)


async def test_updates_write_whole_values_and_parts(customers: Database) -> None:
    rome, turin, milan = await Customer.objects.all()
    rome.billing = Address("Via Po 9", "Bari")
    rome.shipping = {"street": "A", "city": "B"}  # type: ignore[assignment]
    assert rome.shipping == Address("A", "B")
    await rome.save()
    assert await names(billing__city="Bari", shipping__street="A") == ["rome"]
    rome.billing.city = "Pisa"
    await rome.save()
    assert (await Customer.objects.get(name="rome")).billing == Address("Via Po 9", "Pisa")
    rome.billing_city = "Lucca"  # type: ignore[attr-defined]
    assert rome.billing.city == "Lucca"
    await rome.save(update_fields=["billing"])
    assert await names(billing__city="Lucca") == ["rome"]
    await rome.update(shipping=None)
    assert await names(shipping=None) == ["rome", "milan"]
    await rome.update(billing__city="Como")
    assert (await Customer.objects.get(name="rome")).billing.city == "Como"
    await Customer.objects.filter(name="turin").update(billing=ROME, credit=None)
    assert await names(billing=ROME, credit=None) == ["turin"]
    await Customer.objects.filter(name="turin").update(billing__city="Asti", ship_city=orm.F("billing__country"))
    turin = await Customer.objects.get(name="turin")
    assert turin.billing.city == "Asti" and turin.shipping is not None and turin.shipping.city == "IT"
    turin.billing.city = "Ivrea"
    milan.billing = Address("Corso 4", "Milan")
    assert await Customer.objects.bulk_update([turin, milan], ["billing"]) == 2
    assert await names(billing__city="Ivrea") == ["turin"] and await names(billing__street="Corso 4") == ["milan"]
    turin.billing.city = "unsaved"
    assert (await turin.load()).billing.city == "Ivrea"
    turin.billing.city = "unsaved"
    await turin.load(fields=["billing"])
    assert turin.billing.city == "Ivrea"
    row, created = await Customer.objects.update_or_create(name="milan", defaults={"billing": ROME})
    assert (row.billing, created) == (ROME, False)
    created_row = await Customer.objects.create(name="parts", billing__street="S", billing_city="C")
    assert created_row.billing == (await created_row.load()).billing == Address("S", "C")


async def test_changes_inside_of_a_value_are_tracked(customers: Database) -> None:
    rome, turin, milan = await Customer.objects.all()
    orm.track_changes([rome, milan])
    assert rome.changed_fields == ()
    rome.billing.city = "Pisa"
    assert rome.changed_fields == ("billing_city",)
    await rome.save(changed_only=True)
    assert await names(billing__city="Pisa") == ["rome"] and rome.changed_fields == ()
    milan.size["depth"] = 3
    assert milan.changed_fields == ("size_depth",)
    milan.size["depth"] = 0
    with pytest.raises(orm.ValidationError, match="size"):
        await milan.save(changed_only=True)
    async with orm.Session(customers) as session:
        held = await session.get_one(Customer, turin.id)
        held.billing.city = "Asti"
        await session.commit()
    assert await names(billing__city="Asti") == ["turin"]


async def test_a_copy_of_an_instance_has_values_of_its_own(customers: Database) -> None:
    for row in await Customer.objects.all():
        row.size, row.credit, row.place = Size(width=1, height=2), Money(amount=1, currency="EUR"), Point(1, 2)
        copied = copy.copy(row)
        copied.billing.city, copied.size["width"], copied.credit.currency, copied.place.x = "Asti", 3, "USD", 4
        copied.name += " copy"
        assert (row.billing.city != "Asti", row.size["width"], row.credit.currency, row.place.x) == (True, 1, "EUR", 1)
        await row.save()
        assert await names(billing__city="Asti") == []
        await copied.save()
        assert await names(billing__city="Asti", size__width=3, credit__currency="USD", place__x=4) == [copied.name]
        await row.save()
    unsaved = Customer(name="new", billing={"street": "S"})  # not valid
    assert copy.copy(unsaved).billing == {"street": "S"}


async def test_only_and_defer(customers: Database) -> None:
    [rome] = await Customer.objects.only("billing").filter(name="rome")
    assert rome.billing == ROME
    with pytest.raises(orm.NotLoaded, match=r"Customer\.name was not loaded"):
        rome.name  # noqa: B018
    [rome] = await Customer.objects.only("name", "billing__city").filter(name="rome")
    assert rome.billing_city == "Rome"  # type: ignore[attr-defined]
    with pytest.raises(orm.NotLoaded, match=r"Customer\.billing_street was not loaded"):
        rome.billing  # noqa: B018
    await rome.save()
    assert await names(billing=ROME) == ["rome"]
    [rome] = await Customer.objects.defer("billing", "shipping__city").filter(name="rome")
    for name in ("billing", "shipping"):
        with pytest.raises(orm.NotLoaded):
            getattr(rome, name)
    [rome] = await Customer.objects.select_related("shop").only("name", "shop__name").filter(name="rome")
    with pytest.raises(orm.FieldError, match="no part and no lookup 'town'"):
        Customer.objects.filter(billing__town="x")
    with pytest.raises(orm.FieldError, match="town"):
        Customer.objects.only("billing__town")


async def test_invalid_values_are_refused_with_their_paths(customers: Database) -> None:
    def messages(error: orm.ValidationError) -> list[list[Any]]:
        return [[*message.index] for message in error.messages()]

    for value, expected in (
        ({"street": "a" * 21, "city": ""}, [["billing", "street"], ["billing", "city"]]),
        ({"city": "Rome"}, [["billing", "street"]]),
        ({"street": "a", "city": "b", "town": "c"}, [["billing", "town"]]),
        (Address("a", None), [["billing", "city"]]),  # type: ignore[arg-type]
        ("Rome", [["billing"]]),
        (None, [["billing"]]),
    ):
        with pytest.raises(orm.ValidationError) as caught:
            await Customer.objects.create(billing=value)
        assert messages(caught.value) == expected, value
        with pytest.raises(orm.ValidationError) as caught:
            await Customer.objects.filter(name="rome").update(billing=value)
        assert messages(caught.value) == expected, value
        with pytest.raises(orm.ValidationError) as caught:
            await Customer.objects.bulk_create([{"billing": ROME}, {"billing": value}])
        assert messages(caught.value) == [[1, *path] for path in expected], value
    with pytest.raises(orm.ValidationError) as caught:
        await Customer.objects.create(name="x")
    assert messages(caught.value) == [["billing"]]
    with pytest.raises(orm.ValidationError, match="yen have no fractions"):
        await Customer.objects.create(billing=TURIN, credit={"amount": "1.5", "currency": "JPY"})
    with pytest.raises(orm.ValidationError) as caught:
        await Customer.objects.create(billing=TURIN, size={"width": 1, "height": 2, "depth": 0})
    assert messages(caught.value) == [["size", "depth"]]
    assert await Customer.objects.count() == 3


async def test_null_is_of_the_whole_value(customers: Database) -> None:
    turin = await Customer.objects.get(name="turin")
    turin.ship_city = None  # type: ignore[attr-defined]
    with pytest.raises(orm.ValidationError, match="ship_city"):
        await turin.save()
    with pytest.raises(orm.CheckViolation):
        await Customer.objects.filter(name="turin").update(ship_city=None)
    with pytest.raises(orm.CheckViolation):
        await Customer.objects.filter(name="rome").update(ship_city="Rome")


async def test_constraints_and_indexes_take_parts(customers: Database) -> None:
    table = Customer.table
    assert {index.name: [*index.columns.keys()] for index in table.indexes if index.name == "by_city"} == {
        "by_city": ["billing_city", "billing_since"]
    }
    with pytest.raises(orm.UniqueViolation) as caught:
        await Customer.objects.create(billing=ROME)
    assert caught.value.fields == ("billing_street", "billing_city")
    with pytest.raises(orm.CheckViolation) as checked:
        await Customer.objects.filter(name="rome").update(credit=Money(amount=decimal.Decimal(1000), currency="EUR"))
    assert [message.text for message in checked.value.as_validation_error().messages()] == ["Too much."]
    columns = {column.name: (str(column.type.compile()), column.nullable) for column in table.columns}
    assert columns["billing_city"][1] is False and columns["ship_city"][1] is columns["billing_since"][1] is True
    assert isinstance(table.c.credit_amount.type, sqlalchemy.types.TypeDecorator)
    unique = [] if customers.url.dialect == "mysql" else ["billing__street", "billing__city"]
    await Customer.objects.upsert({"name": "new", "billing": ROME}, unique_fields=unique, update_fields=["name"])
    assert await names(billing=ROME) == ["new"]


def test_declarations_without_sense_are_refused() -> None:
    @dataclass
    class Priced:
        price: decimal.Decimal

    @dataclass
    class Loose:
        a: int | None = None
        b: list[int] = field(default_factory=list)

    class Abstract(orm.Model):
        loose = orm.Embedded(Loose)

        class Meta:
            abstract = True

    class Derived(Abstract):
        registry = orm.ModelRegistry()

    assert [*Derived.fields] == ["id", "loose_a", "loose_b"]
    assert Derived(loose={}).loose == Loose()
    with pytest.raises(orm.FieldError, match=r"how many digits does .*Priced.price have"):
        orm.Embedded(Priced)
    with pytest.raises(orm.FieldError, match="takes a dataclass"):
        orm.Embedded(int)

    @dataclass
    class Optional:
        a: int | None = None

    with pytest.raises(orm.FieldError, match=r"all parts of .*Optional may be None"):
        orm.Embedded(Optional, allow_null=True)
    assert orm.Embedded(Address, allow_null=True, default=None).allow_null
    with pytest.raises(orm.FieldError, match=r"orm\.Embedded has no default but None"):
        orm.Embedded(Address, default=Address("Via Po 1", "Turin"))  # type: ignore[call-overload]
    with pytest.raises(orm.FieldError, match="has no 'x'"):
        orm.Embedded(Optional, fields={"x": orm.Integer()})
    with pytest.raises(orm.FieldError, match="adds the field 'billing_city', which already exists"):

        class Twice(orm.Model):
            registry = orm.ModelRegistry()
            billing_city = orm.Integer()
            billing = orm.Embedded(Address)
