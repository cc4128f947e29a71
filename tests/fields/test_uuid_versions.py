"""`orm.uuid7()`, and `orm.UUID(version=...)`."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database
from orm.utils import uuid7 as module


def test_values_have_version_variant_and_time() -> None:
    before = time.time_ns() // 1_000_000
    value = orm.uuid7()
    after = time.time_ns() // 1_000_000
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert before <= value.int >> 80 <= after + 1


def test_values_of_one_process_are_ordered_and_distinct() -> None:
    values = [orm.uuid7() for _ in range(20_000)]
    assert values == sorted(set(values))


def test_values_of_several_threads_are_distinct() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = [value for part in pool.map(lambda _: [orm.uuid7() for _ in range(2000)], range(4)) for value in part]
    assert len(set(made)) == 8000
    assert len({value.int >> 62 for value in made}) == 8000


def test_clock_that_is_set_back_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    first = orm.uuid7()
    monkeypatch.setattr(module.time, "time_ns", lambda: 1_000_000_000)
    assert orm.uuid7() > first


@pytest.mark.anyio
@pytest.mark.parametrize("version", [4, 7])
async def test_key_with_a_version_is_made_for_new_rows(database: Database, version: Any) -> None:
    class Thing(orm.Model):
        registry = orm.ModelRegistry(database)

        id = orm.UUID(primary_key=True, version=version)
        name = orm.String(max_length=10)

    await Thing.registry.create_all()
    things = [await Thing.objects.create(name="a"), *await Thing.objects.bulk_create([{"name": n} for n in "bcd"])]
    assert {thing.id.version for thing in things} == {version}
    assert await Thing.objects.count() == 4
    if version == 7:
        assert "".join(await Thing.objects.order_by("id").values_list("name", flat=True)) == "abcd"
    given = uuid.uuid4()
    assert (await Thing.objects.create(id=given, name="e")).id == given


@pytest.mark.parametrize("options", [{"version": 1}, {"version": 7, "default": uuid.uuid4}])
def test_other_version_and_second_default_raise(options: Any) -> None:
    with pytest.raises(orm.FieldError, match="version"):
        orm.UUID(**options)
