"""What hooks, a `save()` of its own and edits in place change of an instance is written by a session."""

from __future__ import annotations

import json
from typing import Any

import pytest

import orm

models = orm.ModelRegistry()


class Article(orm.Model):
    """Its hook sets another field."""

    registry = models

    id = orm.Integer(primary_key=True)
    title = orm.String(max_length=50)
    slug = orm.String(max_length=50, allow_blank=True, default="")
    data = orm.JSON(default=dict, mutable=False)

    calls: Any = []

    def before_save(self, *, created: bool, update_fields: frozenset[str] | None) -> Any:
        self.calls.append(update_fields)
        self.slug = self.title.lower()
        return super().before_save(created=created, update_fields=update_fields)


class Page(orm.Model):
    """Its own `save()` sets another field."""

    registry = models

    id = orm.Integer(primary_key=True)
    title = orm.String(max_length=50)
    slug = orm.String(max_length=50, allow_blank=True, default="")

    calls: Any = []

    async def save(self, **options: Any) -> Any:
        self.calls.append(options)
        self.slug = self.title.lower()
        return await super().save(**options)


class Signalled(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    title = orm.String(max_length=50)
    changed = orm.DateTime(timezone=True, auto_now=True)


class Document(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50, unique=True)
    plain = orm.JSON(default=dict, mutable=False)
    version = orm.Version()


def capitalize(instance: Signalled, **_: Any) -> None:
    instance.title = instance.title.upper()


@pytest.fixture
async def database_of_models(database: orm.Database) -> orm.Database:
    models.database = database
    await models.create_all()
    await Article.objects.create(title="First")
    await Page.objects.create(title="First")
    await Document.objects.create(name="d")
    Article.calls.clear()
    Page.calls.clear()
    return database


@pytest.mark.parametrize("model", [Article, Page])
async def test_flush_writes_what_a_hook_or_an_own_save_has_changed(
    database_of_models: orm.Database, model: Any
) -> None:
    async with orm.Session(database_of_models) as session:
        row = await session.get_one(model, 1)
        row.title = "Second"
        await session.commit()
        assert not session.dirty
    assert await model.objects.values_list("title", "slug") == [("Second", "second")]
    assert len(model.calls) == 1


async def test_flush_writes_what_a_receiver_has_changed(database_of_models: orm.Database) -> None:
    await Signalled.objects.create(title="a")
    orm.pre_save.connect(capitalize, sender=Signalled)
    try:
        async with orm.Session(database_of_models) as session:
            row = await session.get_one(Signalled, 1)
            row.changed = row.changed.replace(year=2001)
            await session.commit()
    finally:
        orm.pre_save.disconnect(capitalize, sender=Signalled)
    row = await Signalled.objects.get()
    assert row.title == "A" and row.changed.year > 2001


@pytest.mark.parametrize("model", [Article, Page])
@pytest.mark.parametrize("is_changed", [True, False])
async def test_save_in_a_session_is_one_call_that_writes_all(
    database_of_models: orm.Database, model: Any, is_changed: bool
) -> None:
    async with orm.Session(database_of_models) as session:
        row = await session.get_one(model, 1)
        await model.objects.filter(id=1).update(slug="overwritten")
        if is_changed:
            row.title = "Third"
        model.calls.clear()
        await row.save()
        await session.commit()
        assert not session.dirty and len(model.calls) == 1
    title = "Third" if is_changed else "First"
    assert await model.objects.values_list("title", "slug") == [(title, title.lower())]


async def change(row: Any) -> None:
    row.title = "Third"
    orm.track_changes(row)
    row.title = "Second"
    await row.save(changed_only=True)


async def change_or_create(row: Any) -> None:
    await type(row).objects.update_or_create(id=1, defaults={"title": "Second"})


@pytest.mark.parametrize("model", [Article, Page])
@pytest.mark.parametrize("is_changed", [True, False])
@pytest.mark.parametrize(
    "write",
    [
        lambda row: row.update(title="Second"),
        lambda row: row.save(update_fields=["title"]),
        lambda row: row.save(force_update=True),
        lambda row: row.save(update_fields=["title"], force_update=True),
        change,
    ],
    ids=["update", "update_fields", "force_update", "both", "changed_only"],
)
async def test_every_write_of_an_instance_in_a_session_calls_its_hooks_once(
    database_of_models: orm.Database, model: Any, is_changed: bool, write: Any
) -> None:
    async with orm.Session(database_of_models) as session:
        row = await session.get_one(model, 1)
        if is_changed:
            row.title = "Second"
        model.calls.clear()
        await write(row)
        await session.commit()
        assert not session.dirty and len(model.calls) == 1
        assert await model.objects.values_list("title", "slug") == [(row.title, row.title.lower())]
        await change_or_create(row)
        await session.commit()
        assert len(model.calls) == 2 and await model.objects.values_list("slug") == [("second",)]
        with pytest.raises(orm.FieldError):
            await row.save(update_fields=["titel"])


async def test_save_in_a_session_writes_what_was_edited_in_place(database_of_models: orm.Database) -> None:
    async with orm.Session(database_of_models) as session:
        document = await session.get_one(Document, 1)
        document.plain["edited"] = 1
        assert document not in session.dirty
        await document.save()
        assert document.version == 2
        await session.rollback()
        assert document.version == 1
        document = await session.get_one(Document, 1)
        document.plain["edited"] = 2
        await document.save()
        await session.commit()
    document = await Document.objects.get()
    assert document.plain["edited"] == 2 and document.version == 2


async def test_save_in_a_session_flushes_the_others_before(database_of_models: orm.Database) -> None:
    async with orm.Session(database_of_models) as session:
        document = await session.get_one(Document, 1)
        other = Document(name="free")
        session.add(other)
        await session.flush()
        other.name, document.name = "e", "free"
        await document.save()
        await session.commit()
    assert sorted(await Document.objects.values_list("name", flat=True)) == ["e", "free"]


async def test_save_in_a_session_that_is_refused_is_rolled_back(database_of_models: orm.Database) -> None:
    async with orm.Session(database_of_models) as session:
        document = await session.get_one(Document, 1)
        session.add(Document(name="taken"))
        document.name = "x" * 51
        with pytest.raises(orm.ValidationError):
            await document.save()
        document.name = "taken"
        with pytest.raises(orm.UniqueViolation):
            await document.save()
        with pytest.raises(orm.TransactionError, match="a flush of this session has failed"):
            await session.flush()
        await session.rollback()
        assert document.name == "d" and document.version == 1
        await session.commit()
    assert await Document.objects.values_list("name", flat=True) == ["d"]


async def test_save_in_a_session_of_a_deleted_instance_keeps_it(database_of_models: orm.Database) -> None:
    async with orm.Session(database_of_models) as session:
        document = await session.get_one(Document, 1)
        await session.delete(document)
        await document.save()
        assert not session.deleted
        await session.commit()
    assert await Document.objects.count() == 1


class Tracked(orm.Model):
    """Values of all kinds that can be changed in place."""

    registry = models

    id = orm.Integer(primary_key=True)
    data = orm.JSON(default=dict)
    tags = orm.Array(orm.String(max_length=10), default=list)
    typed = orm.JSON(list[int], default=list)
    unnoticed = orm.JSON(default=dict, mutable=False)

    class Meta:
        track_changes = True


class Untracked(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    data = orm.JSON(default=dict)
    tags = orm.Array(orm.String(max_length=10), default=list)
    typed = orm.JSON(list[int], default=list)


def edit_data(row: Any) -> None:
    row.data["new"] = {"list": [1]}


def edit_inside_of_data(row: Any) -> None:
    row.data["kept"][0] = True  # equal to 1, and other JSON


def edit_tags(row: Any) -> None:
    row.tags.append("new")


def edit_typed(row: Any) -> None:
    row.typed.append(5)


EDITS = {
    edit_data: ("data", {"kept": [1], "new": {"list": [1]}}),
    edit_inside_of_data: ("data", {"kept": [True]}),
    edit_tags: ("tags", ["a", "new"]),
    edit_typed: ("typed", [1, 5]),
}


@pytest.mark.parametrize("model", [Tracked, Untracked])
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: str(edit.__name__))
async def test_edit_in_place_is_noticed_and_written(database_of_models: orm.Database, model: Any, edit: Any) -> None:
    name, expected = EDITS[edit]
    await model.objects.create(data={"kept": [1]}, tags=["a"], typed=[1])
    async with orm.Session(database_of_models) as session:
        row = await session.get_one(model, 1)
        assert row not in session.dirty
        edit(row)
        assert list(session.dirty) == [row]
        if model is Tracked:
            assert row.changed_fields == (name,)
        await session.commit()
        assert not session.dirty
        edit(row)
        await session.rollback()
        assert not session.dirty
    written = await model.objects.values_list(name, flat=True).get()
    assert json.dumps(written, sort_keys=True) == json.dumps(expected, sort_keys=True)


async def test_tracked_changes_are_what_a_session_writes(database_of_models: orm.Database) -> None:
    await Tracked.objects.create()
    async with orm.Session(database_of_models) as session:
        row = await session.get_one(Tracked, 1)
        row.unnoticed["noticed"] = True
        assert row.changed_fields == ("unnoticed",)
        assert list(session.dirty) == [row]
        await session.commit()
    assert await Tracked.objects.values_list("unnoticed", flat=True) == [{"noticed": True}]
