"""A shop for tests that write: items on shelves, with unique names, prices and NULLs."""

from __future__ import annotations

import datetime
import decimal
import enum
from typing import Any

import databases

import orm

models = orm.ModelRegistry()
arrays = orm.ModelRegistry()


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Shelf(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50, allow_null=True)


class Item(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    sku = orm.String(max_length=50, unique=True)
    name = orm.String(max_length=100, default="thing")
    count = orm.Integer(default=0)
    price = orm.Decimal(max_digits=8, decimal_places=2, allow_null=True)
    weight = orm.Float(allow_null=True)
    made = orm.DateTime(allow_null=True)
    best_before = orm.Date(allow_null=True)
    kept = orm.Duration(allow_null=True)
    size: Any = orm.Enum(Size, allow_null=True)
    sold = orm.Boolean(default=False)
    label = orm.Binary(max_length=20, allow_null=True)
    data: Any = orm.JSON(allow_null=True)
    shelf: Any = orm.ForeignKey(Shelf, allow_null=True, related_name="items")

    class Meta:
        get_latest_by = "count"


class Place(orm.Model):
    """A composite key, without generated values."""

    registry = models

    row = orm.Integer(primary_key=True, default=0)
    column = orm.Integer(primary_key=True, default=0)
    note = orm.String(max_length=20, default="none")


class Numbered(orm.Model):
    """A list in a column (PostgreSQL only), which a VALUES table cannot hold."""

    registry = arrays

    id = orm.Integer(primary_key=True)
    numbers: Any = orm.Array(orm.Integer())


def rows() -> list[dict[str, Any]]:
    """Twenty items, with NULLs and equal values in every column that may have them."""
    return [
        {
            "id": i + 1,
            "sku": f"sku{i:02}",
            "name": "aÄb%"[i % 4],
            "count": i % 3,
            "price": None if i % 4 == 0 else decimal.Decimal(i % 5) / 4,
            "weight": None if i % 7 == 0 else i / 3,
            "made": None if i % 5 == 0 else datetime.datetime(2024, 1, i % 3 + 1, 12, 0, 0, 500_000),
            "best_before": None if i % 6 == 0 else datetime.date(2025, i % 2 + 1, 1),
            "kept": None if i % 3 == 0 else datetime.timedelta(hours=i % 4),
            "size": (None, Size.SMALL, Size.LARGE)[i % 3],
            "sold": i % 2 == 0,
            "label": None if i % 4 == 0 else bytes([i % 2, 255]),
            "shelf": (None, 1, 2, 3)[i % 4],
        }
        for i in range(20)
    ]


async def create(database: databases.Database) -> None:
    """Create empty tables in `database`, and make the models use it."""
    models.database = database
    await models.create_all()


async def fill() -> None:
    """Insert the rows."""
    await Shelf.objects.bulk_create([{"id": 1, "name": "top"}, {"id": 2, "name": None}, {"id": 3, "name": "low"}])
    # Without their keys, which are the same: so that the database goes on counting after them.
    await Item.objects.bulk_create([{name: row[name] for name in row if name != "id"} for row in rows()])
