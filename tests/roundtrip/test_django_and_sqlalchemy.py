"""Tables of Django and SQLAlchemy: rows are read, found by their values, and saved so that the other reads the same."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import ipaddress
import itertools
import uuid
from collections.abc import Callable
from typing import Any

import sqlalchemy
import sqlalchemy.dialects.mysql
import sqlalchemy.dialects.postgresql
from django.db import models as django_models
from sqlalchemy.engine import make_url

import orm
from orm.database.connections.database import Database
from tests.conformance.django_side import Reference

UTC = datetime.timezone.utc
Values = dict[str, Any]
aliases = itertools.count()

#: Two rows: one with values that Django and SQLAlchemy write shorter than others, one with all digits.
ROWS: list[Values] = [
    {
        "flag": False,
        "small": -5,
        "large": 2**40,
        "price": decimal.Decimal("1.5000"),
        "ratio": 0.1,
        "name": "é 'x' %s",
        "body": "",
        "day": datetime.date(2024, 5, 1),
        "clock": datetime.time(12),
        "moment": datetime.datetime(2024, 5, 1, 12, 0, tzinfo=UTC),
        "token": uuid.UUID("12345678-1234-5678-1234-56781234abcd"),
        "data": {"b": ["é", 1.5, None], "a": {"/": "\\"}},
        "content": b"\x00\xff",
    },
    {
        "flag": True,
        "small": 7,
        "large": -(2**40),
        "price": decimal.Decimal("-123.4567"),
        "ratio": 1e22,
        "name": "",
        "body": "two\nlines",
        "day": datetime.date(1, 1, 2),
        "clock": datetime.time(23, 59, 59, 120000),
        "moment": datetime.datetime(1999, 12, 31, 23, 59, 59, 1000, tzinfo=UTC),
        "token": uuid.UUID(int=1),
        "data": [],
        "content": b"",
    },
]
LATER = datetime.timedelta(microseconds=1)


def our_model(database: Database, **more: Any) -> Any:
    """The table as a model of the ORM."""
    namespace: dict[str, Any] = {
        "registry": orm.ModelRegistry(database=database),
        "id": orm.Integer(primary_key=True),
        "flag": orm.Boolean(),
        "small": orm.Integer(),
        "large": orm.BigInteger(),
        "price": orm.Decimal(max_digits=12, decimal_places=4),
        "ratio": orm.Float(),
        "name": orm.String(max_length=50, allow_blank=True),
        "body": orm.Text(allow_blank=True),
        "day": orm.Date(),
        "clock": orm.Time(),
        "moment": orm.DateTime(timezone=True),
        "token": orm.UUID(unique=True),
        "data": orm.JSON(),
        "content": orm.Binary(),
        **more,
    }
    namespace["Meta"] = type("Meta", (), {"tablename": "theirs"})
    return type("Theirs", (orm.Model,), namespace)


async def check(model: Any, rows: list[Values], reread: Callable[[], list[Values]]) -> None:
    """Read the rows twice, find each by each of its values, save them, and have the other program read them again."""
    for _ in range(3):
        for row, expected in zip(await model.objects.order_by("id"), rows, strict=True):
            for name, value in expected.items():
                assert getattr(row, name) == value and type(getattr(row, name)) is type(value), name
    for key, expected in enumerate(rows, start=1):
        for name, value in expected.items():
            assert key in await model.objects.filter(**{name: value}).values_list("id", flat=True), name
            assert key not in await model.objects.exclude(**{name: value}).values_list("id", flat=True), name
            if name != "data":  # MariaDB's `in` takes documents with other escapes for others: docs/fields.md
                assert await model.objects.filter(id=key, **{f"{name}__in": [value]}).exists(), name
            if not model.fields[name].is_ordered:
                continue
            own = model.objects.filter(id=key)
            assert await own.filter(**{f"{name}__gte": value, f"{name}__lte": value}).exists(), name
            assert await own.filter(**{f"{name}__range": (value, value)}).exists(), name
            assert not await own.filter(**{f"{name}__gt": value}).exists(), name
            assert not await own.filter(**{f"{name}__lt": value}).exists(), name
    for key, expected in enumerate(rows, start=1):
        own = model.objects.filter(id=key)
        assert await own.filter(moment__lt=expected["moment"] + LATER).exists()
        assert await own.filter(moment__gt=expected["moment"] - LATER).exists()
    pages = await model.objects.order_by("moment").page(size=1)
    assert pages.has_next
    assert len(await model.objects.order_by("moment").page(after=pages.next_cursor, size=5)) == len(rows) - 1

    before = await asyncio.to_thread(reread)
    assert [{name: row[name] for name in ROWS[0]} for row in before] == [
        {name: row[name] for name in ROWS[0]} for row in rows
    ]
    for row in await model.objects.all():
        await row.save()
    await model.objects.bulk_update(await model.objects.all(), list(rows[0]))
    assert await asyncio.to_thread(reread) == before


async def test_tables_of_django(database: Database, database_url: str) -> None:
    other = await asyncio.to_thread(Reference, f"roundtrip{next(aliases)}", database_url)
    fields: dict[str, Any] = {
        "flag": django_models.BooleanField(),
        "small": django_models.IntegerField(),
        "large": django_models.BigIntegerField(),
        "price": django_models.DecimalField(max_digits=12, decimal_places=4),
        "ratio": django_models.FloatField(),
        "name": django_models.CharField(max_length=50),
        "body": django_models.TextField(),
        "day": django_models.DateField(),
        "clock": django_models.TimeField(),
        "moment": django_models.DateTimeField(),
        "token": django_models.UUIDField(unique=True),
        "data": django_models.JSONField(),
        "content": django_models.BinaryField(),
        "length": django_models.DurationField(),
        "address": django_models.GenericIPAddressField(),
        "parent": django_models.ForeignKey(
            "self", null=True, to_field="token", on_delete=django_models.CASCADE, db_column="parent"
        ),
    }
    meta = type("Meta", (), {"app_label": "roundtrip", "db_table": "theirs"})
    theirs: Any = type(
        f"Theirs{next(aliases)}", (django_models.Model,), {"__module__": __name__, "Meta": meta, **fields}
    )
    lengths = [datetime.timedelta(hours=1, microseconds=3), datetime.timedelta(days=-2)]
    addresses = ["10.0.0.1", "::1"]

    def make() -> None:
        with other.connection.schema_editor() as editor:
            editor.create_model(theirs)
        parent = None
        for row, length, address in zip(ROWS, lengths, addresses, strict=True):
            parent = (
                theirs.objects.using(other.alias).create(**row, length=length, address=address, parent_id=parent).token
            )

    def reread() -> list[Values]:
        rows = [
            {**row, "content": bytes(row["content"])}
            for row in theirs.objects.using(other.alias).order_by("id").values()
        ]
        other.connection.close()
        return rows

    await asyncio.to_thread(make)
    model = our_model(
        database,
        length=orm.Duration(),
        address=orm.IPAddress(),
        parent=orm.ForeignKey("Theirs", to_field="token", allow_null=True, related_name="children"),
    )
    rows = [
        {**row, "length": length, "address": ipaddress.ip_address(address)}
        for row, length, address in zip(ROWS, lengths, addresses, strict=True)
    ]
    await check(model, rows, reread)
    second = await model.objects.select_related("parent").get(id=2)
    assert second.parent.id == 1 and await model.objects.filter(parent__moment=ROWS[0]["moment"]).count() == 1
    await asyncio.to_thread(other.close)


async def test_tables_of_sqlalchemy(database: Database, database_url: str) -> None:
    url = make_url(database_url)
    drivers = {"postgresql": "postgresql+psycopg2", "mysql": "mysql+pymysql"}
    dialect = url.drivername.partition("+")[0]
    engine = sqlalchemy.create_engine(url.set(drivername=drivers.get(dialect, dialect)))
    moment = sqlalchemy.DateTime(timezone=True)
    clock: Any = sqlalchemy.Time()

    if dialect == "mysql":
        moment = sqlalchemy.dialects.mysql.DATETIME(fsp=6)
        clock = sqlalchemy.dialects.mysql.TIME(fsp=6)
    table = sqlalchemy.Table(
        "theirs",
        sqlalchemy.MetaData(),
        sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
        sqlalchemy.Column("flag", sqlalchemy.Boolean, nullable=False),
        sqlalchemy.Column("small", sqlalchemy.Integer),
        sqlalchemy.Column("large", sqlalchemy.BigInteger),
        sqlalchemy.Column("price", sqlalchemy.Numeric(12, 4)),
        sqlalchemy.Column("ratio", sqlalchemy.Double),
        sqlalchemy.Column("name", sqlalchemy.String(50)),
        sqlalchemy.Column("body", sqlalchemy.Text),
        sqlalchemy.Column("day", sqlalchemy.Date),
        sqlalchemy.Column("clock", clock),
        sqlalchemy.Column("moment", moment),
        sqlalchemy.Column("token", sqlalchemy.Uuid, unique=True),
        sqlalchemy.Column("data", sqlalchemy.JSON().with_variant(sqlalchemy.dialects.postgresql.JSONB(), "postgresql")),
        sqlalchemy.Column("content", sqlalchemy.LargeBinary),
    )
    naive = dialect != "postgresql"

    def make() -> None:
        table.metadata.create_all(engine)
        with engine.begin() as connection:
            for row in ROWS:
                moment = row["moment"].replace(tzinfo=None) if naive else row["moment"]
                connection.execute(table.insert().values({**row, "moment": moment}))

    def reread() -> list[Values]:
        with engine.connect() as connection:
            rows = [dict(row) for row in connection.execute(table.select().order_by("id")).mappings()]
        engine.dispose()
        for row in rows:
            row["moment"] = row["moment"].replace(tzinfo=UTC) if naive else row["moment"].astimezone(UTC)
        return rows

    await asyncio.to_thread(make)
    await check(our_model(database), ROWS, reread)
