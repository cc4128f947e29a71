"""What the database writes by itself (defaults, generated columns, keys, triggers) is read back and found, or said."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import uuid
from functools import partial
from typing import Any

import pytest
import sqlalchemy

import orm
from orm.database.connections.database import Database

UTC = datetime.timezone.utc
AFTER = datetime.datetime.now(UTC) - datetime.timedelta(days=1)


class Mood(enum.Enum):
    good = "g"
    bad = "b"


class Level(enum.IntEnum):
    low = 1
    high = 2


#: Fields with a text as their server default, and its value.
TEXTS: dict[str, tuple[Any, Any]] = {
    "boolean false": (lambda d: orm.Boolean(server_default=d), ("false", False)),
    "boolean 1": (lambda d: orm.Boolean(server_default=d), ("1", True)),
    "uuid": (
        lambda d: orm.UUID(server_default=d),
        ("12345678-1234-5678-1234-56781234ABCD", uuid.UUID("12345678-1234-5678-1234-56781234abcd")),
    ),
    "time": (lambda d: orm.Time(server_default=d), ("12:00", datetime.time(12))),
    "date": (lambda d: orm.Date(server_default=d), ("2024-05-01", datetime.date(2024, 5, 1))),
    "datetime": (lambda d: orm.DateTime(server_default=d), ("2024-05-01T12:00", datetime.datetime(2024, 5, 1, 12))),
    "aware datetime": (
        lambda d: orm.DateTime(timezone=True, server_default=d),
        ("2024-05-01 12:00:00+02:00", datetime.datetime(2024, 5, 1, 10, tzinfo=UTC)),
    ),
    "duration": (lambda d: orm.Duration(server_default=d), ("PT1H30M", datetime.timedelta(hours=1, minutes=30))),
    "string": (lambda d: orm.String(max_length=20, server_default=d), ("it's %s (x)", "it's %s (x)")),
    "text": (lambda d: orm.Text(server_default=d), ("it's", "it's")),
    "text in parentheses": (lambda d: orm.Text(server_default=d), ("(x)", "(x)")),
    "json": (lambda d: orm.JSON(server_default=d), ('{"a": [1]}', {"a": [1]})),
    "integer": (lambda d: orm.Integer(server_default=d), ("5", 5)),
    "float": (lambda d: orm.Float(server_default=d), ("0.5", 0.5)),
    "decimal": (
        lambda d: orm.Decimal(max_digits=5, decimal_places=2, server_default=d),
        ("1.5", decimal.Decimal("1.50")),
    ),
    "enum": (lambda d: orm.Enum(Mood, server_default=d), ("bad", Mood.bad)),
    "integer enum": (lambda d: orm.Enum(Level, server_default=d), ("2", Level.high)),
    "address": (lambda d: orm.IPAddress(server_default=d), ("10.0.0.1", ipaddress.ip_address("10.0.0.1"))),
}
#: Fields whose default is SQL that gives the current time.
TIMES: dict[str, Any] = {
    "now()": lambda: orm.DateTime(server_default=sqlalchemy.func.now()),
    "current_timestamp": lambda: orm.DateTime(server_default=sqlalchemy.func.current_timestamp()),
    "CURRENT_TIMESTAMP": lambda: orm.DateTime(server_default=sqlalchemy.text("CURRENT_TIMESTAMP")),
    "aware CURRENT_TIMESTAMP": lambda: orm.DateTime(timezone=True, server_default=sqlalchemy.text("CURRENT_TIMESTAMP")),
}


def model_of(database: Database, **fields: Any) -> Any:
    namespace = {"registry": orm.ModelRegistry(database=database), "id": orm.Integer(primary_key=True), **fields}
    return type("Row", (orm.Model,), namespace)


async def check_found(model: Any, value: Any, *, ordered: bool = True) -> None:
    """Rows that have `value` are found by it, in every spelling of a comparison, and by pages."""
    count = await model.objects.count()
    for lookups in ({"value": value}, {"value__in": [value]}):
        assert await model.objects.filter(**lookups).count() == count, lookups
        assert await model.objects.exclude(**lookups).count() == 0, lookups
    if not ordered:
        return
    for lookups in ({"value__range": (value, value)}, {"value__gte": value}, {"value__lte": value}):
        assert await model.objects.filter(**lookups).count() == count, lookups
    for lookups in ({"value__gt": value}, {"value__lt": value}):
        assert await model.objects.filter(**lookups).count() == 0, lookups
    page = await model.objects.order_by("value").page(size=2)
    seen = [row.id for row in page]
    while page.has_next:
        page = await model.objects.order_by("value").page(after=page.next_cursor, size=2)
        seen += [row.id for row in page]
    assert sorted(seen) == sorted(await model.objects.values_list("id", flat=True))


@pytest.mark.parametrize("kind", TEXTS)
async def test_a_text_is_the_value_that_is_read_and_found(database: Database, kind: str) -> None:
    make, (text, value) = TEXTS[kind]
    model = model_of(database, value=make(text), n=orm.Integer(default=0))
    await model._meta.registry.create_all()
    made = await model.objects.create()
    await model.objects.bulk_create([{"n": 1}, {"n": 2}])
    for row in [await made.load(), *await model.objects.all()]:
        assert row.value == value and type(row.value) is type(value)
    await check_found(model, value, ordered=model.fields["value"].is_ordered)
    # The same value, written by the ORM, is the same for the database.
    await model.objects.create(value=value)
    assert await model.objects.filter(value=value).count() == 4
    if kind != "json":
        assert await model.objects.values("value").distinct().count() == 1


@pytest.mark.parametrize("kind", TIMES)
async def test_the_current_time_is_found_by_the_value_that_was_read(database: Database, kind: str) -> None:
    model = model_of(database, value=TIMES[kind]())
    await model._meta.registry.create_all()
    row = await (await model.objects.create()).load()
    aware = row.value if row.value.tzinfo else row.value.replace(tzinfo=UTC)
    assert aware > AFTER
    await check_found(model, row.value)
    await model.objects.bulk_create([{"id": n} for n in range(10, 17)])
    for each in await model.objects.all():
        assert each.pk in await model.objects.filter(value=each.value).values_list("pk", flat=True)
    page = await model.objects.order_by("value").page(size=3)
    seen = [each.id for each in page]
    while page.has_next:
        page = await model.objects.order_by("value").page(after=page.next_cursor, size=3)
        seen += [each.id for each in page]
    assert sorted(seen) == [1, *range(10, 17)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (
            lambda: orm.DateTime(server_default=sqlalchemy.text("(datetime('2024-05-01T12:00'))")),
            datetime.datetime(2024, 5, 1, 12),
        ),
        (lambda: orm.Time(server_default=sqlalchemy.text("'12:30'")), datetime.time(12, 30)),
        (lambda: orm.Date(server_default=sqlalchemy.text("'2024-05-01 23:00'")), datetime.date(2024, 5, 1)),
        (
            lambda: orm.UUID(server_default=sqlalchemy.text("'12345678-1234-5678-1234-56781234ABCD'")),
            uuid.UUID("12345678-1234-5678-1234-56781234abcd"),
        ),
    ],
)
async def test_sqlite_expressions_are_stored_as_the_orm_stores_values(sqlite_url: str, field: Any, value: Any) -> None:
    async with Database(sqlite_url) as database:
        model = model_of(database, value=field())
        await model._meta.registry.create_all()
        assert (await model.objects.create()).value == value
        await check_found(model, value)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (orm.DateTime, "CURRENT_TIMESTAMP"),
        (orm.DateTime, "2024-13-01"),
        (orm.UUID, "gen_random_uuid()"),
        (orm.Boolean, "perhaps"),
        (orm.Time, "now"),
    ],
)
def test_a_text_that_is_no_value_is_refused_with_the_way_to_write_sql(field: Any, text: str) -> None:
    with pytest.raises(orm.FieldError, match=r"Row\.value: server_default=.* is the text of a value.*sqlalchemy\.text"):
        type("Row", (orm.Model,), {"registry": orm.ModelRegistry(), "value": field(server_default=text)})


async def test_a_generated_column_is_read_and_never_written(database: Database) -> None:
    model = model_of(
        database,
        a=orm.Integer(unique=True),
        value=orm.Integer(server_default=sqlalchemy.Computed("a * 2"), read_only=True),
    )
    await model._meta.registry.create_all()
    row = await model.objects.create(a=1, value=99)
    assert row.value == 2
    assert (await row.load()).value == 2
    row.a = 2
    await row.save()
    assert row.value == 4
    row.a = 3
    await row.save(update_fields=["a"])
    assert row.value == 6
    await model.objects.update_or_create({"a": 4}, id=row.id)
    await row.load()
    assert (row.a, row.value) == (4, 8)
    await row.update(a=5)
    assert row.value == (await row.load()).value == 10
    many = await model.objects.bulk_create([{"a": 10}, model(a=11, value=7)])
    for each in many:
        assert each.value == (await model.objects.get(a=each.a)).value == each.a * 2
    unique = ["a"] if database.url.dialect in ("sqlite", "postgresql") else []
    await model.objects.upsert(await row.load(), unique_fields=unique)
    await model.objects.filter(a=10).update(a=20)
    assert sorted(await model.objects.values_list("a", "value")) == [(5, 10), (11, 22), (20, 40)]
    assert await model.objects.filter(value=40).count() == 1
    for write in (
        row.update(value=1),
        row.save(update_fields=["value"]),
        model.objects.all().update(value=1),
        model.objects.bulk_update([row], ["value"]),
        model.objects.upsert(row, unique_fields=unique, update_fields=["value"]),
    ):
        with pytest.raises(orm.QueryError, match=r"Row\.value is calculated by the database"):
            await write


async def test_postgresql_identity_columns_are_generated(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        model = model_of(
            database,
            name=orm.String(max_length=5),
            value=orm.Integer(server_default=sqlalchemy.Identity(always=True, start=7), read_only=True),
            other=orm.Integer(allow_null=True),
        )
        await model._meta.registry.create_all()
        row = await model.objects.create(name="a")
        assert row.value == 7
        row.name = "b"
        await row.save()
        assert [each.value for each in await model.objects.bulk_create([{"name": "c"}, {"name": "d"}])] == [8, 9]
        with pytest.raises(orm.QueryError, match="calculated by the database"):
            await row.update(value=3)


async def test_rows_that_a_trigger_leaves_out_are_told(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        model = model_of(database, value=orm.Integer())
        await model._meta.registry.create_all()
        await database.execute(
            "CREATE FUNCTION skip() RETURNS trigger AS $$ BEGIN IF NEW.value < 0 THEN RETURN NULL; END IF; "
            "RETURN NEW; END $$ LANGUAGE plpgsql"
        )
        await database.execute('CREATE TRIGGER skips BEFORE INSERT ON "row" FOR EACH ROW EXECUTE FUNCTION skip()')
        with pytest.raises(orm.DatabaseError, match="inserted 0 of 1 rows of Row: a trigger or a rule"):
            await model.objects.create(value=-1)
        with pytest.raises(orm.DatabaseError, match="inserted 0 of 1 rows of Row"):
            await model.objects.get_or_create(value=-1)
        with pytest.raises(orm.DatabaseError, match="inserted 2 of 3 rows of Row"):
            await model.objects.bulk_create([{"value": 1}, {"value": -1}, {"value": 2}])
        with pytest.raises(orm.DatabaseError, match="inserted 1 of 2 rows of Row"):
            await model.objects.upsert([{"id": 1, "value": -5}, {"id": 2, "value": 5}], unique_fields=["id"])


async def test_ranges_are_server_defaults(postgresql_url: str) -> None:
    moment = datetime.datetime(2024, 5, 1, 12, 30, 1, 5, tzinfo=UTC)
    ranges = {
        "days": (orm.DateRange, orm.Range(datetime.date(2024, 1, 1), None)),
        "numbers": (orm.IntegerRange, orm.Range(-5, 5)),
        "prices": (orm.DecimalRange, orm.Range(decimal.Decimal("0.50"), decimal.Decimal("1.5"), "(]")),
        "moments": (partial(orm.DateTimeRange, timezone=True), orm.Range(None, moment)),
        "nothing": (orm.IntegerRange, orm.Range(empty=True)),
        "all": (orm.IntegerRange, orm.Range(None, None)),
    }
    async with Database(postgresql_url) as database:
        fields = {name: field(server_default=orm.Value(value)) for name, (field, value) in ranges.items()}
        model = model_of(database, **fields)
        await model._meta.registry.create_all()
        row = await model.objects.create()
        for name, (_, value) in ranges.items():
            assert getattr(row, name) == value, name
            assert await model.objects.filter(**{name: value}).count() == 1, name
