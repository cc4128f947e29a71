"""Dates and datetimes in one expression are datetimes; functions of full text are called by their name."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator

import pytest

import orm
from orm import Case, F, Value, When
from orm.database.connections.database import Database
from orm.functions import Coalesce, Greatest, Least

models = orm.ModelRegistry()
DAY = datetime.date(2020, 1, 2)
MIDNIGHT = datetime.datetime(2020, 1, 2)
NOON = datetime.datetime(2020, 1, 1, 12)


class Visit(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    day = orm.Date(allow_null=True)
    at = orm.DateTime(allow_null=True)


@pytest.fixture
async def visits(database: Database) -> AsyncIterator[Database]:
    models.database = database
    await models.create_all()
    await Visit.objects.bulk_create([Visit(day=DAY), Visit(at=NOON), Visit(day=DAY, at=NOON)])
    yield database


async def test_function_of_a_date_and_a_datetime_is_a_datetime(visits: Database) -> None:
    both = Visit.objects.order_by("id")
    assert await both.values_list(Coalesce("day", "at"), flat=True) == [MIDNIGHT, NOON, MIDNIGHT]
    assert await both.values_list(Coalesce("at", "day"), flat=True) == [MIDNIGHT, NOON, NOON]
    assert await both.filter(id=3).values_list(Greatest("at", "day"), Least("day", "at")) == [(MIDNIGHT, NOON)]
    either = Case(When(at=None, then="day"), default="at")
    assert await both.values_list(either, flat=True) == [MIDNIGHT, NOON, NOON]


async def test_function_of_a_date_and_a_datetime_is_compared_as_a_datetime(visits: Database) -> None:
    computed = Visit.objects.annotate(k=Coalesce(F("day") + datetime.timedelta(0), "at")).order_by("id")
    assert await computed.filter(k=MIDNIGHT).values_list("id", flat=True) == [1, 3]
    assert await computed.filter(k__gt=NOON).values_list("id", flat=True) == [1, 3]
    assert await computed.filter(k=F("day")).values_list("id", flat=True) == [1, 3]


async def test_functions_of_full_text_are_called_by_their_name(visits: Database) -> None:
    if visits.url.dialect != "postgresql":
        return
    words = orm.Func(Value("cats"), function="to_tsvector", output_field=orm.Text())
    asked = orm.Func(Value("cat"), function="plainto_tsquery", output_field=orm.Text())
    [(found, query)] = await Visit.objects.filter(id=1).values_list(words, asked)
    assert found in ("'cat':1", "'cats':1")
    assert query == "'cat'"
