"""A `save()` of the model's own is called wherever a single instance is written, as in Django."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import orm
from orm.database.connections.database import Database

models = orm.ModelRegistry()


class Slugged:
    """A `save()` that comes from a class that is no model."""

    title: str
    slug: str
    calls: list[Any]

    async def save(self, **options: Any) -> Any:
        Page.calls.append(options.get("update_fields"))
        self.slug = self.title.lower()
        if options.get("update_fields") is not None:
            options["update_fields"] = [*options["update_fields"], "slug"]
        return await super().save(**options)  # type: ignore[misc]


class Site(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    pages: orm.RelatedManager[Page]


class Page(Slugged, orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    title = orm.String(max_length=20)
    slug = orm.String(max_length=20, allow_blank=True, unique=True)
    views = orm.Integer(default=0)
    changed = orm.DateTime(auto_now=True)
    site: Any = orm.ForeignKey(Site, allow_null=True, on_delete=orm.SET_NULL, related_name="pages")
    labels: Any = orm.ManyToMany("Label", related_name="pages")

    calls: Any = []


class Label(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    pages: orm.ManyToManyManager[Page]


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    models.database = database
    await models.create_all()
    site = await Site.objects.create()
    await Label.objects.create()
    await Page.objects.create(title="OLD", site=site)
    Page.calls.clear()
    yield site


async def label() -> Label:
    return await Label.objects.get()


WRITES: dict[str, tuple[Callable[[Site], Awaitable[Any]], list[Any]]] = {
    "create": (lambda site: Page.objects.create(title="NEW"), [None]),
    "create with a key": (lambda site: Page.objects.create(id=100, title="NEW"), [None]),
    "get_or_create": (lambda site: Page.objects.get_or_create(title="NEW"), [None]),
    "get_or_create of an old row": (lambda site: Page.objects.get_or_create(title="OLD"), []),
    "update_or_create": (lambda site: Page.objects.update_or_create(title="NEW"), [None]),
    "update_or_create of an old row": (
        lambda site: Page.objects.update_or_create(title="OLD", defaults={"title": "NEW"}),
        [["title", "changed"]],
    ),
    "a manager of related rows": (lambda site: site.pages.create(title="NEW"), [None]),
    "get_or_create of that": (lambda site: site.pages.get_or_create(title="NEW"), [None]),
    "add() of instances": (lambda site: site.pages.add(Page(title="NEW"), bulk=False), [None]),
    "save": (lambda site: Page(title="NEW").save(), [None]),
}


@pytest.mark.parametrize("write", WRITES)
async def test_single_writes_call_save(site: Site, write: str) -> None:
    run, calls = WRITES[write]
    await run(site)
    assert Page.calls == calls
    assert sorted(await Page.objects.values_list("slug", flat=True)) in (["new", "old"], ["new"], ["old"])
    assert all(page.slug == page.title.lower() for page in await Page.objects.all())


async def test_a_many_to_many_manager_calls_save(site: Site) -> None:
    page = await (await label()).pages.create(title="NEW")
    assert Page.calls == [None] and page.slug == "new" and await page.labels.count() == 1


async def test_instance_update_calls_save_with_the_names(site: Site) -> None:
    page = await Page.objects.get()
    changed = page.changed
    await page.update(title="NEWER", site=None)
    assert Page.calls == [["title", "site", "changed"]]
    loaded = await Page.objects.get()
    assert (loaded.title, loaded.slug, loaded.site) == ("NEWER", "newer", None) and loaded.changed > changed
    await page.update(views=Page.views + 5, site_id=site.pk)
    assert (await Page.objects.get()).views == 5 and (await Page.objects.get()).site_id == site.pk
    with pytest.raises(orm.NotLoaded):
        _ = page.views
    with pytest.raises(orm.FieldError, match="nothing"):
        await page.update(nothing=1)
    with pytest.raises(orm.ValidationError):
        await page.update(title="x" * 21)


async def test_create_inserts_a_row_even_if_its_key_exists(site: Site) -> None:
    page = await Page.objects.get()
    with pytest.raises(orm.UniqueViolation):
        await Page.objects.create(id=page.pk, title="OTHER")
    assert (await Page.objects.get()).title == "OLD"
    other = Page(id=page.pk, title="OTHER")
    await other.save()  # The rule of save(): the row with this key.
    assert (await Page.objects.get()).slug == "other"


async def test_bulk_writes_do_not_call_save(site: Site) -> None:
    page = await Page.objects.get()
    await Page.objects.bulk_create([{"title": "A", "slug": "x"}])
    await Page.objects.create_graph({"title": "B", "slug": "y"})
    await Page.objects.filter(pk=page.pk).update(title="C")
    await Page.objects.bulk_update([page], ["title"])
    assert Page.calls == []
    assert sorted(await Page.objects.values_list("slug", flat=True)) == ["old", "x", "y"]
