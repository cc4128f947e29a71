"""Optimistic locking: `orm.Version` turns a lost update into `orm.StaleObject`."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from typing import Any

import databases
import pytest

import orm

pytestmark = pytest.mark.anyio


@pytest.fixture
async def page(any_database: databases.Database) -> AsyncIterator[Any]:
    """A model with a version, whose table is empty."""
    models = orm.ModelRegistry(database=any_database)

    class Page(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        slug = orm.String(max_length=50, unique=True)
        text = orm.String(max_length=100, default="", allow_blank=True)
        views = orm.Integer(default=0)
        version = orm.Version()

    await models.create_all()
    yield Page


async def stored(page: Any) -> list[tuple[str, str, int]]:
    rows: list[tuple[str, str, int]] = await page.objects.order_by("id").values_list("slug", "text", "version")
    return rows


async def test_version_counts_the_updates(page: Any) -> None:
    one = await page.objects.create(slug="one")
    assert one.version == 1
    one.text = "a"
    await one.save()
    await one.update(text="b")
    one.text = "c"
    await one.save(update_fields=["text"])
    one.views = page.views + 1
    await one.save()
    assert one.version == 5
    assert await page.objects.filter(slug="one").update(text="d") == 1
    assert await stored(page) == [("one", "d", 6)]
    await one.load()
    assert (one.version, one.views) == (6, 1)
    await one.delete()
    assert await stored(page) == []


WRITES = {
    "save": lambda mine: mine.save(),
    "save(update_fields)": lambda mine: mine.save(update_fields=["text"]),
    "save(force_update)": lambda mine: mine.save(force_update=True),
    "update": lambda mine: mine.update(text="mine"),
    "delete": lambda mine: mine.delete(),
    "bulk_update": lambda mine: type(mine).objects.bulk_update([mine], ["text"]),
}


@pytest.mark.parametrize("write", WRITES)
async def test_write_of_a_row_that_was_changed_meanwhile_is_refused(page: Any, write: str) -> None:
    await page.objects.create(slug="one")
    mine = await page.objects.get()
    theirs = await page.objects.get()
    theirs.text = "theirs"
    await theirs.save()
    mine.text = "mine"
    with pytest.raises(orm.StaleObject, match=rf"Page {mine.pk} was loaded with version 1, and has version 2") as info:
        await WRITES[write](mine)
    error = info.value
    assert (error.key, error.expected, error.current, error.retryable) == (mine.pk, 1, 2, True)
    assert await stored(page) == [("one", "theirs", 2)]
    assert (mine.version, mine.text) == (1, "mine")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    await mine.load()
    await WRITES[write](mine)


@pytest.mark.parametrize("write", [write for write in WRITES if write not in ("delete", "bulk_update")])
async def test_write_of_a_row_that_was_deleted_meanwhile_is_refused(page: Any, write: str) -> None:
    mine = await page.objects.create(slug="one")
    await page.objects.filter(slug="one").delete()
    with pytest.raises(orm.StaleObject, match="has been deleted") as info:
        await WRITES[write](mine)
    assert info.value.current is None
    assert await stored(page) == []


async def test_rows_that_were_deleted_meanwhile_are_not_counted(page: Any) -> None:
    mine = await page.objects.create(slug="one")
    await page.objects.filter(slug="one").delete()
    assert await page.objects.bulk_update([mine], ["text"]) == 0
    assert await mine.delete() == 0


async def test_bulk_update_of_rows_one_of_which_was_changed_updates_none(page: Any) -> None:
    rows = await page.objects.bulk_create([page(slug=f"page {number}") for number in range(5)])
    assert [row.version for row in rows] == [1] * 5
    await page.objects.filter(slug="page 3").update(text="theirs")
    for row in rows:
        row.text = "mine"
    with pytest.raises(orm.StaleObject) as info:
        await page.objects.bulk_update(rows, ["text"])
    assert info.value.key == rows[3].pk
    assert await stored(page) == [(f"page {n}", "theirs" if n == 3 else "", 2 if n == 3 else 1) for n in range(5)]
    del rows[3]
    for row in rows:
        row.views = page.views + 1
    assert await page.objects.bulk_update(rows, ["text", "views"], batch_size=2) == 4
    assert [row.version for row in rows] == [2] * 4
    assert [version for *_, version in await stored(page)] == [2] * 5
    await rows[0].save()
    assert rows[0].version == 3


async def test_bulk_update_of_rows_that_the_queryset_does_not_match(page: Any) -> None:
    rows = await page.objects.bulk_create([page(slug="a"), page(slug="b")])
    for row in rows:
        row.text = "mine"
    assert await page.objects.filter(slug="a").bulk_update(rows, ["text"]) == 1
    assert await stored(page) == [("a", "mine", 2), ("b", "", 1)]


async def test_upsert_counts_and_checks_nothing(page: Any, any_database: databases.Database) -> None:
    unique = [] if any_database.url.dialect == "mysql" else ["slug"]
    for times in (1, 2, 3):
        row = await page.objects.upsert({"slug": "one", "text": f"{times}"}, unique_fields=unique)
        assert await stored(page) == [("one", f"{times}", times)]
        if row.pk is not None:
            await row.load()
            assert row.version == times
    if any_database.url.dialect != "mysql":
        row = await page.objects.upsert({"slug": "one", "text": "4"}, unique_fields=unique)
        assert row.version == 4
        await row.update(text="5")
    assert (await page.objects.bulk_create([page(slug="one", text="x")], ignore_conflicts=True))[0].version == 1
    assert [version for *_, version in await stored(page)] == [3 if any_database.url.dialect == "mysql" else 5]


async def test_unsaved_instance_overwrites_no_row(page: Any) -> None:
    one = await page.objects.create(slug="one")
    with pytest.raises(orm.UniqueViolation):
        await page(id=one.pk, slug="other").save()
    assert await stored(page) == [("one", "", 1)]
    # What a form sends back: the key and the version of the row that it shows.
    await page(id=one.pk, slug="other", version=1).save(force_update=True)
    with pytest.raises(orm.StaleObject):
        await page(id=one.pk, slug="third", version=1).save(force_update=True)
    assert await stored(page) == [("other", "", 2)]


async def test_version_cannot_be_written_by_name(page: Any) -> None:
    one = await page.objects.create(slug="one")
    for write in (
        lambda: one.update(version=7),
        lambda: one.save(update_fields=["version"]),
        lambda: page.objects.update(version=7),
        lambda: page.objects.bulk_update([one], ["version"]),
        lambda: page.objects.upsert({"slug": "one"}, unique_fields=["slug"], update_fields=["version"]),
    ):
        with pytest.raises(orm.QueryError, match=r"Page\.version counts"):
            await write()
    one.version = 7
    with pytest.raises(orm.StaleObject):
        await one.save()
    assert await stored(page) == [("one", "", 1)]


async def test_instance_without_its_version_says_what_to_load(page: Any) -> None:
    await page.objects.create(slug="one")
    one = await page.objects.only("slug").get()
    for write in (lambda: one.save(), lambda: one.update(text="x"), lambda: one.delete()):
        with pytest.raises(orm.NotLoaded, match="version"):
            await write()
    assert await stored(page) == [("one", "", 1)]


async def test_update_or_create_and_related_managers_count(page: Any) -> None:
    row, created = await page.objects.update_or_create(slug="one", defaults={"text": "a"})
    assert created and row.version == 1
    row, created = await page.objects.update_or_create(slug="one", defaults={"text": "b"})
    assert not created and row.version == 2
    assert await stored(page) == [("one", "b", 2)]


async def test_of_many_concurrent_updates_none_is_lost(page: Any, any_database: databases.Database) -> None:
    await page.objects.create(slug="one")

    async def add_one() -> int:
        for tries in range(1000):
            one = await page.objects.get(slug="one")
            one.views += 1
            try:
                await one.save()
            except orm.StaleObject:
                continue
            return tries
        raise AssertionError("it never succeeded")

    await asyncio.gather(*(add_one() for _ in range(20)))
    one = await page.objects.get()
    assert (one.views, one.version) == (20, 21)


async def test_function_with_retries_runs_again_after_a_stale_object(database_url: str) -> None:
    async with orm.Database(database_url) as database:
        models = orm.ModelRegistry(database=database)

        class Page(orm.Model):
            registry = models

            id = orm.Integer(primary_key=True)
            views = orm.Integer(default=0)
            version = orm.Version()

        await models.create_all()
        await Page.objects.create(id=1)
        runs: list[int] = []

        @database.transaction(retries=3)
        async def work() -> None:
            runs.append(1)
            one = await Page.objects.get(id=1)
            if len(runs) == 1:
                await Page.objects.filter(id=1).update(views=10)  # as another program would
            one.views += 1
            await one.save()

        await work()
        one = await Page.objects.get()
        assert (one.views, one.version, len(runs)) == (1, 2, 2)


def test_declaration_of_versions() -> None:
    models = orm.ModelRegistry()
    with pytest.raises(orm.FieldError, match="more than one version"):

        class Twice(orm.Model):
            registry = models

            id = orm.Integer(primary_key=True)
            one = orm.Version()
            two = orm.Version()

    for option in ("default", "allow_null", "primary_key", "unique", "minimum"):
        with pytest.raises(orm.FieldError, match=option):
            orm.Version(**{option: True})  # type: ignore[arg-type]


async def test_rows_that_get_new_parents_keep_their_versions(any_database: databases.Database) -> None:
    models = orm.ModelRegistry(database=any_database)

    class Person(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=10)
        boss = orm.ForeignKey("Person", allow_null=True, related_name="staff", on_delete=orm.SET_NULL)
        mentor = orm.ForeignKey("Person", allow_null=True, related_name="students", on_delete=orm.SET_NULL)
        version = orm.Version()

    async def versions() -> list[tuple[str, int]]:
        return [tuple(row) for row in await Person.objects.order_by("id").values_list("name", "version")]

    await models.create_all()
    loaded, by_key = await Person.objects.bulk_create([{"name": "loaded"}, {"name": "by key"}])
    graph: Any = {"name": "new", "staff": [loaded, by_key.id], "students": [loaded]}
    new = await Person.objects.create_graph(graph)
    assert await versions() == [("loaded", 3), ("by key", 2), ("new", 1)]
    assert (loaded.version, loaded.boss, loaded.mentor) == (3, new, new)
    loaded.name = "saved"
    await loaded.save()

    one, other = Person(name="one"), Person(name="other")
    one.boss, other.boss = other, one
    await Person.objects.bulk_create([one, other])
    in_database = dict(await versions())
    assert in_database == {"saved": 4, "by key": 2, "new": 1, "one": one.version, "other": other.version}
    other.name, one.name = "2", "1"
    await Person.objects.bulk_update([one, other], ["name"])
    assert (await Person.objects.get(name="1")).boss == other

    stale = await Person.objects.get(name="saved")
    await Person.objects.filter(id=stale.id).update(name="changed")
    with pytest.raises(orm.StaleObject):
        await Person.objects.create_graph({"name": "late", "staff": [stale]})
    assert not await Person.objects.filter(name="late").exists()
    await models.drop_all()
