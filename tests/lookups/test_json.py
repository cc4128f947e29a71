"""JSON paths: hostile keys, every type of value, and the same results as in Python on random documents."""

from __future__ import annotations

import random
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from orm.database.connections.server_dialect import dialect_of
from tests.sample_models.all_column_types import Thing, models

pytestmark = pytest.mark.anyio

KEYS = [
    *("a", "b", "key with space", "it's", 'q"uote', "back\\slash", "100%", "%s", "?", ":p0", "$", "$.a", "*", "**"),
    *(
        "[0]",
        "a.b",
        "é",
        "😀",
        "'; DROP TABLE thing; --",
        "{0}",
        "{}",
        "--",
        "/*",
        "`",
        "\n",
        "\t",
        "null",
        "1e5",
    ),
    *("-1x", "0", "1", "-1", "01", "99999999999999999999", "\\u0041", "x" * 300),
]


async def test_json_path_with_hostile_keys_finds_the_row(things: Database) -> None:
    """Each key finds its own value and no other."""
    server = (await dialect_of(things)).name
    await Thing.objects.filter(id=4).update(data={key: {key: position} for position, key in enumerate(KEYS)})
    for position, key in enumerate(KEYS):
        query = Thing.objects.filter(id=4)
        if server == "mariadb" and key.startswith("-"):
            assert await query.filter(data__has_key=key).count() == 1
            if key != "-1":
                with pytest.raises(orm.QueryError, match="hyphen"):
                    await query.filter(**{f"data__{key}": position})
            continue
        assert await query.filter(**{f"data__{key}__{key}": position}).count() == 1, key
        assert await query.filter(**{f"data__{key}__{key}": position + 1}).count() == 0, key
        assert await query.filter(**{f"data__{key}__x{key}__isnull": True}).count() == 1, key
        assert await query.filter(data__has_key=key).count() == 1, key
        assert await query.filter(data__has_keys=["a", key]).count() == 1, key
        assert await query.filter(data__has_any_keys=["nothing", key]).count() == 1, key
        assert await query.filter(data__has_key=key + "!").count() == 0, key
        assert await query.values_list(f"data__{key}__{key}", flat=True) == [position], key
        assert await query.order_by(f"data__{key}").values_list(f"data__{key}", flat=True) == [{key: position}], key
    assert await Thing.objects.count() == 5


async def test_json_path_binds_keys_and_values(things: Database) -> None:
    orm.plan_cache_clear()
    for key in KEYS:
        if not key.startswith("-") and not key.isdigit():
            await Thing.objects.filter(**{f"data__{key}": key}).order_by(f"data__{key}")
    assert orm.plan_cache_info().misses == 1
    sql = str(Thing.objects.filter(data__secret__x="hidden").sql)
    assert "secret" not in sql and "hidden" not in sql


async def test_json_lookups_of_each_type_of_value(things: Database) -> None:
    values: list[Any] = [
        0,
        1,
        -5,
        2.5,
        1e20,
        True,
        False,
        "",
        "text",
        "10",
        "null",
        "true",
        [],
        [1, [2]],
        {},
        {"k": None},
    ]
    for value in values:
        await Thing.objects.filter(id=4).update(data={"v": value, "w": [value]})
        query = Thing.objects.filter(id=4)
        for other in values:
            equal = value == other and isinstance(value, bool) == isinstance(other, bool)
            assert await query.filter(data__v=other).count() == equal, (value, other)
            assert await query.exclude(data__v=other).count() == (not equal), (value, other)
            assert await query.filter(data__v__in=[other, "nothing"]).count() == equal, (value, other)
            assert await query.filter(data__w__0=other).count() == equal, (value, other)
        rows = await query.values_list("data__v", "data__w__0")
        assert (rows == [(value, value)] and type(rows[0][0]) is type(value)) or value == 1e20


async def test_json_null_and_missing_key_differ(things: Database) -> None:
    await Thing.objects.filter(id=4).update(data={"null": None, "list": [None]})
    query = Thing.objects.filter(id=4)
    assert await query.filter(data__null=None).exists()
    assert not await query.filter(data__missing=None).exists()
    assert await query.filter(data__null__isnull=False).exists()
    assert await query.filter(data__missing__isnull=True).exists()
    assert await query.filter(data__list__0=None).exists()
    assert await query.filter(data__list__1__isnull=True).exists()
    assert await query.values_list("data__null", "data__missing") == [(None, None)]


async def test_json_path_compares_with_columns(things: Database) -> None:
    await Thing.objects.filter(id=2).update(data={"n": -3, "name": "abcabc", "more": 5, "same": -3})
    query = Thing.objects.filter(id=2)
    for lookups in (
        {"data__n": orm.F("n")},
        {"n": orm.F("data__n")},
        {"data__name": orm.F("name")},
        {"name": orm.F("data__name")},
        {"data__more__gt": orm.F("n")},
        {"n__lt": orm.F("data__more")},
        {"data__n": orm.F("data__same")},
        {"data__more__gt": orm.F("data__n")},
    ):
        assert await query.filter(**lookups).count() == 1, lookups
        assert await query.exclude(**lookups).count() == 0, lookups


def value_of(choice: random.Random, depth: int) -> Any:
    """A random JSON value."""
    kind = choice.randrange(8 if depth else 6)
    if kind < 6:
        return choice.choice([None, True, False, 0, 1, 2, 10, -1, 1.5, "a", "b", "1", "A", ""])
    if kind == 6:
        return [value_of(choice, depth - 1) for _ in range(choice.randrange(3))]
    return {choice.choice("ab01"): value_of(choice, depth - 1) for _ in range(choice.randrange(3))}


MISSING = object()


def at(document: Any, path: list[str]) -> Any:
    """The value of a document at a path."""
    for key in path:
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and key.isdigit() and int(key) < len(document):
            document = document[int(key)]
        else:
            return MISSING
    return document


def equal(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: 1 equals 1.0, but a boolean equals no number."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def more(left: Any, right: Any) -> bool:
    """Whether two values have an order and compare like this."""
    if is_number(left) and is_number(right):
        return bool(left > right)
    return isinstance(left, str) and isinstance(right, str) and left.encode() > right.encode()


async def test_json_lookups_on_random_documents_match_python(database: Database) -> None:
    """filter() and exclude() find the rows that Python finds, on every database."""
    models.database = database
    await models.create_all()
    choice = random.Random(20241027)
    documents = [value_of(choice, 3) for _ in range(150)]
    documents = [d for d in documents if d is not None]
    rows = await Thing.objects.bulk_create([{"data": document} for document in documents])
    keys = {row.id: row.data for row in rows}
    for _ in range(150):
        path = [choice.choice("ab01") for _ in range(choice.randrange(1, 4))]
        value = value_of(choice, 1)
        name = "__".join(["data", *path])
        expected = {key for key, d in keys.items() if (v := at(d, path)) is not MISSING and equal(v, value)}
        missing = {key for key, d in keys.items() if at(d, path) is MISSING}
        matching_keys = {t.id for t in await Thing.objects.filter(**{name: value})}
        assert matching_keys == expected, (path, value)
        left = {t.id for t in await Thing.objects.exclude(**{name: value})}
        assert left == keys.keys() - expected - missing, (path, value)
        assert {t.id for t in await Thing.objects.filter(**{f"{name}__isnull": True})} == missing
        if is_number(value):
            above = {key for key, d in keys.items() if more(at(d, path), value)}
            assert {t.id for t in await Thing.objects.filter(**{f"{name}__gt": value})} == above, (path, value)
            left = {t.id for t in await Thing.objects.exclude(**{f"{name}__gt": value})}
            assert left == keys.keys() - above - missing, (path, value)
        shown = await Thing.objects.order_by("id").values_list("id", name)
        for key, got in shown:
            expected_value = at(keys[key], path)
            assert equal(got, None if expected_value is MISSING else expected_value), (path, got, expected_value)


def test_json_lookup_with_invalid_value_raises() -> None:
    for lookups in (
        {"data__a__gt": None},
        {"data__a__gt": [1]},
        {"data__a__gt": True},
        {"data__a__range": (1, "x")},
        {"data__a__range": 3},
        {"data__a__in": "abc"},
        {"data__a__in": 3},
        {"data__has_key": None},
        {"data__has_keys": "abc"},
        {"data__contains": None},
        {"data__a": {1, 2}},
        {"data__a__isnull": "yes"},
        {"data__a__icontains": None},
    ):
        with pytest.raises((orm.QueryError, orm.FieldError)):
            Thing.objects.filter(**lookups)
