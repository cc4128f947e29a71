"""Migrations of fields that are several columns, lists, or have a CHECK: made, changed, and found to be as declared."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

import orm
from tests.migrations.test_migrations import Project, operations
from tests.private_servers import ProgramsMissing

pytestmark = pytest.mark.anyio

FIRST = """
import os
from dataclasses import dataclass
from typing import Annotated

import orm

models = orm.ModelRegistry(database=orm.Database(os.environ["DATABASE_URL"]))


@dataclass
class Address:
    street: Annotated[str, orm.String(max_length=40)]
    city: Annotated[str, orm.String(max_length=40)]
    # MORE PARTS


class Customer(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    slug = orm.Slug()
    visits = orm.PositiveInteger(default=0)
    tags = orm.Array(orm.String(max_length=10), default=list)
    billing = orm.Embedded(Address)
    shipping = orm.Embedded(Address, prefix="ship_", allow_null=True)

    class Meta:
        indexes = [orm.Index("billing__city", name="by_city")]
"""


@pytest.fixture
def project(tmp_path: Path, database_url: str) -> Project:
    return Project(tmp_path, database_url)


async def test_the_tables_of_migrations_are_those_of_the_models(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(FIRST)
    source = project.revision("first")
    assert "orm." not in source
    for column in ("billing_street", "billing_city", "ship_street", "ship_city"):
        assert f"sa.Column('{column}', sa.String(length=40), nullable={'ship' in column})" in source
    project.alembic("upgrade", "head")
    assert "No new upgrade operations detected." in project.alembic("check")
    app = project.load(monkeypatch)
    async with app.models.database:
        await app.Customer.objects.create(slug="a", tags=["x"], billing=app.Address("s", "c"))
        assert await app.Customer.objects.filter(billing__city="c", tags__any="x", shipping=None).count() == 1
        for values in ({"visits": orm.F("visits") - 1}, {"ship_city": "c"}):
            with pytest.raises(orm.CheckViolation):
                await app.Customer.objects.update(**values)

    project.write(FIRST.replace("# MORE PARTS", "country: Annotated[str, orm.String(max_length=2)] | None = None"))
    source = project.revision("second")
    assert operations(source, "upgrade").count("add_column") == 2
    assert "billing_country" in source and "ship_country" in source
    assert sum("_check" in line for line in source.splitlines()) >= 1  # The CHECK of the new parts.
    project.alembic("upgrade", "head")
    assert "No new upgrade operations detected." in project.alembic("check")
    project.alembic("downgrade", "base")


POSTGRESQL = """
import os

import orm

models = orm.ModelRegistry(database=orm.Database(os.environ["DATABASE_URL"]))


class Booking(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    ages = orm.IntegerRange(allow_null=True)
    numbers = orm.BigIntegerRange(allow_null=True)
    prices = orm.DecimalRange(8, 2, allow_null=True)
    days = orm.DateRange()
    local = orm.DateTimeRange(allow_null=True)
    instants = orm.DateTimeRange(timezone=True, allow_null=True)
    term = orm.Interval(default=orm.Period(1))
    # EXTENSIONS
"""


async def test_the_types_of_postgresql_are_written_as_sqlalchemys(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, postgresql_url)
    project.write(POSTGRESQL)
    source = project.revision("first")
    assert "orm." not in source
    for sql_type in ("INT4RANGE", "INT8RANGE", "NUMRANGE", "DATERANGE", "TSRANGE", "TSTZRANGE", "INTERVAL"):
        assert f"postgresql.{sql_type}(" in source, source
    project.alembic("upgrade", "head")
    assert "No new upgrade operations detected." in project.alembic("check")
    app = project.load(monkeypatch)
    async with app.models.database as database:
        await app.Booking.objects.create(ages=(1, 2), days=(datetime.date(2024, 5, 1), None))
        assert await app.Booking.objects.filter(ages__contains=1, term=orm.Period(1)).count() == 1
        try:
            for name in ("hstore", "citext"):
                await database.execute(f"CREATE EXTENSION IF NOT EXISTS {name}")
        except orm.NotSupportedError as error:
            raise ProgramsMissing(f"this PostgreSQL has no extensions hstore and citext: {error}") from error
    further = "name = orm.CIText(allow_null=True)\n    data = orm.HStore(allow_null=True)"
    project.write(POSTGRESQL.replace("# EXTENSIONS", further))
    source = project.revision("second")
    assert operations(source, "upgrade") == ["add_column"] * 2
    assert "postgresql.CITEXT()" in source and "postgresql.HSTORE(" in source
    project.alembic("upgrade", "head")
    assert "No new upgrade operations detected." in project.alembic("check")
