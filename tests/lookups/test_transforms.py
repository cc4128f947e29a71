"""Transforms and JSON keys in names: in lookups, F, order_by, values, groupings and annotations; custom ones."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from sqlalchemy import ColumnElement

import orm
from orm.database.connections.database import Database
from orm.functions import Length, Lower, Random
from orm.lookups import base as lookup_module
from tests.sample_models.all_column_types import Thing

pytestmark = pytest.mark.anyio


async def test_transform_in_expression(things: Database) -> None:
    years = (
        await Thing.objects.filter(day__isnull=False).order_by("-day__year", "id").values_list("day__year", flat=True)
    )
    assert years == [2024, 2023, 2021, 1999]
    assert await Thing.objects.filter(id=1).values("day__year", "data__owner__name", "whole__day__year") == [
        {"day__year": 2023, "data__owner__name": "Bob", "whole__day__year": None}
    ]
    years = await Thing.objects.filter(id=2).annotate(after=orm.F("day__year") + 1).values_list("after", flat=True)
    assert years == [2022]
    assert await Thing.objects.filter(id=2).update(n=orm.F("day__year")) == 1
    assert (await Thing.objects.get(id=2)).n == 2021
    assert [t.id for t in await Thing.objects.filter(n=orm.F("day__year"))] == [2]


async def test_transform_of_annotation(things: Database) -> None:
    query = Thing.objects.annotate(last=orm.Max("parts__day"))
    assert [t.id for t in await query.filter(last__year=2021)] == [1]
    assert await query.filter(last__isnull=False).order_by("id").values_list("last__year", flat=True) == [2021, 2024]
    owners = Thing.objects.annotate(owner=orm.F("data__owner")).filter(owner__age__gt=10)
    assert [t.id for t in await owners] == [1]


async def test_values_of_json_path_and_transform_groups_rows(things: Database) -> None:
    query = Thing.objects.values("data__t").annotate(c=orm.Count("id")).order_by("-c", "data__t")
    groups = await query
    assert {(g["data__t"], g["c"]) for g in groups} == {(None, 3), (True, 1), (False, 1)}
    by_year = await Thing.objects.values("day__month").annotate(c=orm.Count("id")).filter(c__gt=1)
    assert by_year == [{"day__month": 2, "c": 2}]


async def test_transform_across_to_many_relation(things: Database) -> None:
    assert [t.id for t in await Thing.objects.filter(parts__day__year=2021)] == [1]
    assert [t.id for t in await Thing.objects.exclude(parts__day__year=2021).order_by("id")] == [2, 3, 4, 5]
    assert [t.id for t in await Thing.objects.filter(parts__data__owner__name="ann")] == [1]
    assert [t.id for t in await Thing.objects.exclude(parts__data__has_key="n").order_by("id")] == [3, 4, 5]


async def test_year_lookup_is_a_range(things: Database) -> None:
    """The column itself is compared, so that an index can be used."""
    sql = str(Thing.objects.filter(day__year=2023).sql)
    assert "BETWEEN" in sql and "EXTRACT" not in sql.upper()
    first = Thing.objects.filter(moment__year__gt=2023, day__year__lt=10_000)
    assert [t.id for t in await first.order_by("id")] == [2, 3]
    for year in (0, 1, 9999, 10_000, -5, 2**70):
        assert await Thing.objects.filter(day__year=year).count() == 0


async def test_order_by_question_mark_is_random(things: Database) -> None:
    orders = {tuple(await Thing.objects.order_by("?").values_list("id", flat=True)) for _ in range(40)}
    assert len(orders) > 1
    numbers = await Thing.objects.annotate(r=Random()).values_list("r", flat=True)
    assert len(set(numbers)) == 5 and all(isinstance(r, float) and 0 <= r < 1 for r in numbers)


async def test_now_is_the_database_time(things: Database) -> None:
    now = await Thing.objects.filter(id=1).annotate(now=orm.functions.Now()).values_list("now", flat=True)
    assert abs(now[0] - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(seconds=60)
    assert [t.id for t in await Thing.objects.filter(moment__gt=orm.functions.Now())] == [3]
    assert await Thing.objects.filter(id=4).update(moment=orm.functions.Now()) == 1
    assert (await Thing.objects.get(id=4)).moment > datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)


async def test_custom_function_in_annotation(things: Database) -> None:
    class Twice(orm.Func[str]):
        function = "REPLACE"

        def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
            (text,) = arguments
            return super().build(text, "a", "aa")

    ids = await Thing.objects.annotate(twice=Twice("name")).filter(twice="aabcaabc").values_list("id", flat=True)
    assert ids == [2]


@pytest.fixture
def registered() -> None:
    """A custom transform and a custom lookup."""
    orm.transforms.register("length", "text")(Length)
    orm.transforms.register("lower", "text")(Lower)

    @orm.lookups.register
    class NotEqual(orm.lookups.Exact):
        name = "ne"

        def render(self, column: Any, operand: Any, field: Any) -> ColumnElement[bool]:
            return column != operand  # type: ignore[no-any-return]


@pytest.mark.usefixtures("registered")
async def test_registered_transform_and_lookup_in_names(things: Database) -> None:
    assert [t.id for t in await Thing.objects.filter(name__length__gt=5).order_by("name__length", "id")] == [2, 1]
    assert [t.id for t in await Thing.objects.filter(name__lower__contains="bca")] == [2]
    assert [t.id for t in await Thing.objects.filter(n__ne=7).order_by("id")] == [2, 3, 5]
    assert [t.id for t in await Thing.objects.exclude(n__ne=7).order_by("id")] == [1, 4]
    assert [t.id for t in await Thing.objects.filter(name__length__ne=6, whole__name__length=6)] == [5]


def test_unknown_transform_raises() -> None:
    for lookups in ({"day__hour": 1}, {"at__year": 1}, {"name__year": 1}, {"n__date": 1}, {"day__year__foo": 1}):
        with pytest.raises(orm.FieldError, match="Its lookups are"):
            Thing.objects.filter(**lookups)
    for name in ("day__foo", "n__year", "day__year__year", "day__exact"):
        with pytest.raises(orm.FieldError):
            Thing.objects.order_by(name)
        with pytest.raises(orm.FieldError):
            Thing.objects.values(name)
        with pytest.raises(orm.FieldError):
            Thing.objects.annotate(y=orm.F(name) + 1)
    for name in ("a__b", "", "_x", "x_", "a b", "x;y"):
        with pytest.raises(orm.FieldError):
            orm.transforms.register(name, "text")


def test_function_with_invalid_argument_raises() -> None:
    f = orm.functions
    makers: list[Any] = [
        lambda: f.Left("name", 0),
        lambda: f.Right("name", -1),
        lambda: f.LPad("name", -1),
        lambda: f.Repeat("name", -1),
        lambda: f.Substr("name", 0),
        lambda: f.Concat("name"),
        lambda: f.Coalesce("name"),
        lambda: f.Greatest("n"),
        lambda: f.Cast("name", "integer"),  # type: ignore[arg-type]
        lambda: f.Collate("name", "C; DROP TABLE thing"),
        lambda: f.Collate("name", ""),
        lambda: f.Collate("name", 'x"y'),
        lambda: f.Extract("day"),
        lambda: f.Extract("day", "century); DROP TABLE thing; --"),
        lambda: f.Trunc("day", "millennium'"),
        lambda: f.Trunc("moment", "day", tzinfo="UTC"),  # type: ignore[arg-type]
        lambda: f.KT("data"),
        lambda: orm.StringAgg("name", 3),  # type: ignore[arg-type]
        lambda: Thing.objects.annotate(y=f.Extract("name", "year")),
        lambda: Thing.objects.annotate(y=f.Extract("day", "hour")),
        lambda: Thing.objects.annotate(y=f.Trunc("day", "hour")),
        lambda: Thing.objects.annotate(y=f.Trunc("at", "day")),
        lambda: Thing.objects.annotate(y=f.Trunc("n", "day")),
        lambda: Thing.objects.annotate(y=f.Trunc("day", "month", output_field=orm.DateTime())),
        lambda: Thing.objects.annotate(y=f.Extract("day", "year", tzinfo=datetime.timezone.utc)),
        lambda: Thing.objects.annotate(y=f.KT("name__first")),
    ]
    for make in makers:
        with pytest.raises((orm.QueryError, orm.FieldError)):
            make()


@pytest.mark.usefixtures("registered")
def test_registered_lookup_applies_by_families_kinds_trait_or_method() -> None:
    class Base(orm.lookups.Exact):
        name = "ours"

    @orm.lookups.register
    class OfNumbers(Base):
        families = frozenset({"integer", "float"})

    @orm.lookups.register
    class OfAll(Base):
        """Registered later, but for all fields."""

    @orm.lookups.register
    class OfText(Base):
        kinds = frozenset({"text"})

    @orm.lookups.register
    class OfDates(Base):
        requires = "is_ordered"

        def applies_to(self, field: orm.Field[Any]) -> bool:
            return super().applies_to(field) and isinstance(field, orm.Date)

    fields = (orm.Integer(), orm.Text(), orm.Date(), orm.UUID())
    expected = [OfNumbers, OfText, OfDates, OfAll]
    assert [type(lookup_module.find_lookup(field, "ours")) for field in fields] == expected


async def test_transform_of_the_key_of_a_relation_needs_no_join(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Day(orm.Model):
        registry = models
        day = orm.DateTime(primary_key=True)

    class Event(orm.Model):
        registry = models
        id = orm.Integer(primary_key=True)
        day: Any = orm.ForeignKey(Day, related_name="events")

    class Ticket(orm.Model):
        registry = models
        id = orm.Integer(primary_key=True)
        event: Any = orm.ForeignKey(Event, related_name="tickets")

    await models.create_all()
    days = await Day.objects.bulk_create(
        [{"day": datetime.datetime(2022, 3, 1)}, {"day": datetime.datetime(2021, 5, 1)}]
    )
    march, may = await Event.objects.bulk_create([{"day": day} for day in days])
    await Ticket.objects.bulk_create([{"event": event} for event in (march, may)])
    assert await Event.objects.order_by("day__month") == [march, may]
    assert await Event.objects.order_by("-day__month", "id") == [may, march]
    assert "JOIN" not in str(Event.objects.filter(day__month=3).order_by("day__year").sql)
    assert await Event.objects.filter(day__month=3) == [march] == await Event.objects.exclude(day__month__gt=3)
    assert await Event.objects.order_by("id").values_list("day__month", flat=True) == [3, 5]
    over_two = Ticket.objects.annotate(n=orm.F("event__day__month") + 1).order_by("event__day__year")
    assert await over_two.values_list("event__day__month", "n") == [(5, 6), (3, 4)]
    assert await Day.objects.filter(events__tickets__event__day__month=5).count() == 1
    with pytest.raises(orm.FieldError, match="Day has no field 'mont'"):
        Event.objects.order_by("day__mont")
