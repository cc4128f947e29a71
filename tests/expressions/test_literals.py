"""Texts, lists and dicts among the outcomes of an expression are converted by the field that the expression has."""

from __future__ import annotations

import datetime
import decimal
import ipaddress
import uuid
from collections.abc import AsyncIterator
from typing import Any

import databases
import pytest

import orm
from orm import Case, F, Value, When
from orm import functions as f

pytestmark = pytest.mark.anyio

models = orm.ModelRegistry()


class Host(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=20)
    ip = orm.IPAddress(allow_null=True)
    key = orm.UUID(allow_null=True)
    day = orm.Date(allow_null=True)
    begins = orm.DateTime(timezone=True, allow_null=True)
    clock = orm.Time(allow_null=True)
    price = orm.Decimal(max_digits=8, decimal_places=2, allow_null=True)
    count = orm.Integer(allow_null=True)
    data = orm.JSON(allow_null=True)
    numbers = orm.Array(orm.Integer(), allow_null=True)


KEY = "12345678-1234-5678-1234-567812345678"
LITERALS: dict[str, tuple[Any, Any]] = {
    "ip": ("10.0.0.1", ipaddress.ip_address("10.0.0.1")),
    "key": (KEY, uuid.UUID(KEY)),
    "day": ("2024-02-29", datetime.date(2024, 2, 29)),
    "begins": ("2024-05-01T12:00:00+02:00", datetime.datetime(2024, 5, 1, 10, tzinfo=datetime.timezone.utc)),
    "clock": ("12:30", datetime.time(12, 30)),
    "price": ("1.50", decimal.Decimal("1.50")),
    "count": ("3", 3),
    "data": ({"a": [1, None]}, {"a": [1, None]}),
    "numbers": ([1, 2], [1, 2]),
}


@pytest.fixture
async def hosts(any_database: databases.Database) -> AsyncIterator[databases.Database]:
    models.database = any_database
    await models.create_all()
    await Host.objects.bulk_create([{"name": "a"}, {"name": "b"}])
    yield any_database
    models.database = None


def field_of(name: str) -> orm.Field[Any]:
    return Host._meta.fields[name]


@pytest.mark.parametrize("name", LITERALS)
async def test_literal_of_an_expression_is_converted_by_its_output_field(name: str, hosts: databases.Database) -> None:
    literal, value = LITERALS[name]
    field = field_of(name)
    for expression in (
        Case(When(name="a", then=Value(literal)), output_field=field),
        Case(When(name="b", then=F(name)), default=Value(literal), output_field=field),
        f.Coalesce(name, Value(literal), output_field=field),
    ):
        rows = Host.objects.annotate(computed=expression).filter(name="a")
        assert await rows.values_list("computed", flat=True) == [value]
    rows = Host.objects.annotate(computed=f.Coalesce(name, Value(literal), output_field=field))
    assert await rows.exclude(computed=None).count() == 2


@pytest.mark.parametrize("name", LITERALS)
async def test_literal_of_an_assigned_expression_is_converted_by_the_field(
    name: str, hosts: databases.Database
) -> None:
    literal, value = LITERALS[name]
    field = field_of(name)
    for expression in (
        Case(When(name="a", then=Value(literal))),
        Case(When(name="b", then=F(name)), default=Value(literal)),
        f.Coalesce(name, Value(literal)),
        Case(When(name="a", then=Value(literal)), output_field=field),
    ):
        await Host.objects.all().update(**{name: None})
        assert await Host.objects.all().update(**{name: expression}) == 2
        host = await Host.objects.get(name="a")
        assert getattr(host, name) == value
        assert await Host.objects.filter(**{name: value, "name": "a"}).count() == 1
        assert (await Host.objects.exclude(**{f"{name}__isnull": True}).first()) is not None


@pytest.mark.parametrize("name", ["ip", "key", "day", "begins", "clock", "price", "count"])
async def test_literal_that_is_no_value_of_the_field_is_refused(name: str, hosts: databases.Database) -> None:
    expression = Case(When(name="a", then=Value("nonsense")))
    with pytest.raises(orm.FieldError):
        await Host.objects.all().update(**{name: expression})
    with pytest.raises(orm.FieldError):
        Host.objects.annotate(c=f.Coalesce(name, Value("nonsense"), output_field=field_of(name)))
    assert await Host.objects.filter(**{f"{name}__isnull": True}).count() == 2


async def test_functions_of_text_take_the_text_of_a_value(hosts: databases.Database) -> None:
    await Host.objects.filter(name="a").update(ip="10.0.0.1", begins="2024-05-01T12:00:00+02:00", count=7)
    texts = Host.objects.filter(name="a").values_list(
        f.Concat("ip", Value("!")), f.Length("ip"), f.Substr("ip", 1, 20), f.Concat("count", Value("!")), f.Upper("ip")
    )
    assert await texts == [("10.0.0.1!", 8, "10.0.0.1", "7!", "10.0.0.1")]
    joined = await Host.objects.aggregate(addresses=orm.StringAgg("ip", delimiter=","))
    assert joined == {"addresses": "10.0.0.1"}
    (begins,) = await Host.objects.filter(name="a").values_list(f.Substr("begins", 1, 16), flat=True)
    assert begins == "2024-05-01 10:00"
