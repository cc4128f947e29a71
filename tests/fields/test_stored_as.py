"""Fields that are stored as others: years of dates, several fields of one type, limits, stored garbage, pages."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

import orm
from orm.database.connections.database import Database
from orm.functions import Coalesce, Greatest, NullIf

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Day:
    date: Any


@dataclass(frozen=True)
class Money:
    cents: int


class DayField(orm.Field[Day], stored_as=orm.Date()):
    accepts = "days"
    exact_type = Day

    def convert(self, value: Any) -> Day:
        return value if isinstance(value, Day) else Day(value)

    def to_database(self, value: Day) -> Any:
        return value.date


class MomentField(DayField, stored_as=orm.DateTime(timezone=True)):
    exact_type = None


class TextMoney(orm.Field[Money], stored_as=orm.String(max_length=5)):
    """Stored with its unit: `7c`."""

    accepts = "money"
    exact_type = Money

    def convert(self, value: Any) -> Money:
        return value if isinstance(value, Money) else Money(int(value.removesuffix("c") if value[-1:] == "c" else "x"))

    def to_database(self, value: Money) -> str:
        return f"{value.cents}c"


class IntegerMoney(orm.Field[Money], stored_as=orm.Integer()):
    accepts = "money"
    exact_type = Money

    def convert(self, value: Any) -> Money:
        return value if isinstance(value, Money) else Money(int(value))

    def to_database(self, value: Money) -> int:
        return value.cents


class Price(NamedTuple):
    amount: int


class PriceField(orm.Field[Price], stored_as=orm.Integer()):
    accepts = "prices"
    exact_type = Price

    def __init__(self, *, currency: str, **options: Any) -> None:
        self.currency = currency
        super().__init__(**options)

    def convert(self, value: Any) -> Price:
        return value if isinstance(value, Price) else Price(int(value))

    def to_database(self, value: Price) -> int:
        return value.amount


@pytest.fixture
async def sale(database: Database) -> Any:
    models = orm.ModelRegistry(database=database)

    class Sale(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        day = DayField(allow_null=True)
        moment = MomentField(allow_null=True)
        text = TextMoney(allow_null=True)
        number = IntegerMoney(allow_null=True)
        price = PriceField(currency="EUR", allow_null=True)

    await models.create_all()
    return Sale


async def keys(query: Any) -> list[int]:
    result: list[int] = await query.order_by("id").values_list("id", flat=True)
    return result


async def test_years_of_field_that_is_stored_as_a_date(sale: Any) -> None:
    days = (datetime.date(2023, 12, 31), datetime.date(2024, 1, 1), datetime.date(2024, 12, 30), None)
    for day in days:
        utc = datetime.timezone.utc
        moment = None if day is None else datetime.datetime(day.year, day.month, day.day, tzinfo=utc)
        await sale.objects.create(day=day and Day(day), moment=moment and Day(moment))
    for name in ("day", "moment"):
        assert await keys(sale.objects.filter(**{f"{name}__year": 2024})) == [2, 3]
        assert await keys(sale.objects.exclude(**{f"{name}__year": 2024})) == [1, 4]
        assert await keys(sale.objects.filter(**{f"{name}__iso_year": 2024})) == [2]
        assert await keys(sale.objects.filter(**{f"{name}__year__gt": 2023})) == [2, 3]
        assert await keys(sale.objects.filter(**{f"{name}__year__lt": 2024})) == [1]
    # One after the other: the same lookups on the column itself bind other values.
    assert await keys(sale.objects.filter(day__range=(Day(days[1]), Day(days[2])))) == [2, 3]
    assert await keys(sale.objects.filter(day__gte=Day(days[1]))) == [2, 3]
    assert await keys(sale.objects.filter(day__year__gte=2024)) == [2, 3]


async def test_plain_value_is_converted_by_the_field_that_it_is_assigned_to(sale: Any) -> None:
    await sale.objects.create(text=Money(5), number=Money(5))
    await sale.objects.update(text=orm.Value(Money(7)), number=orm.Value(Money(8)), price=orm.Value(Price(9)))
    row = await sale.objects.get()
    assert (row.text, row.number, row.price) == (Money(7), Money(8), Price(9))
    await row.update(text=orm.Value("6c"), price=orm.Value("3"))
    assert await sale.objects.values_list("text", "price") == [(Money(6), Price(3))]
    with pytest.raises(orm.FieldError, match=r"Sale\.text takes money"):
        await sale.objects.update(text=orm.Value("six"))
    await sale.objects.update(text=orm.Value(None))
    assert (await sale.objects.get()).text is None


async def test_plain_value_is_converted_by_the_field_that_it_stands_beside(sale: Any) -> None:
    first = await sale.objects.create(text=Money(5), number=Money(5), price=Price(5))
    second = await sale.objects.create()
    rows = sale.objects.order_by("id")
    for name in ("text", "number"):
        for value in (Money(0), orm.Value(Money(0))):
            assert await rows.values_list(Coalesce(name, value), flat=True) == [Money(5), Money(0)]
            assert await rows.values_list(Coalesce(value, name), flat=True) == [Money(0), Money(0)]
            chosen = orm.Case(orm.When(id=1, then=value), default=orm.F(name))
            assert await rows.values_list(chosen, flat=True) == [Money(0), None]
            chosen = orm.Case(orm.When(id=1, then=orm.F(name)), default=value)
            assert await rows.values_list(chosen, flat=True) == [Money(5), Money(0)]
            assert await rows.filter(id=2).aggregate(m=orm.Max(name, default=value)) == {"m": Money(0)}
        assert await rows.values_list(NullIf(name, Money(5)), flat=True) == [None, None]
        assert await rows.values_list(NullIf(name, Money(6)), flat=True) == [Money(5), None]
        assert await keys(sale.objects.filter(**{name: orm.Value(Money(5))})) == [first.id]
        assert await keys(sale.objects.exclude(**{name: orm.Value(Money(5))})) == [second.id]
        assert await keys(sale.objects.filter(orm.F(name) == orm.Value(Money(5)))) == [first.id]
    assert await rows.filter(id=1).values_list(Greatest("number", Money(7)), flat=True) == [Money(7)]
    assert await rows.filter(id=1).values_list(orm.F("number") + Money(7), flat=True) == [Money(12)]
    assert await rows.filter(id=1).values_list(Money(7) - orm.F("number"), flat=True) == [Money(2)]
    assert await rows.values_list(Coalesce("price", Price(1)), flat=True) == [Price(5), Price(1)]
    assert await rows.filter(id=1).values_list(orm.F("price") + Price(1), flat=True) == [Price(6)]
    with pytest.raises(orm.FieldError, match=r"Sale\.text takes money"):
        sale.objects.values_list(Coalesce("text", orm.Value("six")))
    as_text = Coalesce("text", orm.Value("six", output_field=orm.Text()), output_field=orm.Text())
    assert await rows.values_list(as_text, flat=True) == ["5c", "six"]


async def test_plain_value_of_several_fields_alone_needs_its_field(sale: Any) -> None:
    await sale.objects.create()
    with pytest.raises(orm.QueryError, match=r"TextMoney and IntegerMoney.*output_field"):
        sale.objects.values_list(orm.Value(Money(1)), flat=True)
    with pytest.raises(orm.QueryError, match=r"PriceField without arguments.*output_field"):
        sale.objects.values_list(orm.Value(Price(1)), flat=True)
    for field in (TextMoney(), IntegerMoney()):
        assert await sale.objects.values_list(orm.Value(Money(1), output_field=field), flat=True) == [Money(1)]


class LossyMoney(IntegerMoney, stored_as=orm.Integer()):
    """Of which JSON has the full euros only."""

    exact_type = None

    def to_json(self, value: Money) -> int:
        return value.cents // 100


async def test_value_that_the_storage_field_refuses_is_refused_before_sending(sale: Any) -> None:
    row = await sale.objects.create(text=Money(1234))
    too_long = Money(12345)
    writes: list[Any] = [
        lambda: sale.objects.create(text=too_long),
        lambda: sale.objects.create(text="12345c"),
        lambda: sale.objects.bulk_create([{"text": too_long}]),
        lambda: sale.objects.update(text=too_long),
        lambda: row.update(text=too_long),
    ]
    for write in writes:
        with pytest.raises(orm.ValidationError) as raised:
            await write()
        assert "Must have no more than 5 characters." in str(raised.value)
    assert await sale.objects.values_list("text", flat=True) == [Money(1234)]
    assert await sale.objects.filter(text=too_long).count() == 0


async def test_stored_garbage_raises_data_error_that_names_model_and_field(sale: Any) -> None:
    row = await sale.objects.create(text=Money(1))
    assert isinstance(sale.registry.database, Database)
    await sale.registry.database.execute("UPDATE sale SET text = 'junk'")
    reads: list[Any] = [
        lambda: sale.objects.get(),
        lambda: sale.objects.values_list("text", flat=True),
        lambda: sale.objects.aggregate(m=orm.Max("text")),
        lambda: row.load(),
    ]
    for read in reads:
        with pytest.raises(orm.DataError, match=r"Sale\.text holds a str that is no value of TextMoney") as raised:
            await read()
        assert "junk" not in str(raised.value)


async def test_page_ordered_by_field_whose_json_is_lossy_is_refused(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Till(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        lossy = LossyMoney()
        exact = IntegerMoney()

    await models.create_all()
    await Till.objects.bulk_create([{"lossy": Money(n), "exact": Money(n)} for n in (150, 250, 350)])
    with pytest.raises(orm.QueryError, match=r"Till\.lossy.*from_json"):
        await Till.objects.order_by("lossy").page(size=1)
    page = await Till.objects.order_by("exact").page(size=1)
    page = await Till.objects.order_by("exact").page(size=1, after=page.next_cursor)
    assert [till.id for till in page.items] == [2]


class SealedText(orm.Field[str], stored_as=orm.String(max_length=20)):
    """Text that is stored in another form each time, as encryption with a nonce does."""

    accepts = "text"
    number = 0

    def convert(self, value: Any) -> str:
        return str(value)

    def to_database(self, value: str) -> str:
        SealedText.number += 1
        return f"{SealedText.number}:{value}"

    def from_database(self, value: str) -> str:
        return value.partition(":")[2]


async def test_page_ordered_by_field_that_is_stored_in_another_form_each_time_is_refused(database: Database) -> None:
    """The cursor would name a place that no row has, and the pages need never end."""
    models = orm.ModelRegistry(database=database)

    class Letter(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        text = SealedText()

    await models.create_all()
    await Letter.objects.bulk_create([{"text": text} for text in ("a", "b", "c")])
    assert sorted(await Letter.objects.values_list("text", flat=True)) == ["a", "b", "c"]
    with pytest.raises(orm.QueryError, match=r"Letter\.text.*something else each time"):
        await Letter.objects.order_by("text").page(size=1)


async def test_value_with_output_field_is_converted_by_it(database: Database) -> None:
    models = orm.ModelRegistry(database=database)

    class Till(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        money = TextMoney()

    await models.create_all()
    await Till.objects.create(money="5c")
    values: list[tuple[Any, orm.Field[Any], Any]] = [
        ("7c", TextMoney(), Money(7)),
        (7, IntegerMoney(), Money(7)),
        (datetime.date(2020, 1, 2), DayField(), Day(datetime.date(2020, 1, 2))),
        ("2020-01-02", orm.Date(), datetime.date(2020, 1, 2)),
        ("7", orm.Integer(), 7),
        (7, orm.Text(), "7"),
    ]
    for value, field, expected in values:
        row = await Till.objects.annotate(v=orm.Value(value, output_field=field)).values_list("v", flat=True)
        assert row == [expected]
    assert await Till.objects.filter(money=orm.Value("5c", output_field=TextMoney())).count() == 1
    with pytest.raises(orm.FieldError, match="TextMoney takes money; the str given cannot be converted"):
        Till.objects.annotate(v=orm.Value("x", output_field=TextMoney()))


class OptionalText(orm.Field[str], stored_as=orm.String(max_length=9)):
    accepts = "text"

    def convert(self, value: Any) -> Any:
        return str(value) or None


async def test_filter_by_value_that_convert_makes_none_is_refused(database: Database) -> None:
    """It would be compared with NULL, and be true of no row: not of those that were written with it either."""
    models = orm.ModelRegistry(database=database)

    class Entry(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        text = OptionalText(allow_null=True)

    await models.create_all()
    await Entry.objects.create(text="")
    await Entry.objects.create(text="a")
    assert await keys(Entry.objects.filter(text=None)) == [1]
    assert await keys(Entry.objects.filter(text__in=["a", None])) == [2]
    conditions: list[dict[str, Any]] = [{"text": ""}, {"text__in": ["a", ""]}, {"text__gt": ""}]
    for condition in conditions:
        for method in (Entry.objects.filter, Entry.objects.exclude):
            with pytest.raises(orm.FieldError, match=r"Entry\.text: convert\(\) made the value None.*isnull"):
                method(**condition)


def test_primary_key_whose_values_have_no_hash_is_refused() -> None:
    class Point:
        __hash__ = None  # type: ignore[assignment]

    class PointField(orm.Field[Point], stored_as=orm.String(max_length=9)):
        exact_type = Point

    PointField()
    with pytest.raises(orm.FieldError, match=r"primary key.*Point has no __hash__"):
        PointField(primary_key=True)


async def test_array_is_one_of_several(postgresql_url: str) -> None:
    async with orm.Database(postgresql_url) as database:
        models = orm.ModelRegistry(database=database)

        class Word(orm.Model):
            registry = models

            id = orm.Integer(primary_key=True)
            sizes = orm.Array(orm.Integer(), allow_null=True)
            money = orm.Array(IntegerMoney(), default=list)

        await models.create_all()
        for sizes in ([1, 2], [2], [], None, [1]):
            await Word.objects.create(sizes=sizes, money=[Money(n) for n in sizes or ()])
        assert await keys(Word.objects.filter(sizes__in=[[1, 2], (2,), None])) == [1, 2]
        assert await keys(Word.objects.filter(sizes__in=[[]])) == [3]
        assert await keys(Word.objects.filter(sizes__in=[])) == []
        assert await keys(Word.objects.exclude(sizes__in=[[1, 2], [2]])) == [3, 4, 5]
        assert await keys(Word.objects.filter(money__in=[[Money(1)], [Money(2)]])) == [2, 5]
        assert await keys(Word.objects.filter(sizes__in=Word.objects.filter(id=2).values("sizes"))) == [2]
        with pytest.raises(orm.FieldError):
            Word.objects.filter(sizes__in=[1, 2])
