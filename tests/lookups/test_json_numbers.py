"""Numbers in JSON documents of any size: each is found by itself, and is between those that are less and greater."""

from __future__ import annotations

from typing import Any

import orm
from orm.database.connections.database import Database

NUMBERS: list[float] = sorted(
    [
        0,
        1,
        -3,
        7,
        0.1,
        1.5,
        -1e-7,
        1e-13,
        1e-40,
        -1e-40,
        5e-324,
        1e16,
        2**53 + 1,
        1e22,
        -1e22,
        1e64,
        1e66,
        1e300,
        -1e300,
    ]
    + [1.7976931348623157e308]
)


async def test_json_number_of_any_size_is_found_and_ordered(database: Database) -> None:
    registry = orm.ModelRegistry(database=database)
    namespace: dict[str, Any] = {"registry": registry, "id": orm.Integer(primary_key=True), "data": orm.JSON()}
    document: Any = type("Document", (orm.Model,), namespace)
    await registry.create_all()
    await document.objects.bulk_create([{"id": key, "data": {"n": n}} for key, n in enumerate(NUMBERS, start=1)])
    assert [row.data["n"] for row in await document.objects.order_by("id")] == NUMBERS
    for key, number in enumerate(NUMBERS, start=1):
        for lookup, keys in {
            "exact": range(key, key + 1),
            "gt": range(key + 1, len(NUMBERS) + 1),
            "gte": range(key, len(NUMBERS) + 1),
            "lt": range(1, key),
            "lte": range(1, key + 1),
        }.items():
            found = document.objects.filter(**{f"data__n__{lookup}": number}).order_by("id")
            assert await found.values_list("id", flat=True) == list(keys), (number, lookup)
            others = document.objects.exclude(**{f"data__n__{lookup}": number})
            assert await others.count() == len(NUMBERS) - len(keys), (number, lookup)
        between = document.objects.filter(data__n__range=(number, 1e301))
        assert await between.count() == len([n for n in NUMBERS if number <= n <= 1e301]), number
        assert await document.objects.filter(data={"n": number}).values_list("id", flat=True) == [key], number
