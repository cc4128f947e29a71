"""orm.JSON of a type: validated in, typed out, on every database; by Pydantic and by msgspec."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import decimal
import enum
import pickle
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pydantic
import pytest
from typing_extensions import TypedDict

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio
models = orm.ModelRegistry()
DAY = datetime.date(2020, 5, 1)


class Kind(enum.Enum):
    HOME = "home"
    WORK = "work"


class Geo(pydantic.BaseModel):
    lat: decimal.Decimal
    lon: decimal.Decimal


class Address(pydantic.BaseModel):
    city: str
    since: datetime.date | None = None
    kind: Kind = Kind.HOME
    geo: Geo | None = None


class Aliased(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    post_code: str = pydantic.Field(alias="postCode")
    at: datetime.datetime | None = None


@dataclasses.dataclass
class Size:
    width: int
    height: int
    made: datetime.date | None = None


class Options(TypedDict, total=False):
    colour: str
    count: int


class Point(msgspec.Struct):
    x: int
    y: float = 0.0
    seen: datetime.date | None = None


class Customer(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    address = orm.JSON(Address)
    aliased = orm.JSON(Aliased, allow_null=True)
    homes: Any = orm.JSON(list[Address], default=list)
    size = orm.JSON(Size, default=Size(1, 2))
    options: Any = orm.JSON(Options, allow_null=True)
    point = orm.JSON(Point, allow_null=True)
    points: Any = orm.JSON(dict[str, Point], default=dict)


TURIN = Address(city="Turin", since=DAY, geo=Geo(lat=decimal.Decimal("45.07"), lon=decimal.Decimal("7.69")))


@pytest.fixture
async def customers(database: Database) -> AsyncIterator[Database]:
    models.database = database
    await models.create_all()
    yield database


async def create() -> Customer:
    return await Customer.objects.create(
        address=TURIN,
        aliased={"postCode": "10121"},
        homes=[{"city": "Rome"}, Address(city="Bari", kind=Kind.WORK)],
        size=Size(3, 4, DAY),
        options={"colour": "red", "count": 2},
        point=Point(1, 2.5, DAY),
        points={"a": {"x": 5}},
    )


async def test_values_come_back_as_they_went(customers: Database) -> None:
    created = await create()
    for customer in (created, await Customer.objects.get(id=created.id), await created.load()):
        assert customer.address == TURIN and type(customer.address.geo) is Geo
        assert customer.aliased is not None and customer.aliased.post_code == "10121"
        assert customer.homes == [Address(city="Rome"), Address(city="Bari", kind=Kind.WORK)]
        assert customer.size == Size(3, 4, DAY)
        assert customer.options == {"colour": "red", "count": 2}
        assert customer.point == Point(1, 2.5, DAY)
        assert customer.points == {"a": Point(5)}


async def test_defaults_and_null(customers: Database) -> None:
    customer = await Customer.objects.create(address={"city": "Oslo"})
    other = await Customer.objects.create(address={"city": "Oslo"})
    customer.size.width = 9
    assert other.size == Size(1, 2) and other.homes == [] and other.points == {}
    assert (await Customer.objects.get(id=other.id)).point is None
    assert await Customer.objects.filter(point__isnull=True).count() == 2


async def test_documents_are_validated_with_their_paths(customers: Database) -> None:
    with pytest.raises(orm.ValidationError) as caught:
        await Customer.objects.create(
            address={"since": "yesterday"}, homes=[{"city": "Rome"}, {"city": 3}], point={"x": "one"}
        )
    messages = {tuple(message.index): message.text for message in caught.value.messages()}
    assert messages[("address", "city")] == "Field required."
    assert ("address", "since") in messages
    assert messages[("homes", 1, "city")] == "Input should be a valid string."
    assert messages[("point", "x")].startswith("Expected `int`, got `str`")
    assert not await Customer.objects.exists()


async def test_instances_of_unchecked_classes_are_validated(customers: Database) -> None:
    wrong: Any = Size("wide", 1)  # type: ignore[arg-type]
    with pytest.raises(orm.ValidationError, match="size"):
        await Customer.objects.create(address=TURIN, size=wrong)
    wrong_point: Any = Point("one")  # type: ignore[arg-type]
    with pytest.raises(orm.ValidationError, match="point"):
        await Customer.objects.create(address=TURIN, point=wrong_point)


async def test_changed_instance_of_a_pydantic_model_is_validated_when_it_is_saved(customers: Database) -> None:
    customer = await create()
    customer.address = TURIN.model_copy(update={"since": "yesterday"})  # which Pydantic does not validate
    with pytest.raises(orm.ValidationError) as caught:
        await customer.save()
    assert [message.index for message in caught.value.messages()] == [["address", "since"]]
    assert (await Customer.objects.get()).address == TURIN


async def test_document_that_its_type_would_not_read_is_refused(database: Database) -> None:
    class Renamed(pydantic.BaseModel):
        city: str = pydantic.Field(validation_alias="town")

    class Calculating(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="forbid")
        city: str

        @pydantic.computed_field  # type: ignore[prop-decorator]
        @property
        def initial(self) -> str:
            return self.city[0]

    class Visit(orm.Model):
        registry = orm.ModelRegistry(database=database)

        id = orm.Integer(primary_key=True)
        renamed = orm.JSON(Renamed, allow_null=True)
        calculating = orm.JSON(Calculating, allow_null=True)

    await Visit.registry.create_all()
    with pytest.raises(orm.ValidationError, match="town"):
        await Visit.objects.create(renamed={"town": "Turin"})
    with pytest.raises(orm.ValidationError, match="initial"):
        await Visit.objects.create(calculating={"city": "Turin"})
    assert await Visit.objects.count() == 0


async def test_documents_are_found_by_value_and_by_path(customers: Database) -> None:
    customer = await create()
    await Customer.objects.create(address={"city": "Oslo", "since": "1999-01-01"}, point={"x": 7})
    for lookups in (
        {"address": TURIN},
        {"address": TURIN.model_dump(mode="json")},
        {"address__city": "Turin"},
        {"address__city__startswith": "Tu"},
        {"address__since": DAY},
        {"address__since__gt": datetime.date(2000, 1, 1)},
        {"address__since__in": [DAY, datetime.date(2001, 1, 1)]},
        {"address__geo__lat": decimal.Decimal("45.07")},
        {"address__kind": Kind.HOME, "aliased__postCode": "10121"},
        {"homes__0__city": "Rome", "homes__1__kind": Kind.WORK},
        {"size__width__gte": 3},
        {"options__count": 2},
        {"point": Point(1, 2.5, DAY)},
        {"point__seen": DAY},
        {"points__a__x": 5},
    ):
        assert await Customer.objects.filter(**lookups) == [customer], lookups
    cities = Customer.objects.order_by("-address__city").values_list("address__city", flat=True)
    assert await cities == ["Turin", "Oslo"]
    assert await Customer.objects.order_by("id").values_list("address", flat=True) == [
        TURIN,
        Address(city="Oslo", since=datetime.date(1999, 1, 1)),
    ]


async def test_values_whose_texts_have_another_order_are_not_compared_by_order(customers: Database) -> None:
    for lookups in (
        {"address__geo__lat__gt": decimal.Decimal(5)},
        {"aliased__at__lt": datetime.datetime(2020, 1, 1)},
        {"address__geo__lat__range": (decimal.Decimal(5), decimal.Decimal(6))},
    ):
        with pytest.raises(orm.QueryError, match="is text in a JSON document, and text sorts in another order"):
            Customer.objects.filter(**lookups)


async def test_every_way_of_writing_converts(customers: Database) -> None:
    first, second = await Customer.objects.bulk_create([{"address": {"city": "A"}}, Customer(address=TURIN)])
    assert first.address == Address(city="A")
    first.address.city = "B"
    await first.save()
    second.size = Size(7, 8)
    await Customer.objects.bulk_update([second], ["size"])
    await Customer.objects.filter(id=first.id).update(point={"x": 3}, homes=[TURIN])
    await second.update(options={"count": 5})
    rows = await Customer.objects.order_by("id")
    assert [row.address.city for row in rows] == ["B", "Turin"]
    assert rows[0].point == Point(3) and rows[0].homes == [TURIN]
    assert rows[1].size == Size(7, 8) and rows[1].options == {"count": 5}
    with pytest.raises(orm.ValidationError, match="point"):
        await Customer.objects.filter(id=first.id).update(point={"y": 3})


async def test_a_stored_document_of_another_type_is_named(customers: Database) -> None:
    customer = await create()
    await customers.execute("UPDATE customer SET address = '{\"town\": 1}'")
    with pytest.raises(orm.DataError, match=rf"Customer.address of the row with id={customer.id}"):
        await Customer.objects.get(id=customer.id)


async def test_copies_and_pickles_keep_the_types(customers: Database) -> None:
    customer = await create()
    assert copy.deepcopy(customer).address == TURIN
    assert pickle.loads(pickle.dumps(customer)).point == Point(1, 2.5, DAY)


def test_wrong_types_are_refused_when_they_are_declared() -> None:
    with pytest.raises(orm.FieldError, match=r"orm.JSON takes a type, such as orm.JSON\(Address\)"):
        orm.JSON("Address")
    with pytest.raises(orm.FieldError, match="has no choices"):
        orm.JSON(Address, choices=[TURIN])

    class Plain:
        pass

    with pytest.raises(orm.FieldError, match="cannot convert it"):
        orm.JSON(Plain)
