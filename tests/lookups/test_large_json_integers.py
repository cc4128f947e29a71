"""JSON documents that are integers beyond the 64 bits of an integer column."""

from __future__ import annotations

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
