"""JSON that SQLite's own functions cannot read as Python does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orm.database.connections.database import Database
from tests.sample_models.all_column_types import Thing, models

pytestmark = pytest.mark.anyio

BEYOND_64_BITS = 2**64 + 1
DOCUMENTS: list[tuple[str, list[str], Any]] = [
    ('{"\\u00e9": "\\u00e9"}', ["é"], "é"),
    ('{"a\\/b": "a\\/b"}', ["a/b"], "a/b"),
    ('{"a": "x\\u0000y"}', ["a"], "x\0y"),
    ('{"q\\"uote": {"b": [1, "\\n\\"\\\\"]}}', ['q"uote', "b", "1"], '\n"\\'),
    ('{"a": [[1, 2], {"-1": 3}]}', ["a", "1", "-1"], 3),
    ('{"a": [[1, 2], {"-1": 3}]}', ["a", "-2", "-1"], 2),
    (f'{{"a": {BEYOND_64_BITS}}}', ["a"], BEYOND_64_BITS),
    ('{"a": {"c": 1.0, "b": [ ]}}', ["a"], {"b": [], "c": 1}),
    ('{"a": true}', ["a"], True),
]


@pytest.mark.parametrize("document, path, value", DOCUMENTS)
async def test_path_into_json_reads_what_python_reads(
    sqlite_url: str, document: str, path: list[str], value: Any
) -> None:
    async with Database(sqlite_url) as database:
        models.database = database
        await models.create_all()
        thing = await Thing.objects.create()
        await database.execute("UPDATE thing SET data = :data", {"data": document})
        name = "__".join(["data", *path])
        assert await Thing.objects.values_list(name, flat=True) == [value]
        for lookup, other, expected in (
            ("", value, True),
            ("__in", [None, "nothing", value], True),
            ("__isnull", False, True),
            ("", "nothing", False),
            ("", BEYOND_64_BITS + 1, False),
            ("", "1", False),
        ):
            query = Thing.objects.filter(**{name + lookup: other})
            assert await query.exists() is expected, (lookup, other)
        text = value if isinstance(value, str) else json.dumps(json.loads(document)["a"])
        if len(path) == 1:
            assert await Thing.objects.filter(**{f"{name}__startswith": text}).get() == thing


async def test_number_in_json_is_as_exact_as_pythons(sqlite_url: str) -> None:
    numbers = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -(2**63), 2**63 - 1, 2**53 + 1, 9e18, 1e20]
    async with Database(sqlite_url) as database:
        models.database = database
        await models.create_all()
        await Thing.objects.bulk_create([{"data": {"n": number}} for number in numbers])
        assert await Thing.objects.order_by("id").values_list("data__n", flat=True) == numbers
        assert await Thing.objects.order_by("data__n").values_list("data__n", flat=True) == sorted(numbers)
        for number in numbers:
            assert await Thing.objects.filter(data__n=number).count() == 1
