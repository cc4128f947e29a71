"""Tables of plain SQL: rows are read and found, or refused with the field, the row's key and the value's type."""

from __future__ import annotations

import datetime
import enum
import ipaddress
import re
import uuid
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from tests.private_servers import ProgramsMissing

UTC = datetime.timezone.utc
Mood = enum.Enum("Mood", ["good"])
NOON = datetime.datetime(2024, 5, 1, 12)


def model_of(database: Database, field: Any) -> Any:
    namespace = {
        "registry": orm.ModelRegistry(database=database),
        "id": orm.Integer(primary_key=True),
        "value": field,
        "Meta": type("Meta", (), {"tablename": "plain"}),
    }
    return type("Plain", (orm.Model,), namespace)


async def read(model: Any) -> list[Any]:
    """The value of each row, read three times: the drivers prepare a statement that comes again."""
    first, second, third = [[row.value for row in await model.objects.order_by("id")] for _ in range(3)]
    assert first == second == third
    return first


#: SQL literals that are one moment, whatever the digits of their fractions.
SAME_MOMENT = ["2024-05-01 12:00:00", "2024-05-01 12:00:00.000", "2024-05-01 12:00:00.000000", "2024-05-01 12:00:00.0"]
SAME_FRACTION = ["2024-05-01 12:00:00.12", "2024-05-01 12:00:00.120", "2024-05-01 12:00:00.120000"]


@pytest.mark.parametrize("timezone", [False, True])
@pytest.mark.parametrize(("texts", "microsecond"), [(SAME_MOMENT, 0), (SAME_FRACTION, 120000)])
async def test_sqlite_finds_a_moment_with_any_number_of_digits(
    sqlite_url: str, texts: list[str], microsecond: int, timezone: bool
) -> None:
    async with Database(sqlite_url) as database:
        await database.execute("CREATE TABLE plain (id INTEGER PRIMARY KEY, value DATETIME NOT NULL)")
        await database.execute("CREATE INDEX plain_value ON plain (value)")
        for text in [*texts, "2024-05-01 11:59:59.999999", "2024-05-01 12:00:00.120001", "2024-05-01 12:00:01"]:
            await database.execute("INSERT INTO plain (value) VALUES (:text)", {"text": text})
        model = model_of(database, orm.DateTime(timezone=timezone))
        moment = NOON.replace(microsecond=microsecond, tzinfo=UTC if timezone else None)
        values = await read(model)
        for lookup, is_found in {
            "exact": lambda value: value == moment,
            "gt": lambda value: value > moment,
            "gte": lambda value: value >= moment,
            "lt": lambda value: value < moment,
            "lte": lambda value: value <= moment,
        }.items():
            expected = [key for key, value in enumerate(values, start=1) if is_found(value)]
            found = model.objects.filter(**{f"value__{lookup}": moment})
            assert sorted(await found.values_list("id", flat=True)) == expected, lookup
            assert re.search(r"SEARCH plain USING (COVERING )?INDEX plain_value", await found.explain())
            others = await model.objects.exclude(**{f"value__{lookup}": moment}).values_list("id", flat=True)
            assert sorted(others) == sorted(set(range(1, len(values) + 1)) - set(expected)), lookup
        same = list(range(1, len(texts) + 1))
        for found in (
            model.objects.filter(value__in=[moment]),
            model.objects.filter(value__range=(moment, moment)),
            model.objects.filter(model.value == moment),
            model.objects.filter(model.value >= moment, model.value <= moment),
        ):
            assert sorted(await found.values_list("id", flat=True)) == same
        for text in texts:  # Each program writes one spelling, by which pages go on.
            await database.execute("UPDATE plain SET value = :text", {"text": text})
            await check_pages(model)


async def check_pages(model: Any) -> None:
    page = await model.objects.order_by("value").page(size=3)
    seen = [row.id for row in page]
    while page.has_next:
        page = await model.objects.order_by("value").page(after=page.next_cursor, size=3)
        seen += [row.id for row in page]
    assert seen == await model.objects.order_by("id").values_list("id", flat=True)


async def test_sqlite_finds_a_time_with_any_number_of_digits(sqlite_url: str) -> None:
    async with Database(sqlite_url) as database:
        await database.execute("CREATE TABLE plain (id INTEGER PRIMARY KEY, value TIME)")
        await database.execute("INSERT INTO plain (value) VALUES ('12:00:00'), ('12:00:00.000'), ('12:00:00.000000')")
        model = model_of(database, orm.Time())
        assert await read(model) == [datetime.time(12)] * 3
        assert await model.objects.filter(value=datetime.time(12)).count() == 3
        assert await model.objects.filter(value__gte=datetime.time(12), value__lte=datetime.time(12)).count() == 3
        assert await model.objects.filter(value__lt=datetime.time(12)).count() == 0


REFUSED: dict[str, tuple[str, str, Any, str, str]] = {
    "T in a datetime": ("sqlite", "DATETIME", orm.DateTime, "'2024-05-01T12:00:00'", "str"),
    "Z in a datetime": ("sqlite", "DATETIME", lambda: orm.DateTime(timezone=True), "'2024-05-01 12:00:00Z'", "str"),
    "an offset": ("sqlite", "DATETIME", lambda: orm.DateTime(timezone=True), "'2024-05-01 12:00:00+02:00'", "str"),
    "an offset in a wall-clock time": ("sqlite", "DATETIME", orm.DateTime, "'2024-05-01 12:00:00+02:00'", "str"),
    "seconds since 1970": ("sqlite", "DATETIME", orm.DateTime, "1714564800", "int"),
    "minutes only": ("sqlite", "TIME", orm.Time, "'12:00'", "str"),
    "a boolean that is text": ("sqlite", "BOOLEAN", orm.Boolean, "'f'", "str"),
    "a boolean that is a text of MySQL": ("mysql", "VARCHAR(5)", orm.Boolean, "'0'", "str"),
    "a UUID with dashes": ("sqlite", "CHAR(36)", orm.UUID, "'12345678-1234-5678-1234-567812345678'", "str"),
    "a year of five digits": ("sqlite", "DATE", orm.Date, "'20000-01-01'", "str"),
    "an interval of SQLAlchemy's": ("sqlite", "DATETIME", orm.Duration, "'1970-01-01 01:30:00.000000'", "str"),
    "no JSON": ("sqlite", "TEXT", orm.JSON, "'{'", "str"),
    "no address": ("sqlite", "TEXT", orm.IPAddress, "'10.0.0.1/24'", "str"),
    "a zero date": ("mysql", "DATE", lambda: orm.Date(allow_null=True), "'0000-00-00'", "str"),
    "a zero day": ("mysql", "DATE", lambda: orm.Date(allow_null=True), "'2024-05-00'", "str"),
    "a zero datetime": ("mysql", "DATETIME", orm.DateTime, "'0000-00-00 00:00:00'", "str"),
    "an aware zero datetime": (
        "mysql",
        "DATETIME(6)",
        lambda: orm.DateTime(timezone=True),
        "'0000-00-00 00:00:00'",
        "str",
    ),
    "a time beyond 24 hours": ("mysql", "TIME", orm.Time, "'25:30:00'", "timedelta"),
    "a negative time": ("mysql", "TIME", orm.Time, "'-01:00:00'", "timedelta"),
    "an inet with a mask": ("postgresql", "INET", orm.IPAddress, "'10.0.0.1/24'", "IPv4Interface"),
    "a cidr": ("postgresql", "CIDR", orm.IPAddress, "'10.0.0.0/24'", "IPv4Network"),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_what_no_value_can_be_is_refused_with_field_key_and_type(
    request: pytest.FixtureRequest, kind: str
) -> None:
    server, sql_type, field, literal, type_name = REFUSED[kind]
    async with Database(request.getfixturevalue(f"{server}_url")) as database, database.connection():
        if server == "mysql":
            await database.execute("SET SESSION sql_mode = ''")
        await database.execute(f"CREATE TABLE plain (id INTEGER PRIMARY KEY, value {sql_type})")
        await database.execute(f"INSERT INTO plain VALUES (41, NULL), (42, {literal})")
        model = model_of(database, field())
        for _ in range(3):
            for query in (model.objects.all(), model.objects.filter(id=42), model.objects.select_related()):
                with pytest.raises(
                    orm.DataError, match=rf"Plain\.value of the row with id=42 holds an? {type_name} that is no value"
                ):
                    await query
            with pytest.raises(orm.DataError, match=rf"value of row \d of the result holds an? {type_name}"):
                await model.objects.values("id", "value")
        assert await model.objects.defer("value").count() == 2
        assert len(await model.objects.only("id")) == 2


async def test_the_type_of_enum_members_is_told_with_the_row(database: Database) -> None:
    await database.execute("CREATE TABLE plain (id INTEGER PRIMARY KEY, value VARCHAR(32))")
    await database.execute("INSERT INTO plain VALUES (7, 'bad')")
    with pytest.raises(
        orm.DataError, match=r"Plain\.value of the row with id=7 holds a str .*not the name of a member"
    ):
        await model_of(database, orm.Enum(Mood)).objects.all()


async def test_postgresql_dates_beyond_pythons_are_refused(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        for sql_type, field in (("DATE", orm.Date), ("TIMESTAMP", orm.DateTime)):
            await database.execute("DROP TABLE IF EXISTS plain")
            await database.execute(f"CREATE TABLE plain (id INTEGER PRIMARY KEY, value {sql_type})")
            await database.execute(
                "INSERT INTO plain VALUES (1, '0044-03-15 BC'), (2, '20000-01-01'), (3, '2024-05-01')"
            )
            model = model_of(database, field())
            for key in (1, 2):
                with pytest.raises(orm.DataError):
                    await model.objects.get(id=key)
            assert (await model.objects.get(id=3)).value.year == 2024


async def test_address_lookups_see_no_mask(database: Database) -> None:
    model = model_of(database, orm.IPAddress())
    await model._meta.registry.create_all()
    await model.objects.bulk_create([{"value": "10.0.0.1"}, {"value": "10.0.0.32"}, {"value": "::1"}])
    assert await model.objects.filter(value__contains="/").count() == 0
    assert await model.objects.filter(value__endswith="32").values_list("id", flat=True) == [2]
    assert await model.objects.filter(value__startswith="10.0").count() == 2
    assert (await model.objects.get(value="10.0.0.1")).value == ipaddress.ip_address("10.0.0.1")


async def test_mysql_booleans_of_other_programs_are_read_found_and_kept(mysql_url: str) -> None:
    async with Database(mysql_url) as database:
        for sql_type, zero, one in (("BIT(1)", "b'0'", "b'1'"), ("TINYINT(1)", "0", "1"), ("TINYINT(1)", "0", "5")):
            await database.execute("DROP TABLE IF EXISTS plain")
            await database.execute(f"CREATE TABLE plain (id INTEGER PRIMARY KEY, value {sql_type})")
            await database.execute(f"INSERT INTO plain VALUES (1, {zero}), (2, {one})")
            model = model_of(database, orm.Boolean())
            assert await read(model) == [False, True]
            assert await model.objects.filter(value=False).values_list("id", flat=True) == [1]
            for row in await model.objects.all():
                await row.save()
            stored = await database.fetch_all("SELECT value + 0 FROM plain ORDER BY id")
            assert [row[0] for row in stored] == [0, 1]


async def test_mysql_floats_of_single_precision_read_the_same_each_time(mysql_url: str) -> None:
    async with Database(mysql_url) as database:
        await database.execute("CREATE TABLE plain (id INTEGER PRIMARY KEY, value FLOAT)")
        await database.execute("INSERT INTO plain VALUES (1, 1.1), (2, 16777216), (3, 1e-20)")
        model = model_of(database, orm.Float())
        assert await read(model) == [1.1, 16777200.0, 1e-20]
        for _ in range(3):
            assert (await model.objects.get(id=1)).value == 1.1


async def test_every_way_of_reading_names_the_value(database: Database) -> None:
    registry = orm.ModelRegistry(database=database)
    owners: Any = type("Owner", (orm.Model,), {"registry": registry, "id": orm.Integer(primary_key=True)})
    namespace = {
        "registry": registry,
        "id": orm.Integer(primary_key=True),
        "owner": orm.ForeignKey(owners, related_name="items"),
        "mood": orm.Enum(Mood),
    }
    items: Any = type("Item", (orm.Model,), namespace)
    await registry.create_all()
    owner = await owners.objects.create(id=1)
    await items.objects.bulk_create([{"id": key, "owner": owner, "mood": Mood.good} for key in (4, 5)])
    await database.execute("UPDATE item SET mood = 'bad' WHERE id = 5")

    async def streamed() -> list[Any]:
        return [row async for row in items.objects.order_by("id")]

    named = r"Item\.mood of the row with id=5 holds a str that is no value of the field"
    for read in (
        lambda: items.objects.all(),
        lambda: items.objects.get(id=5),
        lambda: items.objects.order_by("mood").page(size=5),
        lambda: items.objects.select_related("owner"),
        lambda: items.raw("SELECT * FROM item"),
        lambda: items(id=5).load(),
        lambda: owners.objects.prefetch_related("items"),
        lambda: owners.objects.graph("items"),
        lambda: owners.objects.graph("items").as_dicts(),
        lambda: orm.load(owner, "items"),
        streamed,
    ):
        with pytest.raises(orm.DataError, match=named):
            await read()
    for query in (items.objects.values("mood"), items.objects.values_list("mood"), items.objects.values("id", "mood")):
        with pytest.raises(orm.DataError, match=r"mood of row \d of the result holds a str"):
            await query


@pytest.mark.parametrize(
    ("sql_type", "literal", "found"),
    [
        ("CITEXT", "'Bob@X.org'", "bob@x.org"),
        ("mood", "'good'", "good"),
        ("VARCHAR(20)", "'Bob'", "Bob"),
        ("CHAR(5)", "'ab'", "ab"),
        ("NAME", "'Bob'", "Bob"),
        ("XML", "'<a/>'", None),
    ],
)
async def test_postgresql_compares_text_as_the_column_does(
    postgresql_url: str, sql_type: str, literal: str, found: str | None
) -> None:
    async with Database(postgresql_url) as database:
        if sql_type == "mood":
            await database.execute("CREATE TYPE mood AS ENUM ('bad', 'good')")
        try:
            if sql_type == "CITEXT":
                await database.execute("CREATE EXTENSION IF NOT EXISTS citext")
            await database.execute(f"SELECT CAST({literal} AS {sql_type})")
        except orm.NotSupportedError as error:
            raise ProgramsMissing(f"this PostgreSQL has no type {sql_type}: {error}") from error
        await database.execute(f"CREATE TABLE plain (id INTEGER PRIMARY KEY, value {sql_type})")
        await database.execute(f"INSERT INTO plain VALUES (1, {literal}), (2, NULL)")
        model = model_of(database, orm.String(max_length=20, allow_null=True))
        before = await read(model)
        if found is not None:
            for lookups in ({"value": found}, {"value__in": [found, None]}, {"value__gte": found}):
                assert await model.objects.filter(**lookups).values_list("id", flat=True) == [1], lookups
            assert await model.objects.exclude(value=found).values_list("id", flat=True) == [2]
            assert (await model.objects.get_or_create(value=found, defaults={"id": 7}))[1] is False
            assert await model.objects.filter(id=1).update(value=found) == 1
        row = await model.objects.get(id=1)
        row.value = before[0]
        await row.save()
        assert await read(model) == before


async def test_mysql_refuses_uuids_with_dashes_and_mariadb_finds_those_of_its_own_type(mysql_url: str) -> None:
    text = "12345678-1234-5678-1234-567812345678"
    async with Database(mysql_url) as database:
        is_mariadb = (await dialect_of(database)).name == "mariadb"
        await database.execute(
            f"CREATE TABLE plain (id INTEGER PRIMARY KEY, value {'UUID' if is_mariadb else 'CHAR(36)'})"
        )
        await database.execute(f"INSERT INTO plain VALUES (1, '{text}'), (2, NULL)")
        model = model_of(database, orm.UUID(allow_null=True))
        if is_mariadb:
            assert await read(model) == [uuid.UUID(text), None]
            assert await model.objects.filter(value=text).values_list("id", flat=True) == [1]
        else:
            with pytest.raises(orm.DataError, match=r"Plain\.value of the row with id=1 holds a str .*32 digits"):
                await model.objects.all()
