"""`orm.Identity`: columns that PostgreSQL numbers, which other databases refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio


def models_on(database: Database) -> Any:
    models = orm.ModelRegistry(database=database)

    class Invoice(orm.Model):
        registry = models

        id = orm.BigInteger(primary_key=True, server_default=orm.Identity())
        number = orm.Integer(server_default=orm.Identity(start=1000, increment=10))
        rank = orm.Integer(server_default=orm.Identity(always=False))
        text = orm.String(max_length=10)

    class Line(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        invoice = orm.ForeignKey(Invoice, on_delete=orm.CASCADE, related_name="lines")

    return models, Invoice, Line


@pytest.fixture
async def invoices(postgresql_url: str) -> AsyncIterator[Any]:
    async with Database(postgresql_url) as database:
        models, invoice, line = models_on(database)
        await models.create_all()
        yield invoice, line


async def test_other_databases_refuse_it_by_name(database: Database) -> None:
    models, _, _ = models_on(database)
    if str(database.url.dialect) == "postgresql":
        await models.create_all()
        return
    with pytest.raises(orm.NotSupportedError, match=r"invoice\.id is an orm\.Identity\(\)"):
        await models.create_all()


async def test_database_numbers_rows_however_they_are_inserted(invoices: Any) -> None:
    invoice, line = invoices
    one = await invoice.objects.create(text="a")
    assert (one.id, one.number, one.rank) == (1, 1000, 1)
    two, three = await invoice.objects.bulk_create([{"text": "b"}, {"text": "c"}])
    assert (two.id, two.number, three.number) == (2, 1010, 1020)
    four = await invoice.objects.create_graph({"text": "d", "lines": [{}, {}]})
    assert await line.objects.filter(invoice=four).count() == 2
    one.text = "A"
    await one.save()
    assert await invoice.objects.filter(number__gte=1010).update(text="x") == 3
    assert await invoice.objects.order_by("id").values_list("id", "text") == [(1, "A"), (2, "x"), (3, "x"), (4, "x")]


async def test_value_of_ones_own_is_for_by_default_only(invoices: Any) -> None:
    invoice, _ = invoices
    row = await invoice.objects.create(text="a", rank=77)
    assert (await invoice.objects.get()).rank == row.rank == 77
    with pytest.raises(orm.QueryError, match=r"Invoice\.number is calculated by the database"):
        await row.update(number=5)


def test_increment_of_zero_is_refused() -> None:
    with pytest.raises(orm.FieldError, match="same number"):
        orm.Identity(increment=0)


async def test_keys_that_count_downwards_are_those_of_their_rows(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        models = orm.ModelRegistry(database=database)

        class Countdown(orm.Model):
            registry = models

            id = orm.Integer(primary_key=True, server_default=orm.Identity(increment=-1))
            text = orm.String(max_length=10)

        await models.create_all()
        for each in await Countdown.objects.bulk_create([{"text": f"t{n}"} for n in range(5)]):
            assert (await Countdown.objects.get(id=each.id)).text == each.text
