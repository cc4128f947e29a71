"""Slug, PositiveInteger and CIText: what they accept, and what the database itself refuses or ignores."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import orm
from orm.database.connections.database import Database
from orm.fields.base import Field
from tests.private_servers import ProgramsMissing

pytestmark = pytest.mark.anyio
models = orm.ModelRegistry()


class Page(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    slug = orm.Slug(unique=True)
    former = orm.Slug(allow_null=True, allow_unicode=True, max_length=8)
    views = orm.PositiveInteger(default=0)
    bytes = orm.PositiveBigInteger(default=0)
    rank = orm.PositiveSmallInteger(allow_null=True, minimum=1)


@pytest.fixture
async def pages(database: Database) -> AsyncIterator[Database]:
    models.database = database
    await models.create_all()
    yield database


async def test_slugs_are_letters_digits_hyphens_and_underscores(pages: Database) -> None:
    page = await Page.objects.create(slug="a-page_1", former="ärger-1", views="3", rank=1)
    read = await Page.objects.get(slug="a-page_1")
    assert (read.id, read.former, read.views, read.bytes, read.rank) == (page.id, "ärger-1", 3, 0, 1)
    for bad in ("a page", "ärger", "a/b", "a\nb", "", "a" * 51):
        with pytest.raises(orm.ValidationError, match="slug"):
            await Page.objects.create(slug=bad)
    for bad in ("ä b", "ä" * 9):
        with pytest.raises(orm.ValidationError, match="former"):
            await Page.objects.create(slug="b", former=bad)


async def test_negative_numbers_are_refused_by_the_validator_and_by_the_database(pages: Database) -> None:
    for name in ("views", "bytes", "rank"):
        with pytest.raises(orm.ValidationError, match=name):
            await Page.objects.create(slug="a", **{name: -1})
    with pytest.raises(orm.ValidationError, match="greater than or equal to 1"):
        await Page.objects.create(slug="a", rank=0)
    page = await Page.objects.create(slug="a", views=2, bytes=1 << 40)
    for name in ("views", "bytes"):
        with pytest.raises(orm.CheckViolation) as caught:
            await Page.objects.update(**{name: orm.F(name) - (1 << 41)} if name == "bytes" else {name: orm.F(name) - 3})
        assert caught.value.fields == (name,) and caught.value.model is Page
        messages = caught.value.as_validation_error().messages()
        assert [(message.index, message.text) for message in messages] == [
            ([name], "Must be greater than or equal to 0.")
        ]
    await page.load()
    assert (page.views, page.bytes) == (2, 1 << 40)
    await Page.objects.update(views=orm.F("views") - 2)
    assert await Page.objects.filter(views=0, rank__isnull=True).exists()


def test_slugs_are_indexed_and_refuse_another_pattern() -> None:
    assert {index.name: [*index.columns.keys()] for index in Page.table.indexes} == {"ix_page_former": ["former"]}
    assert not orm.Slug(index=False).index
    with pytest.raises(orm.FieldError, match="Slug has a pattern of its own"):
        orm.Slug(pattern="[a-z]+")


def user_model(database: Database) -> type[orm.Model]:
    class User(orm.Model):
        registry = orm.ModelRegistry(database=database)

        id = orm.Integer(primary_key=True)
        name = orm.CIText(unique=True, max_length=20)
        email = orm.CIText(allow_null=True)

    return User


async def test_citext_ignores_case(postgresql_url: str) -> None:
    async with Database(postgresql_url) as database:
        try:
            await database.execute("CREATE EXTENSION IF NOT EXISTS citext")
        except orm.NotSupportedError as error:
            raise ProgramsMissing(f"this PostgreSQL has no extension citext: {error}") from error
        user = user_model(database)
        await user._meta.registry.create_all()
        ann = await user.objects.create(name="Ann", email="Ann@example.org")
        await user.objects.bulk_create([{"name": "bob"}, {"name": "Cid", "email": "CID@example.org"}])
        for lookups in (
            {"name": "ANN"},
            {"name__in": ["aNN", "zed"]},
            {"name__contains": "NN"},
            {"name__startswith": "an"},
            {"name__endswith": "NN"},
            {"name__iexact": "ANN"},
            {"name__regex": "^aNn$"},
            {"name__range": ("ANA", "ANZ")},
            {"email": "ANN@EXAMPLE.ORG"},
        ):
            assert await user.objects.filter(**lookups).values_list("id", flat=True) == [ann.pk], lookups
        assert await user.objects.order_by("-name").values_list("name", flat=True) == ["Cid", "bob", "Ann"]
        assert await user.objects.exclude(name="BOB").count() == 2
        with pytest.raises(orm.UniqueViolation):
            await user.objects.create(name="ANN")
        assert await user.objects.filter(name="ann").update(name="ANN") == 1
        assert (await user.objects.get(pk=ann.pk)).name == "ANN"  # type: ignore[attr-defined]
        await user.objects.upsert([{"name": "bOB", "email": "b@example.org"}], unique_fields=["name"])
        assert await user.objects.filter(name="bob", email="B@EXAMPLE.ORG").count() == 1
        rows = [await user.objects.get(name="cid")]
        rows[0].email = "new@example.org"  # type: ignore[attr-defined]
        assert await user.objects.bulk_update(rows, ["email"]) == 1


@pytest.mark.parametrize("kind", ["sqlite", "mysql"])
async def test_citext_is_refused_by_name_elsewhere(kind: str, request: pytest.FixtureRequest) -> None:
    async with Database(request.getfixturevalue(f"{kind}_url")) as database:
        with pytest.raises(orm.NotSupportedError, match="Only PostgreSQL has a type of text that ignores case"):
            await user_model(database)._meta.registry.create_all()


def test_the_fields_are_exported() -> None:
    for name in ("Slug", "CIText", "PositiveInteger", "PositiveBigInteger", "PositiveSmallInteger"):
        assert issubclass(getattr(orm, name), Field) and name in orm.__all__


def test_a_model_in_the_table_of_another_has_the_checks_of_its_own_fields_only() -> None:
    class Shape(orm.Model):
        registry = orm.ModelRegistry()
        id = orm.Integer(primary_key=True)
        kind = orm.String(max_length=10)
        size = orm.PositiveInteger()

        class Meta:
            discriminator = "kind"

    class Circle(Shape):
        radius = orm.PositiveInteger()

    checks = [str(each.name) for each in Circle.table.constraints if str(each.name).endswith("_check")]
    assert sorted(name.rsplit("_", 2)[0] for name in checks) == ["shape_radius", "shape_size"]
