"""Intervals with months on PostgreSQL: never 30 days without a word; refused by name elsewhere."""

from __future__ import annotations

import copy
import datetime
import pickle
from collections.abc import AsyncIterator
from typing import Any

import pytest

import orm
from orm import Period
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio
HOUR = datetime.timedelta(hours=1)
PERIODS = [
    Period(),
    Period(1),
    Period(14, -3, HOUR),
    Period(-14, 3, -HOUR / 7),
    Period(0, 400, datetime.timedelta(microseconds=-1)),
    Period(days=-1, time=datetime.timedelta(hours=30)),
]
models = orm.ModelRegistry()


class Contract(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    begins = orm.Date(default=datetime.date(2024, 1, 31))
    signed = orm.DateTime(default=datetime.datetime(2024, 1, 31, 12))
    term = orm.Interval()
    notice = orm.Interval(allow_null=True)
    pause = orm.Duration(allow_null=True)


@pytest.fixture
async def contracts(postgresql_url: str) -> AsyncIterator[Database]:
    async with Database(postgresql_url) as database:
        models.database = database
        await models.create_all()
        yield database


async def test_periods_are_written_and_read(contracts: Database) -> None:
    await Contract.objects.bulk_create([{"term": period} for period in PERIODS])
    assert await Contract.objects.order_by("id").values_list("term", flat=True) == PERIODS
    for value, expected in (
        (datetime.timedelta(days=40, hours=1), Period(0, 40, HOUR)),
        ("P1Y6M3DT1H", Period(18, 3, HOUR)),
        (Period(-1), Period(-1)),
    ):
        contract = await Contract.objects.create(term=value)
        assert contract.term == (await Contract.objects.get(pk=contract.pk)).term == expected
        contract.notice = Period(3)
        await contract.save()
        assert await Contract.objects.bulk_update([contract], ["term", "notice"]) == 1
        assert (await contract.load()).notice == Period(3)
    rows = await contracts.fetch_all("SELECT DISTINCT notice FROM contract WHERE notice IS NOT NULL")
    assert [row["notice"] for row in rows] == [Period(3)]
    assert await contracts.fetch_val("SELECT INTERVAL '40 days 1 hour'") == datetime.timedelta(days=40, hours=1)
    assert await contracts.fetch_val("SELECT INTERVAL '1 day' * :n", {"n": 2}) == datetime.timedelta(days=2)
    [row] = await Contract.objects.filter(term="P18M3DT1H").graph({}).as_dicts()
    assert (row["term"], row["notice"]) == ("P1Y6M3DT1H", "P3M")


async def test_a_month_leads_to_the_same_day_of_the_next_month(contracts: Database) -> None:
    contract = await Contract.objects.create(term=Period(1), notice=Period(13, 1), pause=datetime.timedelta(3))
    ends = Contract.objects.annotate(
        ends=orm.F("begins") + orm.F("term"),
        later=orm.F("signed") + orm.F("notice"),
        back=orm.F("signed") - orm.Value(Period(2)),
        plain=orm.F("signed") + Period(1),
        twice=orm.F("term") * 2,
        paused=orm.F("term") + orm.F("pause"),
    )
    [row] = await ends.values("ends", "later", "back", "plain", "twice", "paused")
    assert row == {
        "ends": datetime.datetime(2024, 2, 29),
        "later": datetime.datetime(2025, 3, 1, 12),
        "back": datetime.datetime(2023, 11, 30, 12),
        "plain": datetime.datetime(2024, 2, 29, 12),
        "twice": Period(2),
        "paused": Period(1, 3),
    }
    assert await Contract.objects.filter(term=Period(1)).count() == 1
    assert (
        await Contract.objects.filter(term__gt=Period(0, 29), term__lt="P1M1D", notice__in=[Period(13, 1)]).count() == 1
    )
    assert await Contract.objects.aggregate(most=orm.Max("notice"), all=orm.Sum("term")) == {
        "most": Period(13, 1),
        "all": Period(1),
    }
    await Contract.objects.update(term=orm.F("term") + Period(0, 1))
    assert (await contract.load()).term == Period(1, 1)


async def test_a_duration_refuses_months_that_it_cannot_hold(contracts: Database) -> None:
    contract = await Contract.objects.create(term=Period(1), pause=HOUR)
    await contracts.execute("UPDATE contract SET pause = INTERVAL '1 month 2 days'")
    with pytest.raises(
        orm.DataError, match=rf"Contract.pause of the row with id={contract.pk} .*months.*orm.Interval\(\)"
    ):
        await Contract.objects.get(pk=contract.pk)
    await contracts.execute("UPDATE contract SET pause = INTERVAL '50 days 30 hours'")
    assert (await contract.load()).pause == datetime.timedelta(days=50, hours=30)


async def test_what_is_no_period_is_refused(contracts: Database) -> None:
    for value in ("", "P", "PT", "1 month", "P1X", 5, "P1.5M"):
        with pytest.raises(orm.ValidationError, match="term"):
            await Contract.objects.create(term=value)
    with pytest.raises(orm.FieldError, match="periods, timedeltas"):
        Contract.objects.filter(term="1 month")


@pytest.mark.parametrize("kind", ["sqlite", "mysql"])
async def test_it_is_refused_by_name_elsewhere(kind: str, request: pytest.FixtureRequest) -> None:
    async with Database(request.getfixturevalue(f"{kind}_url")) as database:

        class Kept(orm.Model):
            registry = orm.ModelRegistry(database=database)
            term = orm.Interval()

        with pytest.raises(orm.NotSupportedError, match="Only PostgreSQL has intervals with months"):
            await Kept._meta.registry.create_all()


@pytest.mark.parametrize(
    ("period", "text"),
    [
        (Period(), "P0D"),
        (Period(14, 3), "P1Y2M3D"),
        (Period(-14, -3, -HOUR), "P-1Y-2M-3DT-1H"),
        (Period(time=datetime.timedelta(seconds=3661, microseconds=500)), "PT1H1M1.0005S"),
        (Period(time=datetime.timedelta(microseconds=-1)), "PT-0.000001S"),
        (Period(time=datetime.timedelta(hours=30)), "PT30H"),
    ],
)
def test_a_period_as_text(period: Period, text: str) -> None:
    assert str(period) == text and Period.parse(text) == period
    same: Any = (copy.copy(period), pickle.loads(pickle.dumps(period)))
    assert same == (period, period) and hash(same[0]) == hash(period)
    assert Period.parse("-P1M2W") == Period(-1, -14)
