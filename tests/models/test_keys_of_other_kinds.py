"""Foreign keys to a model of single-table inheritance with the key of a row of another model: all reads find no row."""

from __future__ import annotations

from typing import Any

import pytest

import orm
from orm.database.connections.database import Database

pytestmark = pytest.mark.anyio
models = orm.ModelRegistry()


class Shape(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=20)

    class Meta:
        discriminator = "kind"


class Circle(Shape):
    radius = orm.Integer()


class Rect(Shape):
    width = orm.Integer()


class Square(Rect):
    pass


class Drawing(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    shape: Any = orm.ForeignKey(Shape, on_delete=orm.CASCADE, related_name="+")
    circle: Any = orm.ForeignKey(Circle, on_delete=orm.CASCADE, related_name="drawings", allow_null=True)
    rect: Any = orm.ForeignKey(Rect, on_delete=orm.CASCADE, related_name="drawings")


@pytest.fixture
async def right_and_wrong(database: Database) -> tuple[Drawing, Drawing]:
    models.database = database
    await models.create_all()
    circle = await Circle.objects.create(name="c", radius=1)
    square = await Square.objects.create(name="s", width=2)
    right = await Drawing.objects.create(shape=circle.pk, circle=circle.pk, rect=square.pk)
    return right, await Drawing.objects.create(shape=circle.pk, circle=square.pk, rect=circle.pk)


@pytest.mark.parametrize(
    "read",
    [
        lambda: Drawing.objects.select_related("circle", "rect", "shape").order_by("id"),
        lambda: Drawing.objects.prefetch_related("circle", "rect", "shape").order_by("id"),
        lambda: Drawing.objects.order_by("id").graph("circle", "rect", "shape"),
    ],
    ids=["select_related", "prefetch_related", "graph"],
)
async def test_reads_of_instances_find_no_row_of_the_model(right_and_wrong: Any, read: Any) -> None:
    right, wrong = await read()
    assert (type(right.circle), type(right.rect), type(right.shape)) == (Circle, Square, Circle)
    assert wrong.circle is None
    with pytest.raises(orm.NoMatch, match="no Rect was found"):
        wrong.rect  # noqa: B018
    assert wrong.shape.name == "c"


async def test_loading_finds_no_row_of_the_model(right_and_wrong: Any) -> None:
    right, wrong = await Drawing.objects.order_by("id")
    assert (await right.circle.load()).radius == (await right.rect).width - 1 == 1
    for load in (
        lambda: wrong.circle.load(),
        lambda: wrong.circle.load(fields=["name"]),
        lambda: wrong.rect.load(),
        lambda: wrong.rect.load(fields=["name"]),
    ):
        with pytest.raises(orm.NoMatch):
            await load()
    with pytest.raises(orm.NoMatch):
        await wrong.circle
    await orm.load(wrong, "circle", "shape")
    assert wrong.circle is None
    assert wrong.shape.name == "c"


async def test_lookups_find_no_row_of_the_model(right_and_wrong: Any) -> None:
    right, wrong = right_and_wrong

    async def keys(queryset: Any) -> list[int]:
        return [drawing.pk for drawing in await queryset.order_by("id")]

    drawings = Drawing.objects.all()
    assert await keys(drawings.filter(circle__name="s")) == await keys(drawings.filter(rect__name="c")) == []
    assert await keys(drawings.filter(circle__name="c")) == await keys(drawings.filter(rect__name="s")) == [right.pk]
    assert await keys(drawings.exclude(circle__name="c")) == await keys(drawings.exclude(rect__name="s")) == [wrong.pk]
    assert await keys(drawings.exclude(circle__name="s")) == [right.pk, wrong.pk]
    assert await keys(drawings.filter(rect__name__isnull=True)) == [wrong.pk]
    assert await drawings.order_by("id").values_list("circle__name", "rect__width") == [("c", 2), (None, None)]
    assert len(await drawings.order_by("rect__name", "circle__name")) == 2
    assert await drawings.filter(rect__name="s").update(circle=None) == 1
    assert await drawings.filter(rect__name="c").delete() == 0
    # The key itself is the column's.
    assert await keys(drawings.filter(rect=wrong.rect_id)) == await keys(drawings.filter(rect__id=wrong.rect_id))
    assert await keys(drawings.filter(rect=wrong.rect_id)) == [wrong.pk]
    assert await drawings.filter(id=wrong.pk).values_list("rect", flat=True) == [wrong.rect_id]
