"""`orm.Sequence` and `orm.NextVal`: PostgreSQL and MariaDB have sequences, other databases refuse them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from orm.functions import Cast, Concat


def models_on(database: Database | None) -> Any:
    models = orm.ModelRegistry(database=database)
    numbers = orm.Sequence("document numbers", start=1000, increment=10)
    keys = orm.Sequence("Keys's %s", increment=-1)

    class Invoice(orm.Model):
        registry = models

        id = orm.BigInteger(primary_key=True, server_default=orm.NextVal(keys))
        number = orm.BigInteger(server_default=orm.NextVal(numbers))
        text = orm.String(max_length=10)

    class CreditNote(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        number = orm.BigInteger(server_default=orm.NextVal(numbers))
        invoice = orm.ForeignKey(Invoice, allow_null=True, on_delete=orm.CASCADE, related_name="notes")

    return models, numbers, Invoice, CreditNote


async def has_sequences(database: Database) -> bool:
    return (await dialect_of(database)).sequences


@pytest.fixture
async def documents(database: Database) -> AsyncIterator[Any]:
    models, numbers, invoice, note = models_on(database)
    if not await has_sequences(database):
        pytest.skip("the database has no sequences")
    await models.create_all()
    yield numbers, invoice, note
    await models.drop_all()


async def test_other_databases_refuse_it_by_name(database: Database) -> None:
    models, numbers, _, _ = models_on(database)
    if await has_sequences(database):
        await models.create_all()
        return
    with pytest.raises(orm.NotSupportedError, match=r"sequence Keys's %s cannot be made: \w+ has no sequences"):
        await models.create_all()
    with pytest.raises(orm.NotSupportedError, match="has no sequences"):
        await numbers.next()


async def test_tables_share_the_numbers_however_rows_are_inserted(documents: Any) -> None:
    numbers, invoice, note = documents
    one = await invoice.objects.create(text="a")
    assert (one.id, one.number) == (-1, 1000)
    assert (await note.objects.create(invoice=one)).number == 1010
    assert await numbers.next() == 1020
    many = await invoice.objects.bulk_create([{"text": f"t{n}"} for n in range(5)])
    assert sorted(each.number for each in many) == [1030, 1040, 1050, 1060, 1070]
    for each in many:
        assert (await invoice.objects.get(id=each.id)).text == each.text
    graph = await invoice.objects.create_graph({"text": "g", "notes": [{}, {}]})
    assert await note.objects.filter(invoice=graph).count() == 2
    own = await invoice.objects.create(id=7, number=5, text="own")
    assert (own.id, own.number) == (7, 5)
    assert await invoice.objects.filter(text="a").update(number=orm.NextVal(numbers)) == 1
    assert (await one.load()).number > 1070
    made = await invoice.objects.create(text="e", number=orm.NextVal(numbers))
    assert made.number > one.number


async def test_create_all_twice_and_drop_all_leave_nothing(database: Database) -> None:
    models, numbers, invoice, _ = models_on(database)
    if not await has_sequences(database):
        return
    for _ in range(2):
        await models.create_all()
        await models.create_all()
        assert (await invoice.objects.create(text="a")).number == 1000
        await models.drop_all()
    with pytest.raises(orm.DatabaseError):
        await numbers.next()


async def test_numbers_are_not_given_back_by_a_rollback(documents: Any, database: Database) -> None:
    numbers, _, _ = documents
    first = await numbers.next()
    with pytest.raises(ZeroDivisionError):
        async with database.transaction():
            assert await numbers.next() == first + 10
            raise ZeroDivisionError
    assert await numbers.next() == first + 20
    got = await asyncio.gather(*(numbers.next() for _ in range(8)))
    assert len(set(got)) == 8


async def test_a_default_is_calculated_from_the_next_number(database: Database) -> None:
    if not await has_sequences(database):
        return
    codes = orm.Sequence("codes")
    models = orm.ModelRegistry(database=database)

    class Coded(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        code = orm.String(
            max_length=30,
            server_default=Concat(orm.Value("INV-"), Cast(orm.NextVal(codes), orm.String(max_length=20))),
        )

    await models.create_all()
    assert [each.code for each in await Coded.objects.bulk_create([{}, {}])] == ["INV-1", "INV-2"]
    assert await codes.next() == 3


async def test_a_sequence_in_a_schema(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        models, numbers, invoice, _ = models_on(database)
        await models.create_schema("tenant one")
        with orm.schema("tenant one"):
            assert (await invoice.objects.create(text="a")).number == 1000
            assert await numbers.next() == 1010
        with pytest.raises(orm.DatabaseError):
            await numbers.next()
        await models.drop_schema("tenant one")


def test_what_a_sequence_does_not_take_is_refused() -> None:
    with pytest.raises(orm.FieldError, match="same number"):
        orm.Sequence("numbers", increment=0)
    with pytest.raises(orm.FieldError, match=r"takes the name of the sequence, got int"):
        orm.Sequence(5)  # type: ignore[arg-type]
    with pytest.raises(orm.FieldError, match=r"start=\) takes an integer, got str"):
        orm.Sequence("numbers", start="1; DROP")  # type: ignore[arg-type]
    with pytest.raises(orm.FieldError, match=r"takes an orm\.Sequence, got str"):
        orm.NextVal("numbers")  # type: ignore[arg-type]


async def test_next_without_a_model_asks_for_the_database() -> None:
    with pytest.raises(orm.QueryError, match=r"No field uses Sequence\('lonely'\)"):
        await orm.Sequence("lonely").next()


def test_two_sequences_of_one_name_that_differ_are_refused() -> None:
    models = orm.ModelRegistry()

    class One(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        number = orm.Integer(server_default=orm.NextVal(orm.Sequence("numbers")))

    with pytest.raises(orm.FieldError, match="Two sequences called 'numbers' differ"):

        class Two(orm.Model):
            registry = models

            id = orm.Integer(primary_key=True)
            number = orm.Integer(server_default=orm.NextVal(orm.Sequence("numbers", start=5)))
